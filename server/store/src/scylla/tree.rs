//! A tree as a server remembers it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use jobtracker_model::{JobId, rollup::Status};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::{redo::Redo, tail::Tail};
use crate::{Result, Row, StageId, Version};

/// Statuses remembered of one tree; past it they are forgotten.
const STATUSES: usize = 50_000;
/// Published stages remembered of one tree; past it they are forgotten, and asked for again.
const PUBLISHED: usize = 10_000;

/// A tree as this server last saw it. What is remembered may be old; a head refresh brings all of
/// it up to date, and says when it cannot.
#[derive(Debug)]
pub struct Tree {
    pub root: JobId,
    /// Held by the task that makes a checkpoint of the tree.
    pub checkpoint: Arc<Semaphore>,
    /// Whether the last head refresh found nothing new.
    is_quiet: AtomicBool,
    /// A head refresh that has not begun yet, which callers that come now can share.
    next_refresh: Mutex<Option<Shared<HeadRefresh>>>,
    known: Mutex<Known>,
}

/// Finds the tail of a tree.
pub type HeadRefresh = BoxFuture<'static, Result<Option<Arc<Tail>>>>;

#[derive(Debug, Default)]
struct Known {
    tail: Option<Arc<Tail>>,
    /// Statuses from the other tables, and those that have gone there out of the tail: of every job
    /// that is here, the newest up to the tail's beginning.
    statuses: HashMap<JobId, (Version, Status)>,
    /// Stages with the versions that published them.
    published: HashMap<StageId, Version>,
}

impl Known {
    /// Keeps the statuses of entries that leave the tail.
    fn keep<'a>(&mut self, redos: impl Iterator<Item = &'a Arc<Redo>>) {
        for redo in redos {
            for (_, row) in &redo.rows {
                if let Row::Status { id, status, .. } = row
                    && self.statuses.get(id).is_none_or(|(version, _)| *version < redo.version)
                {
                    self.statuses.insert(*id, (redo.version, status.clone()));
                }
            }
        }
    }

    fn remember_published(&mut self, stage: StageId, version: Version) {
        if self.published.len() >= PUBLISHED {
            self.published.clear();
        }
        self.published.insert(stage, version);
    }
}

