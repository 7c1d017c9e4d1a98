//! Small histories of concurrent clients: some serial order explains all answers to the clients,
//! and leads to the tree that the store has at the end.

use std::{sync::Arc, time::Duration};

use jobtracker_engine::Engine;
use jobtracker_model::{JobId, NewChange, State, testing::NaiveTree};
use jobtracker_store::{
    Store,
    fjall::{FjallOptions, FjallStore},
    memory::MemoryStore,
};
use proptest::{prelude::*, sample::Index};

use crate::{
    gate::Gate,
    harness::{assert_same, changes, id, job, options},
    sequences::REPORTED,
};

#[derive(Debug, Clone, Copy)]
enum Action {
    Create { id: JobId, parent: JobId },
    Update { id: JobId, state: State },
}

/// What a client did, and its answer: applied, and the visible state.
type Told = (Action, bool, State);

/// The root, one job below it, and three clients with a few actions each. Each client creates its
/// jobs under jobs that exist from the start.
fn plans() -> impl Strategy<Value = Vec<Vec<(Index, usize)>>> {
    let plan = prop::collection::vec((any::<Index>(), 0..8usize), 1..5);
    prop::collection::vec(plan, 3)
}

fn actions(client: u64, plan: &[(Index, usize)]) -> Vec<Action> {
    let known = [id(1), id(2)];
    let fresh = (100 * (client + 1)..).map(id);
    plan.iter()
        .zip(fresh)
        .map(|((pick, what), fresh)| match REPORTED.get(*what) {
            Some(state) => Action::Update { id: *pick.get(&known), state: *state },
            None => Action::Create { id: fresh, parent: *pick.get(&known) },
        })
        .collect()
}

async fn act(engine: Engine, actions: Vec<Action>) -> Vec<Told> {
    let mut told = Vec::new();
    for action in actions {
        let (applied, state) = match action {
            Action::Create { id, parent } => {
                let created = engine.create(job(id.get(), Some(parent.get()))).await.unwrap();
                (created.created, created.state)
            }
            Action::Update { id, state } => {
                let updated = engine.update(id, NewChange::new(state)).await.unwrap();
                (updated.applied, updated.state)
            }
        };
        told.push((action, applied, state));
    }
    told
}

/// Whether this action could be the next one with this answer; if so, applies it.
fn happens(tree: &mut NaiveTree, (action, applied, state): &Told) -> bool {
    match *action {
        Action::Create { id, parent } => {
            tree.create(id, Some(parent));
            *applied && *state == State::WaitingToRun
        }
        Action::Update { id, state: reported } => {
            if tree.is_finished(id) == *applied {
                return false;
            }
            if *applied {
                tree.append(id, reported);
            }
            tree.job(id).state == *state
        }
    }
}

/// Searches for serial orders, depth first; collects every tree that one of them leads to.
fn orders(tree: &NaiveTree, rest: &[&[Told]], found: &mut Vec<NaiveTree>) {
    if rest.iter().all(|client| client.is_empty()) {
        found.push(tree.clone());
        return;
    }
    for (client, told) in rest.iter().enumerate() {
        let Some((next, later)) = told.split_first() else { continue };
        let mut tree = tree.clone();
        if happens(&mut tree, next) {
            let mut rest = rest.to_vec();
            rest[client] = later;
            orders(&tree, &rest, found);
        }
    }
}

/// Runs the plans, each on one of the servers by turns, which reach one store with different
/// delays.
async fn run(ways: &[Arc<dyn Store>], plans: &[Vec<(Index, usize)>]) {
    let engines: Vec<_> =
        ways.iter().map(|way| Engine::start(Arc::clone(way), options())).collect();
    let (engine, store) = (&engines[0], &ways[0]);
    let mut start = NaiveTree::default();
    for (number, parent) in [(1, None), (2, Some(1))] {
        engine.create(job(number, parent)).await.unwrap();
        start.create(id(number), parent.map(id));
    }
    let clients: Vec<_> = (0..)
        .zip(plans)
        .zip(engines.iter().cycle())
        .map(|((client, plan), engine)| tokio::spawn(act(engine.clone(), actions(client, plan))))
        .collect();
    let mut told = Vec::new();
    for client in clients {
        told.push(client.await.unwrap());
    }
    let mut found = Vec::new();
    orders(&start, &told.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut found);
    let mut lists = Vec::new();
    for of in start.ids() {
        let list = changes(&**store, of).await;
        lists.push((of, list.iter().map(|change| change.state).collect::<Vec<_>>()));
    }
    let same = |tree: &&NaiveTree| lists.iter().all(|(of, list)| tree.job(*of).changes == *list);
    let tree = found.iter().find(same);
    assert_same(&**store, tree.unwrap_or_else(|| panic!("no order explains {told:?}"))).await;
    for engine in engines {
        engine.close().await;
    }
}

fn block_on(future: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(3).enable_all().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// The slower a commit is, the more operations wait for each other.
    #[test]
    fn some_serial_order_explains_all_answers(
        plans in plans(),
        patience in 0..60usize,
    ) {
        block_on(run(&[Gate::slow(patience)], &plans));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn on_the_embedded_store(plans in plans()) {
        let folder = tempfile::tempdir().unwrap();
        let store = FjallStore::open(&FjallOptions::new(folder.path())).unwrap();
        block_on(run(&[Arc::new(store)], &plans));
    }

    #[test]
    fn at_two_servers(plans in plans(), ways in prop::array::uniform2(0..4u64)) {
        let store = Arc::new(MemoryStore::new());
        let far = |way| -> Arc<dyn Store> { Gate::far(&store, Duration::from_millis(way)) };
        block_on(run(&ways.map(far), &plans));
    }
}
