//! Where the lists of minutes begin.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;

use crate::scylla::clocks::Clocks;

/// A list of minutes, and the part.
type List = (i8, u32);

/// The first minute of each list and part that may have entries that were written in time. The
/// minutes before it are empty, and need not be searched again.
///
/// The clock says which those are. A clock that was ahead and has been put back has said it of
/// minutes that are still to come, so the mark is forgotten then, and learned anew.
pub struct LowWaterMarks {
    known: Mutex<HashMap<List, First>>,
    /// By how much clocks may be wrong anyway.
    skew: Duration,
}

struct First {
    minute: i64,
    since: Clocks,
}

impl LowWaterMarks {
    pub fn new(skew: Duration) -> Self {
        Self { known: Mutex::default(), skew }
    }

    /// The first minute, as far as that is known now.
    pub fn get(&self, list: List, now: Clocks) -> i64 {
        let known = self.known.lock();
        let first = known.get(&list).filter(|first| !now.is_put_back(first.since, self.skew));
        first.map_or(0, |first| first.minute)
    }

    /// Notes what a reader saw that began at that time.
    pub fn learn(&self, list: List, minute: i64, since: Clocks) {
        let mut known = self.known.lock();
        let before = known.get(&list).filter(|first| !since.is_put_back(first.since, self.skew));
        if before.is_none_or(|before| before.minute <= minute) {
            known.insert(list, First { minute, since });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const LIST: List = (11, 3);
    const SKEW: Duration = Duration::from_secs(5);

    /// The time this many milliseconds after a first one, by both clocks.
    fn at(begin: Instant, set: i64, steady: u64) -> Clocks {
        Clocks { millis: 1_000_000_000 + set, steady: begin + Duration::from_millis(steady) }
    }

    #[test]
    fn a_first_minute_gets_on() {
        let (low_water, begin) = (LowWaterMarks::new(SKEW), Instant::now());
        assert_eq!(low_water.get(LIST, at(begin, 0, 0)), 0);
        for (minute, due, millis) in [(7, 7, 0), (9, 9, 60_000), (8, 9, 61_000)] {
            low_water.learn(LIST, minute, at(begin, millis, millis as u64));
            assert_eq!(low_water.get(LIST, at(begin, millis, millis as u64)), due);
        }
        assert_eq!(low_water.get((12, 3), at(begin, 61_000, 61_000)), 0, "another list");
        assert_eq!(low_water.get((11, 4), at(begin, 61_000, 61_000)), 0, "another part");
        // A clock that is a little off, and one that goes on while the machine is suspended.
        assert_eq!(low_water.get(LIST, at(begin, 57_000, 61_100)), 9);
        assert_eq!(low_water.get(LIST, at(begin, 900_000, 61_100)), 9);
    }

    /// Or readers would skip entries up to that minute until the minute has come again.
    #[test]
    fn what_a_clock_said_that_was_ahead_is_forgotten() {
        const HOUR: i64 = 3_600_000;
        let (low_water, begin) = (LowWaterMarks::new(SKEW), Instant::now());
        low_water.learn(LIST, 7, at(begin, 0, 0));
        low_water.learn(LIST, 67, at(begin, HOUR, 100));
        assert_eq!(low_water.get(LIST, at(begin, HOUR + 100, 200)), 67, "the mark is not known");
        let put_back = at(begin, 300, 300);
        assert_eq!(low_water.get(LIST, put_back), 0);
        low_water.learn(LIST, 6, put_back);
        assert_eq!(low_water.get(LIST, put_back), 6);

        // No reader has searched since that time has come again.
        low_water.learn(LIST, 67, at(begin, HOUR, 400));
        let later = HOUR + 1_000;
        assert_eq!(low_water.get(LIST, at(begin, later, later as u64)), 0);
    }
}
