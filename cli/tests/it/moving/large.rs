use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use jobtracker_server::moving::{MovingError, Selection};

use super::{
    Target, everything, export, export_to, id, import, import_all, lines, neighbours, roots, rows,
    trees::{broad_tree, long_tree, plant},
    watched::{Fail, Meddle, Watch},
};
use crate::harness::{Harness, STORES};

/// The bounds of one read or write, and the rows of one job of these trees.
const ROWS: usize = 4_000;
const JOB: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_tree_takes_little_memory() {
    for (from, to) in neighbours() {
        let source = Harness::start(from, |_| {}).await;
        let target = Harness::start(to, |_| {}).await;
        let (small, large) = (broad_tree(50, 2, 0), broad_tree(100, 700, 4));
        let count = large.rows.len();
        plant(source.store(), [small, large]).await;
        let reading = Watch::over(source.store(), []);
        let (done, file) = export(&reading.store(), Selection::ALL).await;
        assert_eq!((done.trees, done.counts.jobs), (2, 3_501 + 3));
        let most = *reading.most.lock().unwrap();
        assert!((ROWS..ROWS + JOB).contains(&most.listed), "{most:?}");

        let writing = Watch::over(target.store(), []);
        let imported = import_all(&writing.store(), &file).await;
        assert_eq!((imported.new, imported.counts), (2, done.counts));
        let most = *writing.most.lock().unwrap();
        assert!(most.staged <= ROWS && most.stages >= count / ROWS, "{most:?}");
        // The large tree is made visible by a commit of its own that has no rows; the small tree
        // needs no other commit.
        assert_eq!(most.committed, 3 * JOB);
        assert!((ROWS..ROWS + JOB).contains(&most.listed), "{most:?}");
        for root in [50, 100] {
            let due = rows(source.store(), id(root)).await;
            assert!(rows(target.store(), id(root)).await == due, "rows of tree {root}");
        }
        assert_eq!(import_all(target.store(), &file).await.there, 2);
        source.stop().await;
        target.stop().await;
    }
}

/// A tree that changes while it is read is written again, in its new state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_that_changes_is_written_again() {
    let root = id(1_000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trees.export");
    for kind in STORES {
        let source = Harness::start(kind, |_| {}).await;
        plant(source.store(), [broad_tree(500, 2, 0), long_tree(1_000, 100, 0)]).await;
        let meddling = [Meddle::Append(root), Meddle::Append(root), Meddle::Append(root)];
        let watched = Watch::over(source.store(), meddling);
        let (done, file) = export(&watched.store(), Selection::ALL).await;
        assert_eq!((done.trees, watched.left()), (2, 0));
        let meanwhile = lines(&file).iter().filter(|line| line.contains("meanwhile")).count();
        assert_eq!(meanwhile, 3);
        let target = Harness::start(kind, |_| {}).await;
        import_all(target.store(), &file).await;
        assert_eq!(everything(target.store()).await, everything(source.store()).await);

        // Other clients keep writing: the export ends, and goes on when they stop.
        let meddling = (0..100).map(|_| Meddle::Append(root));
        let watched = Watch::over(source.store(), meddling);
        let store = watched.store();
        let error = export_to(&store, None, Target::New(path.clone())).await.unwrap_err();
        assert!(matches!(error, MovingError::KeepsChanging(tree) if tree == root), "{error}");
        assert!(watched.left() > 50);
        let done = export_to(source.store(), None, Target::Resume(path.clone())).await.unwrap();
        assert_eq!((done.trees, done.kept), (2, 0));
        let (_, whole) = export(source.store(), Selection::ALL).await;
        assert_eq!(lines(&std::fs::read(&path).unwrap()), lines(&whole));
        std::fs::remove_file(&path).unwrap();
        source.stop().await;
        target.stop().await;
    }
}

