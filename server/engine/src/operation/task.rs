use jobtracker_model::{State, TaskReport, Timestamp};
use jobtracker_store::{Assignment, CancelReason, TaskRow};

/// A change to the task of one job.
#[derive(Debug)]
pub(crate) enum TaskChange {
    Claim(Claim),
    Report(TaskReport),
    /// Look at a lease that is due. If its worker has been heard of, it lasts until that time.
    Look {
        epoch: u32,
        until: Option<Timestamp>,
    },
    /// End a lease: its worker may not have any more.
    Lose {
        epoch: u32,
        why: String,
    },
    /// No worker has claimed it in time, or there is none that may.
    Unclaimed {
        epoch: u32,
        why: String,
    },
    Cancel {
        reason: CancelReason,
        by: Option<Box<str>>,
    },
    Pause {
        by: Option<Box<str>>,
    },
    Resume {
        by: Option<Box<str>>,
    },
    /// Keep it for one worker.
    Assign {
        epoch: u32,
        to: Assignment,
    },
}

/// A claim of a task by a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// How many leases of the task there were when the worker chose it.
    pub epoch: u32,
    /// The worker's id.
    pub worker: String,
    /// When the lease ends unless the worker is heard of.
    pub until: Timestamp,
}

/// The holder of a lease, which an operation names that only the holder may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The worker's id.
    pub worker: String,
    /// The lease.
    pub epoch: u32,
}

/// What became of a change to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskChanged {
    /// Whether it changed something. A repetition does not, and neither does a change that came too
    /// late.
    pub done: bool,
    /// The task after it.
    pub task: Box<TaskRow>,
    /// The job's visible state after it.
    pub state: State,
}

impl TaskChange {
    /// About how much memory its texts take.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Report(report) => report.bytes(),
            Self::Claim(claim) => claim.worker.len(),
            Self::Assign { to, .. } => to.worker.len(),
            Self::Lose { why, .. } | Self::Unclaimed { why, .. } => why.len(),
            _ => 0,
        }
    }
}
