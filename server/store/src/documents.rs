use std::ops::ControlFlow;

use async_trait::async_trait;
use jobtracker_model::{FieldError, limits};

use crate::{
    Document, DocumentId, DocumentKey, DocumentKind, DocumentVersion, Error, Listed, PageLimit,
    Result, view::page::Page,
};

/// Documents: small values by kind and key, for what is no tree.
///
/// They are for definitions and settings, which people and services change now and then. A store
/// of many servers decides about one change of a kind at a time, some hundred a second at most, so
/// what moves more often belongs elsewhere.
///
/// **Atomic unit**: one [`DocumentChange`]. A document is read whole, as one change left it; two
/// documents, on one page too, may be of two instants.
///
/// **Durable before the reply**, and **read your writes**: as a [commit](crate::Trees::commit).
///
/// **Order**: of several changes at once with the same expectation, one is done and the others are
/// refused.
///
/// **Repeating**: the same change may be sent again after any error. When it has been done and
/// nothing has followed it, the answer is `Ok` and nothing is written, since the document has the
/// version that the change gives it. A creation that is sent again after another caller has deleted
/// the document creates it anew.
#[async_trait]
pub trait Documents: Send + Sync + 'static {
    /// One document.
    async fn get_document(&self, id: &DocumentId) -> Result<Option<Document>>;

    /// Creates, replaces or deletes one document, if it is as expected.
    ///
    /// # Errors
    /// [`Error::StaleDocument`]: the document is not at the expected version, and this call did
    /// nothing. An earlier call with the same change whose outcome was unknown may have been done
    /// and followed by other changes.
    async fn change_document(&self, change: DocumentChange) -> Result<()>;

    /// Documents of one kind, in the order of the bytes of their keys. A document that does not
    /// change while pages are read comes once.
    async fn list_documents(&self, query: DocumentsQuery) -> Result<Listed<Document, DocumentKey>>;
}

/// A change of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentChange {
    pub(crate) id: DocumentId,
    /// The version that the document has to have; `None`: there is no such document.
    pub(crate) expected: Option<DocumentVersion>,
    /// The new content with its version; `None` deletes the document.
    pub(crate) new: Option<(DocumentVersion, Vec<u8>)>,
}

impl DocumentChange {
    /// Creates a document, or with an `expected` version replaces the document of that version.
    ///
    /// # Errors
    /// The content is too long, or the new version is not new.
    pub fn put(
        document: Document,
        expected: Option<DocumentVersion>,
    ) -> std::result::Result<Self, FieldError> {
        let Document { id, version, bytes } = document;
        if bytes.len() > limits::DOCUMENT {
            let (len, most) = (bytes.len(), limits::DOCUMENT);
            return Err(FieldError::new("bytes", format!("has {len} bytes; at most {most}")));
        }
        if expected == Some(version) {
            return Err(FieldError::new("version", "is the version that is replaced"));
        }
        Ok(Self { id, expected, new: Some((version, bytes)) })
    }

    /// Deletes the document of that version. It does nothing when there is no document.
    #[must_use]
    pub fn delete(id: DocumentId, expected: DocumentVersion) -> Self {
        Self { id, expected: Some(expected), new: None }
    }

    /// The version of the document once the change is done.
    pub(crate) fn version(&self) -> Option<DocumentVersion> {
        self.new.as_ref().map(|(version, _)| *version)
    }

    /// Whether the change is to be written, given the version that the document has: not when it
    /// has been done before.
    pub(crate) fn check(&self, found: Option<DocumentVersion>) -> Result<bool> {
        if found == self.version() {
            Ok(false)
        } else if found == self.expected {
            Ok(true)
        } else {
            Err(Error::StaleDocument(self.id.clone()))
        }
    }
}

/// Documents of one kind, by key.
#[derive(Debug, Clone)]
pub struct DocumentsQuery {
    /// The kind.
    pub kind: DocumentKind,
    /// Only documents whose keys begin like this.
    pub prefix: Option<DocumentKey>,
    /// Behind this key, which need not exist any more.
    pub after: Option<DocumentKey>,
    /// The size of the page.
    pub limit: PageLimit,
}

impl DocumentsQuery {
    /// The smallest key that may be on the page. It need not be one that a document can have.
    pub(crate) fn first(&self) -> DocumentKey {
        let prefix = self.prefix.as_ref().map_or("", DocumentKey::as_str);
        // No text stands between one and the same with a NUL behind it.
        let behind = self.after.as_ref().map(|after| format!("{}\0", after.as_str()));
        DocumentKey(behind.unwrap_or_default().max(prefix.to_owned()))
    }
}

/// A page of documents while it is filled.
pub(crate) struct DocumentsPage {
    page: Page<Document, DocumentKey>,
    prefix: Option<DocumentKey>,
}

impl DocumentsPage {
    pub fn new(query: &DocumentsQuery) -> Self {
        Self { page: Page::new(query.limit), prefix: query.prefix.clone() }
    }

    /// Adds the next document, from the [first](DocumentsQuery::first) on; breaks off when the page
    /// is full or the list has ended.
    pub fn add(&mut self, document: Document) -> ControlFlow<()> {
        let key = &document.id.key;
        let prefix = self.prefix.as_ref().map_or("", DocumentKey::as_str);
        if !key.as_str().starts_with(prefix) {
            return ControlFlow::Break(());
        }
        self.page.look(key.clone())?;
        let bytes = size_of::<Document>() + key.as_str().len() + document.bytes.len();
        self.page.take(document, bytes);
        ControlFlow::Continue(())
    }

    pub fn finish(self) -> Listed<Document, DocumentKey> {
        self.page.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_within_the_limits_is_a_change() {
        for bad in [String::new(), "x".repeat(limits::DOCUMENT_KEY + 1)] {
            assert_eq!(DocumentKey::new(bad).unwrap_err().field, "key");
        }
        let document = |key: String, bytes| Document {
            id: DocumentId { kind: DocumentKind::Token, key: DocumentKey::new(key).unwrap() },
            version: DocumentVersion(7),
            bytes: vec![0; bytes],
        };
        let largest = document("x".repeat(limits::DOCUMENT_KEY), limits::DOCUMENT);
        assert!(DocumentChange::put(largest.clone(), None).is_ok());
        let reused = DocumentChange::put(largest, Some(DocumentVersion(7)));
        assert_eq!(reused.unwrap_err().field, "version");
        let long = DocumentChange::put(document("x".into(), limits::DOCUMENT + 1), None);
        assert_eq!(long.unwrap_err().field, "bytes");
    }

    #[test]
    fn a_page_begins_behind_a_key_and_not_before_the_prefix() {
        let key = |text: &str| (!text.is_empty()).then(|| DocumentKey::new(text).unwrap());
        for (prefix, after, first) in
            [("", "", ""), ("b", "", "b"), ("b", "a", "b"), ("b", "bc", "bc\0"), ("", "z", "z\0")]
        {
            let limit = PageLimit::items(1);
            let (kind, prefix, after) = (DocumentKind::Worker, key(prefix), key(after));
            assert_eq!(DocumentsQuery { kind, prefix, after, limit }.first().as_str(), first);
        }
    }
}
