use std::pin::pin;

use futures_util::TryStreamExt;
use jobtracker_model::JobId;

use super::{
    Lists,
    page::{Page, tree_result_bytes},
};
use crate::{Listed, Result, TreeResultRow, TreeResultsQuery};

/// Results on the trees of an upload, by root.
///
/// # Errors
/// The rows cannot be read.
pub(crate) async fn list_tree_results<V: Lists>(
    view: &V,
    query: &TreeResultsQuery,
) -> Result<Listed<TreeResultRow, JobId>> {
    let mut page = Page::new(query.limit);
    let mut rows = pin!(view.tree_results(&query.upload, query.after));
    while let Some(row) = rows.try_next().await? {
        if page.look(row.tree_result.root).is_break() {
            break;
        }
        let bytes = tree_result_bytes(&row);
        page.take(row, bytes);
    }
    Ok(page.finish())
}
