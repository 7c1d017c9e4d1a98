use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    HEADER, JournalFile,
    entry::{FIRST, SECOND},
    state::{Restart, Shared, Synced},
};

/// When a journal is made durable, so that it survives a crash of the machine too. What has been
/// written to the file survives a kill of the process in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fsync {
    /// This long after an operation was recorded at the latest, and by every call of
    /// [`sync`](crate::JobTrackerContext::sync).
    Every(Duration),
    /// By every call of [`sync`](crate::JobTrackerContext::sync), and before an upload is sent.
    OnCall,
}

/// How long after a failure it is tried again, unless a caller asks for it sooner.
const AGAIN: Duration = Duration::from_secs(1);

/// The thread that writes a journal.
pub(super) struct Writer {
    file: JournalFile,
    /// Where the last entry ends that was written whole.
    end: u64,
    fsync: Fsync,
    shared: Arc<Shared>,
    synced: watch::Sender<Synced>,
    /// Since when something has been written and not made durable.
    since: Option<Instant>,
    /// When the last try failed, if it did.
    failed: Option<Instant>,
    /// The system could not make durable what it had taken, and may have lost it: only a new begin
    /// helps.
    is_broken: bool,
}

/// Work that is to be done at once.
struct Work {
    restart: Option<Restart>,
    version: u8,
    bytes: Vec<u8>,
    /// How much has been appended when these bytes are written.
    appended: u64,
    sync: bool,
    is_in_doubt: bool,
    closing: bool,
}

impl Writer {
    pub fn new(
        file: JournalFile,
        end: u64,
        fsync: Fsync,
        shared: Arc<Shared>,
        synced: watch::Sender<Synced>,
    ) -> Self {
        let (since, failed, is_broken) = (None, None, false);
        Self { file, end, fsync, shared, synced, since, failed, is_broken }
    }

    pub fn run(mut self) {
        loop {
            let mut work = self.next();
            let written = self.write(&mut work);
            let failure = written.err().map(Arc::new);
            self.tell(failure.as_ref());
            self.failed = failure.as_ref().map(|_| Instant::now());
            if failure.is_some() {
                let mut state = self.shared.state.lock();
                state.put_back(work.restart, work.version, work.bytes);
            }
            self.synced.send_modify(|synced| {
                synced.tries += 1;
                synced.up_to = match failure {
                    None if work.sync => work.appended,
                    _ => synced.up_to,
                };
                synced.failure = failure;
            });
            // Calls that wait find the failure, too.
            self.shared.written.notify_waiters();
            if work.closing {
                return;
            }
        }
    }

    /// Says when the journal begins to fail, and when that is over.
    fn tell(&self, failure: Option<&Arc<io::Error>>) {
        let path = self.file.path.display();
        match (failure, self.failed) {
            (Some(error), None) => {
                tracing::error!(%path, %error, "a journal failed; it is tried again");
            }
            (None, Some(_)) => tracing::warn!(%path, "a journal is written again"),
            _ => {}
        }
    }

    /// Waits until there is something to do.
    fn next(&mut self) -> Work {
        let mut state = self.shared.state.lock();
        loop {
            let is_urgent = std::mem::take(&mut state.try_now) || state.closing;
            let pause = self.failed.map(|at| AGAIN.saturating_sub(at.elapsed()));
            if let Some(pause) = pause.filter(|pause| !pause.is_zero() && !is_urgent) {
                self.shared.work.wait_for(&mut state, pause);
                continue;
            }
            let left = self.until_due();
            let is_due = left.is_some_and(|left| left.is_zero());
            let is_wanted = state.wanted > self.synced.borrow().up_to;
            let sync = is_due || is_wanted || state.is_in_doubt || state.closing;
            if sync || state.restart.is_some() || !state.bytes.is_empty() {
                return Work {
                    restart: state.restart.take(),
                    version: std::mem::replace(&mut state.version, FIRST),
                    bytes: std::mem::take(&mut state.bytes),
                    appended: state.appended,
                    sync,
                    is_in_doubt: state.is_in_doubt,
                    closing: state.closing,
                };
            }
            match left {
                Some(left) => drop(self.shared.work.wait_for(&mut state, left)),
                None => self.shared.work.wait(&mut state),
            }
        }
    }

