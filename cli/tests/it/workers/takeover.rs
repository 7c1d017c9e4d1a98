//! How long the task of a worker waits that was killed.

use jobtracker_client::TaskView;
use jobtracker_server::moving::now;

use super::*;

/// Workers that are killed, one after the other.
const KILLED: u32 = 3;

/// The id of the worker that does not have this task, as soon as there is one.
async fn next_id(client: &JobTrackerClient, task: &TaskView) -> String {
    loop {
        let workers = client.workers().await.unwrap().into_iter();
        let mut online = workers.filter(|worker| worker.state == WorkerState::Online);
        if let Some(next) = online.find(|worker| Some(&worker.id) != task.worker.as_ref()) {
            return next.id;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Ends when this worker has run something.
async fn works(client: &JobTrackerClient, id: &str) {
    let filter = WorkerFilter { workers: vec![id.to_owned()], ..WorkerFilter::default() };
    let job = create(client, NewTask { filter, ..command("true") }).await;
    assert_eq!(end(client, job).await, State::RanToCompletion);
}

/// L1, with the figure: each worker has a free slot for which it waits when it is killed, and the
/// next one waits already.
#[tokio::test]
async fn a_task_is_claimed_again_when_the_lease_of_its_killed_worker_has_ended() {
    let harness = Harness::start(StoreKind::Fjall, short).await;
    let client = harness.client();
    let start = || WorkerProcess::start(harness.url(), &["--slots", "2"]);
    let mut worker = start();
    let script = format!("test $JOBTRACKER_EPOCH -gt {KILLED} || exec sleep 30");
    let retry = Retry { max: KILLED, ..again() };
    let job = create(&client, command(&script).retry(retry)).await;
    let task = async || client.task(job).await.unwrap();
    until(async || task().await.epoch == 1).await;
    for epoch in 1..=KILLED {
        let next = start();
        works(&client, &next_id(&client, &task().await).await).await;
        worker.send(Signal::Kill);
        worker.code();
        let killed = now();
        let mut last = task().await;
        let taken = loop {
            match task().await {
                view if view.epoch > epoch => break view,
                view if view.lease_until.is_some() => last = view,
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert_ne!(taken.worker, last.worker, "one that is there has it");
        let (end, begin) = (last.lease_until.unwrap(), taken.since);
        assert!(begin >= end, "claimed again at {begin:?}, before the lease ended at {end:?}");
        let took = begin.millis() - killed.millis();
        println!("claimed again {took} ms after its worker was killed; lease {SHORT_MS} ms");
        worker = next;
    }
    assert_eq!(end(&client, job).await, State::RanToCompletion);
    drop(worker);
    harness.stop().await;
}
