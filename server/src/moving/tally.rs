use std::ops::AddAssign;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3Default;

use super::record::Record;

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

/// The sum of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    pub counts: Counts,
    /// The checksum of the lines as this version of the program writes them.
    pub checksum: u64,
    /// The same without the lines of follow-ups.
    pub of_jobs: u64,
}

impl Sum {
    /// Whether a tree with this sum is the tree of `other`, or was it: any service that has the
    /// store does what is due as soon as the tree is there.
    pub fn has_come_from(&self, other: &Self) -> bool {
        let follow_ups = other.counts.follow_ups;
        let counts = Counts { follow_ups, ..self.counts };
        counts == other.counts
            && self.of_jobs == other.of_jobs
            && self.counts.follow_ups >= follow_ups
    }
}

/// Sums up the lines of a tree.
#[derive(Default)]
pub(super) struct Tally {
    counts: Counts,
    hasher: Xxh3Default,
    of_jobs: Xxh3Default,
    line: Vec<u8>,
}

impl Tally {
    /// Counts a record, and answers its line.
    pub fn add(&mut self, record: &Record) -> &[u8] {
        let Counts { jobs, changes, log_lines, attachments, repeats, follow_ups } =
            &mut self.counts;
        match record {
            Record::Job(_) => *jobs += 1,
            Record::Change(_) => *changes += 1,
            Record::LogLine(_) => *log_lines += 1,
            Record::Attachment(_) => *attachments += 1,
            Record::Repeat(_) => *repeats += 1,
            Record::FollowUp(_) => *follow_ups += 1,
            _ => {}
        }
        record.write(&mut self.line);
        self.hasher.update(&self.line);
        if !matches!(record, Record::FollowUp(_)) {
            self.of_jobs.update(&self.line);
        }
        &self.line
    }

    pub fn sum(&self) -> Sum {
        let (checksum, of_jobs) = (self.hasher.digest(), self.of_jobs.digest());
        Sum { counts: self.counts, checksum, of_jobs }
    }
}
