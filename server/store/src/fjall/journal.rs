//! Reads the engine's journal files without the engine: which batches in them are whole.
//!
//! The engine itself takes the first byte that it does not know for the end of a journal and cuts
//! the file there, wherever it stands. So the journals are checked before it may open them.
//!
//! A batch is `1, items: u32, seqno: u64`, then the items, then `3, checksum: u64, "FJL", 3`. An
//! item is `2, kind, compression, keyspace: u64, key: u16, value: u32, stored: u32`, the key and
//! the value; or `4, keyspace: u64`. Numbers are little-endian. The checksum is xxh3 of the items.
//! That is the layout of the version of the engine that this program is built with and no other;
//! `Cargo.toml` names it exactly.

use std::io::{self, ErrorKind, Read};

use xxhash_rust::xxh3::Xxh3Default;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
/// With the number of the layout at its end.
const MAGIC: [u8; 4] = *b"FJL\x03";
/// Kinds of items that the engine replays: values and two sorts of removals.
const KINDS: std::ops::RangeInclusive<u8> = 0..=2;
/// Values are not compressed: the engine is built without it.
const NO_COMPRESSION: u8 = 0;
/// The begin of a batch: tag, items, seqno.
const START_LEN: usize = 13;
/// An item without its key and its value.
const ITEM_LEN: usize = 21;
const CLEAR_LEN: usize = 9;
/// The end of a batch: tag, checksum, magic.
const END_LEN: usize = 13;
/// No batch is shorter.
const SHORTEST: usize = START_LEN + CLEAR_LEN + END_LEN;
/// Numbers that may be missing between batches. The engine takes one for each batch and one for
/// each write buffer that becomes a table and each merge of tables. Those need full buffers, and
/// that many bytes in the journal, so they are few compared to the batches that would fit; this is
/// for what goes on while no batch comes.
const MISSING: u64 = 1024;

/// A whole batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Its number in the order of all batches.
    pub seqno: u64,
    /// How many bytes it takes.
    pub bytes: u64,
}

