//! Lists, page by page.

use std::fmt::{Debug, Display};

use jobtracker_model::{Change, JobId, LogLine, State, StateSet, Timestamp};

use super::{expected::ordered, stage::Stage};
use jobtracker_store::{
    BlockerRow, BlockersQuery, ChangesQuery, ChildrenQuery, DescendantsQuery, JobRow, Listed,
    LogQuery, Order, PageLimit, Result, RootKey, RootsQuery,
};

/// The largest pages.
pub(super) const WIDE: PageLimit = PageLimit { items: 1000, bytes: 4 << 20, scan: 20_000 };

/// Pages that each bound cuts short.
pub(super) const NARROW: [PageLimit; 6] = [
    PageLimit { items: 1, ..WIDE },
    PageLimit { items: 2, ..WIDE },
    PageLimit { items: 7, ..WIDE },
    PageLimit { bytes: 1, ..WIDE },
    PageLimit { scan: 1, ..WIDE },
    PageLimit { items: 2, scan: 3, ..WIDE },
];

pub(super) const ORDERS: [Order; 2] = [Order::Oldest, Order::Newest];

/// All states, each one, and some that go together.
pub(super) fn filters() -> Vec<StateSet> {
    let mut filters = vec![
        StateSet::EMPTY,
        StateSet::FINISHED,
        StateSet::from_iter([State::Running, State::Warning]),
        StateSet::from_iter([State::WaitingToRun, State::WaitingForChildrenToComplete]),
        StateSet::from_iter([State::Running, State::Faulted]),
        State::ALL.into_iter().filter(|state| !state.is_finished()).collect(),
    ];
    filters.extend(State::ALL.into_iter().map(|state| StateSet::from_iter([state])));
    filters
}

/// The times between which every root was created.
pub(super) const ALWAYS: (Timestamp, Timestamp) = (Timestamp::MIN, Timestamp::MAX);

impl Stage {
    /// Puts the pages of a list together. `rows` is how many rows the list has at most, matching or
    /// not.
    pub(super) async fn gather<T, K: PartialEq + Clone + Debug>(
        &self,
        what: impl Display,
        limit: PageLimit,
        rows: usize,
        ask: impl AsyncFn(Option<K>) -> Result<Listed<T, K>>,
    ) -> Vec<T> {
        let mut items = Vec::new();
        let mut after = None;
        // Every page but the last has to get on by a row.
        for _ in 0..=rows + 1 {
            let page = self.ok(&what, ask(after.clone()).await);
            let most = if limit.bytes == 1 { 1 } else { limit.items.min(limit.scan) };
            if page.items.len() > most {
                let got = page.items.len();
                self.fail(format_args!("{what}: {got} items on a page, with {limit:?}"));
            }
            items.extend(page.items);
            if page.next.is_none() {
                return items;
            }
            if page.next == after {
                self.fail(format_args!("{what}: does not get on from {after:?}, with {limit:?}"));
            }
            after = page.next;
        }
        self.fail(format_args!("{what}: more pages than {rows} rows can fill, with {limit:?}"))
    }

    pub async fn children_pages(
        &self,
        parent: JobId,
        states: StateSet,
        order: Order,
        limit: PageLimit,
    ) -> Vec<JobRow> {
        let rows = self.forest.job(parent).children.len();
        let what = format!("children of {parent} in {states:?}");
        let ask = async |after| {
            let query = ChildrenQuery { states, order, after, limit, ..ChildrenQuery::of(parent) };
            let page = self.store.list_children(query).await?;
            Ok(Listed { items: page.items, next: page.next })
        };
        self.gather(what, limit, rows, ask).await
    }

    pub async fn descendants_pages(
        &self,
        of: JobId,
        states: StateSet,
        limit: PageLimit,
    ) -> Vec<JobRow> {
        let rows = self.forest.below(of).len();
        let what = format!("descendants of {of} in {states:?}");
        let ask = async |after| {
            self.store.list_descendants(DescendantsQuery { of, states, after, limit }).await
        };
        self.gather(what, limit, rows, ask).await
    }

