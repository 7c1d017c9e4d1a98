use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::SeqCst},
};

use jobtracker_client::JobTracker;
use jobtracker_model::{Change, Definition, JobId, Timestamp, commit::CommitId};
use tokio::task::spawn_blocking;

use crate::{
    ContextBuilder, Error, Fsync, JobTrackerContext, RecoverReport, Result,
    budget::Cost,
    commit::Batch,
    flush::detached,
    follow_ups::FollowUps,
    inner::Inner,
    journal::{Damage, Entry, Found, Journal, JournalFile, failure},
    put_aside,
    tree::{Creation, Planted, Recording},
};

impl JobTrackerContext {
    /// Sends what a context has left in its journal when its process died, and empties the journal.
    /// A journal that is not there, or is empty, is no mistake: nothing is sent then.
    ///
    /// What had been sent is sent under the same commit ids, so it is applied once, also if it had
    /// arrived. If it fails it can be called again. A future that is dropped goes on.
    ///
    /// An end that was not written when the process died is left out, and kept in a file beside the
    /// journal (`.torn`); so are trees that the service refuses (`.refused`). The report names the
    /// files.
    ///
    /// # Errors
    /// [`JournalInUse`](Error::JournalInUse) if its context is still there;
    /// [`Journal`](Error::Journal) if it is none or cannot be read;
    /// [`JournalDamaged`](Error::JournalDamaged); [`Flush`](Error::Flush) if it could not be sent.
    pub async fn recover(
        tracker: Arc<dyn JobTracker>,
        path: impl AsRef<Path>,
    ) -> Result<RecoverReport> {
        recover(tracker, path.as_ref().to_owned(), Damage::Refuse).await
    }

    /// Does what [`recover`](Self::recover) does with as much of a damaged journal as can be read.
    /// A copy of all of it is kept beside it first (`.damaged`).
    ///
    /// What was recorded about jobs whose entries are lost is lost too, and counted. If it was the
    /// damage that said that something had been sent, that is sent once more: changes with change
    /// ids and creations are applied once all the same, other changes may come twice.
    ///
    /// # Errors
    /// Those of [`recover`](Self::recover) but for the damage.
    pub async fn salvage(
        tracker: Arc<dyn JobTracker>,
        path: impl AsRef<Path>,
    ) -> Result<RecoverReport> {
        recover(tracker, path.as_ref().to_owned(), Damage::Skip).await
    }
}

async fn recover(
    tracker: Arc<dyn JobTracker>,
    path: PathBuf,
    damage: Damage,
) -> Result<RecoverReport> {
    detached(async move {
        let replayed = spawn_blocking(move || replay(&tracker, &path, damage)).await;
        match replayed.map_err(|_| Error::Closed)?? {
            Some((inner, report)) => send(inner, report).await,
            None => Ok(RecoverReport::default()),
        }
    })
    .await
}

async fn send(inner: Arc<Inner>, mut report: RecoverReport) -> Result<RecoverReport> {
    match Arc::clone(&inner).flush().await {
        Ok(flushed) => report.flushed = flushed,
        Err(Error::Refused { flushed }) => report.flushed = *flushed,
        Err(error) => {
            // The journal keeps it; the memory need not.
            inner.budget.give_back(inner.budget.pending());
            return Err(error);
        }
    }
    let keeper = Arc::clone(&inner);
    let kept = spawn_blocking(move || keeper.keep_refused()).await.map_err(|_| Error::Closed)?;
    if kept.is_err() {
        inner.budget.give_back(inner.budget.pending());
    }
    report.refused_in = kept?;
    if let Some(journal) = inner.buffer.journal() {
        journal.clear();
        journal.sync().await?;
    }
    Ok(report)
}

impl Inner {
    /// Puts trees that were refused into a file beside the journal.
    fn keep_refused(&self) -> Result<Option<PathBuf>> {
        let Some(journal) = self.buffer.journal() else { return Ok(None) };
        let saved = self.save_refused(|| put_aside::create_beside(journal.path(), "refused"));
        let saved = saved.map_err(|error| failure(journal.path(), error))?;
        Ok(saved.map(|(_, path)| path))
    }
}

/// A context as it was when its process died, ready to send what it has left.
fn replay(
    tracker: &Arc<dyn JobTracker>,
    path: &Path,
    damage: Damage,
) -> Result<Option<(Arc<Inner>, RecoverReport)>> {
    let failed = |error: io::Error| failure(path, error);
    let Some(mut file) = JournalFile::open(path)? else { return Ok(None) };
    let Some(rule) = file.rule().map_err(failed)? else { return Ok(None) };
    let builder = ContextBuilder::new(Arc::clone(tracker)).block_updates_after_finish(rule);
    let inner = builder.inner()?;
    let mut replay = Replay { inner: &inner, batches: Vec::new(), misplaced: 0 };
    let found = file.entries(damage, |entry| replay.take(entry));
    if found.is_err() {
        // It is all in the journal still.
        inner.budget.give_back(inner.budget.pending());
    }
    let Found { end, torn, damaged, set_aside } = found?;
    let Replay { batches, misplaced, .. } = replay;
    let operations = inner.budget.pending().operations;
    for batch in batches {
        batch.in_doubt.store(true, SeqCst);
        inner.budget.freeze(batch.cost);
        inner.queue.lock().push_back(Arc::new(batch));
    }
    let journal = Journal::start(file, Fsync::OnCall, u64::MAX, end, operations)?;
    inner.buffer.set_journal(journal);
    let report = RecoverReport {
        operations,
        misplaced,
        torn_bytes: torn,
        damaged_bytes: damaged,
        set_aside,
        ..RecoverReport::default()
    };
    Ok(Some((Arc::new(inner), report)))
}

