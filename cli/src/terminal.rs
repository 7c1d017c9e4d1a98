//! The output of commands for their users: a part of the command line, like `main.rs`.
//!
//! The macros that print panic when they fail, so they are not used.

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

/// The reader of standard output is gone.
#[derive(Debug, thiserror::Error)]
#[error("nothing reads what is written")]
pub struct ReaderGone;

/// The exit code of a process that SIGPIPE (13) has ended, as shells report it.
const READER_GONE: u8 = 128 + 13;

/// How long the end of the process waits for its last line to be written.
const LAST_LINE: Duration = Duration::from_millis(1_500);

/// Writes a line to standard output: a result of the command.
pub fn print(line: impl Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let done = writeln!(out, "{line}").and_then(|()| out.flush());
    done.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => ReaderGone.into(),
        _ => anyhow::anyhow!("cannot write to standard output: {error}"),
    })
}

/// Writes a line to standard error, beside the command's result: the command goes on when the line
/// cannot be written.
pub fn tell(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// The exit code for a result, after its error has been printed if that is possible.
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

/// Writes a line to standard error if that is done soon: a full pipe without a reader does not
/// delay the end.
fn tell_soon(line: &Arc<str>) {
    let (done, told) = mpsc::channel();
    let last = Arc::clone(line);
    let telling = thread::Builder::new().name("last-line".into()).spawn(move || {
        tell(last);
        // After the timeout the receiver is gone.
        let _ = done.send(());
    });
    match telling {
        Ok(_) => drop(told.recv_timeout(LAST_LINE)),
        Err(_) => tell(line),
    }
}
