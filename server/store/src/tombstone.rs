use std::{fmt, sync::Arc};

use jobtracker_model::{Definition, Job, JobId, KeptFailure, Timestamp, rollup::Status};
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

/// The root of a deleted tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// What its creator said.
    pub definition: Definition,
    /// Its state, numbers and times.
    pub status: Status,
    /// The first jobs of the tree that failed by themselves.
    pub failures: Vec<KeptFailure>,
}

impl Tombstone {
    /// The root of the tree, if its summary is kept.
    #[must_use]
    pub fn summary_of(&self, root: JobId) -> Option<Job> {
        let Summary { definition, status, failures } = Summary::clone(self.summary.as_ref()?);
        let definition = Arc::new(definition);
        let row = JobRow { id: root, parent: None, root, depth: 0, definition, status };
        Some(Job { summary: true, failures, ..Job::from(row) })
    }
}

/// Stands for the number of jobs where that and a summary come behind the other fields, and there
/// once more where the summary has failures. A tree has at least one job, so older rows, which have
/// neither, are read as they are.
const WITH_MORE: u64 = 0;

impl Serialize for Tombstone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { time, by, jobs, until, summary } = self;
        let Some(summary) = summary else { return (time, by, jobs, until).serialize(serializer) };
        let Summary { definition, status, failures } = &**summary;
        let kept = (definition, status);
        match failures.is_empty() {
            true => (time, by, WITH_MORE, until, jobs, kept).serialize(serializer),
            false => {
                (time, by, WITH_MORE, until, WITH_MORE, jobs, kept, failures).serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tombstone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(8, Parts)
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
        if jobs != WITH_MORE {
            return Ok(Tombstone { time, by, jobs, until, summary: None });
        }
        let jobs = next(&mut parts)?;
        let has_failures = jobs == WITH_MORE;
        let jobs = if has_failures { next(&mut parts)? } else { jobs };
        let (definition, status) = next(&mut parts)?;
        let failures = if has_failures { next(&mut parts)? } else { Vec::new() };
        let summary = Some(Arc::new(Summary { definition, status, failures }));
        Ok(Tombstone { time, by, jobs, until, summary })
    }
}

fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(from: &mut A) -> Result<T, A::Error> {
    from.next_element()?.ok_or_else(|| A::Error::custom("a tombstone ends early"))
}
