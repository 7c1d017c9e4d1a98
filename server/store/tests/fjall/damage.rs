//! Bytes that have changed on the disk: an error that says so, never other data and never a panic.

use std::{fs, path::Path};

use jobtracker_model::State;
use jobtracker_store::{ChildrenQuery, Error, Health, JobRow, Jobs};

use crate::{
    disk::{copy, files, flip, journal, open, open_small, used},
    forest::{Tree, id},
};

/// A whole batch behind the damage was acknowledged: to open without it would lose it.
#[tokio::test]
async fn a_changed_byte_before_the_last_batch_of_a_journal() {
    let directory = tempfile::tempdir().unwrap();
    let (origin, image) = (directory.path().join("origin"), directory.path().join("image"));
    let store = open(&origin).unwrap();
    let mut tree = Tree::with_children(1, 2..4);
    tree.commit_to(&store).await.unwrap();
    tree.report(id(2), State::Running);
    tree.commit_to(&store).await.unwrap();
    let last = used(&journal(&origin));
    tree.report(id(3), State::Running);
    tree.commit_to(&store).await.unwrap();
    copy(&origin, &image);
    // The whole first header, then a byte here and there.
    for at in (0..40).chain((40..last).step_by(13)) {
        let copied = tempfile::tempdir_in(directory.path()).unwrap();
        copy(&image, copied.path());
        let journal = journal(copied.path());
        flip(&journal, at);
        let spoilt = fs::read(&journal).unwrap();
        match open(copied.path()) {
            Ok(store) => tree.compare(&store).await.unwrap_or_else(|error| panic!("{at}: {error}")),
            Err(Error::Corrupt(what)) => {
                assert!(what.contains(journal.file_name().unwrap().to_str().unwrap()), "{what}");
                assert!(fs::read(&journal).unwrap() == spoilt, "{at}: the journal was changed");
            }
            Err(error) => panic!("{at}: {error}"),
        }
    }
}

#[tokio::test]
async fn changed_bytes_in_table_files() {
    let directory = tempfile::tempdir().unwrap();
    let (origin, image) = (directory.path().join("origin"), directory.path().join("image"));
    let store = open_small(&origin).unwrap();
    let mut tree = Tree::with_children(1, 2..30);
    for state in [State::Running, State::Warning] {
        for child in 2..30 {
            tree.report(id(child), state);
        }
        tree.log(&"x".repeat(5000));
        tree.commit_to(&store).await.unwrap();
    }
    store.close().await;
    copy(&origin, &image);
    let mut complaints = 0;
    let tables =
        files(&image, |path| path.parent().is_some_and(|parent| parent.ends_with("tables")));
    assert!(!tables.is_empty());
    for table in tables {
        let len = fs::metadata(&table).unwrap().len();
        for at in (0..len).step_by(usize::try_from(len / 12).unwrap().max(1)) {
            let copied = tempfile::tempdir_in(directory.path()).unwrap();
            copy(&image, copied.path());
            flip(&copied.path().join(table.strip_prefix(&image).unwrap()), at);
            complaints += read(&tree, copied.path()).await;
        }
    }
    assert!(complaints > 0, "no changed byte was noticed");
}

/// Reads everything; counts the errors. An answer that is no error is right.
async fn read(tree: &Tree, directory: &Path) -> usize {
    let store = match open_small(directory) {
        Ok(store) => store,
        Err(Error::Corrupt(_)) => return 1,
        Err(error) => panic!("{error}"),
    };
    let mut complaints = 0;
    let mut right = |answer: Result<bool, Error>| match answer {
        Ok(right) => assert!(right, "other data than there was"),
        Err(Error::Corrupt(_)) => complaints += 1,
        Err(error) => panic!("{error}"),
    };
    for number in 1..30 {
        let job = store.get_job(id(number)).await;
        right(job.map(|job| job.is_some_and(|job| job == tree.job(id(number)))));
    }
    let query = ChildrenQuery::of(tree.root);
    let page = store.list_children(query).await.map(|page| page.items);
    let due: Vec<JobRow> = (2..30).map(|number| tree.job(id(number))).collect();
    right(page.map(|page| page == due));
    store.close().await;
    complaints
}
