//! The rules, by worked example and against the naive model.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use std::{collections::HashMap, fs, path::Path};

use jobtracker_model::{
    JobId, Report, State, Timestamp,
    rollup::{FirstFault, Status, StatusDelta},
    testing::{Expected, NaiveTree, Step, Vector},
};
use proptest::prelude::*;

/// Jobs in a map, driven by the roll-up.
#[derive(Default)]
struct Jobs {
    jobs: HashMap<JobId, (Option<JobId>, Status)>,
    changes: HashMap<JobId, Vec<State>>,
    fired: HashMap<JobId, Vec<State>>,
    now: i64,
}

impl Jobs {
    fn tick(&mut self) -> Timestamp {
        self.now += 1;
        Timestamp::from_millis(self.now).unwrap()
    }

    fn create(&mut self, id: JobId, parent: Option<JobId>) {
        let (status, delta) = Status::created(id, self.tick());
        self.jobs.insert(id, (parent, status));
        self.changes.insert(id, vec![State::WaitingToRun]);
        self.climb(parent, delta);
    }

    fn update(&mut self, id: JobId, state: State, block: bool) -> bool {
        let now = self.tick();
        self.update_at(id, state, now, block)
    }

    /// An update that was recorded at some time, as those of a buffer are.
    fn update_at(&mut self, id: JobId, state: State, now: Timestamp, block: bool) -> bool {
        let (parent, status) = self.jobs.get_mut(&id).unwrap();
        if !status.accepts_update(block) {
            return false;
        }
        let (parent, delta) = (*parent, status.report(id, state, now));
        self.changes.get_mut(&id).unwrap().push(state);
        self.climb(parent, delta);
        true
    }

    fn climb(&mut self, parent: Option<JobId>, delta: StatusDelta) {
        let mut up = Some((parent, delta));
        while let Some((parent, delta)) = up {
            self.fired.entry(delta.source).or_default().extend(delta.became());
            up = parent.and_then(|id| {
                let (above, status) = self.jobs.get_mut(&id).unwrap();
                status.absorb(id, &delta).map(|next| (*above, next))
            });
        }
    }

    fn seen(&self, id: JobId) -> Expected {
        let status = &self.jobs[&id].1;
        Expected {
            id,
            state: status.state,
            pending: status.children.pending,
            successful: status.children.successful,
            failed: status.children.failed,
            subtree: status.subtree.into(),
            tree_start_source: status.tree_start.map(|mark| mark.source),
            tree_end_source: status.tree_end.map(|mark| mark.source),
            changes: self.changes[&id].clone(),
            fired: self.fired.get(&id).cloned().unwrap_or_default(),
        }
    }
}

#[test]
fn worked_examples() {
    for vector in Vector::all() {
        let mut jobs = Jobs::default();
        for step in &vector.ops {
            match step {
                Step::Create { id, parent } => jobs.create(*id, *parent),
                Step::Update { id, state, applied } => {
                    let done = jobs.update(*id, *state, vector.block_updates_after_finish);
                    assert_eq!(done, *applied, "{}: {step:?}", vector.name);
                }
            }
        }
        for expected in &vector.expect {
            assert_eq!(&jobs.seen(expected.id), expected, "{}", vector.name);
        }
    }
}

#[test]
fn the_copy_of_the_examples_is_the_original() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let original = here.join("../../shared/vectors");
    if !original.exists() {
        return;
    }
    let read = |folder: &Path| {
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name(), fs::read_to_string(entry.path()).unwrap()))
            .collect();
        files.sort();
        files
    };
    assert_eq!(read(&here.join("vectors")), read(&original));
}

const REPORTED: [State; 6] = [
    State::WaitingToRun,
    State::Running,
    State::Warning,
    State::WaitingForChildrenToComplete,
    State::RanToCompletion,
    State::Faulted,
];

