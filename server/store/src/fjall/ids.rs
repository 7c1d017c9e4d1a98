//! Sets of ids that stand close together, as those of one tree do.

use jobtracker_model::JobId;
use roaring::RoaringTreemap;
use serde::{Deserialize, Serialize};

/// A sorted list of ids as it is stored: how many are missing before each run, and its length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunsRow(Vec<(u64, u64)>);

impl RunsRow {
    /// The runs of a sorted list.
    pub fn new(ids: &[JobId]) -> Self {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        let mut next = 0;
        for id in ids {
            match runs.last_mut() {
                Some((_, len)) if id.get() == next => *len += 1,
                _ => runs.push((id.get().saturating_sub(next), 1)),
            }
            next = id.get() + 1;
        }
        Self(runs)
    }

    /// Adds the ids to a set.
    pub fn add_to(&self, set: &mut RoaringTreemap) {
        let mut next: u64 = 0;
        for (gap, len) in &self.0 {
            let first = next.saturating_add(*gap);
            next = first.saturating_add(*len);
            set.insert_range(first..next);
        }
    }
}

/// The last id of the run that begins or goes on with `first`, which is in the set.
pub fn run_end(set: &RoaringTreemap, first: u64) -> u64 {
    // All up to `end` are in it, and not all up to `end + step`.
    let (mut end, mut step) = (first, 1_u64);
    while set.contains_range(end..=end.saturating_add(step)) {
        end += step;
        step *= 2;
    }
    while step > 1 {
        step /= 2;
        if set.contains_range(end..=end + step) {
            end += step;
        }
    }
    end
}

/// The first id of the run that ends or goes on with `last`, which is in the set.
pub fn run_begin(set: &RoaringTreemap, last: u64) -> u64 {
    // All from `begin` on are in it, and not all from `begin - step` on.
    let (mut begin, mut step) = (last, 1_u64);
    while begin >= step && set.contains_range(begin - step..=begin) {
        begin -= step;
        step *= 2;
    }
    while step > 1 {
        step /= 2;
        if begin >= step && set.contains_range(begin - step..=begin) {
            begin -= step;
        }
    }
    begin
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: impl IntoIterator<Item = u64>) -> Vec<JobId> {
        numbers.into_iter().map(|number| JobId::new(number).unwrap()).collect()
    }

    #[test]
    fn runs_are_what_they_were_made_of() {
        let max = JobId::MAX.get();
        for list in [vec![], vec![1], vec![max], vec![1, 2, 3, 7, 9, 10, 1 << 40, max - 1, max]] {
            let mut set = RoaringTreemap::new();
            RunsRow::new(&ids(list.clone())).add_to(&mut set);
            assert_eq!(set.iter().collect::<Vec<_>>(), list);
        }
        assert_eq!(RunsRow::new(&ids(5..905)).0, [(5, 900)]);
    }

    #[test]
    fn what_is_on_disks_is_pinned() {
        let row = RunsRow::new(&ids([5, 6, 300]));
        crate::coding::tests::pinned(&row, "01020502a50201");
    }

    #[test]
    fn a_run_begins_and_ends_at_gaps() {
        for len in [1, 2, 3, 4, 5, 100, 65_535, 65_536, 1_000_003] {
            for first in [1, 7, 65_530, (1 << 32) - 3] {
                let mut set = RoaringTreemap::new();
                set.insert_range(first..first + len);
                set.insert(first + len + 1);
                set.extend(first.checked_sub(2));
                for from in [first, first + len / 2, first + len - 1] {
                    assert_eq!(run_end(&set, from), first + len - 1, "{len} from {first}");
                    assert_eq!(run_begin(&set, from), first, "{len} from {first}");
                }
            }
        }
    }
}
