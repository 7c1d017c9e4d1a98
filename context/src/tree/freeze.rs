use std::sync::Arc;

use jobtracker_model::{Definition, JobId, Timestamp};

use super::{Chain, NONE, Noted, Options, TreeState};
use crate::{
    budget::Cost,
    follow_ups::{FollowUps, Upcoming},
};

/// The unsent part of a tree, taken out of it for a batch.
pub(crate) struct Frozen {
    /// The jobs that have notes, in the order of their first note; behind them the jobs that
    /// connect them with the root.
    links: Vec<Link>,
    pub log: Vec<Noted>,
    pub cost: Cost,
    pub new_jobs: u64,
}

/// A job's link to its parent in the same list.
struct Link {
    parent: u32,
    job: Option<FrozenJob>,
}

/// The part of a batch about one job.
pub(crate) struct FrozenJob {
    pub slot: u32,
    pub id: JobId,
    pub creation: Option<FrozenCreation>,
    pub options: Option<Box<Options>>,
    pub notes: Chain,
}

pub(crate) struct FrozenCreation {
    pub parent: Option<JobId>,
    pub order: u64,
    pub time: Timestamp,
    pub definition: Arc<Definition>,
    pub follow_ups: Option<Arc<FollowUps>>,
}

impl TreeState {
    /// How many new jobs there are for a batch, and the cost of all that is unsent.
    pub fn waiting(&self) -> (u64, Cost) {
        (self.new_jobs, self.unsent)
    }

    /// Takes out the notes since the last flush. One step for each job that has notes, and for each
    /// job above it that has none.
    pub fn freeze(&mut self) -> Option<Frozen> {
        let dirty = std::mem::take(&mut self.dirty);
        if dirty.is_empty() {
            return None;
        }
        (self.old_jobs, self.old_bytes) = (0, 0);
        self.upcoming = Upcoming::default();
        let mut links = Vec::with_capacity(dirty.len());
        for slot in &dirty {
            self.mark(*slot, &mut links);
            let job = self.freeze_job(*slot);
            links.push(Link { parent: NONE, job: Some(job) });
        }
        let mut connecting = Vec::new();
        for slot in &dirty {
            self.connect(*slot, &mut links, &mut connecting);
        }
        for slot in dirty.into_iter().chain(connecting) {
            self.nodes.get_mut(slot).mark = NONE;
        }
        Some(Frozen {
            links,
            log: std::mem::take(&mut self.log),
            cost: std::mem::take(&mut self.unsent),
            new_jobs: std::mem::take(&mut self.new_jobs),
        })
    }

    fn mark(&mut self, slot: u32, links: &mut [Link]) {
        let mark = u32::try_from(links.len()).expect("a buffer has fewer jobs");
        self.nodes.get_mut(slot).mark = mark;
    }

    fn freeze_job(&mut self, slot: u32) -> FrozenJob {
        let parent = self.parent_id(slot);
        let node = self.nodes.get_mut(slot);
        node.is_dirty = false;
        node.in_flight += 1;
        let follow_ups = node.follow_ups().cloned();
        let definition = node.definition.as_ref();
        let creation = node.born.take().zip(definition).map(|(order, definition)| {
            let (time, definition) = (node.status.create_time, Arc::clone(definition));
            FrozenCreation { parent, order, time, definition, follow_ups }
        });
        let options = node.extras.as_mut().and_then(|extras| {
            let unsent = std::mem::take(&mut extras.options_unsent);
            unsent.then(|| extras.options.clone().map(Box::new)).flatten()
        });
        let notes = std::mem::take(&mut node.notes);
        FrozenJob { slot, id: node.id, creation, options, notes }
    }

    /// Links a job with its parent, and that one further up, as far as they are not linked yet.
    fn connect(&mut self, slot: u32, links: &mut Vec<Link>, connecting: &mut Vec<u32>) {
        let mut slot = slot;
        loop {
            let node = self.nodes.get(slot);
            let (mark, parent) = (node.mark as usize, node.parent);
            if parent == NONE {
                return;
            }
            let known = self.nodes.get(parent).mark;
            if known != NONE {
                links[mark].parent = known;
                return;
            }
            self.mark(parent, links);
            links[mark].parent = self.nodes.get(parent).mark;
            links.push(Link { parent: NONE, job: None });
            connecting.push(parent);
            slot = parent;
        }
    }
}

impl Frozen {
    /// The jobs as in a walk down the tree, with their notes, and the cost of all.
    pub fn into_walk(self) -> (Vec<FrozenJob>, Vec<Noted>) {
        let Self { mut links, log, .. } = self;
        let count = links.len();
        let (mut first, mut next) = (vec![NONE; count], vec![NONE; count]);
        let mut root = NONE;
        // Backwards, so that the lists of children run forwards.
        for (index, link) in links.iter().enumerate().rev() {
            let index32 = index as u32;
            match link.parent {
                NONE => root = index32,
                parent => next[index] = std::mem::replace(&mut first[parent as usize], index32),
            }
        }
        let mut jobs = Vec::with_capacity(count);
        let mut stack = vec![root];
        while let Some(index) = stack.pop() {
            let index = index as usize;
            jobs.extend(links[index].job.take());
            // The sibling waits below the child.
            stack.extend([next[index], first[index]].into_iter().filter(|link| *link != NONE));
        }
        (jobs, log)
    }
}
