//! Files for data that would be lost otherwise: only their owner may read them, since actions have
//! secrets in them, and none replaces another one.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, ErrorKind, Read},
    path::{Path, PathBuf},
};

/// Names that are tried, and so the files of a kind that there may be.
const NAMES: u32 = 1_000;

/// Writes what belongs in a file.
pub(crate) type Fill<'a> = dyn FnMut(&mut File) -> io::Result<()> + 'a;

/// How such a file is opened to be written.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true);
    options
}

/// The path of a file beside another one: `import.journal.torn` beside `import.journal`.
pub(crate) fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(what);
    name.into()
}

/// A new file, durable with its name, or none.
pub(crate) fn create(path: &Path, fill: &mut Fill<'_>) -> io::Result<()> {
    let mut file = private().create_new(true).open(path)?;
    let filled = fill(&mut file).and_then(|()| file.sync_all()).and_then(|()| sync_folder(path));
    if filled.is_err() {
        // Half of it would be in the way of the next try.
        let _ = fs::remove_file(path);
    }
    filled
}

/// A new file beside another one, with a number if there is one of that name (`.torn-2`). If such a
/// file begins with the same bytes, as far as they are needed, there is no other one.
pub(crate) fn create_beside(
    path: &Path,
    what: &str,
    needed: u64,
    fill: &mut Fill<'_>,
) -> io::Result<PathBuf> {
    let mut others = Vec::new();
    for number in 1..=NAMES {
        let name = match number {
            1 => beside(path, what),
            number => beside(path, &format!("{what}-{number}")),
        };
        match create(&name, fill) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => others.push(name),
            Err(error) => return Err(error),
            Ok(()) => {
                let Some(same) = others.into_iter().find(|other| begin_alike(&name, other, needed))
                else {
                    return Ok(name);
                };
                fs::remove_file(&name)?;
                return Ok(same);
            }
        }
    }
    Err(io::Error::new(ErrorKind::AlreadyExists, "there are too many such files already"))
}

/// Makes durable which file has this name: the folder has a memory of its own.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Whether both files begin with the same bytes, up to this length, or both end sooner.
fn begin_alike(one: &Path, other: &Path, bytes: u64) -> bool {
    let begin = |path| File::open(path).map(|file| BufReader::new(file).take(bytes).bytes());
    let (Ok(mut one), Ok(mut other)) = (begin(one), begin(other)) else { return false };
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            (Some(Ok(one)), Some(Ok(other))) if one == other => {}
            _ => return false,
        }
    }
}
