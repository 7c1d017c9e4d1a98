use std::vec;

use futures_util::{Stream, TryStreamExt, stream};
use jobtracker_model::JobId;

use super::{Child, Parent, Selection, View, load::subject};
use crate::{After, Error, Node, Order, Result};

/// Siblings that a list has not come to yet: their parent, and the one behind which they stand.
type Level = (Parent, After);

/// The rest of a list below `of` that goes on behind `after`, in its order: the jobs below `after`,
/// then the siblings behind it, then those behind its parent, and so on up to `of`.
///
/// It is found by going up, so it costs the same no matter how much of the tree was listed before,
/// and jobs that were added meanwhile are included.
async fn levels_behind<V: View>(
    view: &V,
    of: JobId,
    after: After,
    selection: Selection,
) -> Result<Vec<Level>> {
    let mut levels = Vec::new();
    let mut add = |id, node: &Node, behind| {
        if selection.goes_below(&node.status) {
            levels.push((Parent::new(id, node), behind));
        }
    };
    let top = subject(view, of).await?;
    let mut behind = None;
    if let Some(after) = after {
        let not_below = || Error::BadCursor { of, after };
        let mut id = after;
        if id == of {
            return Err(not_below());
        }
        while id != of {
            let node = view.node(id).await?.ok_or_else(not_below)?;
            add(id, &node, behind);
            behind = Some(id);
            id = node.origin.parent.ok_or_else(not_below)?;
        }
    }
    add(of, &top, behind);
    Ok(levels)
}

/// Where a list is.
struct Walk<S> {
    levels: vec::IntoIter<Level>,
    /// The siblings that it has begun with, the lowest last.
    begun: Vec<(Parent, S)>,
    /// What it begins with next; not before it is asked for more, as it may be full.
    below: Option<Level>,
}

/// Jobs below `of` and behind `after`, each before its own children, siblings by id, as far as the
/// selection goes; each with its parent.
pub(super) async fn descend<V: View>(
    view: &V,
    of: JobId,
    after: After,
    selection: Selection,
) -> Result<impl Stream<Item = Result<(Parent, Child)>>> {
    let levels = levels_behind(view, of, after, selection).await?;
    let begin = move |(parent, behind): Level| {
        (parent, Box::pin(view.children(parent, behind, Order::Oldest, selection)))
    };
    let state = Walk { levels: levels.into_iter(), begun: Vec::new(), below: None };
    let next = move |walk| async move {
        let Walk { mut levels, mut begun, mut below } = walk;
        loop {
            begun.extend(below.take().map(begin));
            let Some((parent, rows)) = begun.last_mut() else {
                below = levels.next();
                if below.is_none() {
                    return Ok(None);
                }
                continue;
            };
            match rows.try_next().await? {
                Some(child) => {
                    let parent = *parent;
                    if selection.goes_below(&child.status) {
                        below = Some((parent.of(&child), None));
                    }
                    return Ok(Some(((parent, child), Walk { levels, begun, below })));
                }
                None => drop(begun.pop()),
            }
        }
    };
    Ok(stream::try_unfold(state, next))
}
