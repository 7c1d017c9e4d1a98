use serde::{Deserialize, Serialize};

use crate::{
    Action, CheckKind, Children, Definition, FieldError, JobId, KeptFailure, NewCheck, NewTask,
    Report, State, Subtree, Target, Timestamp,
    text::{mended_option, or_default},
};

/// A job to create.
///
/// With an id, creation is safe to repeat: the same id with the same definition under the same
/// parent answers the job that is there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewJob {
    /// The id; without one the server takes the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<JobId>,
    /// The parent; without one the job is a root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<JobId>,
    /// What people call the job; 1 to 256 bytes, no control characters.
    pub name: String,
    /// Who creates it; up to 128 bytes.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// Up to 32 different tags of 1 to 64 bytes, without commas and control characters. Their order
    /// makes no difference.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Free text for the program that runs the job; up to 64 KiB.
    #[serde(default, deserialize_with = "mended_option", skip_serializing_if = "Option::is_none")]
    pub options: Option<String>,
    /// Where the job comes from; up to 2048 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_link: Option<String>,
    /// How many days the tree is kept after its last job has finished, 1 to 36,500, instead of what
    /// a retention rule says that means it. Only of a root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_days: Option<u32>,
    /// Up to 16: whom to tell when the visible state becomes one of some states.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
    /// Up to 16: when to check the job, and whom to tell of the result.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<NewCheck>,
    /// What a worker is to run for it. The job's states then follow from the reports of the worker
    /// that has claimed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<NewTask>,
}

impl NewJob {
    /// A root job with this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// With an id chosen by the creator.
    #[must_use]
    pub fn id(mut self, id: JobId) -> Self {
        self.id = Some(id);
        self
    }

    /// Under a parent.
    #[must_use]
    pub fn under(mut self, parent: JobId) -> Self {
        self.parent = Some(parent);
        self
    }

    /// With the creator's name.
    #[must_use]
    pub fn created_by(mut self, name: impl Into<String>) -> Self {
        self.created_by = name.into();
        self
    }

    /// With one more tag.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// With options.
    #[must_use]
    pub fn options(mut self, options: impl Into<String>) -> Self {
        self.options = Some(options.into());
        self
    }

    /// With a source link.
    #[must_use]
    pub fn source_link(mut self, link: impl Into<String>) -> Self {
        self.source_link = Some(link.into());
        self
    }

    /// Kept for this many days after the tree has finished, where a retention rule would delete it.
    #[must_use]
    pub fn keep_days(mut self, days: u32) -> Self {
        self.keep_days = Some(days);
        self
    }

    /// With a receiver that is told when the visible state becomes this one.
    #[must_use]
    pub fn notify_on(self, state: State, target: impl Into<Target>) -> Self {
        self.action(Action::new([state], target))
    }

    /// With a receiver that is told when it finishes, well or badly: of a root, the whole tree.
    #[must_use]
    pub fn notify_on_finish(self, target: impl Into<Target>) -> Self {
        self.action(Action::on_finish(target))
    }

    /// With one more action.
    #[must_use]
    pub fn action(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    /// With a receiver that is told when the visible state is none of these at that time.
    #[must_use]
    pub fn check_at(
        self,
        at: Timestamp,
        states: impl IntoIterator<Item = State>,
        otherwise: impl Into<Target>,
    ) -> Self {
        let states = states.into_iter().collect();
        self.check(NewCheck::new(CheckKind::State { at, states }).on_failure(otherwise))
    }

    /// With a task for a worker.
    #[must_use]
    pub fn task(mut self, task: NewTask) -> Self {
        self.task = Some(task);
        self
    }

    /// With one more check.
    #[must_use]
    pub fn check(mut self, check: NewCheck) -> Self {
        self.checks.push(check);
        self
    }
}

/// A new job with every field within its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckedJob {
    /// The id that the caller chose.
    pub id: Option<JobId>,
    /// The parent; none for a root.
    pub parent: Option<JobId>,
    /// What the creator says of it.
    pub definition: Definition,
    /// What is sent when it changes.
    pub actions: Vec<Action>,
    /// What is checked.
    pub checks: Vec<NewCheck>,
    /// What a worker is to run.
    pub task: Option<NewTask>,
}

impl TryFrom<NewJob> for CheckedJob {
    /// The first field that is not within its limits.
    type Error = FieldError;

    fn try_from(job: NewJob) -> Result<Self, FieldError> {
        let NewJob { id, parent, name, created_by, tags, options, source_link, .. } = job;
        let NewJob { keep_days, actions, checks, task, .. } = job;
        let definition = Definition { name, created_by, tags, options, source_link, keep_days };
        definition.check(parent)?;
        Action::check_all(&actions)?;
        NewCheck::check_all(&checks)?;
        if let Some(task) = &task {
            task.check().map_err(|error| error.within("task"))?;
        }
        Ok(Self { id, parent, definition, actions, checks, task })
    }
}

/// A job as the service shows it: what its creator said, and what follows from its own changes
/// and its descendants', all at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Job {
    /// The id.
    pub id: JobId,
    /// The parent; none for a root.
    pub parent: Option<JobId>,
    /// The root of the tree; the job itself for a root.
    pub root: JobId,
    /// Steps from the root.
    pub depth: u32,
    /// What people call the job.
    pub name: String,
    /// Who created it.
    pub created_by: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Free text for the program that runs the job.
    pub options: Option<String>,
    /// Where the job comes from.
    pub source_link: Option<String>,
    /// How many days its tree is kept, if its creator said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_days: Option<u32>,
    /// The visible state.
    pub state: State,
    /// When it was created.
    pub create_time: Timestamp,
    /// When it first reported Running.
    pub start_time: Option<Timestamp>,
    /// When its own work ended, if it has.
    pub end_time: Option<Timestamp>,
    /// Direct children by category.
    pub children: Children,
    /// Descendants by visible state.
    pub subtree: Subtree,
    /// How many own state changes it has.
    pub changes: u32,
    /// How many lines its log has.
    pub log_lines: u32,
    /// How many attachments it has.
    pub attachments: u32,
    /// True: a retention rule has deleted the tree, and this is what is kept of its root. The
    /// numbers are those of the tree as it was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub summary: bool,
    /// Of a summary: the jobs of the tree that failed by themselves, the first ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<KeptFailure>,
}

/// A time and the job through which it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Mark {
    /// When.
    pub time: Timestamp,
    /// The job itself, or the direct child through which it came.
    pub source: JobId,
}

/// When work in the tree below a job began and ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Statistics {
    /// The job.
    pub id: JobId,
    /// Its visible state.
    pub state: State,
    /// The first time that the job or one below it reported Running.
    pub tree_start: Option<Mark>,
    /// When the job last became finished; absent while it is not.
    pub tree_end: Option<Mark>,
    /// The earliest own Faulted report of the job or of one below it, if that is known.
    #[serde(default)]
    pub first_fault: Option<Report>,
    /// From start to end in milliseconds, when both are known.
    pub execution_time_ms: Option<u64>,
    /// Direct children by category.
    pub children: Children,
    /// Descendants by visible state.
    pub subtree: Subtree,
}

/// The answer to a creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Created {
    /// The job's id.
    pub id: JobId,
    /// The root of its tree.
    pub root: JobId,
    /// False when a job with this id and definition was there already.
    pub created: bool,
    /// Its visible state; WaitingToRun when it is new.
    pub state: State,
}
