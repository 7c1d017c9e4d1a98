use jobtracker_model::limits;
use jobtracker_store::Listed;

use super::problem::Result;

/// Rows that are read at once, so that no single read delays others.
pub(super) const CHUNK: usize = 1_000;

/// A list of the store of which only some rows are wanted.
pub(super) trait Filtered {
    type Row;
    type Key: Copy;

    /// Up to that many rows, wanted or not, behind a key. The store looks at no more for them.
    async fn read(
        &self,
        after: Option<Self::Key>,
        rows: usize,
    ) -> Result<Listed<Self::Row, Self::Key>>;
    /// Those of the rows that are wanted, in their order.
    async fn wanted(&self, rows: Vec<Self::Row>) -> Result<Vec<Self::Row>>;
    /// Where the list goes on behind a row.
    fn key(row: &Self::Row) -> Self::Key;
    /// About the size of a row on a page.
    fn bytes(row: &Self::Row) -> usize;

    /// Whether every row is wanted.
    fn wants_all(&self) -> bool {
        false
    }

    /// How many rows are read for one page at most.
    fn rows_max(&self) -> usize {
        limits::SCAN
    }
}

/// A page of a filtered list: reads on until it is full, or as many rows were read as one page may
/// cost. So a page may have no item and still go on.
pub(super) async fn page<F: Filtered>(
    list: &F,
    mut after: Option<F::Key>,
    items_max: usize,
) -> Result<Listed<F::Row, F::Key>> {
    let rows_max = list.rows_max();
    let size = if list.wants_all() { items_max } else { CHUNK };
    let (mut items, mut bytes, mut read) = (Vec::new(), 0, 0);
    loop {
        let asked = size.min(rows_max - read);
        let chunk = list.read(after, asked).await?;
        // The store may have looked at more rows than it answers.
        read += asked;
        let mut rows = list.wanted(chunk.items).await?.into_iter();
        let is_full = |items: &[_], bytes| items.len() >= items_max || bytes >= limits::PAGE_BYTES;
        while !is_full(&items, bytes)
            && let Some(row) = rows.next()
        {
            bytes += F::bytes(&row);
            items.push(row);
        }
        if is_full(&items, bytes) {
            let goes_on = rows.len() > 0 || chunk.next.is_some();
            let next = items.last().map(F::key).filter(|_| goes_on);
            return Ok(Listed { items, next });
        }
        after = chunk.next;
        if after.is_none() || read >= rows_max {
            return Ok(Listed { items, next: after });
        }
    }
}
