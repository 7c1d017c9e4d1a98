//! What may be done to a tree: one operation of the engine, and its outcome.

mod follow_up;
mod task;

use std::{collections::HashSet, sync::Arc};

use jobtracker_model::{
    Action, CheckedJob, Created, Definition, FieldError, Fingerprints, JobId, LogAppended,
    NewChange, NewCheck, NewLogLines, NewTask, State, Updated, limits, upload::TreeResult,
};
use jobtracker_store::{FollowUpKey, Tombstone};
use tokio::sync::oneshot;

pub use follow_up::Tried;
pub(crate) use follow_up::{FollowUpChange, Look};
pub(crate) use task::TaskChange;
pub use task::{Claim, Holder, TaskChanged};

use crate::{Deletion, Error, Result, bounds::Share, upload::UploadTree};

/// An operation, validated as far as that is possible without reading the store.
#[derive(Debug)]
pub(crate) enum Operation {
    /// Give out a block of ids.
    ReserveIds { count: u32 },
    /// Create jobs under one parent, or one root; all or none.
    Create { parent: Option<JobId>, jobs: Vec<Creation>, holder: Option<Holder> },
    /// Append a state change.
    Update { id: JobId, change: NewChange },
    /// Replace the options.
    SetOptions { id: JobId, options: Option<String> },
    /// Append lines to the log.
    AppendLog { id: JobId, lines: NewLogLines, holder: Option<Holder> },
    /// Put an attachment.
    PutAttachment { id: JobId, key: String, text: String },
    /// Delete an attachment.
    DeleteAttachment { id: JobId, key: String },
    /// Change something about a job's follow-ups.
    FollowUp { id: JobId, change: Box<FollowUpChange> },
    /// Change something about a job's task.
    Task { id: JobId, change: Arc<TaskChange> },
    /// Delete a tree.
    Delete(Deletion),
    /// Apply a tree of an upload, whole or not at all.
    UploadTree(Box<UploadTree>),
}

/// One job of a creation.
#[derive(Debug)]
pub(crate) struct Creation {
    /// The id; none until the engine has taken one for the job.
    pub id: Option<JobId>,
    /// Whether the engine chose the id, and may choose another.
    pub id_is_ours: bool,
    pub definition: Arc<Definition>,
    pub fingerprints: Fingerprints,
    pub actions: Vec<Arc<Action>>,
    pub checks: Vec<Arc<NewCheck>>,
    pub task: Option<Arc<NewTask>>,
}

/// An operation that has been taken, and where its answer goes.
pub(crate) struct Submitted {
    pub operation: Operation,
    /// How often it has been computed in vain.
    pub attempts: u32,
    pub reply: oneshot::Sender<Result<Outcome>>,
    /// Its share of the engine's bounds, until it is answered.
    pub share: Share,
}

/// The result of an operation that took effect.
#[derive(Debug)]
pub(crate) enum Outcome {
    Reserved { first: JobId },
    Created(Vec<Created>),
    Updated(Updated),
    Done,
    Appended(LogAppended),
    Attached { new: bool },
    FollowedUp { key: FollowUpKey, new: bool },
    Task(TaskChanged),
    TreeResult(Box<TreeResult>),
    Deleted(Tombstone),
}

impl Outcome {
    /// The result of one tree of an upload.
    pub fn into_tree_result(self) -> TreeResult {
        match self {
            Self::TreeResult(tree_result) => *tree_result,
            other => unreachable!("a tree of an upload cannot have this outcome: {other:?}"),
        }
    }
}

impl Operation {
    pub fn reserve_ids(count: u32) -> Result<Self> {
        if count == 0 || count > limits::IDS_PER_RESERVATION {
            let reason = format!("must be 1 to {}", limits::IDS_PER_RESERVATION);
            return Err(FieldError::new("count", reason).into());
        }
        Ok(Self::ReserveIds { count })
    }

    pub fn create(job: CheckedJob) -> Result<Self> {
        let parent = job.parent;
        Ok(Self::Create { parent, jobs: vec![Creation::new(job, parent)?], holder: None })
    }

    pub fn create_children(
        parent: JobId,
        jobs: Vec<CheckedJob>,
        holder: Option<Holder>,
    ) -> Result<Self> {
        if jobs.is_empty() || jobs.len() > limits::CHILDREN_PER_REQUEST {
            let reason =
                format!("has {}; it must have 1 to {}", jobs.len(), limits::CHILDREN_PER_REQUEST);
            return Err(FieldError::new("jobs", reason).into());
        }
        let mut seen = HashSet::with_capacity(jobs.len());
        let mut creations = Vec::with_capacity(jobs.len());
        for (index, job) in jobs.into_iter().enumerate() {
            if job.parent.is_some_and(|named| named != parent) {
                let reason = format!("must be {parent}, the parent in the address, or left out");
                return Err(FieldError::new(format!("jobs[{index}].parent"), reason).into());
            }
            if let Some(id) = job.id.filter(|id| !seen.insert(*id)) {
                return Err(Error::DuplicateId(id));
            }
            creations.push(Creation::new(job, Some(parent))?);
        }
        Ok(Self::Create { parent: Some(parent), jobs: creations, holder })
    }

    pub fn update(id: JobId, change: NewChange) -> Result<Self> {
        if change.state == State::WaitingForActivation {
            return Err(Error::StateNotAllowed(change.state));
        }
        let change = change.shortened();
        change.check()?;
        Ok(Self::Update { id, change })
    }

    pub fn set_options(id: JobId, options: Option<String>) -> Result<Self> {
        Definition::check_options(options.as_deref())?;
        Ok(Self::SetOptions { id, options })
    }

    pub fn append_log(id: JobId, lines: NewLogLines, holder: Option<Holder>) -> Result<Self> {
        lines.check()?;
        Ok(Self::AppendLog { id, lines, holder })
    }

