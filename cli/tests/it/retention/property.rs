//! Random rules over random trees, against a naive model of what they mean, while others read and
//! the service is killed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use jobtracker_client::{
    JobId, JobTrackerClient, ListJobs, NewChange, NewJob, ProblemCode, RetentionRule, RetryPolicy,
    State,
};
use jobtracker_server::StoreKind;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::time::timeout;

use super::id;
use crate::{
    harness::Harness,
    process::{ANY_PORT, Process, Settings, embedded},
};

/// Generous: it only guards against a hang.
const GUARD: Duration = Duration::from_secs(300);
/// The ids of a tree begin with those of its root.
const IDS: u64 = 100;
const ENDS: [State; 2] = [State::RanToCompletion, State::Faulted];

struct Tree {
    root: NewJob,
    below: u64,
    end: State,
    is_finished: bool,
}

impl Tree {
    fn random(number: u64, random: &mut StdRng) -> Self {
        let mut root = NewJob::new(*["a", "ab", "b"].choose(random).unwrap()).id(id(number * IDS));
        root.created_by = (*["x", "y"].choose(random).unwrap()).to_owned();
        root.tags = (0..3).filter(|_| random.random()).map(|tag| format!("t{tag}")).collect();
        root.keep_days = random.random_bool(0.1).then_some(1);
        let (below, end) = (random.random_range(1..12), *ENDS.choose(random).unwrap());
        Self { root, below, end, is_finished: random.random_bool(0.8) }
    }

    fn root(&self) -> JobId {
        self.root.id.unwrap()
    }

    async fn plant(&self, client: &JobTrackerClient) {
        client.create(self.root.clone()).await.unwrap();
        let first = self.root().get();
        for number in 1..=self.below {
            let (job, parent) = (id(first + number), id(first + number / 3));
            client.create(NewJob::new("job").id(job).under(parent)).await.unwrap();
            if number < self.below || self.is_finished {
                client.update(job, NewChange::new(State::RanToCompletion)).await.unwrap();
            }
        }
        client.update(self.root(), NewChange::new(self.end)).await.unwrap();
    }

    fn is_meant(&self, rule: &RetentionRule) -> bool {
        let NewJob { name, created_by, tags, keep_days, .. } = &self.root;
        let RetentionRule { name_prefix, created_by: by, tags: wanted, states, .. } = rule;
        self.is_finished
            && keep_days.unwrap_or(rule.keep_days) == 0
            && name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix))
            && by.as_ref().is_none_or(|by| by == created_by)
            && wanted.iter().all(|tag| tags.contains(tag))
            && (states.is_empty() || states.contains(&self.end))
    }

    /// Whether it is what the rules make of it.
    async fn is_as_meant(&self, client: &JobTrackerClient, rules: &[RetentionRule]) -> bool {
        let rule = rules.iter().find(|rule| self.is_meant(rule));
        match (client.load(self.root()).await, rule) {
            (Ok(job), None) => !job.summary && job.subtree.total == self.below,
            (Ok(job), Some(rule)) => {
                job.summary && rule.summary_days.is_some() && job.subtree.total == self.below
            }
            (Err(error), Some(rule)) => {
                rule.summary_days.is_none() && error.code() == Some(ProblemCode::Gone)
            }
            (Err(_), None) => false,
        }
    }
}

fn rule(random: &mut StdRng) -> RetentionRule {
    let text =
        |texts: &[&str], random: &mut StdRng| texts.choose(random).map(|text| (*text).into());
    RetentionRule {
        name_prefix: if random.random() { text(&["a", "ab", "b"], random) } else { None },
        created_by: if random.random() { text(&["x", "y"], random) } else { None },
        tags: text(&["t0", "t1", "t2"], random).into_iter().collect(),
        states: ENDS.into_iter().filter(|_| random.random()).collect(),
        summary_days: random.random::<bool>().then_some(5),
        ..RetentionRule::new(if random.random_bool(0.8) { 0 } else { 9 })
    }
}

/// Reads trees until it is to stop: each of them is whole, or gone. Answers how many it read.
async fn read(client: JobTrackerClient, trees: Arc<Vec<Tree>>, stop: Arc<AtomicBool>) -> usize {
    let mut read = 0;
    for tree in trees.iter().cycle() {
        if stop.load(Relaxed) {
            break;
        }
        // An error means that the tree is gone, or the service is.
        if let Ok(page) = client.descendants(tree.root(), ListJobs::default()).await {
            assert_eq!(page.items.len() as u64, tree.below, "a part of tree {}", tree.root());
            read += 1;
        }
    }
    read
}

