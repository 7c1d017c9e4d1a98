use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use jobtracker_client::{JobId, JobTracker};
use jobtracker_context::JobTrackerContext;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::{Event, Observer, Parent, RunId, RunView};

use super::{
    outbox::End,
    recording::Recording,
    sink::{Buffered, Direct, Failure, Sink},
    texts::{self, Labels},
    writer::{Begin, Writer},
};

/// Runs that are recorded at once. Past it, a run is not recorded, and a warning says so.
const RUNS_AT_ONCE: usize = 1_000;
/// Runs that are over and whose jobs are known still, for those that continue them.
const RUNS_KNOWN: usize = 1_000;
/// Calls to the service at once.
const CALLS_AT_ONCE: usize = 16;

/// Records runs as trees of jobs: an [`Observer`] that writes down what it is told.
///
/// A run is a job, a root or under [`RunOptions::parent`](crate::RunOptions::parent), and its steps
/// are the job's children, all of them created before the first one is reported as Running. A
/// failed attempt that is followed by another one is a Warning; a step that failed, was skipped
/// (with the name of the step that it waited for) or was cancelled is Faulted, with the code of its
/// error as the reason; a step that has the output of an earlier run is RanToCompletion with the
/// reason `reused`. A run inside a step ([`Cx::child`](crate::Cx::child)) is below that step. The
/// options of each job say in JSON what it depends on, and which run is continued. The job of the
/// run has the [pictures](crate::Snapshot) of it as attachments: `flow.dot`, `flow.mmd` and
/// `flow-gantt.mmd`, each if it has at most 64 KiB.
///
/// # What it costs
/// A run is never held up: a task of its own writes, behind the run, and what it has not written
/// yet takes no more memory than there are steps. A service that is slow or gone is tried again
/// for as long as the [patience](Self::patience) says, then the rest of the run is not recorded,
/// and a warning of `tracing` says so. A step that has begun and ended before it was written may
/// be written later than it happened: the times of the direct API are those of the service. A
/// process that ends should [`flush`](Self::flush) before.
pub struct Recorder {
    inner: Arc<Inner>,
}

/// What a recorder has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RecorderStats {
    /// Runs that are being recorded.
    pub open: u64,
    /// Runs that were recorded to their end.
    pub recorded: u64,
    /// Runs whose recording was given up.
    pub given_up: u64,
    /// Runs that were not recorded because there were too many.
    pub turned_away: u64,
}

struct Inner {
    writer: Writer,
    runs: Mutex<Runs>,
}

#[derive(Default)]
struct Runs {
    by_id: HashMap<RunId, Arc<Recording>>,
    over: VecDeque<RunId>,
    stats: RecorderStats,
}

impl Recorder {
    /// Writes to a service, call by call.
    #[must_use]
    pub fn new(tracker: Arc<dyn JobTracker>) -> Self {
        Self::with(Arc::new(Direct(tracker)))
    }

    /// Writes into a context, which keeps the times and sends all at once: when it is flushed, by
    /// [`flush`](Self::flush), by its owner, or by itself. A context has no place for pictures.
    #[must_use]
    pub fn buffered(context: JobTrackerContext) -> Self {
        Self::with(Arc::new(Buffered(context)))
    }

    fn with(sink: Arc<dyn Sink>) -> Self {
        Self {
            inner: Arc::new(Inner {
                writer: Writer {
                    sink,
                    labels: Labels::default(),
                    patience: Duration::from_secs(600),
                    calls: Semaphore::new(CALLS_AT_ONCE),
                },
                runs: Mutex::default(),
            }),
        }
    }

    /// With the creator's name on every job.
    #[must_use]
    pub fn created_by(self, name: impl Into<String>) -> Self {
        self.change(|writer| writer.labels.created_by = name.into())
    }

    /// With one more tag on every job; those of runs also have the tag `flow`.
    #[must_use]
    pub fn tag(self, tag: impl Into<String>) -> Self {
        self.change(|writer| writer.labels.tags.push(tag.into()))
    }

