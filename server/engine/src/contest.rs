//! Fairness between servers that commit to one tree at once.
//!
//! Who has won a race knows the tree and can commit to it again at once; who has lost it has to load
//! the tree first, comes too late again, and would do so for ever. So the winner leaves a contested
//! tree alone for about as long as a commit takes, while the loser goes on at once. That a tree is
//! contested shows when a commit to it is refused, or when its version has moved between two
//! commits of one's own. A server that wins every race sees neither: so now and then it leaves any
//! tree alone to which it commits again and again, and lets others show themselves.

use std::{collections::HashMap, time::Duration};

use jobtracker_model::JobId;
use jobtracker_store::Version;

/// Trees of which something is remembered. Past it all are forgotten: whoever contests a tree will
/// show again.
const TREES: usize = 4_096;
/// After so many commits to a tree without a sign of others it is not contested any more. Each of
/// them is followed by a pause twice as long as the one before, for others that are slow.
const SIGNS_WAITED_FOR: u32 = 5;
/// A pause for others to show themselves comes after so many commits to a tree; that is well below
/// the attempts after which an operation is given up.
const LOOK_AROUND_EVERY: u32 = 64;
/// How many times as long as a commit these pauses are, by turns: others that are slower than this
/// server also try less often.
const LOOK_AROUND_TIMES: [u32; 3] = [2, 4, 8];
/// The shortest pause, since timers count in milliseconds, and the longest for others.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(20);
/// Callers that have been answered have this part of the time of a commit to come back.
const PART_FOR_CALLERS: u32 = 4;
/// The longest time for that.
const LONGEST_FOR_CALLERS: Duration = Duration::from_millis(5);
/// After they were waited for in vain, so many commits are made without that.
const HASTY_COMMITS: u32 = 8;

/// Whose turn it is with a tree after a commit to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// This server's, at once.
    Ours,
    /// That of other servers, for so long.
    Others(Duration),
    /// That of this server's callers, for so long at the most.
    Callers(Duration),
}

/// The trees for which others compete, or may do so.
#[derive(Debug, Default)]
pub(crate) struct Contests {
    trees: HashMap<JobId, Contest>,
}

#[derive(Debug, Default)]
struct Contest {
    /// The version that the last commit from here has left behind.
    left: Option<Version>,
    contested: bool,
    /// Commits from here since others have shown themselves, or since the last look around.
    wins: u32,
    /// Looks around.
    looks: usize,
    /// Commits to be made without waiting for callers.
    hasty: u32,
}

impl Contests {
    /// A commit was refused because the tree had moved.
    pub fn lost(&mut self, root: JobId) -> Turn {
        *self.tree(root) = Contest { contested: true, ..Contest::default() };
        Turn::Ours
    }

    /// A commit that was computed from that version is done, in so much time; so many callers were
    /// answered or wait for the next one.
    pub fn won(&mut self, root: JobId, expected: Version, took: Duration, callers: usize) -> Turn {
        let contest = self.tree(root);
        if contest.left.is_some_and(|left| left != expected) {
            *contest = Contest { contested: true, ..Contest::default() };
        }
        contest.left = Some(expected + 1);
        match contest.pause_for_others() {
            Some(times) => {
                // Servers that take turns by the clock could miss each other for ever.
                let some_more = rand::random_range(1.0..1.5);
                Turn::Others((took * times).mul_f64(some_more).clamp(SHORTEST, LONGEST))
            }
            None if callers < 2 => Turn::Ours,
            None if contest.hasty > 0 => {
                contest.hasty -= 1;
                Turn::Ours
            }
            None => Turn::Callers((took / PART_FOR_CALLERS).clamp(SHORTEST, LONGEST_FOR_CALLERS)),
        }
    }

    /// Most of the callers have not come back in time.
    pub fn in_vain(&mut self, root: JobId) {
        self.tree(root).hasty = HASTY_COMMITS;
    }

    fn tree(&mut self, root: JobId) -> &mut Contest {
        if self.trees.len() >= TREES && !self.trees.contains_key(&root) {
            self.trees.clear();
        }
        self.trees.entry(root).or_default()
    }
}

