//! Documents: one partition for each kind, changed by conditional statements alone.
//!
//! The partition is in the order of the keys, so a page is a slice of it. The copies decide about
//! one condition of a partition at a time. A page reads over those that have gone: they are
//! remembered for eleven days, or four hours where they come and go by themselves.

use std::sync::Arc;

use scylla::statement::prepared::PreparedStatement;
use uuid::Uuid;

use super::{
    attempt::{Attempt, Seen},
    cluster::Cluster,
    schema::TRANSIENT,
};
use crate::{
    Document, DocumentChange, DocumentId, DocumentKey, DocumentKind, DocumentVersion,
    DocumentsQuery, Error, Listed, Result, documents::DocumentsPage,
};

/// Rows of the first answer for a page, which may have the largest documents; further answers have
/// as many as these bytes may hold, by the largest document so far.
const FIRST_ROWS: usize = 16;
const ANSWER_BYTES: usize = 4 * 1024 * 1024;
const MOST_ROWS: usize = 500;

/// How long a deleted document leaves a row without a body, in seconds. No sending of a creation is
/// on its way for that long; until it arrives it must not find that there was no document yet.
const DELETED: i32 = 24 * 3600;
/// The same of one that would go again.
const TRANSIENT_DELETED: i32 = 3600;

pub struct DocumentTables {
    cluster: Arc<Cluster>,
    lasting: Table,
    transient: Table,
}

/// The statements of one table.
struct Table {
    get: PreparedStatement,
    list: PreparedStatement,
    change: PreparedStatement,
    drop: PreparedStatement,
    deleted_seconds: i32,
}

/// The row of a document: its version and body. One that was deleted has no body, and the version
/// that [`deleted`] makes of the last one.
type DocumentRow = (Option<Uuid>, Option<Vec<u8>>);

impl DocumentTables {
    pub fn new(cluster: Arc<Cluster>) -> Self {
        let (statements, attempts) = (&cluster.statements, &cluster.attempts);
        let lasting = Table {
            get: statements.document.clone(),
            list: statements.documents.clone(),
            change: attempts.ready(&statements.change_document),
            drop: attempts.ready(&statements.drop_document),
            deleted_seconds: DELETED,
        };
        let transient = Table {
            get: statements.transient_document.clone(),
            list: statements.transient_documents.clone(),
            change: attempts.ready(&statements.change_transient_document),
            drop: attempts.ready(&statements.drop_transient_document),
            deleted_seconds: TRANSIENT_DELETED,
        };
        Self { cluster, lasting, transient }
    }

    fn table(&self, kind: DocumentKind) -> &Table {
        if TRANSIENT.contains(&kind) { &self.transient } else { &self.lasting }
    }

    async fn row(&self, id: &DocumentId) -> Result<Option<DocumentRow>> {
        let key = (kind(id.kind), id.key.as_str());
        self.cluster.row(&self.table(id.kind).get, key).await
    }

    pub async fn get(&self, id: &DocumentId) -> Result<Option<Document>> {
        let row = self.row(id).await?;
        let whole = row.and_then(|(version, body)| version.zip(body));
        Ok(whole.map(|(version, bytes)| document(id.clone(), version, bytes)))
    }

    /// Sends a change until its outcome is known, or until it has taken too long.
    ///
    /// All sendings give the document one version, so that at most one of them comes true: after
    /// that, the row has never again the version that they expect.
    pub async fn change(&self, change: &DocumentChange) -> Result<()> {
        let mut patience = self.cluster.doubt();
        let mut expected = change.expected.map(uuid);
        let mut doubt: Option<String> = None;
        loop {
            match (self.attempt(change, expected).await, &doubt) {
                (Ok(Attempt::Applied), _) => return Ok(()),
                (Ok(Attempt::Lost(seen)), _) if is_done(change, seen) => return Ok(()),
                (Ok(Attempt::Lost(_)), Some(why)) => {
                    return Err(Error::OutcomeUnknown(format!("{why}; other changes followed")));
                }
                (Ok(Attempt::Lost(_)), None) => expected = self.left(change).await?,
                (Ok(Attempt::NotSent(error)) | Err(error), None) => return Err(error),
                (Ok(Attempt::NotSent(_)), Some(_)) => {}
                // The store is being closed: an earlier sending may have come true.
                (Err(_), Some(why)) => return Err(Error::OutcomeUnknown(why.clone())),
                (Ok(Attempt::Unknown(error)), _) => doubt = Some(error),
            }
            if !patience.wait().await {
                let why = doubt.unwrap_or_else(|| "others change the same document".into());
                return Err(Error::OutcomeUnknown(why));
            }
        }
    }

