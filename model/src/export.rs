//! What is asked of a service whose trees are written into a file, and how far such a file is.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::{FieldError, JobId, Timestamp, limits};

/// Which trees are exported: all, those whose roots were created in a span of time, or some by
/// their roots.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExportRequest {
    /// Trees whose roots were created at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Trees whose roots were created before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Trees with these roots, up to 10,000; not together with a span of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roots: Vec<JobId>,
    /// The whole trees that the file has already, if it was begun: the answer goes on behind them,
    /// with the same trees asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ExportPosition>,
}

impl ExportRequest {
    /// Checks what the types leave open.
    ///
    /// # Errors
    /// Too many roots, or roots together with a span of time.
    pub fn check(&self) -> Result<(), FieldError> {
        let (is_timed, most) = (self.from.is_some() || self.until.is_some(), limits::EXPORT_ROOTS);
        if self.roots.len() > most {
            return Err(FieldError::new("roots", format!("has at most {most} ids")));
        }
        if is_timed && !self.roots.is_empty() {
            return Err(FieldError::new("roots", "does not go together with from and until"));
        }
        let is_counted = |after: ExportPosition| {
            let ExportCounts { jobs, changes, log_lines, attachments, repeats, follow_ups } =
                after.counts;
            let rows = [jobs, changes, log_lines, attachments, repeats, follow_ups];
            after.trees.max(rows.into_iter().max().unwrap_or(0)) <= limits::EXPORT_NUMBER
        };
        if !self.after.is_none_or(is_counted) {
            return Err(FieldError::new(
                "after",
                format!("has numbers up to {}", limits::EXPORT_NUMBER),
            ));
        }
        Ok(())
    }
}

/// The media type of an exported file.
pub const EXPORT_MEDIA_TYPE: &str = "application/zstd";

/// How far a file of trees is: the trees that it has as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExportPosition {
    /// How many there are.
    pub trees: u64,
    /// The sums of their numbers.
    pub counts: ExportCounts,
    /// The first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<ExportedRoot>,
    /// The last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<ExportedRoot>,
}

/// The root of a tree in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExportedRoot {
    /// Its id.
    pub id: JobId,
    /// When it was created.
    pub create_time: Timestamp,
}

/// The number of rows of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExportCounts {
    /// Jobs.
    pub jobs: u64,
    /// Changes except the creations.
    pub changes: u64,
    /// Lines of logs.
    pub log_lines: u64,
    /// Attachments.
    pub attachments: u64,
    /// Names of repeatable appends.
    pub repeats: u64,
    /// Follow-ups: actions, checks, deliveries, and the watch row of each job that has any.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub follow_ups: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl ExportCounts {
    /// Rows in all: a job has two.
    #[must_use]
    pub fn rows(&self) -> u64 {
        let Self { jobs, changes, log_lines, attachments, repeats, follow_ups } = self;
        2 * jobs + changes + log_lines + attachments + repeats + follow_ups
    }
}

impl AddAssign for ExportCounts {
    fn add_assign(&mut self, other: Self) {
        let Self { jobs, changes, log_lines, attachments, repeats, follow_ups } = other;
        self.jobs += jobs;
        self.changes += changes;
        self.log_lines += log_lines;
        self.attachments += attachments;
        self.repeats += repeats;
        self.follow_ups += follow_ups;
    }
}
