//! Very many children created one by one under one root by 64 clients, and finished by 64 others at
//! the same time. The root's numbers are right at every read, and exact at the end.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jobtracker_client::{Job, JobId, JobTrackerClient, NewChange, NewJob, State};
use tokio::{sync::mpsc, task::JoinSet};

use crate::harness::Harness;
use jobtracker_server::StoreKind;

const CLIENTS: u64 = 64;
const ROOT: JobId = JobId::MIN;

/// `JOBTRACKER_LONG` makes it 100,000.
fn children() -> u64 {
    if std::env::var_os("JOBTRACKER_LONG").is_some() { 100_000 } else { 20_000 }
}

/// How many writes have begun, and how many have been acknowledged.
#[derive(Default)]
struct Counter {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Counter {
    fn begin(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
    }

    fn end(&self) {
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Default)]
struct Progress {
    created: Counter,
    finished: Counter,
    failed: Counter,
}

fn ends_badly(number: u64) -> bool {
    number % 10 == 3
}

async fn create(
    client: JobTrackerClient,
    progress: Arc<Progress>,
    mine: u64,
    done: mpsc::UnboundedSender<u64>,
) {
    for number in (mine..children()).step_by(CLIENTS as usize) {
        let id = JobId::new(number + 2).unwrap();
        progress.created.begin();
        let created = client.create(NewJob::new("child").id(id).under(ROOT)).await.unwrap();
        assert!(created.created);
        progress.created.end();
        done.send(number).unwrap();
    }
}

async fn finish(
    client: JobTrackerClient,
    progress: Arc<Progress>,
    mut created: mpsc::UnboundedReceiver<u64>,
) {
    while let Some(number) = created.recv().await {
        let id = JobId::new(number + 2).unwrap();
        let (counter, state) = if ends_badly(number) {
            (&progress.failed, State::Faulted)
        } else {
            (&progress.finished, State::RanToCompletion)
        };
        counter.begin();
        assert!(client.update(id, NewChange::new(state)).await.unwrap().applied);
        counter.end();
    }
}

/// Reads the root; its numbers have to lie between what was acknowledged before and what had begun
/// after.
async fn read(client: &JobTrackerClient, progress: &Progress) -> Job {
    let counters = [&progress.created, &progress.finished, &progress.failed];
    let least = counters.map(|counter| counter.ended.load(Ordering::SeqCst));
    let root = client.load(ROOT).await.unwrap();
    let most = counters.map(|counter| counter.begun.load(Ordering::SeqCst));
    let below = root.subtree;
    let seen = [below.total, below.successful, below.failed];
    for ((least, seen), most) in least.into_iter().zip(seen).zip(most) {
        assert!((least..=most).contains(&seen), "{least} <= {seen} <= {most}");
    }
    let children = root.children;
    assert_eq!((children.successful, children.failed), (below.successful, below.failed));
    assert_eq!(children.pending + children.successful + children.failed, below.total);
    assert_eq!(below.waiting, children.pending);
    root
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_numbers_of_the_root_are_right_at_every_read() {
    let harness = Harness::start(StoreKind::Fjall, |_| ()).await;
    let client = harness.client();
    client.create(NewJob::new("root").id(ROOT)).await.unwrap();
    client.update(ROOT, NewChange::new(State::RanToCompletion)).await.unwrap();
    let progress = Arc::new(Progress::default());
    let mut work = JoinSet::new();
    for mine in 0..CLIENTS {
        let (done, created) = mpsc::unbounded_channel();
        work.spawn(create(client.clone(), Arc::clone(&progress), mine, done));
        work.spawn(finish(client.clone(), Arc::clone(&progress), created));
    }
    let mut reads = 0_u64;
    while !work.is_empty() {
        read(&client, &progress).await;
        reads += 1;
        while let Some(done) = work.try_join_next() {
            done.unwrap();
        }
    }
    let root = read(&client, &progress).await;
    let children = children();
    let bad = (0..children).filter(|number| ends_badly(*number)).count() as u64;
    assert_eq!((root.subtree.total, root.subtree.failed), (children, bad));
    assert_eq!(root.subtree.successful, children - bad);
    assert_eq!(root.state, State::Faulted);
    assert!(reads > 100, "{reads} reads");
    harness.stop().await;
}
