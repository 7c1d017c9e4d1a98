//! The list of what callers did by hand: who, what, when, from where.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use jobtracker_model::{AuditEntry, ProblemCode, Timestamp, limits};
use jobtracker_store::{
    Document, DocumentChange, DocumentId, DocumentKey, DocumentKind, DocumentVersion,
    DocumentsQuery, Error as StoreError, Listed, PageLimit, Store,
};

use super::AuditError;

/// Keys count down from here, so that the newest entry is the first: more milliseconds than any
/// time has, in 15 digits.
const LAST: i64 = 999_999_999_999_999;

/// Writes and reads the audit list.
pub(crate) struct Audit {
    store: Arc<dyn Store>,
    keep_ms: i64,
    /// Orders the entries of one millisecond.
    count: AtomicU32,
}

/// An entry that was written, about an act that is under way.
pub(crate) struct Begun {
    id: DocumentId,
    version: DocumentVersion,
    entry: AuditEntry,
}

impl Audit {
    pub fn new(store: Arc<dyn Store>, keep_days: u32) -> Self {
        Self { store, keep_ms: i64::from(keep_days) * 86_400_000, count: AtomicU32::new(0) }
    }

    /// Writes an entry, durably, before the act: so there is no act without an entry, whenever the
    /// service ends.
    pub async fn begin(&self, entry: AuditEntry) -> Result<Begun, AuditError> {
        let millis = LAST - entry.time.millis();
        let count = u32::MAX - self.count.fetch_add(1, Relaxed);
        // Entries of other servers differ by a random number.
        let text = format!("{millis:015}-{count:08x}{:08x}", rand::random::<u32>());
        let key = DocumentKey::new(text)?;
        let id = DocumentId { kind: DocumentKind::Audit, key };
        let version = self.put(&id, &entry, None).await?;
        Ok(Begun { id, version, entry })
    }

    /// Notes in an entry that the act was refused or failed. If that cannot be written, the entry
    /// stays as it is; the act has been answered as failed in any case.
    pub async fn fail(&self, begun: Begun, code: ProblemCode) {
        let Begun { id, version, mut entry } = begun;
        entry.failed = Some(code.code().to_owned());
        if let Err(error) = self.put(&id, &entry, Some(version)).await {
            tracing::warn!(%error, act = entry.act, code = code.code(), "not noted as failed");
        }
    }

    async fn put(
        &self,
        id: &DocumentId,
        entry: &AuditEntry,
        expected: Option<DocumentVersion>,
    ) -> Result<DocumentVersion, AuditError> {
        let bytes = serde_json::to_vec(entry)?;
        let version = DocumentVersion(rand::random());
        let document = Document { id: id.clone(), version, bytes };
        self.store.change_document(DocumentChange::put(document, expected)?).await?;
        Ok(version)
    }

    /// A page of entries, the newest first.
    pub async fn list(
        &self,
        after: Option<DocumentKey>,
        limit: PageLimit,
    ) -> Result<Listed<AuditEntry, DocumentKey>, StoreError> {
        let query = DocumentsQuery { kind: DocumentKind::Audit, prefix: None, after, limit };
        let Listed { items, next } = self.store.list_documents(query).await?;
        let read = |document: Document| {
            let read = serde_json::from_slice(&document.bytes);
            read.map_err(|error| StoreError::Corrupt(format!("{}: {error}", document.id)))
        };
        Ok(Listed { items: items.into_iter().map(read).collect::<Result<_, _>>()?, next })
    }

    /// Deletes the entries that have been kept for the configured time.
    pub async fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
        // Keys of older entries come behind.
        let newest = LAST - (now.millis() - self.keep_ms).max(0);
        let mut after = DocumentKey::new(format!("{newest:015}-g")).ok();
        loop {
            let limit = PageLimit::items(limits::PAGE);
            let query = DocumentsQuery { kind: DocumentKind::Audit, prefix: None, after, limit };
            let listed = self.store.list_documents(query).await?;
            for Document { id, version, .. } in listed.items {
                match self.store.change_document(DocumentChange::delete(id, version)).await {
                    // Only another sweep changes an entry of this age.
                    Err(StoreError::StaleDocument(_)) | Ok(()) => {}
                    Err(error) => return Err(error),
                }
            }
            after = listed.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jobtracker_model::Role;
    use jobtracker_store::memory::MemoryStore;

    use super::*;

    const DAY: i64 = 86_400_000;

    fn entry(days: i64) -> AuditEntry {
        AuditEntry {
            time: Timestamp::from_millis(1_000 + days * DAY).unwrap(),
            name: "anna".into(),
            role: Role::Operator,
            how: None,
            act: "replayDelivery".into(),
            subject: format!("{days}-0"),
            from: None,
            request_id: "r".into(),
            failed: None,
        }
    }

    async fn subjects(audit: &Audit) -> Vec<String> {
        let (mut subjects, mut after) = (Vec::new(), None);
        loop {
            let listed = audit.list(after, PageLimit::items(2)).await.unwrap();
            subjects.extend(listed.items.into_iter().map(|entry| entry.subject));
            after = listed.next;
            if after.is_none() {
                return subjects;
            }
        }
    }

    #[tokio::test]
    async fn entries_are_listed_from_the_newest_on_and_kept_as_long_as_is_configured() {
        let audit = Audit::new(Arc::new(MemoryStore::new()), 7);
        for days in [1, 9, 8, 3, 10] {
            audit.begin(entry(days)).await.unwrap();
        }
        assert_eq!(subjects(&audit).await, ["10-0", "9-0", "8-0", "3-0", "1-0"]);
        audit.sweep(entry(10).time).await.unwrap();
        // An entry of seven days is the oldest that stays.
        assert_eq!(subjects(&audit).await, ["10-0", "9-0", "8-0", "3-0"]);
        audit.sweep(Timestamp::MIN).await.unwrap();
        audit.sweep(entry(15).time).await.unwrap();
        assert_eq!(subjects(&audit).await, ["10-0", "9-0", "8-0"]);
    }

    #[tokio::test]
    async fn an_act_that_failed_is_shown_as_such() {
        let audit = Audit::new(Arc::new(MemoryStore::new()), 7);
        let [one, other] = [audit.begin(entry(1)).await, audit.begin(entry(1)).await];
        drop(one.unwrap());
        audit.fail(other.unwrap(), ProblemCode::DeliveryNotFound).await;
        let listed = audit.list(None, PageLimit::items(9)).await.unwrap().items;
        let failed: Vec<_> = listed.into_iter().map(|entry| entry.failed).collect();
        assert_eq!(failed, [Some("delivery_not_found".to_owned()), None]);
    }
}
