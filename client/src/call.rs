use std::time::Duration;

use jobtracker_model::StateSet;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde::Serialize;
use tokio::time::Instant;

use crate::{Error, ListJobs, ListPage, LogQuery, Result, RootsQuery};

/// What is written otherwise in a segment of a path.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-');

/// One request as an endpoint describes it; [`Http`](crate::request::Http) sends it.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Below the base address, without a slash at the start, encoded where it needs it.
    pub(crate) path: String,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<Body>,
    /// For a long poll: how long the service may take. Each try asks for what is left of it.
    pub(crate) wait: Option<Duration>,
    /// How much longer than for others the service may take, in addition.
    pub(crate) slow: Duration,
    /// When the call ends; without one the client's deadline counts from the sending.
    pub(crate) deadline: Option<Instant>,
    pub(crate) once: bool,
    /// The version that is to be changed, for the header If-Match.
    pub(crate) if_match: Option<u64>,
}

/// A body to send.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) content_type: &'static str,
    /// Whether it may be compressed when it is large.
    pub(crate) compressible: bool,
}

impl Call {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path.into())
    }

    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path.into())
    }

    pub(crate) fn post(path: impl Into<String>, body: &impl Serialize) -> Result<Self> {
        Self::new(Method::POST, path.into()).json(body)
    }

    pub(crate) fn put(path: impl Into<String>, body: &impl Serialize) -> Result<Self> {
        Self::new(Method::PUT, path.into()).json(body)
    }

    pub(crate) fn put_text(path: impl Into<String>, text: String) -> Self {
        let mut call = Self::new(Method::PUT, path.into());
        let content_type = "text/plain; charset=utf-8";
        call.body = Some(Body { bytes: text.into_bytes(), content_type, compressible: false });
        call
    }

    /// With one more path segment, which may hold anything, a slash too.
    pub(crate) fn key(mut self, key: &str) -> Result<Self> {
        // An address with one of these is another address, however they are encoded.
        if matches!(key, "" | "." | "..") {
            let reason = format!("the key {key:?} cannot stand in an address");
            return Err(Error::invalid_request(reason));
        }
        // Encoded before the URL library reads it: that one leaves out tabs and line breaks.
        self.path.push('/');
        self.path.extend(utf8_percent_encode(key, ESCAPED));
        Ok(self)
    }

    /// With a query parameter, if there is a value for it.
    pub(crate) fn query(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// Compressed, if the body is large and the client may.
    pub(crate) fn compressible(mut self) -> Self {
        if let Some(body) = &mut self.body {
            body.compressible = true;
        }
        self
    }

    /// As a long poll.
    pub(crate) fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// For a call that takes the service longer than others, by this much.
    pub(crate) fn slow(mut self, more: Duration) -> Self {
        self.slow = more;
        self
    }

    /// Done or given up by `deadline`.
    pub(crate) fn by(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Only if the thing has this version.
    pub(crate) fn if_match(mut self, version: Option<u64>) -> Self {
        self.if_match = version;
        self
    }

    /// Tried once, under any policy.
    pub(crate) fn once(mut self) -> Self {
        self.once = true;
        self
    }

    pub(crate) fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            query: Vec::new(),
            body: None,
            wait: None,
            slow: Duration::ZERO,
            deadline: None,
            once: false,
            if_match: None,
        }
    }

    fn json(mut self, body: &impl Serialize) -> Result<Self> {
        let bytes = serde_json::to_vec(body)
            .map_err(|error| Error::invalid_request_from("the body is not JSON", error))?;
        let content_type = "application/json";
        self.body = Some(Body { bytes, content_type, compressible: false });
        Ok(self)
    }

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
            .query("order", roots.order)
            .page(ListPage { limit: roots.limit, cursor: roots.cursor })
            .query("total", roots.total.then_some(true)))
    }

    /// With the parameters of a page of a log.
    pub(crate) fn log(self, query: LogQuery) -> Self {
        let LogQuery { from, limit, cursor } = query;
        // A cursor says by itself where to begin.
        let from = cursor.is_none().then_some(from);
        self.query("from", from).page(ListPage { limit, cursor })
    }
}
