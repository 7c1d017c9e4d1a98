use std::{collections::BTreeMap, sync::Arc};

use jobtracker_model::Timestamp;
use jobtracker_store::{
    Document, DocumentChange, DocumentId, DocumentKey, DocumentKind, DocumentVersion,
    Error as StoreError, Store,
};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use super::{
    Refused, SessionError,
    session::{IDLE_MS, Session, SigningKey},
};

/// Sessions that have been ended and would go on without that. Past it there is a new key, with
/// which all sessions end: rather all than none of those that were to end.
const ENDED: usize = 4_000;
/// Tries at a document that other servers change at the same time.
const TRIES: usize = 5;
/// The name of the one document.
const NAME: &str = "key";

/// The sessions of browsers: signed texts, of which the store keeps only the key, so that they go
/// on after a restart and on every server of the store, and those that were ended before their
/// time.
pub(super) struct Sessions {
    store: Arc<dyn Store>,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    register: Option<Arc<Register>>,
    /// Counts the changes that this server has made itself. What was read before such a change must
    /// not replace it.
    changes: u64,
}

/// The key and the ended sessions, as one version of their document has them.
pub(super) struct Register {
    version: DocumentVersion,
    pub key: SigningKey,
    record: Record,
}

/// What the store keeps.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    key: String,
    /// The ids of ended sessions, each with the time at which all its texts are over.
    #[serde(default)]
    ended: BTreeMap<String, Timestamp>,
}

impl Record {
    fn new() -> Result<Self, SessionError> {
        Ok(Self { key: SigningKey::generate()?, ended: BTreeMap::new() })
    }

    /// The same one, with a session that has been ended.
    fn with_ended(mut self, id: String, now: Timestamp) -> Result<Self, SessionError> {
        self.ended.retain(|_, over| *over > now);
        if self.ended.len() >= ENDED {
            tracing::warn!(ended = ENDED, "very many sessions were ended; now all of them are");
            return Self::new();
        }
        // Another server may renew it until it hears of this; twice the time is more than enough.
        let over = Timestamp::from_millis(now.millis() + 2 * IDLE_MS).unwrap_or(Timestamp::MAX);
        self.ended.insert(id, over);
        Ok(self)
    }
}

impl Register {
    fn new(version: DocumentVersion, record: Record) -> Result<Self, StoreError> {
        let key = SigningKey::new(&record.key);
        let key = key.ok_or_else(|| StoreError::Corrupt("the key of sessions".to_owned()))?;
        Ok(Self { version, key, record })
    }

    /// A session that goes on.
    pub fn open(&self, text: &str, now: Timestamp) -> Result<Session, Refused> {
        let session = self.key.open(text).ok_or(Refused::SessionEnded)?;
        let is_over = session.end_time() <= now || self.record.ended.contains_key(&session.id);
        if is_over { Err(Refused::SessionEnded) } else { Ok(session) }
    }
}

