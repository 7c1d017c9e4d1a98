//! Whole histories at once against the same histories step by step.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use std::collections::{BTreeMap, HashMap};

use jobtracker_model::{
    JobId, Report, State, Timestamp,
    rollup::{
        Branch, FirstFault, Grown, Growth, GrowthStep, Milestones, Recorded, Status, StatusDelta,
    },
};
use proptest::prelude::*;

/// Jobs in a map, driven step by step, with what was recorded of each.
#[derive(Default)]
struct Jobs {
    jobs: BTreeMap<JobId, (Option<JobId>, Status)>,
    recorded: HashMap<JobId, Vec<(State, Recorded)>>,
    /// The last state of each job, and the change that made it.
    caused: HashMap<JobId, (State, Report)>,
    order: u64,
}

impl Jobs {
    fn at(&mut self, millis: u8) -> Recorded {
        self.order += 1;
        // Few different times, so that many things happen at the same one, or back in time.
        Recorded { order: self.order, time: Timestamp::from_millis(millis.into()).unwrap() }
    }

    fn create(&mut self, parent: Option<JobId>, millis: u8) -> JobId {
        let at = self.at(millis);
        let id = JobId::new(self.jobs.len() as u64 + 1).unwrap();
        let (status, delta) = Status::created(id, at.time);
        self.jobs.insert(id, (parent, status));
        self.recorded.insert(id, vec![(State::WaitingToRun, at)]);
        self.climb(parent, delta);
        id
    }

    fn update(&mut self, id: JobId, state: State, millis: u8, block: bool) -> bool {
        let at = self.at(millis);
        let (parent, status) = self.jobs.get_mut(&id).unwrap();
        if !status.accepts_update(block) {
            return false;
        }
        let (parent, delta) = (*parent, status.report(id, state, at.time));
        self.recorded.get_mut(&id).unwrap().push((state, at));
        self.climb(parent, delta);
        true
    }

    fn climb(&mut self, parent: Option<JobId>, delta: StatusDelta) {
        self.note(&delta);
        let mut up = parent.map(|parent| (parent, delta));
        while let Some((id, delta)) = up {
            let (above, status) = self.jobs.get_mut(&id).unwrap();
            let (above, next) = (*above, status.absorb(id, &delta));
            if let Some(next) = &next {
                self.note(next);
            }
            up = above.zip(next);
        }
    }

    /// Reports of old jobs, and what new branches mean in the spans between them.
    fn replay(
        &mut self,
        reported: &[(JobId, State, Recorded)],
        growth: &BTreeMap<(usize, JobId), Growth>,
    ) {
        for number in 0..=reported.len() {
            let mut steps: Vec<(GrowthStep, JobId)> = Vec::new();
            for ((_, parent), growth) in growth.iter().filter(|((span, _), _)| *span == number) {
                steps.extend(growth.clone().steps().map(|step| (step, *parent)));
            }
            steps.sort();
            for (step, parent) in steps {
                let (above, status) = self.jobs.get_mut(&parent).unwrap();
                let (above, delta) = (*above, status.grow(parent, &step));
                if let Some(delta) = delta {
                    self.climb(above, delta);
                }
            }
            if let Some((id, state, at)) = reported.get(number) {
                let (parent, status) = self.jobs.get_mut(id).unwrap();
                let (parent, delta) = (*parent, status.report(*id, *state, at.time));
                self.climb(parent, delta);
            }
        }
    }

    fn note(&mut self, delta: &StatusDelta) {
        if let Some(state) = delta.became() {
            self.caused.insert(delta.source, (state, delta.cause));
        }
    }

    /// A job with everything below it, from its history alone.
    fn grow(&self, id: JobId, grown: &mut Vec<Grown>) -> Grown {
        let recorded = &self.recorded[&id];
        let mut branch = Branch::created(id, recorded[0].1);
        for (state, at) in &recorded[1..] {
            branch.report(*state, *at);
        }
        for (child, (parent, _)) in &self.jobs {
            if *parent == Some(id) {
                branch.absorb(&self.grow(*child, grown));
            }
        }
        let whole = branch.grown();
        grown.push(whole.clone());
        whole
    }
}

const REPORTED: [State; 6] = [
    State::WaitingToRun,
    State::Running,
    State::Warning,
    State::WaitingForChildrenToComplete,
    State::RanToCompletion,
    State::Faulted,
];

type Steps = Vec<(prop::sample::Index, usize, u8)>;

