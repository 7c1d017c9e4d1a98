//! Trees that the service has refused. They stay in the context until the caller takes them.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use futures_util::TryStreamExt;
use jobtracker_client::{Error as ClientError, ListPage};
use jobtracker_model::{
    JobId, ProblemCode,
    upload::{Refusal, TreeResult, UploadId, UploadOutcome},
};
use tokio::task::spawn_blocking;

use crate::{
    Error, JobTrackerContext, Result,
    budget::Cost,
    durable_file::{self, Fill},
    inner::Inner,
    journal::{Journal, write_kept},
    upload::{Batch, Refused, write_stream},
};

/// A tree that the service has refused: nothing of it was applied.
///
/// It takes room in the buffer until it is [saved](JobTrackerContext::save_refused) or
/// [dropped](JobTrackerContext::drop_refused).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedTree {
    /// The root.
    pub root: JobId,
    /// The upload in which it was sent.
    pub upload: UploadId,
    /// Why it was refused.
    pub refusal: Refusal,
    /// Creations, changes, options and lines in it.
    pub operations: u64,
}

impl JobTrackerContext {
    /// The trees that the service has refused, in the order in which it did, and why. They stay
    /// here, also after the context has been closed by
    /// [`commit_and_close`](Self::commit_and_close), and in the journal if there is one.
    #[must_use]
    pub fn refused(&self) -> Vec<RefusedTree> {
        let list = self.inner.refused.lock();
        let shown = list.iter().map(|refused| RefusedTree {
            root: refused.tree.root,
            upload: refused.upload.clone(),
            refusal: refused.refusal.clone(),
            operations: refused.tree.cost.operations,
        });
        shown.collect()
    }

    /// Throws away what was refused of the tree with this root; says how many operations it was.
    pub fn drop_refused(&self, root: JobId) -> u64 {
        self.inner.let_go(|refused| refused.tree.root == root).operations
    }

    /// Writes all trees that were refused to a new file, from where they can be sent when the cause
    /// is gone ([`SavedTrees`](crate::SavedTrees)), and lets them go; says how many there were.
    /// Without any there is no file. Only its owner may read it.
    ///
    /// # Errors
    /// [`Save`](Error::Save), also if there is a file of that name. They are all still here then.
    pub async fn save_refused(&self, path: impl AsRef<Path>) -> Result<u64> {
        let (inner, path) = (Arc::clone(&self.inner), path.as_ref().to_owned());
        let saved = spawn_blocking(move || {
            let failed = |error| Error::Save { path: path.clone(), source: Arc::new(error) };
            inner.save_refused(|fill| durable_file::create(&path, fill)).map_err(failed)
        });
        let saved = saved.await.map_err(|_| Error::Closed)??;
        Ok(saved.map_or(0, |(trees, ())| trees))
    }
}

impl Inner {
    /// What the refused trees take.
    pub fn refused_cost(&self) -> Cost {
        let mut cost = Cost::default();
        self.refused.lock().iter().for_each(|refused| cost.add(refused.tree.cost));
        cost
    }

