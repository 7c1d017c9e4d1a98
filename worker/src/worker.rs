use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use jobtracker_client::{
    Error as ClientError, JobTrackerClient, NewWorker, ProblemCode, WorkerRegistered,
    schedule::{RegisterSchedule, ScheduleRegistered},
};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    BoxError,
    handler::Named,
    registration::{Over, Process, Registration},
    report,
    spool::Spool,
};

/// The pause after a registration that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a worker that was kicked asks whether it may come back.
const PAUSE_KICKED: Duration = Duration::from_secs(10);

/// A request that is not answered is tried again for a while by the client; this often the log
/// tells of it.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// Waits for a request, and tells in the log that it is still not answered.
async fn told<T>(request: impl Future<Output = T>, what: &str) -> T {
    let mut request = pin!(request);
    loop {
        tokio::select! {
            answer = &mut request => return answer,
            () = tokio::time::sleep(TOLD_EVERY) => {
                tracing::warn!(after = ?TOLD_EVERY, "{what}: the service does not answer");
            }
        }
    }
}

/// Why a worker ended without being asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// A handler cannot be prepared.
    #[error("the handler {handler} cannot be prepared")]
    Init {
        /// Its name.
        handler: String,
        /// Its error.
        source: BoxError,
    },
    /// The folder for reports cannot be used.
    #[error("the folder {} cannot be used", folder.display())]
    Spool {
        /// The folder.
        folder: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The service refuses a schedule for good.
    #[error("the service refuses the schedule {name:?}")]
    Schedule {
        /// Its name.
        name: String,
        /// Why.
        source: ClientError,
    },
    /// The service refuses the worker for good.
    #[error("the service refuses the worker")]
    Refused(#[source] ClientError),
}

/// Claims tasks and runs them.
#[derive(Debug)]
pub struct Worker {
    pub(crate) client: JobTrackerClient,
    pub(crate) worker: NewWorker,
    pub(crate) handlers: Vec<Named>,
    pub(crate) schedules: BTreeMap<String, RegisterSchedule>,
    pub(crate) drain: Duration,
    pub(crate) spool: Option<PathBuf>,
}

impl Worker {
    /// Runs tasks until `shutdown` ends or an operator has the worker drained; then it claims
    /// nothing more and finishes what it has. While the service is away it waits for it. A future
    /// that is dropped stops what runs; its leases end by themselves.
    ///
    /// # Errors
    /// A handler cannot be prepared, or the service refuses the worker for good.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), WorkerError> {
        let shutdown = pin!(shutdown);
        for Named { name, handler, .. } in &self.handlers {
            let failed = |source| WorkerError::Init { handler: name.clone(), source };
            handler.init().await.map_err(failed)?;
        }
        let done = self.registrations(shutdown).await;
        for Named { handler, .. } in &self.handlers {
            handler.destroy().await;
        }
        done
    }

    async fn registrations(
        &self,
        mut shutdown: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(), WorkerError> {
        let process = self.process().await?;
        let mut tasks = JoinSet::new();
        if let Some(spool) = &process.spool {
            self.deliver_left(spool, &mut tasks).await?;
        }
        let mut has_schedules = false;
        loop {
            let registered = tokio::select! {
                registered = self.register() => registered?,
                () = &mut shutdown => return Ok(()),
            };
            tracing::info!(worker = registered.id, "registered");
            let registration = Registration::new(&process, registered);
            // A run that needs a worker at once finds this one.
            let prepared = async {
                if !has_schedules {
                    self.register_schedules().await?;
                    has_schedules = true;
                }
                Ok(())
            };
            let working = registration.work(&mut tasks, prepared, shutdown.as_mut());
            if working.await? == Over::Left {
                return Ok(());
            }
        }
    }

    async fn process(&self) -> Result<Process, WorkerError> {
        let handlers = self.handlers.iter();
        let handlers: HashMap<_, _> =
            handlers.map(|named| (named.name.clone(), Arc::clone(&named.handler))).collect();
        let spool = match &self.spool {
            Some(folder) => {
                let failed = |source| WorkerError::Spool { folder: folder.clone(), source };
                Some(Spool::open(folder).await.map_err(failed)?)
            }
            None => None,
        };
        Ok(Process {
            client: self.client.clone(),
            handlers: Arc::new(handlers),
            slots: Arc::new(Semaphore::new(self.worker.slots as usize)),
            spool,
            drain: self.drain,
        })
    }

    /// Sends the reports that an earlier process could not send: it may still have the leases.
    async fn deliver_left(
        &self,
        spool: &Spool,
        tasks: &mut JoinSet<()>,
    ) -> Result<(), WorkerError> {
        let failed =
            |source| WorkerError::Spool { folder: self.spool.clone().unwrap_or_default(), source };
        let left = spool.left().await.map_err(failed)?;
        let (client, spool) = (self.client.clone(), spool.clone());
        tasks.spawn(async move {
            for spooled in left {
                let never = CancellationToken::new();
                report::deliver(&client, Some(&spool), spooled, &never).await;
            }
        });
        Ok(())
    }

    async fn register_schedules(&self) -> Result<(), WorkerError> {
        for (schedule, new) in &self.schedules {
            let ScheduleRegistered { outcome, code_version } = loop {
                let registering = self.client.register_schedule(schedule, new);
                let error = match told(registering, "a schedule is not registered yet").await {
                    Ok(registered) => break registered,
                    Err(error) => error,
                };
                if !error.is_retryable() {
                    let name = schedule.clone();
                    return Err(WorkerError::Schedule { name, source: error });
                }
                tracing::warn!(schedule, %error, "a schedule is not registered now");
                tokio::time::sleep(PAUSE).await;
            };
            let version = new.version;
            if outcome.is_ignored() {
                let has = code_version;
                tracing::warn!(schedule, version, ?outcome, ?has, "a definition is ignored");
            } else {
                tracing::info!(schedule, version, ?outcome, "a schedule is registered");
            }
        }
        Ok(())
    }

    /// Registers, as soon as the service is there and takes the worker.
    async fn register(&self) -> Result<WorkerRegistered, WorkerError> {
        loop {
            let registering = self.client.register_worker(&self.worker);
            let error = match told(registering, "the worker is not registered yet").await {
                Ok(registered) => return Ok(registered),
                Err(error) => error,
            };
            let pause = match error.code() {
                Some(ProblemCode::WorkerKicked | ProblemCode::TooManyWorkers) => PAUSE_KICKED,
                _ if error.is_retryable() => PAUSE,
                _ => return Err(WorkerError::Refused(error)),
            };
            tracing::warn!(%error, "the worker is not registered now");
            tokio::time::sleep(pause).await;
        }
    }
}
