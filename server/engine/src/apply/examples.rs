//! The worked examples, applied in groups of every size, with a commit after each group.

use std::{collections::HashMap, sync::Arc};

use jobtracker_model::{
    JobId, NewChange, NewJob, State, Timestamp,
    testing::{Expected, Step, Vector},
};
use jobtracker_store::{
    ChangesQuery, PageLimit, Store, Wanted,
    fjall::{FjallOptions, FjallStore},
    memory::MemoryStore,
};

use super::{Became, Rules, apply};
use crate::{
    operation::{Operation, Outcome},
    workspace::Workspace,
};

fn operation(step: &Step) -> Operation {
    match step {
        Step::Create { id, parent } => {
            let job = NewJob { id: Some(*id), parent: *parent, ..NewJob::new("job") };
            Operation::create(job.try_into().unwrap()).unwrap()
        }
        Step::Update { id, state, .. } => Operation::update(*id, NewChange::new(*state)).unwrap(),
    }
}

async fn run(store: &dyn Store, vector: &Vector, group: usize) -> HashMap<JobId, Vec<State>> {
    let mut fired: HashMap<JobId, Vec<State>> = HashMap::new();
    for (index, steps) in vector.ops.chunks(group).enumerate() {
        let mut wanted = Wanted::default();
        for step in steps {
            let (Step::Create { id, .. } | Step::Update { id, .. }) = step;
            wanted.paths.insert(*id);
            wanted.paths.extend(operation(step).subject());
        }
        let mut space = Workspace::new(store.load(wanted).await.unwrap());
        let rules = Rules {
            block_updates_after_finish: vector.block_updates_after_finish,
            now: Timestamp::from_millis(i64::try_from(index).unwrap()).unwrap(),
        };
        let mut became: Vec<Became> = Vec::new();
        for step in steps {
            let outcome = apply(&mut space, &operation(step), rules, &mut became).unwrap();
            if let (Step::Update { applied, .. }, Outcome::Updated(updated)) = (step, outcome) {
                assert_eq!(updated.applied, *applied, "{}: {step:?}", vector.name);
            }
        }
        for result in store.commit(space.into_commits()).await {
            result.unwrap();
        }
        for Became { id, state, .. } in became {
            fired.entry(id).or_default().push(state);
        }
    }
    fired
}

async fn check(store: &dyn Store, vector: &Vector, group: usize) {
    let fired = run(store, vector, group).await;
    for expected in &vector.expect {
        let id = expected.id;
        let status = store.get_job(id).await.unwrap().unwrap().status;
        let query = ChangesQuery { id, from: 0, limit: PageLimit::items(1000) };
        let changes = store.list_changes(query).await.unwrap().items;
        let seen = Expected {
            id,
            state: status.state,
            pending: status.children.pending,
            successful: status.children.successful,
            failed: status.children.failed,
            subtree: status.subtree.into(),
            tree_start_source: status.tree_start.map(|mark| mark.source),
            tree_end_source: status.tree_end.map(|mark| mark.source),
            changes: changes.iter().map(|change| change.state).collect(),
            fired: fired.get(&id).cloned().unwrap_or_default(),
        };
        assert_eq!(&seen, expected, "{} in groups of {group}", vector.name);
    }
}

#[tokio::test]
async fn on_the_memory_store() {
    for vector in Vector::all() {
        for group in [1, 2, 7, usize::MAX] {
            check(&MemoryStore::new(), &vector, group).await;
        }
    }
}

#[tokio::test]
async fn on_the_embedded_store() {
    for vector in Vector::all() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> =
            Arc::new(FjallStore::open(&FjallOptions::new(folder.path())).unwrap());
        check(&*store, &vector, 3).await;
        store.close().await;
    }
}