    /// The version of the row that a deleted document has left, if it has, which a creation that
    /// found a row may replace.
    async fn left(&self, change: &DocumentChange) -> Result<Option<Uuid>> {
        let stale = || Error::StaleDocument(change.id.clone());
        if change.expected.is_some() {
            return Err(stale());
        }
        match self.row(&change.id).await? {
            Some((_, Some(_))) => Err(stale()),
            // The document that this change created.
            Some((left, None)) if left == change.version().map(deleted) => Err(stale()),
            left => Ok(left.and_then(|(version, _)| version)),
        }
    }

    async fn attempt(&self, change: &DocumentChange, expected: Option<Uuid>) -> Result<Attempt> {
        let (attempts, session) = (&self.cluster.attempts, self.cluster.session());
        let DocumentChange { id, expected: last, new } = change;
        let table = self.table(id.kind);
        let (kind, key) = (kind(id.kind), id.key.as_str());
        match new {
            Some((version, body)) => {
                let values = (uuid(*version), body, kind, key, expected);
                attempts.one(session, &table.change, values).await
            }
            None => {
                let values = (table.deleted_seconds, last.map(deleted), kind, key, expected);
                attempts.one(session, &table.drop, values).await
            }
        }
    }

    pub async fn list(&self, query: &DocumentsQuery) -> Result<Listed<Document, DocumentKey>> {
        let statement = &self.table(query.kind).list;
        let mut page = DocumentsPage::new(query);
        let mut query = query.clone();
        let (mut rows, mut largest) = (FIRST_ROWS, 1);
        loop {
            // One more than the page holds, since by it the page knows whether the list goes on.
            let asked = rows.min(query.limit.items.saturating_add(1));
            let first = query.first();
            let values = (kind(query.kind), first.as_str(), asked as i32);
            let found: Vec<(String, Option<Uuid>, Option<Vec<u8>>)> =
                self.cluster.rows(statement, values).await?;
            let is_last = found.len() < asked;
            for (key, version, body) in found {
                let key = DocumentKey::new(key).map_err(|error| Error::Corrupt(error.reason))?;
                query.after = Some(key.clone());
                let (Some(version), Some(bytes)) = (version, body) else { continue };
                largest = largest.max(bytes.len());
                let id = DocumentId { kind: query.kind, key };
                if page.add(document(id, version, bytes)).is_break() {
                    return Ok(page.finish());
                }
            }
            if is_last {
                return Ok(page.finish());
            }
            rows = (ANSWER_BYTES / largest).clamp(FIRST_ROWS, MOST_ROWS);
        }
    }
}

/// Whether a change whose condition did not hold has been done before.
fn is_done(change: &DocumentChange, seen: Seen) -> bool {
    match change.version() {
        Some(version) => seen.cid == Some(uuid(version)),
        None => seen.cid.is_none() || seen.cid == change.expected.map(deleted),
    }
}

fn document(id: DocumentId, version: Uuid, bytes: Vec<u8>) -> Document {
    Document { id, version: DocumentVersion(version.as_u128()), bytes }
}

/// The version of the row that a document of a version leaves when it is deleted. Versions are
/// random, so no document has it.
fn deleted(DocumentVersion(last): DocumentVersion) -> Uuid {
    Uuid::from_u128(!last)
}

fn uuid(version: DocumentVersion) -> Uuid {
    Uuid::from_u128(version.0)
}

fn kind(kind: DocumentKind) -> i8 {
    // Numbers of kinds are small.
    kind.number().cast_signed()
}
