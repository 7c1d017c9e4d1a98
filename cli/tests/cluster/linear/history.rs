use jobtracker_client::{Job, JobId, JobNode, State};

/// What one client requested, and the answer.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The client, for the report of a violation.
    pub client: usize,
    /// When it was first sent. Instants are counted, not measured: no two are equal.
    pub begin: u64,
    /// When its last answer came. Without one it may take effect at any time after `begin`, or
    /// never.
    pub end: Option<u64>,
    /// The index in the history of an operation that comes before this one in every order.
    pub after: Option<usize>,
    pub what: What,
}

/// The event at the one instant; `J` names jobs.
#[derive(Debug, Clone, PartialEq)]
pub enum What<J = JobId> {
    /// A job is created.
    Create { job: J, parent: J },
    /// A change is appended to a job that is not finished.
    Update {
        job: J,
        state: State,
        /// How many own changes the job had before, if that is known.
        number: Option<u64>,
        /// The visible state after it, if an answer reported it.
        visible: Option<State>,
    },
    /// An update changes nothing, because the job is finished and visible like this.
    Refused { job: J, visible: State },
    /// All of these sights are of one instant.
    Look(Vec<(J, Sight)>),
}

/// What a read saw of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    Absent,
    State(State),
    Whole(Numbers),
}

/// All of a job that the rules determine.
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
    /// A write that may have been applied, may still be, or never will be.
    pub fn in_doubt(client: usize, begin: u64, what: What) -> Self {
        Self { client, begin, end: None, after: None, what }
    }

    pub fn answered(client: usize, [begin, end]: [u64; 2], what: What) -> Self {
        Self { client, begin, end: Some(end), after: None, what }
    }
}

impl<J: Copy> What<J> {
    /// Whether it leaves the tree unchanged.
    pub fn is_still(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Look(_))
    }

    /// Calls `name` with every job that it refers to, except one that it creates.
    pub fn named(&self, mut name: impl FnMut(J)) {
        match self {
            Self::Create { parent, .. } => name(*parent),
            Self::Update { job, .. } | Self::Refused { job, .. } => name(*job),
            Self::Look(seen) => seen.iter().for_each(|(job, _)| name(*job)),
        }
    }

    /// The same event with other names of jobs.
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
