//! Documents: conditional changes, lists, and many callers at once.

use std::{collections::BTreeMap, sync::Arc};

use jobtracker_model::limits;
use jobtracker_store::{
    Document, DocumentChange, DocumentId, DocumentKey, DocumentKind, DocumentVersion,
    DocumentsQuery, Error, PageLimit, Result, Store,
};

use super::{
    Fixture,
    pages::{NARROW, WIDE},
    stage::Stage,
};

pub(super) async fn run(fixture: &impl Fixture) {
    one(fixture).await;
    lists(fixture).await;
    at_once(fixture).await;
    readers(fixture).await;
}

fn key(text: &str) -> DocumentKey {
    DocumentKey::new(text).expect("the suite's own keys are keys")
}

fn id(kind: DocumentKind, text: &str) -> DocumentId {
    DocumentId { kind, key: key(text) }
}

fn put(document: &Document, expected: Option<u128>) -> DocumentChange {
    let expected = expected.map(DocumentVersion);
    DocumentChange::put(document.clone(), expected).expect("the suite's own documents are small")
}

fn is_stale(error: &Error) -> bool {
    matches!(error, Error::StaleDocument(_))
}

impl Stage {
    async fn change(&self, what: &str, change: DocumentChange) {
        let answer = self.store.change_document(change).await;
        self.ok(what, answer);
    }

    async fn stale(&self, what: &str, change: DocumentChange) {
        let answer = self.store.change_document(change).await;
        self.refused(what, answer, is_stale);
    }

    async fn compare_document(&self, id: &DocumentId, due: Option<&Document>) {
        let got = self.store.get_document(id).await;
        self.same(id, &self.ok(id, got).as_ref(), &due);
    }
}

/// The life of one document, step by step.
async fn one(fixture: &impl Fixture) {
    let mut stage = Stage::open("one document", fixture).await;
    let id = id(DocumentKind::Schedule, "nightly/über\0 \u{10FFFF}");
    let of = |version, bytes: &[u8]| Document {
        id: id.clone(),
        version: DocumentVersion(version),
        bytes: bytes.to_vec(),
    };
    let delete = |version| DocumentChange::delete(id.clone(), DocumentVersion(version));
    let (first, second, third) = (of(1, b""), of(u128::MAX - 7, &[0, 255, 0]), of(3, b"third"));
    let fourth = of(4, b"another");
    stage.compare_document(&id, None).await;
    stage.change("a deletion where nothing is", delete(9)).await;
    stage.stale("replacing what is not there", put(&second, Some(1))).await;
    stage.change("a creation", put(&first, None)).await;
    stage.compare_document(&id, Some(&first)).await;
    stage.change("the same creation again", put(&first, None)).await;
    stage.stale("a second creation", put(&second, None)).await;
    stage.stale("replacing another version", put(&second, Some(2))).await;
    stage.stale("deleting another version", delete(2)).await;
    stage.compare_document(&id, Some(&first)).await;
    stage.change("replacing", put(&second, Some(1))).await;
    stage = stage.reopen(fixture).await;
    stage.compare_document(&id, Some(&second)).await;
    stage.change("replacing again in the same way", put(&second, Some(1))).await;
    stage.stale("replacing what was replaced", put(&third, Some(1))).await;
    stage.stale("the creation that was followed", put(&first, None)).await;
    stage.change("a deletion", delete(second.version.0)).await;
    stage.compare_document(&id, None).await;
    stage.change("the same deletion again", delete(second.version.0)).await;
    stage.stale("replacing what was deleted", put(&third, Some(second.version.0))).await;
    stage = stage.reopen(fixture).await;
    stage.compare_document(&id, None).await;

    // What was read before the deletion is of no use for the document that comes after it.
    stage.change("another creation", put(&third, None)).await;
    for old in [1, second.version.0] {
        stage.stale("replacing by an old version", put(&fourth, Some(old))).await;
        stage.stale("deleting by an old version", delete(old)).await;
    }
    stage.compare_document(&id, Some(&third)).await;
    let twin = DocumentId { kind: DocumentKind::Workflow, ..id.clone() };
    stage.compare_document(&twin, None).await;
    stage.change("deleting once more", delete(3)).await;
    stage.change("creating once more", put(&fourth, None)).await;
    stage = stage.reopen(fixture).await;
    stage.compare_document(&id, Some(&fourth)).await;
}

type Documents = BTreeMap<DocumentId, Document>;

