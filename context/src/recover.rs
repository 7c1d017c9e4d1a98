use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::SeqCst},
};

use jobtracker_client::ContextTracker;
use tokio::task::spawn_blocking;

use crate::{
    Error, Fsync, JobTrackerContext, RecoverReport, Result, durable_file,
    flush::detached,
    inner::Inner,
    journal::{Damage, Found, Header, Journal, JournalFile, failure},
    replay::Replay,
};

impl JobTrackerContext {
    /// Sends what a context left in its journal when its process died, and empties the journal.
    /// A journal that does not exist, or is empty, is not an error: nothing is sent then.
    ///
    /// Uploads that had been sent are sent under the same ids, so they are applied once, even if
    /// they had arrived. A call that failed can be repeated. A future that is dropped goes on.
    ///
    /// An end that was not written when the process died is left out, and kept in a file beside the
    /// journal (`.torn`); so are trees that the service refuses (`.refused`). The report names the
    /// files.
    ///
    /// # Errors
    /// [`JournalInUse`](Error::JournalInUse) if its context is still there;
    /// [`Journal`](Error::Journal) if the file is not a journal or cannot be read;
    /// [`JournalDamaged`](Error::JournalDamaged); [`JournalInDoubt`](Error::JournalInDoubt);
    /// [`Flush`](Error::Flush) if it could not be sent.
    pub async fn recover(
        tracker: Arc<dyn ContextTracker>,
        path: impl AsRef<Path>,
    ) -> Result<RecoverReport> {
        recover(tracker, path.as_ref().to_owned(), Damage::Refuse).await
    }

    /// Does what [`recover`](Self::recover) does with as much of a damaged journal as can be read.
    /// A copy of all of it is kept beside it first (`.damaged`), once for as long as it stays as it
    /// is. A journal in doubt ([`JournalInDoubt`](Error::JournalInDoubt)) counts as damaged.
    ///
    /// Operations on jobs whose entries are lost are lost too, and counted. If the lost entries
    /// said that an upload had been sent, its operations are sent once more: changes with change
    /// ids and creations are applied once all the same, other changes may be applied twice.
    ///
    /// # Errors
    /// Those of [`recover`](Self::recover) but for the damage.
    pub async fn salvage(
        tracker: Arc<dyn ContextTracker>,
        path: impl AsRef<Path>,
    ) -> Result<RecoverReport> {
        recover(tracker, path.as_ref().to_owned(), Damage::Skip).await
    }
}

async fn recover(
    tracker: Arc<dyn ContextTracker>,
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
        let beside = journal.path();
        let saved = self
            .save_refused(|fill| durable_file::create_beside(beside, "refused", u64::MAX, fill));
        let saved = saved.map_err(|error| failure(journal.path(), error))?;
        Ok(saved.map(|(_, path)| path))
    }
}

/// A context as it was when its process died, ready to send what it has left.
fn replay(
    tracker: &Arc<dyn ContextTracker>,
    path: &Path,
    damage: Damage,
) -> Result<Option<(Arc<Inner>, RecoverReport)>> {
    let failed = |error: io::Error| failure(path, error);
    let Some(mut file) = JournalFile::open(path)? else { return Ok(None) };
    let Some(Header { block_updates_after_finish, is_in_doubt }) = file.header().map_err(failed)?
    else {
        return Ok(None);
    };
    let doubted = match damage {
        _ if !is_in_doubt => None,
        Damage::Refuse => return Err(Error::JournalInDoubt { path: path.into() }),
        Damage::Skip => Some(file.set_all_aside().map_err(failed)?),
    };
    let builder = JobTrackerContext::builder(Arc::clone(tracker))
        .block_updates_after_finish(block_updates_after_finish);
    let inner = builder.inner()?;
    let mut replay = Replay::new(&inner);
    let found = file.entries(damage, |entry| replay.take(entry));
    if found.is_err() {
        // The journal still has everything.
        inner.budget.give_back(inner.budget.pending());
    }
    let Found { end, torn, damaged, set_aside } = found?;
    if doubted.is_some() {
        // From here on it knows the names under which it is sent.
        file.put_out_of_doubt().map_err(failed)?;
    }
    let Replay { batches, misplaced, .. } = replay.finish();
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
        set_aside: doubted.or(set_aside),
        ..RecoverReport::default()
    };
    Ok(Some((Arc::new(inner), report)))
}
