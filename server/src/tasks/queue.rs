//! The queue as it is shown: read from the indexes, in which every server sees the same.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use jobtracker_model::{
    HandlerQueue, JobId, QueueCounts, QueueLength, QueueState, QueuedTask, Timestamp,
};
use jobtracker_store::{
    FollowUp, IndexId, IndexKey, IndexQuery, Indexes, Listed, PageLimit, Result, TaskPhase, TaskRow,
};

/// Tasks that are counted of those that workers have, and of those that wait.
const COUNTED: usize = 10_000;
/// Entries that are read at once.
const CHUNK: usize = 1_000;
/// Entries that are read of each part of an index at least.
const FEW: usize = 16;
/// Handlers whose tasks are counted on their own.
const HANDLERS: usize = 200;

/// A position in the queue: first come the tasks that workers have, by when they are looked at,
/// then those that wait, the oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueuePosition {
    pub is_leased: bool,
    /// Behind this entry.
    pub after: Option<IndexKey>,
}

/// The queue at one time.
pub(crate) struct Queue<'a> {
    store: &'a dyn Indexes,
    now: Timestamp,
    /// When the last lease ends that there may be.
    leased_until: Timestamp,
}

impl<'a> Queue<'a> {
    /// The queue now, where leases last up to this time.
    pub fn new(store: &'a dyn Indexes, now: Timestamp, leased_until: Timestamp) -> Self {
        Self { store, now, leased_until }
    }

    /// Reads up to about that many entries, of tasks in one of these states.
    pub async fn read(
        &self,
        states: &[QueueState],
        at: Option<QueuePosition>,
        entries: usize,
    ) -> Result<Listed<(QueuePosition, QueuedTask), QueuePosition>> {
        let is_leased = at.map_or(states.contains(&QueueState::Leased), |at| at.is_leased);
        let (index, [from, until]) = match is_leased {
            true => (IndexId::Due, [Timestamp::MIN, self.leased_until]),
            false => (IndexId::Ready, self.waiting(states)),
        };
        let after = at.and_then(|at| at.after);
        let each = entries / self.store.index_parts() as usize;
        let limit = PageLimit::rows(each.max(FEW));
        let query = IndexQuery { index, part: 0, from, until, after, limit };
        let Listed { items, next } = all_parts(self.store, query).await?;
        let tasks = items.into_iter().filter_map(|(key, row)| match row {
            FollowUp::Task(row) => Some((key, self.shown(key.id, &row)?)),
            _ => None,
        });
        let position = |after| QueuePosition { is_leased, after: Some(after) };
        let items = tasks.filter(|(_, task)| states.contains(&task.state));
        let items = items.map(|(key, task)| (position(key), task)).collect();
        let waiting = QueuePosition { is_leased: false, after: None };
        let waiting = (is_leased && states.iter().any(|state| *state != QueueState::Leased))
            .then_some(waiting);
        Ok(Listed { items, next: next.map(position).or(waiting) })
    }

    /// How long the queue is.
    pub async fn counts(&self) -> Result<QueueCounts> {
        let (mut all, mut more) = (QueueLength::default(), false);
        let mut handlers = BTreeMap::<String, QueueLength>::new();
        for states in [&QueueState::ALL[..1], &QueueState::ALL[1..]] {
            let (mut at, mut read) = (None, 0);
            loop {
                let Listed { items, next } = self.read(states, at, CHUNK).await?;
                for (_, task) in items {
                    all.count(task.state, task.since);
                    handlers.entry(task.handler).or_default().count(task.state, task.since);
                }
                (at, read) = (next, read + CHUNK);
                if next.is_none() || read >= COUNTED {
                    break;
                }
            }
            more |= at.is_some();
        }
        let handlers = handlers.into_iter().take(HANDLERS);
        let handlers = handlers.map(|(handler, length)| HandlerQueue { handler, length }).collect();
        Ok(QueueCounts { all, more, handlers })
    }

    /// From when to when tasks in these states may be claimed.
    fn waiting(&self, states: &[QueueState]) -> [Timestamp; 2] {
        let has = |state| states.contains(&state);
        let from = if has(QueueState::Ready) { Timestamp::MIN } else { self.now };
        [from, if has(QueueState::Delayed) { Timestamp::MAX } else { self.now }]
    }

    /// A task, without the name of its job; `None` if it is not in the queue by now.
    fn shown(&self, job: JobId, row: &TaskRow) -> Option<QueuedTask> {
        let lease = row.lease();
        let (state, since) = match row.phase {
            TaskPhase::Waiting(from) if from > self.now => (QueueState::Delayed, from),
            TaskPhase::Waiting(from) => (QueueState::Ready, from),
            TaskPhase::Leased(ref lease) => (QueueState::Leased, lease.since),
            TaskPhase::Paused(_) | TaskPhase::Ended(_) => return None,
        };
        let assigned_to = row.assignment(self.now).map(|assigned| assigned.worker.clone());
        Some(QueuedTask {
            job,
            name: String::new(),
            handler: row.task.handler.clone(),
            state,
            since,
            attempt: row.attempt,
            worker: lease.map(|lease| lease.worker.clone()),
            lease_until: lease.map(|lease| lease.until),
            assigned_to,
            cancelling: lease.is_some_and(|lease| lease.cancel.is_some()),
            progress: row.progress,
        })
    }
}

/// A page of all parts of an index, in the order of their keys. `query` says which, for each part.
async fn all_parts(
    store: &dyn Indexes,
    query: IndexQuery,
) -> Result<Listed<(IndexKey, FollowUp), IndexKey>> {
    let pages =
        (0..store.index_parts()).map(|part| store.list_index(IndexQuery { part, ..query.clone() }));
    let pages = try_join_all(pages).await?;
    // A part that goes on may have anything behind the end of its page.
    let next = pages.iter().filter_map(|page| page.next).min();
    let items = pages.into_iter().flat_map(|page| page.items);
    let mut items: Vec<_> = items.filter(|(key, _)| next.is_none_or(|next| *key <= next)).collect();
    items.sort_by_key(|(key, _)| *key);
    Ok(Listed { items, next })
}
