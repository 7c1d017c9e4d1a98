//! Journals that end in the middle of a batch, as a power cut leaves them.

use std::{fs, path::Path};

use jobtracker_model::State;
use jobtracker_store::Error;

use crate::{
    disk::{copy, files, garbage, journal, open, overwrite, refused, used},
    forest::{Tree, id},
};

/// Files with some commits in the journal, and the trees of these commits.
struct Written {
    directory: tempfile::TempDir,
    /// The tree without the last commit, and with it.
    before: Tree,
    after: Tree,
    /// Where the last commit is in the journal.
    begin: u64,
    end: u64,
}

async fn written() -> Written {
    written_with(&"some text ".repeat(100)).await
}

/// With a text in the last commit.
async fn written_with(text: &str) -> Written {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("image");
    let origin = directory.path().join("origin");
    let store = open(&origin).unwrap();
    let mut tree = Tree::with_children(1, 2..6);
    tree.commit_to(&store).await.unwrap();
    for child in 2..6 {
        tree.report(id(child), State::Running);
        tree.commit_to(&store).await.unwrap();
    }
    let (before, begin) = (tree.clone(), used(&journal(&origin)));
    for child in 6..9 {
        tree.create(id(child));
    }
    tree.log(text);
    tree.commit_to(&store).await.unwrap();
    copy(&origin, &image);
    Written { directory, before, after: tree, begin, end: used(&journal(&origin)) }
}

impl Written {
    /// Opens a copy whose journal has been spoilt. The last commit may be missing, as a whole;
    /// everything else is there, and the store goes on from it.
    async fn survives(&self, what: &str, spoil: impl FnOnce(&Path)) -> bool {
        let copied = tempfile::tempdir_in(self.directory.path()).unwrap();
        copy(&self.directory.path().join("image"), copied.path());
        let journal = journal(copied.path());
        spoil(&journal);
        let spoilt = fs::read(&journal).unwrap();
        let store = open(copied.path()).unwrap_or_else(|error| panic!("{what}: {error}"));
        let whole = self.after.compare(&store).await.is_ok();
        let mut tree = if whole { self.after.clone() } else { self.before.clone() };
        tree.compare(&store).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        if !whole {
            self.is_set_aside(what, copied.path(), &spoilt);
        }
        tree.report(id(2), State::RanToCompletion);
        tree.commit_to(&store).await.unwrap();
        drop(store);
        let store = open(copied.path()).unwrap();
        tree.compare(&store).await.unwrap_or_else(|error| panic!("{what}, later: {error}"));
        whole
    }

    /// The bytes that were taken out of the journal are kept, if there were any.
    fn is_set_aside(&self, what: &str, directory: &Path, spoilt: &[u8]) {
        let mut tail = &spoilt[self.begin as usize..];
        while let [rest @ .., 0] = tail {
            tail = rest;
        }
        let aside = files(directory, |path| path.extension().is_some_and(|name| name == "bin"));
        match &aside[..] {
            [] => assert!(tail.is_empty(), "{what}: nothing is set aside"),
            [file] => assert_eq!(fs::read(file).unwrap(), tail, "{what}"),
            more => panic!("{what}: {more:?}"),
        }
    }
}

#[tokio::test]
async fn a_journal_that_is_cut_off_anywhere_in_the_last_batch() {
    let written = written().await;
    assert!(written.survives("nothing", |_| {}).await);
    for end in (written.begin..written.end).step_by(97).chain([written.end - 1]) {
        let cut = |journal: &Path| {
            let file = fs::File::options().write(true).open(journal).unwrap();
            file.set_len(end).unwrap();
        };
        assert!(!written.survives(&format!("cut at {end}"), cut).await);
        let zeros = |journal: &Path| {
            overwrite(journal, end, &vec![0; (written.end - end) as usize]);
        };
        assert!(!written.survives(&format!("zeros from {end}"), zeros).await);
    }
}

#[tokio::test]
async fn sectors_of_the_last_batch_that_were_not_written() {
    let written = written().await;
    let mut sector = written.begin / 512 * 512;
    while sector < written.end {
        let begin = sector.max(written.begin);
        let len = (sector + 512).min(written.end) - begin;
        for bytes in [vec![0; len as usize], garbage(len as usize)] {
            let spoil = |journal: &Path| overwrite(journal, begin, &bytes);
            assert!(!written.survives(&format!("sector at {sector}"), spoil).await);
        }
        sector += 512;
    }
}

