//! Random sequences of operations, against the naive model, on both embedded stores.

use std::sync::Arc;

use jobtracker_engine::{Engine, Options};
use jobtracker_model::{JobId, NewChange, State, testing::NaiveTree};
use jobtracker_store::{
    Store,
    fjall::{FjallOptions, FjallStore},
    memory::MemoryStore,
};
use proptest::{prelude::*, sample::Index};

use crate::harness::{assert_same, id, job, options};

pub const REPORTED: [State; 6] = [
    State::WaitingToRun,
    State::Running,
    State::Warning,
    State::WaitingForChildrenToComplete,
    State::RanToCompletion,
    State::Faulted,
];

/// A job to pick, and what to do with it: report a state, or (past the states) give it a child, or
/// (at 9) create another root.
type Step = (Index, usize);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((any::<Index>(), 0..10usize), 1..80)
}

async fn run(store: Arc<dyn Store>, block: bool, steps: &[Step]) {
    let options = Options { block_updates_after_finish: block, ..options() };
    let engine = Engine::start(Arc::clone(&store), options);
    let mut naive = NaiveTree::default();
    let mut jobs: Vec<JobId> = Vec::new();
    for (pick, what) in steps {
        if jobs.is_empty() || *what >= REPORTED.len() {
            let number = jobs.len() as u64 + 1;
            let parent = (!jobs.is_empty() && *what != 9).then(|| *pick.get(&jobs));
            assert!(engine.create(job(number, parent.map(JobId::get))).await.unwrap().created);
            naive.create(id(number), parent);
            jobs.push(id(number));
        } else {
            let at = *pick.get(&jobs);
            let updated = engine.update(at, NewChange::new(REPORTED[*what])).await.unwrap();
            assert_eq!(updated.applied, !(block && naive.is_finished(at)));
            if updated.applied {
                naive.append(at, REPORTED[*what]);
            }
            assert_eq!(updated.state, naive.job(at).state);
        }
    }
    assert_same(&*store, &naive).await;
    engine.close().await;
    store.close().await;
}

pub fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

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