fn creation(
    id: JobId,
    parent: Option<JobId>,
    definition: Definition,
    follow_ups: Option<Arc<FollowUps>>,
) -> Creation {
    let cost = Cost::creation(&definition, follow_ups.as_deref());
    Creation { id, parent, definition: Arc::new(definition), follow_ups, cost }
}

/// Does once more what a journal says.
struct Replay<'a> {
    inner: &'a Inner,
    /// Those that have no outcome yet, the oldest first.
    batches: Vec<Batch>,
    misplaced: u64,
}

impl Replay<'_> {
    fn take(&mut self, entry: Entry<'static>) {
        match entry {
            Entry::Base { path } => {
                if let Err(error) = self.inner.buffer.load_path(&path) {
                    tracing::warn!(%error, "a path of a journal cannot be placed");
                }
            }
            Entry::Created { id, parent, order, time, definition } => {
                let creation = creation(id, parent, definition.into_owned(), None);
                self.create(creation, time, order);
            }
            Entry::CreatedFollowed { id, parent, order, time, definition, actions, checks } => {
                let follow_ups = FollowUps::of(actions.into_owned(), checks.into_owned());
                let creation = creation(id, parent, definition.into_owned(), follow_ups);
                self.create(creation, time, order);
            }
            Entry::Changed { id, order, change } => self.change(id, order, change.into_owned()),
            Entry::Options { id, options } => {
                let cost = Cost::options(options.as_deref());
                self.record(id, cost, |at| {
                    at.set_options(options.map(std::borrow::Cow::into_owned), cost)
                });
            }
            Entry::Lines { id, time, lines } => {
                let cost = Cost::lines(&lines);
                self.record(id, cost, |at| at.append(lines.into_owned(), time, cost));
            }
            Entry::Sealed { commit, root } => self.seal(commit.into_owned(), root),
            Entry::Acknowledged { commit } => self.acknowledge(&commit),
        }
    }

    fn create(&mut self, creation: Creation, time: Timestamp, order: u64) {
        let (id, cost) = (creation.id, creation.cost);
        let share = self.inner.budget.take_anyway(cost);
        let planted = match creation.parent {
            None => self.inner.buffer.plant(creation, time).ok(),
            Some(parent) => {
                let create = |at: &mut Recording<'_>| {
                    at.resume_at(order);
                    at.create_below(creation, time)
                };
                self.inner.buffer.at(parent, create).ok().and_then(Result::ok)
            }
        };
        let is_placed = match planted {
            Some(Planted::New) => true,
            Some(Planted::Taken(creation)) => self.create_again(creation, order),
            None => false,
        };
        if is_placed {
            share.keep();
        } else {
            drop(share);
            self.misplace(id, cost);
        }
    }

    /// A job that had been sent and had left the buffer was created once more, before the journal
    /// knew that it was sent. False: it is another case.
    fn create_again(&self, creation: Creation, order: u64) -> bool {
        let id = creation.id;
        let again = |at: &mut Recording<'_>| {
            let is_sent = at.is_sent();
            if is_sent {
                at.create_again(creation, order);
            }
            Ok(is_sent)
        };
        matches!(self.inner.buffer.at(id, again), Ok(Ok(true)))
    }

    fn change(&mut self, id: JobId, order: u64, change: Change) {
        let cost = Cost::change([&change.message, &change.reason_code, &change.change_id]);
        self.record(id, cost, |at| {
            at.resume_at(order);
            at.report(change, cost);
            Ok(())
        });
    }

    fn record(&mut self, id: JobId, cost: Cost, op: impl FnOnce(&mut Recording<'_>) -> Result<()>) {
        let share = self.inner.budget.take_anyway(cost);
        if let Ok(Ok(())) = self.inner.buffer.at(id, op) {
            share.keep();
        } else {
            drop(share);
            self.misplace(id, cost);
        }
    }

    fn misplace(&mut self, id: JobId, cost: Cost) {
        tracing::error!(job = %id, "an entry of a journal is about a job that it does not have");
        self.misplaced += cost.operations;
    }

    fn seal(&mut self, commit: CommitId, root: JobId) {
        let Some(tree) = self.inner.buffer.tree(root) else { return };
        let buffer = &self.inner.buffer;
        let at = self.batches.iter().position(|batch| batch.id == commit);
        let at = at.unwrap_or_else(|| {
            self.batches.push(Batch::new(commit, buffer.block_updates_after_finish));
            self.batches.len() - 1
        });
        self.batches[at].take(buffer, &tree);
    }

    fn acknowledge(&mut self, commit: &CommitId) {
        if let Some(at) = self.batches.iter().position(|batch| batch.id == *commit) {
            let batch = self.batches.remove(at);
            batch.settle(&self.inner.buffer);
            self.inner.budget.give_back(batch.cost);
        }
    }
}
