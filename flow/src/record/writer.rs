use std::{future::Future, sync::Arc, time::Duration};

use futures_util::{TryStreamExt, stream};
use jobtracker_client::{JobId, NewChange, NewJob, State, limits};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout_at},
};

use crate::{Parent, Snapshot};

use super::{
    recording::{Jobs, Recording},
    sink::{Failure, Sink},
    texts::{self, Labels},
};

/// Steps of one run that are written at once.
const STEPS_AT_ONCE: usize = 8;
/// The pauses between tries of a call, on top of those of the client.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What is known of a run when it begins.
pub(super) struct Begin {
    /// The step that it is a part of, and the run that it continues, if these are recorded.
    pub(super) parent: Option<(Arc<Recording>, u32)>,
    pub(super) origin: Option<Arc<Recording>>,
    pub(super) snapshot: Snapshot,
}

/// How runs are written down, and where.
pub(super) struct Writer {
    pub(super) sink: Arc<dyn Sink>,
    pub(super) labels: Labels,
    /// How long a call is tried.
    pub(super) patience: Duration,
    /// Calls at once.
    pub(super) calls: Semaphore,
}

impl Writer {
    /// Writes down one run, behind it.
    pub(super) async fn write(&self, recording: &Recording, begin: Begin) -> Result<(), Failure> {
        let jobs = self.create(recording, &begin).await?;
        self.update(jobs.run, NewChange::new(State::Running).change_id("running")).await?;
        self.draw(jobs.run, &begin.snapshot, false).await;
        drop(begin);
        recording.settle(Some(jobs.clone()));
        loop {
            let batch = recording.outbox.take().await;
            let steps = stream::iter(batch.steps.into_iter().map(Ok::<_, Failure>));
            let written = steps.try_for_each_concurrent(STEPS_AT_ONCE, async |(step, changes)| {
                let job = jobs.steps[step as usize];
                for change in changes {
                    self.update(job, change).await?;
                }
                Ok(())
            });
            written.await?;
            if let Some(end) = batch.end {
                self.draw(jobs.run, &end.snapshot, true).await;
                return self.update(jobs.run, end.change).await;
            }
        }
    }

    /// Creates the jobs: that of the run, and those of its steps.
    async fn create(&self, recording: &Recording, begin: &Begin) -> Result<Jobs, Failure> {
        let Recording { info, steps, .. } = recording;
        let labels = &self.labels;
        let count = u32::try_from(steps.len()).unwrap_or(u32::MAX).saturating_add(1);
        let first = self.persist(|| self.sink.reserve(count)).await?;
        let named = |job: NewJob, number: u64| NewJob {
            id: first.and_then(|first| JobId::new(first.get() + number)),
            ..job
        };
        let origin = begin.origin.as_ref().and_then(|origin| origin.jobs()).map(|jobs| jobs.run);
        let run = texts::run(info, origin, labels);
        let run = NewJob { parent: parent(recording, begin).await?, ..named(run, 0) };
        let created = self.persist(|| self.sink.create(vec![run.clone()])).await?;
        let run = *created.first().ok_or_else(|| lost("the job of a run"))?;
        let mut jobs = Jobs { run, steps: Vec::with_capacity(steps.len()) };
        for some in steps.chunks(self.sink.jobs_at_once()) {
            let children = some.iter().map(|meta| {
                named(texts::step(meta, steps, labels), u64::from(meta.index) + 1).under(run)
            });
            let children: Vec<NewJob> = children.collect();
            let created = self.persist(|| self.sink.create(children.clone())).await?;
            jobs.steps.extend(created);
        }
        if jobs.steps.len() == steps.len() { Ok(jobs) } else { Err(lost("jobs of steps")) }
    }

    async fn update(&self, job: JobId, change: NewChange) -> Result<(), Failure> {
        self.persist(|| self.sink.update(job, change.clone())).await
    }

    /// Attaches the pictures of a run. A run without is a run all the same.
    async fn draw(&self, job: JobId, snapshot: &Snapshot, is_over: bool) {
        let mut pictures =
            vec![("flow.dot", snapshot.to_dot()), ("flow.mmd", snapshot.to_mermaid())];
        if is_over {
            pictures.push(("flow-gantt.mmd", snapshot.to_gantt()));
        }
        for (key, picture) in pictures {
            if picture.len() <= limits::ATTACHMENT {
                let attached = self.persist(|| self.sink.attach(job, key, picture.clone()));
                if let Err(Failure { reason, .. }) = attached.await {
                    tracing::warn!(%job, key, reason, "a picture of a run is not attached");
                }
            }
        }
    }

    /// Calls until it succeeds, as long as that may help and the patience lasts.
    async fn persist<T, F>(&self, call: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let end = Instant::now() + self.patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let permit = self.calls.acquire().await;
            let failure = match timeout_at(end, call()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failure)) => failure,
                Err(_) => lost("an answer in time"),
            };
            drop(permit);
            if !failure.is_retryable || Instant::now() + pause > end {
                return Err(failure);
            }
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}

/// Under what the run is: a job, or the step of another run, as soon as that has one.
async fn parent(recording: &Recording, begin: &Begin) -> Result<Option<JobId>, Failure> {
    match (&begin.parent, &recording.info.parent) {
        (Some((parent, step)), _) => match parent.jobs_to_come().await {
            Some(jobs) => Ok(jobs.steps.get(*step as usize).copied()),
            None => Err(lost("the run that it is a part of")),
        },
        (None, Some(Parent::Job(job))) => Ok(Some(*job)),
        // Of a run that is not recorded.
        (None, _) => Ok(None),
    }
}

fn lost(what: &str) -> Failure {
    Failure { reason: format!("{what} did not come"), is_retryable: false }
}
