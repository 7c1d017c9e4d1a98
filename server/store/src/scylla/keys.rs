//! Numbers that make the keys of the tables.

use jobtracker_model::{JobId, Repeat, Timestamp};

use crate::FollowUpKey;

/// Jobs of neighbouring ids that share a partition, as a power of two: 256 jobs of some 300 bytes
/// are 75 KB.
const BUCKET: u32 = 8;
/// Changes, lines of a log or deliveries of one job that share a partition with those of its
/// neighbours, as a power of two: 32 each of 256 jobs are up to 8,192 rows. They are as large as a
/// message and an answer, some KB, at most, and mostly some 200 bytes.
const PART: u32 = 5;

/// The parent of roots, which have none.
pub const NO_PARENT: i64 = 0;
/// The stage of jobs that were never staged.
pub const NO_STAGE: i64 = 0;
/// Stands for the stage in the reservation of an id whose job was deleted. Stages are chosen at
/// random among 2^64 numbers, so it is that of none.
pub const DELETED: i64 = i64::MIN + 1;

/// The page that lists the pages of a parent.
pub const DIRECTORY: i64 = -1;

/// Kinds of rows in the partition of a tree. Before them stand the marks of stages, kind 0.
pub mod tree {
    pub const REDO: i8 = 1;
    pub const HEAD: i8 = 2;
    pub const APPLIED: i8 = 3;
}

/// Kinds of rows in the history of a job.
pub mod history {
    pub const CHANGE: i8 = 0;
    pub const LINE: i8 = 1;
    /// Deliveries: a job may have too many of them for one partition.
    pub const DELIVERY: i8 = 2;
}

/// Kinds of rows with details of a job.
pub mod detail {
    pub const ATTACHMENT: i8 = 0;
    /// Results of repeatable appends, but for the early ones.
    pub const REPEATED_CHANGE: i8 = 1;
    pub const REPEATED_APPEND: i8 = 2;
    /// Follow-ups but for deliveries: this for the first kind of them, and so on.
    pub const FOLLOW_UP: i8 = 3;
}

/// Kinds of rows about one tree of an upload.
pub mod tree_result {
    pub const APPLIED: i8 = 0;
    pub const REFUSED: i8 = 1;
    /// The completion, which stands at tree 0.
    pub const COMPLETED: i8 = 2;
}

/// Lists by time or number.
pub mod listing {
    use crate::IndexId;

    /// Roots by the minute of their creation, as they were listed before minutes had slots.
    pub const ROOTS_UNDIVIDED: i8 = 0;
    /// Minutes that have roots with their slots, by day.
    pub const ROOT_MINUTES: i8 = 1;
    /// Days that have roots, all in one slot.
    pub const ROOT_DAYS: i8 = 2;
    /// Uploads by hour, as they were listed before they were listed by minute.
    pub const SENT_OF_HOURS: i8 = 3;
    /// Hours that have uploads with their minutes, all in one slot.
    pub const SENT_HOURS: i8 = 4;
    /// Work that was begun and must be tidied up if its server has gone, all in one slot, as it was
    /// listed before it was listed by minute.
    pub const OPEN_UNDIVIDED: i8 = 5;
    /// The parts of a stage and, before them, the server that has it open.
    pub const STAGED: i8 = 6;
    /// Servers that have something open, all in one slot.
    pub const SERVERS: i8 = 7;
    /// Ids of jobs that no caller had reserved, 65,536 numbers to a slot.
    pub const CHOSEN: i8 = 8;
    /// Roots by the slot of the minute of their creation.
    pub const ROOTS: i8 = 15;
    /// Work that was begun and must be tidied up if its server has gone, by minute.
    pub const OPEN: i8 = 16;
    /// Minutes that have such work, all in one slot.
    pub const OPEN_MINUTES: i8 = 17;
    /// The one row in which servers note when one of them was up: list, slot, `place` and key.
    pub const UPTIME: (i8, i64, i64, &str) = (19, 0, 0, "");
    /// Uploads by minute.
    pub const SENT: i8 = 18;
    /// Tombstones, each in a slot of its own. They end by themselves.
    pub const TOMBSTONES: i8 = 120;