fn steps(count: usize) -> impl Strategy<Value = Steps> {
    prop::collection::vec((any::<prop::sample::Index>(), 0..10usize, 0..4u8), 1..count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// A whole tree of new jobs has the same statuses, times and sources included.
    #[test]
    fn a_tree_at_once_is_the_tree_step_by_step(block: bool, steps in steps(50)) {
        let mut jobs = Jobs::default();
        let root = jobs.create(None, 0);
        for (pick, what, millis) in steps {
            let ids: Vec<_> = jobs.jobs.keys().copied().collect();
            let id = *pick.get(&ids);
            match REPORTED.get(what) {
                Some(state) => drop(jobs.update(id, *state, millis, block)),
                None => drop(jobs.create(Some(id), millis)),
            }
        }
        let mut grown = Vec::new();
        jobs.grow(root, &mut grown);
        prop_assert_eq!(grown.len(), jobs.jobs.len());
        for whole in grown {
            let (id, status) = (whole.id, &jobs.jobs[&whole.id].1);
            prop_assert_eq!(&whole.status, status, "{}", id);
            // The cause is the one that the steps give, too.
            match status.state {
                State::Faulted => {
                    prop_assert_eq!(FirstFault::At(whole.cause()), status.first_fault);
                },
                State::RanToCompletion => {
                    let (state, report) = jobs.caused[&id];
                    prop_assert_eq!((state, report), (status.state, whole.cause()), "{}", id);
                }
                _ => prop_assert_eq!(whole.cause().change + 1, status.changes),
            }
        }
    }

    /// Jobs that were there before, with new branches below them: the branches as sums between
    /// the reports leave the old jobs as the steps do. Of some of these it is not known whether
    /// anything below them had failed.
    #[test]
    fn growth_below_old_jobs_is_the_sum_of_its_steps(
        before in steps(12),
        unknown: [bool; 4],
        then in steps(40),
    ) {
        let mut jobs = Jobs::default();
        jobs.create(None, 0);
        let run = |jobs: &mut Jobs, steps: Steps, reported: &mut Vec<(JobId, State, Recorded)>| {
            for (pick, what, millis) in steps {
                let ids: Vec<_> = jobs.jobs.keys().copied().collect();
                let id = *pick.get(&ids);
                match REPORTED.get(what) {
                    Some(state) if jobs.update(id, *state, millis, false) => {
                        reported.push((id, *state, jobs.recorded[&id].last().unwrap().1));
                    }
                    Some(_) => {}
                    None => drop(jobs.create(Some(id), millis)),
                }
            }
        };
        run(&mut jobs, before, &mut Vec::new());
        for ((_, status), is_unknown) in jobs.jobs.values_mut().zip(unknown) {
            if is_unknown {
                status.first_fault = FirstFault::Unknown;
            }
        }
        let old = Jobs { jobs: jobs.jobs.clone(), ..Jobs::default() };
        let mut reported = Vec::new();
        run(&mut jobs, then, &mut reported);
        reported.retain(|(id, ..)| old.jobs.contains_key(id));

        let span = |order: u64| reported.partition_point(|(_, _, at)| at.order < order);
        let mut growth: BTreeMap<(usize, JobId), Growth> = BTreeMap::new();
        for (id, (parent, _)) in &jobs.jobs {
            let Some(parent) = parent.filter(|parent| old.jobs.contains_key(parent)) else {
                continue;
            };
            if old.jobs.contains_key(id) {
                continue;
            }
            let grown = jobs.grow(*id, &mut Vec::new());
            let Milestones { born, started, faulted, ended } = grown.milestones();
            growth.entry((span(born), parent)).or_default().birth(&grown);
            if let Some(started) = started {
                growth.entry((span(started), parent)).or_default().start(&grown);
            }
            if let Some(faulted) = faulted {
                growth.entry((span(faulted), parent)).or_default().fault(&grown);
            }
            growth.entry((span(ended), parent)).or_default().end(&grown);
        }
        let mut now = old;
        now.replay(&reported, &growth);
        for (id, (_, status)) in &now.jobs {
            prop_assert_eq!(status, &jobs.jobs[id].1, "{}", id);
            // What finished it is the same report, as far as it became finished in these steps.
            if let (State::RanToCompletion, Some(caused)) = (status.state, now.caused.get(id)) {
                prop_assert_eq!(caused, &jobs.caused[id], "{}", id);
            }
        }
    }
}
