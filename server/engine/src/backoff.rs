//! How long a server leaves a tree alone that other servers commit to as well.
//!
//! The server that has won a race knows the tree and can commit to it again at once; the server
//! that has lost has to load the tree first, comes too late again, and would do so for ever. So the
//! winner leaves a contested tree alone for about as long as a commit takes, while the loser goes
//! on at once. A tree is known to be contested when a commit to it is refused, or when its version
//! has moved between two commits of this server. A server that wins every race sees neither: so now
//! and then it leaves any tree alone to which it commits again and again, and lets other servers
//! commit.

use std::{collections::HashMap, time::Duration};

use jobtracker_model::JobId;
use jobtracker_store::Version;

/// Trees that are remembered. Past this number all are forgotten: a server that competes for a tree
/// is noticed again.
const TREES: usize = 4_096;
/// After a sign of another server, this many commits are each followed by a pause. Then the pauses
/// come after two commits, after four and so on, as long as no other server is noticed.
const PAUSES_IN_A_ROW: u32 = 4;
/// The rarest pauses come after two to this power of commits. That is well below the attempts after
/// which an operation is given up.
const RAREST: u32 = 6;
/// The length of a pause, by turns, as a multiple of the time of a commit and the load before it:
/// other servers may be slower than this one. A random part is added for the time in which they
/// learn that they have lost; without chance, servers that take turns by the clock could miss each
/// other for ever.
const TIMES: [u32; 3] = [1, 2, 4];
const ON_TOP: std::ops::Range<f64> = 1.5..2.0;
/// The shortest pause, since timers count in milliseconds, and the longest for other servers.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(50);
/// Callers that have been answered have this part of the time of a commit to send more.
const PART_FOR_CALLERS: u32 = 4;
/// The longest wait for callers.
const LONGEST_FOR_CALLERS: Duration = Duration::from_millis(5);
/// After a wait for callers in vain, this many commits are made without one.
const HASTY_COMMITS: u32 = 8;

/// Which side may commit to a tree after a commit to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// This server, at once.
    Ours,
    /// Other servers, for this time.
    Others(Duration),
    /// This server's callers, for at most this time.
    Callers(Duration),
}

/// The trees for which others compete, or may do so.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    trees: HashMap<JobId, TreeBackoff>,
}

#[derive(Debug)]
struct TreeBackoff {
    /// The version that this server's last commit has left behind.
    left: Option<Version>,
    /// Pauses since another server was noticed.
    pauses: u32,
    /// This server's commits since the last pause.
    commits: u32,
    /// Commits to be made without a wait for callers.
    hasty: u32,
}

impl Backoff {
    /// A commit was refused because the tree had moved.
    pub fn lost(&mut self, root: JobId) -> Turn {
        let backoff = self.tree(root);
        backoff.others_show();
        backoff.left = None;
        Turn::Ours
    }

    /// A commit that was computed from version `expected` is done; with the load before it, it took
    /// this time. `callers` of the tree were answered or wait for the next commit.
    pub fn won(&mut self, root: JobId, expected: Version, took: Duration, callers: usize) -> Turn {
        let backoff = self.tree(root);
        if backoff.left.is_some_and(|left| left != expected) {
            backoff.others_show();
        }
        backoff.left = Some(expected + 1);
        match backoff.pause_for_others() {
            Some(times) => {
                let pause = (took * times).mul_f64(rand::random_range(ON_TOP));
                Turn::Others(pause.clamp(SHORTEST, LONGEST))
            }
            None if callers < 2 => Turn::Ours,
            None if backoff.hasty > 0 => {
                backoff.hasty -= 1;
                Turn::Ours
            }
            None => Turn::Callers((took / PART_FOR_CALLERS).clamp(SHORTEST, LONGEST_FOR_CALLERS)),
        }
    }

    /// Most of the callers have not come back in time.
    pub fn in_vain(&mut self, root: JobId) {
        self.tree(root).hasty = HASTY_COMMITS;
    }

    fn tree(&mut self, root: JobId) -> &mut TreeBackoff {
        if self.trees.len() >= TREES && !self.trees.contains_key(&root) {
            self.trees.clear();
        }
        self.trees.entry(root).or_default()
    }
}

impl Default for TreeBackoff {
    /// No other server is known to want the tree.
    fn default() -> Self {
        Self { left: None, pauses: PAUSES_IN_A_ROW + RAREST - 1, commits: 0, hasty: 0 }
    }
}

impl TreeBackoff {
    fn others_show(&mut self) {
        (self.pauses, self.commits) = (0, 0);
    }

