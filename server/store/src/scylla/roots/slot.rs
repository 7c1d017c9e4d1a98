//! Where new roots are listed: minutes and their slots.

use jobtracker_model::JobId;

/// Slots of one minute. A root is in one of them.
///
/// A partition should not have many more than 100,000 rows, so this is for 26,000 roots a second.
const SLOTS: i64 = 16;

/// A slot of a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    minute: i64,
    number: i64,
}

impl Slot {
    /// The slot for a root that was created in this minute.
    pub fn of(minute: i64, id: JobId) -> Self {
        Self { minute, number: (id.get() % SLOTS as u64) as i64 }
    }

    /// Its number in the lists.
    pub fn key(self) -> i64 {
        self.minute * SLOTS + self.number
    }

    /// Its name in the list of minutes.
    pub fn name(self) -> String {
        format!("{:02}", self.number)
    }

    /// The slot of that name.
    pub fn named(minute: i64, name: &str) -> Option<Self> {
        let number = name.parse().ok().filter(|number| (0..SLOTS).contains(number))?;
        Some(Self { minute, number })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn roots_of_a_minute_are_in_all_slots_of_it() {
        let mut slots: BTreeMap<Slot, u32> = BTreeMap::new();
        for minute in [0, 28_333_333] {
            for id in (1..=1_600).filter_map(JobId::new) {
                *slots.entry(Slot::of(minute, id)).or_default() += 1;
            }
        }
        assert!(slots.len() == 32 && slots.values().all(|count| *count == 100), "{slots:?}");
        let keys: Vec<i64> = slots.keys().map(|slot| slot.key()).collect();
        assert!(keys.is_sorted_by(|one, other| one < other), "{keys:?}");
        for slot in slots.into_keys() {
            assert_eq!(Slot::named(slot.minute, &slot.name()), Some(slot));
        }
        for bad in ["", "16", "-1", "x"] {
            assert_eq!(Slot::named(7, bad), None, "{bad}");
        }
    }
}
