//! The tail of a tree's log: what no checkpoint has brought to the other tables yet.

use std::{collections::BTreeSet, sync::Arc};

use jobtracker_model::{Definition, JobId, Repeat, Timestamp, rollup::Status, upload::UploadId};
use uuid::Uuid;

use super::redo::{Born, Redo};
use crate::{FollowUp, FollowUpKey, RepeatRow, Tombstone, TreeCommit, TreeResultRow, Version};

/// A tree at one version: the head and the tail of its log. Rows of the other tables that have a
/// version up to this one, with the tail's in their places, are the tree at that instant.
#[derive(Debug, Clone)]
pub struct Tail {
    /// The tree.
    pub root: JobId,
    /// Its version.
    pub version: Version,
    /// The name of the commit, or of the fence, that made it so.
    pub cid: Uuid,
    /// Everything up to this version is in the other tables.
    pub applied: Version,
    /// The entries that are not, oldest first, without a gap up to the version. It may begin
    /// earlier.
    pub redos: Vec<Arc<Redo>>,
}

impl Tail {
    /// Whether this is all of the tree, so that the tables have nothing of it.
    pub fn is_whole_tree(&self) -> bool {
        self.begin() == 0 && self.redos.iter().all(|redo| redo.publishes.is_none())
    }

    /// The version behind which the tail knows every commit.
    pub fn begin(&self) -> Version {
        self.redos.first().map_or(self.version, |redo| redo.version - 1)
    }

    /// What is kept of the tree, and when its root was created, if it was deleted: nothing follows
    /// the commit that did that.
    pub fn deletion(&self) -> Option<(&Tombstone, Timestamp)> {
        self.redos.last().and_then(|redo| redo.deletion())
    }

    fn newest<'a, T>(&'a self, find: impl FnMut(&'a Arc<Redo>) -> Option<T>) -> Option<T> {
        self.redos.iter().rev().find_map(find)
    }

    /// The job, if it was created within the tail.
    pub fn born(&self, id: JobId) -> Option<Born> {
        self.newest(|redo| redo.born(id))
    }

    /// Children that were created within the tail, behind one of them.
    pub fn children(&self, parent: JobId, after: Option<JobId>) -> BTreeSet<JobId> {
        self.redos.iter().flat_map(|redo| redo.children(parent, after)).collect()
    }

    /// The status of a job, if it changed within the tail.
    pub fn status(&self, id: JobId) -> Option<&Status> {
        self.newest(|redo| redo.status(id))
    }

    /// The definition of a job, if it changed within the tail.
    pub fn definition(&self, id: JobId) -> Option<&Arc<Definition>> {
        self.newest(|redo| redo.definition(id))
    }

    /// The result of a repeatable append within the tail.
    pub fn repeat(&self, id: JobId, key: &Repeat) -> Option<RepeatRow> {
        self.newest(|redo| redo.repeat(id, key))
    }

    /// The text of an attachment, if it changed within the tail; the inner `None` means that it was
    /// removed.
    pub fn attachment(&self, id: JobId, key: &str) -> Option<Option<&str>> {
        self.newest(|redo| {
            redo.attachments(id).find_map(|(found, text)| (found == key).then_some(text))
        })
    }

    /// A follow-up, if it was added or changed within the tail.
    pub fn follow_up(&self, id: JobId, key: FollowUpKey) -> Option<&FollowUp> {
        self.newest(|redo| {
            redo.follow_ups(id).find_map(|(found, row)| (found == key).then_some(row))
        })
    }

    /// The result on this tree that the tail gives.
    pub fn tree_result(&self, commit: &UploadId) -> Option<&TreeResultRow> {
        self.newest(|redo| redo.tree_result(commit))
    }

    /// The commits behind a version; none if some of them are in the tables already.
    pub fn commits_after(&self, version: Version) -> Vec<TreeCommit> {
        if version < self.begin() {
            return Vec::new();
        }
        let commit = |redo: &Arc<Redo>| TreeCommit {
            root: self.root,
            expected: redo.version - 1,
            rows: redo.rows.iter().map(|(_, row)| row.clone()).collect(),
            publishes: redo.publishes,
        };
        self.redos.iter().filter(|redo| redo.version > version).map(commit).collect()
    }

    /// The size of the tail before it was packed.
    pub fn bytes(&self) -> usize {
        self.redos.iter().map(|redo| redo.bytes).sum()
    }

    /// The tail after the next commit.
    pub fn followed_by(&self, redo: Redo) -> Self {
        let mut redos = Vec::with_capacity(self.redos.len() + 1);
        redos.extend(self.redos.iter().cloned());
        let (version, cid) = (redo.version, redo.cid);
        redos.push(Arc::new(redo));
        Self { version, cid, redos, ..*self }
    }

    /// The tail without what has been applied.
    pub fn applied(&self, applied: Version) -> Self {
        let applied = applied.max(self.applied);
        let kept = self.redos.iter().filter(|redo| redo.version > applied).cloned();
        Self { applied, redos: kept.collect(), ..*self }
    }
}
