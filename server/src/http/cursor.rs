use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jobtracker_model::{JobId, ProblemCode, Timestamp};
use jobtracker_store::{DocumentKey, FollowUpKey, IndexKey, RootKey};

use super::problem::{ApiError, Result};
use crate::tasks::QueuePosition;

/// A list that gives out cursors. The number is part of them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum List {
    Changes = 1,
    Children = 2,
    Descendants = 3,
    Blockers = 4,
    Log = 5,
    Roots = 6,
    CommitTrees = 7,
    Deliveries = 8,
    FailedDeliveries = 9,
    Tokens = 10,
    NewestChanges = 11,
    Audit = 12,
    NewestChildren = 13,
    OldestRoots = 14,
    Schedules = 15,
    Queue = 16,
}

/// A position in a list, as bytes of a fixed size.
pub(crate) trait Position: Sized {
    fn write(&self, bytes: &mut Vec<u8>);
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// The begin of the page after this one. It is bound to its list and to `subject`: the job of the
/// list, or its filters.
pub(crate) fn encode(list: List, subject: u64, position: &impl Position) -> String {
    let mut bytes = Vec::with_capacity(40);
    position.write(&mut bytes);
    let check = check(list, subject, &bytes);
    bytes.extend_from_slice(&check);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The position of a cursor, if one is given.
pub(crate) fn decode<P: Position>(
    list: List,
    subject: u64,
    text: Option<&str>,
) -> Result<Option<P>> {
    let Some(text) = text else { return Ok(None) };
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let found = bytes.as_deref().and_then(|bytes| {
        let (position, found) = bytes.split_last_chunk()?;
        (*found == check(list, subject, position)).then(|| P::read(position)).flatten()
    });
    match found {
        Some(position) => Ok(Some(position)),
        None => Err(ApiError::new(ProblemCode::InvalidCursor, "")),
    }
}

/// Distinguishes a cursor of this list from any other text: FNV-1a of all that it is bound to. It
/// prevents mistakes, not forgery, since another position reveals nothing anyway.
fn check(list: List, subject: u64, position: &[u8]) -> [u8; 3] {
    let hash = fnv([list as u8].iter().chain(&subject.to_le_bytes()).chain(position));
    [hash as u8, (hash >> 16) as u8, (hash >> 40) as u8]
}

/// FNV-1a with 64 bits.
pub(crate) fn fnv<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// After this job.
impl Position for JobId {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.get().to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Self::new(u64::from_le_bytes(bytes.try_into().ok()?))
    }
}

/// After this document.
impl Position for DocumentKey {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.as_str().as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Self::new(str::from_utf8(bytes).ok()?).ok()
    }
}

/// From this number on.
impl Position for u32 {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_le_bytes(bytes.try_into().ok()?))
    }
}

/// After this root, in a list with this many roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RootsPosition {
    pub after: RootKey,
    pub total: Total,
}

/// How many roots a list has, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Total {
    /// Counted for the first page, all of them.
    Exact(u64),
    /// Counted for the first page, up to the limit of roots that are read for a count.
    AtLeast(u64),
    /// On the pages so far.
    SoFar(u64),
}

impl Position for RootsPosition {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.after.time.millis().to_le_bytes());
        bytes.extend_from_slice(&self.after.id.get().to_le_bytes());
        let (kind, total) = match self.total {
            Total::AtLeast(total) => (0, total),
            Total::Exact(total) => (1, total),
            Total::SoFar(total) => (2, total),
        };
        bytes.extend_from_slice(&total.to_le_bytes());
        bytes.push(kind);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (time, rest) = bytes.split_first_chunk()?;
        let (id, rest) = rest.split_first_chunk()?;
        let (total, rest) = rest.split_first_chunk()?;
        let time = Timestamp::from_millis(i64::from_le_bytes(*time))?;
        let id = JobId::new(u64::from_le_bytes(*id))?;
        let total = match (rest, u64::from_le_bytes(*total)) {
            ([0], total) => Total::AtLeast(total),
            ([1], total) => Total::Exact(total),
            ([2], total) => Total::SoFar(total),
            _ => return None,
        };
        Some(Self { after: RootKey { time, id }, total })
    }
}

/// After this failed delivery in a part of the list, or at the begin of the part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FailedPosition {
    pub part: u32,
    pub after: Option<IndexKey>,
}

impl Position for FailedPosition {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.part.to_le_bytes());
        if let Some(after) = self.after {
            after.write(bytes);
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (part, rest) = bytes.split_first_chunk()?;
        Some(Self { part: u32::from_le_bytes(*part), after: after(rest)? })
    }
}

impl Position for QueuePosition {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.is_leased.into());
        if let Some(after) = self.after {
            after.write(bytes);
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (is_leased, rest) = bytes.split_first()?;
        Some(Self { is_leased: *is_leased == 1, after: after(rest)? })
    }
}

/// The entry that stands at the end of a position, if one does.
fn after(bytes: &[u8]) -> Option<Option<IndexKey>> {
    if bytes.is_empty() { Some(None) } else { IndexKey::read(bytes).map(Some) }
}

/// After this entry of an index.
impl Position for IndexKey {
    fn write(&self, bytes: &mut Vec<u8>) {
        let (kind, number) = self.key.parts();
        bytes.extend_from_slice(&self.time.millis().to_le_bytes());
        bytes.extend_from_slice(&self.id.get().to_le_bytes());
        bytes.push(kind);
        bytes.extend_from_slice(&number.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (time, rest) = bytes.split_first_chunk()?;
        let (id, rest) = rest.split_first_chunk()?;
        let (kind, number) = rest.split_first()?;
        let time = Timestamp::from_millis(i64::from_le_bytes(*time))?;
        let id = JobId::new(u64::from_le_bytes(*id))?;
        let key = FollowUpKey::of(*kind, u32::from_le_bytes(number.try_into().ok()?))?;
        Some(Self { time, id, key })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list_only() {
        let id = JobId::new(7).unwrap();
        let cursor = encode(List::Children, 1, &id);
        let decode = |list, subject| decode::<JobId>(list, subject, Some(cursor.as_str()));
        assert_eq!(decode(List::Children, 1).unwrap(), Some(id));
        for (list, subject) in [(List::Descendants, 1), (List::Children, 2)] {
            let error = decode(list, subject).unwrap_err();
            assert_eq!(error.code(), ProblemCode::InvalidCursor);
        }
        assert_eq!(super::decode::<JobId>(List::Log, 1, None).unwrap(), None);
    }

    proptest! {
        #[test]
        fn positions_come_back(
            time in 0..Timestamp::MAX.millis(),
            id in 1..=JobId::MAX.get(),
            total: u64,
            kind in 0..3,
            subject: u64,
        ) {
            let time = Timestamp::from_millis(time).unwrap();
            let after = RootKey { time, id: JobId::new(id).unwrap() };
            let kinds = [Total::Exact, Total::AtLeast, Total::SoFar];
            let position = RootsPosition { after, total: kinds[kind as usize](total) };
            let cursor = encode(List::Roots, subject, &position);
            let back = decode::<RootsPosition>(List::Roots, subject, Some(cursor.as_str()));
            prop_assert_eq!(back.unwrap(), Some(position));
        }

        #[test]
        fn other_texts_are_refused(text in ".{0,60}") {
            let found = decode::<RootsPosition>(List::Roots, 0, Some(text.as_str()));
            prop_assert!(found.is_err());
        }
    }
}
