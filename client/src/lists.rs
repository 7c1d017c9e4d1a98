use jobtracker_model::{StateSet, Timestamp};

use crate::{Error, Result, call::Call};

/// Which page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListPage {
    /// Items on the page, 1 to 1000; 200 without it. A page may be shorter and still not be the
    /// last: the cursor tells.
    pub limit: Option<u32>,
    /// `next_cursor` of the page before; without it the first page.
    pub cursor: Option<String>,
}

impl ListPage {
    /// With at most this many items, 1 to 1000.
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
    pub fn states(mut self, states: impl IntoIterator<Item = jobtracker_model::State>) -> Self {
        self.states = states.into_iter().collect();
        self
    }

    /// With at most this many jobs, 1 to 1000.
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
    pub fn states(mut self, states: impl IntoIterator<Item = jobtracker_model::State>) -> Self {
        self.states = states.into_iter().collect();
        self
    }

    /// This CEL expression over the job is true.
    #[must_use]
    pub fn expression(mut self, expression: impl Into<String>) -> Self {
        self.expression = Some(expression.into());
        self
    }

    /// With at most this many jobs, 1 to 1000.
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

    /// With the number of all that match, counted for the first page.
    #[must_use]
    pub fn with_total(mut self) -> Self {
        self.total = true;
        self
    }
}

impl Call {
    /// With the parameters of a page.
    pub(crate) fn page(self, page: ListPage) -> Self {
        self.query("limit", page.limit).query("cursor", page.cursor)
    }

    /// With the parameters of a list of jobs.
    pub(crate) fn jobs(self, list: ListJobs) -> Self {
        let ListJobs { states, limit, cursor } = list;
        self.states(states).page(ListPage { limit, cursor })
    }

    /// With a set of states, if it has any.
    pub(crate) fn states(self, states: StateSet) -> Self {
        self.query("states", (!states.is_empty()).then_some(states))
    }

    /// With the parameters of the list of roots.
    pub(crate) fn roots(self, roots: RootsQuery) -> Result<Self> {
        let RootsQuery { from, to, name_prefix, created_by, tags, states, .. } = roots;
        // The list of tags is separated by commas, so a tag with one would be taken for two.
        if let Some(tag) = tags.iter().find(|tag| tag.is_empty() || tag.contains(',')) {
            let reason = format!("the tag {tag:?} cannot be listed; ask for it by an expression");
            return Err(Error::invalid_request(reason));
        }
        Ok(self
            .query("from", from)
            .query("to", to)
            .query("namePrefix", name_prefix)
            .query("createdBy", created_by)
            .query("tags", (!tags.is_empty()).then(|| tags.join(",")))
            .states(states)
            .query("expression", roots.expression)
            .page(ListPage { limit: roots.limit, cursor: roots.cursor })
            .query("total", roots.total.then_some(true)))
    }
}
