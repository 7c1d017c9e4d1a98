//! Reads the engine's journal files without the engine: which batches in them are whole.
//!
//! The engine itself takes the first byte that it does not know for the end of a journal and cuts
//! the file there, wherever it stands. So the journals are looked at before it may open them.
//!
//! A batch is `1, items: u32, seqno: u64`, then the items, then `3, checksum: u64, "FJL", 3`. An
//! item is `2, kind, compression, keyspace: u64, key: u16, value: u32, stored: u32`, the key and
//! the value; or `4, keyspace: u64`. Numbers are little-endian. The checksum is xxh3 of the items.

use std::io::{self, ErrorKind, Read};

use xxhash_rust::xxh3::Xxh3Default;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const MAGIC: [u8; 4] = *b"FJL\x03";
/// The end of a batch: tag, checksum, magic.
const END_LEN: u64 = 13;

/// A whole batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Its place in the order of all batches.
    pub seqno: u64,
    /// How many bytes it takes.
    pub bytes: u64,
}

/// Reads one batch from where a reader stands, with `left` bytes to the end of the file.
/// `None`: there is no whole batch here.
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

/// Looks for a whole batch anywhere in some bytes. Answers its place.
pub fn find_batch(bytes: &[u8]) -> io::Result<Option<usize>> {
    let mut scratch = Vec::new();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == START) {
        let mut rest = &bytes[at..];
        let left = rest.len() as u64;
        if read_batch(&mut rest, left, &mut scratch)?.is_some() {
            return Ok(Some(at));
        }
    }
    Ok(None)
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
        for _ in 0..items {
            if !self.item()? {
                return Ok(None);
            }
            checksum.update(self.scratch);
        }
        let end: [u8; END_LEN as usize] = self.array()?;
        let whole =
            end[0] == END && end[1..9] == checksum.digest().to_le_bytes() && end[9..] == MAGIC;
        Ok(whole.then_some(Batch { seqno, bytes: before - self.left }))
    }

    /// Reads one item into the scratch buffer; false when there is none.
    fn item(&mut self) -> io::Result<bool> {
        let tag = self.byte()?;
        self.scratch.clear();
        self.scratch.push(tag);
        match tag {
            CLEAR => {
                self.more(8)?;
                Ok(true)
            }
            ITEM => {
                self.more(20)?;
                let number = |at: usize, len: usize| {
                    let bytes = &self.scratch[at..at + len];
                    bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
                };
                let (key, stored) = (number(11, 2), number(17, 4));
                self.more(key + stored)?;
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
        let mut bytes = vec![START];
        bytes.extend_from_slice(&u32::try_from(items.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(&seqno.to_le_bytes());
        let mut checksum = Xxh3Default::new();
        for value in items {
            let mut item = vec![ITEM, 0, 0];
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
            let mut flipped = whole.clone();
            flipped[at] ^= 0x40;
            // The number of a batch is in no checksum; the engine has none for it either.
            let found = read(&flipped);
            assert!(found.is_none() || (5..13).contains(&at), "flipped at {at}");
        }
    }

    #[test]
    fn a_batch_is_found_behind_damage() {
        let (first, second) = (batch(9, &[b"\x01\x01\x01"]), batch(10, &[b"two"]));
        let bytes = [&first[3..], &second, &[0; 9]].concat();
        assert_eq!(find_batch(&bytes).unwrap(), Some(first.len() - 3));
        assert_eq!(find_batch(&first[3..]).unwrap(), None);
    }
}
