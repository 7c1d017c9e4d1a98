//! A job as a graph of steps: two tables are queried, and one report is made. The second table's
//! query fails twice and is tried again; the report is then sent, which fails, and continued from
//! there. With `JOBTRACKER_URL` set, both runs are recorded as trees in that service.

use std::{
    env,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use jobtracker_client::JobTrackerClient;
use jobtracker_flow::{
    BoxError, ConstantBuilder, Flow, FlowBuilder, Recorder, Rerun, RunOptions, Step, StepState,
};

/// What a run is given: here a server that is not always well.
struct SqlServer {
    queries: AtomicU32,
    mails: AtomicU32,
}

struct Connection;

struct Table {
    rows: Vec<u64>,
}

impl SqlServer {
    async fn connect(&self) -> Result<Connection, BoxError> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(Connection)
    }

    async fn query(&self, table: &Table) -> Result<u64, BoxError> {
        tokio::time::sleep(Duration::from_millis(15)).await;
        if table.rows.len() > 2 && self.queries.fetch_add(1, Ordering::Relaxed) < 2 {
            return Err("the table is locked".into());
        }
        Ok(table.rows.iter().sum())
    }

    async fn mail(&self, report: &str) -> Result<(), BoxError> {
        if self.mails.fetch_add(1, Ordering::Relaxed) == 0 {
            return Err("no mail server".into());
        }
        println!("mailed: {report}");
        Ok(())
    }
}

struct SqlSummary {
    flow: Flow<SqlServer, String>,
    query1: Step<u64>,
}

/// Defined once; any number of runs may be at work at the same time.
static SQL_SUMMARY: LazyLock<SqlSummary> =
    LazyLock::new(|| define().unwrap_or_else(|mistakes| panic!("{mistakes}")));

fn define() -> Result<SqlSummary, jobtracker_flow::BuildError> {
    let again = ConstantBuilder::default().with_delay(Duration::from_millis(10)).with_max_times(3);
    let mut flow = FlowBuilder::<SqlServer>::new("sqlSummaryJob");
    let connection = flow
        .step("GetConnection")
        .retry(again)
        .run(|cx, ()| async move { cx.input().connect().await });
    let access = flow.step("CheckAuth").run(|_, ()| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok(())
    });
    let [table1, table2] = [vec![3, 4], vec![5, 6, 7]].map(|rows| {
        let name = format!("GetTableClient{}", rows.len() - 1);
        flow.step(name).needs(connection).run(move |_, _: Arc<Connection>| {
            let rows = rows.clone();
            async move { Ok(Table { rows }) }
        })
    });
    let query1 = flow
        .step("QueryTable1")
        .needs(table1)
        .after(access)
        .timeout(Duration::from_secs(30))
        .run(|cx, table| async move { cx.input().query(&table).await });
    let query2 = flow
        .step("QueryTable2")
        .needs(table2)
        .after(access)
        .retry(again)
        .run(|cx, table| async move { cx.input().query(&table).await });
    let summary = flow.step("Summarize").needs((query1, query2)).run(|_, (one, two)| async move {
        Ok(format!("{one} in the first table, {two} in the second"))
    });
    flow.step("EmailNotification")
        .needs(summary)
        .run(|cx, report| async move { cx.input().mail(&report).await });
    Ok(SqlSummary { flow: flow.build_with(summary)?, query1 })
}

#[tokio::main]
async fn main() -> Result<()> {
    println!("Before it runs, for Graphviz:\n{}", SQL_SUMMARY.flow.to_dot());
    let client = env::var("JOBTRACKER_URL").ok().map(|url| JobTrackerClient::new(&url));
    let client = client.transpose()?;
    let recorder = client.clone().map(|client| Arc::new(Recorder::new(Arc::new(client))));

    let mut options = RunOptions::new().max_concurrency(4).deadline(Duration::from_secs(60));
    if let Some(recorder) = &recorder {
        options = options.observer(recorder.clone());
    }
    let server = SqlServer { queries: AtomicU32::new(0), mails: AtomicU32::new(0) };
    let run = SQL_SUMMARY.flow.start_with(server, options);
    println!("The first query: {}", run.output(SQL_SUMMARY.query1).await?);
    println!("The report is there before it is mailed: {}", run.result().await?);

    let failure = run.wait().await.expect_err("the first mail is refused");
    println!("The run failed: {failure}");
    let again = run.rerun(Rerun::Unfinished)?;
    again.wait().await?;
    let reused = again.snapshot().counts().reused;
    println!("Continued: {reused} steps had their outputs already.");

    let snapshot = run.snapshot();
    let query2 = snapshot.step("QueryTable2").map(|step| (step.state, step.attempts));
    assert_eq!(query2, Some((StepState::Succeeded, 3)));
    println!("\nThe first run, for Mermaid:\n{}", snapshot.to_mermaid());
    println!("As a time line:\n{}", snapshot.to_gantt());
    if let (Some(client), Some(recorder)) = (client, recorder) {
        recorder.flush().await?;
        for run in [run.id(), again.id()] {
            let Some(job) = recorder.job(run) else { continue };
            let job = client.load(job).await?;
            println!("Recorded as job {}: {}, {:?}", job.id, job.state, job.children);
        }
    }
    Ok(())
}
