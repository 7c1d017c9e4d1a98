//! Processes that are killed.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use jobtracker_model::State;
use jobtracker_store::{Documents, Error, Jobs, fjall::FjallStore};

use crate::{
    disk,
    documents::{self, put},
    forest::{Tree, id},
};

/// After a crash only the files of the open store are left. (With write buffers that are never full
/// the engine changes nothing but the journal while the files are copied.)
#[tokio::test]
async fn a_copy_of_the_files_of_an_open_store_has_everything() {
    let directory = tempfile::tempdir().unwrap();
    let images = tempfile::tempdir().unwrap();
    let store = disk::open(directory.path()).unwrap();
    let mut tree = Tree::with_children(1, 2..40);
    for round in 0..6 {
        for child in 2..40 {
            tree.report(id(child), [State::Running, State::Warning][round % 2]);
        }
        tree.log(&"x".repeat(3000));
        tree.commit_to(&store).await.unwrap();
        let image = images.path().join(round.to_string());
        disk::copy(directory.path(), &image);
        let copy = disk::open_small(&image).unwrap();
        tree.compare(&copy).await.unwrap();
        // It goes on from there.
        let mut next = tree.clone();
        next.report(id(2), State::RanToCompletion);
        next.commit_to(&copy).await.unwrap();
        drop(copy);
        next.compare(&disk::open(&image).unwrap()).await.unwrap();
    }
}

const DIRECTORY: &str = "STORE_TEST_DIRECTORY";
const COMMITS: u64 = 100_000;

/// Not a test: the next test starts it, and kills it.
#[tokio::test]
#[ignore = "runs in a process of its own, started by another test"]
async fn child_that_commits() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let store = disk::open_small(Path::new(&directory)).unwrap();
    let mut number = store.get_job(id(1)).await.unwrap().map_or(0, |job| job.status.log_lines);
    let mut tree = grown(number);
    let mut document = document_number(&store).await;
    while u64::from(number) < COMMITS {
        grow(&mut tree, number);
        let change = put(DOCUMENT, document + 1, (document > 0).then_some(document));
        let changed = tokio::join!(tree.commit_to(&store), store.change_document(change));
        changed.0.and(changed.1).unwrap();
        number += 1;
        document += 1;
        let mut out = std::io::stdout().lock();
        writeln!(out, "done {number} {document}").and_then(|()| out.flush()).unwrap();
    }
}

const DOCUMENT: &str = "changes with each commit";

/// How often the document has been changed.
async fn document_number(store: &FjallStore) -> u128 {
    let Some(found) = store.get_document(&documents::id(DOCUMENT)).await.unwrap() else { return 0 };
    assert_eq!(found.bytes, found.version.0.to_string().into_bytes());
    found.version.0
}

/// The commit with this number, and of the document.
fn numbers(line: &str) -> Option<(u32, u128)> {
    let (_, numbers) = line.split_once("done ")?;
    let (number, document) = numbers.split_once(' ')?;
    Some((number.parse().unwrap(), document.parse().unwrap()))
}

/// The commit with this number.
fn grow(tree: &mut Tree, number: u32) {
    if number > 0 {
        tree.create(id(1 + u64::from(number)));
    }
    tree.log(&"x".repeat(500));
}

/// The tree after this many commits.
fn grown(commits: u32) -> Tree {
    let mut tree = Tree::new(1);
    for number in 0..commits {
        grow(&mut tree, number);
        tree.commit();
    }
    tree
}

fn start(directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["crash::child_that_commits", "--exact", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The child's buffers are so small that it is nearly always writing and merging tables.
#[tokio::test]
async fn a_killed_process_has_lost_nothing_that_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let (mut acknowledged, mut documents) = (0, 0);
    for round in 1..=5 {
        let mut child = start(directory.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while acknowledged < round * 60 {
            let line = lines.next().expect("the child has ended").unwrap();
            (acknowledged, documents) = numbers(&line).unwrap_or((acknowledged, documents));
        }
        assert!(matches!(disk::refused(directory.path()), Error::Locked(_)));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            (acknowledged, documents) = numbers(&line).unwrap_or((acknowledged, documents));
        }

        let store = disk::open(directory.path()).unwrap();
        let found = store.get_job(id(1)).await.unwrap().unwrap().status.log_lines;
        assert!(found == acknowledged || found == acknowledged + 1, "{found}, {acknowledged}");
        grown(found).compare(&store).await.unwrap();
        acknowledged = found;
        let found = document_number(&store).await;
        assert!(found == documents || found == documents + 1, "{found}, {documents}");
        documents = found;
    }
}
