use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    Change, Created, FieldError, Job, JobId, NewJob, PathStep, State, Subtree, Timestamp,
    field::check_text,
    fingerprint::TextHash,
    limits,
    rollup::Status,
    text::{mended_list, mended_option},
};

/// One page of a list. When `next_cursor` is there, there may be more: ask again with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// The items, in the order of the list. A filtered page may be empty and still have a cursor.
    pub items: Vec<T>,
    /// Where the next page begins; absent at the end of the list.
    pub next_cursor: Option<String>,
}

/// From which end a list begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Order {
    /// With the oldest: children by rising id, roots and changes by rising time.
    #[default]
    Oldest,
    /// With the newest.
    Newest,
}

/// A text that is no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be oldest or newest")]
pub struct InvalidOrder;

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Oldest => "oldest",
            Self::Newest => "newest",
        })
    }
}

impl FromStr for Order {
    type Err = InvalidOrder;

    fn from_str(text: &str) -> Result<Self, InvalidOrder> {
        match text {
            "oldest" => Ok(Self::Oldest),
            "newest" => Ok(Self::Newest),
            _ => Err(InvalidOrder),
        }
    }
}

/// One page of the children of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChildrenPage<T> {
    /// The children, in the order of the list. A filtered page may be empty and still have a
    /// cursor.
    pub items: Vec<T>,
    /// Where the next page begins; absent at the end of the list.
    pub next_cursor: Option<String>,
    /// How many of the children that are asked for come before this page; absent on a page that was
    /// asked for by a cursor. Less than the offset of the request: there are no more, or, if there
    /// is a cursor, as many children were read as one page may cost, and the cursor goes on there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// How many children there are of those that are asked for; absent where the numbers of the
    /// parent do not tell, since only some states of a category or a name are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The version of the tree: the page is of the instant after that many commits.
    pub version: u64,
}

/// The jobs above a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ancestors<T> {
    /// The parent first, the root last; at most 64, so they come at once.
    pub items: Vec<T>,
    /// There is no other page.
    pub next_cursor: Option<String>,
    /// Where the job and the items stand among their siblings, in this order; a root stands
    /// nowhere. Where the request asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranks: Option<Vec<Rank>>,
    /// The version of the tree in which they stand there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// Where a job stands among its siblings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rank {
    /// The job.
    pub id: JobId,
    /// How many siblings have a smaller id: its offset in the list that begins with the oldest.
    pub rank: u64,
    /// How many children its parent has, itself among them.
    pub siblings: u64,
}

/// One page of root jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RootPage<T = Job> {
    /// The jobs, in the order of the list.
    pub items: Vec<T>,
    /// Where the next page begins; absent at the end of the list.
    pub next_cursor: Option<String>,
    /// How many roots match, as far as that is known: what is on the pages up to this one, or, when
    /// the first page was asked to count, the matches among the newest 100,000 roots of the time
    /// range at that time.
    pub total: u64,
    /// Whether that is all of them; otherwise there may be more.
    pub total_exact: bool,
    /// When the roots that match were created; where the request asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histogram: Option<Histogram>,
}

/// How many roots were created when, by their present state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Histogram {
    /// When it was made: viewers of the same roots share it for a while.
    pub time: Timestamp,
    /// Where the first bucket begins: at the begin of the time range, or where that has none, with
    /// the oldest root that matches.
    pub from: Timestamp,
    /// The width of a bucket in milliseconds.
    pub width_ms: u64,
    /// The roots of each bucket.
    pub buckets: Vec<Subtree>,
    /// Only roots that were created at this time or later were looked at, 100,000 of them at most;
    /// absent: all of the time range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_from: Option<Timestamp>,
}

/// A job as the roll-up sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobNode {
    /// The job.
    pub id: JobId,
    /// The parent; none for a root.
    pub parent: Option<JobId>,
    /// The root of the tree; the job itself for a root.
    pub root: JobId,
    /// Steps from the root.
    pub depth: u32,
    /// All of it that the roll-up moves.
    pub status: Status,
}

/// A job and all that are above it, the job first and the root last, at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobPath {
    /// The jobs; at most 65, so they come at once.
    pub items: Vec<JobNode>,
}

/// How many ids to reserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReserveIds {
    /// From 1 to 1,000,000.
    pub count: u32,
}

/// Ids that belong to the caller that reserved them: `first`, `first + 1`, … `count` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IdBlock {
    /// The first of them.
    pub first: JobId,
    /// How many.
    pub count: u32,
}

/// Children to create under one parent, all or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewChildren {
    /// 1 to 10,000 jobs; `parent` may be left out of each.
    pub jobs: Vec<NewJob>,
}

