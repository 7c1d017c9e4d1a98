use std::{sync::Arc, time::Duration};

use jobtracker_model::{JobId, limits};
use jobtracker_store::{
    After, Error as StoreError, Listed, Node, PageLimit, Row, RowsQuery, Store, Version, Wanted,
};

use super::{
    BYTES_AT_ONCE, MovingError, ROWS_AT_ONCE, Result,
    record::Record,
    tally::{Sum, Tally},
};

/// How often a store is tried that is unavailable for a short time.
const TRIES: u32 = 6;
/// The pause after the first try; then twice as long, and so on.
const PAUSE: Duration = Duration::from_millis(100);

/// Retries a call while the store is unavailable, for a few seconds. It must be safe to repeat.
pub(super) async fn patiently<T, F>(mut ask: impl FnMut() -> F) -> jobtracker_store::Result<T>
where
    F: Future<Output = jobtracker_store::Result<T>>,
{
    let mut tried = 0;
    loop {
        tried += 1;
        match ask().await {
            Err(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_)) if tried < TRIES => {
                tokio::time::sleep(PAUSE * 2_u32.pow(tried - 1)).await;
            }
            done => return done,
        }
    }
}

/// One page of the rows of a tree.
pub(super) async fn page(
    store: &Arc<dyn Store>,
    root: JobId,
    after: After,
) -> Result<Listed<Row, JobId>> {
    page_of(|query| store.list_rows(query), root, after).await
}

/// The same from whatever lists rows.
pub(super) async fn page_of<F>(
    list: impl Fn(RowsQuery) -> F,
    root: JobId,
    after: After,
) -> Result<Listed<Row, JobId>>
where
    F: Future<Output = jobtracker_store::Result<Listed<Row, JobId>>>,
{
    let limit = PageLimit { items: ROWS_AT_ONCE, bytes: BYTES_AT_ONCE, scan: ROWS_AT_ONCE };
    let ask = || list(RowsQuery { root, after, limit });
    patiently(ask).await.map_err(|error| match error {
        StoreError::UnknownJob(id) if id == root => MovingError::UnknownRoot(root),
        error => MovingError::Tree { root, source: error },
    })
}

/// A root and the version of its tree, if it exists.
pub(super) async fn root(store: &Arc<dyn Store>, root: JobId) -> Result<Option<(Node, Version)>> {
    let wanted = Wanted { paths: [root].into(), ..Wanted::default() };
    let loaded = patiently(|| store.load(wanted.clone())).await;
    let mut loaded = loaded.map_err(MovingError::tree(root))?;
    let version = loaded.versions.get(&root).copied();
    Ok(loaded.nodes.remove(&root).zip(version))
}

/// The sum of a tree in a store.
pub(super) async fn sum(store: &Arc<dyn Store>, root: JobId) -> Result<Sum> {
    let (mut tally, mut after) = (Tally::default(), None);
    loop {
        let Listed { items, next } = page(store, root, after).await?;
        for row in items {
            tally.add(&Record::of(row).map_err(MovingError::tree(root))?);
        }
        after = next;
        if after.is_none() {
            return Ok(tally.sum());
        }
    }
}

/// The smallest id that was never given out. This call uses it up.
pub(super) async fn id_mark(store: &Arc<dyn Store>) -> Result<JobId> {
    Ok(patiently(|| store.reserve_ids(1)).await?)
}

/// Uses up all ids below a mark, so that none of them is given out.
pub(super) async fn pass_ids(store: &Arc<dyn Store>, mark: JobId) -> Result<()> {
    let mut next = id_mark(store).await?.get() + 1;
    while next < mark.get() {
        let left = u32::try_from(mark.get() - next).unwrap_or(u32::MAX);
        let count = left.min(limits::IDS_PER_RESERVATION);
        let first = patiently(|| store.reserve_ids(count)).await?;
        next = first.get() + u64::from(count);
    }
    Ok(())
}
