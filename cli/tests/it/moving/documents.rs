//! Documents move with the trees.

use std::sync::Arc;

use jobtracker_model::limits;
use jobtracker_server::moving::{self, Imported, ImportedDocuments, MovingError, Selection, Step};
use jobtracker_store::{
    Document, DocumentChange, DocumentId, DocumentKey, DocumentKind, DocumentVersion,
    DocumentsQuery, Store, memory::MemoryStore,
};

use super::{
    LIMIT,
    broken::file_of,
    export, id, import_all, lines, neighbours,
    trees::{broad_tree, plant},
};
use crate::harness::Shelf;

fn document(kind: DocumentKind, key: &str, version: u128, bytes: &[u8]) -> Document {
    let id = DocumentId { kind, key: DocumentKey::new(key).unwrap() };
    Document { id, version: DocumentVersion(version), bytes: bytes.to_vec() }
}

async fn put(store: &Arc<dyn Store>, document: Document) {
    store.change_document(DocumentChange::put(document, None).unwrap()).await.unwrap();
}

/// How many an export has of those that [`plant_documents`] plants: all but the key of sessions.
const DOCUMENTS: u64 = 2 * (DocumentKind::ALL.len() as u64 - 1);

/// Two documents of each kind, the largest that there can be among them.
pub async fn plant_documents(store: &Arc<dyn Store>) {
    for (number, kind) in (1..).zip(DocumentKind::ALL) {
        put(store, document(kind, "a \0\"ä\u{10FFFF}", number, &[0, 255, number as u8])).await;
        let bytes = vec![number as u8; limits::DOCUMENT];
        put(store, document(kind, &"k".repeat(limits::DOCUMENT_KEY), !number, &bytes)).await;
    }
}

async fn all(store: &Arc<dyn Store>) -> Vec<Document> {
    let mut all = Vec::new();
    for kind in DocumentKind::ALL {
        let query = DocumentsQuery { kind, prefix: None, after: None, limit: LIMIT };
        all.extend(store.list_documents(query).await.unwrap().items);
    }
    all
}

/// Those that an export has.
async fn exported(store: &Arc<dyn Store>) -> Vec<Document> {
    let mut all = all(store).await;
    all.retain(|document| document.id.kind != DocumentKind::Sessions);
    all
}

