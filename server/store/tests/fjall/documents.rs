//! Documents whose changes go into one batch, or into a process that is killed.

use jobtracker_store::{
    Document, DocumentChange, DocumentId, DocumentKey, DocumentKind, DocumentVersion, Documents,
    Error, Health,
};
use tokio::join;

use crate::disk;

pub fn id(key: &str) -> DocumentId {
    DocumentId { kind: DocumentKind::Schedule, key: DocumentKey::new(key).unwrap() }
}

/// The change that gives a document the next version, which its content tells.
pub fn put(key: &str, version: u128, expected: Option<u128>) -> DocumentChange {
    let bytes = version.to_string().into_bytes();
    let document = Document { id: id(key), version: DocumentVersion(version), bytes };
    DocumentChange::put(document, expected.map(DocumentVersion)).unwrap()
}

/// Changes that are handed over together go into few batches, and each counts for the next.
#[tokio::test]
async fn changes_of_one_batch_follow_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let store = disk::open(directory.path()).unwrap();
    for round in 0..20_u128 {
        let at = |step| 100 * round + step;
        let last = round.checked_sub(1).map(|round| 100 * round + 4);
        let delete = |expected| DocumentChange::delete(id("a"), DocumentVersion(expected));
        let change = |change| store.change_document(change);
        let answers = join!(
            change(put("a", at(1), last)),
            change(put("a", at(2), Some(at(1)))),
            change(put("a", at(2), Some(at(1)))),
            change(put("a", at(3), Some(at(1)))),
            change(delete(at(2))),
            change(put("a", at(3), Some(at(2)))),
            change(put("a", at(4), None)),
            change(put("a", at(5), None)),
        );
        let (Ok(()), Ok(()), Ok(()), stale, Ok(()), gone, Ok(()), there) = answers else {
            panic!("round {round}: {answers:?}")
        };
        for refused in [stale, gone, there] {
            assert!(matches!(refused, Err(Error::StaleDocument(_))), "{round}: {refused:?}");
        }
        let found = store.get_document(&id("a")).await.unwrap().unwrap();
        assert_eq!(found.version, DocumentVersion(at(4)));
    }
    drop(store);
    let store = disk::open(directory.path()).unwrap();
    let found = store.get_document(&id("a")).await.unwrap().unwrap();
    assert_eq!(found.bytes, b"1904");
    store.close().await;
    let answer = store.get_document(&id("a")).await;
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    let answer = store.change_document(put("b", 1, None)).await;
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
}
