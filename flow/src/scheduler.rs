use std::{cmp::Reverse, collections::BinaryHeap};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Which step goes next, and how many runners there are.
///
/// Steps whose dependencies have ended are *ready*. They are taken by *runners*, tasks that run one
/// body after the other. A runner *has a place* while it is at work, and gives it up when its body
/// waits; there are as many places as the runtime has threads. So bodies that never wait cost no
/// task each, and a step that is ready is kept waiting only by bodies that keep all threads busy.
///
/// Where bodies are limited, each one also needs a *permit*, from its begin until its thread or its
/// future has gone.
pub(crate) struct Scheduler {
    places: usize,
    /// How many bodies may be at work; none of it is counted without a limit.
    limit: Option<usize>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    ready: BinaryHeap<Reverse<Entry>>,
    /// Places that are taken.
    taken: usize,
    /// Permits that are out.
    bodies: usize,
}

/// A step that is ready. If it has been at work already, its runner waits for a permit.
struct Entry {
    step: u32,
    again: Option<oneshot::Sender<()>>,
}

/// Steps that are ready all at once: mostly one, which needs no memory of its own.
#[derive(Default)]
pub(crate) struct Ready {
    first: Option<u32>,
    others: Vec<u32>,
}

impl Ready {
    pub(crate) fn push(&mut self, step: u32) {
        if self.first.is_none() {
            self.first = Some(step);
        } else {
            self.others.push(step);
        }
    }
}

impl FromIterator<u32> for Ready {
    fn from_iter<T: IntoIterator<Item = u32>>(steps: T) -> Self {
        let mut steps = steps.into_iter();
        Self { first: steps.next(), others: steps.collect() }
    }
}

impl Scheduler {
    pub(crate) fn new(places: usize, limit: Option<usize>) -> Self {
        Self { places: places.max(1), limit, queue: Mutex::default() }
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// Adds steps that are ready. A caller that `takes` is a runner with a place, which takes one
    /// of them. Answers how many runners have to be spawned; each has a place already.
    #[must_use]
    pub(crate) fn push(&self, ready: Ready, takes: bool) -> usize {
        let Ready { first: Some(first), others } = ready else { return 0 };
        let mut queue = self.queue.lock();
        let steps = [first].into_iter().chain(others);
        queue.ready.extend(steps.map(|step| Reverse(Entry { step, again: None })));
        self.fill(&mut queue, usize::from(takes))
    }

    /// The next step for a runner that has a place; with a permit, if bodies are limited. Without
    /// one the place is free and the runner ends.
    pub(crate) fn take(&self) -> Option<u32> {
        let mut queue = self.queue.lock();
        while self.has_permit(&queue) {
            let Some(Reverse(entry)) = queue.ready.pop() else { break };
            queue.bodies += usize::from(self.is_limited());
            let Some(runner) = entry.again else { return Some(entry.step) };
            // It may have been cancelled meanwhile.
            if runner.send(()).is_err() {
                queue.bodies -= 1;
            }
        }
        queue.taken -= 1;
        None
    }

    /// Gives up the place of a runner whose body waits. Answers how many runners to spawn.
    #[must_use]
    pub(crate) fn wait(&self) -> usize {
        let mut queue = self.queue.lock();
        queue.taken -= 1;
        self.fill(&mut queue, 0)
    }

    /// Takes a place for a runner whose body has waited, if one is free.
    pub(crate) fn rejoin(&self) -> bool {
        let mut queue = self.queue.lock();
        let is_free = queue.taken < self.places;
        queue.taken += usize::from(is_free);
        is_free
    }

    /// Gives a permit back. Answers how many runners to spawn.
    #[must_use]
    pub(crate) fn release(&self) -> usize {
        let mut queue = self.queue.lock();
        queue.bodies -= 1;
        self.fill(&mut queue, 0)
    }

    /// A permit for another attempt: at once, or when it is the step's turn. Second, how many
    /// runners to spawn.
    pub(crate) fn again(&self, step: u32) -> (Option<oneshot::Receiver<()>>, usize) {
        let mut queue = self.queue.lock();
        if self.has_permit(&queue) {
            queue.bodies += 1;
            return (None, 0);
        }
        let (runner, turn) = oneshot::channel();
        queue.ready.push(Reverse(Entry { step, again: Some(runner) }));
        (Some(turn), self.fill(&mut queue, 0))
    }

    fn has_permit(&self, queue: &Queue) -> bool {
        self.limit.is_none_or(|limit| queue.bodies < limit)
    }

    /// Takes places for as many runners as find something to do, besides `coming` ones that have a
    /// place and come back for it.
    fn fill(&self, queue: &mut Queue, coming: usize) -> usize {
        let permits = self.limit.map_or(usize::MAX, |limit| limit - queue.bodies);
        let useful = queue.ready.len().min(permits).saturating_sub(coming);
        let runners = useful.min(self.places - queue.taken);
        queue.taken += runners;
        runners
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.step == other.step
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.step.cmp(&other.step)
    }
}

#[cfg(test)]
mod tests;
