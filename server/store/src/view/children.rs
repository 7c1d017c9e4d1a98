use std::pin::pin;

use futures_util::TryStreamExt;
use jobtracker_model::{Category, Children, JobId, State, StateSet};

use super::{Parent, Selection, SparseIndexes, View, load::subject, page::Page};
use crate::{ChildPage, ChildrenQuery, Order, Result};

/// Children before a page that are read rather than found by an index, which is made by counting
/// all of them.
const READ: u64 = 1_024;

/// Direct children. `None`: to be asked again, of a later view.
///
/// When only pending or only failed ones are asked for, their siblings cost nothing; when the
/// parent's numbers say that there are none, no row is read.
///
/// # Errors
/// There is no such parent, or the rows cannot be read.
pub(crate) async fn list_children<V: View>(
    view: &V,
    query: &ChildrenQuery,
    indexes: &SparseIndexes,
) -> Result<Option<ChildPage>> {
    let parent = Parent::new(query.parent, &subject(view, query.parent).await?);
    let version = view.version(parent.root).await?;
    let total = selected(query.states, &parent.children);
    let answer = |page: Page<_, JobId>, skipped| {
        let listed = page.finish();
        Ok(Some(ChildPage { items: listed.items, next: listed.next, skipped, total, version }))
    };
    let mut page = Page::new(query.limit);
    let selection = Selection::children(query.states, &parent.children);
    // Past the end there is nothing, whether or not the last page was read.
    let is_past = total.is_some_and(|total| query.after.is_none() && query.skip >= total);
    let Some(selection) = selection.filter(|_| !is_past) else {
        return answer(page, total.unwrap_or(0).min(query.skip));
    };
    let (mut after, mut skip) = (query.after, query.skip);
    if query.states.is_empty() && after.is_none() && skip > READ {
        let Some(places) = indexes.places(view, parent).await? else { return Ok(None) };
        let before = match query.order {
            Order::Oldest => skip - 1,
            Order::Newest => parent.children.total() - skip,
        };
        (after, skip) = (places.child(before).await?, 0);
    }
    let mut children = pin!(view.children(parent, after, query.order, selection));
    // Without a filter these are few, and no reason for the page to end.
    let is_free = query.states.is_empty() && skip <= READ;
    while is_free && skip > 0 && children.try_next().await?.is_some() {
        skip -= 1;
    }
    while let Some(child) = children.try_next().await? {
        if page.look(child.id).is_break() {
            break;
        }
        if selection.shows(&child.status) {
            match skip {
                0 => page.take_job(parent.job(child)?),
                _ => skip -= 1,
            }
        }
    }
    answer(page, query.skip - skip)
}

/// How many children are in these states, where the parent's numbers tell.
fn selected(states: StateSet, children: &Children) -> Option<u64> {
    if states.is_empty() {
        return Some(children.total());
    }
    let categories = [
        (Category::Pending, children.pending),
        (Category::Successful, children.successful),
        (Category::Failed, children.failed),
    ];
    let mut total = 0;
    for (category, count) in categories {
        let mut of = State::ALL.into_iter().filter(|state| state.category() == Some(category));
        let asked = of.clone().any(|state| states.contains(state));
        if asked && count > 0 && !of.all(|state| states.contains(state)) {
            return None;
        }
        total += if asked { count } else { 0 };
    }
    Some(total)
}
