use std::{
    fs::{File, Metadata, OpenOptions, Permissions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use jobtracker_model::ExportPosition;
use tokio::{sync::mpsc, time::Instant};

use super::{
    MovingError, Result, Selection,
    resume::{self, Begun},
};

/// About how many bytes are passed on at once.
const PIECE: usize = 64 * 1024;
/// After this time a smaller piece is passed on too: a client that hears nothing gives up.
const QUIET: Duration = Duration::from_secs(15);

/// An export has the jobs' secrets, so only its owner may read it.
const PRIVATE: u32 = 0o600;

/// The target of an export.
pub enum Target {
    /// A file that does not exist yet.
    New(PathBuf),
    /// A file that an export has begun; an absent or empty file is begun.
    Resume(PathBuf),
    /// A target that cannot be truncated.
    Pipe(Box<dyn Write + Send>),
    /// A client elsewhere.
    Client(Outlet),
}

/// The way to a client, which may have the beginning of the export already.
pub struct Outlet {
    /// Takes the bytes, an empty piece as soon as the export has begun. It has few places: the
    /// export goes on as the client takes what is there.
    pub sender: mpsc::Sender<Vec<u8>>,
    /// The trees that the client has, if it has the header.
    pub after: Option<ExportPosition>,
    /// How many bytes of lines are written in a second at most, as they are before compression.
    pub bytes_per_second: u64,
    /// The client is not left without a piece for longer than this, about.
    pub quiet: Duration,
}

impl Outlet {
    /// For a client that gives up after two minutes without a piece.
    #[must_use]
    pub fn new(
        sender: mpsc::Sender<Vec<u8>>,
        after: Option<ExportPosition>,
        bytes_per_second: u64,
    ) -> Self {
        Self { sender, after, bytes_per_second, quiet: QUIET }
    }
}

/// Takes the bytes of an export.
pub(super) struct Sink {
    out: Out,
    position: u64,
    /// The target's name in errors.
    place: String,
    /// The file, if this has made it. It is removed if nothing comes into it.
    made: Option<PathBuf>,
}

enum Out {
    File(File),
    Pipe(Box<dyn Write + Send>),
    Client(Client),
}

/// Collects pieces for a client.
struct Client {
    outlet: Outlet,
    piece: Vec<u8>,
    /// When the last one was passed on.
    passed: Instant,
    /// When the next lines may be written.
    next: Instant,
}

impl Sink {
    /// Opens a target; answers which part of an export it has already. That has to be an export of
    /// the same trees, if trees are selected.
    pub fn open(target: Target, selection: Option<&Selection>) -> Result<(Self, Option<Begun>)> {
        match target {
            Target::New(path) => Ok((Self::create(&path)?, None)),
            Target::Resume(path) => Self::resume(&path, selection),
            Target::Pipe(pipe) => {
                let place = "the pipe".to_owned();
                Ok((Self { out: Out::Pipe(pipe), position: 0, place, made: None }, None))
            }
            Target::Client(outlet) => {
                let selection = selection.cloned().unwrap_or(Selection::ALL);
                let begun =
                    outlet.after.map(|position| Begun { position, ..Begun::with(selection) });
                let (passed, next) = (Instant::now(), Instant::now());
                let client = Client { outlet, piece: Vec::new(), passed, next };
                let place = "the client".to_owned();
                Ok((Self { out: Out::Client(client), position: 0, place, made: None }, begun))
            }
        }
    }

    fn create(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        match OpenOptions::new().read(true).write(true).create_new(true).mode(PRIVATE).open(path) {
            Ok(file) => {
                let made = Some(path.to_owned());
                Ok(Self { out: Out::File(file), position: 0, place, made })
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(MovingError::Exists(path.to_owned()))
            }
            Err(source) => Err(MovingError::File { place, source }),
        }
    }

    fn resume(path: &Path, selection: Option<&Selection>) -> Result<(Self, Option<Begun>)> {
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
        let mut sink = Self { out: Out::File(file), position: metadata.len(), place, made: None };
        let begun = sink.find(None)?;
        if let (Some(begun), Some(selection)) = (&begun, selection)
            && *selection != begun.selection
        {
            return Err(MovingError::OtherSelection);
        }
        sink.cut(end(begun.as_ref()))?;
        Ok((sink, begun))
    }

    /// Finds how far the export in a file is, and truncates the file to that; `None` for no export,
    /// and for what is no file. `known`: the part that was found before.
    pub fn look(&mut self, known: Option<Begun>) -> Result<Option<Begun>> {
        let begun = self.find(known)?;
        self.cut(end(begun.as_ref()))?;
        Ok(begun)
    }

    /// Finds how far the export in a file is, and leaves the file as it is.
    fn find(&mut self, known: Option<Begun>) -> Result<Option<Begun>> {
        let Out::File(file) = &mut self.out else { return Ok(None) };
        resume::look(file, self.position, &self.place, known)
    }

    /// Whether a client has got no piece for some time.
    pub fn is_quiet(&self) -> bool {
        matches!(&self.out, Out::Client(Client { outlet, passed, .. })
            if passed.elapsed() >= outlet.quiet)
    }

    /// Passes on what a client is to have, as soon as it takes it, after this many bytes of lines
    /// were written; a small rest waits for more, unless it is the `last` for now.
    pub async fn pass_on(&mut self, lines: usize, last: bool) -> Result<()> {
        let Out::Client(Client { outlet, piece, passed, next }) = &mut self.out else {
            return Ok(());
        };
        if last || piece.len() >= PIECE {
            let sent = outlet.sender.send(std::mem::take(piece)).await;
            sent.map_err(|_| MovingError::File {
                place: self.place.clone(),
                source: io::ErrorKind::BrokenPipe.into(),
            })?;
            *passed = Instant::now();
        }
        let time = Duration::from_secs_f64(lines as f64 / outlet.bytes_per_second.max(1) as f64);
        // Time in which the client took nothing is not made up for.
        *next = (*next).max(Instant::now()) + time;
        tokio::time::sleep_until(*next).await;
        Ok(())
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
            Out::Client(_) => Ok(()),
        };
        done.map_err(|source| self.failed(source))
    }

    pub fn failed(&self, source: io::Error) -> MovingError {
        MovingError::File { place: self.place.clone(), source }
    }
}

/// Where the part of an export that is kept ends.
fn end(begun: Option<&Begun>) -> u64 {
    begun.map_or(0, |begun| begun.end)
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

impl Drop for Sink {
    /// An export that was refused leaves no file behind.
    fn drop(&mut self) {
        if let Some(path) = self.made.take_if(|_| self.position == 0)
            && let Err(error) = std::fs::remove_file(&path)
        {
            tracing::warn!(place = self.place, %error, "an empty file stays");
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.out {
            Out::File(file) => file.write(bytes)?,
            Out::Pipe(pipe) => pipe.write(bytes)?,
            Out::Client(client) => client.piece.write(bytes)?,
        };
        self.position += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.out {
            Out::File(file) => file.flush(),
            Out::Pipe(pipe) => pipe.flush(),
            Out::Client(_) => Ok(()),
        }
    }
}
