//! The engine takes the journals over while a store opens: errors and kills meanwhile.

use std::{
    fs,
    ops::ControlFlow,
    path::Path,
    process::{Command, Stdio},
};

use jobtracker_model::State;
use jobtracker_store_suite::faults::{
    CONTROL, Control, FLUSH, Fault, Faults, KILL, OPEN, READ, TRUNCATE, WRITE,
};

use crate::{
    disk::{copy, journal, journals, open, used},
    forest::{Tree, id},
};

const DIRECTORY: &str = "STORE_TEST_DIRECTORY";
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
/// How much the engine reads of a journal at once.
const AT_ONCE: usize = 8 * 1024;

/// A journal at whose `AT_ONCE`-th byte, or a multiple, an item says how it is compressed: an error
/// of the read that begins there looks to the engine like the end of the journal.
async fn write_a_trap(directory: &Path) -> Tree {
    let store = open(directory).unwrap();
    let mut tree = Tree::with_children(1, 2..6);
    tree.commit_to(&store).await.unwrap();
    let mut len = 1_000;
    for _ in 0..100 {
        let begin = usize::try_from(used(&journal(directory))).unwrap();
        tree.report(id(2), State::Running);
        tree.log(&"x".repeat(len));
        tree.commit_to(&store).await.unwrap();
        let bytes = fs::read(journal(directory)).unwrap();
        let at = last_compression(&bytes, begin);
        if at.is_multiple_of(AT_ONCE) {
            // Something behind it, that could be lost with it.
            tree.log("the end");
            tree.commit_to(&store).await.unwrap();
            return tree;
        }
        let next = usize::try_from(used(&journal(directory))).unwrap() + at - begin;
        len = 1_000 + (len - 1_000 + AT_ONCE - next % AT_ONCE) % AT_ONCE;
    }
    panic!("no item could be put there");
}

/// Where the last item of a batch says how it is compressed.
fn last_compression(journal: &[u8], batch: usize) -> usize {
    let number = |at: usize, len: usize| {
        journal[at..at + len].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let (items, mut at, mut last) = (number(batch + 1, 4), batch + 13, 0);
    for _ in 0..items {
        last = at + 2;
        at += 21 + number(at + 11, 2) + number(at + 17, 4);
    }
    last
}

#[test]
fn a_read_error_while_the_engine_replays_loses_nothing() {
    with_faults("child_that_replays");
}

#[test]
fn a_store_opens_on_a_disk_with_no_room_for_a_copy() {
    with_faults("child_without_room");
}

#[tokio::test]
#[ignore = "runs in a process of its own, started by another test"]
async fn child_without_room() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    let control = Control::new(Path::new(&std::env::var_os(CONTROL).unwrap()));
    let tree = write_two(directory, b"").await;
    // The copy cannot be created, and neither journal moves.
    for (calls, part) in [(OPEN, "/replaying/"), (WRITE, "/replaying/1.jnl")] {
        control.set(&Fault::new("no room", ENOSPC, calls, part));
        let opened = open(directory);
        assert!(control.failed() > 0, "{part}");
        control.clear();
        tree.compare(&opened.unwrap()).await.unwrap();
        assert!(!directory.join("replaying").exists(), "{part}");
    }
    tree.compare(&open(directory).unwrap()).await.unwrap();
}

/// Runs one of these tests in a process whose calls can be made to fail.
fn with_faults(test: &str) {
    let directory = tempfile::tempdir().unwrap();
    let faults = Faults::build(directory.path());
    let mut child = child(test, &directory.path().join("store"));
    faults.stand_before(&mut child);
    let output = child.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{out}\n{err}");
}

#[tokio::test]
#[ignore = "runs in a process of its own, started by another test"]
async fn child_that_replays() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    let control = Control::new(Path::new(&std::env::var_os(CONTROL).unwrap()));
    let tree = write_a_trap(directory).await;
    let mut cut_off = 0;
    let mut fail = async |number| {
        control.set_some(&Fault::new("a read", EIO, READ, "/db/0.jnl"), number, 1);
        let opened = open(directory);
        control.clear();
        match opened {
            Err(error) if error.to_string().contains("could not be read whole") => cut_off += 1,
            Err(_) => {}
            Ok(store) => tree.compare(&store).await.unwrap(),
        }
        // It goes on as if nothing had been.
        tree.compare(&open(directory).unwrap()).await.unwrap();
        assert!(!directory.join("set-aside").exists());
        if control.failed() == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut number = 0;
    while fail(number).await.is_continue() {
        number += 1;
    }
    assert!(cut_off > 0, "none of {number} errors has cut the journal off");
}

/// Two journals, the second of which ends with these bytes.
async fn write_two(directory: &Path, end: &[u8]) -> Tree {
    let store = open(directory).unwrap();
    let mut tree = Tree::with_children(1, 2..40);
    tree.commit_to(&store).await.unwrap();
    let first = usize::try_from(used(&journal(directory))).unwrap();
    for child in 2..40 {
        tree.report(id(child), State::Running);
        tree.commit_to(&store).await.unwrap();
    }
    drop(store);
    let journal = journal(directory);
    let bytes = fs::read(&journal).unwrap();
    fs::write(&journal, &bytes[..first]).unwrap();
    let second = [&bytes[first..], end].concat();
    fs::write(journal.with_file_name("1.jnl"), second).unwrap();
    tree
}

#[tokio::test]
async fn a_kill_while_a_store_opens_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("image");
    let tree = write_two(&image, b"\x01torn").await;
    assert_eq!(journals(&image).len(), 2);
    let faults = Faults::build(directory.path());
    let changes = Fault::new("a change", KILL, WRITE | FLUSH | TRUNCATE, "/store");
    let mut kills = 0;
    loop {
        let store = directory.path().join("store");
        copy(&image, &store);
        faults.control().set_some(&changes, kills, 1);
        let mut child = child("child_that_opens", &store);
        faults.stand_before(&mut child);
        let ended = child.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        // The next opening may be killed in its turn, at the same place and earlier.
        for place in [kills, kills / 2].into_iter().filter(|_| !ended.success()) {
            faults.control().set_some(&changes, place, 1);
            child.status().unwrap();
        }
        let opened = open(&store).unwrap_or_else(|error| panic!("after {kills}: {error}"));
        tree.compare(&opened).await.unwrap_or_else(|error| panic!("after {kills}: {error}"));
        drop(opened);
        let left = |name| store.join(name).exists();
        assert!(!left("replaying") && !left("replayed"), "after {kills}");
        fs::remove_dir_all(&store).unwrap();
        if ended.success() {
            break;
        }
        kills += 1;
    }
    assert!(kills > 20, "{kills}");
    println!("{kills} kills");
}

#[test]
#[ignore = "runs in a process of its own, started by another test"]
fn child_that_opens() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    drop(open(Path::new(&directory)).unwrap());
}

/// One of the tests above that is none by itself.
fn child(test: &str, store: &Path) -> Command {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([&format!("replay::{test}"), "--exact", "--ignored", "--nocapture"]);
    child.env(DIRECTORY, store).stdin(Stdio::null());
    child
}
