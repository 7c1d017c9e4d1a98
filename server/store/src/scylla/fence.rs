//! Fences: after one, a commit computed from the old head can no longer follow it, however late its
//! request arrives.

use std::sync::Arc;

use jobtracker_model::JobId;
use uuid::Uuid;

use super::{
    attempt::Attempt,
    cluster::Cluster,
    failure, keys,
    open::stage_key,
    tail::Tail,
    trees::{REVOKED, TreeCache},
};
use crate::{Error, Result, StageId};

/// Times that a fence may be overtaken by commits.
const RACES: usize = 100;

/// Whether a tree was deleted and has been removed.
async fn was_deleted(trees: &TreeCache, root: JobId) -> Result<bool> {
    let reservations = trees.reservations(&[root]).await?;
    Ok(reservations.iter().any(|reservation| reservation.stage == keys::DELETED))
}

/// Gives the commit at a tree's head another name, and revokes a stage with it if one is named. A
/// tree that is not there gets a head without jobs.
pub async fn fence(
    cluster: &Cluster,
    trees: &Arc<TreeCache>,
    root: JobId,
    revoke: Option<StageId>,
) -> Result<()> {
    let tree = trees.tree(root);
    let (attempts, session) = (&cluster.attempts, cluster.session());
    let key = keys::number(root);
    let mark = revoke.map(|stage| (key, stage_key(stage.0), REVOKED));
    let mut patience = cluster.doubt();
    for _ in 0..RACES {
        let tail = trees.refresh_log(&tree).await?;
        if let Some(stage) = revoke
            && trees.mark(root, stage).await?.is_some()
        {
            return Ok(());
        }
        // Its ids stay reserved, so no commit can create it, and a head would only come back.
        if tail.is_none() && mark.is_none() && was_deleted(trees, root).await? {
            return Ok(());
        }
        let cid = Uuid::new_v4();
        let attempt = match (&tail, mark) {
            (None, None) => attempts.one(session, &attempts.fence_absent, (key, 0_i64, cid)).await,
            (None, Some(mark)) => {
                let values = ((key, 0_i64, cid), mark);
                attempts.batch(session, &attempts.revoke_absent, values).await
            }
            (Some(tail), mark) => {
                let version = tail.version as i64;
                let head = (version, cid, key, version, tail.cid);
                match mark {
                    None => attempts.one(session, &attempts.fence, head).await,
                    Some(mark) => attempts.batch(session, &attempts.revoke, (head, mark)).await,
                }
            }
        };
        match attempt? {
            Attempt::Applied => {
                if let Some(tail) = tail {
                    tree.advance(Tail { cid, ..Tail::clone(&tail) });
                }
                return Ok(());
            }
            Attempt::NotSent(error) => return Err(error),
            // Another server was faster, or the outcome is not known: one more fence does no harm.
            Attempt::Lost(_) => {}
            Attempt::Unknown(error) => {
                if !patience.wait().await {
                    return Err(failure::asking(error));
                }
            }
        }
    }
    Err(Error::Unavailable(format!("tree {root} moves on too fast; try again")))
}
