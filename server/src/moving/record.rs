use std::sync::Arc;

use jobtracker_model::{
    Change, Definition, ExportCounts, ExportRequest, Fingerprint, JobId, LogLine, Repeat,
    Timestamp, rollup::Status,
};
use jobtracker_store::{
    Document, DocumentId, DocumentKey, DocumentKind, DocumentVersion, Error as StoreError,
    FollowUp, FollowUpKey, Origin, RepeatRow, Row,
};
use serde::{Deserialize, Serialize};

/// The name of the format in the header.
pub(super) const FORMAT: &str = "jobtracker-export";
/// How the text of every export begins.
pub(super) const BEGIN: &[u8] = br#"{"header":{"format":"jobtracker-export","#;
/// The newest version of the format that this program knows, and the one that it writes.
pub(super) const VERSION: u32 = 8;

/// One line of an export; see the [module](super) for the order in which they come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Record {
    Header(Header),
    Tree(TreeRecord),
    Job(JobRecord),
    Status(StatusRecord),
    Change(ChangeRecord),
    LogLine(LogLineRecord),
    Attachment(AttachmentRecord),
    Repeat(RepeatRecord),
    FollowUp(FollowUpRecord),
    TreeEnd(TreeEnd),
    Document(DocumentRecord),
    End(End),
}

/// The begin of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    pub format: String,
    pub version: u32,
    pub program: String,
    pub time: Timestamp,
    pub store: String,
    pub id_mark: JobId,
    pub selection: Selection,
}

/// Which trees are exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Selection {
    /// Trees whose roots were created in a span of time.
    Created {
        /// At this time or later; `None`: from the first root on.
        from: Option<Timestamp>,
        /// Before this time; `None`: up to the last root.
        until: Option<Timestamp>,
    },
    /// Trees with these roots.
    Roots(Vec<JobId>),
}

impl Selection {
    /// All of them.
    pub const ALL: Self = Self::Created { from: None, until: None };

    /// Those that a request names.
    #[must_use]
    pub fn of(request: &ExportRequest) -> Self {
        if request.roots.is_empty() {
            Self::Created { from: request.from, until: request.until }
        } else {
            Self::Roots(request.roots.clone())
        }
    }

    /// The request that names them.
    pub(super) fn request(&self) -> ExportRequest {
        match self.clone() {
            Self::Created { from, until } => {
                ExportRequest { from, until, ..ExportRequest::default() }
            }
            Self::Roots(roots) => ExportRequest { roots, ..ExportRequest::default() },
        }
    }
}

/// The begin of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TreeRecord {
    pub root: JobId,
    pub create_time: Timestamp,
    pub jobs: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobRecord {
    pub id: JobId,
    pub parent: Option<JobId>,
    #[serde(with = "fingerprint")]
    pub fingerprint: Fingerprint,
    pub name: String,
    pub created_by: String,
    pub tags: Vec<String>,
    pub options: Option<String>,
    pub source_link: Option<String>,
    /// Since version 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_days: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StatusRecord {
    pub id: JobId,
    #[serde(flatten)]
    pub status: Status,
    /// Whether the job has follow-ups; since version 2.
    #[serde(default, skip_serializing_if = "is_false")]
    pub followed: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ChangeRecord {
    pub id: JobId,
    pub number: u32,
    #[serde(flatten)]
    pub change: Change,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LogLineRecord {
    pub id: JobId,
    #[serde(flatten)]
    pub line: LogLine,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct AttachmentRecord {
    pub id: JobId,
    pub key: String,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RepeatRecord {
    pub id: JobId,
    pub of: RepeatOf,
    pub name: String,
    pub first: u32,
    pub count: u32,
    #[serde(with = "hex")]
    pub fingerprint: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum RepeatOf {
    Change,
    Append,
}

/// A follow-up; since version 2. Versions 3, 4 and 6 have more kinds of rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FollowUpRecord {
    pub id: JobId,
    pub key: FollowUpKey,
    pub row: FollowUp,
}

/// The end of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TreeEnd {
    pub root: JobId,
    #[serde(flatten)]
    pub counts: ExportCounts,
    #[serde(with = "hex")]
    pub checksum: u64,
}

/// A document; since version 5.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct DocumentRecord {
    pub kind: DocumentKind,
    pub key: DocumentKey,
    #[serde(with = "hex")]
    pub version: u128,
    #[serde(with = "base64_text")]
    pub bytes: Vec<u8>,
}

impl From<Document> for DocumentRecord {
    fn from(document: Document) -> Self {
        let Document { id: DocumentId { kind, key }, version, bytes } = document;
        Self { kind, key, version: version.0, bytes }
    }
}

impl From<DocumentRecord> for Document {
    fn from(record: DocumentRecord) -> Self {
        let DocumentRecord { kind, key, version, bytes } = record;
        Self { id: DocumentId { kind, key }, version: DocumentVersion(version), bytes }
    }
}

/// How many documents there are, and the checksum of their lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DocumentsEnd {
    pub count: u64,
    #[serde(with = "hex")]
    pub checksum: u64,
}

/// The end of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct End {
    pub trees: u64,
    #[serde(flatten)]
    pub counts: ExportCounts,
    pub id_mark: JobId,
    /// Absent where there are none, and before version 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<DocumentsEnd>,
}

impl Record {
    /// Writes the line, with its line feed, into `line`, replacing its content.
    pub fn write(&self, line: &mut Vec<u8>) {
        line.clear();
        serde_json::to_writer(&mut *line, self)
            .expect("every record can be written, and memory takes it");
        line.push(b'\n');
    }

