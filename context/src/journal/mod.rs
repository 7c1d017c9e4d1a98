//! The recorded operations in a file, so that they survive the process.
//!
//! An entry is appended under the lock of its tree, so the file has the operations of each tree in
//! their order. It goes into memory first; a thread writes it to the file as fast as that takes it.
//!
//! When everything has an outcome, the file begins anew, empty. When only trees that were refused
//! are left, and the file has grown, it is replaced by one that has only these.

mod entry;
mod file;
mod search;
mod state;
mod writer;

pub(crate) use entry::{Entry, write_kept};
pub(crate) use file::{Damage, Found, HEADER, Header, JournalFile, failure};

pub use writer::Fsync;

use state::{Shared, State, Synced};

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
};

use jobtracker_model::{JobId, upload::UploadId};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, watch};

use crate::{Error, Result};

/// Bytes that wait for the file, past which recording waits too.
const WAITING: usize = 32 * 1024 * 1024;

/// A journal that begins anew with what was refused has grown by this much at least, and twofold.
const GROWN: u64 = 64 * 1024;

pub(crate) struct Journal {
    path: PathBuf,
    most: u64,
    block_updates_after_finish: bool,
    shared: Arc<Shared>,
    synced: watch::Receiver<Synced>,
    thread: Option<JoinHandle<()>>,
}

impl Journal {
    /// Writes on in a file that has this many bytes and operations without an outcome.
    pub fn start(
        file: JournalFile,
        fsync: Fsync,
        most: u64,
        size: u64,
        open_operations: u64,
    ) -> Result<Self> {
        let path = file.path.clone();
        let block_updates_after_finish = file.blocks_updates_after_finish();
        let state = Mutex::new(State::new(size, open_operations));
        let (work, written) = (Condvar::new(), Notify::new());
        let shared = Arc::new(Shared { state, work, written });
        let (sender, synced) = watch::channel(Synced::default());
        let writer = writer::Writer::new(file, size, fsync, Arc::clone(&shared), sender);
        let thread = thread::Builder::new()
            .name("jobtracker-journal".into())
            .spawn(move || writer.run())
            .map_err(|error| failure(&path, error))?;
        let thread = Some(thread);
        Ok(Self { path, most, block_updates_after_finish, shared, synced, thread })
    }

    /// Appends entries that stand for this many operations, all in one step: an upload that ends
    /// meanwhile clears all of them or none.
    pub fn append(&self, entries: &[Entry<'_>], operations: u64) {
        let mut state = self.shared.state.lock();
        state.open_operations += operations;
        for entry in entries {
            self.push(&mut state, entry);
        }
    }

    /// Notes that this many operations of an upload have an outcome, and that of its trees these
    /// are left, which were refused. When nothing is left of any upload, the journal begins anew.
    pub fn settle(&self, upload: &UploadId, refused: &[JobId], operations: u64) {
        let mut state = self.shared.state.lock();
        state.open_operations -= operations;
        if state.open_operations == 0 {
            return self.begin_anew(&mut state, Vec::new());
        }
        let upload = Cow::Borrowed(upload);
        let roots = Cow::Borrowed(refused);
        self.push(
            &mut state,
            &match refused {
                [] => Entry::Acknowledged { upload },
                _ => Entry::Refused { upload, roots },
            },
        );
    }

    /// Whether only trees that were refused, of this many operations, are left in it, and it has
    /// grown far beyond them, or cannot be written on.
    pub fn has_outgrown(&self, refused: u64) -> bool {
        let has_failed = self.check().is_err();
        let state = self.shared.state.lock();
        let has_grown = state.size > 2 * state.begun + GROWN
            || state.size > self.most && state.size > state.begun;
        refused > 0 && state.open_operations == refused && (has_grown || has_failed)
    }

    /// Begins anew with these entries, which have all that is left in the journal, unless something
    /// has been appended meanwhile.
    pub fn begin_with(&self, refused: u64, entries: Vec<u8>) {
        let mut state = self.shared.state.lock();
        if state.open_operations == refused {
            self.begin_anew(&mut state, entries);
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        let mut state = self.shared.state.lock();
        state.open_operations = 0;
        self.begin_anew(&mut state, Vec::new());
    }

    /// Marks the file of a journal that cannot be written: its content may be sent from memory,
    /// under a name that it does not have. The mark stays until the file has everything.
    ///
    /// # Errors
    /// The mark cannot be written either.
    pub fn put_in_doubt(&self) -> Result<()> {
        JournalFile::put_in_doubt(&self.path, self.block_updates_after_finish)
            .map_err(|error| failure(&self.path, error))?;
        self.shared.state.lock().is_in_doubt = true;
        Ok(())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends the writing, after everything that has been appended.
    ///
    /// # Errors
    /// The file does not have all of it.
    pub fn finish(mut self) -> Result<()> {
        self.end();
        self.check()
    }

    /// Makes everything durable that has been appended. If writing has failed before, it is tried
    /// again now.
    pub async fn sync(&self) -> Result<()> {
        let (appended, tries) = {
            let mut state = self.shared.state.lock();
            state.wanted = state.appended;
            state.try_now = true;
            self.shared.work.notify_one();
            (state.appended, self.synced.borrow().tries)
        };
        let mut synced = self.synced.clone();
        let is_done = |synced: &Synced| {
            synced.up_to >= appended || synced.tries > tries && synced.failure.is_some()
        };
        match synced.wait_for(is_done).await {
            Ok(synced) if synced.up_to >= appended => Ok(()),
            // The writer says why it stops, if it stops.
            _ => self.check(),
        }
    }

    /// # Errors
    /// The journal could not be written when it was last tried.
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

    /// Whether what was refused alone leaves no room in it.
    pub fn is_stuck(&self) -> bool {
        self.shared.state.lock().begun > self.most
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
        state.version = state.version.max(entry.version());
        let more = (state.bytes.len() - before) as u64;
        state.appended += more;
        state.size += more;
        if before == 0 {
            self.shared.work.notify_one();
        }
    }

    /// Waits until all that has been appended is in the file and durable.
    fn end(&mut self) {
        self.shared.state.lock().closing = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    fn begin_anew(&self, state: &mut State, entries: Vec<u8>) {
        state.begin_anew(entries);
        self.shared.work.notify_one();
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.end();
    }
}
