use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, SeqAccess, Visitor},
};

use crate::{Action, Change, Definition, JobId, NewCheck, Timestamp};

/// One record of a stream; see the [module](super) for the order in which they come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record<'a> {
    /// The begin.
    Header {
        /// The rule by which the sender recorded: whether updates to finished jobs change nothing.
        block_updates_after_finish: bool,
    },
    /// A tree begins.
    Tree {
        /// Its root, new or not.
        root: JobId,
    },
    /// A new job. The next records are about it.
    Job {
        /// Its id.
        id: JobId,
        /// Its parent; none for a new root.
        parent: Option<JobId>,
        /// The place of its creation among what was recorded in the tree.
        order: u64,
        /// When it was created.
        time: Timestamp,
        /// What its creator says of it.
        definition: Cow<'a, Definition>,
    },
    /// A job that the service has. The next records are about it.
    Existing {
        /// Its id.
        id: JobId,
    },
    /// A state that the job reported.
    Change {
        /// The place among what was recorded in the tree.
        order: u64,
        /// The change with its time.
        #[serde(with = "numbered")]
        change: Cow<'a, Change>,
    },
    /// Other options for the job; the last ones count.
    Options {
        /// The options; none takes them away.
        options: Option<Cow<'a, str>>,
    },
    /// A line for the job's log.
    LogLine {
        /// When it was recorded.
        time: Timestamp,
        /// What it says.
        text: Cow<'a, str>,
    },
    /// The tree is complete.
    TreeEnd {
        /// How many records of new jobs it had: [`Job`](Self::Job) and
        /// [`FollowedJob`](Self::FollowedJob).
        jobs: u64,
        /// How many [`Change`](Self::Change) records it had.
        changes: u64,
        /// XXH3 of all its bytes before this record.
        checksum: u64,
    },
    /// The stream is complete.
    End {
        /// How many trees it had.
        trees: u64,
    },
    /// A new job with actions or checks. The next records are about it.
    FollowedJob {
        /// Its id.
        id: JobId,
        /// Its parent; none for a new root.
        parent: Option<JobId>,
        /// The place of its creation among what was recorded in the tree.
        order: u64,
        /// When it was created.
        time: Timestamp,
        /// What its creator says of it.
        definition: Cow<'a, Definition>,
        /// Whom to tell of its states.
        #[serde(deserialize_with = "few")]
        actions: Cow<'a, [Action]>,
        /// When to check it.
        #[serde(deserialize_with = "few")]
        checks: Cow<'a, [NewCheck]>,
    },
}

/// Items of a list past which it is not read on. A list that is longer than a job may have and
/// shorter than this is refused when the fields are checked.
const FEW: usize = 256;

/// Reads a list. An item takes a hundred times as much memory as the few bytes that it may have
/// come as, so a list without a bound would be a danger.
fn few<'de, D, T>(deserializer: D) -> Result<Cow<'static, [T]>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Clone + 'static,
{
    struct Few<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Few<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of up to {FEW}")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                if list.len() == FEW {
                    return Err(de::Error::invalid_length(FEW + 1, &self));
                }
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(Few(PhantomData)).map(Cow::Owned)
}

/// A change with the number of its state, which is what other languages know it by.
mod numbered {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use crate::{Change, State, Timestamp};

    type Fields<T> = (u8, Timestamp, Option<T>, Option<T>, Option<T>);

    pub fn serialize<S: Serializer>(change: &Change, serializer: S) -> Result<S::Ok, S::Error> {
        // A context records for services, so no change of it is by hand.
        let Change { state, time, message, reason_code, change_id, by: _ } = change;
        let fields: Fields<&String> =
            (state.number(), *time, message.as_ref(), reason_code.as_ref(), change_id.as_ref());
        fields.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Cow<'static, Change>, D::Error> {
        let (number, time, message, reason_code, change_id): Fields<String> =
            Deserialize::deserialize(deserializer)?;
        let state = State::from_number(number);
        let state = state.ok_or_else(|| de::Error::custom("there is no state with this number"))?;
        Ok(Cow::Owned(Change { state, time, message, reason_code, change_id, by: None }))
    }
}