impl Tree {
    pub fn new(root: JobId) -> Self {
        Self {
            root,
            checkpoint: Arc::new(Semaphore::new(1)),
            is_quiet: AtomicBool::new(true),
            next_refresh: Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// The head refresh that has not begun yet; it is made if there is none.
    pub fn next_refresh(&self, make: impl FnOnce() -> HeadRefresh) -> Shared<HeadRefresh> {
        self.next_refresh.lock().get_or_insert_with(|| make().shared()).clone()
    }

    /// The head refresh begins: callers that come from here on need another one.
    pub fn refresh_begins(&self) {
        self.next_refresh.lock().take();
    }

    /// Whether it is likely that no other server writes to the tree.
    pub fn is_quiet(&self) -> bool {
        self.is_quiet.load(Ordering::Relaxed)
    }

    /// Notes whether a head refresh found nothing new.
    pub fn note_quiet(&self, is_quiet: bool) {
        self.is_quiet.store(is_quiet, Ordering::Relaxed);
    }

    /// The tail as it was last seen.
    pub fn tail(&self) -> Option<Arc<Tail>> {
        self.known.lock().tail.clone()
    }

    /// Forgets everything: nothing is left of the tree in the tables.
    pub fn forget(&self) {
        *self.known.lock() = Known::default();
    }

    /// Takes a newer tail in, and answers the newest.
    pub fn advance(&self, tail: Tail) -> Arc<Tail> {
        let mut known = self.known.lock();
        if let Some(before) = &known.tail
            && (before.version, before.applied) >= (tail.version, tail.applied)
            && (before.version > tail.version || before.cid == tail.cid)
        {
            return Arc::clone(before);
        }
        let before = known.tail.take();
        let goes_on = before.as_ref().is_some_and(|before| tail.begin() <= before.version);
        if !goes_on || known.statuses.len() > STATUSES {
            known.statuses.clear();
        }
        if let Some(before) = before
            && goes_on
        {
            known.keep(before.redos.iter().filter(|redo| redo.version <= tail.begin()));
        }
        for redo in &tail.redos {
            if let Some(stage) = redo.publishes {
                known.remember_published(stage, redo.version);
            }
        }
        let tail = Arc::new(tail);
        known.tail = Some(Arc::clone(&tail));
        tail
    }

    /// Statuses that are remembered of jobs that did not change within this tail.
    pub fn statuses(&self, tail: &Tail, ids: &[JobId]) -> HashMap<JobId, Status> {
        let known = self.known.lock();
        let found = ids.iter().filter_map(|id| {
            let (version, status) = known.statuses.get(id)?;
            (*version <= tail.version).then(|| (*id, status.clone()))
        });
        found.collect()
    }

    /// Remembers statuses that were read beside this tail.
    pub fn remember(&self, tail: &Tail, read: impl IntoIterator<Item = (JobId, Version, Status)>) {
        let mut known = self.known.lock();
        // Statuses that have left the tail since may be newer.
        if known.tail.as_ref().is_none_or(|now| now.begin() != tail.begin()) {
            return;
        }
        let room = STATUSES.saturating_sub(known.statuses.len());
        known.statuses.extend(
            read.into_iter().take(room).map(|(id, version, status)| (id, (version, status))),
        );
    }

    /// The version that published a stage, if this server knows it.
    pub fn published(&self, stage: StageId) -> Option<Version> {
        self.known.lock().published.get(&stage).copied()
    }

    /// Remembers that a version published a stage.
    pub fn remember_published(&self, stage: StageId, version: Version) {
        self.known.lock().remember_published(stage, version);
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> u64 {
        const FIXED: usize = 500;
        const STATUS: usize = 250;
        const STAGE: usize = 40;
        let known = self.known.lock();
        let tail = known.tail.as_ref().map_or(0, |tail| tail.bytes() * 4);
        let rows = known.statuses.len() * STATUS + known.published.len() * STAGE;
        (FIXED + tail + rows) as u64
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn published_stages_count_and_are_forgotten_past_a_bound() {
        let tree = Tree::new(JobId::MIN);
        let empty = tree.bytes();
        for stage in 0..=PUBLISHED as u64 {
            tree.remember_published(StageId(stage), stage);
            assert!(tree.bytes() > empty);
        }
        let known = |stage| tree.published(StageId(stage));
        let last = PUBLISHED as u64;
        assert_eq!((known(0), known(last)), (None, Some(last)));
        assert!(tree.bytes() < empty + 1_000, "{} after {empty}", tree.bytes());
    }

    #[tokio::test]
    async fn callers_share_a_look_until_it_begins() {
        let tree = Arc::new(Tree::new(JobId::MIN));
        let begun = Arc::new(AtomicUsize::new(0));
        let look = || {
            let (counted, begun) = (Arc::clone(&tree), Arc::clone(&begun));
            tree.next_refresh(move || {
                let begin = async move {
                    counted.refresh_begins();
                    begun.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    Ok(None)
                };
                begin.boxed()
            })
        };
        let five = futures_util::future::join_all([look(), look(), look(), look(), look()]);
        // The first poll of any of them begins the head refresh of all.
        let mut five = Box::pin(five);
        assert!(futures_util::poll!(&mut five).is_pending());
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        let late = look();
        assert!(five.await.into_iter().all(|seen| matches!(seen, Ok(None))));
        assert_eq!(begun.load(Ordering::SeqCst), 1, "five shared one");
        assert!(matches!(late.await, Ok(None)));
        assert_eq!(begun.load(Ordering::SeqCst), 2, "who came later has another");
    }
}
