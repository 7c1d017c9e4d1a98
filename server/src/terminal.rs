//! What commands say to the people who run them: a part of the command line, as `main.rs` is.
//!
//! The macros that print panic when they cannot, so they are used nowhere.

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

/// Standard output leads to a reader that has had enough.
#[derive(Debug, thiserror::Error)]
#[error("nothing reads what is written")]
pub struct ReaderGone;

/// Standard error leads to a reader that does not read, and whatever is said there waits for it.
#[derive(Debug, thiserror::Error)]
#[error("nothing reads what goes wrong")]
pub struct Unheard;

/// As if SIGPIPE (13) had ended it, which is what shells know.
const READER_GONE: u8 = 128 + 13;

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
        Err(error) if error.is::<Unheard>() => ExitCode::FAILURE,
        Err(error) => {
            tell(format_args!("jobtracker: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
