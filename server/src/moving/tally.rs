use jobtracker_model::ExportCounts;
use xxhash_rust::xxh3::Xxh3Default;

use super::record::Record;

/// The sum of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    pub counts: ExportCounts,
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
        let counts = ExportCounts { follow_ups, ..self.counts };
        counts == other.counts
            && self.of_jobs == other.of_jobs
            && self.counts.follow_ups >= follow_ups
    }
}

/// Sums up the lines of a tree.
#[derive(Default)]
pub(super) struct Tally {
    counts: ExportCounts,
    hasher: Xxh3Default,
    of_jobs: Xxh3Default,
    line: Vec<u8>,
}

impl Tally {
    /// Counts a record, and answers its line.
    pub fn add(&mut self, record: &Record) -> &[u8] {
        let ExportCounts { jobs, changes, log_lines, attachments, repeats, follow_ups } =
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
