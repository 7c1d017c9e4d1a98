use std::sync::Arc;

use jobtracker_model::{JobId, State};
use jobtracker_store::{Row, Version};

/// What a [`Listener`](super::Listener) listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Every commit of one tree, which need not be there yet.
    Tree(JobId),
    /// The commits of a tree in which one of its jobs has a row.
    Job {
        /// The tree.
        root: JobId,
        /// The job, which need not be there yet.
        id: JobId,
    },
    /// Every commit of this server. On a store that servers share, commits of other servers are
    /// told too if another listener listens to their tree; the rest is found in the store alone.
    All,
}

/// What a listener is told.
#[derive(Debug, Clone)]
pub enum FeedEvent {
    /// A commit with its rows.
    Committed(Arc<Committed>),
    /// A tree has gone on from one version to another, and what changed is not told: its rows have
    /// to be read again.
    Moved {
        /// The tree.
        root: JobId,
        /// What was told before was up to this version. 0: nothing was.
        from: Version,
        /// The next event begins at this version.
        to: Version,
        /// Why it is not told.
        reason: MoveReason,
    },
    /// A listener to all trees was too slow: this many events are missing here, of any trees.
    Skipped(u64),
}

/// Why a listener is told that a tree has moved, and not what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveReason {
    /// A commit has published the staged rows of an upload, up to millions.
    Upload,
    /// The tree was deleted.
    Deleted,
    /// A commit is larger than the feed tells.
    Large,
    /// The listener has read too slowly.
    Slow,
    /// The listener began while the commit was under way.
    Began,
    /// Another server has committed, and the store has not kept or not shown what.
    OtherServer,
}

/// A commit that is durable, as far as a listener listens to it.
#[derive(Debug)]
pub struct Committed {
    /// The tree.
    pub root: JobId,
    /// The version that the commit has made; it followed the version before.
    pub version: Version,
    /// The rows, each with its index in the commit: `version.index` is a position which is the same
    /// on every server. A listener to a job has the rows of this job alone.
    pub rows: Vec<(u32, Row)>,
    /// The visible states that jobs went through, in order: operations that share a commit are
    /// steps of their own, and the rows show the last one. Of a commit of another server this is
    /// not known.
    pub states: Vec<(JobId, State)>,
}

impl FeedEvent {
    /// The tree, the version before and the version after; `None` for what is of any trees.
    #[must_use]
    pub fn span(&self) -> Option<(JobId, Version, Version)> {
        match self {
            Self::Committed(commit) => Some((commit.root, commit.version - 1, commit.version)),
            Self::Moved { root, from, to, .. } => Some((*root, *from, *to)),
            Self::Skipped(_) => None,
        }
    }
}

impl Committed {
    /// Whether a job became, or passed through, one of these visible states.
    pub(crate) fn state_within(&self, id: JobId, wanted: impl Fn(State) -> bool) -> Option<State> {
        let passed = self.states.iter().filter(|(of, _)| *of == id).map(|(_, state)| *state);
        let last = self.rows.iter().filter_map(|(_, row)| match row {
            Row::Status { id: of, status, .. } if *of == id => Some(status.state),
            _ => None,
        });
        passed.chain(last).find(|state| wanted(*state))
    }
}
