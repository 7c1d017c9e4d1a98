use std::fmt;

use jobtracker_model::{FieldError, limits};
use serde::{Deserialize, Serialize};

/// What a document is: the registry of all kinds.
///
/// Stores keep the number of a kind, and exports its name, so neither ever changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DocumentKind {
    /// A token that says who a caller is.
    Token = 1,
    /// A schedule.
    Schedule = 2,
    /// The definition of a workflow.
    Workflow = 3,
    /// A worker.
    Worker = 4,
    /// A rule that says which trees are deleted.
    RetentionRule = 5,
    /// Something that a caller did by hand.
    Audit = 6,
    /// The key that signs sessions of browsers, and the sessions that have ended.
    Sessions = 7,
}

impl DocumentKind {
    /// All kinds, by number.
    pub const ALL: [Self; 7] = [
        Self::Token,
        Self::Schedule,
        Self::Workflow,
        Self::Worker,
        Self::RetentionRule,
        Self::Audit,
        Self::Sessions,
    ];

    /// The number that stands for it in keys.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Whether documents of this kind go with an export. A key stays where it was made: it would
    /// let in who has the file.
    #[must_use]
    pub fn is_exported(self) -> bool {
        self != Self::Sessions
    }
}

/// The key of a document among those of its kind: a text of 1 to
/// [`DOCUMENT_KEY`](limits::DOCUMENT_KEY) bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DocumentKey(pub(crate) String);

impl DocumentKey {
    /// A key.
    ///
    /// # Errors
    /// The text is empty or too long.
    pub fn new(text: impl Into<String>) -> Result<Self, FieldError> {
        let text = text.into();
        if (1..=limits::DOCUMENT_KEY).contains(&text.len()) {
            return Ok(Self(text));
        }
        let (len, most) = (text.len(), limits::DOCUMENT_KEY);
        Err(FieldError::new("key", format!("has {len} bytes; 1 to {most} are allowed")))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DocumentKey {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Self, FieldError> {
        Self::new(text)
    }
}

impl From<DocumentKey> for String {
    fn from(key: DocumentKey) -> Self {
        key.0
    }
}

/// The name of a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId {
    /// Its kind.
    pub kind: DocumentKind,
    /// Its key.
    pub key: DocumentKey,
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.kind, self.key.0)
    }
}

/// The version of a document: a number that its writer draws at random from all 128 bits for each
/// change.
///
/// So it names the writer's change, by which a repetition is known, and no version ever comes back:
/// after a deletion and a new creation a reader of the old document cannot replace the new one by
/// mistake. Versions have no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DocumentVersion(pub u128);

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its name.
    pub id: DocumentId,
    /// Its version.
    pub version: DocumentVersion,
    /// Its content, at most [`DOCUMENT`](limits::DOCUMENT) bytes.
    pub bytes: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use serde::de::value::{self, StrDeserializer};

    use super::*;

    #[test]
    fn numbers_and_names_of_kinds_are_pinned() {
        let names =
            ["token", "schedule", "workflow", "worker", "retentionRule", "audit", "sessions"];
        for (kind, (number, name)) in DocumentKind::ALL.into_iter().zip((1..).zip(names)) {
            assert_eq!(kind.number(), number);
            let name = StrDeserializer::<value::Error>::new(name);
            let read = DocumentKind::deserialize(name).unwrap();
            assert_eq!(read, kind);
        }
    }
}
