use std::fmt;

use crate::{ListPage, call::Call};

/// Where reading a log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFrom {
    /// With its first line.
    #[default]
    Start,
    /// So that the page ends with its last line.
    End,
    /// With the line of this number; the first line of a log is line 0.
    Line(u32),
}

impl fmt::Display for LogFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::End => f.write_str("end"),
            Self::Line(line) => line.fmt(f),
        }
    }
}

/// Which page of a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogQuery {
    /// Where to begin; a cursor overrides it.
    pub from: LogFrom,
    /// Lines on the page, 1 to 1000; 200 without it.
    pub limit: Option<u32>,
    /// Where the page before ended; without it the page begins at `from`.
    pub cursor: Option<String>,
}

impl LogQuery {
    /// Begins here.
    #[must_use]
    pub fn from(mut self, from: LogFrom) -> Self {
        self.from = from;
        self
    }

    /// With at most this many lines, 1 to 1000.
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

/// A page of a log as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogText {
    /// The lines, with a line break between them.
    pub text: String,
    /// Where the next page begins; absent at the end of the log.
    pub next_cursor: Option<String>,
}

impl Call {
    /// With the parameters of a page of a log.
    pub(crate) fn log(self, query: LogQuery) -> Self {
        let LogQuery { from, limit, cursor } = query;
        // A cursor says by itself where to begin.
        let from = cursor.is_none().then_some(from);
        self.query("from", from).page(ListPage { limit, cursor })
    }
}
