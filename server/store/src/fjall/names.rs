//! Names of files in the data directory.

use std::ffi::OsStr;

use super::{probe::PROBE, uptime};

/// Held by the process that has the store open.
pub const LOCK: &str = "LOCK";
/// Says what the directory is, and in which format.
pub const FORMAT: &str = "FORMAT";
pub const FORMAT_NEW: &str = "FORMAT.new";
/// The engine's own directory, and its name until it is complete.
pub const TABLES: &str = "db";
pub const TABLES_NEW: &str = "db.new";
/// The directory that a file system puts at its top.
pub const OF_THE_FILE_SYSTEM: &str = "lost+found";
/// Directory for what is taken out of a journal, and for foreign files that would be in the way.
pub const SET_ASIDE: &str = "set-aside";

/// Directory for the journals while the engine replays a copy, and its name once it has.
pub const REPLAYING: &str = "replaying";
pub const REPLAYED: &str = "replayed";

/// Whether a name belongs into a store's directory.
pub fn is_known(name: &OsStr) -> bool {
    let known = [
        LOCK,
        FORMAT,
        FORMAT_NEW,
        TABLES,
        TABLES_NEW,
        PROBE,
        OF_THE_FILE_SYSTEM,
        SET_ASIDE,
        REPLAYING,
        REPLAYED,
    ];
    known.iter().chain(&uptime::NAMES).any(|known| name == *known)
}
