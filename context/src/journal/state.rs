use std::{io, sync::Arc};

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use super::{HEADER, entry::FIRST};

/// What a journal and its thread share.
pub(super) struct Shared {
    pub state: Mutex<State>,
    /// Notified when there are bytes to write.
    pub work: Condvar,
    /// Notified when the waiting bytes have been written.
    pub written: Notify,
}

/// The state that the lock of a journal guards.
pub(super) struct State {
    /// The bytes that wait for the file, and the version of their format.
    pub bytes: Vec<u8>,
    pub version: u8,
    /// How much has been appended since the journal was opened, in bytes and new begins.
    pub appended: u64,
    /// How much of that has to be durable.
    pub wanted: u64,
    /// The size of the file with the waiting bytes.
    pub size: u64,
    /// The size with which it last began anew.
    pub begun: u64,
    /// Operations in it that have no outcome yet.
    pub open_operations: u64,
    /// How the file has to begin anew before the waiting bytes are written.
    pub restart: Option<Restart>,
    /// Whether the file is marked as in doubt.
    pub is_in_doubt: bool,
    /// Whether it is tried again at once after a failure.
    pub try_now: bool,
    pub closing: bool,
}

/// A new begin of the file.
#[derive(Default)]
pub(super) struct Restart {
    /// The content of the file is not needed any more, nor the bytes that had to be written then.
    pub is_empty: bool,
    /// If this is not empty, it replaces the whole content of the file.
    pub entries: Vec<u8>,
    /// Bytes that had to be written before that, and are written instead if the new begin fails.
    pub instead: Vec<u8>,
    /// By how much the file is larger then.
    pub saved: u64,
    /// The version of its format.
    pub version: u8,
}

/// How much of what was appended is durable.
#[derive(Clone, Default)]
pub(super) struct Synced {
    pub up_to: u64,
    /// How often it was tried to write.
    pub tries: u64,
    /// Why the last time failed.
    pub failure: Option<Arc<io::Error>>,
}

impl State {
    /// The state of a file that has this many bytes and operations without an outcome.
    pub fn new(size: u64, open_operations: u64) -> Self {
        Self {
            bytes: Vec::new(),
            version: FIRST,
            appended: 0,
            wanted: 0,
            size,
            begun: HEADER,
            open_operations,
            restart: None,
            is_in_doubt: false,
            try_now: false,
            closing: false,
        }
    }

    /// From now on only these entries are in the journal.
    pub fn begin_anew(&mut self, entries: Vec<u8>) {
        let size = HEADER + entries.len() as u64;
        if entries.is_empty() {
            self.bytes.clear();
            self.restart = Some(Restart { is_empty: true, ..Restart::default() });
        } else {
            let mut restart = self.restart.take().unwrap_or_default();
            restart.instead.append(&mut self.bytes);
            restart.saved += self.size.saturating_sub(size);
            restart.entries = entries;
            self.restart = Some(restart);
        }
        self.version = FIRST;
        self.try_now = true;
        (self.size, self.begun) = (size, size);
        // It has to become durable like everything else.
        self.appended += 1;
    }

    /// Bytes that could not be written wait again, before the bytes that have come since.
    pub fn put_back(&mut self, restart: Option<Restart>, version: u8, mut bytes: Vec<u8>) {
        match &mut self.restart {
            None => {
                bytes.append(&mut self.bytes);
                (self.bytes, self.restart) = (bytes, restart);
                self.version = self.version.max(version);
            }
            // The later begin replaces them.
            Some(later) if later.entries.is_empty() => {}
            Some(later) => {
                let mut restart = restart.unwrap_or_default();
                restart.instead.append(&mut bytes);
                restart.instead.append(&mut later.instead);
                later.instead = restart.instead;
                later.saved += restart.saved;
                later.is_empty |= restart.is_empty;
            }
        }
    }
}
