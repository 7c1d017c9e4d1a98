use super::{
    View,
    load::{job_of, must_be_there},
    page::{Page, job_bytes, try_visit},
};
use crate::{JobRow, Listed, Result, RootKey, RootsQuery};

/// Root jobs, newest first.
///
/// # Errors
/// The rows cannot be read.
pub fn list_roots(view: &dyn View, query: &RootsQuery) -> Result<Listed<JobRow, RootKey>> {
    let mut page = Page::new(query.limit);
    try_visit(
        |visit| view.roots(query.from, query.to, query.after, visit),
        |key| {
            let looked = page.look(key);
            if looked.is_continue() {
                let job = job_of(view, key.id, must_be_there(view, key.id)?)?;
                let bytes = job_bytes(&job);
                page.take(job, bytes);
            }
            Ok(looked)
        },
    )?;
    Ok(page.finish())
}