    /// The next pause for other servers, as a multiple of the time of a commit; counts one more
    /// commit of this server.
    fn pause_for_others(&mut self) -> Option<u32> {
        self.commits += 1;
        let rarity = (self.pauses + 1).saturating_sub(PAUSES_IN_A_ROW).min(RAREST);
        if self.commits < 1 << rarity {
            return None;
        }
        let times = TIMES[self.pauses as usize % TIMES.len()];
        (self.pauses, self.commits) = (self.pauses.saturating_add(1), 0);
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

    fn won(backoff: &mut Backoff, expected: Version) -> Option<Duration> {
        match backoff.won(root(1), expected, TOOK, 1) {
            Turn::Others(pause) => Some(pause),
            turn => {
                assert_eq!(turn, Turn::Ours);
                None
            }
        }
    }

    /// The pauses after this many commits, each of which finds the version that the last one left.
    fn alone(backoff: &mut Backoff, from: Version, commits: u64) -> Vec<Option<Duration>> {
        (from..from + commits).map(|expected| won(backoff, expected)).collect()
    }

    /// Asserts after which commits in a row there are pauses, and how long each is, as a multiple
    /// of the time of a commit.
    fn assert_pauses(backoff: &mut Backoff, from: Version, expected: &[(usize, u32)]) {
        let last = expected.last().map_or(0, |(at, _)| *at);
        let pauses = alone(backoff, from, last as u64);
        let pauses: Vec<_> =
            (1..).zip(pauses).filter_map(|(at, pause)| Some((at, pause?))).collect();
        let fits = |((at, pause), (wanted, times)): (&(usize, Duration), &(usize, u32))| {
            let least = (TOOK * *times).mul_f64(ON_TOP.start).min(LONGEST);
            let most = (TOOK * *times).mul_f64(ON_TOP.end).min(LONGEST);
            at == wanted && (least..=most).contains(pause)
        };
        let fine = pauses.len() == expected.len() && pauses.iter().zip(expected).all(fits);
        assert!(fine, "{pauses:?} are not {expected:?}");
    }

    #[test]
    fn a_contested_tree_is_left_alone_more_rarely_without_other_servers() {
        let mut backoff = Backoff::default();
        backoff.lost(root(1));
        let (row, later) = ([(1, 1), (2, 2), (3, 4), (4, 1)], [(6, 2), (10, 4), (18, 1), (34, 2)]);
        let rarest = [(66, 4), (130, 1), (194, 2)];
        assert_pauses(&mut backoff, 7, &[&row[..], &later, &rarest].concat());
        assert_eq!(backoff.won(root(2), 0, TOOK, 1), Turn::Ours);
    }

    #[test]
    fn others_show_by_a_version_that_is_not_ones_own() {
        let mut backoff = Backoff::default();
        assert_eq!(alone(&mut backoff, 0, 3), [None; 3]);
        let pauses = [4, 6, 8, 10, 12, 14, 16].map(|expected| won(&mut backoff, expected));
        assert!(pauses.iter().all(|pause| pause.unwrap() <= TOOK * 2), "{pauses:?}");
    }

    #[test]
    fn a_server_that_always_wins_pauses_now_and_then() {
        let mut backoff = Backoff::default();
        assert_pauses(&mut backoff, 0, &[(64, 1), (128, 2), (192, 4), (256, 1)]);
    }

    #[test]
    fn callers_are_waited_for_unless_that_was_in_vain_of_late() {
        let mut backoff = Backoff::default();
        let mut turns = |commits: std::ops::Range<u64>| {
            let turns = commits.map(|expected| backoff.won(root(1), expected, TOOK, 2));
            let turns: Vec<_> = turns.collect();
            backoff.in_vain(root(1));
            turns
        };
        let waits = Turn::Callers(SHORTEST);
        assert_eq!(turns(0..3), [waits; 3]);
        assert_eq!(turns(3..12), [vec![Turn::Ours; 8], vec![waits]].concat());
    }

    #[test]
    fn a_pause_has_bounds_and_so_has_the_memory() {
        let mut backoff = Backoff::default();
        for (took, pause) in [(Duration::ZERO, SHORTEST), (Duration::MAX / 64, LONGEST)] {
            backoff.lost(root(1));
            assert_eq!(backoff.won(root(1), 1, took, 1), Turn::Others(pause));
        }
        for number in 1..=10_000 {
            backoff.won(root(number), 0, TOOK, 1);
        }
        assert!(backoff.trees.len() <= TREES);
    }
}
