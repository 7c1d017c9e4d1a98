use std::{
    any::Any,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
};

use serde::Serialize;

use crate::StepError;

/// The output of a step without its type.
pub(crate) type Value = Arc<dyn Any + Send + Sync>;

/// How a step has ended.
pub(crate) type Outcome = Result<Value, Arc<StepError>>;

/// Where a step of a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum StepState {
    /// It has not begun.
    Pending = 0,
    /// An attempt is at work, or the pause after a failed one.
    Running = 1,
    /// It has an output.
    Succeeded = 2,
    /// Its last attempt failed.
    Failed = 3,
    /// It was not begun, because a step that it depends on did not succeed.
    Skipped = 4,
    /// It was not begun or not finished, because the run was stopped.
    Cancelled = 5,
    /// It has the output of an earlier run.
    Reused = 6,
}

impl StepState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Skipped,
        Self::Cancelled,
        Self::Reused,
    ];

    /// Whether it stays as it is.
    #[must_use]
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }

    /// Whether there is an output.
    #[must_use]
    pub fn is_success(self) -> bool {
        matches!(self, Self::Succeeded | Self::Reused)
    }

    /// The state in which a step ends with this error.
    pub(crate) fn of(error: &StepError) -> Self {
        match error.code() {
            "skipped" => Self::Skipped,
            "cancelled" => Self::Cancelled,
            _ => Self::Failed,
        }
    }
}

/// Claimed by what is about to close it. To those who look, it is Pending still.
const ENDING: u8 = StepState::ALL.len() as u8;

/// A step of a run.
///
/// A step that is Pending is *claimed*, by the runner that begins it or by what ends it without:
/// one of them wins. Only who has claimed a step closes it, so it ends once.
#[derive(Default)]
pub(crate) struct Slot {
    outcome: OnceLock<Outcome>,
    /// Nanoseconds since the begin of the run, and one; 0 for never.
    started: AtomicU64,
    ended: AtomicU64,
    /// Dependencies that still have to end as they should.
    open: AtomicU32,
    attempts: AtomicU32,
    state: AtomicU8,
}

impl Slot {
    /// A step that waits for this many others.
    pub(crate) fn waiting(open: u32) -> Self {
        Self { open: AtomicU32::new(open), ..Self::default() }
    }

    /// A step whose outcome is there already.
    pub(crate) fn reused(outcome: Outcome) -> Self {
        let state = AtomicU8::new(StepState::Reused as u8);
        Self { outcome: OnceLock::from(outcome), state, ..Self::default() }
    }

    pub(crate) fn state(&self) -> StepState {
        let state = usize::from(self.state.load(Ordering::Acquire));
        StepState::ALL.get(state).copied().unwrap_or(StepState::Pending)
    }

    /// How it ended, once it has.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        if self.state().is_over() { self.outcome.get() } else { None }
    }

    pub(crate) fn attempts(&self) -> u32 {
        self.attempts.load(Ordering::Relaxed)
    }

    pub(crate) fn count_attempt(&self) -> u32 {
        self.attempts.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// When its first attempt began and when it ended, in nanoseconds since the begin of the run.
    pub(crate) fn times(&self) -> (Option<u64>, Option<u64>) {
        let time = |time: &AtomicU64| time.load(Ordering::Relaxed).checked_sub(1);
        (time(&self.started), time(&self.ended))
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0 && self.state() == StepState::Pending
    }

    /// Says that a dependency has ended as it should. True for the last one.
    pub(crate) fn release(&self) -> bool {
        self.open.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Claims the step to begin it. False if it has been claimed.
    pub(crate) fn claim_to_begin(&self) -> bool {
        self.claim(StepState::Running as u8)
    }

    /// Claims the step to end it before it has begun. False if it has been claimed.
    pub(crate) fn claim_to_end(&self) -> bool {
        self.claim(ENDING)
    }

    fn claim(&self, to: u8) -> bool {
        let from = StepState::Pending as u8;
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(crate) fn start(&self, now: u64) {
        self.started.store(now + 1, Ordering::Relaxed);
    }

    /// Ends a step that was claimed.
    pub(crate) fn close(&self, outcome: Outcome, now: u64) -> StepState {
        let state = match &outcome {
            Ok(_) => StepState::Succeeded,
            Err(error) => StepState::of(error),
        };
        self.ended.store(now + 1, Ordering::Relaxed);
        let set = self.outcome.set(outcome);
        debug_assert!(set.is_ok(), "a step was closed twice");
        self.state.store(state as u8, Ordering::Release);
        state
    }
}
