//! Changes of documents whose requests and replies get lost on the way, and those of two servers.

use std::{sync::Arc, time::Duration};

use jobtracker_store::{
    Document, DocumentChange, DocumentId, DocumentKey, DocumentKind, DocumentVersion, Documents,
    Error, Health, Result,
    scylla::{ScyllaOptions, ScyllaStore},
};
use scylla::{client::session::Session, deserialize::row::DeserializeRow};

use crate::{
    proxy::{FAULTS, Fault, Proxy},
    space::Space,
};

/// A text that is in every statement that changes a document.
const CHANGE: &str = "UPDATE document";

struct Two {
    proxy: Proxy,
    /// Behind the proxy.
    store: Arc<ScyllaStore>,
    other: Arc<ScyllaStore>,
    _space: Space,
}

impl Two {
    async fn new(tune: fn(&mut ScyllaOptions)) -> Self {
        let space = Space::new().await;
        let proxy = space.proxy().await;
        let (store, other) = (space.behind(&proxy, tune).await, space.open().await);
        Self { proxy, store, other, _space: space }
    }

    async fn found(&self) -> Option<Document> {
        self.other.get_document(&id()).await.unwrap()
    }

    async fn close(self) {
        self.store.close().await;
        self.other.close().await;
    }
}

fn id() -> DocumentId {
    DocumentId { kind: DocumentKind::Token, key: DocumentKey::new("a").unwrap() }
}

fn document(version: u128) -> Document {
    let bytes = version.to_string().into_bytes();
    Document { id: id(), version: DocumentVersion(version), bytes }
}

fn put(version: u128, expected: Option<u128>) -> DocumentChange {
    DocumentChange::put(document(version), expected.map(DocumentVersion)).unwrap()
}

fn delete(expected: u128) -> DocumentChange {
    DocumentChange::delete(id(), DocumentVersion(expected))
}

fn is_stale(answer: &Result<()>) -> bool {
    matches!(answer, Err(Error::StaleDocument(of)) if *of == id())
}

