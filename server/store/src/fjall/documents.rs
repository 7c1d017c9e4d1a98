//! Documents: rows of `index`, written with the group in which their changes come.

use std::collections::HashMap;

use fjall::Readable;
use serde::{Deserialize, Serialize};

use super::{
    failure, keys,
    snapshot::Snapshot,
    tables::{self, Tables},
    view::SnapshotView,
    writes::Writes,
};
use crate::{
    Document, DocumentChange, DocumentId, DocumentKey, DocumentVersion, DocumentsQuery, Listed,
    Result, coding, documents::DocumentsPage,
};

const WHAT: &str = "document";

/// The row of a document; the order of its fields never changes.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct DocumentRow {
    version: u128,
    bytes: Vec<u8>,
}

impl DocumentRow {
    fn named(self, id: DocumentId) -> Document {
        Document { id, version: DocumentVersion(self.version), bytes: self.bytes }
    }
}

impl SnapshotView<'_> {
    pub fn document(&self, id: DocumentId) -> Result<Option<Document>> {
        Ok(row(&self.snapshot, self.tables, &id)?.map(|row| row.named(id)))
    }

    pub fn documents(&self, query: &DocumentsQuery) -> Result<Listed<Document, DocumentKey>> {
        let mut page = DocumentsPage::new(query);
        let first = keys::document(query.kind, &query.first());
        let end = keys::documents_end(query.kind).to_vec();
        for row in self.snapshot.rows.range(&self.tables.index, first..end) {
            let (key, value) = row.into_inner().map_err(failure::reading)?;
            let id = DocumentId { kind: query.kind, key: keys::document_key(&key)? };
            let row: DocumentRow = coding::decode(WHAT, &value)?;
            if page.add(row.named(id)).is_break() {
                break;
            }
        }
        Ok(page.finish())
    }
}

fn row(snapshot: &Snapshot, tables: &Tables, id: &DocumentId) -> Result<Option<DocumentRow>> {
    tables::get(&snapshot.rows, &tables.index, &keys::document(id.kind, &id.key), WHAT)
}

/// Documents as the changes of one group leave them.
#[derive(Default)]
pub struct ChangedDocuments(HashMap<DocumentId, Option<(DocumentVersion, Vec<u8>)>>);

impl ChangedDocuments {
    /// Takes in a change, which counts for the changes behind it in the group.
    pub fn add(
        &mut self,
        snapshot: &Snapshot,
        tables: &Tables,
        change: DocumentChange,
    ) -> Result<()> {
        let found = match self.0.get(&change.id) {
            Some(changed) => changed.as_ref().map(|(version, _)| *version),
            None => row(snapshot, tables, &change.id)?.map(|row| DocumentVersion(row.version)),
        };
        if change.check(found)? {
            self.0.insert(change.id, change.new);
        }
        Ok(())
    }

    /// Adds the rows to those of the batch, each once.
    pub fn write<'a>(self, tables: &'a Tables, writes: &mut Writes<'a>) -> Result<()> {
        for (DocumentId { kind, key }, new) in self.0 {
            let key = keys::document(kind, &key);
            match new {
                Some((DocumentVersion(version), bytes)) => {
                    writes.put(&tables.index, &key, &DocumentRow { version, bytes })?;
                }
                None => writes.remove(&tables.index, &key),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows on disks must stay readable for ever: these bytes may not change.
    #[test]
    fn a_row_is_pinned() {
        let row = DocumentRow { version: 1 << 120 | 300, bytes: vec![0, 255, 1] };
        coding::tests::pinned(&row, "01ac82808080808080808080808080808080020300ff01");
    }
}
