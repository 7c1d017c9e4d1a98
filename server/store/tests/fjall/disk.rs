//! Data directories: opened, copied and spoilt.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use fjall::{Database, KeyspaceCreateOptions, Readable};
use jobtracker_model::JobId;
use jobtracker_store::{
    Result,
    fjall::{FjallOptions, FjallStore},
};

pub fn open(directory: &Path) -> Result<FjallStore> {
    FjallStore::open(&FjallOptions::new(directory))
}

/// A store that writes a table file for nearly every row.
pub fn open_small(directory: &Path) -> Result<FjallStore> {
    let mut options = FjallOptions::new(directory);
    options.write_buffer_bytes = 4 * 1024;
    options.node_cache_bytes = 1;
    options.definition_cache_bytes = 1;
    FjallStore::open(&options)
}

/// The error of an opening that must not succeed.
pub fn refused(directory: &Path) -> jobtracker_store::Error {
    match open(directory) {
        Ok(_) => panic!("{} could be opened", directory.display()),
        Err(error) => error,
    }
}

/// The files with this extension, by name.
pub fn files(directory: &Path, wanted: impl Fn(&Path) -> bool + Copy) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, wanted));
        } else if wanted(&path) {
            found.push(path);
        }
    }
    found.sort();
    found
}

pub fn journals(directory: &Path) -> Vec<PathBuf> {
    files(directory, |path| path.extension().is_some_and(|extension| extension == "jnl"))
}

/// The one journal that a small store has.
pub fn journal(directory: &Path) -> PathBuf {
    let journals = journals(directory);
    assert_eq!(journals.len(), 1, "{journals:?}");
    journals[0].clone()
}

/// How many bytes of a file are in use: all up to the last one that is not zero.
pub fn used(file: &Path) -> u64 {
    let bytes = fs::read(file).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}

/// The files that a power cut would leave: a copy of the files as they are. Zeros at the end of
/// journals, of which there are many, are left out.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else if path.extension().is_some_and(|extension| extension == "jnl") {
            let mut bytes = Vec::new();
            let len = used(&path) + 1000;
            File::open(&path).unwrap().take(len).read_to_end(&mut bytes).unwrap();
            fs::write(target, bytes).unwrap();
        } else {
            fs::copy(path, target).unwrap();
        }
    }
}

/// How many rows these jobs have in a store that is closed, without those that only say that an id
/// was used.
pub fn rows_of(directory: &Path, jobs: &BTreeSet<JobId>) -> usize {
    let database = Database::builder(directory.join("db")).open().unwrap();
    let snapshot = database.snapshot();
    let mut rows = 0;
    for name in ["jobs", "origins", "history", "index"] {
        let keyspace = database.keyspace(name, KeyspaceCreateOptions::default).unwrap();
        for row in snapshot.iter(&keyspace) {
            let (key, value) = row.into_inner().unwrap();
            // Where the id of the job stands; of `index`, in the lists of children.
            let at = match (name, key[0]) {
                ("jobs", _) => 8,
                ("index", 1 | 2) => 9,
                ("index", _) => continue,
                ("origins", _) if value.is_empty() => continue,
                _ => 0,
            };
            let id = u64::from_be_bytes(key[at..at + 8].try_into().unwrap());
            rows += usize::from(JobId::new(id).is_some_and(|id| jobs.contains(&id)));
        }
    }
    rows
}

pub fn overwrite(file: &Path, at: u64, bytes: &[u8]) {
    let mut file = File::options().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

pub fn flip(file: &Path, at: u64) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at as usize] ^= 0x55;
    fs::write(file, bytes).unwrap();
}

/// Random bytes, the same ones every time.
pub fn garbage(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}