    pub async fn blockers_pages(&self, of: JobId, limit: PageLimit) -> Vec<BlockerRow> {
        let rows = 1 + self.forest.below(of).len();
        let ask = async |after| self.store.list_blockers(BlockersQuery { of, after, limit }).await;
        self.gather(format_args!("blockers of {of}"), limit, rows, ask).await
    }

    pub async fn changes_pages(&self, id: JobId, limit: PageLimit) -> Vec<Change> {
        let rows = self.forest.job(id).changes.len();
        let ask = async |after: Option<u32>| {
            let from = after.map_or(0, |number| number + 1);
            self.store.list_changes(ChangesQuery { id, from, limit }).await
        };
        self.gather(format_args!("changes of {id}"), limit, rows, ask).await
    }

    pub async fn log_pages(&self, id: JobId, limit: PageLimit) -> Vec<LogLine> {
        let rows = self.forest.job(id).log.len();
        let ask = async |after: Option<u32>| {
            let from = Some(after.map_or(0, |number| number + 1));
            self.store.list_log(LogQuery { id, from, limit }).await
        };
        self.gather(format_args!("log of {id}"), limit, rows, ask).await
    }

    pub async fn roots_pages(
        &self,
        (from, to): (Timestamp, Timestamp),
        order: Order,
        limit: PageLimit,
    ) -> Vec<JobRow> {
        let rows = self.forest.jobs.len();
        let ask = async |after: Option<RootKey>| {
            self.store.list_roots(RootsQuery { from, to, order, after, limit }).await
        };
        self.gather(format_args!("roots from {from} to {to}"), limit, rows, ask).await
    }

    /// The page that ends with the last line.
    pub async fn compare_log_end(&self, id: JobId, limit: PageLimit) {
        let due = &self.forest.job(id).log;
        let what = format!("end of the log of {id} with {limit:?}");
        let page = self.store.list_log(LogQuery { id, from: None, limit }).await;
        let Listed { items, next } = self.ok(&what, page);
        self.same(format_args!("{what}: next"), &next, &None);
        let room = if limit.bytes == 1 { 1 } else { limit.items.min(limit.scan) };
        let most = due.len().min(room);
        self.same(what, &items.as_slice(), &&due[due.len() - most..]);
    }

    /// Compares every list of one job, with one kind of pages.
    pub async fn compare_lists(&self, id: JobId, filters: &[StateSet], limit: PageLimit) {
        for &states in filters {
            for order in ORDERS {
                let got = self.children_pages(id, states, order, limit).await;
                let what = format!("children of {id} in {states:?}, {order:?}, with {limit:?}");
                let due = ordered(self.forest.children(id, states), order);
                self.same_jobs(what, &got, &due);
            }
            let got = self.descendants_pages(id, states, limit).await;
            let what = format!("descendants of {id} in {states:?} with {limit:?}");
            self.same_jobs(what, &got, &self.forest.descendants(id, states));
        }
        let got = self.blockers_pages(id, limit).await;
        let ids =
            |blockers: &[BlockerRow]| blockers.iter().map(|one| one.job.id).collect::<Vec<_>>();
        let due = self.forest.blockers(id);
        self.same(format_args!("ids of blockers of {id} with {limit:?}"), &ids(&got), &ids(&due));
        self.same(format_args!("blockers of {id} with {limit:?}"), &got, &due);
        let job = self.forest.job(id);
        let got = self.changes_pages(id, limit).await;
        self.same(format_args!("changes of {id} with {limit:?}"), &got, &job.changes);
        let got = self.log_pages(id, limit).await;
        self.same(format_args!("log of {id} with {limit:?}"), &got, &job.log);
        self.compare_log_end(id, limit).await;
    }

    /// Compares the list of roots created in a span of time.
    pub async fn compare_roots(&self, span: (Timestamp, Timestamp), limit: PageLimit) {
        for order in ORDERS {
            let got = self.roots_pages(span, order, limit).await;
            let what = format!("roots from {} to {}, {order:?}, with {limit:?}", span.0, span.1);
            self.same_jobs(what, &got, &self.forest.roots(span.0, span.1, order));
        }
    }
}
