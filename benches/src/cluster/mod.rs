//! The service on a cluster against the bare driver on the same nodes, in the same rounds.

mod driver;
mod million;
mod partitions;
mod round;

use std::time::Duration;

use anyhow::Result;

use self::{
    driver::{AT_ONCE, Driver},
    round::{FEW, READ_TREE, Round, Seen},
};
use crate::{
    nodes::Nodes,
    process::Server,
    shapes::{MANY, TREE},
    table::{self, Series, median},
    tasks,
};

/// Tasks of one measurement of a queue.
const QUEUE_ROUND: u64 = 3_000;
/// Tasks that go through it at once.
const QUEUE_STEP: u64 = 50_000;

#[derive(clap::Args)]
pub struct Options {
    /// Measure the service on a cluster instead, of which these are nodes, as HOST:PORT with commas
    /// between them. Keyspaces named `jobtracker_bench_…` are made there and removed.
    #[arg(long, value_name = "NODES", value_delimiter = ',')]
    cluster: Vec<String>,
    /// The data centre of those nodes.
    #[arg(long, default_value = "datacenter1", requires = "cluster")]
    datacenter: String,
    /// Jobs in the flush to the cluster.
    #[arg(long, default_value_t = 100_000, requires = "cluster")]
    cluster_flush: u64,
    /// Also put this many jobs into one tree there, one million if no number is given.
    #[arg(long, value_name = "JOBS", requires = "cluster", num_args = 0..=1,
        default_missing_value = "1000000")]
    cluster_million: Option<u64>,
    /// Also put this many tasks through one queue there.
    #[arg(long, value_name = "TASKS", requires = "cluster")]
    cluster_queue: Option<u64>,
}

impl Options {
    /// The cluster, if one is to be measured.
    pub fn place(&self) -> Option<Nodes> {
        let (nodes, datacenter) = (self.cluster.clone(), self.datacenter.clone());
        (!nodes.is_empty()).then_some(Nodes { nodes, datacenter })
    }
}

pub fn run(options: &Options, place: &Nodes, rounds: usize, time: Duration) -> Result<()> {
    let own = format!("jobtracker_bench_{}", std::process::id());
    let driver = Driver::connect(place, &own)?;
    println!("\n{}; {} copies of each row.", driver.about()?, place.copies());
    if rounds > 0 {
        // Code that runs for the first time is compiled meanwhile, in client and node: this run
        // does not count.
        let mut ignored = Seen::default();
        let mut seen = Seen::default();
        let mut rows = None;
        for number in 0..=rounds {
            match number {
                0 => eprintln!("cluster, warm-up"),
                _ => eprintln!("cluster, round {number} of {rounds}"),
            }
            let keyspace = format!("{own}_{number}");
            let jobs = options.cluster_flush;
            let round = Round { driver: &driver, place, keyspace: &keyspace, time, jobs, rows };
            let seen = if number == 0 { &mut ignored } else { &mut seen };
            let measured = round.measure(seen);
            driver.remove(&keyspace)?;
            driver.clear()?;
            rows = Some(measured?);
        }
        print(&seen, options.cluster_flush, rows.unwrap_or(0));
    }
    if let Some(jobs) = options.cluster_million {
        let keyspace = format!("{own}_million");
        let done = million::run(&driver, place, &keyspace, jobs);
        driver.remove(&keyspace)?;
        done?;
    }
    if let Some(tasks) = options.cluster_queue {
        let keyspace = format!("{own}_queue");
        let done = queue(&driver, place, &keyspace, tasks);
        driver.remove(&keyspace)?;
        done?;
    }
    Ok(())
}

/// A queue through which this many tasks have gone, and what it leaves behind.
fn queue(driver: &Driver, place: &Nodes, keyspace: &str, tasks: u64) -> Result<()> {
    println!("\nTasks; every claim and report is with a quorum before its reply.\n");
    table::head();
    let service = Server::on_cluster(place, keyspace)?;
    tasks::queue(&service, QUEUE_ROUND, tasks, QUEUE_STEP)?;
    drop(service);
    let sizes = driver.wait(partitions::sizes(&driver.session, keyspace))?;
    partitions::print(&sizes);
    Ok(())
}

fn print(seen: &Seen, jobs: u64, rows: u64) {
    println!("\nThe service on a cluster; a write is answered when a quorum has it.\n");
    table::head();
    let (at_once, floor) = (AT_ONCE, "floor: raw driver");
    let row = |what: &str, series: &Series, floor: Option<&Series>, aim: &str| {
        table::row(what, series, floor.map(|floor| series.ratio_to(floor)), aim);
    };
    row(&format!("{floor}, conditional update, 1 partition, 1 at once"), &seen.update_if, None, "");
    let what = format!("{floor}, conditional insert, {at_once} at once");
    row(&what, &seen.insert_if_absent, None, "");
    row(&format!("{floor}, insert, {at_once} at once"), &seen.insert, None, "");
    row(&format!("{floor}, read by key, {at_once} at once"), &seen.read, None, "");
    let alone = Some(&seen.update_if);
    let what = |clients| format!("changes on one tree of {TREE} jobs, {clients} clients");
    row(&what(FEW), &seen.few, alone, "≥ 8 × conditional update");
    row(&what(MANY), &seen.many, alone, "≥ 15 × conditional update");
    row(&format!("{}, jobs out of order", what(MANY)), &seen.scattered, alone, "");
    let what = format!("create, distinct roots, {FEW} clients");
    row(&what, &seen.roots, Some(&seen.insert_if_absent), "≥ 0.7 × conditional insert");
    let took = median(seen.flush.iter().copied());
    let ratio = seen.flush.iter().zip(seen.insert.seconds()).map(|(flush, raw)| raw / flush);
    let value = format!(
        "{took:.2} s, {:.0} jobs/s, {rows} rows, {:.2} × insert",
        jobs as f64 / took,
        median(ratio)
    );
    table::line(&format!("flush of {jobs} jobs in one tree"), &value, "≥ 1.5 × insert of as many");
    gets(seen);
    let what = format!("two servers on one tree, {FEW} clients each");
    row(&what, &seen.both, Some(&seen.few), "≥ 0.5 × one server");
    for (which, series) in [("one", &seen.one), ("the other", &seen.other)] {
        let share = median(series.rates().zip(seen.both.rates()).map(|(own, both)| own / both));
        row(&format!("– {which} of them ({:.0} %)", share * 100.0), series, None, "");
    }
}

fn gets(seen: &Seen) {
    // Reads that a call by itself needs: the head of its tree's log, and a row of the tables unless
    // the log has all of the tree. Concurrent calls may share reads; a shared read counts for each.
    let lines = [
        (format!("get one job, tree of {READ_TREE}"), &seen.get_of_tree, 2.0),
        ("– the same, on a server that has just begun".into(), &seen.get_elsewhere, 2.0),
        ("get one job, trees of one job".into(), &seen.get_of_small, 1.0),
    ];
    for (what, gets, needed) in lines {
        let told = match &gets.reads {
            Some(reads) => {
                let tables = reads.iter().filter(|(_, each)| **each >= 0.005);
                let tables = tables.map(|(table, each)| format!("{each:.2} × {table}"));
                tables.collect::<Vec<_>>().join(" + ")
            }
            None => "not counted here".into(),
        };
        let ratio = gets.series.ratio_to(&seen.read) * needed;
        let what = format!("{what}; needs {needed} reads, makes {told}");
        table::row(&what, &gets.series, Some(ratio), "≥ 0.8 × its reads by key");
    }
}
