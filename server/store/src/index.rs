use jobtracker_model::{JobId, Progress, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{CheckProgress, CheckRow, DeliveryRow, FollowUp, FollowUpKey, TaskPhase};

/// The registry of the indexes. A new index is a new variant here, in [`ALL`](Self::ALL), and an
/// arm of [`FollowUp::entry`]: the backends take all that they need from these.
///
/// Stores keep the numbers, so they never change. A follow-up is in one index at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IndexId {
    /// There is something to do at that time.
    Due = 0,
    /// It failed at that time.
    Failed = 1,
    /// It is a task that may be claimed from that time on.
    Ready = 2,
}

impl IndexId {
    /// All indexes, by number.
    pub const ALL: [Self; 3] = [Self::Due, Self::Failed, Self::Ready];

    /// The number that stands for it in keys, and by which it is found in [`ALL`](Self::ALL).
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// An entry of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IndexKey {
    /// The time.
    pub time: Timestamp,
    /// The job.
    pub id: JobId,
    /// The follow-up of it.
    pub key: FollowUpKey,
}

impl FollowUp {
    /// The index that has an entry of it, and the time of the entry.
    #[must_use]
    pub fn entry(&self) -> Option<(IndexId, Timestamp)> {
        match self {
            Self::Check(CheckRow { progress: CheckProgress::Waiting(time), .. })
            | Self::Delivery(DeliveryRow { progress: Progress::Waiting(time), .. }) => {
                Some((IndexId::Due, *time))
            }
            Self::Delivery(DeliveryRow { progress: Progress::Failed(time), .. }) => {
                Some((IndexId::Failed, *time))
            }
            Self::Task(row) => match row.phase {
                TaskPhase::Waiting(from) => Some((IndexId::Ready, from)),
                _ => row.lease_due().map(|due| (IndexId::Due, due)),
            },
            _ => None,
        }
    }

    /// Whether there is something to do for it.
    pub(crate) fn is_waiting(&self) -> bool {
        self.entry().is_some_and(|(index, _)| index == IndexId::Due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows on disks and entries of clusters have these numbers.
    #[test]
    fn an_index_is_found_by_its_number() {
        for (number, index) in IndexId::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(index.number()), number);
        }
        let numbers = [IndexId::Due, IndexId::Failed, IndexId::Ready].map(IndexId::number);
        assert_eq!(numbers, [0, 1, 2]);
    }
}
