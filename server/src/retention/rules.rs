use std::sync::Arc;

use jobtracker_model::{FieldError, NamedRetentionRule, check_name, limits};
use jobtracker_store::{
    Document, DocumentChange, DocumentId, DocumentKey, DocumentKind, DocumentVersion,
    DocumentsQuery, Error as StoreError, Listed, PageLimit, Store,
};

/// Tries at a document that other servers change at the same time.
const TRIES: usize = 5;

/// Why a rule was not put or deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RuleError {
    #[error(transparent)]
    Field(#[from] FieldError),
    #[error("there is no retention rule {0:?}")]
    NotFound(String),
    #[error("there are {0} retention rules, as many as there may be")]
    TooMany(usize),
    #[error("a retention rule cannot be written: {0}")]
    Unwritable(#[from] serde_json::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The retention rules, as documents.
pub(crate) struct Rules {
    store: Arc<dyn Store>,
}

impl Rules {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// All rules, by name.
    pub async fn all(&self) -> Result<Vec<NamedRetentionRule>, StoreError> {
        let limit = PageLimit::items(limits::RETENTION_RULES);
        let (kind, mut rules) = (DocumentKind::RetentionRule, Vec::new());
        let mut query = DocumentsQuery { kind, prefix: None, after: None, limit };
        loop {
            let Listed { items, next } = self.store.list_documents(query.clone()).await?;
            rules.extend(items.iter().filter_map(read));
            query.after = next;
            if query.after.is_none() {
                return Ok(rules);
            }
        }
    }

    /// Whether a rule is still as it was.
    pub async fn has(&self, rule: &NamedRetentionRule) -> Result<bool, StoreError> {
        let Ok(id) = id(&rule.name) else { return Ok(false) };
        let found = self.store.get_document(&id).await?;
        Ok(found.as_ref().and_then(read).as_ref() == Some(rule))
    }

    /// Puts a rule, new or in the place of the one with its name.
    pub async fn put(&self, rule: &NamedRetentionRule) -> Result<(), RuleError> {
        let id = id(&rule.name)?;
        let bytes = serde_json::to_vec(rule)?;
        for tried in 1.. {
            let found = self.store.get_document(&id).await?;
            if found.is_none() && self.all().await?.len() >= limits::RETENTION_RULES {
                return Err(RuleError::TooMany(limits::RETENTION_RULES));
            }
            let version = DocumentVersion(rand::random());
            let document = Document { id: id.clone(), version, bytes: bytes.clone() };
            let change = DocumentChange::put(document, found.map(|found| found.version))?;
            match self.store.change_document(change).await {
                Err(StoreError::StaleDocument(_)) if tried < TRIES => {}
                done => return Ok(done?),
            }
        }
        unreachable!("the last try is answered")
    }

    /// Deletes a rule.
    pub async fn delete(&self, name: &str) -> Result<(), RuleError> {
        let id = id(name)?;
        for tried in 1.. {
            let found = self.store.get_document(&id).await?;
            let found = found.ok_or_else(|| RuleError::NotFound(name.to_owned()))?;
            let change = DocumentChange::delete(id.clone(), found.version);
            match self.store.change_document(change).await {
                Err(StoreError::StaleDocument(_)) if tried < TRIES => {}
                done => return Ok(done?),
            }
        }
        unreachable!("the last try is answered")
    }
}

fn id(name: &str) -> Result<DocumentId, FieldError> {
    check_name(name)?;
    Ok(DocumentId { kind: DocumentKind::RetentionRule, key: DocumentKey::new(name)? })
}

/// The rule of a document. One that a later version has put, with fields that this one does not
/// know, is not in force here.
fn read(document: &Document) -> Option<NamedRetentionRule> {
    let read = serde_json::from_slice(&document.bytes);
    let unreadable = |error: &serde_json::Error| {
        tracing::warn!(rule = %document.id, %error, "a retention rule cannot be read");
    };
    read.inspect_err(unreadable).ok()
}
