//! Random sequences, split at random between direct calls, two contexts and flushes, against the
//! naive model.

use std::sync::Arc;

use jobtracker_client::{JobId, JobTracker, ListPage, NewChange, NewJob, State};
use jobtracker_context::JobTrackerContext;
use jobtracker_model::testing::{NaiveJob, NaiveTree};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::examples::context;
use crate::harness::{Harness, STORES};

const REPORTED: [State; 6] = [
    State::WaitingToRun,
    State::Running,
    State::Warning,
    State::WaitingForChildrenToComplete,
    State::RanToCompletion,
    State::Faulted,
];
const STEPS: usize = 120;
const ROUNDS: u64 = 12;

fn id(number: usize) -> JobId {
    JobId::new(number as u64).unwrap()
}

/// The parties that operate: the service directly, or one of two contexts. Before another party
/// operates, the records of the last one are flushed, so that the order is that of the sequence.
struct Parties {
    direct: Arc<dyn JobTracker>,
    contexts: [JobTrackerContext; 2],
    last: usize,
}

impl Parties {
    async fn turn(&mut self, party: usize) -> Option<&JobTrackerContext> {
        if party != self.last && self.last < 2 {
            self.contexts[self.last].flush().await.unwrap();
        }
        self.last = party;
        self.contexts.get(party)
    }

    async fn create(&mut self, party: usize, job: NewJob) {
        match self.turn(party).await {
            Some(context) => drop(context.create(job).await.unwrap()),
            None => drop(self.direct.create(job).await.unwrap()),
        }
    }

    async fn update(&mut self, party: usize, id: JobId, state: State) -> bool {
        let change = NewChange::new(state);
        match self.turn(party).await {
            Some(context) => context.update(id, change).await.unwrap().applied,
            None => self.direct.update(id, change).await.unwrap().applied,
        }
    }
}

async fn round(seed: u64, harness: &Harness, block: bool) {
    let mut random = StdRng::seed_from_u64(seed);
    let contexts = [(); 2].map(|()| context(harness, block));
    let mut parties = Parties { direct: Arc::new(harness.client()), contexts, last: 2 };
    let mut naive = NaiveTree::default();
    let mut count = 0;
    for _ in 0..STEPS {
        // The same party often goes on, so turns are long and short.
        let party = if random.random_bool(0.7) { parties.last } else { random.random_range(0..3) };
        if count == 0 || random.random_bool(0.4) {
            let parent =
                (count > 0 && random.random_bool(0.9)).then(|| id(random.random_range(1..=count)));
            count += 1;
            let job = NewJob { id: Some(id(count)), parent, ..NewJob::new(format!("job {count}")) };
            parties.create(party, job).await;
            naive.create(id(count), parent);
        } else {
            let at = id(random.random_range(1..=count));
            let state = REPORTED[random.random_range(0..REPORTED.len())];
            let applied = parties.update(party, at, state).await;
            assert_eq!(applied, !(block && naive.is_finished(at)), "seed {seed}");
            if applied {
                naive.append(at, state);
            }
        }
        let at = id(random.random_range(1..=count));
        if let Some(context) = parties.contexts.get(parties.last) {
            let status = context.get(at).await.unwrap().unwrap().node.status;
            assert_eq!(status.state, naive.job(at).state, "seed {seed}: {at}");
            assert_eq!(status.subtree.total, naive.job(at).subtree[0], "seed {seed}: {at}");
        }
    }
    parties.turn(2).await;
    for context in &parties.contexts {
        context.commit_and_close().await.unwrap();
    }
    for at in naive.ids() {
        let job = parties.direct.load(at).await.unwrap();
        let list = parties.direct.changes(at, ListPage::default().limit(1000)).await.unwrap().items;
        let changes = list.into_iter().map(|change| change.state).collect();
        let seen = NaiveJob { changes, ..NaiveJob::from(&job) };
        assert_eq!(seen, naive.job(at), "seed {seed}: {at}");
    }
}

#[tokio::test]
async fn any_split_leaves_the_same_tree() {
    for seed in 0..ROUNDS {
        let block = seed % 3 != 0;
        let harness = Harness::start(STORES[seed as usize % 2], |config| {
            config.jobs.block_updates_after_finish = block;
        })
        .await;
        round(seed, &harness, block).await;
        harness.stop().await;
    }
}
