use async_trait::async_trait;
use jobtracker_model::{
    Blocker, Change, Job, JobId, Order, Page, RootPage, State, StateSet, Timestamp,
};

use super::{LogQuery, stream};
use crate::{ItemStream, Result};

/// Which page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListPage {
    /// Items on the page, 1 to 1000; 200 without it. A page may be shorter and still not be the
    /// last: the cursor tells.
    pub limit: Option<u32>,
    /// `next_cursor` of the page before; without it the first page.
    pub cursor: Option<String>,
}

/// Says which page: the same for every list that comes in pages.
macro_rules! pages {
    ($($query:ident)*) => {$(
        impl $query {
            /// With at most this many items on the page, 1 to 1000.
            #[must_use]
            pub fn limit(mut self, limit: u32) -> Self {
                self.limit = Some(limit);
                self
            }

            /// Where the page before ended.
            #[must_use]
            pub fn cursor(mut self, cursor: impl Into<String>) -> Self {
                self.cursor = Some(cursor.into());
                self
            }
        }
    )*};
}

pages! { ListPage ListJobs ListChildren RootsQuery LogQuery }

/// Which jobs below a job, and which page of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListJobs {
    /// Only jobs whose visible state is in the set; an empty set lets all pass.
    pub states: StateSet,
    /// Jobs on the page, 1 to 1000; 200 without it. A filtered page may be empty and still not be
    /// the last: the cursor tells.
    pub limit: Option<u32>,
    /// `next_cursor` of the page before; without it the first page.
    pub cursor: Option<String>,
}

impl ListJobs {
    /// Only jobs whose visible state is one of these.
    #[must_use]
    pub fn states(mut self, states: impl IntoIterator<Item = State>) -> Self {
        self.states = states.into_iter().collect();
        self
    }
}

/// Which children of a job, and which page of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListChildren {
    /// Only children whose visible state is in the set; an empty set lets all pass.
    pub states: StateSet,
    /// Only children whose name begins with this.
    pub name_prefix: Option<String>,
    /// By rising id, or by falling id.
    pub order: Order,
    /// How many of these children come before the page; not with a cursor.
    pub offset: Option<u64>,
    /// Jobs on the page, 1 to 1000; 200 without it. A filtered page may be empty and still not be
    /// the last: the cursor tells.
    pub limit: Option<u32>,
    /// `next_cursor` of the page before, with the same order; without it the first page.
    pub cursor: Option<String>,
}

impl ListChildren {
    /// Only children whose visible state is one of these.
    #[must_use]
    pub fn states(mut self, states: impl IntoIterator<Item = State>) -> Self {
        self.states = states.into_iter().collect();
        self
    }

    /// The name begins with this.
    #[must_use]
    pub fn name_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.name_prefix = Some(prefix.into());
        self
    }

    /// In this order.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Without this many children at the begin of the list.
    #[must_use]
    pub fn offset(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }
}

/// Which root jobs, and which page of them. A condition that is not set lets all pass; all that are
/// set must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RootsQuery {
    /// Created at this time or later.
    pub from: Option<Timestamp>,
    /// Created before this time.
    pub to: Option<Timestamp>,
    /// The name begins with this.
    pub name_prefix: Option<String>,
    /// Created by exactly this.
    pub created_by: Option<String>,
    /// Has all of these tags. A tag with a comma can only be asked for by an expression.
    pub tags: Vec<String>,
    /// The visible state is in the set; an empty set lets all pass.
    pub states: StateSet,
    /// A CEL expression over the job that is true; up to 1024 bytes.
    pub expression: Option<String>,
    /// Jobs on the page, 1 to 1000; 200 without it. A filtered page may be empty and still not be
    /// the last: the cursor tells.
    pub limit: Option<u32>,
    /// `next_cursor` of the page before; without it the first page.
    pub cursor: Option<String>,
    /// Newest first, unless this says otherwise.
    pub order: Option<Order>,
    /// Whether the first page counts the matches among up to 100,000 roots. Otherwise the total of
    /// a page is the number of matches on the pages up to it.
    pub total: bool,
}

impl RootsQuery {
    /// Created at this time or later.
    #[must_use]
    pub fn from(mut self, from: Timestamp) -> Self {
        self.from = Some(from);
        self
    }

    /// Created before this time.
    #[must_use]
    pub fn to(mut self, to: Timestamp) -> Self {
        self.to = Some(to);
        self
    }