/// Keys that are neighbours, or look like patterns, or are as long as can be.
fn odd_keys() -> Vec<String> {
    let keys = [
        "a",
        "a\0",
        "a\0b",
        "a ",
        "a%",
        "a*",
        "a/",
        "a/b",
        "a_",
        "aa",
        "ab",
        "b",
        "%",
        "_",
        " ",
        "\u{7f}",
        "ä",
        "äb",
        "日本",
        "日本語",
        "\u{FFFF}",
        "\u{10FFFF}",
        "\u{10FFFF}a",
        "'",
        "\"",
    ];
    let longest = "a".repeat(limits::DOCUMENT_KEY);
    keys.into_iter().map(str::to_owned).chain([longest]).collect()
}

async fn lists(fixture: &impl Fixture) {
    let mut stage = Stage::open("lists of documents", fixture).await;
    let mut all = Documents::new();
    let (mut number, kinds) = (0, DocumentKind::ALL);
    for (kind, text) in kinds.iter().flat_map(|kind| odd_keys().into_iter().map(|key| (*kind, key)))
    {
        number += 1;
        // The first kind has them all, the others some.
        if kind != kinds[0] && number % 7 != 0 {
            continue;
        }
        let len = if number % 9 == 0 { limits::DOCUMENT } else { number % 3 };
        let bytes = vec![number as u8; len];
        let document =
            Document { id: id(kind, &text), version: DocumentVersion(number as u128), bytes };
        stage.change("a creation", put(&document, None)).await;
        all.insert(document.id.clone(), document);
    }
    stage.compare_lists_of_documents(&all).await;
    // Pages go on behind keys that have gone.
    let gone: Vec<Document> = all.values().step_by(3).cloned().collect();
    for Document { id, version, .. } in gone {
        all.remove(&id);
        stage.change("a deletion", DocumentChange::delete(id, version)).await;
    }
    stage = stage.reopen(fixture).await;
    stage.compare_lists_of_documents(&all).await;
}

impl Stage {
    async fn compare_lists_of_documents(&self, all: &Documents) {
        let prefixes = ["", "a", "a\0", "a/", "%", "日本", "\u{10FFFF}", "nothing"];
        for prefix in prefixes {
            for limit in NARROW.into_iter().chain([WIDE]) {
                self.compare_list_of_documents(all, DocumentKind::ALL[0], prefix, limit).await;
            }
        }
        for kind in DocumentKind::ALL {
            self.compare_list_of_documents(all, kind, "", NARROW[1]).await;
        }
        for text in odd_keys() {
            let after = Some(key(&text));
            let query =
                DocumentsQuery { kind: DocumentKind::ALL[0], prefix: None, after, limit: WIDE };
            let page = self.ok(&text, self.store.list_documents(query).await);
            let due = all.values().filter(|document| document.id.kind == DocumentKind::ALL[0]);
            let due: Vec<&Document> =
                due.filter(|document| *document.id.key.as_str() > *text).collect();
            self.same(format_args!("behind {text:?}"), &page.items.iter().collect(), &due);
        }
    }

    async fn compare_list_of_documents(
        &self,
        all: &Documents,
        kind: DocumentKind,
        prefix: &str,
        limit: PageLimit,
    ) {
        let what = format!("{kind:?} that begin with {prefix:?}, {limit:?}");
        let is_listed = |document: &&Document| {
            document.id.kind == kind && document.id.key.as_str().starts_with(prefix)
        };
        let due: Vec<&Document> = all.values().filter(is_listed).collect();
        let prefix = DocumentKey::new(prefix).ok();
        let ask = async |after| {
            let query = DocumentsQuery { kind, prefix: prefix.clone(), after, limit };
            self.store.list_documents(query).await
        };
        let got = self.gather(&what, limit, due.len(), ask).await;
        self.same(what, &got.iter().collect(), &due);
    }
}

