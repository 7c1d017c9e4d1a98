use std::pin::pin;

use futures_util::TryStreamExt;

use super::{Lists, page::Page};
use crate::{Error, JobRow, Listed, Result, RootKey, RootsQuery};

/// Root jobs by time.
///
/// # Errors
/// The rows cannot be read.
pub(crate) async fn list_roots<V: Lists>(
    view: &V,
    query: &RootsQuery,
) -> Result<Listed<JobRow, RootKey>> {
    let mut page = Page::new(query.limit);
    let mut roots = pin!(view.roots(query.from, query.to, query.order, query.after));
    while let Some(key) = roots.try_next().await? {
        if page.look(key).is_break() {
            break;
        }
        let id = key.id;
        let missing = || Error::Corrupt(format!("root {id} is in a list and is not there"));
        page.take_job(view.job(id).await?.ok_or_else(missing)?);
    }
    Ok(page.finish())
}