fn client(url: &str) -> JobTrackerClient {
    JobTrackerClient::builder(url).retry(RetryPolicy::never()).build().unwrap()
}

/// Waits until this many of the trees that go have gone.
async fn until_gone(
    client: &JobTrackerClient,
    trees: &[&Tree],
    rules: &[RetentionRule],
    most: usize,
) {
    let wait = async {
        loop {
            let mut gone = 0;
            for tree in trees {
                gone += usize::from(tree.is_as_meant(client, rules).await);
            }
            if gone >= most.min(trees.len()) {
                return;
            }
        }
    };
    timeout(GUARD, wait).await.expect("rules delete what they mean");
}

/// A process that is killed meanwhile, if that is possible, serves at this address.
async fn holds(seed: u64, count: u64, url: &str, mut killed: Option<(Process, Settings)>) {
    let mut random = StdRng::seed_from_u64(seed);
    let client = client(url);
    let trees: Vec<Tree> = (1..=count).map(|number| Tree::random(number, &mut random)).collect();
    for tree in &trees {
        tree.plant(&client).await;
    }
    let trees = Arc::new(trees);
    let stop = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read(client.clone(), Arc::clone(&trees), Arc::clone(&stop)));
    let first = RetentionRule { tags: vec!["t0".to_owned()], ..RetentionRule::new(0) };
    let mut rules = vec![first];
    rules.extend((0..3).map(|_| rule(&mut random)));
    // In their order: the first one that means a tree takes it.
    for (number, rule) in rules.iter().enumerate() {
        client.put_retention_rule(&format!("rule{number}"), rule).await.unwrap();
    }
    let goes = |tree: &&Tree| rules.iter().any(|rule| tree.is_meant(rule));
    let meant: Vec<&Tree> = trees.iter().filter(goes).collect();
    assert!(!meant.is_empty() && meant.len() < trees.len(), "seed {seed} says nothing");
    for round in 1..4 {
        let Some((process, settings)) = killed else { break };
        until_gone(&client, &meant, &rules, meant.len() * round / 4).await;
        let listen = process.address().to_owned();
        process.kill();
        killed = Some((Process::start(&listen, &settings), settings));
    }
    until_gone(&client, &meant, &rules, meant.len()).await;
    // Behind a round that ends after this one has begun, nothing more goes.
    for number in [count + 1, count + 2] {
        let root = NewJob::new("a").id(id(number * IDS)).tag("t0");
        let last = Tree { root, below: 1, end: State::Faulted, is_finished: true };
        last.plant(&client).await;
        until_gone(&client, &[&last], &rules, 1).await;
    }
    stop.store(true, Relaxed);
    assert!(reader.await.unwrap() > 0);
    for tree in trees.iter() {
        let root = tree.root();
        assert!(tree.is_as_meant(&client, &rules).await, "seed {seed}: tree {root}");
        let below = client.descendants(root, ListJobs::default()).await;
        let below = below.map_or(0, |page| page.items.len() as u64);
        assert_eq!(below, if goes(&tree) { 0 } else { tree.below }, "seed {seed}: tree {root}");
    }
    drop(killed);
}

/// More with `JOBTRACKER_LONG=1`.
fn seeds() -> std::ops::Range<u64> {
    0..if std::env::var("JOBTRACKER_LONG").is_ok() { 50 } else { 2 }
}

#[tokio::test]
async fn rules_delete_what_they_mean_and_nothing_else_through_kills() {
    for seed in seeds() {
        let data = tempfile::tempdir().unwrap();
        let mut settings = embedded(data.path());
        settings.push(("retention.every_seconds", "1".to_owned()));
        let process = Process::start(ANY_PORT, &settings);
        let url = format!("http://{}", process.address());
        holds(seed, 20, &url, Some((process, settings))).await;
    }
}

#[tokio::test]
async fn rules_delete_what_they_mean_and_nothing_else_on_a_cluster() {
    let change = |config: &mut jobtracker_server::Config| config.retention.every_seconds = 1;
    let harness = Harness::start(StoreKind::Scylla, change).await;
    holds(7, 12, harness.url(), None).await;
    harness.stop().await;
}
