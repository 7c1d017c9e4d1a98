use xxhash_rust::xxh3::Xxh3Default;

use super::{FOLLOWED_RECORD, LENGTH_BYTES, PREAMBLE, Record, most_bytes};

/// Reads a stream of records as its bytes come in. It holds one record in memory, and the bytes
/// that have come in behind it.
///
/// It checks what can be checked without knowing jobs: the version, lengths, the order of the kinds
/// of records, counts and checksums. After an error there is nothing more to read.
pub struct Reader {
    bytes: Vec<u8>,
    /// Up to where `bytes` have been read.
    read: usize,
    /// Records read so far.
    position: u64,
    place: Expecting,
    hasher: Xxh3Default,
    jobs: u64,
    changes: u64,
    trees: u64,
}

/// A record and its number in the stream; the header is 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its number.
    pub position: u64,
    /// The record.
    pub record: Record<'static>,
}

/// Bytes that are not a stream of records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {position}: {reason}")]
pub struct StreamError {
    /// The number of the record.
    pub position: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expecting {
    Preamble,
    Header,
    BetweenTrees,
    Tree,
    Existing,
    Job,
    End,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            read: 0,
            position: 0,
            place: Expecting::Preamble,
            hasher: Xxh3Default::new(),
            jobs: 0,
            changes: 0,
            trees: 0,
        }
    }
}

impl Reader {
    /// Takes in bytes that follow those before.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.read);
        self.read = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next record; none until more bytes have come in.
    ///
    /// # Errors
    /// The bytes are not a stream as the format says.
    pub fn next_item(&mut self) -> Result<Option<Item>, StreamError> {
        if self.place == Expecting::Preamble && !self.preamble()? {
            return Ok(None);
        }
        let Some((header, length)) = self.length()? else { return Ok(None) };
        let begin = self.read + header;
        let Some(bytes) = self.bytes.get(begin..begin + length) else { return Ok(None) };
        let record = match postcard::take_from_bytes::<Record<'static>>(bytes) {
            Ok((record, [])) => record,
            Ok((_, rest)) => {
                let reason = format!("is {} bytes shorter than its length says", rest.len());
                return Err(self.wrong(reason));
            }
            Err(error) => return Err(self.wrong(format!("cannot be read: {error}"))),
        };
        let whole = self.read..begin + length;
        self.enter(&record, whole.clone())?;
        self.read = whole.end;
        let position = self.position;
        self.position += 1;
        Ok(Some(Item { position, record }))
    }

    /// Checks that the stream has come to its end.
    ///
    /// # Errors
    /// It broke off.
    pub fn finish(&self) -> Result<(), StreamError> {
        if self.place == Expecting::End && self.read == self.bytes.len() {
            return Ok(());
        }
        Err(self.wrong("is missing: the stream broke off before its end"))
    }

    /// How many records have been read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    fn preamble(&mut self) -> Result<bool, StreamError> {
        let known = self.bytes.len().min(PREAMBLE.len());
        if self.bytes[..known] != PREAMBLE[..known] {
            let name = PREAMBLE.len() - 1;
            return Err(self.wrong(match self.bytes.get(name) {
                Some(version) if self.bytes[..name] == PREAMBLE[..name] => {
                    format!("the stream has version {version}; the service takes version 1")
                }
                _ => "the stream does not begin with JOBTREES".into(),
            }));
        }
        if known < PREAMBLE.len() {
            return Ok(false);
        }
        self.read = PREAMBLE.len();
        self.place = Expecting::Header;
        Ok(true)
    }

    /// The length of the next record, and how many bytes it takes itself.
    fn length(&self) -> Result<Option<(usize, usize)>, StreamError> {
        let mut length = 0;
        for (index, byte) in self.bytes[self.read..].iter().take(LENGTH_BYTES).enumerate() {
            length |= usize::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                // A length that no kind may have is refused at once, and the rest once the kind has
                // come: the error does not depend on how the bytes are cut into parts.
                let any = (1..=FOLLOWED_RECORD).contains(&length);
                let kind = self.bytes.get(self.read + index + 1).filter(|_| any);
                let max = kind.map_or(FOLLOWED_RECORD, |kind| most_bytes(*kind));
                return if (1..=max).contains(&length) {
                    Ok(Some((index + 1, length)))
                } else {
                    Err(self.wrong(format!("has the length {length}; it must have 1 to {max}")))
                };
            }
        }
        if self.bytes.len() - self.read < LENGTH_BYTES {
            return Ok(None);
        }
        Err(self.wrong("has a length without an end"))
    }

    /// Goes on to the place behind a record, if it may stand here.
    fn enter(
        &mut self,
        record: &Record<'_>,
        bytes: std::ops::Range<usize>,
    ) -> Result<(), StreamError> {
        let next = match (self.place, record) {
            (Expecting::Header, Record::Header { .. }) => Expecting::BetweenTrees,
            (Expecting::BetweenTrees, Record::Tree { .. }) => {
                self.trees += 1;
                (self.jobs, self.changes) = (0, 0);
                self.hasher.reset();
                Expecting::Tree
            }
            (
                Expecting::Tree | Expecting::Existing | Expecting::Job,
                Record::Job { .. } | Record::FollowedJob { .. },
            ) => {
                self.jobs += 1;
                Expecting::Job
            }
            (Expecting::Tree | Expecting::Existing, Record::Existing { .. }) => Expecting::Existing,
            (place @ (Expecting::Existing | Expecting::Job), Record::Change { .. }) => {
                self.changes += 1;
                place
            }
            (
                place @ (Expecting::Existing | Expecting::Job),
                Record::Options { .. } | Record::LogLine { .. },
            ) => place,
            (
                Expecting::Tree | Expecting::Existing | Expecting::Job,
                Record::TreeEnd { jobs, changes, checksum },
            ) => {
                if (*jobs, *changes) != (self.jobs, self.changes) {
                    let (jobs, changes) = (self.jobs, self.changes);
                    let found = format!("{jobs} jobs and {changes} changes have come");
                    return Err(self.wrong(format!("counts otherwise: {found}")));
                }
                if *checksum != self.hasher.digest() {
                    return Err(self.wrong("has another checksum than what has come"));
                }
                Expecting::BetweenTrees
            }
            (Expecting::BetweenTrees, Record::End { trees }) => {
                if *trees != self.trees {
                    return Err(self.wrong(format!("counts otherwise: {} trees", self.trees)));
                }
                Expecting::End
            }
            (Expecting::End, _) => return Err(self.wrong("comes behind the end")),
            _ => return Err(self.wrong("is of a kind that cannot stand here")),
        };
        self.place = next;
        self.hasher.update(&self.bytes[bytes]);
        Ok(())
    }

    fn wrong(&self, reason: impl Into<String>) -> StreamError {
        StreamError { position: self.position, reason: reason.into() }
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("position", &self.position).finish_non_exhaustive()
    }
}
