use std::borrow::Cow;

use jobtracker_model::{
    Action, Change, Definition, JobId, JobNode, NewCheck, Timestamp, upload::UploadId,
};
use serde::{Deserialize, Serialize};

use crate::budget::Cost;

/// The entries of a journal; those of each tree are in the order of recording.
///
/// Journals that older versions have left are read too: the order of variants and fields never
/// changes, and new ones come last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Entry<'a> {
    /// Jobs that the service has, the lowest first, as they were loaded.
    Base { path: Cow<'a, [JobNode]> },
    /// A job was created.
    Created {
        id: JobId,
        parent: Option<JobId>,
        order: u64,
        time: Timestamp,
        definition: Cow<'a, Definition>,
    },
    /// A job's state was reported.
    Changed { id: JobId, order: u64, change: Cow<'a, Change> },
    /// A job's options were replaced.
    Options { id: JobId, options: Option<Cow<'a, str>> },
    /// Lines were appended to a job's log.
    Lines { id: JobId, time: Timestamp, lines: Cow<'a, [String]> },
    /// The entries of a tree so far that are in no other upload are in this one.
    Sealed { upload: Cow<'a, UploadId>, root: JobId },
    /// The upload has an outcome.
    Acknowledged { upload: Cow<'a, UploadId> },
    /// A job with actions or checks was created.
    CreatedFollowed {
        id: JobId,
        parent: Option<JobId>,
        order: u64,
        time: Timestamp,
        definition: Cow<'a, Definition>,
        actions: Cow<'a, [Action]>,
        checks: Cow<'a, [NewCheck]>,
    },
    /// The upload has an outcome, and of its trees only these, which were refused, are still here.
    Refused { upload: Cow<'a, UploadId>, roots: Cow<'a, [JobId]> },
    /// A part of a tree that was refused, of the stream in which it is sent.
    Kept {
        upload: Cow<'a, UploadId>,
        root: JobId,
        /// The cost of the tree in a buffer.
        cost: Cost,
        part: Cow<'a, [u8]>,
        is_last: bool,
    },
}

/// How many kinds of entries there are; each begins with its number, in one byte.
pub(crate) const KINDS: u8 = 10;
/// The last version of the format that knew only the kinds before [`Entry::Refused`], and the one
/// that knows all.
pub(crate) const FIRST: u8 = 1;
pub(crate) const SECOND: u8 = 2;
/// The size of the parts in which a tree is kept.
const PART: usize = 1024 * 1024;
/// Before each entry: its length and its checksum.
pub(crate) const FRAME: usize = size_of::<u32>() + size_of::<u64>();
/// Longer than every entry: the longest has a thousand lines of a log.
const LONGEST: usize = 64 * 1024 * 1024;

impl Entry<'_> {
    /// The first version of the format that knows this kind.
    pub fn version(&self) -> u8 {
        if matches!(self, Self::Refused { .. } | Self::Kept { .. }) { SECOND } else { FIRST }
    }

    /// Appends the entry.
    pub fn write(&self, bytes: Vec<u8>) -> Vec<u8> {
        let begin = bytes.len();
        let mut bytes = bytes;
        bytes.resize(begin + FRAME, 0);
        let mut bytes = postcard::to_extend(self, bytes).expect("a Vec takes everything");
        let (head, body) = bytes[begin..].split_at_mut(FRAME);
        let length = u32::try_from(body.len()).expect("entries are short");
        head[..4].copy_from_slice(&length.to_le_bytes());
        head[4..].copy_from_slice(&xxhash_rust::xxh3::xxh3_64(body).to_le_bytes());
        bytes
    }
}

/// Appends a tree that was refused, from the stream in which it is sent.
pub(crate) fn write_kept(
    upload: &UploadId,
    root: JobId,
    cost: Cost,
    stream: &[u8],
    bytes: Vec<u8>,
) -> Vec<u8> {
    let (mut bytes, mut parts) = (bytes, stream.chunks(PART).peekable());
    while let Some(part) = parts.next() {
        let (upload, part) = (Cow::Borrowed(upload), Cow::Borrowed(part));
        let is_last = parts.peek().is_none();
        bytes = Entry::Kept { upload, root, cost, part, is_last }.write(bytes);
    }
    bytes
}

/// The length and the checksum in a frame, if they can be right.
pub(crate) fn frame(head: [u8; FRAME]) -> Option<(usize, u64)> {
    let [a, b, c, d, sum @ ..] = head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    (1..=LONGEST).contains(&length).then_some((length, u64::from_le_bytes(sum)))
}
