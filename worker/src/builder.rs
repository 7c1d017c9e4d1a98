use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use jobtracker_client::{
    FieldError, JobTrackerClient, NewWorker, WorkerHandler,
    schedule::{RegisterSchedule, ScheduleDefinition},
};

use crate::{Handler, Worker, handler::Named};

/// Why a worker cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A name, a tag, a label or a number is past its limit, or there is no handler.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The same handler was added twice.
    #[error("there are two handlers {0:?}")]
    Twice(String),
    /// A schedule is past a limit.
    #[error("the schedule {name:?} cannot be registered")]
    Schedule {
        /// Its name.
        name: String,
        /// The field.
        source: FieldError,
    },
}

/// Says what a worker is.
#[derive(Debug)]
#[must_use]
pub struct WorkerBuilder {
    client: JobTrackerClient,
    worker: NewWorker,
    handlers: Vec<Named>,
    schedules: BTreeMap<String, RegisterSchedule>,
    drain: Duration,
    spool: Option<PathBuf>,
}

impl Worker {
    /// A worker of this name: 1 to 40 of `A-Z a-z 0-9 . _ -`, the same at each start. The client
    /// needs a token of a writer.
    pub fn builder(client: JobTrackerClient, name: impl Into<String>) -> WorkerBuilder {
        let (handlers, tags, labels) = (Vec::new(), Vec::new(), BTreeMap::new());
        let worker = NewWorker { name: name.into(), handlers, tags, labels, slots: 4 };
        let (handlers, schedules) = (Vec::new(), BTreeMap::new());
        let drain = Duration::from_secs(30);
        WorkerBuilder { client, worker, handlers, schedules, drain, spool: None }
    }
}

impl WorkerBuilder {
    /// With a handler: its name `service/name`, what it does for people, and what runs it, which is
    /// a [`Handler`] or a plain function of a [`TaskContext`](crate::TaskContext).
    pub fn handler(
        mut self,
        name: impl Into<String>,
        description: impl Into<String>,
        handler: impl Handler,
    ) -> Self {
        let (name, description) = (name.into(), description.into());
        self.handlers.push(Named { name, description, handler: Arc::new(handler) });
        self
    }

    /// Registers a schedule when the worker starts, as version `version` of the program's own: it
    /// is created, or its definition takes the place of an older version. A definition that was put
    /// by hand stays, and so does whether the schedule is enabled. The version has to grow with
    /// each change of the definition, so that of two programs that are up during an update the
    /// newer one counts.
    pub fn schedule(
        mut self,
        name: impl Into<String>,
        version: u64,
        definition: ScheduleDefinition,
    ) -> Self {
        self.schedules.insert(name.into(), RegisterSchedule { version, definition });
        self
    }

    /// With a tag, by which tasks choose workers.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.worker.tags.push(tag.into());
        self
    }

    /// With a label, by which tasks choose workers.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.worker.labels.insert(key.into(), value.into());
        self
    }

    /// Runs this many tasks at once, up to 1,000; 4 unless given.
    pub fn slots(mut self, slots: u32) -> Self {
        self.worker.slots = slots;
        self
    }

    /// How long tasks that run may take when the worker stops; 30 seconds unless given. What has
    /// not ended by then is stopped and given back, within 15 seconds more.
    pub fn drain(mut self, time: Duration) -> Self {
        self.drain = time;
        self
    }

    /// Keeps reports in this folder until the service has answered them, so that a report outlives
    /// the process: the next process with this folder sends it, and it counts if the lease has not
    /// ended meanwhile. The folder is for one process at a time; nothing is kept unless given.
    pub fn spool(mut self, folder: impl Into<PathBuf>) -> Self {
        self.spool = Some(folder.into());
        self
    }

    /// The worker.
    ///
    /// # Errors
    /// Something is past its limit, or no handler or two of the same name were added.
    pub fn build(self) -> Result<Worker, BuildError> {
        let Self { client, mut worker, handlers, schedules, drain, spool } = self;
        let mut names = HashSet::new();
        for Named { name, description, .. } in &handlers {
            if !names.insert(name) {
                return Err(BuildError::Twice(name.clone()));
            }
            let (name, description) = (name.clone(), description.clone());
            worker.handlers.push(WorkerHandler { name, description });
        }
        worker.check()?;
        for (name, schedule) in &schedules {
            let refused = |source| BuildError::Schedule { name: name.clone(), source };
            schedule.check().map_err(refused)?;
        }
        Ok(Worker { client, worker, handlers, schedules, drain, spool })
    }
}
