//! What a server does besides answering: it sends its heartbeat, and tidies up after servers that
//! have gone.

use std::{convert::Infallible, sync::Arc, time::Duration};

use jobtracker_model::JobId;
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    checkpoint::Checkpoints,
    cluster::Cluster,
    deletions::Deletions,
    fence::fence,
    lease::Leases,
    open::{BEAT, Left, Open, Work},
    stages::Stages,
    trees::TreeCache,
};
use crate::{Result, StageId};

/// How often one of the servers searches for work that was left open.
const EVERY: Duration = Duration::from_secs(10);

pub struct Tidy {
    pub cluster: Arc<Cluster>,
    pub trees: Arc<TreeCache>,
    pub open: Arc<Open>,
    pub stages: Arc<Stages>,
    pub checkpoints: Arc<Checkpoints>,
    pub leases: Arc<Leases>,
    pub deletions: Arc<Deletions>,
}

impl Tidy {
    /// Begins its work, which goes on until the store is closed. Removals that were left by then
    /// are under way when this returns.
    pub async fn begin(self: &Arc<Self>, closing: watch::Receiver<bool>) {
        if let Err(error) = self.take_over_deletions().await {
            tracing::warn!(%error, "removals that were left are found later");
        }
        tokio::spawn(Arc::clone(self).run(closing));
    }

    async fn run(self: Arc<Self>, mut closing: watch::Receiver<bool>) {
        tokio::select! {
            never = self.say_it_is_there() => match never {},
            never = self.look_for_what_is_left() => match never {},
            // An error means that the store has gone, which counts as closing.
            _ = closing.wait_for(|closing| *closing) => {}
        }
    }

    /// Runs beside the tidying, however long that takes: other servers take away the work of a
    /// server that is silent.
    async fn say_it_is_there(&self) -> Infallible {
        loop {
            tokio::time::sleep(BEAT).await;
            if let Err(error) = self.open.beat().await {
                tracing::warn!(%error, "this server cannot say that it is there");
            }
        }
    }

    async fn look_for_what_is_left(&self) -> Infallible {
        loop {
            tokio::time::sleep(EVERY).await;
            let own = self.end_all(&self.open.given_up()).await;
            if let Err(error) = own.and(self.in_turn().await) {
                tracing::warn!(%error, "what is left cannot be tidied up now");
            }
        }
    }

    /// Goes on with the removals of servers that have gone.
    async fn take_over_deletions(&self) -> Result<()> {
        for left in self.open.left().await? {
            if let Work::Removal(..) = left.work {
                self.deletions.take_over(&left).await?;
            }
        }
        Ok(())
    }

    async fn in_turn(&self) -> Result<()> {
        if self.leases.take("tidy", EVERY * 3).await? {
            self.tick().await?;
        }
        Ok(())
    }

    /// Tidies up after every server that has gone, and what this one has given up; answers how much
    /// there was. Deleted trees are removed behind this.
    pub async fn tick(&self) -> Result<usize> {
        let mut left = self.open.given_up();
        left.extend(self.open.left().await?);
        self.end_all(&left).await?;
        Ok(left.len())
    }

    /// Work that cannot be ended does not keep the rest from it.
    async fn end_all(&self, left: &[Left]) -> Result<()> {
        let mut ended = Ok(());
        for left in left {
            if let Err(error) = self.end(left).await {
                ended = Err(error);
            }
        }
        ended
    }

    async fn end(&self, left: &Left) -> Result<()> {
        match left.work {
            Work::Stage(stage) => self.stages.remove(StageId(stage), Some(left.root)).await?,
            Work::Parts(cid) => self.parts(cid, left.root).await?,
            Work::Removal(..) => return self.deletions.take_over(left).await,
        }
        self.open.end_left(left).await
    }

    /// Parts of an entry that is in the log are removed by a checkpoint, others at once. The fence
    /// makes sure that the entry does not get there later.
    async fn parts(&self, cid: Uuid, root: JobId) -> Result<()> {
        fence(&self.cluster, &self.trees, root, None).await?;
        let tree = self.trees.tree(root);
        let tail = self.trees.refresh_log(&tree).await?;
        if tail.is_some_and(|tail| tail.redos.iter().any(|redo| redo.cid == cid)) {
            self.checkpoints.whole(&tree).await?;
        }
        self.cluster.write(&self.cluster.statements.drop_parts, (cid,)).await
    }
}
