use std::{sync::Arc, time::Duration};

use jobtracker_client::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;

use crate::{FlowError, Need, RunId, RunInfo, StepError, StepMeta, StepState, slot::Slot};

/// How many failed attempts of a step a run remembers with their times; all are counted.
const TRIES_KEPT: u32 = 16;

/// A run as it stood at one moment.
///
/// It is made without holding up any step, so a step that ends meanwhile may be seen before or
/// after; what was seen as over stays as it is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Snapshot {
    /// The name of the flow.
    pub flow: Arc<str>,
    /// The run.
    pub run: RunId,
    /// The run that it continues.
    pub origin: Option<RunId>,
    /// When the run began.
    pub started: Timestamp,
    /// How long it has taken.
    pub took: Duration,
    /// Whether it is over.
    pub is_over: bool,
    /// Why it did not end well, if it is over and did not.
    #[serde(skip)]
    pub error: Option<FlowError>,
    /// Its steps, in the order of definition.
    pub steps: Vec<StepSnapshot>,
    #[serde(skip)]
    failed: Vec<u32>,
}

/// A step of a run as it stood at one moment. Its times count from the begin of the run.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StepSnapshot {
    /// Its name.
    pub name: Arc<str>,
    /// What it depends on.
    pub needs: Vec<Need>,
    /// Where it stands.
    pub state: StepState,
    /// When its first attempt began, if one has.
    pub started: Option<Duration>,
    /// From there to its end, or until now. Nothing for a step that has not begun.
    pub duration: Option<Duration>,
    /// How many attempts have begun.
    pub attempts: u32,
    /// Why it did not succeed.
    pub error: Option<Arc<StepError>>,
    /// The attempts that failed and were followed by another one: the first 16.
    pub retried: Vec<Retried>,
    #[serde(skip)]
    pub(crate) output: &'static str,
}

/// An attempt that failed and was followed by another one.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Retried {
    /// When it began.
    pub started: Duration,
    /// How long it took.
    pub duration: Duration,
    /// The pause after it.
    pub pause: Duration,
    /// Why it failed.
    pub error: String,
}

/// How many steps stand how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Counts {
    /// All steps.
    pub total: u32,
    /// Steps that have not begun.
    pub pending: u32,
    /// Steps at work.
    pub running: u32,
    /// Steps with an output of this run.
    pub succeeded: u32,
    /// Steps whose last attempt failed.
    pub failed: u32,
    /// Steps that could not begin.
    pub skipped: u32,
    /// Steps that were stopped.
    pub cancelled: u32,
    /// Steps with an output of an earlier run.
    pub reused: u32,
}

impl Counts {
    pub(crate) fn of(states: impl Iterator<Item = StepState>) -> Self {
        let mut counts = Self::default();
        for state in states {
            counts.total += 1;
            *match state {
                StepState::Pending => &mut counts.pending,
                StepState::Running => &mut counts.running,
                StepState::Succeeded => &mut counts.succeeded,
                StepState::Failed => &mut counts.failed,
                StepState::Skipped => &mut counts.skipped,
                StepState::Cancelled => &mut counts.cancelled,
                StepState::Reused => &mut counts.reused,
            } += 1;
        }
        counts
    }

    /// How many steps are over.
    #[must_use]
    pub fn done(&self) -> u32 {
        self.total - self.pending - self.running
    }
}

impl Snapshot {
    /// How many steps stand how.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts::of(self.steps.iter().map(|step| step.state))
    }

    /// The step with this name.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<&StepSnapshot> {
        self.steps.iter().find(|step| &*step.name == name)
    }

    /// The errors of the steps that failed by themselves, in the order in which they did.
    #[must_use]
    pub fn failures(&self) -> Vec<Arc<StepError>> {
        let error = |step: &u32| self.steps[*step as usize].error.clone();
        self.failed.iter().filter_map(error).collect()
    }
}

/// What a run writes down besides the states of its steps: it happens only when attempts fail.
#[derive(Default)]
pub(crate) struct Notes {
    /// Steps that failed by themselves, in the order in which they did.
    pub(crate) failed: Vec<u32>,
    tries: Vec<(Try, String)>,
}

/// An attempt that was followed by another one, in nanoseconds since the begin of the run.
#[derive(Clone, Copy)]
pub(crate) struct Try {
    pub(crate) step: u32,
    pub(crate) attempt: u32,
    pub(crate) begun: u64,
    pub(crate) ended: u64,
    pub(crate) pause: Duration,
}

impl Notes {
    pub(crate) fn add(&mut self, attempt: Try, error: &StepError) {
        if attempt.attempt <= TRIES_KEPT {
            self.tries.push((attempt, error.kind.to_string()));
        }
    }
}

/// Its state is looked at first, and nothing is shown that came after it.
fn step(meta: &StepMeta, slot: &Slot, now: u64) -> StepSnapshot {
    let state = slot.state();
    let (started, ended) = slot.times();
    let started = started.filter(|_| state != StepState::Pending);
    let until = if state.is_over() { ended } else { Some(now) };
    let outcome = slot.outcome().filter(|_| state.is_over());
    StepSnapshot {
        name: Arc::clone(&meta.name),
        needs: meta.needs.clone(),
        state,
        started: started.map(Duration::from_nanos),
        duration: started
            .zip(until)
            .map(|(started, until)| Duration::from_nanos(until.saturating_sub(started))),
        attempts: if state == StepState::Pending { 0 } else { slot.attempts() },
        error: outcome.and_then(|outcome| outcome.as_ref().err()).map(Arc::clone),
        retried: Vec::new(),
        output: meta.output,
    }
}

impl Snapshot {
    /// The steps of a run that is `now` nanoseconds old. The lock on the notes is held while they
    /// are copied, and steps take it only when an attempt has failed.
    pub(crate) fn of<'a>(
        info: &RunInfo,
        steps: impl Iterator<Item = (&'a StepMeta, &'a Slot)>,
        (started, now): (Timestamp, u64),
        notes: &Mutex<Notes>,
    ) -> Self {
        let mut steps: Vec<_> = steps.map(|(meta, slot)| step(meta, slot, now)).collect();
        let notes = notes.lock();
        for (attempt, error) in &notes.tries {
            steps[attempt.step as usize].retried.push(Retried {
                started: Duration::from_nanos(attempt.begun),
                duration: Duration::from_nanos(attempt.ended.saturating_sub(attempt.begun)),
                pause: attempt.pause,
                error: error.clone(),
            });
        }
        Self {
            flow: Arc::clone(&info.flow),
            run: info.id.clone(),
            origin: info.origin.clone(),
            started,
            took: Duration::from_nanos(now),
            is_over: false,
            error: None,
            steps,
            failed: notes.failed.clone(),
        }
    }

    /// The same run, which is over.
    pub(crate) fn ended(self, outcome: &Result<(), FlowError>, took: Duration) -> Self {
        Self { took, is_over: true, error: outcome.clone().err(), ..self }
    }
}
