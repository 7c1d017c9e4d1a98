//! Errors of the disk and of the process that pass: writing comes back by itself, with everything
//! that was acknowledged.
//!
//! They are made in processes of their own: by a library between the process and the C library, by
//! a limit of descriptors, and on a small disk that is full.

mod small_disk;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use jobtracker_model::State;
use jobtracker_store::{
    Error, Health,
    fjall::{FjallOptions, FjallStore},
};
use jobtracker_store_suite::faults::{
    CONTROL, Control, FLUSH, Fault, Faults, LOOK, OPEN, READ, TRUNCATE, WRITE,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::forest::{Tree, id};

const TREES: u64 = 4;
/// Longer than any recovery takes; it is there so that a hang ends.
const HANG: Duration = Duration::from_secs(120);
const DIRECTORY: &str = "STORE_TEST_DIRECTORY";

const EIO: i32 = 5;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;
const EDQUOT: i32 = 122;

/// A part of the paths of all files of the store. Where all of them fail, the probe that checks
/// whether the engine can be opened again fails as well, and the engine stays open for reads.
const ALL: &str = "/store";

const FAULTS: &[Fault] = &[
    Fault::new("no descriptors", EMFILE, OPEN, ALL),
    Fault::new("no space", ENOSPC, WRITE | TRUNCATE, ALL),
    Fault::new("nothing can be written", EIO, WRITE, ALL),
    Fault::new("nothing reaches the disk", EIO, FLUSH, ALL),
    Fault::new("nothing can be read", EIO, READ, ALL),
    Fault::new("no space for journals", ENOSPC, WRITE | TRUNCATE, ".jnl"),
    Fault::new("no quota for journals", EDQUOT, WRITE | TRUNCATE, ".jnl"),
    Fault::new("journals do not reach the disk", EIO, FLUSH, ".jnl"),
    Fault::new("no space for tables", ENOSPC, WRITE, "/tables/"),
    Fault::new("tables do not reach the disk", EIO, FLUSH, "/tables/"),
    Fault::new("tables cannot be opened", EMFILE, OPEN, "/tables"),
    Fault::new("tables cannot be merged", EIO, READ, "/tables/"),
    Fault::new("lists of tables cannot be written", EIO, WRITE | OPEN, "/v"),
    Fault::new("lists of tables do not get their name", EMFILE, OPEN, "/current"),
];

/// Whether it keeps the engine from being opened again because there is no room.
fn leaves_no_room(fault: &Fault) -> bool {
    [ENOSPC, EDQUOT].contains(&fault.error) && [ALL, ".jnl"].contains(&fault.part)
}

fn leaves_reads(fault: &Fault) -> bool {
    fault.part == ALL && fault.calls & (OPEN | READ) == 0
}

/// Trees that are written to, and their known state in the store.
struct Writers {
    trees: Vec<Tree>,
    /// The same after a commit whose outcome is not known.
    in_doubt: Vec<Option<Tree>>,
    acknowledged: u64,
}

impl Writers {
    async fn new(store: &FjallStore) -> Self {
        let trees = (0..TREES).map(|tree| {
            let root = 1 + tree * 1000;
            Tree::with_children(root, root + 1..root + 8)
        });
        let (trees, in_doubt) = (trees.collect::<Vec<_>>(), vec![None; TREES as usize]);
        let mut writers = Self { trees, in_doubt, acknowledged: 0 };
        for tree in &mut writers.trees {
            tree.commit_to(store).await.unwrap();
        }
        writers
    }

    /// A commit to each tree, at once; says whether all were accepted. Trees in doubt are left
    /// alone.
    async fn step(&mut self, store: &FjallStore) -> bool {
        let step = async |(tree, in_doubt): (&mut Tree, &mut Option<Tree>)| {
            if in_doubt.is_some() {
                return false;
            }
            let mut next = tree.clone();
            let child = id(next.root.get() + 1 + next.version % 7);
            next.report(child, [State::Running, State::Warning][(next.version / 7 % 2) as usize]);
            next.log(&"x".repeat(700));
            match next.commit_to(store).await {
                Ok(()) => *tree = next,
                Err(Error::OutcomeUnknown(_)) => *in_doubt = Some(next),
                Err(Error::Unavailable(_) | Error::Full(_)) => return false,
                Err(error) => panic!("{error}"),
            }
            in_doubt.is_none()
        };
        let taken = join_all(self.trees.iter_mut().zip(&mut self.in_doubt).map(step)).await;
        self.acknowledged += taken.iter().filter(|taken| **taken).count() as u64;
        taken.iter().all(|taken| *taken)
    }

    async fn steps(&mut self, store: &FjallStore, count: usize) {
        for _ in 0..count {
            assert!(self.step(store).await, "a store that is well refuses commits");
        }
    }

    /// Everything that was acknowledged is there, and commits in doubt are there or not.
    async fn compare(&mut self, store: &FjallStore) {
        for (tree, in_doubt) in self.trees.iter_mut().zip(&mut self.in_doubt) {
            if let Some(next) = in_doubt.take()
                && next.compare(store).await.is_ok()
            {
                *tree = next;
            }
            tree.compare(store).await.unwrap();
        }
    }

    /// All trees are visible while the store takes no writes.
    async fn are_there(&self, store: &FjallStore) {
        for (tree, in_doubt) in self.trees.iter().zip(&self.in_doubt) {
            if in_doubt.is_none() {
                tree.compare(store).await.unwrap();
            }
        }
    }

    /// Writes for a while, unless the store says before that it takes no writes.
    async fn fail_within(&mut self, store: &FjallStore, steps: usize) -> bool {
        for _ in 0..steps {
            if store.check().await.is_err() {
                return true;
            }
            self.step(store).await;
        }
        store.check().await.is_err()
    }

    /// Writes until the store says that it takes no writes.
    async fn until_it_fails(&mut self, store: &FjallStore) {
        let begun = Instant::now();
        while store.check().await.is_ok() {
            self.step(store).await;
            assert!(begun.elapsed() < HANG, "nothing has failed");
        }
        assert!(store.is_alive());
    }
}

/// Any other error would count against the store.
async fn until_it_says_that_it_is_full(store: &FjallStore) {
    let begun = Instant::now();
    while !matches!(store.check().await, Err(Error::Full(_))) {
        assert!(begun.elapsed() < HANG, "it is something else");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn until_it_takes_writes(store: &FjallStore) -> Duration {
    let begun = Instant::now();
    while let Err(error) = store.check().await {
        assert!(begun.elapsed() < HANG, "{error}");
        assert!(store.is_alive(), "{error}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    begun.elapsed()
}

/// Small buffers, and little in caches, so that a table is written or merged nearly always.
fn options(directory: &Path) -> FjallOptions {
    let mut options = FjallOptions::new(directory);
    options.write_buffer_bytes = 8 * 1024;
    options.node_cache_bytes = 1;
    options.definition_cache_bytes = 1;
    options.block_cache_bytes = 1;
    options
}

/// Runs one of the tests below, which is not one by itself, in a process of its own.
fn in_a_process(test: &str, store: &Path, faults: Option<&Faults>) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([&format!("faults::{test}"), "--exact", "--ignored", "--nocapture"]);
    child.env(DIRECTORY, store).stdin(Stdio::null());
    if let Some(faults) = faults {
        faults.stand_before(&mut child);
    }
    let output = child.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{out}\n{err}");
    out.lines().filter(|line| line.contains("round")).for_each(|line| println!("{line}"));
}

fn told_directory() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

/// Runs one of the tests below in a process whose calls can be made to fail.
fn with_faults(test: &str) {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    in_a_process(test, &store, Some(&Faults::build(directory.path())));
}

#[test]
fn a_store_comes_back_after_errors_of_every_call() {
    with_faults("child_with_errors");
}

/// What cannot be examined may be the store's: it is neither taken for a foreign file nor removed.
#[test]
fn an_error_while_a_store_opens_loses_nothing() {
    with_faults("child_that_opens");
}

#[tokio::test]
#[ignore = "runs in a process of its own, started by another test"]
async fn child_that_opens() {
    let Some(directory) = told_directory() else { return };
    let control = Control::new(Path::new(&std::env::var_os(CONTROL).unwrap()));
    let store = FjallStore::open(&options(&directory)).unwrap();
    let mut writers = Writers::new(&store).await;
    writers.steps(&store, 40).await;
    store.close().await;
    drop(store);
    // Every call takes too long for each run.
    let stride = if std::env::var_os("JOBTRACKER_LONG").is_some() { 1 } else { 7 };
    for (calls, name) in [(LOOK, "look"), (OPEN, "open"), (READ, "read"), (WRITE | FLUSH, "write")]
    {
        let (mut number, mut refused) = (0, 0);
        loop {
            // One look alone seldom decides.
            let times = 1 + number % 3;
            control.set_some(&Fault::new("some calls", EIO, calls, ALL), number, times);
            let opened = FjallStore::open(&options(&directory));
            control.clear();
            let has_failed = control.failed() > 0;
            match opened {
                Ok(store) => {
                    writers.compare(&store).await;
                    store.close().await;
                }
                Err(Error::Corrupt(reason)) => panic!("{name} {number}: {reason}"),
                Err(_) => refused += 1,
            }
            assert!(!directory.join("set-aside").exists(), "{name} {number}");
            if !has_failed {
                break;
            }
            number += stride;
        }
        assert!(refused > 0, "no error of {name} has stopped an opening");
        println!("round: {name}: up to call {number}, {refused} refused");
    }
    writers.compare(&FjallStore::open(&options(&directory)).unwrap()).await;
}

#[tokio::test]
#[ignore = "runs in a process of its own, started by another test"]
async fn child_with_errors() {
    let Some(directory) = told_directory() else { return };
    let control = Control::new(Path::new(&std::env::var_os(CONTROL).unwrap()));
    let mut store = FjallStore::open(&options(&directory)).unwrap();
    let mut writers = Writers::new(&store).await;
    for fault in FAULTS {
        writers.steps(&store, 10).await;
        control.set(fault);
        writers.until_it_fails(&store).await;
        assert!(control.failed() > 0, "{}", fault.name);
        if leaves_no_room(fault) {
            until_it_says_that_it_is_full(&store).await;
        }
        if leaves_reads(fault) {
            writers.are_there(&store).await;
        }
        control.clear();
        let took = until_it_takes_writes(&store).await;
        writers.compare(&store).await;
        writers.steps(&store, 10).await;
        writers.compare(&store).await;
        println!("round: {}, back after {took:?}", fault.name);
        store.close().await;
        store = FjallStore::open(&options(&directory)).unwrap();
        writers.compare(&store).await;
    }
    println!("rounds: {} commits acknowledged", writers.acknowledged);
}

#[test]
fn a_store_comes_back_after_a_shortage_of_descriptors() {
    let directory = tempfile::tempdir().unwrap();
    in_a_process("child_without_descriptors", directory.path(), None);
}

#[tokio::test]
#[ignore = "runs in a process of its own, started by another test"]
async fn child_without_descriptors() {
    let Some(directory) = told_directory() else { return };
    let store = FjallStore::open(&options(&directory)).unwrap();
    let mut writers = Writers::new(&store).await;
    let enough = getrlimit(Resource::Nofile);
    for round in 0..3 {
        writers.steps(&store, 10).await;
        // None at all, then some, so that it fails at several steps. A merge gives back what it has
        // open at this time, and then some more have to go.
        let used = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        let mut left = [0, used, used + 1][round];
        loop {
            let few = Rlimit { current: Some(left), ..enough };
            setrlimit(Resource::Nofile, few).unwrap();
            if left == 0 || writers.fail_within(&store, 100).await {
                break;
            }
            left -= 1;
        }
        writers.until_it_fails(&store).await;
        setrlimit(Resource::Nofile, enough).unwrap();
        let took = until_it_takes_writes(&store).await;
        println!("round {round} without descriptors, back after {took:?}");
        writers.compare(&store).await;
    }
    store.close().await;
    writers.compare(&FjallStore::open(&options(&directory)).unwrap()).await;
}