    /// How long a call that fails, or is not answered, is tried before the recording of its run is
    /// given up; 10 minutes by default.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        self.change(|writer| writer.patience = patience)
    }

    fn change(mut self, change: impl FnOnce(&mut Writer)) -> Self {
        // Nothing is observed, and nothing shared, before it is in an `Arc`.
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            change(&mut inner.writer);
        }
        self
    }

    /// Waits until what happened so far is written, or has been given up; into a service as it is
    /// then, into a context and from there to the service.
    ///
    /// # Errors
    /// The context could not be flushed.
    pub async fn flush(&self) -> jobtracker_context::Result<()> {
        let open: Vec<_> = self.inner.runs.lock().by_id.values().map(Arc::clone).collect();
        for recording in open {
            recording.jobs_to_come().await;
            recording.outbox.empty().await;
        }
        self.inner.writer.sink.flush().await
    }

    /// The job of a run, if it has been created; of the last 1,000 runs.
    #[must_use]
    pub fn job(&self, run: &RunId) -> Option<JobId> {
        self.inner.runs.lock().by_id.get(run)?.jobs().map(|jobs| jobs.run)
    }

    /// What it has done.
    #[must_use]
    pub fn stats(&self) -> RecorderStats {
        self.inner.runs.lock().stats
    }
}

impl Inner {
    fn begin(self: &Arc<Self>, run: &RunView<'_>) {
        let info = run.info();
        let mut runs = self.runs.lock();
        if runs.stats.open as usize >= RUNS_AT_ONCE {
            runs.stats.turned_away += 1;
            tracing::warn!(run = %info.id, "a run is not recorded: too many are");
            return;
        }
        let of = |run: &RunId| runs.by_id.get(run).map(Arc::clone);
        let begin = Begin {
            parent: match &info.parent {
                Some(Parent::Step { run, step }) => of(run).map(|parent| (parent, *step)),
                _ => None,
            },
            origin: info.origin.as_ref().and_then(of),
            snapshot: run.snapshot(),
        };
        let recording = Arc::new(Recording::new(info.clone(), run.steps()));
        runs.stats.open += 1;
        runs.by_id.insert(info.id.clone(), Arc::clone(&recording));
        drop(runs);
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            let outcome = inner.writer.write(&recording, begin).await;
            inner.done(&recording, &outcome);
        });
    }

    fn recording(&self, run: &RunId) -> Option<Arc<Recording>> {
        self.runs.lock().by_id.get(run).map(Arc::clone)
    }

    /// Says that nothing more is written of a run.
    fn done(&self, recording: &Recording, outcome: &Result<(), Failure>) {
        if let Err(Failure { reason, .. }) = outcome {
            let run = &recording.info.id;
            tracing::warn!(%run, %reason, "the rest of a run is not recorded");
        }
        recording.settle(None);
        recording.outbox.close();
        let mut runs = self.runs.lock();
        runs.stats.open -= 1;
        match outcome {
            Ok(()) => runs.stats.recorded += 1,
            Err(_) => runs.stats.given_up += 1,
        }
        runs.over.push_back(recording.info.id.clone());
        if runs.over.len() > RUNS_KNOWN
            && let Some(oldest) = runs.over.pop_front()
        {
            runs.by_id.remove(&oldest);
        }
    }
}

impl Observer for Recorder {
    fn on(&self, run: &RunView<'_>, event: &Event<'_>) {
        if matches!(event, Event::RunStarted) {
            return self.inner.begin(run);
        }
        let Some(recording) = self.inner.recording(&run.info().id) else { return };
        let outbox = &recording.outbox;
        match event {
            Event::StepStarted { step, attempt: 1 } => outbox.running(step.index),
            Event::RunStarted | Event::StepStarted { .. } => {}
            Event::Retrying { step, attempt, error, delay } => {
                outbox.warning(step.index, texts::retrying(*attempt, error, *delay));
            }
            Event::StepDone { step, state, attempts, error, .. } => {
                let origin = recording.info.origin.as_ref();
                outbox.end_of(step.index, texts::ended(*state, *attempts, *error, origin));
            }
            Event::RunDone { outcome, .. } => {
                let (change, snapshot) = (texts::run_ended(outcome), run.snapshot());
                outbox.end(End { change, snapshot });
            }
        }
    }
}
