use std::sync::Arc;

use jobtracker_model::{Timestamp, limits};
use jobtracker_store::{JobRow, Listed, Order, PageLimit, RootKey, RootsQuery, Store};

use super::{
    cursor::{RootsPosition, Total},
    filtered::{self, CHUNK, Filtered},
    problem::Result,
    roots_filter::wanted,
};
use crate::expression::RootFilter;

/// Operations of an expression that one request may take.
pub(super) const STEPS_MAX: usize = 20_000_000;

/// A scan of root jobs.
pub(super) struct Scan {
    pub store: Arc<dyn Store>,
    pub from: Timestamp,
    pub to: Timestamp,
    pub order: Order,
    pub filter: RootFilter,
    /// Most items on the page.
    pub items_max: usize,
}

/// The result of a scan.
pub(super) struct Found {
    pub items: Vec<JobRow>,
    /// About how large the items are.
    bytes: usize,
    /// The last root that was put on the page.
    last: Option<RootKey>,
    /// After which root the next page begins, if there may be one.
    pub next: Option<RootKey>,
    pub total: Total,
}

impl Scan {
    /// Fills the first page and counts the matches, after the page too, up to
    /// [`limits::ROOTS_COUNTED`] roots.
    pub async fn counted_page(&self) -> Result<Found> {
        let rows_max = self.filter.rows_max(limits::ROOTS_COUNTED, STEPS_MAX);
        let mut found = Found::new();
        let (mut looked_at, mut after, mut total) = (0, None, 0);
        loop {
            let limit = PageLimit::items(CHUNK.min(rows_max - looked_at));
            let chunk = self.chunk(after, limit).await?;
            looked_at += chunk.items.len();
            for row in wanted(&self.filter, chunk.items).await? {
                total += 1;
                found.take(row, self.items_max);
            }
            after = chunk.next;
            if after.is_none() || looked_at >= rows_max {
                break;
            }
        }
        let is_exact = after.is_none();
        found.next = match found.is_full(self.items_max) {
            true => found.last.filter(|_| total > found.items.len() as u64 || !is_exact),
            false => after,
        };
        found.total = if is_exact { Total::Exact(total) } else { Total::AtLeast(total) };
        Ok(found)
    }

    /// Fills a page, the first or the one after `position`, and reads no further.
    pub async fn page(&self, position: Option<RootsPosition>) -> Result<Found> {
        let after = position.map(|position| position.after);
        let Listed { items, next } = filtered::page(self, after, self.items_max).await?;
        let mut found = Found { items, next, ..Found::new() };
        found.total = match position.map_or(Total::SoFar(0), |position| position.total) {
            Total::SoFar(before) => Total::SoFar(before.saturating_add(found.items.len() as u64)),
            counted => counted,
        };
        Ok(found)
    }

    pub(super) async fn chunk(
        &self,
        after: Option<RootKey>,
        limit: PageLimit,
    ) -> Result<Listed<JobRow, RootKey>> {
        let Self { from, to, order, .. } = *self;
        Ok(self.store.list_roots(RootsQuery { from, to, order, after, limit }).await?)
    }
}

impl Filtered for Scan {
    type Row = JobRow;
    type Key = RootKey;

    async fn read(&self, after: Option<RootKey>, rows: usize) -> Result<Listed<JobRow, RootKey>> {
        self.chunk(after, PageLimit::rows(rows)).await
    }

    async fn wanted(&self, rows: Vec<JobRow>) -> Result<Vec<JobRow>> {
        wanted(&self.filter, rows).await
    }

    fn key(row: &JobRow) -> RootKey {
        RootKey { time: row.status.create_time, id: row.id }
    }

    fn bytes(row: &JobRow) -> usize {
        row.definition.bytes()
    }

    fn wants_all(&self) -> bool {
        self.filter.wants_all()
    }

    fn rows_max(&self) -> usize {
        self.filter.rows_max(limits::SCAN, STEPS_MAX)
    }
}

impl Found {
    fn new() -> Self {
        Self { items: Vec::new(), bytes: 0, last: None, next: None, total: Total::SoFar(0) }
    }

    /// The position of the next page.
    pub fn next_position(&self) -> Option<RootsPosition> {
        let total = self.total;
        self.next.map(|after| RootsPosition { after, total })
    }

    /// How many roots match, as far as that is known, and whether that is all.
    pub fn total(&self) -> (u64, bool) {
        match self.total {
            Total::Exact(roots) => (roots, true),
            Total::AtLeast(roots) => (roots, false),
            Total::SoFar(roots) => (roots, self.next.is_none()),
        }
    }

    fn is_full(&self, items_max: usize) -> bool {
        self.items.len() >= items_max || self.bytes >= limits::PAGE_BYTES
    }

    /// Adds a root to the page while there is room.
    fn take(&mut self, row: JobRow, items_max: usize) {
        if self.is_full(items_max) {
            return;
        }
        self.bytes += Scan::bytes(&row);
        self.last = Some(Scan::key(&row));
        self.items.push(row);
    }
}