/// Reads one batch from the reader's position, with `left` bytes to the end of the file. `None`:
/// there is no whole batch here.
///
/// # Errors
/// Besides failing reads, [`ErrorKind::Unsupported`]: the batch is whole, and the engine would not
/// understand it. It would cut the journal off there.
pub fn read_batch(
    reader: &mut impl Read,
    left: u64,
    scratch: &mut Vec<u8>,
) -> io::Result<Option<Batch>> {
    let mut parser = Parser { reader, left, scratch };
    match parser.batch() {
        Ok(batch) => Ok(batch),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Searches for a whole batch in the bytes behind the batch `last`. Answers its position.
///
/// Rows have texts that any client may have written, and a text can look like a batch. Only where
/// the bytes begin there has to be one; anywhere else a batch has to have a number that it can have
/// at this position, and lengths that lead to its end, before any more of it is read.
pub fn find_batch(bytes: &[u8], last: Option<u64>) -> io::Result<Option<usize>> {
    // With no batch before it, the damaged one may still tell its number. If that is gone too, any
    // number may be right: a store that stays closed is better than one that loses batches.
    let last = last.or_else(|| Some(Head::read(bytes)?.seqno));
    let mut scratch = Vec::new();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == START) {
        let mut rest = &bytes[at..];
        let may_be = |head: Head| (at == 0 || head.may_follow(last, at)) && head.leads_to_end(rest);
        if !Head::read(rest).is_some_and(may_be) {
            continue;
        }
        let left = rest.len() as u64;
        if read_batch(&mut rest, left, &mut scratch)?.is_some() {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// The begin of a batch.
struct Head {
    items: u64,
    seqno: u64,
}

impl Head {
    /// Reads the head where an item follows it.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<START_LEN>()?;
        let is_head = head[0] == START && matches!(rest.first(), Some(&(ITEM | CLEAR)));
        is_head.then(|| Self { items: number(&head[1..5]), seqno: number(&head[5..]) })
    }

    /// Whether its number is possible `distance` bytes behind the batch `last`.
    fn may_follow(&self, last: Option<u64>, distance: usize) -> bool {
        let Some(last) = last else { return true };
        let highest = last.saturating_add((distance / SHORTEST) as u64).saturating_add(MISSING);
        last < self.seqno && self.seqno <= highest
    }

    /// Whether the lengths of its items lead to the end of a batch. Reads nothing else, so that a
    /// length costs no time either.
    fn leads_to_end(&self, batch: &[u8]) -> bool {
        let mut rest = &batch[START_LEN..];
        if self.items > (rest.len() / CLEAR_LEN) as u64 {
            return false;
        }
        for _ in 0..self.items {
            let len = match rest {
                [CLEAR, ..] => CLEAR_LEN as u64,
                [ITEM, ..] if rest.len() >= ITEM_LEN => ITEM_LEN as u64 + payload_len(rest),
                _ => return false,
            };
            let behind = usize::try_from(len).ok().and_then(|len| rest.get(len..));
            let Some(behind) = behind else { return false };
            rest = behind;
        }
        rest.len() >= END_LEN && rest[0] == END && rest[9..12] == MAGIC[..3]
    }
}

/// How long an item's key and value are.
fn payload_len(item: &[u8]) -> u64 {
    number(&item[11..13]) + number(&item[17..ITEM_LEN])
}

/// Whether the engine can replay an item.
fn is_known(item: &[u8]) -> bool {
    item[0] == CLEAR || (KINDS.contains(&item[1]) && item[2] == NO_COMPRESSION)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

struct Parser<'a, R> {
    reader: &'a mut R,
    left: u64,
    scratch: &'a mut Vec<u8>,
}

impl<R: Read> Parser<'_, R> {
    fn batch(&mut self) -> io::Result<Option<Batch>> {
        let before = self.left;
        if self.byte()? != START {
            return Ok(None);
        }
        let items = u32::from_le_bytes(self.array()?);
        let seqno = u64::from_le_bytes(self.array()?);
        let mut checksum = Xxh3Default::new();
        let mut known = true;
        for _ in 0..items {
            if !self.item()? {
                return Ok(None);
            }
            checksum.update(self.scratch);
            known &= is_known(self.scratch);
        }
        let end: [u8; END_LEN] = self.array()?;
        let (tag, magic) = (end[0], &end[9..]);
        if tag != END || end[1..9] != checksum.digest().to_le_bytes() {
            return Ok(None);
        }
        // The last byte of a torn end is one that was never written.
        known &= magic[..3] != MAGIC[..3] || [MAGIC[3], 0].contains(&magic[3]);
        if !known {
            let what = "a batch has a layout that this version does not know; start the version \
                        that wrote it";
            return Err(io::Error::new(ErrorKind::Unsupported, what));
        }
        Ok((magic == MAGIC).then_some(Batch { seqno, bytes: before - self.left }))
    }

    /// Reads one item into the scratch buffer; false when there is none.
    fn item(&mut self) -> io::Result<bool> {
        let tag = self.byte()?;
        self.scratch.clear();
        self.scratch.push(tag);
        match tag {
            CLEAR => {
                self.more(CLEAR_LEN as u64 - 1)?;
                Ok(true)
            }
            ITEM => {
                self.more(ITEM_LEN as u64 - 1)?;
                self.more(payload_len(self.scratch))?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn more(&mut self, bytes: u64) -> io::Result<()> {
        self.take(bytes)?;
        // It is inside the file, so it is inside memory too.
        let begin = self.scratch.len();
        self.scratch.resize(begin + usize::try_from(bytes).unwrap_or(usize::MAX), 0);
        self.reader.read_exact(&mut self.scratch[begin..])
    }

    fn byte(&mut self) -> io::Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        self.take(N as u64)?;
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Counts bytes before they are read, so that a damaged length costs no memory.
    fn take(&mut self, bytes: u64) -> io::Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or(ErrorKind::UnexpectedEof)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(seqno: u64, items: &[&[u8]]) -> Vec<u8> {
        batch_of([0, 0], seqno, items)
    }

    fn batch_of([kind, compression]: [u8; 2], seqno: u64, items: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![START];
        bytes.extend_from_slice(&u32::try_from(items.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(&seqno.to_le_bytes());
        let mut checksum = Xxh3Default::new();
        for value in items {
            let mut item = vec![ITEM, kind, compression];
            item.extend_from_slice(&7_u64.to_le_bytes());
            item.extend_from_slice(&3_u16.to_le_bytes());
            let len = u32::try_from(value.len()).unwrap().to_le_bytes();
            item.extend_from_slice(&len);
            item.extend_from_slice(&len);
            item.extend_from_slice(b"key");
            item.extend_from_slice(value);
            checksum.update(&item);
            bytes.extend_from_slice(&item);
        }
        bytes.push(END);
        bytes.extend_from_slice(&checksum.digest().to_le_bytes());
        bytes.extend_from_slice(&MAGIC);
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Batch> {
        read_batch(&mut &*bytes, bytes.len() as u64, &mut Vec::new()).unwrap()
    }

    #[test]
    fn any_missing_or_changed_byte_spoils_a_batch() {
        let whole = batch(9, &[b"one", b"", b"three"]);
        let bytes = whole.len() as u64;
        assert_eq!(read(&whole), Some(Batch { seqno: 9, bytes }));
        assert_eq!(read(&[&*whole, b"more"].concat()), Some(Batch { seqno: 9, bytes }));
        for at in 0..whole.len() {
            assert_eq!(read(&whole[..at]), None, "cut at {at}");
            let zeros = [&whole[..at], &vec![0; whole.len() - at]].concat();
            assert_eq!(read(&zeros), None, "zeros from {at}");
        }
        // The last byte is the number of the layout.
        for at in 0..whole.len() - 1 {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x40;
            // The number of a batch is in no checksum; the engine has none for it either.
            let found = read(&flipped);
            assert!(found.is_none() || (5..13).contains(&at), "flipped at {at}");
        }
    }

    /// The engine would take each of them for the end of the journal.
    #[test]
    fn a_whole_batch_in_another_layout_is_an_error() {
        let mut next = batch(9, &[b"one"]);
        *next.last_mut().unwrap() += 1;
        let others = [[3, 0], [4, 0], [0, 1]].map(|other| batch_of(other, 9, &[b"one", b"two"]));
        for other in others.iter().chain([&next]) {
            let found = read_batch(&mut &**other, other.len() as u64, &mut Vec::new());
            assert_eq!(found.unwrap_err().kind(), ErrorKind::Unsupported);
            assert!(find_batch(&[&[0; 5], &**other].concat(), Some(8)).is_err());
        }
        for kind in [1, 2] {
            assert!(read(&batch_of([kind, 0], 9, &[b"one"])).is_some());
        }
    }

    #[test]
    fn a_batch_is_found_behind_damage() {
        let (first, second) = (batch(9, &[b"\x01\x01\x01"]), batch(10, &[b"two"]));
        let bytes = [&first[3..], &second, &[0; 9]].concat();
        assert_eq!(find_batch(&bytes, Some(8)).unwrap(), Some(first.len() - 3));
        assert_eq!(find_batch(&first[3..], Some(8)).unwrap(), None);
    }

    #[test]
    fn a_batch_is_found_behind_damage_to_many() {
        let mut damaged: Vec<u8> = (9..5009).flat_map(|seqno| batch(seqno, &[b"one"])).collect();
        damaged.iter_mut().step_by(7).for_each(|byte| *byte = 0xff);
        let bytes = [&*damaged, &batch(5009 + MISSING, &[b"two"])].concat();
        assert_eq!(find_batch(&bytes, Some(8)).unwrap(), Some(damaged.len()));
    }

    /// Where the bytes begin, no text can be.
    #[test]
    fn a_batch_with_a_wrong_number_is_found_where_one_has_to_be() {
        for seqno in [0, 8, u64::MAX] {
            assert_eq!(find_batch(&batch(seqno, &[b"one"]), Some(8)).unwrap(), Some(0));
        }
    }

    #[test]
    fn a_text_that_looks_like_a_batch_is_none() {
        for seqno in [0, 5, 8, 9 + 2 * MISSING, u64::MAX] {
            let whole = batch(9, &[b"before", &batch(seqno, &[b"text"]), b"behind"]);
            let torn = &whole[..whole.len() - 1];
            assert_eq!(find_batch(torn, Some(8)).unwrap(), None, "{seqno}");
            // The first batch of all tells its number itself, if it still can.
            assert_eq!(find_batch(torn, None).unwrap(), None, "{seqno}");
            let beheaded = [&[0; START_LEN], &torn[START_LEN..]].concat();
            assert_eq!(find_batch(&beheaded, Some(8)).unwrap(), None, "{seqno}");
            assert!(find_batch(&beheaded, None).unwrap().is_some(), "{seqno}");
        }
    }

    /// Each of them promises an item that takes half of the bytes; to read them all would take
    /// hours.
    #[test]
    fn begins_of_long_batches_are_not_read_to_their_ends() {
        let (count, value) = (500_000_usize, 8_000_000_u32.to_le_bytes());
        let mut begin = batch(9, &[b""]);
        begin.truncate(START_LEN + ITEM_LEN);
        begin[START_LEN + 13..][..4].copy_from_slice(&value);
        begin[START_LEN + 17..][..4].copy_from_slice(&value);
        assert_eq!(find_batch(&begin.repeat(count), Some(8)).unwrap(), None);
    }
}
