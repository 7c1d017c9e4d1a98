//! Trees that the service has refused. They stay in the context until somebody has taken them.

use std::{io::Write, path::Path, sync::Arc};

use futures_util::TryStreamExt;
use jobtracker_client::{Error as ClientError, ListPage};
use jobtracker_model::{
    JobId, ProblemCode,
    commit::{CommitId, CommitOutcome, Refusal, TreeVerdict},
};
use tokio::task::spawn_blocking;

use crate::{
    Error, JobTrackerContext, Result,
    budget::Cost,
    commit::{Batch, BatchTree, write_stream},
    inner::Inner,
    put_aside,
};

/// A tree that the service has refused: nothing of it was applied.
///
/// It takes room in the buffer until it is [saved](JobTrackerContext::save_refused) or
/// [dropped](JobTrackerContext::drop_refused).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedTree {
    /// The root.
    pub root: JobId,
    /// The commit in which it was sent.
    pub commit: CommitId,
    /// Why it was refused.
    pub refusal: Refusal,
    /// Creations, changes, options and lines in it.
    pub operations: u64,
}

/// The same with what was to be sent.
pub(crate) struct Refused {
    tree: Arc<BatchTree>,
    commit: CommitId,
    /// Operations of the whole commit: as long as one tree of it is here, the journal keeps all.
    committed: u64,
    refusal: Refusal,
}

impl JobTrackerContext {
    /// The trees that the service has refused, in the order in which it did, and why. They stay
    /// here, also after the context has been closed by
    /// [`commit_and_close`](Self::commit_and_close), and in the journal if there is one.
    #[must_use]
    pub fn refused(&self) -> Vec<RefusedTree> {
        let list = self.inner.refused.lock();
        let shown = list.iter().map(|refused| RefusedTree {
            root: refused.tree.tree.root,
            commit: refused.commit.clone(),
            refusal: refused.refusal.clone(),
            operations: refused.tree.cost.operations,
        });
        shown.collect()
    }

    /// Throws away what was refused of the tree with this root; says how many operations it was.
    pub fn drop_refused(&self, root: JobId) -> u64 {
        self.inner.let_go(|refused| refused.tree.tree.root == root).operations
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
            inner.save_refused(|| put_aside::create(&path).map(|file| (file, ()))).map_err(failed)
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

    /// Writes the refused trees to the file that is opened for them, and lets them go.
    pub fn save_refused<T>(
        &self,
        open: impl FnOnce() -> std::io::Result<(std::fs::File, T)>,
    ) -> std::io::Result<Option<(u64, T)>> {
        let trees: Vec<_> =
            self.refused.lock().iter().map(|refused| Arc::clone(&refused.tree)).collect();
        if trees.is_empty() {
            return Ok(None);
        }
        let (mut file, opened) = open()?;
        let rule = self.buffer.block_updates_after_finish;
        let trees_of = trees.iter().map(|tree| &**tree);
        write_stream(rule, trees_of, &mut |bytes| file.write_all(&bytes))?;
        file.sync_all()?;
        // More may have been refused meanwhile.
        self.let_go(|refused| trees.iter().any(|tree| Arc::ptr_eq(tree, &refused.tree)));
        Ok(Some((trees.len() as u64, opened)))
    }

    /// Forgets some of the refused trees; says what they took.
    pub fn let_go(&self, which: impl Fn(&Refused) -> bool) -> Cost {
        let mut cost = Cost::default();
        let mut list = self.refused.lock();
        let (gone, left): (Vec<_>, Vec<_>) = list.drain(..).partition(which);
        *list = left;
        for (at, refused) in gone.iter().enumerate() {
            cost.add(refused.tree.cost);
            let others = list.iter().chain(&gone[at + 1..]);
            if let Some(journal) = self.buffer.journal()
                && others.into_iter().all(|other| other.commit != refused.commit)
            {
                journal.acknowledge(&refused.commit, refused.committed);
            }
        }
        drop(list);
        self.budget.settle(cost);
        cost
    }

    /// A batch has an outcome: what was applied is the service's business now, and what was refused
    /// is put here.
    pub fn settle(&self, batch: &Batch, refusals: Vec<(JobId, Refusal)>) {
        batch.settle(&self.buffer);
        let mut applied = batch.cost;
        let mut list = self.refused.lock();
        for (root, refusal) in refusals {
            let trees = batch.trees.iter().filter(|tree| tree.tree.root == root);
            list.extend(trees.map(|tree| {
                applied.take(tree.cost);
                let (tree, commit) = (Arc::clone(tree), batch.id.clone());
                let committed = batch.cost.operations;
                Refused { tree, commit, committed, refusal: refusal.clone() }
            }));
        }
        let is_over = list.iter().all(|refused| refused.commit != batch.id);
        drop(list);
        if let Some(journal) = self.buffer.journal().filter(|_| is_over) {
            journal.acknowledge(&batch.id, batch.cost.operations);
        }
        self.budget.settle(applied);
        // Where all was refused there is no more room, and those who wait for it have to hear that.
        self.budget.room.notify_waiters();
    }

    /// What became of a batch that was answered, and which of its trees were refused.
    ///
    /// A commit that is refused as a whole for what is in it is no reason to keep others waiting:
    /// of its trees, those before the mistake may have been applied, and the others count as
    /// refused. What has to be set right elsewhere (a token, the rule for finished jobs) stays an
    /// error.
    pub async fn judge(
        &self,
        batch: &Batch,
        sent: Result<CommitOutcome, ClientError>,
    ) -> Result<(CommitOutcome, Vec<(JobId, Refusal)>), ClientError> {
        let outcome = match sent {
            Ok(outcome) => outcome,
            Err(error) => match refusal_of_all(&error) {
                Some(refusal) => self.refuse_rest(batch, &refusal).await?,
                None => return Err(error),
            },
        };
        let mut refusals = refusals(outcome.attention.clone());
        if (refusals.len() as u64) < outcome.refused {
            refusals = self::refusals(self.verdicts(batch).await?);
        }
        Ok((outcome, refusals))
    }

    async fn refuse_rest(
        &self,
        batch: &Batch,
        refusal: &Refusal,
    ) -> Result<CommitOutcome, ClientError> {
        let known = match self.tracker.commit_outcome(&batch.id).await? {
            Some(_) => self.verdicts(batch).await?,
            None => Vec::new(),
        };
        let mut outcome = CommitOutcome::new(batch.id.clone());
        for tree in &batch.trees {
            let root = tree.tree.root;
            let refused =
                || TreeVerdict { refusal: Some(refusal.clone()), ..TreeVerdict::new(root) };
            let verdict = known.iter().find(|verdict| verdict.root == root);
            outcome.add(&verdict.cloned().unwrap_or_else(refused));
        }
        Ok(outcome)
    }

    async fn verdicts(&self, batch: &Batch) -> Result<Vec<TreeVerdict>, ClientError> {
        self.tracker.commit_trees_stream(&batch.id, ListPage::default()).try_collect().await
    }
}

fn refusals(verdicts: Vec<TreeVerdict>) -> Vec<(JobId, Refusal)> {
    let refused = |verdict: TreeVerdict| verdict.refusal.map(|refusal| (verdict.root, refusal));
    verdicts.into_iter().filter_map(refused).collect()
}

/// The refusal of every tree, if the service has refused a commit for what is in it.
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
