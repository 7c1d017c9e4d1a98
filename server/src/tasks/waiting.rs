//! The claims of workers that wait for tasks.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jobtracker_model::WorkerFilter;
use tokio::sync::oneshot;

use super::{counts::Counts, document::WorkerDocument, ready::Candidate};

/// A claim that waits.
pub(super) struct WaitingClaim {
    pub worker: String,
    pub document: WorkerDocument,
    pub free: usize,
    pub counts: Counts,
    pub give: oneshot::Sender<Vec<(Candidate, bool)>>,
}

/// All that wait, the longest first.
#[derive(Default)]
pub(super) struct WaitingClaims {
    claims: BTreeMap<u64, WaitingClaim>,
    /// Those of each worker that counts tasks by their keys.
    counting: HashMap<String, BTreeSet<u64>>,
    next: u64,
}

impl WaitingClaims {
    pub fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    /// Their numbers, in order.
    pub fn numbers(&self) -> Vec<u64> {
        self.claims.keys().copied().collect()
    }

    /// Adds a claim; answers its number.
    pub fn add(&mut self, claim: WaitingClaim) -> u64 {
        let number = self.next;
        self.next += 1;
        self.put(number, claim);
        number
    }

    /// Puts back a claim that was taken.
    pub fn put(&mut self, number: u64, claim: WaitingClaim) {
        if !claim.counts.is_empty() {
            self.counting.entry(claim.worker.clone()).or_default().insert(number);
        }
        self.claims.insert(number, claim);
    }

    pub fn take(&mut self, number: u64) -> Option<WaitingClaim> {
        let claim = self.claims.remove(&number)?;
        if let Some(numbers) = self.counting.get_mut(&claim.worker) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.counting.remove(&claim.worker);
            }
        }
        Some(claim)
    }

    /// Whether a worker has said that it may have no more tasks which ask for this.
    pub fn is_full(&self, worker: &str, filter: &WorkerFilter) -> bool {
        let numbers = self.counting.get(worker).into_iter().flatten();
        let mut claims = numbers.filter_map(|number| self.claims.get(number));
        claims.any(|claim| !claim.counts.has_room(filter))
    }

    /// Counts a task no more that a worker has ended.
    pub fn uncount(&mut self, worker: &str, filter: &WorkerFilter) {
        for number in self.counting.get(worker).into_iter().flatten() {
            if let Some(claim) = self.claims.get_mut(number) {
                claim.counts.remove(filter);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jobtracker_model::{NewWorker, PerWorker, Timestamp};

    use super::*;

    fn claim(worker: &str, has: u32) -> WaitingClaim {
        let new = NewWorker {
            name: worker.into(),
            handlers: Vec::new(),
            tags: Vec::new(),
            labels: BTreeMap::new(),
            slots: 1,
        };
        let has = (has > 0).then(|| ("k".to_owned(), has));
        WaitingClaim {
            worker: worker.into(),
            document: WorkerDocument::new(new, Timestamp::MIN),
            free: 1,
            counts: Counts::new(has.into_iter().collect()),
            give: oneshot::channel().0,
        }
    }

    #[test]
    fn what_a_worker_has_is_counted_while_its_claim_waits() {
        let per_worker = |max| Some(PerWorker { key: "k".into(), max });
        let filter = |max| WorkerFilter { per_worker: per_worker(max), ..WorkerFilter::default() };
        let mut all = WaitingClaims::default();
        let [first, second] = [all.add(claim("a", 2)), all.add(claim("a", 1))];
        all.add(claim("b", 0));
        let full = |all: &WaitingClaims, max| all.is_full("a", &filter(max));
        assert_eq!(
            (full(&all, 2), full(&all, 3), all.is_full("b", &filter(1))),
            (true, false, false)
        );
        let taken = all.take(first).unwrap();
        assert_eq!((full(&all, 2), full(&all, 1)), (false, true));
        all.put(first, taken);
        assert_eq!((full(&all, 2), all.numbers()), (true, vec![first, second, second + 1]));
        all.uncount("a", &filter(2));
        assert_eq!((full(&all, 2), full(&all, 1)), (false, true));
        drop((all.take(first), all.take(second)));
        assert!(!full(&all, 1) && all.counting.is_empty() && !all.is_empty());
    }
}
