//! A recording process is killed; its records are recovered from its journal and sent, exactly
//! once, also if the flush had arrived already.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use jobtracker_client::{JobId, JobTrackerClient, NewChange, NewJob, State};
use jobtracker_context::{Fsync, JobTrackerContext};

use crate::harness::{Harness, STORES};

const SERVICE: &str = "JOBTRACKER_TEST_SERVICE";
const JOURNAL: &str = "JOBTRACKER_TEST_JOURNAL";
const ROOT: u64 = 1_000;
/// Children before the flush, and after it.
const BEFORE: u64 = 200;
const AFTER: u64 = 150;

fn id(number: u64) -> JobId {
    JobId::new(number).unwrap()
}

async fn child(context: &JobTrackerContext, number: u64) {
    let job = NewJob::new("child").id(id(number)).under(id(ROOT));
    context.create(job).await.unwrap();
    context.update(id(number), NewChange::new(State::Running)).await.unwrap();
    context.update(id(number), NewChange::new(State::RanToCompletion)).await.unwrap();
}

/// The recording process: this test, run by the other one in a process of its own. It prints its
/// progress, and then goes on recording until it is killed.
#[tokio::test]
async fn recorder() {
    let (Ok(service), Ok(journal)) = (std::env::var(SERVICE), std::env::var(JOURNAL)) else {
        return;
    };
    let tracker = JobTrackerClient::new(service).unwrap();
    let builder = JobTrackerContext::builder(Arc::new(tracker)).journal(journal);
    let context = builder.fsync(Fsync::OnCall).build().unwrap();
    context.create(NewJob::new("root").id(id(ROOT))).await.unwrap();
    for number in ROOT + 1..=ROOT + BEFORE {
        child(&context, number).await;
    }
    context.sync().await.unwrap();
    println!("recorded");
    // The flush fails when the reply is lost: then its outcome is in doubt, and the records are
    // kept.
    println!("flushed {}", context.flush().await.is_ok());
    for number in ROOT + BEFORE + 1..=ROOT + BEFORE + AFTER {
        child(&context, number).await;
    }
    context.sync().await.unwrap();
    println!("synced");
    for number in 2_000_000.. {
        child(&context, number).await;
        tokio::task::yield_now().await;
    }
}

fn start(service: &str, journal: &Path) -> (Child, impl Iterator<Item = String>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "context::killed::recorder", "--nocapture"])
        .env(SERVICE, service)
        .env(JOURNAL, journal)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines.map(|line| line.unwrap()))
}

/// Kills the recorder when it has printed this, and answers whether its flush was answered.
fn kill_at(service: &str, journal: &Path, moment: &str) -> bool {
    let (mut recorder, lines) = start(service, journal);
    let mut flushed = false;
    for line in lines {
        flushed |= line.contains("flushed true");
        if line.contains(moment) {
            break;
        }
    }
    recorder.kill().unwrap();
    recorder.wait().unwrap();
    flushed
}

async fn recovered(harness: &Harness, journal: &Path, least: u64) {
    let report = JobTrackerContext::recover(Arc::new(harness.client()), journal).await.unwrap();
    assert_eq!((report.misplaced, report.flushed.refused), (0, 0), "{report:?}");
    let root = harness.client().load(id(ROOT)).await.unwrap();
    assert!(root.subtree.total >= least, "{} of {least}", root.subtree.total);
    // The last record may be half there; everything before is complete.
    assert!(root.subtree.successful + 1 >= root.subtree.total);
    assert_eq!(root.subtree.total, root.children.successful + root.children.pending);
    // The journal has nothing more.
    let report = JobTrackerContext::recover(Arc::new(harness.client()), journal).await.unwrap();
    assert_eq!(report.operations, 0);
    assert_eq!(harness.client().load(id(ROOT)).await.unwrap().subtree, root.subtree);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_flush_and_after_it() {
    for (kind, moment, least) in [
        (STORES[0], "recorded", BEFORE),
        (STORES[1], "flushed", BEFORE),
        (STORES[1], "synced", BEFORE + AFTER),
    ] {
        let harness = Harness::start(kind, |_| {}).await;
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal");
        kill_at(harness.url(), &journal, moment);
        recovered(&harness, &journal, least).await;
        harness.stop().await;
    }
}

/// The flush arrives, its reply does not, and then the process is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_flush_had_arrived() {
    let harness = Harness::start(STORES[1], |_| {}).await;
    let proxy = super::proxy::Proxy::start(harness.url(), u32::MAX).await;
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let (mut recorder, lines) = start(&proxy.url, &journal);
    for line in lines {
        if line.contains("recorded") {
            break;
        }
    }
    // The flush is on the service before the recorder knows.
    while harness.client().get(id(ROOT)).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    recorder.kill().unwrap();
    recorder.wait().unwrap();
    recovered(&harness, &journal, BEFORE).await;
    harness.stop().await;
}