    /// The job of the record, if it is a row of a tree.
    pub fn job(&self) -> Option<JobId> {
        match self {
            Self::Job(JobRecord { id, .. })
            | Self::Status(StatusRecord { id, .. })
            | Self::Change(ChangeRecord { id, .. })
            | Self::LogLine(LogLineRecord { id, .. })
            | Self::Attachment(AttachmentRecord { id, .. })
            | Self::Repeat(RepeatRecord { id, .. })
            | Self::FollowUp(FollowUpRecord { id, .. }) => Some(*id),
            Self::Header(_)
            | Self::Tree(_)
            | Self::TreeEnd(_)
            | Self::Document(_)
            | Self::End(_) => None,
        }
    }

    /// The line for a row of a new tree.
    ///
    /// # Errors
    /// A new tree has no such rows.
    pub fn of(row: Row) -> Result<Self, StoreError> {
        let strange = |id: JobId| StoreError::Corrupt(format!("a strange row of job {id}"));
        Ok(match row {
            Row::Job { id, origin: Origin { parent, fingerprint, .. }, definition } => {
                let definition = Arc::unwrap_or_clone(definition);
                let Definition { name, created_by, tags, options, source_link, keep_days } =
                    definition;
                Self::Job(JobRecord {
                    id,
                    parent,
                    fingerprint,
                    name,
                    created_by,
                    tags,
                    options,
                    source_link,
                    keep_days,
                })
            }
            Row::Status { id, before: None, status, .. } => {
                let followed = status.flags.followed;
                Self::Status(StatusRecord { id, status, followed })
            }
            Row::Change { id, number, change } => Self::Change(ChangeRecord { id, number, change }),
            Row::LogLine { id, line } => Self::LogLine(LogLineRecord { id, line }),
            Row::Attachment { id, key, text: Some(text) } => {
                Self::Attachment(AttachmentRecord { id, key, text })
            }
            Row::Repeat { id, key, row: RepeatRow { first, count, fingerprint } } => {
                let (of, name) = match key {
                    Repeat::Change(name) => (RepeatOf::Change, name),
                    Repeat::Append(name) => (RepeatOf::Append, name),
                };
                Self::Repeat(RepeatRecord { id, of, name, first, count, fingerprint })
            }
            Row::FollowUp { id, key, before: None, row } => {
                Self::FollowUp(FollowUpRecord { id, key, row })
            }
            Row::Status { id, .. }
            | Row::Attachment { id, .. }
            | Row::Definition { id, .. }
            | Row::FollowUp { id, .. } => return Err(strange(id)),
            Row::TreeResult { row, .. } => return Err(strange(row.tree_result.root)),
            Row::Deleted { root, .. } => return Err(strange(root)),
        })
    }

    /// The row for a line of a tree, given the origin of its job; `None` for other lines.
    pub fn into_row(self, origin: &Origin) -> Option<Row> {
        Some(match self {
            Self::Job(record) => {
                let JobRecord { id, name, created_by, tags, options, .. } = record;
                let JobRecord { source_link, keep_days, .. } = record;
                let definition =
                    Definition { name, created_by, tags, options, source_link, keep_days };
                Row::Job { id, origin: *origin, definition: Arc::new(definition) }
            }
            Self::Status(StatusRecord { id, mut status, followed }) => {
                status.flags.followed = followed;
                Row::Status { id, parent: origin.parent, before: None, status }
            }
            Self::Change(ChangeRecord { id, number, change }) => Row::Change { id, number, change },
            Self::LogLine(LogLineRecord { id, line }) => Row::LogLine { id, line },
            Self::Attachment(AttachmentRecord { id, key, text }) => {
                Row::Attachment { id, key, text: Some(text) }
            }
            Self::Repeat(RepeatRecord { id, of, name, first, count, fingerprint }) => {
                let key = match of {
                    RepeatOf::Change => Repeat::Change(name),
                    RepeatOf::Append => Repeat::Append(name),
                };
                Row::Repeat { id, key, row: RepeatRow { first, count, fingerprint } }
            }
            Self::FollowUp(FollowUpRecord { id, key, row }) => {
                Row::FollowUp { id, key, before: None, row }
            }
            Self::Header(_)
            | Self::Tree(_)
            | Self::TreeEnd(_)
            | Self::Document(_)
            | Self::End(_) => return None,
        })
    }
}

/// 64 or 128 bits as hex digits, since some languages lack such integers.
mod hex {
    use std::{borrow::Cow, fmt::LowerHex};

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<T: LowerHex, S: Serializer>(
        bits: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{bits:0digits$x}", digits = 2 * size_of::<T>()))
    }

    pub fn deserialize<'de, T: TryFrom<u128>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let bits = u128::from_str_radix(&text, 16).map_err(de::Error::custom)?;
        T::try_from(bits).map_err(|_| de::Error::custom("has too many digits"))
    }
}

/// Bytes as a text.
mod base64_text {
    use std::borrow::Cow;

    use base64::{Engine, prelude::BASE64_STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        BASE64_STANDARD.decode(&*text).map_err(de::Error::custom)
    }
}

/// A fingerprint as hex digits. In JSON elsewhere it is a number.
mod fingerprint {
    use std::borrow::Cow;

    use jobtracker_model::Fingerprint;
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    pub fn serialize<S: Serializer>(
        fingerprint: &Fingerprint,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let number = serde_json::to_string(fingerprint).map_err(ser::Error::custom)?;
        let number: u128 = number.parse().map_err(ser::Error::custom)?;
        serializer.collect_str(&format_args!("{number:032x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Fingerprint, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let number = u128::from_str_radix(&text, 16).map_err(de::Error::custom)?;
        serde_json::from_str(&number.to_string()).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
