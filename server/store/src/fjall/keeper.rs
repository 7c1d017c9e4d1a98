use std::{
    ops::ControlFlow,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{
    FjallOptions, directory::StoreDirectory, failure, intake::Intake, lasting::Lasting,
    probe::Probe, readers::closed, session::Session, work::Work, writer::End,
};
use crate::{Error, Result};

/// After the engine has failed it is opened again at once; then after pauses, each twice as long as
/// the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Keeps the engine open, on the thread that writes.
///
/// An error while it writes a journal, a table or a list of tables ends the engine's writing for
/// good, whatever the cause and however short: from then on it can only be read. Acknowledged
/// commits are on the disk. So the engine is closed and opened again, in the same way as at the
/// start of a process, as soon as it would find what it may have lacked. Until then reads go on,
/// and writes are refused.
pub struct Keeper {
    place: StoreDirectory,
    options: FjallOptions,
    lasting: Arc<Lasting>,
    probe: Probe,
}

impl Keeper {
    pub fn new(place: StoreDirectory, options: &FjallOptions, lasting: &Arc<Lasting>) -> Self {
        let (options, lasting) = (options.clone(), Arc::clone(lasting));
        Self { place, probe: Probe::new(&options), options, lasting }
    }

    /// Works until all work is done and no more can come; then the directory is free again.
    pub fn run(mut self, session: Session, queue: mpsc::Receiver<Work>) {
        let mut work = Waiting { intake: Intake::new(queue), held: None };
        let mut open = Some(session);
        while let Some(mut session) = open {
            open = match session.write(&mut work.intake, &mut work.held) {
                End::Closed => {
                    session.close(&self.lasting);
                    None
                }
                End::Failed => self.recover(session, &mut work),
            };
        }
        self.lasting.readers.refuse(closed());
    }

    /// Opens the engine again; `None` when the store is to be closed.
    fn recover(&mut self, failed: Session, work: &mut Waiting) -> Option<Session> {
        tracing::error!("the store takes no writes until it is opened anew, which is tried now");
        let mut open = Some(failed);
        let mut why = Error::Unavailable(failure::OUT_OF_SERVICE.into());
        loop {
            let pause = pause_after(self.lasting.health.failed());
            if !pause.is_zero() && work.refuse(pause, &why, &self.lasting).is_break() {
                if let Some(session) = open {
                    session.close(&self.lasting);
                }
                return None;
            }
            let error = match self.open_again(&mut open) {
                Ok(session) => {
                    tracing::info!("the store is open and takes writes again");
                    return Some(session);
                }
                Err(error) => refusal(error),
            };
            if matches!(error, Error::Full(_)) {
                self.lasting.health.excused();
            }
            if open.is_none() {
                self.lasting.readers.refuse(error.clone());
            }
            if error.to_string() != why.to_string() {
                tracing::warn!(%error, reads = open.is_some(), "the store takes no writes yet");
            }
            why = error;
        }
    }

    /// Leaves the failed engine open as long as there is no point in opening it again.
    fn open_again(&mut self, failed: &mut Option<Session>) -> Result<Session> {
        self.probe.check(failed.as_ref().map_or(0, Session::buffered))?;
        if let Some(session) = failed.take() {
            session.close(&self.lasting);
        }
        Session::again(&self.place, &self.options, &self.lasting)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.lasting.health.lost();
            // The readers' threads may be closed, and nothing opens them any more.
            let why = "the store has stopped; restart the service";
            self.lasting.readers.refuse(Error::Unavailable(why.into()));
        }
    }
}

/// How long to wait after this many failures in a row.
fn pause_after(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        more => FIRST_PAUSE.saturating_mul(1 << (more - 2).min(16)).min(LONGEST_PAUSE),
    }
}

/// The error for callers while the engine does not open.
fn refusal(error: Error) -> Error {
    match error {
        Error::Full(_) => error,
        error => Error::Unavailable(format!("{}; {error}", failure::OUT_OF_SERVICE)),
    }
}

/// The work that waits to be written.
struct Waiting {
    intake: Intake<Work>,
    /// It was taken before the engine failed, and goes first.
    held: Option<Work>,
}

impl Waiting {
    /// Refuses the work that waits and the work that comes in this time; breaks off when no more
    /// can come.
    fn refuse(&mut self, time: Duration, why: &Error, lasting: &Lasting) -> ControlFlow<()> {
        let end = Instant::now() + time;
        loop {
            let next = match self.held.take() {
                Some(work) => Poll::Ready(Some(work)),
                None => self.intake.wait(end.saturating_duration_since(Instant::now())),
            };
            match next {
                Poll::Ready(Some(Work::Close)) => self.intake.close(),
                Poll::Ready(Some(work)) => work.refuse(why, &lasting.cache),
                Poll::Ready(None) => return ControlFlow::Break(()),
                Poll::Pending if Instant::now() >= end => return ControlFlow::Continue(()),
                Poll::Pending => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let pauses: Vec<_> = (0..=6).map(|failures| pause_after(failures).as_millis()).collect();
        assert_eq!(pauses, [0, 0, 100, 200, 400, 800, 1600]);
        for failures in [7, 60, u32::MAX] {
            assert_eq!(pause_after(failures), LONGEST_PAUSE);
        }
    }
}
