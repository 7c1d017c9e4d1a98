use xxhash_rust::xxh3::Xxh3Default;

use super::{PREAMBLE, Record, most_bytes};
use crate::FieldError;

/// Writes a stream of records into memory, from where it is taken bit by bit.
///
/// It counts and sums up by itself: [`tree_end`](Self::tree_end) and [`end`](Self::end) write what
/// the reader compares.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
    record: Vec<u8>,
    hasher: Xxh3Default,
    jobs: u64,
    changes: u64,
    trees: u64,
}

impl Writer {
    /// A stream with its begin.
    #[must_use]
    pub fn new(block_updates_after_finish: bool) -> Self {
        let mut writer = Self { bytes: PREAMBLE.to_vec(), ..Self::default() };
        let header = Record::Header { block_updates_after_finish };
        writer.write(&header).expect("a header is short");
        writer
    }

    /// Writes a record within a tree, or the begin of one.
    ///
    /// # Errors
    /// It is longer than a record may be, which no record is whose fields keep their limits.
    pub fn write(&mut self, record: &Record<'_>) -> Result<(), FieldError> {
        match record {
            Record::Tree { .. } => {
                self.hasher.reset();
                (self.jobs, self.changes) = (0, 0);
                self.trees += 1;
            }
            Record::Job { .. } | Record::FollowedJob { .. } => self.jobs += 1,
            Record::Change { .. } => self.changes += 1,
            _ => {}
        }
        let begin = self.bytes.len();
        self.append(record)?;
        self.hasher.update(&self.bytes[begin..]);
        Ok(())
    }

    /// Ends a tree; says what its checksum is.
    pub fn tree_end(&mut self) -> u64 {
        let checksum = self.hasher.digest();
        let end = Record::TreeEnd { jobs: self.jobs, changes: self.changes, checksum };
        self.append(&end).expect("an end is short");
        checksum
    }

    /// Ends the stream.
    pub fn end(&mut self) {
        self.append(&Record::End { trees: self.trees }).expect("an end is short");
    }

    /// How many bytes wait to be taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether no bytes wait to be taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes what has been written since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        let room = Vec::with_capacity(self.bytes.len());
        std::mem::replace(&mut self.bytes, room)
    }

    fn append(&mut self, record: &Record<'_>) -> Result<(), FieldError> {
        let mut bytes = std::mem::take(&mut self.record);
        bytes.clear();
        let bytes = postcard::to_extend(record, bytes)
            .map_err(|error| FieldError::new("record", format!("cannot be written: {error}")))?;
        let most = bytes.first().map_or(0, |kind| most_bytes(*kind));
        if bytes.len() > most {
            let reason = format!("has {} bytes; at most {most}", bytes.len());
            self.record = bytes;
            return Err(FieldError::new("record", reason));
        }
        let mut length = bytes.len();
        while length >= 0x80 {
            self.bytes.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        self.bytes.push(length as u8);
        self.bytes.extend_from_slice(&bytes);
        self.record = bytes;
        Ok(())
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("trees", &self.trees).finish_non_exhaustive()
    }
}
