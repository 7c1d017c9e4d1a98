use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// The number of rows of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
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

impl Counts {
    /// Rows in all: a job has two.
    #[must_use]
    pub fn rows(&self) -> u64 {
        let Self { jobs, changes, log_lines, attachments, repeats, follow_ups } = self;
        2 * jobs + changes + log_lines + attachments + repeats + follow_ups
    }
}

impl AddAssign for Counts {
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