/// The end of a pipe that a reader reads.
#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Vec<u8>>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_takes_nothing_back() {
    let source = Harness::start(STORES[0], |_| {}).await;
    plant(source.store(), [long_tree(500, 100, 0), broad_tree(100_000, 2, 0)]).await;
    let (_, due) = export(source.store(), Selection::ALL).await;
    let pipe = Pipe::default();
    let target = Target::Pipe(Box::new(pipe.clone()));
    export_to(source.store(), None, target).await.unwrap();
    assert_eq!(lines(&pipe.0.lock().unwrap()), lines(&due));

    let pipe = Pipe::default();
    let watched = Watch::over(
        source.store(),
        [Meddle::Append(id(100_000)), Meddle::Append(id(500)), Meddle::Append(id(500))],
    );
    let target = Target::Pipe(Box::new(pipe.clone()));
    let error = export_to(&watched.store(), None, target).await.unwrap_err();
    assert!(matches!(error, MovingError::ChangedInPipe(root) if root == id(500)), "{error}");
    let other = Harness::start(STORES[0], |_| {}).await;
    let file = pipe.0.lock().unwrap().clone();
    let (done, failed) = import(other.store(), &file).await;
    assert!(matches!(done, Err(MovingError::Truncated(_))) && failed.is_empty(), "{done:?}");
    assert_eq!(roots(other.store()).await, [id(100_000)]);
    source.stop().await;
    other.stop().await;
}

/// An import that ends in the middle of a large tree leaves none of its rows, and does not prevent
/// the next import.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_was_broken_off_is_finished_by_the_next() {
    for kind in STORES {
        let source = Harness::start(STORES[0], |_| {}).await;
        plant(source.store(), [long_tree(500, 200, 0), broad_tree(100_000, 2, 0)]).await;
        let (_, file) = export(source.store(), Selection::ALL).await;
        let target = Harness::start(kind, |_| {}).await;
        for part in [2, 3] {
            let (done, failed) = import(target.store(), &file[..file.len() * part / 4]).await;
            assert!(matches!(done, Err(MovingError::Truncated(_))) && failed.is_empty());
            assert_eq!(roots(target.store()).await, [id(100_000)]);
            assert_eq!(target.store().get_job(id(501)).await.unwrap(), None);
        }
        let done = import_all(target.store(), &file).await;
        assert_eq!((done.new, done.there), (1, 1));
        assert!(everything(target.store()).await == everything(source.store()).await);
        source.stop().await;
        target.stop().await;
    }
}

/// A store that is unavailable for a short time, or does not know the outcome of a call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_falters_is_asked_again() {
    for kind in STORES {
        let source = Harness::start(STORES[0], |_| {}).await;
        plant(source.store(), [long_tree(500, 100, 0), broad_tree(100_000, 2, 0)]).await;
        let (_, file) = export(source.store(), Selection::ALL).await;
        // The small tree, two calls for the large one, and its commit.
        for (failing, new, failed) in [
            (vec![Fail::Unavailable, Fail::Unavailable, Fail::Unknown], 1, 0),
            (vec![Fail::Not, Fail::Not, Fail::Not, Fail::Unavailable, Fail::Unknown], 1, 0),
            (vec![Fail::Not, Fail::Not, Fail::Unavailable], 1, 1),
        ] {
            let target = Harness::start(kind, |_| {}).await;
            let watched = Watch::over(target.store(), []);
            watched.failing.lock().unwrap().extend(failing);
            let (done, complaints) = import(&watched.store(), &file).await;
            let done = done.unwrap();
            // A tree whose outcome was unknown is found in the store.
            assert_eq!((done.new, done.there, done.failed), (new, 1 - failed, failed));
            assert_eq!(complaints.len() as u64, failed);
            assert_eq!(import_all(target.store(), &file).await.new, failed);
            assert!(everything(target.store()).await == everything(source.store()).await);
            target.stop().await;
        }
        source.stop().await;
    }
}
