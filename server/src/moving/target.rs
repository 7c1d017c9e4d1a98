use std::{
    fs::{File, Metadata, OpenOptions, Permissions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::{
    MovingError, Result, Selection,
    resume::{self, Found},
};

/// An export has the jobs' secrets, so only its owner may read it.
const PRIVATE: u32 = 0o600;

/// The target of an export.
pub enum Target {
    /// A file that does not exist yet.
    New(PathBuf),
    /// A file that an export has begun; an absent or empty file is begun.
    Resume(PathBuf),
    /// A target that cannot be truncated.
    Pipe(Box<dyn Write>),
}

/// Takes the bytes of an export.
pub(super) struct Sink {
    out: Out,
    position: u64,
    /// The target's name in errors.
    place: String,
}

enum Out {
    File(File),
    Pipe(Box<dyn Write>),
}

impl Sink {
    /// Opens a target; answers which part of an export it has already. That has to be an export of
    /// the same trees, if trees are selected.
    pub fn open(target: Target, selection: Option<&Selection>) -> Result<(Self, Option<Found>)> {
        match target {
            Target::New(path) => Ok((Self::create(&path)?, None)),
            Target::Resume(path) => Self::resume(&path, selection),
            Target::Pipe(pipe) => {
                let place = "the pipe".to_owned();
                Ok((Self { out: Out::Pipe(pipe), position: 0, place }, None))
            }
        }
    }

    fn create(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        match OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path) {
            Ok(file) => Ok(Self { out: Out::File(file), position: 0, place }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(MovingError::Exists(path.to_owned()))
            }
            Err(source) => Err(MovingError::File { place, source }),
        }
    }

    fn resume(path: &Path, selection: Option<&Selection>) -> Result<(Self, Option<Found>)> {
        let place = path.display().to_string();
        let failed = |source| MovingError::File { place: place.clone(), source };
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((Self::create(path)?, None));
            }
            Err(error) => return Err(failed(error)),
        };
        let metadata = file.metadata().map_err(failed)?;
        tighten(&file, &metadata, &place);
        let length = metadata.len();
        let found = resume::look(&file, length, &place)?;
        if let (Some(found), Some(selection)) = (&found, selection)
            && *selection != found.header.selection
        {
            return Err(MovingError::OtherSelection);
        }
        let complete = found.as_ref().is_some_and(|found| found.complete);
        let end = if complete { length } else { found.as_ref().map_or(0, |found| found.end) };
        let mut sink = Self { out: Out::File(file), position: length, place };
        sink.cut(end)?;
        Ok((sink, found))
    }

    /// How many bytes the target has.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Truncates the target to a position; false if that is impossible.
    pub fn cut(&mut self, position: u64) -> Result<bool> {
        let Out::File(file) = &mut self.out else { return Ok(false) };
        let done = file.set_len(position).and_then(|()| file.seek(SeekFrom::Start(position)));
        done.map_err(|source| self.failed(source))?;
        self.position = position;
        Ok(true)
    }

    /// Returns when all bytes have reached the target, durably in the case of a file.
    pub fn sync(&mut self) -> Result<()> {
        let done = match &mut self.out {
            Out::File(file) => file.sync_all(),
            Out::Pipe(pipe) => pipe.flush(),
        };
        done.map_err(|source| self.failed(source))
    }

    pub fn failed(&self, source: io::Error) -> MovingError {
        MovingError::File { place: self.place.clone(), source }
    }
}

/// Makes a file private to its owner that was readable for other users.
fn tighten(file: &File, metadata: &Metadata, place: &str) {
    let mode = metadata.permissions().mode();
    // A device or a pipe instead of a file is not for this export alone.
    if !metadata.is_file() || mode & 0o077 == 0 {
        return;
    }
    match file.set_permissions(Permissions::from_mode(mode & PRIVATE)) {
        Ok(()) => tracing::warn!(place, "others could read this file; now its owner alone can"),
        Err(error) => tracing::warn!(place, %error, "others can read this file"),
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.out {
            Out::File(file) => file.write(bytes)?,
            Out::Pipe(pipe) => pipe.write(bytes)?,
        };
        self.position += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.out {
            Out::File(file) => file.flush(),
            Out::Pipe(pipe) => pipe.flush(),
        }
    }
}
