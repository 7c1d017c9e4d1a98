//! One entry of a tree's log: the rows of one commit.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    io::Read,
    sync::Arc,
};

use jobtracker_model::{
    Change, Definition, JobId, LogLine, Repeat, Timestamp, rollup::Status, upload::UploadId,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Error, FollowUp, FollowUpKey, Origin, RepeatRow, Result, Row, StageId, Tombstone,
    TreeResultRow, Version, coding,
};

/// The format of a body that is packed by zstd; without it the body is as `coding` has it, whose
/// formats count from 1. A body goes through a condition, and each copy writes it three times then.
const PACKED: u8 = u8::MAX;
/// Bodies that are not worth packing.
const SMALL: usize = 256;
/// No commit is larger than this before it is packed.
const LARGEST: usize = 1 << 30;

/// The stored body of a commit. The format is that of `coding`, and never changes.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    publishes: Option<u64>,
    /// The rows, each with the stage of its job.
    rows: Vec<(i64, Row)>,
}

/// One entry of a tree's log.
#[derive(Debug)]
pub struct Redo {
    /// The version that it makes.
    pub version: Version,
    /// Its name.
    pub cid: Uuid,
    /// When it was made, in microseconds, by the clock of the server.
    pub stamp: i64,
    /// Whether its body is in the table of parts.
    pub parted: bool,
    /// The size of its body before it was packed.
    pub bytes: usize,
    /// The stage that it publishes.
    pub publishes: Option<StageId>,
    /// Its rows, each with the stage of its job.
    pub rows: Vec<(i64, Row)>,
    by_job: HashMap<JobId, Vec<u32>>,
    children: BTreeSet<(JobId, JobId)>,
}

/// A job that an entry creates.
#[derive(Debug, Clone, Copy)]
pub struct Born {
    pub origin: Origin,
    pub stage: i64,
}

/// Everything but the rows that an entry is known by.
#[derive(Debug, Clone, Copy)]
pub struct Name {
    pub version: Version,
    pub cid: Uuid,
    pub stamp: i64,
    pub parted: bool,
}

