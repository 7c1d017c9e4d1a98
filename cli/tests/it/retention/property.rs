//! Random rules over random trees, against a naive model of what they mean, while others read and
//! export, and the service is killed at every step of a removal.

use std::{
    path::Path,
    process::Command,
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
use jobtracker_store::{Store, memory::MemoryStore};
use jobtracker_store_suite::faults::{Control, FLUSH, Fault, Faults, KILL, WRITE};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tempfile::TempDir;
use tokio::{
    runtime::Handle,
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

use super::id;
use crate::{
    harness::Harness,
    moving::import_all,
    process::{ANY_PORT, BINARY, Process, Settings, embedded},
};

/// Generous: it only guards against a hang.
const GUARD: Duration = Duration::from_secs(300);
/// The ids of a tree begin with those of its root.
const IDS: u64 = 100;
const ENDS: [State; 2] = [State::RanToCompletion, State::Faulted];

/// Where the service is killed: the deletion of a tree, each step of its removal and the end of it
/// are writes to the journal, each followed by a flush before it is answered or shown.
const STEPS: [Fault; 2] = [
    Fault::new("in the middle of a write", KILL, WRITE, ".jnl"),
    Fault::new("before the write is durable", KILL, FLUSH, ".jnl"),
];
/// Fewer steps than this are let through before one at which it is killed; more than it makes while
/// it starts.
const SPARED: i32 = 10;

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

/// Who reads while trees go: each tree is whole, or gone.
struct Readers {
    stop: Arc<AtomicBool>,
    tasks: [JoinHandle<usize>; 2],
}

impl Readers {
    fn start(client: &JobTrackerClient, url: &str, trees: &Arc<Vec<Tree>>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let read = read(client.clone(), Arc::clone(trees), Arc::clone(&stop));
        let export = export(url.to_owned(), Arc::clone(trees), Arc::clone(&stop));
        Self { stop, tasks: [tokio::spawn(read), tokio::spawn(export)] }
    }

    /// All of them have read something.
    async fn end(self) {
        self.stop.store(true, Relaxed);
        for task in self.tasks {
            assert!(task.await.unwrap() > 0);
        }
    }
}

/// Reads trees until it is to stop; answers how many it read.
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

/// Makes exports until it is to stop; answers how many.
async fn export(url: String, trees: Arc<Vec<Tree>>, stop: Arc<AtomicBool>) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let mut made = 0;
    while !stop.load(Relaxed) {
        let file = folder.path().join(made.to_string());
        let mut command = tokio::process::Command::new(BINARY);
        command.args(["export", "--url", &url, "--to"]).arg(&file);
        let output = command.output().await.unwrap();
        // It fails when the service is gone for too long.
        if output.status.success() {
            let (trees, tokio) = (Arc::clone(&trees), Handle::current());
            // What an import tells of must not move between threads.
            let check = spawn_blocking(move || tokio.block_on(check_export(&file, &trees)));
            check.await.unwrap();
            made += 1;
        }
    }
    made
}

async fn check_export(file: &Path, trees: &[Tree]) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    import_all(&store, &std::fs::read(file).unwrap()).await;
    for tree in trees {
        let root = store.get_job(tree.root()).await.unwrap();
        let below = root.map(|root| root.status.subtree.total);
        assert!(below.is_none_or(|below| below == tree.below), "a part of tree {}", tree.root());
    }
}

/// A service that is killed again and again, and started again.
struct Killed {
    process: Option<Process>,
    listen: String,
    settings: Settings,
    faults: Faults,
    control: Control,
    random: StdRng,
    kills: usize,
    _folder: TempDir,
}

impl Killed {
    fn start(data: &Path, seed: u64) -> Self {
        let mut settings = embedded(data);
        settings.push(("retention.every_seconds", "1".to_owned()));
        let folder = tempfile::tempdir().unwrap();
        let faults = Faults::build(folder.path());
        let (control, random) = (faults.control(), StdRng::seed_from_u64(seed));
        let (listen, kills) = (ANY_PORT.to_owned(), 0);
        let mut this = Self {
            process: None,
            listen,
            settings,
            faults,
            control,
            random,
            kills,
            _folder: folder,
        };
        this.process = this.spawn();
        this.listen = this.process.as_ref().unwrap().address().to_owned();
        this
    }

