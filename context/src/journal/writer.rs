use std::{
    io::{self, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{Fsync, JournalFile, Shared, Synced};

/// The thread that writes a journal.
pub(super) struct Writer {
    pub file: JournalFile,
    pub fsync: Fsync,
    pub shared: Arc<Shared>,
    pub synced: watch::Sender<Synced>,
}

/// What is to be done at once.
struct Work {
    restart: bool,
    bytes: Vec<u8>,
    /// How much has been appended when these bytes are written.
    appended: u64,
    sync: bool,
    closing: bool,
}

impl Writer {
    pub fn run(mut self) {
        // Since when something has been written and not made durable.
        let mut since: Option<Instant> = None;
        loop {
            let work = self.next(since);
            let is_written = work.restart || !work.bytes.is_empty();
            if let Err(error) = self.write(&work) {
                tracing::error!(path = %self.file.path.display(), %error, "a journal failed");
                self.synced.send_modify(|synced| synced.failure = Some(Arc::new(error)));
                // Whoever waits finds the failure.
                self.shared.written.notify_waiters();
                return;
            }
            self.shared.written.notify_waiters();
            since = match since {
                _ if work.sync => None,
                None if is_written => Some(Instant::now()),
                since => since,
            };
            if work.closing {
                return;
            }
        }
    }

    /// Waits until there is something to do.
    fn next(&self, since: Option<Instant>) -> Work {
        let mut state = self.shared.state.lock();
        loop {
            let left = self.until_due(since);
            let is_due = left.is_some_and(|left| left.is_zero());
            let is_wanted = state.wanted > self.synced.borrow().up_to;
            let sync = is_due || is_wanted || state.closing;
            if sync || state.restart || !state.bytes.is_empty() {
                return Work {
                    restart: std::mem::take(&mut state.restart),
                    bytes: std::mem::take(&mut state.bytes),
                    appended: state.appended,
                    sync,
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
    fn until_due(&self, since: Option<Instant>) -> Option<Duration> {
        match self.fsync {
            Fsync::Every(interval) => since.map(|since| interval.saturating_sub(since.elapsed())),
            Fsync::OnCall => None,
        }
    }

    fn write(&mut self, work: &Work) -> io::Result<()> {
        if work.restart {
            self.file.restart()?;
        }
        self.file.file.write_all(&work.bytes)?;
        if work.sync {
            self.file.file.sync_data()?;
            self.synced.send_modify(|synced| synced.up_to = work.appended);
        }
        Ok(())
    }
}