fn pack(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut packed = vec![PACKED];
    zstd::stream::copy_encode(bytes, &mut packed, 1)
        .map_err(|error| Error::Unavailable(format!("a log cannot be packed: {error}")))?;
    Ok(packed)
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>> {
    let corrupt = |error| Error::Corrupt(format!("a packed log cannot be read: {error}"));
    let decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(corrupt)?;
    let mut bytes = Vec::new();
    decoder.take(LARGEST as u64).read_to_end(&mut bytes).map_err(corrupt)?;
    Ok(bytes)
}

impl Redo {
    /// The entry for these rows, and how they are written.
    pub fn new(
        name: Name,
        publishes: Option<StageId>,
        rows: Vec<(i64, Row)>,
    ) -> Result<(Self, Vec<u8>)> {
        let body = Body { publishes: publishes.map(|stage| stage.0), rows };
        let mut bytes = Vec::new();
        coding::encode(&body, &mut bytes)?;
        if bytes.len() > LARGEST {
            let what = format!("a commit of one tree has {} bytes", bytes.len());
            return Err(Error::Unavailable(format!("{what}; the limit is {LARGEST}")));
        }
        let redo = Self::of(name, body, bytes.len());
        if bytes.len() > SMALL {
            bytes = pack(&bytes)?;
        }
        Ok((redo, bytes))
    }

    /// The entry that was written so.
    pub fn read(name: Name, bytes: &[u8]) -> Result<Self> {
        let rows = match bytes {
            [PACKED, packed @ ..] => Cow::Owned(unpack(packed)?),
            _ => Cow::Borrowed(bytes),
        };
        Ok(Self::of(name, coding::decode("log of a tree", &rows)?, rows.len()))
    }

    fn of(name: Name, body: Body, bytes: usize) -> Self {
        let Name { version, cid, stamp, parted } = name;
        let Body { publishes, rows } = body;
        let publishes = publishes.map(StageId);
        let mut by_job: HashMap<JobId, Vec<u32>> = HashMap::new();
        let mut children = BTreeSet::new();
        for (index, (_, row)) in rows.iter().enumerate() {
            if let Some(id) = row.job() {
                by_job.entry(id).or_default().push(index as u32);
            }
            if let Row::Job { id, origin, .. } = row
                && let Some(parent) = origin.parent
            {
                children.insert((parent, *id));
            }
        }
        Self { version, cid, stamp, parted, bytes, publishes, rows, by_job, children }
    }

    /// The same entry with its body elsewhere.
    pub fn parted(self) -> Self {
        Self { parted: true, ..self }
    }

    fn of_job(&self, id: JobId) -> impl Iterator<Item = &(i64, Row)> {
        self.by_job.get(&id).into_iter().flatten().map(|index| &self.rows[*index as usize])
    }

    /// What is kept of the tree, and when its root was created, if this deletes it.
    pub fn deletion(&self) -> Option<(&Tombstone, Timestamp)> {
        match self.rows.first() {
            Some((_, Row::Deleted { tombstone, created, .. })) => Some((tombstone, *created)),
            _ => None,
        }
    }

    /// The jobs that it creates.
    pub fn all_born(&self) -> impl Iterator<Item = (JobId, Born)> {
        self.rows.iter().filter_map(|(stage, row)| match row {
            Row::Job { id, origin, .. } => Some((*id, Born { origin: *origin, stage: *stage })),
            _ => None,
        })
    }

    /// The job, if this creates it.
    pub fn born(&self, id: JobId) -> Option<Born> {
        self.of_job(id).find_map(|(stage, row)| match row {
            Row::Job { origin, .. } => Some(Born { origin: *origin, stage: *stage }),
            _ => None,
        })
    }

    /// The new children of a job behind one of them, by id.
    pub fn children(&self, parent: JobId, after: Option<JobId>) -> impl Iterator<Item = JobId> {
        use std::ops::Bound::{Excluded, Included};

        let first = after.map_or(Included((parent, JobId::MIN)), |after| Excluded((parent, after)));
        self.children.range((first, Included((parent, JobId::MAX)))).map(|(_, id)| *id)
    }

    /// The status that it gives to a job.
    pub fn status(&self, id: JobId) -> Option<&Status> {
        self.of_job(id).find_map(|(_, row)| match row {
            Row::Status { status, .. } => Some(status),
            _ => None,
        })
    }

    /// The definition that it gives to a job.
    pub fn definition(&self, id: JobId) -> Option<&Arc<Definition>> {
        self.of_job(id).find_map(|(_, row)| match row {
            Row::Job { definition, .. } | Row::Definition { definition, .. } => Some(definition),
            _ => None,
        })
    }

    /// The changes that it adds to a job, in order.
    pub fn changes(&self, id: JobId) -> Vec<(u32, &Change)> {
        let mut found: Vec<_> = self
            .of_job(id)
            .filter_map(|(_, row)| match row {
                Row::Change { number, change, .. } => Some((*number, change)),
                _ => None,
            })
            .collect();
        found.sort_unstable_by_key(|(number, _)| *number);
        found
    }

    /// The lines that it adds to a job's log, in order.
    pub fn lines(&self, id: JobId) -> Vec<&LogLine> {
        let mut found: Vec<_> = self
            .of_job(id)
            .filter_map(|(_, row)| match row {
                Row::LogLine { line, .. } => Some(line),
                _ => None,
            })
            .collect();
        found.sort_unstable_by_key(|line| line.line);
        found
    }

    /// The result of a repeatable append in it.
    pub fn repeat(&self, id: JobId, key: &Repeat) -> Option<RepeatRow> {
        self.of_job(id).find_map(|(_, row)| match row {
            Row::Repeat { key: found, row, .. } if found == key => Some(*row),
            _ => None,
        })
    }

    /// The repeatable appends to a job.
    pub fn repeats(&self, id: JobId) -> impl Iterator<Item = (&Repeat, RepeatRow)> {
        self.of_job(id).filter_map(|(_, row)| match row {
            Row::Repeat { key, row, .. } => Some((key, *row)),
            _ => None,
        })
    }

    /// The changed attachments of a job: key and text, `None` where one is removed.
    pub fn attachments(&self, id: JobId) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.of_job(id).filter_map(|(_, row)| match row {
            Row::Attachment { key, text, .. } => Some((key.as_str(), text.as_deref())),
            _ => None,
        })
    }

    /// The follow-ups of a job that it adds or changes.
    pub fn follow_ups(&self, id: JobId) -> impl Iterator<Item = (FollowUpKey, &FollowUp)> {
        self.of_job(id).filter_map(|(_, row)| match row {
            Row::FollowUp { key, row, .. } => Some((*key, row)),
            _ => None,
        })
    }

    /// The result that it gives on its tree in an upload.
    pub fn tree_result(&self, commit: &UploadId) -> Option<&TreeResultRow> {
        self.rows.iter().find_map(|(_, row)| match row {
            Row::TreeResult { commit: found, row } if found == commit => Some(row),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(line: u32) -> (i64, Row) {
        let (time, text) = (Timestamp::from_millis(7).unwrap(), "the same again".to_owned());
        (0, Row::LogLine { id: JobId::MIN, line: LogLine { line, time, attempt: None, text } })
    }

    #[test]
    fn a_body_is_read_as_it_was_written() {
        let name = Name { version: 3, cid: Uuid::nil(), stamp: 5, parted: false };
        for count in [0, 1, 1_000] {
            let rows: Vec<_> = (0..count).map(line).collect();
            let (made, body) = Redo::new(name, Some(StageId(4)), rows.clone()).unwrap();
            let read = Redo::read(name, &body).unwrap();
            assert_eq!((&made.rows, &read.rows), (&rows, &rows));
            assert_eq!(made.bytes, read.bytes);
            assert_eq!((made.publishes, read.publishes), (Some(StageId(4)), Some(StageId(4))));
            assert!(body.len() < 256 + made.bytes / 20, "{count} lines take {}", body.len());
            let torn = Redo::read(name, &body[..body.len() - 1]);
            assert!(matches!(torn, Err(Error::Corrupt(_))), "{torn:?}");
        }
    }
}
