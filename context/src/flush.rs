use std::{
    future::Future,
    panic,
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, SeqCst},
    },
};

use jobtracker_client::Error as ClientError;
use jobtracker_model::upload::UploadOutcome;
use tokio::{sync::SemaphorePermit, task::spawn_blocking};

use crate::{
    Discarded, Error, Flushed, Result,
    budget::Cost,
    inner::Inner,
    upload::{Batch, Batches, Sending},
};

impl Inner {
    /// Sends what was recorded, after what earlier flushes have left. Each flush waits for its
    /// turn.
    pub async fn flush(self: Arc<Self>) -> Result<Flushed> {
        let _turn = self.turn().await;
        self.flush_in_turn().await
    }

    /// A flush for which no caller waits: its outcome is told to the next caller.
    pub async fn flush_unasked(self: Arc<Self>) -> Result<()> {
        let _turn = self.turn().await;
        self.flush_in_background().await
    }

    /// A flush that makes room for this much, unless another one has done so by the time that it
    /// is its turn.
    pub async fn flush_for_room(self: Arc<Self>, cost: Cost) -> Result<()> {
        let _turn = self.turn().await;
        if self.try_room(cost)?.is_some() {
            return Ok(());
        }
        self.flush_in_background().await
    }

    async fn turn(&self) -> SemaphorePermit<'_> {
        self.turn.acquire().await.expect("it is never closed")
    }

    async fn flush_in_turn(self: &Arc<Self>) -> Result<Flushed> {
        let mut flushed = std::mem::take(&mut *self.unreported.lock());
        let sent = self.send_all(&mut flushed).await;
        match sent {
            Ok(()) if flushed.refused > 0 => Err(Error::Refused { flushed: Box::new(flushed) }),
            Ok(()) => Ok(flushed),
            Err(error) => {
                self.failed_flushes.fetch_add(1, Relaxed);
                self.unreported.lock().add(flushed);
                Err(error)
            }
        }
    }

    async fn flush_in_background(self: &Arc<Self>) -> Result<()> {
        let flushed = match self.flush_in_turn().await {
            Ok(flushed) => flushed,
            Err(Error::Refused { flushed }) => {
                tracing::warn!(refused = flushed.refused, "trees of a context were refused");
                *flushed
            }
            Err(error) => return Err(error),
        };
        self.unreported.lock().add(flushed);
        Ok(())
    }

    /// Sends everything and lets nothing more in. If it cannot be sent, the context stays open.
    pub async fn commit_and_close(self: Arc<Self>) -> Result<Flushed> {
        if !self.buffer.close() {
            return Err(Error::Closed);
        }
        let flushed = Arc::clone(&self).flush().await;
        if !matches!(flushed, Ok(_) | Err(Error::Refused { .. })) {
            self.buffer.open_again();
        } else if let Some(journal) = self.buffer.journal() {
            // The file has nothing left of what was sent when the program ends now. If it cannot be
            // written, the writer says so, and what it still has is asked for before it is sent.
            let _ = journal.sync().await;
        }
        self.budget.room.notify_waiters();
        flushed
    }

    /// Throws everything away and lets nothing more in.
    pub async fn close(self: Arc<Self>) -> Result<Discarded> {
        if !self.buffer.close() {
            return Err(Error::Closed);
        }
        let turn = self.turn().await;
        // An operation that is being recorded now is complete when its tree could be taken.
        self.seal().await;
        let mut discarded = Discarded::default();
        for batch in std::mem::take(&mut *self.queue.lock()) {
            discarded.operations += batch.cost.operations;
            if batch.is_in_doubt() {
                discarded.in_doubt += batch.cost.operations;
            }
            self.budget.settle(batch.cost);
        }
        discarded.operations += self.let_go(|_| true).operations;
        self.buffer.clear();
        if let Some(journal) = self.buffer.journal() {
            journal.clear();
            journal.sync().await?;
        }
        drop(turn);
        self.budget.room.notify_waiters();
        Ok(discarded)
    }

    async fn send_all(self: &Arc<Self>, flushed: &mut Flushed) -> Result<()> {
        self.send_queue(flushed).await?;
        self.seal().await;
        // An upload is sent when the journal knows what is in it, or that it does not: after a
        // crash it must not be sent under another name.
        if let Some(journal) = self.buffer.journal()
            && let Err(error) = journal.sync().await
            && !self.queue.lock().is_empty()
        {
            journal.put_in_doubt()?;
            tracing::warn!(%error, "a journal failed; what it should have is sent from memory");
        }
        self.send_queue(flushed).await?;
        // A journal that has failed has less to hold now; the next recording should find that.
        if let Some(journal) = self.buffer.journal().filter(|journal| journal.check().is_err()) {
            let inner = Arc::clone(self);
            blocking(move || inner.renew_journal()).await;
            let _ = journal.sync().await;
        }
        Ok(())
    }

    /// Takes what has been recorded out of the trees.
    async fn seal(self: &Arc<Self>) {
        let inner = Arc::clone(self);
        blocking(move || {
            let mut batches = Batches::new(&inner.buffer);
            for tree in inner.buffer.take_listed() {
                batches.take(&tree);
            }
            for batch in batches.finish() {
                inner.budget.freeze(batch.cost);
                inner.queue.lock().push_back(Arc::new(batch));
            }
        })
        .await;
    }

    /// Sends what has been taken out, the oldest first. What has no outcome stays.
    async fn send_queue(self: &Arc<Self>, flushed: &mut Flushed) -> Result<()> {
        loop {
            let Some(batch) = self.queue.lock().front().cloned() else { return Ok(()) };
            let sent = self.deliver(&batch).await;
            let judged = self.judge(&batch, sent).await;
            let (outcome, refusals) = judged.map_err(|error| Error::Flush(Arc::new(error)))?;
            flushed.add_outcome(outcome);
            self.uploads.fetch_add(1, Relaxed);
            let inner = Arc::clone(self);
            blocking(move || {
                inner.queue.lock().pop_front();
                inner.settle(&batch, refusals);
            })
            .await;
        }
    }

    /// Sends a batch. If it may have arrived before, the service is asked first.
    async fn deliver(&self, batch: &Arc<Batch>) -> Result<UploadOutcome, ClientError> {
        let was_in_doubt = batch.in_doubt.swap(true, SeqCst);
        if was_in_doubt
            && let Some(outcome) = self.tracker.upload_outcome(&batch.id).await?
            && outcome.complete
        {
            return Ok(outcome);
        }
        let source = Arc::new(Sending(Arc::clone(batch)));
        let sent = self.tracker.upload(&batch.id, source).await;
        if let Err(error) = &sent {
            batch.in_doubt.store(was_in_doubt || error.outcome_unknown(), SeqCst);
        }
        sent
    }
}

/// Runs to its end even if its caller has stopped waiting.
pub(crate) async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    match tokio::spawn(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => panic::resume_unwind(panic),
            // The runtime is being shut down.
            Err(_) => Err(Error::Closed),
        },
    }
}

/// Does work that takes long with many jobs on a thread where it holds up no other task.
async fn blocking(work: impl FnOnce() + Send + 'static) {
    if let Err(error) = spawn_blocking(work).await
        && let Ok(panic) = error.try_into_panic()
    {
        panic::resume_unwind(panic);
    }
}