/// The result of an import, and the documents that failed.
async fn import(
    store: &Arc<dyn Store>,
    file: &[u8],
) -> (Result<Imported, MovingError>, Vec<(DocumentId, String)>) {
    let mut failed = Vec::new();
    let tell = &mut |step: Step<'_>| match step {
        Step::DocumentFailed { id, reason } => failed.push((id.clone(), reason.to_owned())),
        Step::Failed { root, reason } => panic!("tree {root}: {reason}"),
        Step::Done(_) => {}
    };
    let done = moving::import(store, file, "the file", tell).await;
    (done, failed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_come_along_from_every_store_to_every_other() {
    for (from, to) in neighbours() {
        let (source, target) = (Shelf::open(from).await, Shelf::open(to).await);
        plant(source.store(), [broad_tree(100, 2, 1)]).await;
        plant_documents(source.store()).await;
        let (done, file) = export(source.store(), Selection::ALL).await;
        assert_eq!(done.documents, DOCUMENTS);
        let done = import_all(target.store(), &file).await;
        assert_eq!(done.documents, ImportedDocuments { new: DOCUMENTS, there: 0, failed: 0 });
        assert_eq!(all(target.store()).await, exported(source.store()).await);
        let done = import_all(target.store(), &file).await;
        assert_eq!(done.documents, ImportedDocuments { new: 0, there: DOCUMENTS, failed: 0 });
        source.close().await;
        target.close().await;
    }
}

#[tokio::test]
async fn chosen_trees_go_without_them() {
    let source: Arc<dyn Store> = Arc::new(MemoryStore::new());
    plant(&source, [broad_tree(100, 2, 1)]).await;
    plant_documents(&source).await;
    let (done, file) = export(&source, Selection::Roots(vec![id(100)])).await;
    assert_eq!((done.trees, done.documents), (1, 0));
    let target: Arc<dyn Store> = Arc::new(MemoryStore::new());
    import_all(&target, &file).await;
    assert_eq!(all(&target).await, []);
}

/// The target's own documents stay, and the user hears of those that differ.
#[tokio::test]
async fn what_is_there_is_kept() {
    let source: Arc<dyn Store> = Arc::new(MemoryStore::new());
    plant_documents(&source).await;
    let (_, file) = export(&source, Selection::ALL).await;
    let target: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut theirs = exported(&source).await;
    theirs[0].bytes = b"another".to_vec();
    theirs[3].version = DocumentVersion(77);
    theirs[5].version = DocumentVersion(78);
    theirs[5].bytes = Vec::new();
    for own in [0, 3, 5] {
        put(&target, theirs[own].clone()).await;
    }
    for new in [DOCUMENTS - 3, 0] {
        let (done, failed) = import(&target, &file).await;
        let there = DOCUMENTS - 2 - new;
        assert_eq!(done.unwrap().documents, ImportedDocuments { new, there, failed: 2 });
        let named: Vec<_> = failed.iter().map(|(id, _)| id).collect();
        assert_eq!(named, [&theirs[0].id, &theirs[5].id]);
        assert!(failed[0].1.contains("another content, which is kept"), "{failed:?}");
        assert_eq!(all(&target).await, theirs);
    }
}

#[tokio::test]
async fn a_broken_document_is_named() {
    let source: Arc<dyn Store> = Arc::new(MemoryStore::new());
    put(&source, document(DocumentKind::Token, "a", 7, b"first")).await;
    put(&source, document(DocumentKind::Token, "b", 8, b"second")).await;
    plant(&source, [broad_tree(100, 0, 0)]).await;
    let (_, file) = export(&source, Selection::ALL).await;
    let text = String::from_utf8(zstd::decode_all(&*file).unwrap()).unwrap();
    let all: Vec<String> = text.lines().map(str::to_owned).collect();
    let (end, last) = (all.len() - 1, all.len() - 2);
    assert_eq!(
        lines(&file)[last - 2],
        "{\"document\":{\"kind\":\"token\",\"key\":\"a\",\
         \"version\":\"00000000000000000000000000000007\",\"bytes\":\"Zmlyc3Q=\"}}"
    );
    let edit = |at: usize, from: &str, to: &str| {
        let mut lines = all.clone();
        assert!(lines[at].contains(from), "{}", lines[at]);
        lines[at] = lines[at].replacen(from, to, 1);
        lines
    };
    let moved = |from: usize, to: usize| {
        let mut lines = all.clone();
        let line = lines.remove(from);
        lines.insert(to, line);
        lines
    };
    let mut lost = all.clone();
    lost.remove(last);
    let long = "A".repeat((limits::DOCUMENT / 3 + 1) * 4);
    for (lines, what) in [
        (edit(last, "c2Vjb25k", "Zmlyc3Q="), "other documents than came"),
        (edit(end, "\"count\":2", "\"count\":3"), "other documents than came"),
        (lost, "other documents than came"),
        (edit(last, "\"b\"", "\"a\""), "is not in order"),
        (moved(last, last - 1), "is not in order"),
        (moved(last, 1), "a line stands where it may not"),
        (edit(last, "token", "tokens"), "a line cannot be read"),
        (edit(last, "\"b\"", "\"\""), "key: has 0 bytes"),
        (edit(last, "c2Vjb25k", "c2Vjb25"), "a line cannot be read"),
        (edit(last, "c2Vjb25k", &long), "is too long"),
    ] {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let complaint = import(&store, &file_of(&lines)).await.0.unwrap_err().to_string();
        assert!(complaint.contains(what), "{complaint}, not {what}");
    }
}
