//! Records as documents of the store.

use std::sync::Arc;

use jobtracker_model::{FieldError, check_name};
use jobtracker_store::{
    Document, DocumentChange, DocumentId, DocumentKey, DocumentKind, DocumentVersion,
    DocumentsQuery, Error as StoreError, Listed, PageLimit, Store,
};
use serde::de::DeserializeOwned;

use crate::{Error, Result, record::Record};

/// Reads and writes records.
#[derive(Clone)]
pub(crate) struct Documents(pub Arc<dyn Store>);

/// What was read, with the version of its document.
pub(crate) type Read<T> = (T, DocumentVersion);

impl Documents {
    pub async fn load(&self, name: &str) -> Result<Read<Record>> {
        self.get(name).await?.ok_or_else(|| Error::NotFound(name.to_owned()))
    }

    pub async fn get(&self, name: &str) -> Result<Option<Read<Record>>> {
        // What cannot be the name of one is the name of none.
        let Ok(id) = id(name) else { return Ok(None) };
        let found = self.0.get_document(&id).await?;
        found.map(|document| Ok((read(&document)?, document.version))).transpose()
    }

    /// Puts a record if its document has the expected version, or is not there without one;
    /// answers whether it did.
    pub async fn put(&self, record: &Record, expected: Option<DocumentVersion>) -> Result<bool> {
        let name = || record.name.clone();
        let unwritable = |source| Error::Unreadable { name: name(), source };
        let bytes = serde_json::to_vec(record).map_err(unwritable)?;
        let version = DocumentVersion(rand::random());
        let document = Document { id: id(&record.name)?, version, bytes };
        self.done(DocumentChange::put(document, expected)?).await
    }

    /// Deletes a record if its document has the expected version; answers whether it did.
    pub async fn delete(&self, name: &str, expected: DocumentVersion) -> Result<bool> {
        self.done(DocumentChange::delete(id(name)?, expected)).await
    }

    /// Sends a change again whose outcome is not known: that does it once.
    async fn done(&self, change: DocumentChange) -> Result<bool> {
        for _ in 0..REPEATS {
            match self.0.change_document(change.clone()).await {
                Ok(()) => return Ok(true),
                Err(StoreError::StaleDocument(_)) => return Ok(false),
                Err(StoreError::OutcomeUnknown(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::OutcomeUnknown("a change of a schedule".to_owned()).into())
    }

    /// A page of records, or of parts of them, by name. Those that cannot be read are left out.
    pub async fn list<T: DeserializeOwned>(
        &self,
        prefix: Option<DocumentKey>,
        after: Option<DocumentKey>,
        limit: PageLimit,
    ) -> Result<Listed<T, DocumentKey>> {
        let query = DocumentsQuery { kind: DocumentKind::Schedule, prefix, after, limit };
        let Listed { items, next } = self.0.list_documents(query).await?;
        let read = |document: Document| {
            let unreadable = |error: &Error| tracing::warn!(%error, "a schedule is left out");
            read(&document).inspect_err(unreadable).ok()
        };
        Ok(Listed { items: items.into_iter().filter_map(read).collect(), next })
    }
}

/// How often a change is sent whose outcome is not known.
const REPEATS: usize = 3;

fn id(name: &str) -> std::result::Result<DocumentId, FieldError> {
    check_name(name)?;
    Ok(DocumentId { kind: DocumentKind::Schedule, key: DocumentKey::new(name)? })
}

fn read<T: DeserializeOwned>(document: &Document) -> Result<T> {
    serde_json::from_slice(&document.bytes).map_err(|source| {
        let name = String::from(document.id.key.clone());
        Error::Unreadable { name, source }
    })
}
