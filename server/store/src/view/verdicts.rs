use super::{
    View,
    page::{Page, try_visit, verdict_bytes},
};
use crate::{Listed, Result, VerdictRow, VerdictsQuery};

use jobtracker_model::JobId;

/// Verdicts on the trees of a sent commit, by root.
///
/// # Errors
/// The rows cannot be read.
pub fn list_verdicts(view: &dyn View, query: &VerdictsQuery) -> Result<Listed<VerdictRow, JobId>> {
    let mut page = Page::new(query.limit);
    try_visit(
        |visit| view.verdicts(&query.commit, query.after, visit),
        |row: VerdictRow| {
            let looked = page.look(row.verdict.root);
            if looked.is_continue() {
                let bytes = verdict_bytes(&row);
                page.take(row, bytes);
            }
            Ok(looked)
        },
    )?;
    Ok(page.finish())
}
