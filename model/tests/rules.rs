//! The rules, by worked example and against the naive model.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use std::{collections::HashMap, fs, path::Path};

use jobtracker_model::{
    JobId, State, Timestamp,
    rollup::{Ripple, Status},
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
        let (status, ripple) = Status::created(id, self.tick());
        self.jobs.insert(id, (parent, status));
        self.changes.insert(id, vec![State::WaitingToRun]);
        self.climb(parent, ripple);
    }

    fn update(&mut self, id: JobId, state: State, block: bool) -> bool {
        let now = self.tick();
        let (parent, status) = self.jobs.get_mut(&id).unwrap();
        if !status.accepts_update(block) {
            return false;
        }
        let (parent, ripple) = (*parent, status.report(id, state, now));
        self.changes.get_mut(&id).unwrap().push(state);
        self.climb(parent, ripple);
        true
    }

    fn climb(&mut self, parent: Option<JobId>, ripple: Ripple) {
        let mut up = Some((parent, ripple));
        while let Some((parent, ripple)) = up {
            self.fired.entry(ripple.source).or_default().extend(ripple.became());
            up = parent.and_then(|id| {
                let (above, status) = self.jobs.get_mut(&id).unwrap();
                status.absorb(id, &ripple).map(|next| (*above, next))
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any sequence of creations and updates leaves every job as the naive model has it, after
    /// every single step.
    #[test]
    fn as_the_naive_model(
        block: bool,
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0..10usize), 1..60),
    ) {
        let mut jobs = Jobs::default();
        let mut naive = NaiveTree::default();
        let mut ids: Vec<JobId> = Vec::new();
        for (pick, what) in steps {
            if ids.is_empty() || what >= REPORTED.len() {
                let id = JobId::new(ids.len() as u64 + 1).unwrap();
                let parent = (!ids.is_empty() && what != 9).then(|| *pick.get(&ids));
                ids.push(id);
                jobs.create(id, parent);
                naive.create(id, parent);
            } else {
                let id = *pick.get(&ids);
                let applies = !(block && naive.is_finished(id));
                prop_assert_eq!(jobs.update(id, REPORTED[what], block), applies);
                if applies {
                    naive.append(id, REPORTED[what]);
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
            }
        }
    }
}