/// Callers that change the same document at the same time.
async fn at_once(fixture: &impl Fixture) {
    const CALLERS: u8 = 8;
    let mut stage = Stage::open("documents for many at once", fixture).await;
    let id = id(DocumentKind::Worker, "wanted by all");
    let mut expected = None;
    for round in 1..4 {
        let document = |caller: u8| {
            let version = DocumentVersion(round * 100 + u128::from(caller));
            Document { id: id.clone(), version, bytes: vec![caller; 100] }
        };
        let tasks: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (store, change) = (Arc::clone(&stage.store), put(&document(caller), expected));
                tokio::spawn(async move { change_surely(&*store, change).await })
            })
            .collect();
        let mut won = Vec::new();
        for (caller, task) in (0..).zip(tasks) {
            match task.await.unwrap_or_else(|panic| stage.fail(panic)) {
                Ok(()) => won.push(caller),
                Err(error) => stage.holds(&error, is_stale(&error)),
            }
        }
        stage.same("the callers that have won", &won.len(), &1);
        let winner = document(won[0]);
        stage.compare_document(&id, Some(&winner)).await;
        expected = Some(winner.version.0);
    }
    let tasks: Vec<_> = (0..4).map(|task| append(Arc::clone(&stage.store), task)).collect();
    for task in tasks.into_iter().map(tokio::spawn).collect::<Vec<_>>() {
        task.await.unwrap_or_else(|panic| stage.fail(panic));
    }
    stage = stage.reopen(fixture).await;
    let found = stage.store.get_document(&notebook()).await;
    let found = stage.ok("the notebook", found).map(|document| document.bytes);
    let mut notes: Vec<[u8; 2]> = found.unwrap_or_default().as_chunks().0.to_vec();
    notes.sort_unstable();
    let due: Vec<[u8; 2]> =
        (0..4).flat_map(|task| (0..NOTES).map(move |note| [task, note])).collect();
    stage.same("each note is there once", &notes, &due);
}

/// Sends a change until its outcome is known.
async fn change_surely(store: &dyn Store, change: DocumentChange) -> Result<()> {
    loop {
        match store.change_document(change.clone()).await {
            Err(Error::OutcomeUnknown(_) | Error::Unavailable(_)) => {}
            known => return known,
        }
    }
}

const NOTES: u8 = 8;

fn notebook() -> DocumentId {
    id(DocumentKind::Token, "notebook")
}

/// Adds notes to one document, as a caller does that has to get along with others.
async fn append(store: Arc<dyn Store>, task: u8) {
    let mut version = (u128::from(task) + 1) << 64;
    for note in (0..NOTES).map(|note| [task, note]) {
        loop {
            let answer = store.get_document(&notebook()).await;
            let found = answer.unwrap_or_else(|error| panic!("no answer: {error}"));
            let expected = found.as_ref().map(|document| document.version.0);
            let mut bytes = found.map_or_else(Vec::new, |document| document.bytes);
            if bytes.as_chunks().0.contains(&note) {
                break;
            }
            bytes.extend(note);
            version += 1;
            let version = DocumentVersion(version);
            let change = put(&Document { id: notebook(), version, bytes }, expected);
            match change_surely(&*store, change).await {
                Err(error) if !is_stale(&error) => panic!("no answer: {error}"),
                // The next round finds it there.
                _ => {}
            }
        }
    }
}

/// What is read while it changes is what one of the changes wrote, and never older than before.
async fn readers(fixture: &impl Fixture) {
    const CHANGES: u8 = 60;
    let stage = Stage::open("readers during changes of documents", fixture).await;
    let kind = DocumentKind::Schedule;
    let document = move |key: &str, number: u8| Document {
        id: id(kind, key),
        version: DocumentVersion(u128::from(number)),
        bytes: vec![number; 1 + 500 * usize::from(number)],
    };
    for key in ["moves", "steady"] {
        stage.change("a creation", put(&document(key, 0), None)).await;
    }
    let store = Arc::clone(&stage.store);
    let reader = tokio::spawn(async move {
        let mut last = 0;
        while last < CHANGES {
            let list = DocumentsQuery { kind, prefix: None, after: None, limit: WIDE };
            let page = store.list_documents(list).await.expect("an answer").items;
            let one = store.get_document(&id(kind, "moves")).await;
            let one = one.expect("an answer").expect("it is never deleted");
            assert_eq!(page[1], document("steady", 0));
            assert_eq!(page.len(), 2);
            for read in [&page[0], &one] {
                let number = read.bytes[0];
                assert_eq!(*read, document("moves", number));
                assert!(number >= last, "{number} comes after {last}");
                last = number;
            }
        }
    });
    for number in 1..=CHANGES {
        let change = put(&document("moves", number), Some(u128::from(number) - 1));
        stage.change("a change", change).await;
    }
    if let Err(panic) = reader.await {
        stage.fail(format_args!("a reader met something that never was: {panic}"));
    }
}
