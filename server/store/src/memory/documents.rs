use std::collections::BTreeMap;

use crate::{
    Document, DocumentChange, DocumentId, DocumentKey, DocumentVersion, DocumentsQuery, Listed,
    Result, documents::DocumentsPage,
};

/// Versions and contents by name.
#[derive(Debug, Default)]
pub(super) struct DocumentRows(BTreeMap<DocumentId, (DocumentVersion, Vec<u8>)>);

impl DocumentRows {
    pub fn get(&self, id: &DocumentId) -> Option<Document> {
        self.0.get(id).map(|content| document(id, content))
    }

    pub fn change(&mut self, change: DocumentChange) -> Result<()> {
        let found = self.0.get(&change.id).map(|(version, _)| *version);
        if change.check(found)? {
            match change.new {
                Some(content) => self.0.insert(change.id, content),
                None => self.0.remove(&change.id),
            };
        }
        Ok(())
    }

    pub fn list(&self, query: &DocumentsQuery) -> Listed<Document, DocumentKey> {
        let mut page = DocumentsPage::new(query);
        let first = DocumentId { kind: query.kind, key: query.first() };
        for (id, content) in self.0.range(first..) {
            if id.kind != query.kind || page.add(document(id, content)).is_break() {
                break;
            }
        }
        page.finish()
    }
}

fn document(id: &DocumentId, (version, bytes): &(DocumentVersion, Vec<u8>)) -> Document {
    Document { id: id.clone(), version: *version, bytes: bytes.clone() }
}
