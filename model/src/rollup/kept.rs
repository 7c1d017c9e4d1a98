//! How stores keep a status.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, SeqAccess, Visitor},
    ser::SerializeTuple,
};

use super::{Flags, Status};
use crate::{Children, Mark, Report, State, Subtree, Timestamp};

/// A status as stores keep it. The fields stay as they are for ever. What came later stands behind
/// it where a bit of `flags` says so: rows of before are read as they are, and those that have
/// nothing more to say are no larger.
#[derive(Serialize, Deserialize)]
struct Kept {
    state: State,
    last: State,
    flags: u8,
    create_time: Timestamp,
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    children: Children,
    subtree: Subtree,
    tree_start: Option<Mark>,
    tree_end: Option<Mark>,
    changes: u32,
    log_lines: u32,
    attachments: u32,
}

const EVER_FAULTED: u8 = 1;
const FOLLOWED: u8 = 2;
/// The first Faulted report stands behind.
const FIRST_FAULT: u8 = 4;
const KNOWN: u8 = EVER_FAULTED | FOLLOWED | FIRST_FAULT;

impl Kept {
    fn new(status: &Status) -> Self {
        let Status { state, last, create_time, start_time, end_time, .. } = *status;
        let Status { flags, children, subtree, tree_start, tree_end, .. } = *status;
        let Status { changes, log_lines, attachments, first_fault, .. } = *status;
        let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        let flags = bit(flags.ever_faulted, EVER_FAULTED)
            | bit(flags.followed, FOLLOWED)
            | bit(first_fault.is_some(), FIRST_FAULT);
        Self {
            state,
            last,
            flags,
            create_time,
            start_time,
            end_time,
            children,
            subtree,
            tree_start,
            tree_end,
            changes,
            log_lines,
            attachments,
        }
    }

    fn status(self, first_fault: Option<Report>) -> Status {
        let Self { state, last, flags, create_time, start_time, end_time, .. } = self;
        let Self { children, subtree, tree_start, tree_end, .. } = self;
        let Self { changes, log_lines, attachments, .. } = self;
        let (ever_faulted, followed) = (flags & EVER_FAULTED != 0, flags & FOLLOWED != 0);
        Status {
            state,
            last,
            flags: Flags { ever_faulted, followed },
            create_time,
            start_time,
            end_time,
            children,
            subtree,
            tree_start,
            tree_end,
            changes,
            log_lines,
            attachments,
            first_fault,
        }
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return Self::serialize(self, serializer);
        }
        let parts = 1 + usize::from(self.first_fault.is_some());
        let mut tuple = serializer.serialize_tuple(parts)?;
        tuple.serialize_element(&Kept::new(self))?;
        if let Some(report) = &self.first_fault {
            tuple.serialize_element(report)?;
        }
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Self::deserialize(deserializer);
        }
        deserializer.deserialize_tuple(2, Parts)
    }
}

struct Parts;

impl<'de> Visitor<'de> for Parts {
    type Value = Status;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Status, A::Error> {
        let missing = || A::Error::invalid_length(0, &self);
        let kept: Kept = parts.next_element()?.ok_or_else(missing)?;
        if kept.flags > KNOWN {
            return Err(A::Error::custom(format!("unknown flags {:#b}", kept.flags)));
        }
        let first_fault = match kept.flags & FIRST_FAULT {
            0 => None,
            _ => Some(parts.next_element()?.ok_or_else(missing)?),
        };
        Ok(kept.status(first_fault))
    }
}