/// The answer to the creation of children, in the order in which they were sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedChildren {
    /// One entry per child.
    pub items: Vec<Created>,
}

/// New options of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewOptions {
    /// Up to 64 KiB; null takes the options away. It must be given: an empty request is refused.
    #[serde(deserialize_with = "mended_option")]
    #[cfg_attr(feature = "openapi", schema(required))]
    pub options: Option<String>,
}

/// A job's visible state and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobState {
    /// The job.
    pub id: JobId,
    /// Its visible state; WaitingForActivation when there is no such job yet.
    pub state: State,
}

/// Jobs whose states are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StateQuery {
    /// 1 to 1,000 ids.
    pub ids: Vec<JobId>,
}

/// States in the order in which they were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobStates {
    /// One entry per id.
    pub items: Vec<JobState>,
}

/// The answer to a wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Waited {
    /// The job.
    pub id: JobId,
    /// Whether it reached one of the states; false when the time ran out first.
    pub reached: bool,
    /// The visible state that was seen: the one reached, or the one at the end of the time.
    pub state: State,
}

/// A job that another one waits for, or one that failed by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Blocker {
    /// The job.
    pub job: Job,
    /// What it said last; of one that failed, its first Faulted change, which says why.
    pub last_change: Change,
    /// The jobs between the one that was asked about and this one, from the top; where the request
    /// asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Vec<PathStep>>,
}

/// Lines for a job's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewLogLines {
    /// 1 to 1,000 lines of up to 8 KiB, without line breaks.
    #[serde(deserialize_with = "mended_list")]
    pub lines: Vec<String>,
    /// Chosen by the sender, unique per append, 1 to 64 bytes: the same id on the same job appends
    /// once, so an append with one can be sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub append_id: Option<String>,
}

impl NewLogLines {
    /// Checks the lines and the append id against their limits.
    ///
    /// # Errors
    /// The first of them that is past its limit or malformed.
    pub fn check(&self) -> Result<(), FieldError> {
        if self.lines.is_empty() || self.lines.len() > limits::LOG_LINES_PER_REQUEST {
            let (count, max) = (self.lines.len(), limits::LOG_LINES_PER_REQUEST);
            return Err(FieldError::new("lines", format!("has {count}; it must have 1 to {max}")));
        }
        for (index, line) in self.lines.iter().enumerate() {
            let field = format!("lines[{index}]");
            LogLine::check(&field, line)?;
        }
        match &self.append_id {
            Some(id) => check_text("appendId", id, 1, limits::REPEAT_ID),
            None => Ok(()),
        }
    }

    /// A hash of the lines, to tell their repetition from other lines with their append id. Rows
    /// have it, so it never changes.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        TextHash::short(self.lines.iter().map(|line| Some(line.as_str())))
    }
}

/// Where appended lines stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogAppended {
    /// The number of the first one; the first line of a log is line 0.
    pub first_line: u32,
    /// How many.
    pub count: u32,
    /// True when an append with this append id had been done before: nothing changed now.
    pub repeated: bool,
}

/// One line of a job's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogLine {
    /// Its number, from 0.
    pub line: u32,
    /// When it was appended.
    pub time: Timestamp,
    /// Which attempt of the job's task has said it, from 1; absent if none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// What it says.
    pub text: String,
}

impl LogLine {
    /// Checks a line against its limit; `field` is for the error.
    ///
    /// # Errors
    /// It is too long, or has a line break.
    pub fn check(field: &str, line: &str) -> Result<(), FieldError> {
        check_text(field, line, 0, limits::LOG_LINE)?;
        if line.contains(['\n', '\r']) {
            return Err(FieldError::new(field, "has a line break; send one line per entry"));
        }
        Ok(())
    }
}

/// An attachment without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttachmentInfo {
    /// The key.
    pub key: String,
    /// The size of the text in bytes.
    pub size: u32,
}

impl AttachmentInfo {
    /// Checks the key and the text of an attachment against their limits.
    ///
    /// # Errors
    /// The one that is past its limit or malformed.
    pub fn check(key: &str, text: &str) -> Result<(), FieldError> {
        check_text("key", key, 1, limits::ATTACHMENT_KEY)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !key.bytes().all(allowed) || key == "." || key == ".." {
            return Err(FieldError::new(
                "key",
                "must be made of A-Z a-z 0-9 . _ - and name a file",
            ));
        }
        check_text("text", text, 0, limits::ATTACHMENT)
    }
}

/// The attachments of a job; at most 64, so they come at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attachments {
    /// In the order of their keys.
    pub items: Vec<AttachmentInfo>,
}
