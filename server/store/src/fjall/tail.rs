use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{contents::sync_directory, failure, journal, names::SET_ASIDE};
use crate::{Error, Result};

/// Checks the engine's journals before the engine opens them, and takes off the torn end of the
/// last one, if it has one.
///
/// A batch is acknowledged after it is on the disk, and the next one is written after that. So a
/// power cut can tear only the last batch of all, which was not acknowledged: it goes to
/// `set-aside` and the store opens without it. Damage with a whole batch behind it is something
/// else: acknowledged batches are lost there. Then nothing is touched, and the store stays closed.
///
/// If the last batch is whole it is written once more, and so reaches the disk for certain: after a
/// flush that has failed a file can be read as if it had not, and that holds for later processes
/// too. Batches that come behind it would be lost with it in a power cut.
pub fn look_through(directory: &Path, tables: &Path) -> Result<Vec<Checked>> {
    let damaged = |error: io::Error| failure::unusable(tables, &error);
    let mut torn: Option<Torn> = None;
    let mut last: Option<Whole> = None;
    let mut checked = Vec::new();
    let mut seqno = None;
    for journal in journals(tables).map_err(damaged)? {
        let found =
            scan(&journal, seqno).map_err(|error| failure::unusable(&journal.path, &error))?;
        seqno = found.seqno;
        if let Some(range) = found.last.clone() {
            last = Some(Whole { path: journal.path.clone(), range });
        }
        let end = found.last.map_or(0, |range| range.end);
        checked.push(Checked { path: journal.path.clone(), end });
        if let Some(torn) = &torn
            && found.batches > 0
        {
            return Err(torn.lost(&journal.path, 0));
        }
        let Some(at) = found.damage else { continue };
        let here = Torn { journal, at, seqno };
        let tail = here.read().map_err(damaged)?;
        if let Some(behind) = journal::find_batch(&tail, seqno).map_err(damaged)? {
            return Err(here.lost(&here.journal.path, at + behind as u64));
        }
        if let Some(torn) = torn.replace(here) {
            // Two journals with damage, and nothing whole behind the first: no power cut does that.
            return Err(torn.lost(&torn.journal.path, torn.at));
        }
    }
    torn.map_or(Ok(()), |torn| torn.take_off(directory).map_err(damaged))?;
    last.map_or(Ok(()), |last| last.write_again().map_err(damaged))?;
    // A new journal may have failed before its name was on the disk.
    sync_directory(tables).map_err(damaged)?;
    Ok(checked)
}

/// A journal that can be replayed.
pub struct Checked {
    pub path: PathBuf,
    /// Where its last whole batch ends.
    pub end: u64,
}

struct Journal {
    number: u64,
    path: PathBuf,
}

struct Found {
    batches: u64,
    /// Where the last batch is in this journal.
    last: Option<Range<u64>>,
    /// The number of the last batch, in this journal or before it.
    seqno: Option<u64>,
    /// Where the first bytes are that are no batch, and not just space for later batches.
    damage: Option<u64>,
}

/// A whole batch.
struct Whole {
    path: PathBuf,
    range: Range<u64>,
}

struct Torn {
    journal: Journal,
    at: u64,
    seqno: Option<u64>,
}

/// The journals, oldest first.
fn journals(tables: &Path) -> io::Result<Vec<Journal>> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(tables)? {
        let path = entry?.path();
        let is_journal = path.extension().is_some_and(|extension| extension == "jnl");
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if let Some(number) = stem.filter(|_| is_journal).and_then(|stem| stem.parse().ok()) {
            journals.push(Journal { number, path });
        }
    }
    journals.sort_by_key(|journal| journal.number);
    Ok(journals)
}

/// Reads whole batches as long as their numbers rise. (The number is in no checksum. One that was
/// changed would hide newer rows, or be hidden by older ones.)
fn scan(journal: &Journal, mut seqno: Option<u64>) -> io::Result<Found> {
    let file = File::open(&journal.path)?;
    let len = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(256 * 1024, file);
    let mut scratch = Vec::new();
    let (mut at, mut batches, mut last) = (0, 0, None);
    while let Some(batch) = journal::read_batch(&mut reader, len - at, &mut scratch)? {
        if seqno.is_some_and(|last| batch.seqno <= last) {
            break;
        }
        last = Some(at..at + batch.bytes);
        at += batch.bytes;
        batches += 1;
        seqno = Some(batch.seqno);
    }
    reader.seek(SeekFrom::Start(at))?;
    let empty = is_zero(&mut reader)?;
    Ok(Found { batches, last, seqno, damage: (!empty).then_some(at) })
}

/// The engine preallocates journals; the rest of a file is zeros.
fn is_zero(reader: &mut impl Read) -> io::Result<bool> {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(true),
            read if buffer[..read].iter().any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

impl Whole {
    /// Writes the same bytes again; in place, since it changes nothing.
    fn write_again(&self) -> io::Result<()> {
        let file = File::options().read(true).write(true).open(&self.path)?;
        let len = self.range.end - self.range.start;
        let mut batch = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        file.read_exact_at(&mut batch, self.range.start)?;
        file.write_all_at(&batch, self.range.start)?;
        file.sync_all()
    }
}

impl Torn {
    /// From the damage to the last byte that is not zero.
    fn read(&self) -> io::Result<Vec<u8>> {
        let mut file = File::open(&self.journal.path)?;
        file.seek(SeekFrom::Start(self.at))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        let used = tail.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        tail.truncate(used);
        Ok(tail)
    }

    fn lost(&self, path: &Path, behind: u64) -> Error {
        Error::Corrupt(format!(
            "{} is damaged at byte {}, and there is more data behind it (at byte {behind} of {}), \
             so this is not the end that a power cut leaves; nothing was changed. Restore the data \
             directory from a copy, or look for the cause in the disk first",
            self.journal.path.display(),
            self.at,
            path.display(),
        ))
    }

    /// Keeps a copy of the torn end, then cuts it off.
    fn take_off(&self, directory: &Path) -> io::Result<()> {
        let tail = self.read()?;
        let aside = directory.join(SET_ASIDE);
        fs::create_dir_all(&aside)?;
        let copy = aside.join(format!("{}.jnl-{}.bin", self.journal.number, self.at));
        let mut file = File::create(&copy)?;
        file.write_all(&tail)?;
        file.sync_all()?;
        sync_directory(&aside)?;
        sync_directory(directory)?;
        let file = File::options().write(true).open(&self.journal.path)?;
        file.set_len(self.at)?;
        file.sync_all()?;
        tracing::warn!(
            journal = %self.journal.path.display(),
            offset = self.at,
            bytes = tail.len(),
            set_aside = %copy.display(),
            last_whole_batch = self.seqno,
            "the journal ended in a torn batch, which was set aside; a batch is acknowledged only \
             after all of it is on the disk, so nothing acknowledged is in it"
        );
        Ok(())
    }
}
