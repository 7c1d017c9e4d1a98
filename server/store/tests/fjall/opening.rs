//! Directories that can be opened, and the errors of those that cannot.

use std::{collections::HashSet, fs, path::Path};

use jobtracker_store::{Error, Health, Jobs, Trees, Wanted};

use crate::{
    disk::{open, refused},
    forest::{Tree, id},
};

#[tokio::test]
async fn a_store_is_open_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let error = refused(directory.path());
    assert!(matches!(&error, Error::Locked(what)
        if what.contains(&directory.path().display().to_string())));
    store.close().await;
    // Right after it was closed, or dropped, the next one has it.
    let store = open(directory.path()).unwrap();
    drop(store);
    open(directory.path()).unwrap();
}

#[tokio::test]
async fn a_store_that_was_closed_by_dropping_it_has_everything() {
    let directory = tempfile::tempdir().unwrap();
    let below = directory.path().join("not/there/yet");
    let mut tree = Tree::with_children(1, 2..20);
    let store = open(&below).unwrap();
    tree.commit_to(&store).await.unwrap();
    drop(store);
    tree.compare(&open(&below).unwrap()).await.unwrap();
}

fn created(directory: &Path) {
    drop(open(directory).unwrap());
}

#[test]
fn a_newer_format_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    created(directory.path());
    fs::write(directory.path().join("FORMAT"), "jobtracker fjall 10\n").unwrap();
    let error = refused(directory.path());
    assert!(matches!(error, Error::NewerFormat { found: 10, known: 9 }), "{error}");
}

/// Data of an earlier version is read, and that version will not take it back.
#[tokio::test]
async fn an_older_format_becomes_the_one_of_today() {
    for before in ["jobtracker fjall 1\n", "jobtracker fjall 6\n"] {
        let directory = tempfile::tempdir().unwrap();
        let mut tree = Tree::with_children(1, 2..20);
        let store = open(directory.path()).unwrap();
        tree.commit_to(&store).await.unwrap();
        drop(store);
        let format = directory.path().join("FORMAT");
        fs::write(&format, before).unwrap();
        let store = open(directory.path()).unwrap();
        assert_eq!(fs::read_to_string(&format).unwrap(), "jobtracker fjall 9\n");
        tree.compare(&store).await.unwrap();
        drop(store);
        tree.compare(&open(directory.path()).unwrap()).await.unwrap();
    }
}

#[test]
fn a_format_that_says_nothing_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    created(directory.path());
    for bad in ["", "1", "jobtracker fjall", "jobtracker fjall x", "jobtracker fjall 0", "\u{0}"] {
        fs::write(directory.path().join("FORMAT"), bad).unwrap();
        let error = refused(directory.path());
        assert!(matches!(error, Error::Corrupt(_)), "{bad:?}: {error}");
    }
    fs::write(directory.path().join("FORMAT"), "jobtracker fjall 1").unwrap();
    created(directory.path());
}

#[test]
fn what_is_not_a_store_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("letters.txt"), "dear").unwrap();
    let error = refused(directory.path());
    assert!(matches!(&error, Error::Unusable { reason, .. } if reason.contains("letters.txt")));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);

    let file = directory.path().join("letters.txt");
    for place in [file.clone(), file.join("below")] {
        let error = refused(&place);
        assert!(matches!(&error, Error::Unusable { .. }), "{error}");
    }
}

#[test]
fn a_directory_that_may_not_be_written_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut permissions = fs::metadata(directory.path()).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(directory.path(), permissions).unwrap();
    // A user who may write everywhere, as root, cannot see this fail.
    if fs::write(directory.path().join("probe"), "").is_ok() {
        return;
    }
    let error = refused(directory.path());
    assert!(matches!(&error, Error::Unusable { reason, .. } if reason.contains("write")));
}

/// A first start that was interrupted at any step is begun again, or finished.
#[tokio::test]
async fn an_interrupted_first_start_is_taken_up() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("db.new")).unwrap();
    fs::write(at("db.new").join("0.jnl"), "half").unwrap();
    fs::write(at("FORMAT.new"), "job").unwrap();
    created(directory.path());

    fs::rename(at("db"), at("db.new")).unwrap();
    let mut tree = Tree::new(1);
    let store = open(directory.path()).unwrap();
    tree.commit_to(&store).await.unwrap();
    drop(store);
    tree.compare(&open(directory.path()).unwrap()).await.unwrap();
}

/// The engine would begin anew where its own marker is missing.
#[test]
fn what_has_been_taken_out_is_missed() {
    let directory = tempfile::tempdir().unwrap();
    created(directory.path());
    fs::remove_file(directory.path().join("db/version")).unwrap();
    assert!(matches!(refused(directory.path()), Error::Corrupt(_)));
    fs::remove_dir_all(directory.path().join("db")).unwrap();
    assert!(matches!(refused(directory.path()), Error::Corrupt(_)));
    fs::remove_file(directory.path().join("FORMAT")).unwrap();
    created(directory.path());
}

#[tokio::test]
async fn more_reads_than_may_wait_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = jobtracker_store::fjall::FjallOptions::new(directory.path());
    options.readers = 1;
    options.read_queue = 1;
    let store = jobtracker_store::fjall::FjallStore::open(&options).unwrap();
    Tree::new(1).commit_to(&store).await.unwrap();
    let mut refused = false;
    while !refused {
        let reads = (0..100).map(|_| store.list_attachments(id(1)));
        for read in futures(reads).await {
            match read {
                Ok(_) => {}
                Err(Error::Unavailable(reason)) => {
                    assert_eq!(reason, "too many reads are waiting");
                    refused = true;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(store.list_attachments(id(1)).await.is_ok());
}

/// Loads of the engine go past all the lists that wait: writing waits for them.
#[tokio::test]
async fn what_the_engine_loads_is_never_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = jobtracker_store::fjall::FjallOptions::new(directory.path());
    options.readers = 1;
    options.read_queue = 1;
    options.node_cache_bytes = 1;
    let store = jobtracker_store::fjall::FjallStore::open(&options).unwrap();
    Tree::new(1).commit_to(&store).await.unwrap();
    let (mut rounds, mut refused) = (0, 0);
    while rounds < 100 || refused == 0 {
        rounds += 1;
        let list = async || store.list_attachments(id(1)).await.is_err();
        let load = async || {
            let wanted = Wanted { paths: HashSet::from([id(1)]), ..Wanted::default() };
            assert!(store.load(wanted).await.unwrap().nodes.contains_key(&id(1)));
            false
        };
        let all = futures((0..100).map(async |read| match read {
            99 => load().await,
            _ => list().await,
        }));
        refused += all.await.into_iter().filter(|refused| *refused).count();
    }
}

/// Polls all of them before it waits for any.
async fn futures<F: Future>(all: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = all.into_iter().map(Box::pin).map(Some).collect();
    let mut done = Vec::new();
    std::future::poll_fn(move |context| {
        for slot in &mut waiting {
            if let Some(future) = slot
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                done.push(output);
                *slot = None;
            }
        }
        if waiting.iter().all(Option::is_none) {
            std::task::Poll::Ready(std::mem::take(&mut done))
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}
