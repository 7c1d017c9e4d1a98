//! Where entries are kept: parts, minutes and their slots.

use jobtracker_model::JobId;

/// Parts of the lists. A tree is in one.
pub const PARTS: u32 = 16;
/// Slots of one minute in one part. A job is in one of them.
///
/// An entry that is removed leaves a tombstone, which a cluster keeps for ten days, and Cassandra
/// refuses a read that meets 100,000 of them in one slot. So with four slots a part takes 400,000
/// entries in a minute, which is 6,600 a second, and all parts together 100,000 a second. In the
/// lists of minutes a slot takes one row: in ten days 57,600 of a part that are written in time,
/// which is less than that as well.
const SLOTS: i64 = 4;

/// A slot of a minute in some part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    pub minute: i64,
    number: i64,
}

impl Slot {
    /// The slot for entries of a job that are written in this minute.
    pub fn of(minute: i64, id: JobId) -> Self {
        // The rest by the number of parts is the same for all roots of a part.
        let number = (id.get() / u64::from(PARTS)) as i64 % SLOTS;
        Self { minute, number }
    }

    /// Its number in a list.
    pub fn key(self, part: u32) -> i64 {
        (self.minute * SLOTS + self.number) * i64::from(PARTS) + i64::from(part)
    }

    /// Its name in the lists of minutes.
    pub fn name(self) -> String {
        format!("{:012}/{}", self.minute, self.number)
    }

    /// The slot of that name.
    pub fn named(name: &str) -> Option<Self> {
        let (minute, number) = name.split_once('/')?;
        let (minute, number) = (minute.parse().ok()?, number.parse().ok()?);
        (0..SLOTS).contains(&number).then_some(Self { minute, number })
    }

    /// The same slot, this many minutes earlier.
    #[cfg(feature = "testing")]
    pub fn earlier(self, minutes: i64) -> Self {
        Self { minute: self.minute - minutes, ..self }
    }
}

/// The key of the same slot, this many minutes earlier.
#[cfg(feature = "testing")]
pub fn earlier_key(key: i64, minutes: i64) -> i64 {
    key - minutes * SLOTS * i64::from(PARTS)
}

/// The part of a tree.
pub fn part(root: JobId) -> u32 {
    (root.get() % u64::from(PARTS)) as u32
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn every_part_and_minute_has_slots_of_its_own() {
        let mut keys = BTreeSet::new();
        for minute in [0, 1, 28_333_333] {
            for number in 0..SLOTS {
                let slot = Slot { minute, number };
                assert_eq!(Slot::named(&slot.name()), Some(slot));
                for part in 0..PARTS {
                    assert!(keys.insert(slot.key(part)));
                }
            }
        }
        for bad in ["", "7", "000000000007/4", "7/x", "x/1", "7/-1"] {
            assert_eq!(Slot::named(bad), None, "{bad}");
        }
    }

    #[test]
    fn roots_of_one_part_are_in_all_slots_of_it() {
        let mut jobs: BTreeMap<_, u32> = BTreeMap::new();
        for id in (1..=6_400).filter_map(JobId::new) {
            *jobs.entry((part(id), Slot::of(7, id))).or_default() += 1;
        }
        assert_eq!(jobs.len(), 64);
        assert!(jobs.values().all(|count| *count == 100), "{jobs:?}");
    }
}
