//! Deletions of trees, from their commits to the end of their removals: each is listed before it is
//! sent, and stays so until nothing is left of its tree. A removal that fails is tried again until
//! it does not; those of a server that has gone are taken over by another.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jobtracker_model::JobId;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

use super::{
    ScyllaOptions,
    cluster::Cluster,
    failure,
    fence::fence,
    open::{Left, Open, Work},
    removals::Removals,
    trees::TreeCache,
};
use crate::{Error, Result};

/// Trees that a server removes at once.
const TREES_AT_ONCE: usize = 4;
/// The wait before a removal that failed is tried again, at first and at most; it doubles.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

pub struct Deletions {
    cluster: Arc<Cluster>,
    trees: Arc<TreeCache>,
    open: Arc<Open>,
    pub removals: Removals,
    under_way: AtomicUsize,
    places: Semaphore,
    pause: Duration,
    closing: watch::Receiver<bool>,
}

/// A commit that deletes a tree, on the list of open work. Dropped before its end, its outcome is
/// not known.
pub struct Deletion {
    deletions: Arc<Deletions>,
    /// Of this sending alone: what becomes of another one does not take it off the list.
    work: Work,
    root: JobId,
    is_over: bool,
}

impl Deletions {
    pub fn new(
        open: &Arc<Open>,
        removals: Removals,
        options: &ScyllaOptions,
        closing: watch::Receiver<bool>,
    ) -> Self {
        Self {
            cluster: Arc::clone(&removals.cluster),
            trees: Arc::clone(&removals.trees),
            open: Arc::clone(open),
            removals,
            under_way: AtomicUsize::new(0),
            places: Semaphore::new(TREES_AT_ONCE),
            pause: options.removal_pause,
            closing,
        }
    }

    /// How many trees this server is removing.
    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Lists a deletion that is about to be sent.
    pub async fn announce(self: &Arc<Self>, root: JobId) -> Result<Deletion> {
        let work = Work::Removal(root, Uuid::new_v4());
        let deletion = Deletion { deletions: Arc::clone(self), work, root, is_over: false };
        match self.open.begin(work, root).await {
            Ok(()) => Ok(deletion),
            Err(error) => {
                deletion.end(&Err(error.clone()));
                Err(error)
            }
        }
    }

    /// Goes on with a deletion that its server has left open.
    pub async fn take_over(self: &Arc<Self>, left: &Left) -> Result<()> {
        if self.open.take_over(left).await? {
            self.begin(left.work, left.root);
        }
        Ok(())
    }

    /// Removes a tree in the background if it was deleted.
    fn begin(self: &Arc<Self>, work: Work, root: JobId) {
        let this = Arc::clone(self);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.cluster.runtime().spawn(async move {
            let mut closing = this.closing.clone();
            tokio::select! {
                () = this.complete(work, root) => {}
                // An error means that the store has gone, which counts as closing.
                _ = closing.wait_for(|closing| *closing) => {}
            }
        });
    }

    async fn complete(&self, work: Work, root: JobId) {
        // Readers that began before the deletion find all rows until they end.
        tokio::time::sleep(self.pause).await;
        let mut pause = PAUSE.0;
        while let Err(error) = self.attempt(work, root).await {
            tracing::warn!(%root, %error, "a deleted tree cannot be removed now");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    async fn attempt(&self, work: Work, root: JobId) -> Result<()> {
        let _place = self.places.acquire().await.map_err(failure::asking)?;
        let tail = self.trees.refresh_log(&self.trees.tree(root)).await?;
        if tail.is_none_or(|tail| tail.deletion().is_none()) {
            // A deletion that has not come true by now does not do so later.
            fence(&self.cluster, &self.trees, root, None).await?;
        }
        self.removals.remove(root).await?;
        self.open.end(work).await
    }

    /// Takes a deletion off the list that has certainly not come true.
    fn withdraw(self: &Arc<Self>, work: Work) {
        let open = Arc::clone(&self.open);
        self.cluster.runtime().spawn(async move {
            if let Err(error) = open.end(work).await {
                open.give_up(work);
                tracing::debug!(%error, "a deletion that was not done stays listed");
            }
        });
    }
}

impl Deletion {
    /// Takes the outcome of the commit.
    pub fn end(mut self, done: &Result<()>) {
        self.is_over = true;
        match done {
            Ok(()) | Err(Error::OutcomeUnknown(_)) => self.deletions.begin(self.work, self.root),
            Err(_) => self.deletions.withdraw(self.work),
        }
    }
}

impl Drop for Deletion {
    fn drop(&mut self) {
        if !self.is_over {
            self.deletions.begin(self.work, self.root);
        }
    }
}
