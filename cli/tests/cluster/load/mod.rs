//! Clients that work on one tree through any number of servers, and a record of all their requests
//! and the answers.

mod record;
mod worker;

use std::{
    future::Future,
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use jobtracker_client::{JobId, JobTrackerClient, NewJob, RetryPolicy};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{sync::watch, task::JoinHandle};

pub use record::History;
use record::Record;
use worker::Worker;

/// The plan of a load.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub root: JobId,
    pub seed: u64,
    pub clients: usize,
    /// How long a client waits for one answer.
    pub patience: Duration,
}

/// What the clients share.
struct Shared {
    /// Instants are counted.
    clock: AtomicU64,
    /// Jobs whose creation was acknowledged, with their depths.
    known: RwLock<Vec<(JobId, u32)>>,
    acknowledged: watch::Sender<u64>,
    failures: AtomicU64,
    is_over: AtomicBool,
}

pub struct Load {
    plan: Plan,
    servers: Vec<String>,
    shared: Arc<Shared>,
    random: StdRng,
    rounds: u64,
    records: Vec<Record>,
}

/// The clients at work.
pub struct Round {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<Vec<Record>>>,
}

impl Shared {
    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }
}

impl Load {
    /// Creates the root, through the first of the servers.
    pub async fn new(servers: Vec<String>, plan: Plan) -> Self {
        let tracker = JobTrackerClient::new(&servers[0]).unwrap();
        tracker.create(NewJob::new("root").id(plan.root)).await.unwrap();
        let shared = Shared {
            clock: AtomicU64::new(1),
            known: RwLock::new(vec![(plan.root, 0)]),
            acknowledged: watch::Sender::new(0),
            failures: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        };
        let random = StdRng::seed_from_u64(plan.seed);
        Self { plan, servers, shared: Arc::new(shared), random, rounds: 0, records: Vec::new() }
    }

    /// Lets every client do this many operations, while something else may happen to the servers;
    /// at the end all clients have met.
    pub async fn round<T>(&mut self, each: usize, meanwhile: impl AsyncFnOnce(&Round) -> T) -> T {
        let round = self.begin(each);
        let happened = meanwhile(&round).await;
        self.end(round).await;
        happened
    }

    fn begin(&mut self, each: usize) -> Round {
        self.rounds += 1;
        self.shared.is_over.store(false, Ordering::SeqCst);
        let workers = (0..self.plan.clients).map(|number| {
            let client = |server: &String| {
                let builder = JobTrackerClient::builder(server).retry(RetryPolicy::never());
                builder.request_timeout(self.plan.patience).build().unwrap()
            };
            // The ids of a client in a round are its own.
            let first = self.plan.root.get() + self.rounds * 1_000_000 + number as u64 * 50_000;
            let servers: Vec<_> = self.servers.iter().map(client).collect();
            let seed = self.random.random();
            let worker =
                Worker::new(number, first, seed, servers, self.plan.root, Arc::clone(&self.shared));
            tokio::spawn(worker.run(each))
        });
        Round { workers: workers.collect(), shared: Arc::clone(&self.shared) }
    }

    /// Waits for all clients, and finds out as many outcomes in doubt as possible.
    async fn end(&mut self, round: Round) {
        for worker in round.workers {
            record::append(&mut self.records, worker.await.unwrap());
        }
        let reader = self.reader().await;
        record::resolve(&mut self.records, &reader, &self.shared).await;
    }

    /// Reads all jobs, after all clients have ended.
    pub async fn finish(self) -> History {
        let reader = self.reader().await;
        let failures = self.shared.failures.load(Ordering::SeqCst);
        History::read(self.plan.root, self.records, &reader, &self.shared, failures).await
    }

    /// A patient client of the first server that answers.
    async fn reader(&self) -> JobTrackerClient {
        loop {
            for server in &self.servers {
                let tracker = JobTrackerClient::new(server).unwrap();
                if tracker.load(self.plan.root).await.is_ok() {
                    return tracker;
                }
            }
        }
    }
}

impl Round {
    /// Waits for this many more acknowledged writes, and answers how long that took. They must come
    /// within a minute.
    pub async fn acknowledges(&self, more: u64) -> Duration {
        let begin = Instant::now();
        let mut acknowledged = self.shared.acknowledged.subscribe();
        let enough = *acknowledged.borrow() + more;
        let wait = acknowledged.wait_for(|count| *count >= enough);
        within(Duration::from_secs(60), "acknowledged writes", wait).await.unwrap();
        begin.elapsed()
    }

    /// Lets the clients end their current operations, and no more.
    pub fn stop(&self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
    }
}

/// Waits for a future that must end.
pub async fn within<T>(time: Duration, what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(time, future).await.unwrap_or_else(|_| panic!("no {what} in {time:?}"))
}
