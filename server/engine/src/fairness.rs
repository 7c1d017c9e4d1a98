//! Which server has its turn with a tree, on a store that servers share. After a commit the tree
//! may be left alone for a while: so that another server has a turn, or so that callers that have
//! just been answered come back with more, and share the next commit with those that wait for it.
//! Otherwise the two halves of the callers would wait for each other's commits for ever.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use futures_util::{
    StreamExt,
    future::{BoxFuture, FutureExt},
    stream::FuturesUnordered,
};
use jobtracker_model::JobId;
use jobtracker_store::{Error, Version};

use crate::{
    backoff::{Backoff, Turn},
    queue::Queue,
};

/// The trees that this server leaves alone for a while after a commit.
pub(crate) struct Fairness {
    /// None when there are no other servers.
    backoff: Option<Backoff>,
    /// The most operations that fit into one commit.
    most: usize,
    pauses: FuturesUnordered<BoxFuture<'static, Over>>,
}

/// A pause whose time is over.
pub(crate) struct Over {
    root: JobId,
    number: u64,
    /// The pause was worth its time if this many operations wait by now.
    worth_it: usize,
}

/// How a commit has ended.
pub(crate) struct Ended<'a> {
    /// The trees, each with the version that it was computed from.
    pub trees: &'a [(JobId, Version)],
    /// The trees whose commit failed.
    pub failed: &'a HashMap<JobId, Error>,
    /// The trees to which something has to be applied again.
    pub again: &'a HashSet<JobId>,
    /// How many operations on each tree were answered.
    pub answered: &'a HashMap<JobId, usize>,
    /// How long the commit took, with the load before it.
    pub took: Duration,
}

impl Fairness {
    pub fn new(is_shared: bool, most: usize) -> Self {
        let backoff = is_shared.then(Backoff::default);
        Self { backoff, most, pauses: FuturesUnordered::new() }
    }

    /// The trees of a commit that may go on at once; the others are left alone for a while. A tree
    /// to which an operation is to be applied again goes on, so that this operation comes first.
    pub fn may_go_on(&mut self, ended: &Ended<'_>, queue: &mut Queue) -> Vec<JobId> {
        let roots = ended.trees.iter().map(|(root, _)| *root);
        let Some(backoff) = &mut self.backoff else { return roots.collect() };
        let mut on = Vec::with_capacity(ended.trees.len());
        for (root, expected) in ended.trees.iter().copied() {
            let answered = ended.answered.get(&root).copied().unwrap_or(0);
            let waiting = queue.waiting(root);
            let callers = if waiting < self.most { answered + waiting } else { 0 };
            let turn = match ended.failed.get(&root) {
                None => backoff.won(root, expected, ended.took, callers),
                Some(Error::Stale { .. }) => backoff.lost(root),
                Some(_) => Turn::Ours,
            };
            let (pause, enough, worth_it) = match turn {
                Turn::Ours => (None, 0, 0),
                Turn::Others(pause) => (Some(pause), usize::MAX, 0),
                Turn::Callers(pause) => {
                    (Some(pause), callers.min(self.most), waiting + answered.div_ceil(2))
                }
            };
            match pause.filter(|_| !ended.again.contains(&root)) {
                None => on.push(root),
                Some(pause) => {
                    let number = queue.pause(root, enough);
                    let over = tokio::time::sleep(pause);
                    self.pauses.push(over.map(move |()| Over { root, number, worth_it }).boxed());
                }
            }
        }
        on
    }

    /// Waits for the end of a pause; `None` when there is no pause.
    pub async fn next(&mut self) -> Option<Over> {
        self.pauses.next().await
    }

    /// Lets a tree go on whose pause is over, unless the pause was ended before.
    pub fn end(&mut self, over: &Over, queue: &mut Queue) {
        let waiting = queue.waiting(over.root);
        let ended = queue.go_on(over.root, over.number);
        if let Some(backoff) = &mut self.backoff
            && ended
            && waiting < over.worth_it
        {
            backoff.in_vain(over.root);
        }
    }
}