    /// The lists of an index.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Index {
        /// Its entries, by part and minute.
        pub entries: i8,
        /// Minutes that have entries which were written in time, by part.
        pub minutes: i8,
        /// Minutes that have other entries, by part.
        pub late: i8,
    }

    impl Index {
        pub const fn of(index: IndexId) -> Self {
            // The first two were given theirs side by side; each later one has three in a row.
            let (number, later) = (index as i8, 3 * (index as i8 - 2));
            match number {
                0 | 1 => Self { entries: 9 + number, minutes: 11 + number, late: 13 + number },
                _ => Self { entries: 20 + later, minutes: 21 + later, late: 22 + later },
            }
        }
    }
}

/// The number of a job in a key.
pub fn number(id: JobId) -> i64 {
    // Ids end at the largest number of this type.
    id.get() as i64
}

/// The job of a number in a key.
pub fn id(number: i64) -> Option<JobId> {
    u64::try_from(number).ok().and_then(JobId::new)
}

/// The parent in a key.
pub fn parent(parent: Option<JobId>) -> i64 {
    parent.map_or(NO_PARENT, number)
}

/// The bucket of a job among all jobs, which is also its page among its siblings.
pub fn bucket(id: JobId) -> i64 {
    number(id) >> BUCKET
}

/// The first number in a bucket.
pub fn bucket_begin(bucket: i64) -> i64 {
    bucket << BUCKET
}

/// The last number in a bucket.
pub fn bucket_end(bucket: i64) -> i64 {
    (bucket << BUCKET) | ((1 << BUCKET) - 1)
}

/// The part of a history in which an entry is.
pub fn part(entry: u32) -> i32 {
    (entry >> PART) as i32
}

/// The first entry of a part of a history.
pub fn part_begin(part: i32) -> u32 {
    u32::try_from(i64::from(part) << PART).unwrap_or(u32::MAX)
}

/// Whether what a repeatable append did stands with the first entry that it made. That is so for
/// the first part of a history, which is searched at once; later ones are found by their names.
pub fn is_early(first: u32) -> bool {
    part(first) == 0
}

/// The kind of history that repeatable appends of a kind make, and the kind of details in which
/// they are kept by name.
pub fn repeat_kinds(repeat: &Repeat) -> (i8, i8) {
    match repeat {
        Repeat::Change(_) => (history::CHANGE, detail::REPEATED_CHANGE),
        Repeat::Append(_) => (history::LINE, detail::REPEATED_APPEND),
    }
}

/// The kind and the key of a follow-up that is no delivery, among the details of its job.
pub fn follow_up(key: FollowUpKey) -> (i8, String) {
    let (kind, number) = key.parts();
    (detail::FOLLOW_UP + kind as i8, format!("{number:010}"))
}

/// The slot of an id that no caller had reserved.
pub fn chosen_slot(id: u64) -> i64 {
    (id >> 16) as i64
}

/// The minute of a root or of an upload in their lists.
pub fn minute(time: Timestamp) -> i64 {
    time.millis().div_euclid(60_000)
}

/// The day of a minute.
pub fn day(minute: i64) -> i64 {
    minute.div_euclid(24 * 60)
}

/// The hour of a minute.
pub fn hour(minute: i64) -> i64 {
    minute.div_euclid(60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IndexId;

    /// Each index has lists of its own, and the first two keep those that they have.
    #[test]
    fn lists_of_indexes_are_pinned() {
        let lists = |index| {
            let listing::Index { entries, minutes, late } = listing::Index::of(index);
            [entries, minutes, late]
        };
        assert_eq!(lists(IndexId::Due), [9, 11, 13]);
        assert_eq!(lists(IndexId::Failed), [10, 12, 14]);
        assert_eq!(lists(IndexId::Ready), [20, 21, 22]);
        let (uptime, ..) = listing::UPTIME;
        for list in IndexId::ALL.into_iter().skip(2).flat_map(lists) {
            assert!(list > uptime, "a list of other things");
        }
    }

    #[test]
    fn a_bucket_ends_before_the_next() {
        for number in [1, 255, 256, 257, i64::MAX - 1, i64::MAX] {
            let bucket = bucket(id(number).unwrap());
            assert!(bucket_end(bucket) >= number && bucket_end(bucket) - 255 <= number);
        }
        assert_eq!(id(0), None);
        assert_eq!(id(-1), None);
    }

    #[test]
    fn a_minute_an_hour_and_a_day_begin_with_their_first_millisecond() {
        let time = |millis| Timestamp::from_millis(millis).unwrap();
        assert_eq!((minute(time(59_999)), minute(time(60_000))), (0, 1));
        assert_eq!((hour(59), hour(60)), (0, 1));
        assert_eq!((day(1_439), day(1_440)), (0, 1));
    }
}
