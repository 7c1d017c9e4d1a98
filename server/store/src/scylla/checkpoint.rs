//! Checkpoints: they bring the older part of a tree's log to the other tables.

use std::sync::Arc;

use super::{
    ScyllaOptions,
    cluster::Cluster,
    connect, keys,
    open::{Open, Work},
    tail::Tail,
    tree::Tree,
    trees::TreeCache,
    writes::Writes,
};
use crate::{Result, Version};

/// How many times its due length a tail may reach before commits wait for its checkpoint.
const OVERLONG: usize = 8;

/// Makes checkpoints. Any number of servers may make one of the same log at once: they write the
/// same rows with the same timestamps.
pub struct Checkpoints {
    cluster: Arc<Cluster>,
    trees: Arc<TreeCache>,
    open: Arc<Open>,
    versions: usize,
    bytes: usize,
}

impl Checkpoints {
    pub fn new(
        cluster: Arc<Cluster>,
        trees: Arc<TreeCache>,
        open: Arc<Open>,
        options: &ScyllaOptions,
    ) -> Self {
        let versions = (options.tail_versions as usize).max(2);
        Self { cluster, trees, open, versions, bytes: options.tail_bytes }
    }

    /// Up to which version a checkpoint is due. The newer half of a tail stays: rows that have just
    /// been written change again soon, and readers that are under way still find what they began
    /// with.
    fn due(&self, tail: &Tail) -> Option<Version> {
        // It is removed as a whole, and its last entry has to stay until then.
        if tail.deletion().is_some() {
            return None;
        }
        let (mut versions, mut bytes) = (tail.redos.len(), tail.bytes());
        if versions < self.versions && bytes < self.bytes {
            return None;
        }
        let mut upto = None;
        for redo in &tail.redos {
            if versions <= self.versions / 2 && bytes <= self.bytes / 2 {
                break;
            }
            upto = Some(redo.version);
            versions -= 1;
            bytes -= redo.bytes;
        }
        upto
    }

    fn is_overlong(&self, tail: &Tail) -> bool {
        tail.redos.len() > self.versions * OVERLONG || tail.bytes() > self.bytes * OVERLONG
    }

    /// Begins a checkpoint of a tree in the background if one is due. Waits for it if the tail is
    /// far too long.
    pub async fn after_commit(self: &Arc<Self>, tree: &Arc<Tree>) {
        let Some(tail) = tree.tail() else { return };
        if self.due(&tail).is_none() {
            return;
        }
        let Ok(place) = Arc::clone(&tree.checkpoint).try_acquire_owned() else {
            if self.is_overlong(&tail) {
                // The permit is free when the task that makes the checkpoint is done.
                drop(tree.checkpoint.acquire().await);
            }
            return;
        };
        let (this, tree, overlong) = (Arc::clone(self), Arc::clone(tree), self.is_overlong(&tail));
        let work = self.cluster.runtime().spawn(async move {
            while let Some(tail) = tree.tail()
                && let Some(upto) = this.due(&tail)
            {
                if let Err(error) = this.make(&tree, &tail, upto).await {
                    tracing::warn!(root = %tree.root, %error, "a checkpoint has to be made again");
                    break;
                }
            }
            this.trees.weigh(&tree);
            drop(place);
        });
        if overlong {
            // A panic there is reported by the runtime; the log is still whole.
            let _ = work.await;
        }
    }

    /// Brings a whole log to the other tables, but for the entry that deletes the tree.
    pub async fn whole(&self, tree: &Arc<Tree>) -> Result<()> {
        let Some(tail) = self.trees.refresh_log(tree).await? else { return Ok(()) };
        let upto = tail.version - u64::from(tail.deletion().is_some());
        if upto > 0 { self.make(tree, &tail, upto).await } else { Ok(()) }
    }

    async fn make(&self, tree: &Arc<Tree>, tail: &Tail, upto: Version) -> Result<()> {
        let applied = || tail.redos.iter().filter(|redo| redo.version <= upto);
        let mut writes = Writes::default();
        for redo in applied() {
            for (stage, row) in &redo.rows {
                writes.add(*stage, row, redo.version, redo.stamp)?;
            }
        }
        writes.flush(&self.cluster).await?;
        let (root, statements) = (keys::number(tree.root), &self.cluster.statements);
        let until = upto as i64;
        // Readers begin behind it from now on, so everything has to be in the tables by now.
        self.cluster.write(&statements.put_applied, (root, until, until)).await?;
        if let Some(now) = tree.tail() {
            tree.advance(now.applied(upto));
        }
        // When the entries have gone, nothing but the list of open work knows of their parts.
        let parted = || applied().filter(|redo| redo.parted).map(|redo| redo.cid);
        for cid in parted() {
            self.open.begin(Work::Parts(cid), tree.root).await?;
        }
        let now = connect::now_millis() * 1_000;
        self.cluster.write(&statements.drop_redos, (now, root, until)).await?;
        for cid in parted() {
            self.cluster.write(&statements.drop_parts, (cid,)).await?;
            self.open.end(Work::Parts(cid)).await?;
        }
        Ok(())
    }
}