/// The root is done, a child failed, the other one ends well later: the failure counts.
#[test]
fn the_cause_of_a_failure_is_the_first_fault() {
    let id = |number| JobId::new(number).unwrap();
    let time = |millis| Timestamp::from_millis(millis).unwrap();
    let mut jobs = Jobs::default();
    jobs.create(id(1), None);
    jobs.create(id(2), Some(id(1)));
    jobs.create(id(3), Some(id(2)));
    jobs.create(id(4), Some(id(1)));
    jobs.update_at(id(1), State::RanToCompletion, time(20), true);
    // It changes no category, but the jobs above know of it.
    jobs.update_at(id(2), State::Faulted, time(40), true);
    let first = |jobs: &Jobs, of: u64| jobs.jobs[&id(of)].1.first_fault.report();
    let own = Report { time: time(40), job: id(2), change: 1 };
    assert_eq!([first(&jobs, 1), first(&jobs, 2), first(&jobs, 3)], [Some(own), Some(own), None]);
    // A report from a buffer, with the time at which it was recorded.
    jobs.update_at(id(3), State::Running, time(25), true);
    jobs.update_at(id(3), State::Faulted, time(30), true);
    let deep = Some(Report { time: time(30), job: id(3), change: 2 });
    assert_eq!([first(&jobs, 1), first(&jobs, 2), first(&jobs, 3)], [deep; 3]);
    jobs.update_at(id(4), State::RanToCompletion, time(50), true);
    assert_eq!(jobs.fired[&id(1)], [State::WaitingForChildrenToComplete, State::Faulted]);
    assert_eq!(first(&jobs, 1), deep);
}

/// A job that was stored before first faults were kept may have had one: a later one is not taken
/// for it.
#[test]
fn a_first_fault_that_is_not_known_stays_unknown() {
    let id = |number| JobId::new(number).unwrap();
    let time = |millis| Timestamp::from_millis(millis).unwrap();
    let mut jobs = Jobs::default();
    for (number, parent) in [(1, None), (2, Some(1)), (3, Some(2)), (4, Some(3))] {
        jobs.create(id(number), parent.map(id));
    }
    // As if the job in the middle had been read from an old row.
    jobs.jobs.get_mut(&id(2)).unwrap().1.first_fault = FirstFault::Unknown;
    jobs.update_at(id(4), State::Faulted, time(30), true);
    jobs.update_at(id(2), State::Faulted, time(20), true);
    let first = |of| jobs.jobs[&id(of)].1.first_fault;
    let deep = FirstFault::At(Report { time: time(30), job: id(4), change: 1 });
    assert_eq!([first(2), first(3), first(4)], [FirstFault::Unknown, deep, deep]);
    // The jobs above know what has come since.
    let own = Report { time: time(20), job: id(2), change: 1 };
    assert_eq!(first(1), FirstFault::At(own));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any sequence of creations and updates leaves every job as the naive model has it, after
    /// every single step.
    #[test]
    fn as_the_naive_model(
        block: bool,
        // Few different times, so that many things happen at the same one, or back in time.
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0..10usize, 0..5i64), 1..60),
    ) {
        let mut jobs = Jobs::default();
        let mut naive = NaiveTree::default();
        let mut ids: Vec<JobId> = Vec::new();
        for (pick, what, millis) in steps {
            if ids.is_empty() || what >= REPORTED.len() {
                let id = JobId::new(ids.len() as u64 + 1).unwrap();
                let parent = (!ids.is_empty() && what != 9).then(|| *pick.get(&ids));
                ids.push(id);
                jobs.create(id, parent);
                naive.create(id, parent);
            } else {
                let id = *pick.get(&ids);
                let applies = !(block && naive.is_finished(id));
                let time = Timestamp::from_millis(millis).unwrap();
                prop_assert_eq!(jobs.update_at(id, REPORTED[what], time, block), applies);
                if applies {
                    naive.append_at(id, REPORTED[what], time);
                }
            }
            for id in &ids {
                let seen = jobs.seen(*id);
                let truth = naive.job(*id);
                prop_assert_eq!(seen.state, truth.state);
                prop_assert_eq!([seen.pending, seen.successful, seen.failed], truth.children);
                prop_assert_eq!(&seen.changes, &truth.changes);
                let status = &jobs.jobs[id].1;
                let below = status.subtree;
                let numbers = [below.total, below.waiting, below.running,
                    below.waiting_for_children, below.successful, below.failed];
                prop_assert_eq!(numbers, truth.subtree);
                prop_assert_eq!(status.tree_end.is_some(), status.state.is_finished());
                prop_assert_eq!(status.first_fault, naive.first_fault(*id).into());
                // A Faulted job can say why.
                let says_why = status.first_fault.report().is_some();
                prop_assert!(status.state != State::Faulted || says_why);
            }
        }
    }
}
