//! Trees that move from one store to another, through a file.

mod broken;
mod command;
mod documents;
mod follow_ups;
mod large;
mod resume;
mod round;
mod running;
mod trees;
pub mod watched;

use std::{path::Path, sync::Arc};

use jobtracker_model::{JobId, StateSet, Timestamp};
use jobtracker_server::StoreKind;
use jobtracker_server::moving::{self, Export, Exported, Imported, MovingError, Selection, Step};
use jobtracker_store::{
    BlockersQuery, ChangesQuery, ChildrenQuery, DescendantsQuery, Listed, LogQuery, Order,
    PageLimit, RootsQuery, Row, RowsQuery, Store,
};

use crate::harness::STORES;

pub use moving::Target;

/// Pairs of stores: moves from and to every store.
fn neighbours() -> impl Iterator<Item = (StoreKind, StoreKind)> {
    STORES.into_iter().zip(STORES.into_iter().cycle().skip(1))
}

const LIMIT: PageLimit = PageLimit { items: 1_000_000, bytes: usize::MAX, scan: usize::MAX };

fn id(number: u64) -> JobId {
    JobId::new(number).unwrap()
}

fn now() -> Timestamp {
    "2026-11-21T09:30:00.125Z".parse().unwrap()
}

async fn export_to(
    store: &Arc<dyn Store>,
    selection: Option<Selection>,
    target: Target,
) -> Result<Exported, MovingError> {
    let export = Export { store: Arc::clone(store), kind: "a test".into(), selection, now: now() };
    export.run(target, &mut |_| {}).await
}

/// A file with the trees of a store.
async fn export(store: &Arc<dyn Store>, selection: Selection) -> (Exported, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trees.export");
    let done = export_to(store, Some(selection), Target::New(path.clone())).await.unwrap();
    let file = std::fs::read(path).unwrap();
    assert_eq!(done.bytes, file.len() as u64);
    (done, file)
}

/// The result of an import, and the trees that failed.
async fn import(
    store: &Arc<dyn Store>,
    file: &[u8],
) -> (Result<Imported, MovingError>, Vec<(JobId, String)>) {
    let mut failed = Vec::new();
    let tell = &mut |step: Step<'_>| match step {
        Step::Failed { root, reason } => failed.push((root, reason.to_owned())),
        Step::DocumentFailed { id, reason } => panic!("document {id}: {reason}"),
        Step::Done(_) => {}
    };
    let done = moving::import(store, file, "the file", tell).await;
    (done, failed)
}

/// An import without failures.
pub async fn import_all(store: &Arc<dyn Store>, file: &[u8]) -> Imported {
    let (done, failed) = import(store, file).await;
    assert_eq!(failed, []);
    let done = done.unwrap();
    assert_eq!(done.failed, 0);
    done
}

/// The lines of a file, but for those of its header and end.
fn lines(file: &[u8]) -> Vec<String> {
    let text = String::from_utf8(zstd::decode_all(file).unwrap()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("{\"header\""), "{}", lines[0]);
    assert!(lines[lines.len() - 1].starts_with("{\"end\""));
    lines[1..lines.len() - 1].iter().map(|line| (*line).to_owned()).collect()
}

async fn roots(store: &Arc<dyn Store>) -> Vec<JobId> {
    let (from, to) = (Timestamp::MIN, Timestamp::MAX);
    let query = RootsQuery { from, to, order: Order::Newest, after: None, limit: LIMIT };
    store.list_roots(query).await.unwrap().items.iter().map(|job| job.id).collect()
}

/// All rows of a tree; none if it does not exist.
async fn rows(store: &Arc<dyn Store>, root: JobId) -> Vec<Row> {
    let query = RowsQuery { root, after: None, limit: LIMIT };
    match store.list_rows(query).await {
        Ok(Listed { items, next: None }) => items,
        Ok(_) => panic!("it does not fit on a page"),
        Err(jobtracker_store::Error::UnknownJob(_)) => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

/// All data of a store, in words: two stores with the same words have the same data. The rows of a
/// tree have all of it; of very many jobs a part is also read one by one.
async fn everything(store: &Arc<dyn Store>) -> Vec<String> {
    const ONE_BY_ONE: usize = 50;
    let (limit, after) = (LIMIT, None);
    let mut words = vec![format!("{:?}", roots(store).await)];
    for root in roots(store).await {
        let rows = rows(store, root).await;
        let jobs = rows.iter().filter(|row| matches!(row, Row::Job { .. }));
        let jobs: Vec<JobId> = jobs.filter_map(Row::job).collect();
        words.extend(rows.iter().map(|row| format!("{row:?}")));
        for &id in jobs.iter().step_by(jobs.len() / ONE_BY_ONE + 1) {
            words.push(format!("{:?}", store.get_job(id).await.unwrap()));
            words.push(format!("{:?}", store.list_ancestors(id).await.unwrap()));
            for states in ["", "Running", "Faulted", "WaitingToRun,Warning", "RanToCompletion"] {
                let states: StateSet = states.parse().unwrap();
                let query = ChildrenQuery { states, limit, ..ChildrenQuery::of(id) };
                words.push(format!("{:?}", store.list_children(query).await.unwrap().items));
                let query = DescendantsQuery { of: id, states, after, limit };
                words.push(format!("{:?}", store.list_descendants(query).await.unwrap()));
            }
            let query = BlockersQuery { of: id, after, limit };
            words.push(format!("{:?}", store.list_blockers(query).await.unwrap()));
            let query = ChangesQuery { id, from: 0, limit };
            words.push(format!("{:?}", store.list_changes(query).await.unwrap()));
            let query = LogQuery { id, from: Some(0), limit };
            words.push(format!("{:?}", store.list_log(query).await.unwrap()));
            for info in store.list_attachments(id).await.unwrap() {
                let text = store.get_attachment(id, &info.key).await.unwrap();
                words.push(format!("{info:?} {text:?}"));
            }
        }
    }
    words
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}
