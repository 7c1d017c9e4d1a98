//! What commands say to the people who run them: a part of the command line, as `main.rs` is.
//!
//! The macros that print panic when they cannot, so they are used nowhere.

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

/// Standard output leads to a reader that has had enough.
#[derive(Debug, thiserror::Error)]
#[error("nothing reads what is written")]
pub struct ReaderGone;

/// As if SIGPIPE (13) had ended it, which is what shells know.
const READER_GONE: u8 = 128 + 13;

/// How long the end of the process waits for its last line to be written.
const LAST_LINE: Duration = Duration::from_millis(1_500);

/// Writes a line to standard output, for which the command was called.
pub fn print(line: impl Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let done = writeln!(out, "{line}").and_then(|()| out.flush());
    done.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => ReaderGone.into(),
        _ => anyhow::anyhow!("cannot write to standard output: {error}"),
    })
}

/// Writes a line to standard error, beside what the command does: that goes on when the line cannot
/// be written.
pub fn tell(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// How the process ends with this, after it has said why if that can be heard.
pub fn end(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<ReaderGone>() => ExitCode::from(READER_GONE),
        Err(error) => {
            tell_soon(&format!("jobtracker: {error:#}").into());
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to standard error if that is done soon: a pipe that is full and not read does not
/// hold up the end.
fn tell_soon(line: &Arc<str>) {
    let (done, told) = mpsc::channel();
    let last = Arc::clone(line);
    let telling = thread::Builder::new().name("last-line".into()).spawn(move || {
        tell(last);
        // When this took too long, nothing waits for it any more.
        let _ = done.send(());
    });
    match telling {
        Ok(_) => drop(told.recv_timeout(LAST_LINE)),
        Err(_) => tell(line),
    }
}
