//! The feed: tells of each commit, after it is durable, to those who listen.
//!
//! A [`Listener`] to a tree, a job or all trees is told of [`FeedEvent`]s, from the `channels`.
//! Before a group is handed to the store, the rows that have listeners are copied from its commits
//! (`Capture`); when it has ended, they are told. While there are no listeners, that costs a look
//! at one number. `ends` tells one caller which of its trees have ended. `others` tells of what
//! other servers commit to the trees that have listeners, and `due` of new entries of the index of
//! what is due.

mod event;

mod channels;
mod listener;

mod due;
mod ends;

mod others;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use jobtracker_model::{JobId, State, Timestamp};
use jobtracker_store::{Error as StoreError, IndexId, Store, TreeCommit, Version};

use tokio::sync::Notify;

use self::{
    channels::{Capture, Channels},
    due::DueParts,
    ends::Ends,
};
use crate::Result;

pub(crate) use self::others::tell_of_others;
pub use self::{
    due::SOON,
    event::{Committed, FeedEvent, MoveReason, Scope},
    listener::Listener,
};

/// Visible states that jobs go through in a group of operations, by tree.
pub(crate) type States = HashMap<JobId, Vec<(JobId, State)>>;

/// What is to be told of a commit under way when it is durable.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// The part of the index of what is due to which it adds an entry that is due soon.
    due: Option<u32>,
    /// Whether it adds a task that may be claimed soon.
    ready: bool,
    /// Whether it may be the end of a tree whose end is awaited.
    ends: bool,
    capture: Option<Capture>,
}

/// Tells of commits those who listen.
pub(crate) struct Feed {
    store: Arc<dyn Store>,
    due: DueParts,
    ready: Notify,
    ends: Ends,
    channels: Arc<Channels>,
    /// Commits of this server that have ended, and may be durable.
    commits: AtomicU64,
}

impl Feed {
    pub fn new(store: Arc<dyn Store>) -> Self {
        let due = DueParts::new(store.index_parts());
        let channels = Arc::new(Channels::new(store.is_shared()));
        let (ready, ends) = (Notify::new(), Ends::default());
        Self { store, due, ready, ends, channels, commits: AtomicU64::new(0) }
    }

    pub fn listen(&self, scope: Scope) -> Result<Listener> {
        Listener::join(&self.channels, scope)
    }

    /// How many commits of this server have ended: if there are no more than before, it has changed
    /// no tree since.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// Ends all listening.
    pub fn close(&self) {
        self.channels.close();
    }

    pub fn has_listeners(&self) -> bool {
        self.channels.has_listeners()
    }

    /// Waits until an entry that is due soon was added to a part of the index since the last time
    /// that this ended.
    pub async fn due(&self, part: u32) {
        self.due.changed(part).await;
    }

    /// Waits until a task that may be claimed soon was added since the last time that this ended.
    pub async fn ready(&self) {
        self.ready.notified().await;
    }

    /// Has [`ended`](Self::ended) tell of the end of a tree, which need not be there yet.
    pub fn watch_end(&self, root: JobId) {
        self.ends.watch(root);
    }

    pub fn forget_end(&self, root: JobId) {
        self.ends.forget(root);
    }

    /// Waits until a watched tree may have ended.
    pub async fn until_ended(&self) {
        self.ends.told().await;
    }

    /// The watched trees that may have ended since the last call.
    pub fn ended(&self) -> Vec<JobId> {
        self.ends.take()
    }

    /// Copies from commits that are about to be made what is to be told of them, by tree.
    pub fn prepare(
        &self,
        commits: &[TreeCommit],
        mut states: States,
        now: Timestamp,
    ) -> HashMap<JobId, News> {
        let mut news: HashMap<JobId, News> = HashMap::new();
        for commit in commits {
            if due::adds_soon(commit, IndexId::Due, now) {
                let part = self.store.index_part(commit.root);
                news.entry(commit.root).or_default().due = Some(part);
            }
            if due::adds_soon(commit, IndexId::Ready, now) {
                news.entry(commit.root).or_default().ready = true;
            }
            if self.ends.is_end(commit) {
                news.entry(commit.root).or_default().ends = true;
            }
        }
        if self.has_listeners() {
            self.channels.open(|open| {
                for commit in commits {
                    let states = states.remove(&commit.root).unwrap_or_default();
                    if let Some(capture) = open.capture(commit, states) {
                        news.entry(commit.root).or_default().capture = Some(capture);
                    }
                }
            });
        }
        news
    }

    /// Tells of the commits of these trees that have not failed. One with an unknown outcome is
    /// found by the next look at the store, or in what the next commit follows.
    pub fn tell(
        &self,
        trees: &[(JobId, Version)],
        news: &HashMap<JobId, News>,
        failed: &HashMap<JobId, StoreError>,
    ) {
        self.commits.fetch_add(trees.len() as u64, Ordering::Release);
        for (root, news) in news.iter().filter(|(root, _)| !failed.contains_key(root)) {
            news.due.iter().for_each(|part| self.due.tell(*part));
            if news.ready {
                self.ready.notify_one();
            }
            if news.ends {
                self.ends.tell(*root);
            }
        }
        // A listener that comes after this reads the store after these commits.
        if self.has_listeners() {
            let done = trees.iter().filter(|(root, _)| !failed.contains_key(root));
            self.channels.open(|open| {
                for (root, expected) in done {
                    let capture = news.get(root).and_then(|news| news.capture.as_ref());
                    open.tell(*root, *expected, capture);
                }
            });
        }
    }

    /// The trees that have listeners, each with the version up to which they were told.
    pub fn trees(&self) -> Vec<(JobId, Option<Version>)> {
        self.channels.open(|open| open.trees()).unwrap_or_default()
    }

    /// Looks whether a tree has gone on from the version up to which listeners were told.
    pub async fn look(&self, root: JobId, told: Option<Version>) {
        // What came before the first look is not told: its listeners may have read it.
        let after = told.unwrap_or(Version::MAX);
        // A store that does not answer now may do so at the next look.
        let Ok((version, commits)) = self.store.commits_after(root, after).await else { return };
        self.channels.open(|open| {
            for commit in &commits {
                let capture = open.capture(commit, Vec::new());
                open.tell(root, commit.expected, capture.as_ref());
            }
            // It was there before, and has been deleted and removed since.
            if version == 0 && told.is_some_and(|told| told > 0) {
                open.deleted(root);
            }
            open.moved_to(root, version);
        });
    }
}