    pub fn put_attachment(id: JobId, key: String, text: String) -> Result<Self> {
        jobtracker_model::AttachmentInfo::check(&key, &text)?;
        Ok(Self::PutAttachment { id, key, text })
    }

    pub fn delete_attachment(id: JobId, key: String) -> Self {
        Self::DeleteAttachment { id, key }
    }

    /// The job that has to exist; the operation belongs to its tree.
    pub fn subject(&self) -> Option<JobId> {
        match self {
            Self::ReserveIds { .. } => None,
            Self::UploadTree(tree) => Some(tree.root),
            Self::Delete(deletion) => Some(deletion.root),
            Self::Create { parent: Some(parent), .. } => Some(*parent),
            Self::Create { parent: None, jobs, .. } => jobs.first().and_then(|job| job.id),
            Self::Update { id, .. }
            | Self::SetOptions { id, .. }
            | Self::AppendLog { id, .. }
            | Self::PutAttachment { id, .. }
            | Self::DeleteAttachment { id, .. }
            | Self::FollowUp { id, .. }
            | Self::Task { id, .. } => Some(*id),
        }
    }

    /// The tree that it belongs to, if that is known without a read: its jobs need not be visible
    /// yet.
    pub fn own_root(&self) -> Option<JobId> {
        match self {
            Self::UploadTree(tree) => Some(tree.root),
            Self::Create { parent: None, jobs, .. } => jobs.first().and_then(|job| job.id),
            Self::Delete(deletion) => Some(deletion.root),
            _ => None,
        }
    }

    /// The jobs that it creates, as far as they have ids.
    pub fn created(&self) -> impl Iterator<Item = JobId> {
        let (jobs, tree) = match self {
            Self::Create { jobs, .. } => (jobs.as_slice(), None),
            Self::UploadTree(tree) => (&[][..], Some(tree.created())),
            _ => (&[][..], None),
        };
        jobs.iter().filter_map(|job| job.id).chain(tree.into_iter().flatten())
    }

    /// How many ids the engine has to take for it.
    pub fn ids_needed(&self) -> u32 {
        match self {
            Self::ReserveIds { count } => *count,
            Self::Create { jobs, .. } => {
                let nameless = jobs.iter().filter(|job| job.id.is_none()).count();
                u32::try_from(nameless).expect("jobs of a request are counted")
            }
            _ => 0,
        }
    }

    /// Gives consecutive ids, from `first` on, to the jobs that have none.
    pub fn name_jobs(&mut self, first: JobId) {
        let Self::Create { jobs, .. } = self else { return };
        let fresh = (first.get()..).map_while(JobId::new);
        for (job, id) in jobs.iter_mut().filter(|job| job.id.is_none()).zip(fresh) {
            job.id = Some(id);
        }
    }

    /// Takes an id away that turned out to be in use, if the engine had chosen it; then the
    /// operation can be tried again with another id.
    pub fn give_back(&mut self, id: JobId) -> bool {
        let Self::Create { jobs, .. } = self else { return false };
        let ours = |job: &&mut Creation| job.id == Some(id) && job.id_is_ours;
        jobs.iter_mut().find(ours).map(|job| job.id = None).is_some()
    }

    /// Takes away all ids that the engine had chosen, so that the operation is tried again with
    /// others; answers whether there were any.
    pub fn renew_ids(&mut self) -> bool {
        let Self::Create { jobs, .. } = self else { return false };
        let ours = jobs.iter_mut().filter(|job| job.id_is_ours);
        ours.map(|job| job.id = None).count() > 0
    }

    /// About how much memory it takes, for the bounds of the queue and of a group.
    pub fn bytes(&self) -> usize {
        /// What an operation takes besides its texts.
        const FIXED: usize = 256;
        FIXED
            + match self {
                Self::ReserveIds { .. } | Self::DeleteAttachment { .. } => 0,
                Self::Create { jobs, .. } => jobs.iter().map(Creation::bytes).sum(),
                Self::Update { change, .. } => change.message.as_ref().map_or(0, String::len),
                Self::SetOptions { options, .. } => options.as_ref().map_or(0, String::len),
                Self::Task { change, .. } => change.bytes(),
                Self::AppendLog { lines, .. } => {
                    lines.lines.iter().map(|line| line.len() + 64).sum()
                }
                Self::PutAttachment { text, .. } => text.len(),
                Self::FollowUp { change, .. } => change.bytes(),
                Self::Delete(deletion) => deletion.by.len(),
                Self::UploadTree(tree) => tree.bytes,
            }
    }
}

impl Creation {
    fn new(job: CheckedJob, parent: Option<JobId>) -> Result<Self> {
        let id = job.id;
        if let Some(id) = id.filter(|id| parent == Some(*id)) {
            return Err(Error::ParentIsSelf(id));
        }
        let CheckedJob { definition, actions, checks, task, .. } = job;
        let fingerprints = definition.fingerprints(parent, &actions, &checks);
        let fingerprints = fingerprints.with_task(task.as_ref());
        let definition = Arc::new(definition);
        let actions = actions.into_iter().map(Arc::new).collect();
        let checks = checks.into_iter().map(Arc::new).collect();
        let (task, id_is_ours) = (task.map(Arc::new), id.is_none());
        Ok(Self { id, id_is_ours, definition, fingerprints, actions, checks, task })
    }

    fn bytes(&self) -> usize {
        let actions = self.actions.iter().map(|action| action.bytes());
        let checks = self.checks.iter().map(|check| check.bytes());
        let task = self.task.as_ref().map_or(0, |task| task.bytes());
        256 + self.definition.bytes() + actions.chain(checks).sum::<usize>() + task
    }
}
