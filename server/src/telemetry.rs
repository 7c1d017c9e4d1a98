//! The log: lines on standard error, written by a thread of their own.
//!
//! A call that logs never waits and never fails. When the reader of the log does not keep up, lines
//! wait up to [`LINES_WAITING`]; past that, and when a line cannot be written, they are dropped and
//! counted.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    convert::Infallible,
    io::{self, IsTerminal, Write},
    panic::PanicHookInfo,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use crate::{LogConfig, LogFormat};

/// Lines that may wait to be written.
const LINES_WAITING: usize = 10_000;

/// How long the end of the process waits for lines that are not written yet.
const LAST_LINES: Duration = Duration::from_millis(1_500);

/// Lines that found no room in the queue. A process has one log, so this is one number.
static CROWDED_OUT: OnceLock<ErrorCounter> = OnceLock::new();

/// Lines that could not be written.
static UNWRITTEN: AtomicU64 = AtomicU64::new(0);

/// The log of this process; it ends with the process.
pub struct Telemetry {
    /// None once it is closed.
    writing: Mutex<Option<Writing>>,
    /// None if the process had a log already, which stays as it is.
    filter: Option<reload::Handle<EnvFilter, Registry>>,
}

/// The thread that writes.
struct Writing {
    /// Dropping it ends the thread.
    guard: WorkerGuard,
    /// Closed when the thread has ended, after it has written all lines.
    ended: mpsc::Receiver<Infallible>,
}

impl Telemetry {
    /// Sends the log, panics included, to standard error in the configured form and levels. A log
    /// that the process has already stays in place.
    #[must_use]
    pub fn start(config: &LogConfig) -> Self {
        let (writer, ended) = LogWriter::new(io::stderr());
        let (lines, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(LINES_WAITING)
            .lossy(true)
            .thread_name("log")
            .finish(writer);
        let writing = Mutex::new(Some(Writing { guard, ended }));
        let dropped = lines.error_counter();
        let levels = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
        let (levels, handle) = reload::Layer::new(levels);
        let form = tracing_subscriber::fmt::layer()
            .with_writer(lines)
            // Such errors would go to standard error, where a write may fail.
            .log_internal_errors(false);
        let form = match config.format {
            LogFormat::Text => form.with_ansi(is_coloured()).with_target(false).boxed(),
            LogFormat::Json => form.json().flatten_event(true).boxed(),
        };
        let started = tracing_subscriber::registry().with(levels).with(form).try_init();
        if started.is_err() {
            tracing::debug!("a log was set up before; it stays");
            return Self { writing, filter: None };
        }
        CROWDED_OUT.get_or_init(|| dropped);
        std::panic::set_hook(Box::new(log_panic));
        Self { writing, filter: Some(handle) }
    }

    /// Changes the filter. An invalid filter changes nothing.
    pub fn set_filter(&self, filter: &str) {
        let (Some(handle), Ok(levels)) = (&self.filter, EnvFilter::try_new(filter)) else { return };
        if handle.reload(levels).is_err() {
            tracing::warn!("the log filter cannot be changed; it stays");
        }
    }

    /// Writes the waiting lines, if that is done soon: a pipe that is not read does not delay the
    /// end. Lines that are logged later are dropped.
    pub fn close(&self) {
        let Some(Writing { guard, ended }) = self.writing.lock().take() else { return };
        // Dropping the guard waits too, for less time, and may print and fail meanwhile.
        let closing = thread::Builder::new().name("log-close".into()).spawn(move || drop(guard));
        if closing.is_ok() {
            let _ = ended.recv_timeout(LAST_LINES);
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.close();
    }
}

/// How many lines of the log were dropped.
pub(crate) fn dropped_lines() -> u64 {
    let crowded_out = CROWDED_OUT.get().map_or(0, ErrorCounter::dropped_lines);
    UNWRITTEN.load(Relaxed).saturating_add(crowded_out as u64)
}

fn is_coloured() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !refused
}

/// Logs a panic as a line like others: standard error may be full, or not read.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(ToString::to_string);
    let thread = thread::current();
    let trace = Backtrace::capture();
    let trace = (trace.status() == BacktraceStatus::Captured).then(|| trace.to_string());
    tracing::error!(place, thread = thread.name(), trace, "panic: {message}");
}

/// Accepts every line, even if it cannot be written.
struct LogWriter<W> {
    out: W,
    /// The last line was cut off, so the next one has to begin on a new line.
    is_cut: bool,
    /// Dropped with the writer; sends nothing.
    _end: mpsc::Sender<Infallible>,
}

impl<W: Write> LogWriter<W> {
    /// A writer, with a channel that closes when the writer is dropped.
    fn new(out: W) -> (Self, mpsc::Receiver<Infallible>) {
        let (end, ended) = mpsc::channel();
        (Self { out, is_cut: false, _end: end }, ended)
    }
}

impl<W: Write> Write for LogWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let begun = if self.is_cut { self.out.write_all(b"\n") } else { Ok(()) };
        let written = begun.and_then(|()| self.out.write_all(line));
        self.is_cut = written.is_err();
        if self.is_cut {
            UNWRITTEN.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // A failed flush was counted, or shows at the next write.
        let _ = self.out.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for this many bytes.
    struct Disk {
        bytes: Vec<u8>,
        room: usize,
    }

    impl Write for &mut Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fits = bytes.len().min(self.room - self.bytes.len());
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.bytes.extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_was_cut_goes_on_with_a_line_of_its_own() {
        let mut disk = Disk { bytes: Vec::new(), room: 10 };
        let before = dropped_lines();
        let (mut log, _) = LogWriter::new(&mut disk);
        for line in ["first\n", "second\n", "third\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        log.out.room = 100;
        log.write_all(b"fourth\n").unwrap();
        log.flush().unwrap();
        assert_eq!(String::from_utf8_lossy(&disk.bytes), "first\nseco\nfourth\n");
        assert_eq!(dropped_lines() - before, 2);
    }
}
