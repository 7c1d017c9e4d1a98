//! Tasks that are kept for the workers that their rules have chosen.

use std::collections::{BTreeMap, HashMap};

use jobtracker_model::Timestamp;
use jobtracker_store::Assignment;

use super::{
    counts::Counts,
    ready::{Candidate, Turn},
};

/// Tasks that are kept for workers.
#[derive(Default)]
pub(super) struct Kept(HashMap<String, BTreeMap<Turn, KeptTask>>);

struct KeptTask {
    candidate: Candidate,
    until: Timestamp,
    /// Another server has chosen the worker, and does not hear of its claim.
    is_foreign: bool,
}

impl Kept {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps a task for the worker that another server has chosen.
    pub fn add_foreign(&mut self, turn: Turn, to: &Assignment, candidate: Candidate) {
        self.add(turn, to.clone(), candidate, true);
    }

    pub fn add(&mut self, turn: Turn, to: Assignment, candidate: Candidate, is_foreign: bool) {
        let Assignment { worker, until } = to;
        self.0.entry(worker).or_default().insert(turn, KeptTask { candidate, until, is_foreign });
    }

    /// Takes tasks for a worker and counts them, each with whether another server has chosen it.
    pub fn take(
        &mut self,
        worker: &str,
        most: usize,
        counts: &mut Counts,
    ) -> Vec<(Candidate, bool)> {
        let Some(kept) = self.0.get_mut(worker) else { return Vec::new() };
        let has_room = |_: &Turn, task: &mut KeptTask| {
            let Some(filter) = task.candidate.filter() else { return true };
            let has_room = counts.has_room(filter);
            if has_room {
                counts.add(filter);
            }
            has_room
        };
        let taken = kept.extract_if(.., has_room).take(most);
        let taken = taken.map(|(_, task)| (task.candidate, task.is_foreign)).collect::<Vec<_>>();
        if kept.is_empty() {
            self.0.remove(worker);
        }
        taken
    }

    pub fn count(&self, worker: &str) -> u32 {
        self.0.get(worker).map_or(0, |kept| u32::try_from(kept.len()).unwrap_or(u32::MAX))
    }

    /// Takes out the tasks that their workers have not claimed in time.
    pub fn take_unclaimed(&mut self, now: Timestamp) -> Vec<(Turn, Candidate)> {
        let mut unclaimed = Vec::new();
        for (worker, kept) in &mut self.0 {
            for (turn, KeptTask { mut candidate, .. }) in
                kept.extract_if(.., |_, task| task.until <= now)
            {
                if let Some(route) = &mut candidate.route {
                    route.tried.insert(worker.clone());
                }
                unclaimed.push((turn, candidate));
            }
        }
        self.0.retain(|_, kept| !kept.is_empty());
        unclaimed
    }

    /// When the next one is not kept any more.
    pub fn first(&self) -> Option<Timestamp> {
        self.0.values().flat_map(BTreeMap::values).map(|task| task.until).min()
    }
}