    /// `None` if it was killed while it started.
    fn spawn(&self) -> Option<Process> {
        let mut command = Command::new(BINARY);
        self.faults.stand_before(&mut command);
        Process::try_spawn(command, &self.listen, &self.settings)
    }

    /// Has it killed at one of the next steps, from now on or when it is started again.
    fn arm(&mut self) {
        let step = &STEPS[self.random.random_range(0..STEPS.len())];
        self.control.set_some(step, self.random.random_range(0..SPARED), 1);
    }

    /// Starts it again if it was killed, to be killed again.
    fn revive(&mut self) {
        if self.process.as_mut().is_none_or(Process::has_ended) {
            self.kills += 1;
            self.arm();
            self.process = self.spawn();
        }
    }

    /// Starts it again if it was killed; it will not be again.
    fn let_live(&mut self) {
        self.control.clear();
        if self.process.as_mut().is_none_or(Process::has_ended) {
            self.process = self.spawn();
        }
    }
}

fn client(url: &str) -> JobTrackerClient {
    JobTrackerClient::builder(url).retry(RetryPolicy::never()).build().unwrap()
}

/// Waits until these trees, all of which go, have gone; `revive` is asked again and again.
async fn until_gone(
    client: &JobTrackerClient,
    trees: &[&Tree],
    rules: &[RetentionRule],
    mut revive: impl FnMut(),
) {
    let wait = async {
        for tree in trees {
            while !tree.is_as_meant(client, rules).await {
                revive();
            }
        }
    };
    timeout(GUARD, wait).await.expect("rules delete what they mean");
}

/// A service serves at this address, which may be killed meanwhile.
async fn holds(seed: u64, count: u64, url: &str, mut killed: Option<Killed>) {
    let mut random = StdRng::seed_from_u64(seed);
    let client = client(url);
    let trees: Vec<Tree> = (1..=count).map(|number| Tree::random(number, &mut random)).collect();
    for tree in &trees {
        tree.plant(&client).await;
    }
    let trees = Arc::new(trees);
    let readers = Readers::start(&client, url, &trees);
    let first = RetentionRule { tags: vec!["t0".to_owned()], ..RetentionRule::new(0) };
    let mut rules = vec![first];
    rules.extend((0..3).map(|_| rule(&mut random)));
    // In their order: the first one that means a tree takes it.
    killed.iter_mut().for_each(Killed::arm);
    for (number, rule) in rules.iter().enumerate() {
        let name = format!("rule{number}");
        while let Err(error) = client.put_retention_rule(&name, rule).await {
            killed.as_mut().unwrap_or_else(|| panic!("{error}")).revive();
        }
    }
    let goes = |tree: &&Tree| rules.iter().any(|rule| tree.is_meant(rule));
    let meant: Vec<&Tree> = trees.iter().filter(goes).collect();
    assert!(!meant.is_empty() && meant.len() < trees.len(), "seed {seed} says nothing");
    until_gone(&client, &meant, &rules, || killed.iter_mut().for_each(Killed::revive)).await;
    if let Some(killed) = &mut killed {
        assert!(killed.kills > 0, "seed {seed} kills nothing");
        killed.let_live();
        // It may have been killed just before that. One that writes was not.
        while client.put_retention_rule("rule0", &rules[0]).await.is_err() {
            killed.let_live();
        }
    }
    // Behind a round that ends after this one has begun, nothing more goes.
    for number in [count + 1, count + 2] {
        let root = NewJob::new("a").id(id(number * IDS)).tag("t0");
        let last = Tree { root, below: 1, end: State::Faulted, is_finished: true };
        last.plant(&client).await;
        until_gone(&client, &[&last], &rules, || {}).await;
    }
    readers.end().await;
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
        let killed = Killed::start(data.path(), seed);
        let url = format!("http://{}", killed.listen);
        holds(seed, 20, &url, Some(killed)).await;
    }
}

#[tokio::test]
async fn rules_delete_what_they_mean_and_nothing_else_on_a_cluster() {
    let change = |config: &mut jobtracker_server::Config| config.retention.every_seconds = 1;
    let harness = Harness::start(StoreKind::Scylla, change).await;
    holds(7, 12, harness.url(), None).await;
    harness.stop().await;
}