#[tokio::test]
async fn bytes_behind_the_last_batch() {
    let written = written().await;
    for len in [1, 13, 600, 70_000] {
        for gap in [0, 1, 3000] {
            let spoil = |journal: &Path| overwrite(journal, written.end + gap, &garbage(len));
            assert!(written.survives(&format!("{len} bytes {gap} behind"), spoil).await);
        }
    }
}

/// After a flush that has failed, a file can be read as if it had reached the disk, by later
/// processes too.
#[tokio::test]
async fn the_last_batch_is_written_once_more_at_each_start() {
    let written = written().await;
    let image = written.directory.path().join("image");
    // The first one cuts off the zeros.
    drop(open(&image).unwrap());
    let (file, before) = (journal(&image), fs::read(journal(&image)).unwrap());
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    let journal = fs::File::options().write(true).open(&file).unwrap();
    journal.set_modified(long_ago).unwrap();
    drop(open(&image).unwrap());
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_ne!(fs::metadata(&file).unwrap().modified().unwrap(), long_ago);
}

/// The last batch is that of the last journal with any batch; before it nothing may be missing.
#[tokio::test]
async fn a_torn_batch_in_one_of_two_journals() {
    let written = written().await;
    let split = |behind: &'static [u8], cut: u64, moved: bool| {
        move |journal: &Path| {
            let bytes = fs::read(journal).unwrap();
            let (first, second) = bytes.split_at(written.begin as usize);
            let next = journal.with_file_name("1.jnl");
            if moved {
                fs::write(journal, &first[..first.len() - cut as usize]).unwrap();
                fs::write(next, second).unwrap();
            } else {
                fs::write(journal, &bytes[..(written.end - cut) as usize]).unwrap();
                fs::write(next, behind).unwrap();
            }
        }
    };
    let written = &written;
    assert!(written.survives("two journals", split(b"", 0, true)).await);
    assert!(written.survives("an empty second one", split(b"", 0, false)).await);
    assert!(written.survives("a second one of zeros", split(&[0; 5000], 0, false)).await);
    assert!(!written.survives("torn before an empty one", split(b"", 5, false)).await);
    assert!(!written.survives("torn before zeros", split(&[0; 5000], 5, false)).await);

    let copied = tempfile::tempdir().unwrap();
    copy(&written.directory.path().join("image"), copied.path());
    split(b"", 5, true)(&journal(copied.path()));
    let error = refused(copied.path());
    assert!(matches!(&error, Error::Corrupt(what) if what.contains("0.jnl")), "{error}");
}

/// The begin of a batch with one item, which has a value of that many bytes.
fn begin(seqno: u64, value: u32) -> Vec<u8> {
    let numbers = [&1_u32.to_le_bytes()[..], &seqno.to_le_bytes()].concat();
    let lens = [&0_u16.to_le_bytes()[..], &value.to_le_bytes(), &value.to_le_bytes()].concat();
    [&[1], &*numbers, &[2, 0, 0], &[7; 8], &*lens].concat()
}

/// A whole batch that is text, as any client may append it to a log.
fn batch_as_text(seqno: u64) -> String {
    let values = (0..10_000).map(|number| format!("{number:07}"));
    let batches = values.map(|value| {
        let mut batch = [&*begin(seqno, 7), value.as_bytes()].concat();
        let checksum = xxhash_rust::xxh3::xxh3_64(&batch[13..]);
        batch.push(3);
        batch.extend_from_slice(&checksum.to_le_bytes());
        batch.extend_from_slice(b"FJL\x03");
        batch
    });
    batches.map(String::from_utf8).find_map(Result::ok).unwrap()
}

impl Written {
    async fn survives_without_its_end(&self, what: &str) {
        let cut = |journal: &Path| {
            let file = fs::File::options().write(true).open(journal).unwrap();
            file.set_len(self.end - 1).unwrap();
        };
        assert!(!self.survives(&format!("{what}, cut"), cut).await);
        let behead = |journal: &Path| overwrite(journal, self.begin, &[0; 30]);
        assert!(!self.survives(&format!("{what}, beheaded"), behead).await);
    }
}

#[tokio::test]
async fn a_torn_batch_with_texts_that_look_like_batches() {
    for seqno in [0, 1, u64::from_le_bytes([0x7f; 8])] {
        let written = written_with(&batch_as_text(seqno)).await;
        written.survives_without_its_end(&format!("number {seqno}")).await;
    }
}

/// To read each of them to its end would take hours.
#[tokio::test]
async fn a_torn_batch_with_many_begins_of_long_batches() {
    let begin = String::from_utf8(begin(0x7f7f, 0x20_0000)).unwrap();
    let written = written_with(&begin.repeat(200_000)).await;
    written.survives_without_its_end("begins").await;
}
