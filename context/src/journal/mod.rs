//! What was recorded, in a file, so that it survives the process.
//!
//! An entry is appended under the lock of its tree, so the file has the operations of each tree in
//! their order. It goes into memory first; a thread writes it to the file as fast as that takes it.

mod entry;
mod file;
mod search;
mod writer;

pub(crate) use entry::Entry;
pub(crate) use file::{Damage, Found, HEADER, JournalFile, failure};

use std::{
    borrow::Cow,
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use jobtracker_model::commit::CommitId;
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, watch};

use crate::{Error, Result};

/// When a journal is made durable, so that it survives a crash of the machine too. What has been
/// written to the file survives a kill of the process in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fsync {
    /// So long after something was recorded at the latest, and by every call of
    /// [`sync`](crate::JobTrackerContext::sync).
    Every(Duration),
    /// By every call of [`sync`](crate::JobTrackerContext::sync), and before a commit is sent.
    OnCall,
}

/// Bytes that wait for the file, past which recording waits too.
const WAITING: usize = 32 * 1024 * 1024;

pub(crate) struct Journal {
    path: PathBuf,
    most: u64,
    shared: Arc<Shared>,
    synced: watch::Receiver<Synced>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// Told when there is something to write.
    work: Condvar,
    /// Told when what waited has been written.
    written: Notify,
}

/// What the lock of a journal guards.
#[derive(Default)]
struct State {
    /// What waits for the file.
    bytes: Vec<u8>,
    /// How much has been appended since the journal was opened, in bytes and new begins.
    appended: u64,
    /// How much of that has to be durable.
    wanted: u64,
    /// The size of the file with what waits for it.
    size: u64,
    /// Operations in it that have no outcome yet.
    open_operations: u64,
    /// Whether the file has to begin anew before what waits is written.
    restart: bool,
    closing: bool,
}

/// How much of what was appended is durable.
#[derive(Clone, Default)]
struct Synced {
    up_to: u64,
    failure: Option<Arc<io::Error>>,
}

impl Journal {
    /// Writes on in a file that has so many bytes and operations without an outcome.
    pub fn start(
        file: JournalFile,
        fsync: Fsync,
        most: u64,
        size: u64,
        open_operations: u64,
    ) -> Result<Self> {
        let path = file.path.clone();
        let state = Mutex::new(State { size, open_operations, ..State::default() });
        let (work, written) = (Condvar::new(), Notify::new());
        let shared = Arc::new(Shared { state, work, written });
        let (sender, synced) = watch::channel(Synced::default());
        let writer = writer::Writer { file, fsync, shared: Arc::clone(&shared), synced: sender };
        let thread = thread::Builder::new()
            .name("jobtracker-journal".into())
            .spawn(move || writer.run())
            .map_err(|error| failure(&path, error))?;
        Ok(Self { path, most, shared, synced, thread: Some(thread) })
    }

    /// Appends entries that stand for so many operations, all at one moment: what comes to its end
    /// meanwhile clears all of them or none.
    pub fn append(&self, entries: &[Entry<'_>], operations: u64) {
        let mut state = self.shared.state.lock();
        state.open_operations += operations;
        for entry in entries {
            self.push(&mut state, entry);
        }
    }

    /// A commit with so many operations has an outcome. When that was the last one, the journal
    /// begins anew.
    pub fn acknowledge(&self, commit: &CommitId, operations: u64) {
        let mut state = self.shared.state.lock();
        state.open_operations -= operations;
        if state.open_operations > 0 {
            return self.push(&mut state, &Entry::Acknowledged { commit: Cow::Borrowed(commit) });
        }
        self.begin_anew(&mut state);
    }

    /// Forgets everything.
    pub fn clear(&self) {
        let mut state = self.shared.state.lock();
        state.open_operations = 0;
        self.begin_anew(&mut state);
    }

    /// Empties the file of a journal that has failed, so that nobody recovers what is about to be
    /// sent from memory.
    ///
    /// # Errors
    /// That cannot be done either.
    pub fn erase(&self) -> Result<()> {
        let erase = || {
            let file = OpenOptions::new().write(true).open(&self.path)?;
            file.set_len(HEADER)?;
            file.sync_all()
        };
        erase().map_err(|error| failure(&self.path, error))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends the writing, behind everything that has been appended.
    ///
    /// # Errors
    /// The file does not have all of it.
    pub fn finish(mut self) -> Result<()> {
        self.end();
        self.check()
    }

    /// Makes everything durable that has been appended.
    pub async fn sync(&self) -> Result<()> {
        let appended = {
            let mut state = self.shared.state.lock();
            state.wanted = state.appended;
            self.shared.work.notify_one();
            state.appended
        };
        let mut synced = self.synced.clone();
        let is_done = |synced: &Synced| synced.up_to >= appended || synced.failure.is_some();
        // The writer says why it stops, if it stops.
        let _ = synced.wait_for(is_done).await;
        self.check()
    }

    /// # Errors
    /// The journal cannot be written.
    pub fn check(&self) -> Result<()> {
        match &self.synced.borrow().failure {
            Some(source) => {
                Err(Error::Journal { path: self.path.clone(), source: Arc::clone(source) })
            }
            None => Ok(()),
        }
    }

    /// Waits until the file has taken most of what waits for it.
    pub async fn keep_pace(&self) {
        loop {
            let written = self.shared.written.notified();
            if !self.is_behind() || self.check().is_err() {
                return;
            }
            written.await;
        }
    }

    /// Whether more waits for the file than should.
    pub fn is_behind(&self) -> bool {
        self.shared.state.lock().bytes.len() >= WAITING
    }

    /// Whether it has to be emptied before it may grow further.
    pub fn is_full(&self) -> bool {
        self.size() > self.most
    }

    pub fn size(&self) -> u64 {
        self.shared.state.lock().size
    }

    fn push(&self, state: &mut State, entry: &Entry<'_>) {
        let before = state.bytes.len();
        let bytes = std::mem::take(&mut state.bytes);
        state.bytes = entry.write(bytes);
        let more = (state.bytes.len() - before) as u64;
        state.appended += more;
        state.size += more;
        if before == 0 {
            self.shared.work.notify_one();
        }
    }

    /// What has been appended is in the file, and durable, when this returns.
    fn end(&mut self) {
        self.shared.state.lock().closing = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    fn begin_anew(&self, state: &mut State) {
        state.bytes.clear();
        state.size = HEADER;
        // It has to become durable like everything else.
        state.appended += 1;
        state.restart = true;
        self.shared.work.notify_one();
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.end();
    }
}
