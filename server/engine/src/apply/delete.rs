use jobtracker_model::Timestamp;
use jobtracker_store::Tombstone;

use crate::{Deletion, Error, Result, workspace::Workspace};

/// Deletes a tree, if it still is as its caller has judged it.
pub(super) fn apply(
    space: &mut Workspace,
    deletion: &Deletion,
    now: Timestamp,
) -> Result<Tombstone> {
    let Deletion { root, version, by, tombstone_kept, summary } = deletion;
    let origin = space.origin(*root).ok_or(Error::JobNotFound(*root))?;
    if origin.parent.is_some() {
        return Err(Error::NotARoot { id: *root, root: origin.root });
    }
    if space.version(*root) != *version || space.is_changed(*root) {
        return Err(Error::TreeChanged(*root));
    }
    let status = space.status(*root).ok_or(Error::JobNotFound(*root))?;
    let kept = i64::try_from(tombstone_kept.as_millis()).unwrap_or(i64::MAX);
    let until = now.millis().saturating_add(kept);
    let tombstone = Tombstone {
        time: now,
        by: by.clone(),
        jobs: status.subtree.total + 1,
        until: Timestamp::from_millis(until).unwrap_or(Timestamp::MAX),
        summary: summary.clone(),
    };
    let created = status.create_time;
    space.delete(*root, created, tombstone.clone());
    Ok(tombstone)
}
