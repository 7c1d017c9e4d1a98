use std::{
    fs::File,
    io::{self, ErrorKind, Read, Seek, SeekFrom},
};

use super::entry::{FRAME, KINDS, frame};

/// Bytes that are searched at once.
const WINDOW: u64 = 1024 * 1024;
/// Bytes that are compared with checksums before it is given up: what could be a frame is one, or
/// chance, and chance is rare.
const COMPARED: u64 = 4 * 1024 * 1024 * 1024;

/// Where the next whole entry begins behind a position where none does. None: the bytes there were
/// not written to their end.
///
/// # Errors
/// It cannot be read, or too much of it looks like entries without being valid ones.
pub(super) fn next_whole(mut file: &File, from: u64) -> io::Result<Option<u64>> {
    let length = file.metadata()?.len();
    let (mut at, mut window) = (from + 1, Vec::new());
    let mut left = COMPARED;
    while at + (FRAME as u64) < length {
        window.resize(WINDOW.min(length - at) as usize, 0);
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut window)?;
        for (offset, head) in window.windows(FRAME + 1).enumerate() {
            let begin = at + offset as u64;
            if could_be(head, length - begin) && is_whole(file, begin, &mut left)? {
                return Ok(Some(begin));
            }
        }
        at += (window.len() - FRAME) as u64;
    }
    Ok(None)
}

/// Whether these can be a frame and the kind of an entry.
fn could_be(head: &[u8], room: u64) -> bool {
    let Some((head, [kind])) = head.split_first_chunk() else { return false };
    let Some((length, _)) = frame(*head) else { return false };
    *kind < KINDS && (FRAME + length) as u64 <= room
}

fn is_whole(mut file: &File, begin: u64, left: &mut u64) -> io::Result<bool> {
    let mut head = [0; FRAME];
    file.seek(SeekFrom::Start(begin))?;
    file.read_exact(&mut head)?;
    let Some((length, checksum)) = frame(head) else { return Ok(false) };
    *left = left.checked_sub(length as u64).ok_or_else(|| {
        io::Error::new(ErrorKind::InvalidData, "it is damaged, and cannot be searched for more")
    })?;
    let mut body = vec![0; length];
    file.read_exact(&mut body)?;
    Ok(xxhash_rust::xxh3::xxh3_64(&body) == checksum)
}
