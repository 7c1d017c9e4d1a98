//! Direct operations and uploads, mixed: an action fires once for each time that a visible state
//! becomes one of its states, as seen by an observer that looks after each step.

use std::{collections::BTreeMap, sync::Arc};

use jobtracker_engine::{Engine, Options};
use jobtracker_model::{
    Action, JobId, NewChange, NewJob, State, StateSet, Timestamp, Trigger, testing::NaiveTree,
};
use jobtracker_store::{
    FollowUp, Store,
    fjall::{FjallOptions, FjallStore},
    memory::MemoryStore,
};
use proptest::{prelude::*, sample::Index};

use super::{
    follow_ups::{all, due_index, follow_ups, http, mail, on},
    recording::{Recording, send},
};
use crate::{
    harness::{id, job, options},
    sequences::{REPORTED, block_on},
};

/// A job to pick, what to do with it, and whether directly or in an upload.
type Step = (Index, usize, bool);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((any::<Index>(), 0..11usize, any::<bool>()), 1..50)
}

/// The actions that the creator of a job asks for; none for every fourth job.
fn actions(number: u64) -> Vec<Action> {
    let some: StateSet = [State::Running, State::Warning].into_iter().collect();
    match number % 4 {
        0 => vec![],
        1 => vec![on(all(), http())],
        2 => vec![on(StateSet::FINISHED, mail()), on(all(), mail())],
        _ => vec![on(some, http())],
    }
}

/// What has fired: the action, the state, and for a failure the job that it came from.
type Fired = BTreeMap<JobId, Vec<(u32, State, Option<JobId>)>>;

/// An observer of all jobs after each step.
#[derive(Default)]
struct Looker {
    seen: BTreeMap<JobId, State>,
    expected: Fired,
}

impl Looker {
    /// Notes a creation in a visible state, for a job that did not exist before; in an upload that
    /// is the state in which the job became visible.
    fn look(&mut self, naive: &NaiveTree) {
        for job in naive.ids() {
            let state = naive.job(job).state;
            let before = self.seen.insert(job, state).unwrap_or(State::WaitingToRun);
            if before != state {
                let named = (0..).zip(actions(job.get()));
                let named = named.filter(|(_, action)| action.states.contains(state));
                let fired = self.expected.entry(job).or_default();
                let faulted = Some(job).filter(|_| state == State::Faulted);
                let source = faulted.map(|job| naive.first_fault(job).unwrap().job);
                fired.extend(named.map(|(number, _)| (number, state, source)));
            }
        }
    }
}

struct Run {
    engine: Engine,
    recording: Recording,
    commits: usize,
    naive: NaiveTree,
    looker: Looker,
}

impl Run {
    async fn flush(&mut self) {
        let records = std::mem::take(&mut self.recording).records();
        if !records.is_empty() {
            self.commits += 1;
            let name = format!("commit-{}", self.commits);
            let outcome = send(&self.engine, &name, records).await.unwrap();
            assert!(outcome.refused == 0 && outcome.blocked == 0, "{outcome:?}");
            self.looker.look(&self.naive);
        }
    }

    async fn create(&mut self, number: u64, parent: Option<JobId>, root: JobId, direct: bool) {
        if direct {
            self.flush().await;
            let new = job(number, parent.map(JobId::get));
            let new = NewJob { actions: actions(number), ..new };
            assert!(self.engine.create(new).await.unwrap().created);
        } else {
            self.recording.create(id(number), parent, root, Timestamp::MIN);
            if !actions(number).is_empty() {
                self.recording.follow(id(number), actions(number), vec![]);
            }
        }
        self.naive.create(id(number), parent);
        if direct {
            self.looker.look(&self.naive);
        }
    }

    async fn update(&mut self, at: JobId, root: JobId, state: State, direct: bool) {
        if direct {
            self.flush().await;
            assert!(self.engine.update(at, NewChange::new(state)).await.unwrap().applied);
        } else {
            self.recording.update(at, root, state, Timestamp::MIN);
        }
        // A recorded change reaches the service after the direct changes of the meantime, and has
        // an earlier time.
        match direct {
            true => self.naive.append(at, state),
            false => self.naive.append_at(at, state, Timestamp::MIN),
        }
        if direct {
            self.looker.look(&self.naive);
        }
    }
}

/// The deliveries of a job.
async fn told(store: &dyn Store, of: JobId) -> Vec<(u32, State, Option<JobId>)> {
    let rows = follow_ups(store, of).await.into_iter();
    let deliveries = rows.filter_map(|(_, row)| match row {
        FollowUp::Delivery(row) => Some(row),
        _ => None,
    });
    let told = deliveries.map(|row| {
        let Trigger::Action(number) = row.trigger else { panic!("no check was made") };
        let faulted = Some(row.event.source).filter(|_| row.event.state == State::Faulted);
        (number, row.event.state, faulted)
    });
    told.collect()
}

async fn run(store: Arc<dyn Store>, block: bool, steps: &[Step]) {
    let options = Options { block_updates_after_finish: block, ..options() };
    let mut run = Run {
        engine: Engine::start(Arc::clone(&store), options),
        recording: Recording::default(),
        commits: 0,
        naive: NaiveTree::default(),
        looker: Looker::default(),
    };
    let mut roots: BTreeMap<JobId, JobId> = BTreeMap::new();
    for (pick, what, direct) in steps {
        let jobs: Vec<JobId> = roots.keys().copied().collect();
        if jobs.is_empty() || *what >= REPORTED.len() {
            let number = jobs.len() as u64 + 1;
            let parent = (!jobs.is_empty() && *what != 10).then(|| *pick.get(&jobs));
            let root = parent.map_or(id(number), |parent| roots[&parent]);
            run.create(number, parent, root, *direct).await;
            roots.insert(id(number), root);
        } else {
            let at = *pick.get(&jobs);
            if !(block && run.naive.is_finished(at)) {
                run.update(at, roots[&at], REPORTED[*what], *direct).await;
            }
        }
    }
    run.flush().await;
    let mut seen = Fired::new();
    for job in roots.keys() {
        let fired = told(&*store, *job).await;
        if !fired.is_empty() {
            seen.insert(*job, fired);
        }
    }
    run.looker.expected.retain(|_, fired| !fired.is_empty());
    assert_eq!(seen, run.looker.expected);
    // Each of the deliveries is due.
    assert_eq!(due_index(&*store).await.len(), seen.values().map(Vec::len).sum::<usize>());
    run.engine.close().await;
    store.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn once_for_each_time_on_the_memory_store(block: bool, steps in steps()) {
        block_on(run(Arc::new(MemoryStore::new()), block, &steps));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn once_for_each_time_on_the_embedded_store(block: bool, steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let store = FjallStore::open(&FjallOptions::new(folder.path())).unwrap();
        block_on(run(Arc::new(store), block, &steps));
    }
}