fn is_unknown(answer: &Result<()>) -> bool {
    matches!(answer, Err(Error::OutcomeUnknown(_)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_done_once() {
    let two = Two::new(|_| {}).await;
    for (round, fault) in FAULTS.into_iter().enumerate() {
        let first = 10 * (round as u128 + 1);
        let changes = [
            (put(first, None), Some(document(first))),
            (put(first + 1, Some(first)), Some(document(first + 1))),
            (delete(first + 1), None),
        ];
        for (step, (change, due)) in changes.into_iter().enumerate() {
            two.proxy.inject(CHANGE, fault, 1);
            let answer = two.store.change_document(change).await;
            // Where a document was deleted, a creation takes two requests; when it is not known
            // what the first has done, the caller hears of it.
            if step == 0 && round > 0 && is_unknown(&answer) {
                two.store.change_document(put(first, None)).await.unwrap();
            } else {
                assert!(answer.is_ok(), "{fault:?}, step {step}: {answer:?}");
            }
            two.proxy.hit(3 * round + step + 1).await;
            assert_eq!(two.found().await, due, "{fault:?}, step {step}");
        }
    }
    two.close().await;
}

/// The first request is still on its way when the second has been done, and arrives when the
/// document has been deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_creation_that_comes_late_brings_nothing_back() {
    let two = Two::new(|_| {}).await;
    two.proxy.inject(CHANGE, Fault::Hold, 1);
    two.store.change_document(put(1, None)).await.unwrap();
    two.other.change_document(delete(1)).await.unwrap();
    two.proxy.clear();
    two.proxy.quiet().await;
    assert_eq!(two.found().await, None, "a deleted document is back");
    // Nor does it when another one has come and gone.
    two.proxy.inject(CHANGE, Fault::Hold, 1);
    two.store.change_document(put(2, None)).await.unwrap_err();
    two.other.change_document(put(3, None)).await.unwrap();
    two.other.change_document(delete(3)).await.unwrap();
    two.proxy.clear();
    two.proxy.quiet().await;
    assert_eq!(two.found().await, None, "a deleted document is back");
    two.store.change_document(put(4, None)).await.unwrap();
    assert_eq!(two.found().await, Some(document(4)));
    two.close().await;
}

fn impatient(options: &mut ScyllaOptions) {
    options.request_timeout = Duration::from_millis(500);
    options.resolve_timeout = Duration::from_millis(1_500);
}

/// No reply comes back, or no request gets there, until the caller hears of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_in_doubt_may_be_repeated() {
    let two = Two::new(impatient).await;
    two.other.change_document(put(1, None)).await.unwrap();
    for (fault, version) in [(Fault::LoseReply, 2), (Fault::LoseRequest, 3)] {
        let change = put(version, Some(version - 1));
        two.proxy.inject(CHANGE, fault, usize::MAX);
        let answer = two.store.change_document(change.clone()).await;
        assert!(is_unknown(&answer), "{fault:?}: {answer:?}");
        two.proxy.clear();
        two.store.change_document(change).await.unwrap();
        assert_eq!(two.found().await, Some(document(version)), "{fault:?}");
    }
    two.close().await;
}

/// The reply gets lost, and before the change is sent again another server has followed it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_was_followed_is_not_called_stale() {
    let two = Two::new(|_| {}).await;
    two.proxy.inject(CHANGE, Fault::LoseReply, 1);
    two.proxy.inject(CHANGE, Fault::Hold, usize::MAX);
    let store = Arc::clone(&two.store);
    let mine = tokio::spawn(async move { store.change_document(put(1, None)).await });
    two.proxy.hit(2).await;
    two.other.change_document(put(2, Some(1))).await.unwrap();
    two.proxy.clear();
    let answer = mine.await.unwrap();
    assert!(is_unknown(&answer), "{answer:?}");
    let again = two.store.change_document(put(1, None)).await;
    assert!(is_stale(&again), "the repetition: {again:?}");
    assert_eq!(two.found().await, Some(document(2)));
    two.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_servers_one_wins() {
    let two = Two::new(|_| {}).await;
    let mut expected = None;
    for round in 1..20_u128 {
        let [one, other] = [2 * round, 2 * round + 1];
        let answers = tokio::join!(
            two.store.change_document(put(one, expected)),
            two.other.change_document(put(other, expected))
        );
        let winner = match answers {
            (Ok(()), answer) if is_stale(&answer) => one,
            (answer, Ok(())) if is_stale(&answer) => other,
            answers => panic!("round {round}: {answers:?}"),
        };
        assert_eq!(two.found().await, Some(document(winner)));
        expected = Some(winner);
    }
    two.close().await;
}

/// What a list of workers reads over is what has gone within four hours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_and_goes_is_soon_out_of_the_way() {
    let space = Space::new().await;
    let (session, store) = (space.session().await, space.open().await);
    let hours = async |kind: DocumentKind, table: &str| {
        let id = DocumentId { kind, key: DocumentKey::new("a").unwrap() };
        let new = Document { id: id.clone(), version: DocumentVersion(1), bytes: vec![1] };
        store.change_document(DocumentChange::put(new, None).unwrap()).await.unwrap();
        let delete = DocumentChange::delete(id, DocumentVersion(1));
        store.change_document(delete).await.unwrap();
        let number = kind.number();
        let cql = format!("SELECT TTL(version) FROM {table} WHERE kind = {number}");
        let (left,): (Option<i32>,) = single(&session, &cql).await;
        let keyspace = session.get_keyspace().unwrap();
        let cql = format!(
            "SELECT gc_grace_seconds FROM system_schema.tables \
             WHERE keyspace_name = '{keyspace}' AND table_name = '{table}'"
        );
        let (remembered,): (i32,) = single(&session, &cql).await;
        (left.unwrap() + remembered).cast_unsigned().div_ceil(3_600)
    };
    for kind in DocumentKind::ALL {
        let goes_by_itself = matches!(kind, DocumentKind::Worker | DocumentKind::Audit);
        let (table, due) =
            if goes_by_itself { ("transient_document", 4) } else { ("document", 11 * 24) };
        assert_eq!(hours(kind, table).await, due, "{kind:?}");
    }
    store.close().await;
}

async fn single<R>(session: &Session, cql: &str) -> R
where
    R: for<'row> DeserializeRow<'row, 'row>,
{
    let answer = session.query_unpaged(cql, ()).await.unwrap().into_rows_result().unwrap();
    answer.single_row().unwrap()
}
