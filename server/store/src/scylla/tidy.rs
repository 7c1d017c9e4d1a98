//! What a server does besides answering: it says that it is there, and tidies up after others that
//! have gone.

use std::{sync::Arc, time::Duration};

use jobtracker_model::JobId;
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

use super::{
    checkpoint::Checkpoints,
    cluster::Cluster,
    fence::fence,
    lease::Leases,
    open::{BEAT, Open, Work},
    stages::Stages,
    trees::Trees,
};
use crate::{Result, StageId};

/// How often one of the servers looks for what is left.
const EVERY: Duration = Duration::from_secs(10);

pub struct Tidy {
    pub cluster: Arc<Cluster>,
    pub trees: Arc<Trees>,
    pub open: Arc<Open>,
    pub stages: Arc<Stages>,
    pub checkpoints: Arc<Checkpoints>,
    pub leases: Arc<Leases>,
}

impl Tidy {
    /// Works until the store is closed.
    pub async fn run(self: Arc<Self>, mut closing: watch::Receiver<bool>) {
        let mut next = Instant::now() + EVERY;
        loop {
            tokio::select! {
                () = tokio::time::sleep(BEAT) => {}
                // An error means that the store has gone, which is as good as closing.
                _ = closing.wait_for(|closing| *closing) => return,
            }
            if let Err(error) = self.open.beat().await {
                tracing::warn!(%error, "this server cannot say that it is there");
            }
            if Instant::now() >= next {
                next = Instant::now() + EVERY;
                if let Err(error) = self.in_turn().await {
                    tracing::warn!(%error, "what is left cannot be tidied up now");
                }
            }
        }
    }

    async fn in_turn(&self) -> Result<()> {
        if self.leases.take("tidy", EVERY * 3).await? {
            self.tick().await?;
        }
        Ok(())
    }

    /// Tidies up after every server that has gone; answers how much there was.
    pub async fn tick(&self) -> Result<usize> {
        let left = self.open.left().await?;
        for (work, record) in &left {
            match work {
                Work::Stage(stage) => {
                    self.stages.remove(StageId(*stage), Some(record.root)).await?;
                }
                Work::Parts(cid) => self.parts(*cid, record.root).await?,
            }
        }
        Ok(left.len())
    }

    /// Parts of an entry that is in the log go with a checkpoint, others at once. The fence makes
    /// sure that it does not get there later.
    async fn parts(&self, cid: Uuid, root: JobId) -> Result<()> {
        fence(&self.cluster, &self.trees, root, None).await?;
        let tree = self.trees.tree(root);
        let tail = self.trees.look(&tree).await?;
        if tail.is_some_and(|tail| tail.redos.iter().any(|redo| redo.cid == cid)) {
            self.checkpoints.whole(&tree).await?;
        }
        self.cluster.write(&self.cluster.statements.drop_parts, (cid,)).await?;
        self.open.end(Work::Parts(cid)).await
    }
}
