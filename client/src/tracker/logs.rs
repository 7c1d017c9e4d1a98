use std::fmt;

use async_trait::async_trait;
use jobtracker_model::{JobId, LogAppended, LogLine, NewLogLines, Page};

use super::stream;
use crate::{ItemStream, Result};

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
}

/// A page of a log as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogText {
    /// The lines, with a line break between them.
    pub text: String,
    /// Where the next page begins; absent at the end of the log.
    pub next_cursor: Option<String>,
}

/// The logs of jobs: a part of a [`JobTracker`](crate::JobTracker).
#[async_trait]
pub trait Logs: Send + Sync {
    /// Appends 1 to 1,000 lines of up to 8 KiB to the log of a job.
    ///
    /// Lines without an append id get one, so that they are appended once however often this call
    /// has to send them; with one of the caller's the whole call is safe to repeat.
    ///
    /// # Errors
    /// `job_not_found`, `log_full` past 1,000,000 lines, `repeat_conflict`, `invalid_field` for a
    /// line with a line break.
    async fn append_log(&self, id: JobId, lines: NewLogLines) -> Result<LogAppended>;

    /// A page of the log of a job, with numbers and times.
    async fn log(&self, id: JobId, query: LogQuery) -> Result<Page<LogLine>>;

    /// [`log`](Self::log) line by line, up to its end as it is then; pages are fetched as they are
    /// needed.
    fn log_stream(&self, id: JobId, query: LogQuery) -> ItemStream<'_, LogLine> {
        let LogQuery { from, limit, cursor } = query;
        stream::items(cursor, move |cursor| self.log(id, LogQuery { from, limit, cursor }))
    }

    /// A page of the log of a job as text.
    async fn log_text(&self, id: JobId, query: LogQuery) -> Result<LogText>;
}
