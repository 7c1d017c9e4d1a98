//! How stores keep a status.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, SeqAccess, Visitor},
    ser::SerializeTuple,
};

use super::{FirstFault, Flags, Status};

const EVER_FAULTED: u8 = 1;
const FOLLOWED: u8 = 2;
/// The first Faulted report stands behind.
const FIRST_FAULT: u8 = 4;
/// There is no Faulted report.
const NO_FAULT: u8 = 8;
const KNOWN: u8 = EVER_FAULTED | FOLLOWED | FIRST_FAULT | NO_FAULT;

/// The fields in the order in which they are kept, with a byte of bits among them. This stays as it
/// is for ever. Later fields stand behind it where a bit says so: older rows are read as they are,
/// and rows without the later fields are no larger.
macro_rules! kept {
    ($($before:ident)* [bits] $($behind:ident)*) => {
        fn write<T: SerializeTuple>(status: &Status, to: &mut T) -> Result<(), T::Error> {
            let Status { $($before,)* flags: _, $($behind,)* first_fault } = status;
            $(to.serialize_element($before)?;)*
            to.serialize_element(&bits(status))?;
            $(to.serialize_element($behind)?;)*
            first_fault.report().map_or(Ok(()), |report| to.serialize_element(&report))
        }

        fn read<'de, A: SeqAccess<'de>>(from: &mut A) -> Result<Status, A::Error> {
            $(let $before = next(from)?;)*
            let bits: u8 = next(from)?;
            let flags = flags(bits)?;
            $(let $behind = next(from)?;)*
            let first_fault = match bits & (FIRST_FAULT | NO_FAULT) {
                0 => FirstFault::Unknown,
                NO_FAULT => FirstFault::None,
                FIRST_FAULT => FirstFault::At(next(from)?),
                _ => return Err(A::Error::custom(format!("contradicting flags {bits:#b}"))),
            };
            Ok(Status { $($before,)* flags, $($behind,)* first_fault })
        }

        /// With the fields that may stand behind.
        const PARTS: usize = [$(stringify!($before),)* "bits", $(stringify!($behind)),*].len() + 1;
    };
}

kept! {
    state last [bits] create_time start_time end_time children subtree tree_start tree_end changes
    log_lines attachments
}

fn bits(status: &Status) -> u8 {
    let Flags { ever_faulted, followed } = status.flags;
    let first_fault = match status.first_fault {
        FirstFault::Unknown => 0,
        FirstFault::None => NO_FAULT,
        FirstFault::At(_) => FIRST_FAULT,
    };
    let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    bit(ever_faulted, EVER_FAULTED) | bit(followed, FOLLOWED) | first_fault
}

fn flags<E: Error>(bits: u8) -> Result<Flags, E> {
    if bits > KNOWN {
        return Err(E::custom(format!("unknown flags {bits:#b}")));
    }
    Ok(Flags { ever_faulted: bits & EVER_FAULTED != 0, followed: bits & FOLLOWED != 0 })
}

fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(from: &mut A) -> Result<T, A::Error> {
    from.next_element()?.ok_or_else(|| A::Error::custom("a status ends early"))
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return Self::serialize(self, serializer);
        }
        let behind = usize::from(self.first_fault.report().is_some());
        let mut tuple = serializer.serialize_tuple(PARTS - 1 + behind)?;
        write(self, &mut tuple)?;
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Self::deserialize(deserializer);
        }
        deserializer.deserialize_tuple(PARTS, Parts)
    }
}

struct Parts;

impl<'de> Visitor<'de> for Parts {
    type Value = Status;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Status, A::Error> {
        read(&mut parts)
    }
}
