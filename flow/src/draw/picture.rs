use std::time::Duration;

use jobtracker_client::Timestamp;

use crate::{Need, StepMeta, StepSnapshot, StepState};

/// What a picture shows. It says the same whenever it is asked.
pub(super) struct Picture<'a> {
    pub(super) flow: &'a str,
    pub(super) steps: Vec<Node<'a>>,
}

pub(super) struct Node<'a> {
    pub(super) name: &'a str,
    pub(super) needs: &'a [Need],
    /// The name of the type of the output.
    pub(super) output: &'a str,
    /// In a run.
    pub(super) state: Option<StepState>,
    /// What there is to say of it in a run, line by line.
    pub(super) tooltip: Vec<String>,
}

impl<'a> Node<'a> {
    pub(super) fn of_definition(meta: &'a StepMeta) -> Self {
        let (name, needs, output) = (&*meta.name, &*meta.needs, meta.output);
        Self { name, needs, output, state: None, tooltip: Vec::new() }
    }

    pub(super) fn of_run(step: &'a StepSnapshot, begin: Timestamp) -> Self {
        let mut tooltip = vec![format!("state: {}", label(step.state))];
        if let Some(started) = step.started {
            tooltip.push(format!("started: {}", begin.after(started)));
        }
        if let Some(duration) = step.duration {
            tooltip.push(format!("duration: {}", rounded(duration)));
        }
        if step.attempts > 0 {
            tooltip.push(format!("attempts: {}", step.attempts));
        }
        if let Some(error) = &step.error {
            tooltip.push(first_line(&error.to_string()));
        }
        let (name, needs, output) = (&*step.name, &*step.needs, step.output);
        Self { name, needs, output, state: Some(step.state), tooltip }
    }
}

pub(super) fn label(state: StepState) -> &'static str {
    match state {
        StepState::Pending => "pending",
        StepState::Running => "running",
        StepState::Succeeded => "succeeded",
        StepState::Failed => "failed",
        StepState::Skipped => "skipped",
        StepState::Cancelled => "cancelled",
        StepState::Reused => "reused",
    }
}

/// The colours of a state: inside, border.
pub(super) fn colours(state: Option<StepState>) -> (&'static str, &'static str) {
    match state {
        None | Some(StepState::Pending) => ("#e5e7eb", "#6b7280"),
        Some(StepState::Running) => ("#fde68a", "#b45309"),
        Some(StepState::Succeeded) => ("#bbf7d0", "#15803d"),
        Some(StepState::Failed) => ("#fecaca", "#b91c1c"),
        Some(StepState::Skipped) => ("#f3f4f6", "#9ca3af"),
        Some(StepState::Cancelled) => ("#fed7aa", "#c2410c"),
        Some(StepState::Reused) => ("#bfdbfe", "#1d4ed8"),
    }
}

/// Characters of an error that a picture shows.
const ERROR_CHARS: usize = 200;

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(ERROR_CHARS).collect()
}

/// To milliseconds, or to microseconds where there is less than one.
fn rounded(duration: Duration) -> String {
    let unit = if duration < Duration::from_millis(1) { 1_000 } else { 1_000_000 };
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    format!("{:?}", Duration::from_nanos(nanos - nanos % unit))
}

/// The last part of the path of a type, and of those inside it.
pub(super) fn short_type(name: &str) -> String {
    let mut short = String::new();
    for part in name.split_inclusive(|letter: char| "<>(),[]&; ".contains(letter)) {
        short.push_str(part.rsplit("::").next().unwrap_or(part));
    }
    short
}