    /// How long what was written may still wait to be made durable.
    fn until_due(&self) -> Option<Duration> {
        match self.fsync {
            Fsync::Every(interval) => {
                self.since.map(|since| interval.saturating_sub(since.elapsed()))
            }
            Fsync::OnCall => None,
        }
    }

    /// After an error, what has not been done of the work is still in it, and the file ends with a
    /// whole entry if it can be made to.
    fn write(&mut self, work: &mut Work) -> io::Result<()> {
        let is_written = work.restart.is_some() || !work.bytes.is_empty();
        if let Some(restart) = &mut work.restart {
            self.begin_anew(restart)?;
        }
        if let Some(mut restart) = work.restart.take() {
            restart.instead.append(&mut work.bytes);
            work.bytes = restart.instead;
            work.version = work.version.max(restart.version);
        }
        if self.is_broken {
            let reason = "what was written before could not be made durable";
            return Err(io::Error::other(reason));
        }
        if let Err(error) = self.file.write_at(self.end, work.version, &work.bytes) {
            let _ = self.file.file.set_len(self.end);
            return Err(error);
        }
        self.end += work.bytes.len() as u64;
        work.bytes.clear();
        if work.sync {
            self.make_durable(work)?;
        } else if is_written && self.since.is_none() {
            self.since = Some(Instant::now());
        }
        Ok(())
    }

    fn make_durable(&mut self, work: &Work) -> io::Result<()> {
        let synced = self.file.file.sync_data();
        self.is_broken = synced.is_err();
        synced?;
        if work.is_in_doubt {
            self.file.put_out_of_doubt()?;
            self.shared.state.lock().is_in_doubt = false;
        }
        self.since = None;
        Ok(())
    }

    /// Begins the file anew. What is still to be written before everything else is in
    /// [`Restart::instead`] then.
    fn begin_anew(&mut self, restart: &mut Restart) -> io::Result<()> {
        if !restart.entries.is_empty() {
            match self.file.replace(&restart.entries) {
                Ok(()) => {
                    self.end = HEADER + restart.entries.len() as u64;
                    self.is_broken = false;
                    (restart.instead, restart.saved) = (Vec::new(), 0);
                    // If the next step fails, the file is not to be emptied: it has the entries.
                    restart.is_empty = false;
                    return self.file.sync_folder();
                }
                Err(error) => {
                    let path = self.file.path.display();
                    tracing::warn!(%path, %error, "a journal cannot be made smaller");
                    restart.version = SECOND;
                    // An earlier try may have replaced it.
                    self.file.sync_folder()?;
                }
            }
        }
        if restart.is_empty {
            self.file.restart()?;
            self.end = HEADER;
            self.is_broken = false;
        }
        self.shared.state.lock().size += std::mem::take(&mut restart.saved);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use parking_lot::{Condvar, Mutex};
    use tokio::sync::Notify;

    use super::{super::state::State, *};

    /// As it is when the folder could not be made durable, and then there is no room.
    #[test]
    fn a_journal_that_was_replaced_is_not_emptied_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let file = JournalFile::create(&path, false).unwrap();
        let state = Mutex::new(State::new(HEADER, 0));
        let shared = Shared { state, work: Condvar::new(), written: Notify::new() };
        let (synced, _) = watch::channel(Synced::default());
        let mut writer = Writer::new(file, HEADER, Fsync::OnCall, Arc::new(shared), synced);
        let entries = b"entries".to_vec();
        let mut restart = Restart { is_empty: true, entries, ..Restart::default() };
        writer.begin_anew(&mut restart).unwrap();
        // Another file has the name of the one that is to take the place.
        fs::write(folder.path().join("journal.new"), "another").unwrap();
        writer.begin_anew(&mut restart).unwrap();
        assert!(fs::read(&path).unwrap().ends_with(b"entries"));
        assert!(restart.instead.is_empty());
    }
}