#[cfg(test)]
mod tests {
    use jobtracker_model::{NewChange, State};
    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        bounds::Bounds,
        metrics::Metrics,
        operation::{Operation, Submitted},
    };

    const ROOT: JobId = JobId::MIN;

    fn operation() -> Submitted {
        let share = Bounds::new(1, 1, Metrics::default()).take(0).expect("there is room for one");
        let operation = Operation::Update { id: ROOT, change: NewChange::new(State::Running) };
        Submitted { operation, attempts: 0, reply: oneshot::channel().0, share }
    }

    /// A commit of the tree is over that answered one operation while another operation waits.
    fn commit(fairness: &mut Fairness, queue: &mut Queue, version: Version, failed: Option<Error>) {
        queue.occupy([ROOT].into_iter(), &[]);
        assert!(queue.park(ROOT, operation()).is_none());
        let ended = Ended {
            trees: &[(ROOT, version)],
            failed: &failed.into_iter().map(|error| (ROOT, error)).collect(),
            again: &HashSet::new(),
            answered: &HashMap::from([(ROOT, 1)]),
            took: Duration::from_millis(2),
        };
        let on = fairness.may_go_on(&ended, queue);
        queue.release(&on, &[], Vec::new());
    }

    fn take(queue: &mut Queue) -> usize {
        std::iter::from_fn(|| queue.pop()).count()
    }

    #[tokio::test]
    async fn a_pause_for_callers_ends_when_they_have_come_back() {
        let (mut fairness, mut queue) = (Fairness::new(true, 100), Queue::default());
        for version in 0..20 {
            commit(&mut fairness, &mut queue, version, None);
            assert_eq!(take(&mut queue), 0, "they are waited for");
            assert!(queue.park(ROOT, operation()).is_none());
            assert!(queue.is_empty(), "nothing goes on while rows are at hand");
            queue.release_complete();
            assert_eq!(take(&mut queue), 2);
            // When the time of the pause is over, the tree is in the next commit.
            queue.occupy([ROOT].into_iter(), &[]);
            let over = fairness.next().await.unwrap();
            fairness.end(&over, &mut queue);
            assert!(queue.park(ROOT, operation()).is_none(), "it stays in that commit");
            queue.release(&[ROOT], &[], Vec::new());
            assert_eq!(take(&mut queue), 1);
        }
    }

    #[tokio::test]
    async fn callers_who_stay_away_are_not_waited_for_again_at_once() {
        let (mut fairness, mut queue) = (Fairness::new(true, 100), Queue::default());
        commit(&mut fairness, &mut queue, 0, None);
        assert_eq!(take(&mut queue), 0);
        let over = fairness.next().await.unwrap();
        fairness.end(&over, &mut queue);
        assert_eq!(take(&mut queue), 1);
        commit(&mut fairness, &mut queue, 1, None);
        assert_eq!(take(&mut queue), 1);
    }

    #[tokio::test]
    async fn a_pause_for_others_lasts_and_a_lost_race_goes_on() {
        let (mut fairness, mut queue) = (Fairness::new(true, 100), Queue::default());
        commit(&mut fairness, &mut queue, 0, Some(Error::Stale { root: ROOT }));
        assert_eq!(take(&mut queue), 1);
        commit(&mut fairness, &mut queue, 1, None);
        for _ in 0..3 {
            assert!(queue.park(ROOT, operation()).is_none());
            queue.release_complete();
        }
        assert_eq!(take(&mut queue), 0);
        let over = fairness.next().await.unwrap();
        fairness.end(&over, &mut queue);
        assert_eq!(take(&mut queue), 4);
        // No other server uses an embedded store.
        let mut fairness = Fairness::new(false, 100);
        commit(&mut fairness, &mut queue, 0, Some(Error::Stale { root: ROOT }));
        commit(&mut fairness, &mut queue, 1, None);
        assert_eq!(take(&mut queue), 2);
    }
}
