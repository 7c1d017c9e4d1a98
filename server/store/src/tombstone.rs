use std::{fmt, sync::Arc};

use jobtracker_model::{Definition, JobId, Timestamp, rollup::Status};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, SeqAccess, Visitor},
};

use crate::JobRow;

/// What is kept of a deleted tree, by its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// When it was deleted.
    pub time: Timestamp,
    /// The name of the principal, or of the retention rule, that asked for it.
    pub by: String,
    /// How many jobs it had.
    pub jobs: u64,
    /// Until when this is kept.
    pub until: Timestamp,
    /// Its root as it was last, if that is kept.
    pub summary: Option<Arc<Summary>>,
}

/// The root of a deleted tree. Stored as it is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// What its creator said.
    pub definition: Definition,
    /// Its state, numbers and times.
    pub status: Status,
}

impl Tombstone {
    /// The root of the tree, if its summary is kept.
    #[must_use]
    pub fn summary_of(&self, root: JobId) -> Option<JobRow> {
        let Summary { definition, status } = Summary::clone(self.summary.as_ref()?);
        let definition = Arc::new(definition);
        Some(JobRow { id: root, parent: None, root, depth: 0, definition, status })
    }
}

/// Stands for the number of jobs where that and a summary come behind the other fields. A tree has
/// at least one job, so older rows, which have no summary, are read as they are.
const WITH_SUMMARY: u64 = 0;

impl Serialize for Tombstone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { time, by, jobs, until, summary } = self;
        match summary {
            None => (time, by, jobs, until).serialize(serializer),
            Some(summary) => {
                (time, by, WITH_SUMMARY, until, jobs, &**summary).serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tombstone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(6, Parts)
    }
}

struct Parts;

impl<'de> Visitor<'de> for Parts {
    type Value = Tombstone;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tombstone")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Tombstone, A::Error> {
        let (time, by) = (next(&mut parts)?, next(&mut parts)?);
        let (jobs, until) = (next(&mut parts)?, next(&mut parts)?);
        if jobs != WITH_SUMMARY {
            return Ok(Tombstone { time, by, jobs, until, summary: None });
        }
        let (jobs, summary) = (next(&mut parts)?, Some(Arc::new(next(&mut parts)?)));
        Ok(Tombstone { time, by, jobs, until, summary })
    }
}

fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(from: &mut A) -> Result<T, A::Error> {
    from.next_element()?.ok_or_else(|| A::Error::custom("a tombstone ends early"))
}
