use super::{
    View,
    page::{Page, tree_result_bytes, try_visit},
};
use crate::{Listed, Result, TreeResultRow, TreeResultsQuery};

use jobtracker_model::JobId;

/// Results on the trees of an upload, by root.
///
/// # Errors
/// The rows cannot be read.
pub fn list_tree_results(
    view: &dyn View,
    query: &TreeResultsQuery,
) -> Result<Listed<TreeResultRow, JobId>> {
    let mut page = Page::new(query.limit);
    try_visit(
        |visit| view.tree_results(&query.upload, query.after, visit),
        |row: TreeResultRow| {
            let looked = page.look(row.tree_result.root);
            if looked.is_continue() {
                let bytes = tree_result_bytes(&row);
                page.take(row, bytes);
            }
            Ok(looked)
        },
    )?;
    Ok(page.finish())
}
