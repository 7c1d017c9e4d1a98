//! The same operations, some of them direct and some in uploads, leave the same trees.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
};

use jobtracker_engine::{Engine, Options};
use jobtracker_model::{JobId, NewChange, State, Timestamp, rollup::Status, testing::NaiveTree};
use jobtracker_store::{
    Store,
    fjall::{FjallOptions, FjallStore},
    memory::MemoryStore,
};
use proptest::{prelude::*, sample::Index};

use super::recording::{Recording, send};
use crate::{
    harness::{changes, id, job},
    sequences::{REPORTED, block_on},
};

/// A job to pick, what to do with it, whether directly, and whether time stands still.
type Step = (Index, usize, bool, bool);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((any::<Index>(), 0..11usize, any::<bool>(), any::<bool>()), 1..60)
}

/// The time of a run. The engine's clock is a plain function, so each run has a clock to itself.
struct Clock(AtomicI64);

static CLOCK: Clock = Clock(AtomicI64::new(0));
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn now() -> Timestamp {
    Timestamp::from_millis(CLOCK.0.load(SeqCst)).unwrap()
}

/// The state of one run.
struct Run {
    store: Arc<dyn Store>,
    engine: Engine,
    recording: Recording,
    commits: usize,
}

impl Run {
    fn start(store: Arc<dyn Store>, block_updates_after_finish: bool) -> Self {
        let options = Options { block_updates_after_finish, ..Options::new(now) };
        let engine = Engine::start(Arc::clone(&store), options);
        Self { store, engine, recording: Recording::default(), commits: 0 }
    }

    async fn flush(&mut self) {
        let records = std::mem::take(&mut self.recording).records();
        if records.is_empty() {
            return;
        }
        self.commits += 1;
        let name = format!("commit-{}", self.commits);
        let outcome = send(&self.engine, &name, records).await.unwrap();
        assert!(outcome.complete && outcome.refused == 0 && outcome.blocked == 0, "{outcome:?}");
    }

    async fn create(&mut self, number: u64, parent: Option<JobId>, root: JobId, direct: bool) {
        if direct {
            self.flush().await;
            let new = job(number, parent.map(JobId::get));
            assert!(self.engine.create(new).await.unwrap().created);
        } else {
            self.recording.create(id(number), parent, root, now());
        }
    }

    async fn update(&mut self, at: JobId, root: JobId, state: State, direct: bool) {
        if direct {
            self.flush().await;
            assert!(self.engine.update(at, NewChange::new(state)).await.unwrap().applied);
        } else {
            self.recording.update(at, root, state, now());
        }
    }

    /// All rows of all jobs.
    async fn end(mut self, count: u64) -> BTreeMap<JobId, (Status, Vec<State>)> {
        self.flush().await;
        let mut all = BTreeMap::new();
        for number in 1..=count {
            let status = self.store.get_job(id(number)).await.unwrap().unwrap().status;
            let list = changes(&*self.store, id(number)).await;
            let states = list.into_iter().map(|change| change.state).collect();
            all.insert(id(number), (status, states));
        }
        self.engine.close().await;
        self.store.close().await;
        all
    }
}

async fn run(split_on: Arc<dyn Store>, block: bool, steps: &[Step]) {
    let _alone = ONE_AT_A_TIME.lock().await;
    CLOCK.0.store(0, SeqCst);
    let mut direct = Run::start(Arc::new(MemoryStore::new()), block);
    let mut split = Run::start(split_on, block);
    let mut naive = NaiveTree::default();
    let mut roots: BTreeMap<JobId, JobId> = BTreeMap::new();
    for (pick, what, directly, still) in steps {
        CLOCK.0.fetch_add(i64::from(!still), SeqCst);
        let jobs: Vec<JobId> = roots.keys().copied().collect();
        if jobs.is_empty() || *what >= REPORTED.len() {
            let number = jobs.len() as u64 + 1;
            let parent = (!jobs.is_empty() && *what != 10).then(|| *pick.get(&jobs));
            let root = parent.map_or(id(number), |parent| roots[&parent]);
            direct.create(number, parent, root, true).await;
            split.create(number, parent, root, *directly).await;
            naive.create(id(number), parent);
            roots.insert(id(number), root);
        } else {
            let at = *pick.get(&jobs);
            if block && naive.is_finished(at) {
                continue;
            }
            naive.append(at, REPORTED[*what]);
            direct.update(at, roots[&at], REPORTED[*what], true).await;
            split.update(at, roots[&at], REPORTED[*what], *directly).await;
        }
    }
    let count = roots.len() as u64;
    assert_eq!(split.end(count).await, direct.end(count).await);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn on_the_memory_store(block: bool, steps in steps()) {
        block_on(run(Arc::new(MemoryStore::new()), block, &steps));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn on_the_embedded_store(block: bool, steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let store = FjallStore::open(&FjallOptions::new(folder.path())).unwrap();
        block_on(run(Arc::new(store), block, &steps));
    }
}