impl Contest {
    /// For how many times as long as a commit the tree is left to others after one more from here.
    fn pause_for_others(&mut self) -> Option<u32> {
        self.wins += 1;
        if self.contested && self.wins <= SIGNS_WAITED_FOR {
            return Some(1 << (self.wins - 1));
        }
        if self.contested {
            (self.contested, self.wins) = (false, 0);
            return None;
        }
        if self.wins < LOOK_AROUND_EVERY {
            return None;
        }
        let times = LOOK_AROUND_TIMES[self.looks % LOOK_AROUND_TIMES.len()];
        (self.wins, self.looks) = (0, self.looks + 1);
        Some(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_millis(2);

    fn root(number: u64) -> JobId {
        JobId::new(number).expect("it is not 0")
    }

    fn won(contests: &mut Contests, expected: Version) -> Option<Duration> {
        match contests.won(root(1), expected, TOOK, 1) {
            Turn::Others(pause) => Some(pause),
            turn => {
                assert_eq!(turn, Turn::Ours);
                None
            }
        }
    }

    /// The pauses after so many commits of which each finds what the one before has left.
    fn alone(contests: &mut Contests, from: Version, commits: u64) -> Vec<Option<Duration>> {
        (from..from + commits).map(|expected| won(contests, expected)).collect()
    }

    #[test]
    fn a_contested_tree_is_left_alone_for_longer_and_longer_until_nobody_shows() {
        let mut contests = Contests::default();
        contests.lost(root(1));
        let pauses = alone(&mut contests, 7, 20);
        for (number, pause) in pauses.iter().enumerate() {
            let least = (TOOK * (1 << number.min(10))).min(LONGEST);
            let expected = (number < 5).then(|| least..=(least * 3 / 2).min(LONGEST));
            let fits = |range: std::ops::RangeInclusive<_>| range.contains(&pause.unwrap());
            assert!(expected.map_or(pause.is_none(), fits), "{number}: {pauses:?}");
        }
        assert_eq!(contests.won(root(2), 0, TOOK, 1), Turn::Ours);
    }

    #[test]
    fn others_show_by_a_version_that_is_not_ones_own() {
        let mut contests = Contests::default();
        assert_eq!(alone(&mut contests, 0, 3), [None; 3]);
        let pauses = [4, 6, 8, 10, 12, 14, 16].map(|expected| won(&mut contests, expected));
        assert!(pauses.iter().all(|pause| pause.unwrap() <= TOOK * 3 / 2), "{pauses:?}");
    }

    #[test]
    fn whoever_wins_always_looks_around_now_and_then() {
        let mut contests = Contests::default();
        let pauses = alone(&mut contests, 0, 300);
        let looks: Vec<_> = (1..).zip(pauses).filter_map(|(n, pause)| Some((n, pause?))).collect();
        let expected = [(64, 2), (128, 4), (192, 8), (256, 2)];
        for ((number, pause), (at, times)) in looks.iter().zip(expected) {
            let longest = (TOOK * times * 3 / 2).min(LONGEST);
            assert!(*number == at && (TOOK * times..=longest).contains(pause), "{looks:?}");
        }
        assert_eq!(looks.len(), expected.len());
    }

    #[test]
    fn callers_are_waited_for_unless_that_was_in_vain_of_late() {
        let mut contests = Contests::default();
        let mut turns = |commits: std::ops::Range<u64>| {
            let turns = commits.map(|expected| contests.won(root(1), expected, TOOK, 2));
            let turns: Vec<_> = turns.collect();
            contests.in_vain(root(1));
            turns
        };
        let waits = Turn::Callers(SHORTEST);
        assert_eq!(turns(0..3), [waits; 3]);
        assert_eq!(turns(3..12), [vec![Turn::Ours; 8], vec![waits]].concat());
    }

    #[test]
    fn a_pause_has_bounds_and_so_has_the_memory() {
        let mut contests = Contests::default();
        for (took, pause) in [(Duration::ZERO, SHORTEST), (Duration::MAX / 64, LONGEST)] {
            contests.lost(root(1));
            assert_eq!(contests.won(root(1), 1, took, 1), Turn::Others(pause));
        }
        for number in 1..=10_000 {
            contests.won(root(number), 0, TOOK, 1);
        }
        assert!(contests.trees.len() <= TREES);
    }
}
