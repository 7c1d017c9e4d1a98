use std::collections::HashSet;

use jobtracker_model::JobId;
use tokio::sync::oneshot;

use super::{chores::Chore, hot_cache::HotCache, intake::Intake};
use crate::{DocumentChange, Error, Result, TreeCommit};

/// Rows after which a group takes no more calls.
const GROUP_ROWS: usize = 50_000;
/// Bytes of a document that count as one row.
const DOCUMENT_BYTES_AS_A_ROW: usize = 1024;

/// A request to the writer.
pub enum Work {
    Commit {
        commits: Vec<TreeCommit>,
        reply: oneshot::Sender<Vec<Result<()>>>,
    },
    Reserve {
        count: u32,
        reply: oneshot::Sender<Result<JobId>>,
    },
    Check {
        reply: oneshot::Sender<Result<()>>,
    },
    Document {
        change: DocumentChange,
        reply: oneshot::Sender<Result<()>>,
    },
    Chore(Box<dyn Chore>),
    /// A stage has been discarded.
    Discarded,
    Close,
}

impl Work {
    /// Answers that nothing of it was done.
    pub fn refuse(self, error: &Error, cache: &HotCache) {
        // A caller that has gone gets no answer.
        match self {
            Self::Commit { commits, reply } => {
                reply.send(vec![Err(error.clone()); commits.len()]).ok();
            }
            Self::Reserve { reply, .. } => drop(reply.send(Err(error.clone()))),
            Self::Document { reply, .. } | Self::Check { reply } => {
                drop(reply.send(Err(error.clone())));
            }
            Self::Chore(chore) => chore.end(cache, Err(error.clone())),
            Self::Discarded | Self::Close => {}
        }
    }
}

/// Takes the work that waits behind `first`, as far as it fits into one batch. A tree can be in a
/// batch once; a call that has it again is held for the next batch.
pub fn gather(first: Work, intake: &mut Intake<Work>, held: &mut Option<Work>) -> Vec<Work> {
    let mut roots = HashSet::new();
    let mut rows = 0;
    let mut group = Vec::new();
    let mut next = Some(first);
    while let Some(work) = next {
        match &work {
            Work::Commit { commits, .. } => {
                if commits.iter().any(|commit| roots.contains(&commit.root)) {
                    *held = Some(work);
                    break;
                }
                roots.extend(commits.iter().map(|commit| commit.root));
                rows += commits.iter().map(|commit| commit.rows.len()).sum::<usize>();
            }
            Work::Document { change, .. } => {
                let bytes = change.new.as_ref().map_or(0, |(_, bytes)| bytes.len());
                rows += 1 + bytes / DOCUMENT_BYTES_AS_A_ROW;
            }
            Work::Close => intake.close(),
            Work::Reserve { .. } | Work::Check { .. } | Work::Chore(_) | Work::Discarded => {}
        }
        group.push(work);
        next = if rows < GROUP_ROWS { intake.try_receive() } else { None };
    }
    group
}
