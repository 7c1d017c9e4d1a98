use jobtracker_model::JobId;

use super::{View, load::subject};
use crate::{After, Error, Node, Result};

/// Siblings that a walk over descendants has not come to yet.
pub(super) struct Level {
    /// Their parent.
    pub parent: JobId,
    /// What is known of the parent.
    pub node: Node,
    /// The sibling behind which they stand; `None`: all of them.
    pub behind: After,
}

/// The rest of a walk below `of` that goes on behind `after`, in its order: the jobs below `after`,
/// then the siblings behind it, then those behind its parent, and so on up to `of`.
///
/// It is found by going up, so it costs the same no matter how much of the tree was walked before,
/// and jobs that were added meanwhile are included.
pub(super) fn levels_behind(view: &dyn View, of: JobId, after: After) -> Result<Vec<Level>> {
    let node = subject(view, of)?;
    let Some(after) = after else { return Ok(vec![Level { parent: of, node, behind: None }]) };
    let not_below = || Error::BadCursor { of, after };
    let mut levels = Vec::new();
    let (mut id, mut behind) = (after, None);
    while id != of {
        let node = view.node(id)?.ok_or_else(not_below)?;
        let parent = node.origin.parent.ok_or_else(not_below)?;
        levels.push(Level { parent: id, node, behind });
        (id, behind) = (parent, Some(id));
    }
    if levels.is_empty() {
        return Err(not_below());
    }
    levels.push(Level { parent: of, node, behind });
    Ok(levels)
}