    /// The name begins with this.
    #[must_use]
    pub fn name_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.name_prefix = Some(prefix.into());
        self
    }

    /// Created by exactly this.
    #[must_use]
    pub fn created_by(mut self, name: impl Into<String>) -> Self {
        self.created_by = Some(name.into());
        self
    }

    /// Has this tag, besides those that were asked for before.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// The visible state is one of these.
    #[must_use]
    pub fn states(mut self, states: impl IntoIterator<Item = State>) -> Self {
        self.states = states.into_iter().collect();
        self
    }

    /// This CEL expression over the job is true.
    #[must_use]
    pub fn expression(mut self, expression: impl Into<String>) -> Self {
        self.expression = Some(expression.into());
        self
    }

    /// In this order.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = Some(order);
        self
    }

    /// With the number of all that match, counted for the first page.
    #[must_use]
    pub fn with_total(mut self) -> Self {
        self.total = true;
        self
    }
}

/// Lists of jobs, and of what is known of one: a part of a [`JobTracker`](crate::JobTracker).
///
/// A page is as the service has it when it is asked; what changes between two pages may be missed,
/// or come as it is by then. All of it is reading: safe to repeat, and nothing is left behind by a
/// future or a stream that is dropped.
#[async_trait]
pub trait Lists: Send + Sync {
    /// A page of the states that a job itself has reported, oldest first; the first is its
    /// creation.
    async fn changes(&self, id: JobId, page: ListPage) -> Result<Page<Change>>;

    /// [`changes`](Self::changes) one by one; pages are fetched as they are needed.
    fn changes_stream(&self, id: JobId, page: ListPage) -> ItemStream<'_, Change> {
        stream::items(page.cursor, move |cursor| {
            self.changes(id, ListPage { limit: page.limit, cursor })
        })
    }

    /// A page of the direct children of a job.
    async fn children(&self, id: JobId, list: ListJobs) -> Result<Page<Job>>;

    /// [`children`](Self::children) one by one; pages are fetched as they are needed.
    fn children_stream(&self, id: JobId, list: ListJobs) -> ItemStream<'_, Job> {
        let ListJobs { states, limit, cursor } = list;
        stream::items(cursor, move |cursor| self.children(id, ListJobs { states, limit, cursor }))
    }

    /// A page of all jobs below a job.
    async fn descendants(&self, id: JobId, list: ListJobs) -> Result<Page<Job>>;

    /// [`descendants`](Self::descendants) one by one; pages are fetched as they are needed.
    fn descendants_stream(&self, id: JobId, list: ListJobs) -> ItemStream<'_, Job> {
        let ListJobs { states, limit, cursor } = list;
        stream::items(cursor, move |cursor| {
            self.descendants(id, ListJobs { states, limit, cursor })
        })
    }

    /// The jobs above a job: its parent first, the root last. At most 64, so they come at once.
    async fn ancestors(&self, id: JobId) -> Result<Vec<Job>>;

    /// A page of what a job waits for: for one that is not finished, the deepest unfinished jobs
    /// below it; for a faulted one, those that failed by themselves, the job itself and those below
    /// it, each with the change that says why.
    async fn blockers(&self, id: JobId, page: ListPage) -> Result<Page<Blocker>>;

    /// [`blockers`](Self::blockers) one by one; pages are fetched as they are needed.
    fn blockers_stream(&self, id: JobId, page: ListPage) -> ItemStream<'_, Blocker> {
        stream::items(page.cursor, move |cursor| {
            self.blockers(id, ListPage { limit: page.limit, cursor })
        })
    }

    /// A page of root jobs, newest first. [`RootsQuery::with_total`] has them counted.
    ///
    /// # Errors
    /// `invalid_expression` with the position, `invalid_cursor`, `invalid_query`.
    async fn roots(&self, query: RootsQuery) -> Result<RootPage>;

    /// [`roots`](Self::roots) one by one, without the total; pages are fetched as they are needed.
    fn roots_stream(&self, mut query: RootsQuery) -> ItemStream<'_, Job> {
        stream::items(query.cursor.take(), move |cursor| {
            let page = self.roots(RootsQuery { cursor, ..query.clone() });
            async move {
                let RootPage { items, next_cursor, .. } = page.await?;
                Ok(Page { items, next_cursor })
            }
        })
    }
}
