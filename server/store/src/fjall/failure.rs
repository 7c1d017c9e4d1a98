//! The meaning of the engine's failures for a caller.

use std::{any::Any, io, path::Path};

use fjall::LsmError;

use crate::{Error, Result};

/// What callers are told when the engine takes no writes any more.
pub const OUT_OF_SERVICE: &str = "writing to the disk has failed; the store tries to open it anew";

/// A read that failed.
pub fn reading(error: fjall::Error) -> Error {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(LsmError::Io(error)) => {
            match error.kind() {
                // A file that is gone or shorter than it was will not come back by itself.
                io::ErrorKind::NotFound
                | io::ErrorKind::UnexpectedEof
                | io::ErrorKind::InvalidData
                | io::ErrorKind::InvalidInput => Error::Corrupt(error.to_string()),
                _ => Error::Unavailable(format!("reading failed: {error}")),
            }
        }
        fjall::Error::Poisoned => Error::Unavailable(OUT_OF_SERVICE.into()),
        error => Error::Corrupt(error.to_string()),
    }
}

/// The engine could not be opened.
pub fn opening(directory: &Path, error: fjall::Error) -> Error {
    match error {
        fjall::Error::Locked => locked(directory),
        fjall::Error::Io(error) | fjall::Error::Storage(LsmError::Io(error)) => {
            match error.kind() {
                io::ErrorKind::NotFound
                | io::ErrorKind::UnexpectedEof
                | io::ErrorKind::InvalidData
                | io::ErrorKind::InvalidInput => {
                    Error::Corrupt(format!("{}: {error}", directory.display()))
                }
                _ => unusable(directory, &error),
            }
        }
        error => Error::Corrupt(format!("{}: {error}", directory.display())),
    }
}

/// Another process has locked the directory.
pub fn locked(directory: &Path) -> Error {
    Error::Locked(format!("the data directory {}", directory.display()))
}

/// The directory, or something in it, cannot be read or written, or has no room.
pub fn unusable(place: &Path, error: &io::Error) -> Error {
    if is_full(error) {
        return Error::Full(format!("{}: {error}", place.display()));
    }
    let reason = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!("{error}; this process needs to read and write there")
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            format!("{error}; a directory is needed")
        }
        _ => error.to_string(),
    };
    Error::Unusable { place: place.display().to_string(), reason }
}

/// Whether the disk is full, or full for this user. Room may come back, and a new process would
/// have no more of it.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Runs code of the engine, which may panic where it meets bytes that it did not expect.
pub fn caught<T>(what: &str, work: impl FnOnce() -> T) -> Result<T> {
    // What the closure uses is either dropped after a panic or guarded by the engine.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .map_err(|panic| Error::Corrupt(format!("{what} stopped: {}", text(&*panic))))
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let string = panic.downcast_ref::<String>().map(String::as_str);
    string.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("for an unknown reason")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_room_is_full_whatever_found_it() {
        const ENOSPC: i32 = 28;
        const EDQUOT: i32 = 122;
        const EROFS: i32 = 30;
        const EFBIG: i32 = 27;
        let place = Path::new("/data");
        let io = io::Error::from_raw_os_error;
        for full in [ENOSPC, EDQUOT] {
            for error in [
                unusable(place, &io(full)),
                opening(place, fjall::Error::Io(io(full))),
                opening(place, fjall::Error::Storage(LsmError::Io(io(full)))),
            ] {
                assert!(matches!(&error, Error::Full(_)), "{error}");
            }
        }
        // These do not pass by themselves, nor when something is deleted.
        for other in [EROFS, EFBIG] {
            let error = opening(place, fjall::Error::Io(io(other)));
            assert!(matches!(&error, Error::Unusable { .. }), "{error}");
        }
    }
}
