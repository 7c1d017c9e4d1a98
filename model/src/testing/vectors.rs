use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{JobId, State};

/// A worked example: what is done to a tree, and what it is afterwards.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    /// Its name.
    pub name: String,
    /// Whether updates to finished jobs are blocked.
    pub block_updates_after_finish: bool,
    /// What is done, in order.
    pub ops: Vec<Step>,
    /// Every job afterwards.
    pub expect: Vec<Expected>,
}

/// One thing that is done.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// A job is created.
    Create {
        /// Its id.
        id: JobId,
        /// Its parent.
        parent: Option<JobId>,
    },
    /// A state is reported.
    Update {
        /// The job.
        id: JobId,
        /// The state.
        state: State,
        /// Whether it is applied.
        applied: bool,
    },
}

/// A job as it has to be at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The job.
    pub id: JobId,
    /// Its visible state.
    pub state: State,
    /// Direct children by category.
    pub pending: u64,
    /// Likewise.
    pub successful: u64,
    /// Likewise.
    pub failed: u64,
    /// Descendants by visible state.
    pub subtree: ExpectedSubtree,
    /// Where its first Running came from.
    pub tree_start_source: Option<JobId>,
    /// The job that finished it.
    pub tree_end_source: Option<JobId>,
    /// Its own changes.
    pub changes: Vec<State>,
    /// The visible states that it became, one after the other.
    pub fired: Vec<State>,
}

/// The subtree numbers of an [`Expected`] job, as the examples spell them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedSubtree {
    total: u64,
    waiting: u64,
    running: u64,
    waiting_for_children: u64,
    successful: u64,
    failed: u64,
}

impl From<crate::Subtree> for ExpectedSubtree {
    fn from(numbers: crate::Subtree) -> Self {
        let crate::Subtree { total, waiting, running, waiting_for_children, successful, failed } =
            numbers;
        Self { total, waiting, running, waiting_for_children, successful, failed }
    }
}

impl Vector {
    /// The project's copy of the examples.
    ///
    /// # Panics
    /// They are not there or cannot be read.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
        let mut paths: Vec<_> = fs::read_dir(&folder)
            .expect("the examples are in the project")
            .map(|entry| entry.expect("the folder can be read").path())
            .collect();
        paths.sort();
        assert!(!paths.is_empty(), "there are no examples in {}", folder.display());
        paths
            .iter()
            .map(|path| {
                let text = fs::read_to_string(path).expect("an example can be read");
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"))
            })
            .collect()
    }
}
