//! Files for what would be lost otherwise. None takes the place of another one.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

/// Names that are tried, and so the files of a kind that there may be.
const NAMES: u32 = 1_000;

/// A new file. Actions have secrets in them: nobody but its owner is to read it.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true).create_new(true).open(path)
}

/// A new file beside another one: `import.journal.torn` beside `import.journal`, or
/// `import.journal.torn-2`.
pub(crate) fn create_beside(path: &Path, what: &str) -> io::Result<(File, PathBuf)> {
    for number in 1..=NAMES {
        let mut name = OsString::from(path);
        name.push(if number == 1 { format!(".{what}") } else { format!(".{what}-{number}") });
        match create(Path::new(&name)) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            created => return created.map(|file| (file, name.into())),
        }
    }
    Err(io::Error::new(ErrorKind::AlreadyExists, "there are too many such files already"))
}