impl Sessions {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, known: RwLock::default() }
    }

    /// What the store says, if this server knows it.
    pub fn known(&self) -> Option<Arc<Register>> {
        self.known.read().register.clone()
    }

    /// Forgets what the store may not say any more.
    pub fn clear(&self) {
        let changes = self.known.read().changes + 1;
        *self.known.write() = Known { register: None, changes };
    }

    /// What the store says; the key is made when there is none.
    pub async fn load(&self) -> Result<Arc<Register>, SessionError> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        match self.read().await? {
            Some(read) => Ok(read),
            None => match self.put(Record::new()?, None).await {
                // Another server was faster.
                Err(SessionError::Store(StoreError::StaleDocument(_))) => {
                    let read = self.read().await?;
                    read.ok_or_else(|| StoreError::Unavailable("no key of sessions".into()).into())
                }
                put => put,
            },
        }
    }

    /// Reads again what another server may have changed.
    pub async fn read_again(&self) -> Result<(), StoreError> {
        self.read().await.map(drop)
    }

    /// Ends a session. One that is over, or none, is no error.
    pub async fn end(&self, text: &str, now: Timestamp) -> Result<(), SessionError> {
        // Another server may have made a new key, so the store is asked.
        let Some(mut register) = self.read().await? else { return Ok(()) };
        for tried in 1.. {
            let Ok(session) = register.open(text, now) else { return Ok(()) };
            let record = register.record.clone().with_ended(session.id, now)?;
            match self.put(record, Some(register.version)).await {
                // Another server has ended another session.
                Err(SessionError::Store(StoreError::StaleDocument(_))) if tried < TRIES => {
                    let Some(read) = self.read().await? else { return Ok(()) };
                    register = read;
                }
                put => return put.map(drop),
            }
        }
        Ok(())
    }

    async fn read(&self) -> Result<Option<Arc<Register>>, StoreError> {
        let changes = self.known.read().changes;
        let Some(Document { version, bytes, .. }) = self.store.get_document(&id()).await? else {
            return Ok(None);
        };
        let known = self.known().filter(|known| known.version == version);
        if known.is_some() {
            return Ok(known);
        }
        let record = serde_json::from_slice(&bytes)
            .map_err(|error| StoreError::Corrupt(format!("the key of sessions: {error}")))?;
        let read = Arc::new(Register::new(version, record)?);
        let mut known = self.known.write();
        if known.changes == changes {
            known.register = Some(Arc::clone(&read));
        }
        Ok(Some(read))
    }

    async fn put(
        &self,
        record: Record,
        expected: Option<DocumentVersion>,
    ) -> Result<Arc<Register>, SessionError> {
        let version = DocumentVersion(rand::random());
        let document = Document { id: id(), version, bytes: serde_json::to_vec(&record)? };
        self.store.change_document(DocumentChange::put(document, expected)?).await?;
        let register = Arc::new(Register::new(version, record)?);
        let mut known = self.known.write();
        *known = Known { register: Some(Arc::clone(&register)), changes: known.changes + 1 };
        Ok(register)
    }
}

fn id() -> DocumentId {
    let key = DocumentKey::new(NAME).expect("a key may have three characters");
    DocumentId { kind: DocumentKind::Sessions, key }
}

#[cfg(test)]
mod tests {
    use jobtracker_model::limits;
    use jobtracker_store::memory::MemoryStore;

    use super::{super::token::Hash, *};

    /// Rather all sessions end than none of those that were to end.
    #[tokio::test]
    async fn when_very_many_sessions_were_ended_all_are() {
        let now = Timestamp::from_millis(1_000_000).unwrap();
        let sessions = Sessions::new(Arc::new(MemoryStore::new()));
        let mut register = sessions.load().await.unwrap();
        let texts = [(); 2].map(|()| {
            let key = &register.key;
            key.seal(&key.begin(None, &Hash::of(b""), true, now).unwrap()).unwrap()
        });
        let mut record = register.record.clone();
        while record.ended.len() < ENDED - 1 {
            let id = register.key.begin(None, &Hash::of(b""), true, now).unwrap().id;
            record = record.with_ended(id, now).unwrap();
        }
        register = sessions.put(record, Some(register.version)).await.unwrap();
        sessions.end(&texts[0], now).await.unwrap();
        let full = sessions.load().await.unwrap();
        assert!(full.open(&texts[0], now).is_err() && full.open(&texts[1], now).is_ok());
        let size = serde_json::to_vec(&full.record).unwrap().len();
        assert!(size < limits::DOCUMENT, "{size}");
        assert_ne!(full.version, register.version);
        sessions.end(&texts[1], now).await.unwrap();
        let new = sessions.load().await.unwrap();
        assert_ne!(new.record.key, full.record.key);
        assert!(
            new.record.ended.is_empty() && texts.iter().all(|text| new.open(text, now).is_err())
        );
    }
}
