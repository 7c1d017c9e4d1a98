use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use jobtracker_flow::{BoxError, Event, Observer, RunView, StepState};
use parking_lot::Mutex;

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub async fn pause(millis: u64) {
    tokio::time::sleep(ms(millis)).await;
}

/// An error of a test's own.
#[derive(Debug, PartialEq, Eq)]
pub struct Boom(pub u32);

impl std::fmt::Display for Boom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "boom {}", self.0)
    }
}

impl std::error::Error for Boom {}

pub fn boom<T>(number: u32) -> Result<T, BoxError> {
    Err(Box::new(Boom(number)))
}

/// A number that bodies count.
#[derive(Clone, Default)]
pub struct Tally(Arc<AtomicU32>);

impl Tally {
    pub fn add(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub fn take(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    pub fn get(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Says in a tally that it was dropped.
pub struct Dropped(pub Tally);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.add();
    }
}

/// Writes down what it is told, in short.
#[derive(Default)]
pub struct Journal(Mutex<Vec<String>>);

impl Journal {
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().clone()
    }

    /// What was told of a step.
    pub fn of(&self, step: &str) -> Vec<String> {
        let begin = format!("{step} ");
        let lines = self.lines();
        lines.iter().filter_map(|line| line.strip_prefix(&begin)).map(str::to_owned).collect()
    }
}

impl Observer for Journal {
    fn on(&self, _: &RunView<'_>, event: &Event<'_>) {
        self.0.lock().push(match event {
            Event::RunStarted => "run starts".into(),
            Event::StepStarted { step, attempt } => format!("{} starts {attempt}", step.name),
            Event::Retrying { step, attempt, delay, .. } => {
                format!("{} retries after {attempt} in {delay:?}", step.name)
            }
            Event::StepDone { step, state, attempts, .. } => {
                format!("{} is {state:?} after {attempts}", step.name)
            }
            Event::RunDone { outcome, .. } => format!("run ends {}", outcome.is_ok()),
            _ => unreachable!("an event that is not known here"),
        });
    }
}

/// The states of the steps, in the order of definition.
pub fn states(snapshot: &jobtracker_flow::Snapshot) -> Vec<StepState> {
    snapshot.steps.iter().map(|step| step.state).collect()
}
