use std::{sync::Arc, time::Duration};

use jobtracker_client::{JobId, NewChange, NewJob, State, limits};
use serde_json::json;

use crate::{FlowError, NeedKind, RunId, RunInfo, StepError, StepErrorKind, StepMeta, StepState};

/// What every job of a run has.
#[derive(Clone, Default)]
pub(super) struct Labels {
    pub(super) created_by: String,
    pub(super) tags: Vec<String>,
}

/// The job of a run.
pub(super) fn run(info: &RunInfo, origin: Option<JobId>, labels: &Labels) -> NewJob {
    let options = json!({
        "run": info.id,
        "flow": info.flow,
        "origin": info.origin,
        "originJob": origin,
    });
    let mut job = job(&info.flow, labels).tag("flow").options(options.to_string());
    if info.origin.is_some() {
        job = job.tag("rerun");
    }
    job
}

/// The job of a step.
pub(super) fn step(meta: &StepMeta, steps: &[StepMeta], labels: &Labels) -> NewJob {
    let named = |kind: NeedKind| -> Vec<&Arc<str>> {
        let needs = meta.needs.iter().filter(|need| need.kind == kind);
        needs.map(|need| &steps[need.step as usize].name).collect()
    };
    let options = json!({
        "step": meta.index,
        "needs": named(NeedKind::Data),
        "after": named(NeedKind::Order),
        "settled": named(NeedKind::Settled),
    });
    let job = job(&meta.name, labels);
    let options = options.to_string();
    // What depends on thousands of steps has no room for their names.
    if options.len() > limits::OPTIONS { job } else { job.options(options) }
}

fn job(name: &str, labels: &Labels) -> NewJob {
    let plain: String =
        name.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let plain = if plain.is_empty() { "(no name)" } else { &plain };
    let short = &plain[..plain.floor_char_boundary(limits::NAME)];
    let job = NewJob::new(short).created_by(labels.created_by.clone());
    labels.tags.iter().fold(job, |job, tag| job.tag(tag.clone()))
}

/// That an attempt failed and another one follows. Texts are shortened here, since they may have
/// to wait.
pub(super) fn retrying(attempt: u32, error: &StepError, delay: Duration) -> NewChange {
    let kind = &error.kind;
    NewChange::new(State::Warning)
        .reason_code("retry")
        .message(format!("attempt {attempt} {kind}; attempt {} in {delay:?}", attempt + 1))
        .change_id(format!("attempt-{attempt}"))
        .shortened()
}

/// How a step ended.
pub(super) fn ended(
    state: StepState,
    attempts: u32,
    error: Option<&StepError>,
    origin: Option<&RunId>,
) -> NewChange {
    let change = match error {
        Some(error) => failed(error, attempts),
        None if state == StepState::Reused => {
            let origin = origin.map_or("an earlier run".to_owned(), |run| format!("run {run}"));
            NewChange::new(State::RanToCompletion)
                .reason_code("reused")
                .message(format!("its output is that of {origin}"))
        }
        None => NewChange::new(State::RanToCompletion),
    };
    change.change_id("end").shortened()
}

fn failed(error: &StepError, attempts: u32) -> NewChange {
    let message = match &error.kind {
        StepErrorKind::Skipped { .. } | StepErrorKind::Cancelled(_) => error.kind.to_string(),
        kind if attempts > 1 => format!("attempt {attempts} {kind}"),
        kind => kind.to_string(),
    };
    NewChange::new(State::Faulted).reason_code(error.code()).message(message)
}

/// How a run ended.
pub(super) fn run_ended(outcome: &Result<(), FlowError>) -> NewChange {
    let change = match outcome {
        Ok(()) => NewChange::new(State::RanToCompletion),
        Err(error) => {
            let reason = match error {
                FlowError::DeadlineExceeded(_) => "timeout",
                FlowError::Cancelled(_) => "cancelled",
                _ => "failed",
            };
            NewChange::new(State::Faulted).reason_code(reason).message(error.to_string())
        }
    };
    change.change_id("end").shortened()
}
