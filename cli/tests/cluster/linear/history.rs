use jobtracker_client::{Job, JobId, JobNode, State};

/// What one client asked for, and what it was told.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Who asked, for whoever reads a violation.
    pub client: usize,
    /// When it was first sent. Instants are counted, not measured: no two are the same.
    pub begin: u64,
    /// When its last answer came. Without one it may take effect at any time after `begin`, or
    /// never.
    pub end: Option<u64>,
    /// The place in the history of an operation that comes before this one in every order.
    pub after: Option<usize>,
    pub what: What,
}

/// What happens at the one instant, of jobs that are named by `J`.
#[derive(Debug, Clone, PartialEq)]
pub enum What<J = JobId> {
    /// A job that was not there is.
    Create { job: J, parent: J },
    /// A change is appended to a job that is not finished.
    Update {
        job: J,
        state: State,
        /// How many own changes the job had before, where that is known.
        number: Option<u64>,
        /// The visible state that stands after it, if an answer told.
        visible: Option<State>,
    },
    /// An update changes nothing, because the job is finished and visible like this.
    Refused { job: J, visible: State },
    /// All of this was seen at one instant.
    Look(Vec<(J, Sight)>),
}

/// What was seen of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    Absent,
    State(State),
    Whole(Numbers),
}

/// Everything about a job that the rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// The visible state.
    pub state: State,
    /// Direct children: pending, successful, failed.
    pub children: [u64; 3],
    /// Descendants: all, waiting, running, waiting for children, successful, failed.
    pub subtree: [u64; 6],
    /// Own changes, the creation included.
    pub changes: u64,
}

impl Operation {
    /// A write that may have been carried out, or may yet be, or not.
    pub fn in_doubt(client: usize, begin: u64, what: What) -> Self {
        Self { client, begin, end: None, after: None, what }
    }

    pub fn answered(client: usize, [begin, end]: [u64; 2], what: What) -> Self {
        Self { client, begin, end: Some(end), after: None, what }
    }
}

impl<J: Copy> What<J> {
    /// Whether it leaves the tree as it is.
    pub fn is_still(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Look(_))
    }

    /// Every job that it speaks of, but for one that it creates.
    pub fn named(&self, mut name: impl FnMut(J)) {
        match self {
            Self::Create { parent, .. } => name(*parent),
            Self::Update { job, .. } | Self::Refused { job, .. } => name(*job),
            Self::Look(seen) => seen.iter().for_each(|(job, _)| name(*job)),
        }
    }

    /// The same of jobs with other names.
    pub fn rename<K>(&self, mut name: impl FnMut(J) -> K) -> What<K> {
        match *self {
            Self::Create { job, parent } => What::Create { job: name(job), parent: name(parent) },
            Self::Update { job, state, number, visible } => {
                What::Update { job: name(job), state, number, visible }
            }
            Self::Refused { job, visible } => What::Refused { job: name(job), visible },
            Self::Look(ref seen) => {
                What::Look(seen.iter().map(|(job, sight)| (name(*job), *sight)).collect())
            }
        }
    }
}

impl Sight {
    pub fn whole(job: &Job) -> Self {
        Self::Whole(job.into())
    }
}

impl From<&Job> for Numbers {
    fn from(job: &Job) -> Self {
        let (below, changes) = (&job.subtree, job.changes.into());
        Self::new(job.state, &job.children, below, changes)
    }
}

impl From<&JobNode> for Numbers {
    fn from(node: &JobNode) -> Self {
        let status = &node.status;
        Self::new(status.state, &status.children, &status.subtree, status.changes.into())
    }
}

impl Numbers {
    fn new(
        state: State,
        children: &jobtracker_client::Children,
        below: &jobtracker_client::Subtree,
        changes: u64,
    ) -> Self {
        Self {
            state,
            children: [children.pending, children.successful, children.failed],
            subtree: [
                below.total,
                below.waiting,
                below.running,
                below.waiting_for_children,
                below.successful,
                below.failed,
            ],
            changes,
        }
    }
}