    /// Writes the refused trees to a file, and lets them go when it is durable.
    pub fn save_refused<T>(
        &self,
        create: impl FnOnce(&mut Fill<'_>) -> io::Result<T>,
    ) -> io::Result<Option<(u64, T)>> {
        let trees: Vec<_> =
            self.refused.lock().iter().map(|refused| Arc::clone(&refused.tree)).collect();
        if trees.is_empty() {
            return Ok(None);
        }
        let rule = self.buffer.block_updates_after_finish;
        let created = create(&mut |file| {
            let trees_of = trees.iter().map(|tree| &**tree);
            write_stream(rule, trees_of, &mut |bytes| file.write_all(&bytes))
        })?;
        // More may have been refused meanwhile.
        self.let_go(|refused| trees.iter().any(|tree| Arc::ptr_eq(tree, &refused.tree)));
        Ok(Some((trees.len() as u64, created)))
    }

    /// Forgets some of the refused trees; says what they took.
    pub fn let_go(&self, which: impl Fn(&Refused) -> bool) -> Cost {
        let mut cost = Cost::default();
        let mut list = self.refused.lock();
        let (gone, left): (Vec<_>, Vec<_>) = list.drain(..).partition(which);
        *list = left;
        let mut operations: HashMap<_, u64> = HashMap::new();
        for refused in &gone {
            cost.add(refused.tree.cost);
            *operations.entry(&refused.upload).or_default() += refused.tree.cost.operations;
        }
        for (upload, operations) in operations {
            self.settle_in_journal(upload, operations, &list);
        }
        self.budget.settle(cost);
        cost
    }

    /// A batch has an outcome: the applied trees leave the context, and the refused ones are put
    /// here.
    pub fn settle(&self, batch: &Batch, refusals: Vec<(JobId, Refusal)>) {
        batch.settle(&self.buffer);
        let mut applied = batch.cost;
        let mut list = self.refused.lock();
        let mut refusals: HashMap<_, _> = refusals.into_iter().collect();
        for tree in &batch.trees {
            let Some(refusal) = refusals.remove(&tree.root) else { continue };
            applied.take(tree.cost);
            let (tree, upload) = (Arc::clone(tree), batch.id.clone());
            list.push(Refused { tree, upload, refusal });
        }
        self.settle_in_journal(&batch.id, applied.operations, &list);
        drop(list);
        self.budget.settle(applied);
        // Where all was refused no room was made, and the tasks that wait for it have to learn
        // that.
        self.budget.room.notify_waiters();
    }

    /// Notes that this many operations of an upload are settled, and that of its trees those of the
    /// list are left. If the journal is needed for that list alone, it shrinks to it.
    fn settle_in_journal(&self, upload: &UploadId, operations: u64, list: &[Refused]) {
        let Some(journal) = self.buffer.journal() else { return };
        let of_commit = list.iter().filter(|refused| refused.upload == *upload);
        let roots: Vec<_> = of_commit.map(|refused| refused.tree.root).collect();
        journal.settle(upload, &roots, operations);
        self.shrink(journal, list);
    }

    /// Has the journal begin anew if only these trees are left in it and it has outgrown them.
    fn shrink(&self, journal: &Journal, list: &[Refused]) {
        let left = list.iter().map(|refused| refused.tree.cost.operations).sum();
        if !journal.has_outgrown(left) {
            return;
        }
        match self.as_entries(list) {
            Ok(entries) => journal.begin_with(left, entries),
            Err(error) => tracing::error!(%error, "a tree that was refused cannot be written"),
        }
    }

    /// Has a journal begin anew that has failed, with what is left in it.
    pub fn renew_journal(&self) {
        if let Some(journal) = self.buffer.journal() {
            self.shrink(journal, &self.refused.lock());
        }
    }

    /// What a journal has to have of these trees.
    fn as_entries(&self, list: &[Refused]) -> io::Result<Vec<u8>> {
        let rule = self.buffer.block_updates_after_finish;
        list.iter().try_fold(Vec::new(), |entries, Refused { tree, upload, .. }| {
            Ok(write_kept(upload, tree.root, tree.cost, &tree.stream(rule)?, entries))
        })
    }

    /// What became of a batch that was answered, and which of its trees were refused.
    ///
    /// An upload that is refused as a whole for what is in it is no reason to keep others waiting:
    /// of its trees, those before the mistake may have been applied, and the others count as
    /// refused. What has to be set right elsewhere (a token, the rule for finished jobs) stays an
    /// error.
    pub async fn judge(
        &self,
        batch: &Batch,
        sent: Result<UploadOutcome, ClientError>,
    ) -> Result<Judged, ClientError> {
        let outcome = match sent {
            Ok(outcome) => outcome,
            Err(error) => match refusal_of_all(&error) {
                Some(refusal) => self.refuse_rest(batch, &refusal).await?,
                None => return Err(error),
            },
        };
        if outcome.trees > batch.trees.len() as u64 {
            return self.judge_rest(batch).await;
        }
        let mut refusals = refusals(outcome.attention.clone());
        if (refusals.len() as u64) < outcome.refused {
            refusals = self::refusals(self.tree_results(batch).await?);
        }
        Ok((outcome, refusals))
    }

    /// The other trees of the upload were settled before the process died.
    async fn judge_rest(&self, batch: &Batch) -> Result<Judged, ClientError> {
        let here: HashSet<_> = batch.trees.iter().map(|tree| tree.root).collect();
        let mut tree_results = self.tree_results(batch).await?;
        tree_results.retain(|tree_result| here.contains(&tree_result.root));
        let complete = true;
        let mut outcome = UploadOutcome { complete, ..UploadOutcome::new(batch.id.clone()) };
        tree_results.iter().for_each(|tree_result| outcome.add(tree_result));
        Ok((outcome, refusals(tree_results)))
    }

    async fn refuse_rest(
        &self,
        batch: &Batch,
        refusal: &Refusal,
    ) -> Result<UploadOutcome, ClientError> {
        let known = match self.tracker.upload_outcome(&batch.id).await? {
            Some(_) => self.tree_results(batch).await?,
            None => Vec::new(),
        };
        let mut outcome = UploadOutcome::new(batch.id.clone());
        for tree in &batch.trees {
            let root = tree.root;
            let refused = || TreeResult { refusal: Some(refusal.clone()), ..TreeResult::new(root) };
            let tree_result = known.iter().find(|tree_result| tree_result.root == root);
            outcome.add(&tree_result.cloned().unwrap_or_else(refused));
        }
        Ok(outcome)
    }

    async fn tree_results(&self, batch: &Batch) -> Result<Vec<TreeResult>, ClientError> {
        self.tracker.upload_trees_stream(&batch.id, ListPage::default()).try_collect().await
    }
}

/// What became of the trees of a batch, and which of them were refused.
type Judged = (UploadOutcome, Vec<(JobId, Refusal)>);

fn refusals(tree_results: Vec<TreeResult>) -> Vec<(JobId, Refusal)> {
    let refused =
        |tree_result: TreeResult| tree_result.refusal.map(|refusal| (tree_result.root, refusal));
    tree_results.into_iter().filter_map(refused).collect()
}

/// The refusal of every tree, if the service has refused an upload for what is in it.
fn refusal_of_all(error: &ClientError) -> Option<Refusal> {
    use ProblemCode::{CommitConflict, CommitTooLarge, InvalidCommit};
    let ClientError::Problem { code, problem, .. } = error else { return None };
    let is_meant = matches!(code, Some(InvalidCommit | CommitConflict | CommitTooLarge));
    is_meant.then(|| Refusal {
        position: 0,
        code: problem.code.clone(),
        detail: problem.detail.clone(),
    })
}
