//! The moves of a task, each with the state of its job.

use std::{sync::Arc, time::Duration};

use jobtracker_model::{
    AttemptFailure, JobId, NewChange, NewTask, OnNoWorker, State, TaskReport, TaskReportState,
    Timestamp,
};
use jobtracker_store::{
    Assignment, CancelReason, FollowUp, FollowUpKey, Reported, TaskLease, TaskPhase, TaskRow,
};

use super::{change, roll_up::Became, rules::Rules};
use crate::{
    Error, Result,
    operation::{Claim, Holder, TaskChange, TaskChanged},
    workspace::Workspace,
};

/// Gives a new job its task.
pub(super) fn install(space: &mut Workspace, id: JobId, task: &Arc<NewTask>, now: Timestamp) {
    let mut watch = space.begin_watch(id);
    watch.task = true;
    space.set_follow_up(id, FollowUpKey::Watch, FollowUp::Watch(watch));
    let row = TaskRow::new(Arc::clone(task), now);
    space.set_follow_up(id, FollowUpKey::Task, FollowUp::Task(Box::new(row)));
}

/// The attempt that the holder of a lease makes; refuses another one.
pub(super) fn attempt_of(
    space: &Workspace,
    id: JobId,
    holder: Option<&Holder>,
) -> Result<Option<u32>> {
    lease_of(space, id, holder)?.map(|_| Ok(find(space, id)?.attempt)).transpose()
}

/// Refuses children of a task that is to stop: they would be left behind.
pub(super) fn check_goes_on(space: &Workspace, id: JobId, holder: Option<&Holder>) -> Result<()> {
    match lease_of(space, id, holder)? {
        Some(TaskLease { cancel: Some(_), .. }) => Err(Error::StaleLease(id)),
        _ => Ok(()),
    }
}

/// The lease of a holder, if there is to be one.
fn lease_of<'a>(
    space: &'a Workspace,
    id: JobId,
    holder: Option<&Holder>,
) -> Result<Option<&'a TaskLease>> {
    let Some(Holder { worker, epoch }) = holder else { return Ok(None) };
    held(find(space, id)?, worker, *epoch).map(Some).ok_or(Error::StaleLease(id))
}

/// Refuses a state that is reported past the lease of a job that has a task.
pub(super) fn check_reporter(space: &Workspace, id: JobId) -> Result<()> {
    match space.watch(id) {
        Some(watch) if watch.task => Err(Error::StaleLease(id)),
        _ => Ok(()),
    }
}

fn find(space: &Workspace, id: JobId) -> Result<&TaskRow> {
    space.status(id).ok_or(Error::JobNotFound(id))?;
    match space.follow_up(id, FollowUpKey::Task) {
        Some(FollowUp::Task(row)) => Ok(row),
        _ => Err(Error::TaskNotFound(id)),
    }
}

/// The lease, if it is this one.
fn held<'a>(row: &'a TaskRow, worker: &str, epoch: u32) -> Option<&'a TaskLease> {
    row.lease().filter(|lease| row.epoch == epoch && lease.worker == worker)
}

/// Applies a change to the task of a job.
pub(super) fn apply(
    space: &mut Workspace,
    id: JobId,
    change: &TaskChange,
    rules: Rules,
    became: &mut Vec<Became>,
) -> Result<TaskChanged> {
    let row = find(space, id)?.clone();
    let mut task = Move { space, id, rules, became, row };
    let done = match change {
        TaskChange::Claim(claim) => task.claim(claim)?,
        TaskChange::Report(report) => task.report(report)?,
        TaskChange::Look { epoch, until } => task.look(*epoch, *until)?,
        TaskChange::Lose { epoch, why } => {
            let is_held = task.row.lease().is_some() && task.row.epoch == *epoch;
            is_held && task.fail(AttemptFailure::WorkerLost, why)?
        }
        TaskChange::Unclaimed { epoch, why } => task.unclaimed(*epoch, why)?,
        TaskChange::Cancel { reason, by } => task.cancel(*reason, by.as_deref())?,
        TaskChange::Pause { by } => task.pause(by.as_deref())?,
        TaskChange::Resume { by } => task.resume(by.as_deref())?,
        TaskChange::Assign { epoch, to } => task.assign(*epoch, to),
    };
    Ok(task.finish(done))
}

/// A task that moves.
struct Move<'a> {
    space: &'a mut Workspace,
    id: JobId,
    rules: Rules,
    became: &'a mut Vec<Became>,
    row: TaskRow,
}

impl Move<'_> {
    /// Writes the task if it has changed.
    fn finish(self, done: bool) -> TaskChanged {
        let Self { space, id, row, .. } = self;
        if done {
            space.set_follow_up(id, FollowUpKey::Task, FollowUp::Task(Box::new(row.clone())));
        }
        let state = space.status(id).map_or(State::WaitingToRun, |status| status.state);
        TaskChanged { done, task: Box::new(row), state }
    }

    /// Reports a state of the job.
    fn tell(&mut self, change: NewChange) -> Result<()> {
        let Self { space, id, rules, became, .. } = self;
        change::append(space, *id, &change.shortened(), *rules, became).map(drop)
    }

    fn now(&self) -> Timestamp {
        self.rules.now
    }

    fn claim(&mut self, Claim { epoch, worker, until }: &Claim) -> Result<bool> {
        let now = self.now();
        let is_free = matches!(self.row.phase, TaskPhase::Waiting(from) if from <= now);
        let is_kept = self.row.assignment(now).is_some_and(|kept| kept.worker != *worker);
        if !is_free || is_kept || self.row.epoch != *epoch {
            return Ok(false);
        }
        let attempt = self.row.attempt + 1;
        let message = format!("attempt {attempt} on worker {worker}");
        self.tell(NewChange::new(State::Running).message(message))?;
        let worker = worker.clone();
        let lease = TaskLease { worker, since: now, until: *until, cancel: None };
        self.row.phase = TaskPhase::Leased(lease);
        self.row.assigned = None;
        (self.row.epoch, self.row.attempt, self.row.progress) = (epoch + 1, attempt, 0);
        Ok(true)
    }

    fn assign(&mut self, epoch: u32, to: &Assignment) -> bool {
        let now = self.now();
        let is_free = matches!(self.row.phase, TaskPhase::Waiting(from) if from <= now);
        if !is_free || self.row.epoch != epoch || self.row.assignment(now).is_some() {
            return false;
        }
        self.row.assigned = Some(to.clone());
        true
    }

    fn report(&mut self, report: &TaskReport) -> Result<bool> {
        let TaskReport { worker, epoch, state, .. } = report;
        let reported = Some(Reported { epoch: *epoch, state: *state });
        let is_by = |by: &String| by == worker;
        if self.row.reported == reported && self.row.reported_by.as_ref().is_none_or(is_by) {
            return Ok(false);
        }
        let lease = held(&self.row, worker, *epoch).ok_or(Error::StaleLease(self.id))?;
        let cancelled = lease.cancel;
        if *state == TaskReportState::Progress {
            let progress = report.progress.unwrap_or(0).min(99);
            let is_more = progress > self.row.progress;
            self.row.progress = progress.max(self.row.progress);
            let has_data = report.data.is_some() && report.data != self.row.data;
            if has_data {
                self.row.data.clone_from(&report.data);
            }
            return Ok(is_more || has_data);
        }
        (self.row.reported, self.row.reported_by) = (reported, Some(worker.clone()));
        self.row.data = report.data.clone().or(self.row.data.take());
        let message = report.message.as_deref().unwrap_or_default();
        // What was cancelled stays so, whatever the worker has come to.
        if let Some((_, reason)) = cancelled {
            return self.end_cancelled(reason, message);
        }
        match state {
            TaskReportState::Succeeded => self.succeed(report)?,
            TaskReportState::Failed => return self.fail(AttemptFailure::Failed, message),
            TaskReportState::Timeout => return self.fail(AttemptFailure::Timeout, message),
            TaskReportState::Rejected => self.end("rejected", message)?,
            TaskReportState::Paused => {
                self.tell(warning("paused", message))?;
                self.row.attempt = self.row.attempt.saturating_sub(1);
                self.row.phase = TaskPhase::Paused(self.now());
            }
            TaskReportState::HandedBack => {
                let attempt = self.row.attempt;
                let back = format!("attempt {attempt} was handed back by worker {worker}");
                self.tell(warning("handed_back", &with(&back, message)))?;
                self.row.attempt = attempt.saturating_sub(1);
                self.row.phase = TaskPhase::Waiting(self.now());
            }
            TaskReportState::Progress => {}
        }
        Ok(true)
    }

    fn succeed(&mut self, report: &TaskReport) -> Result<()> {
        let message = report.message.clone();
        self.tell(NewChange { message, ..NewChange::new(State::RanToCompletion) })?;
        self.row.phase = TaskPhase::Ended(self.now());
        self.row.result.clone_from(&report.result);
        (self.row.progress, self.row.next_at) = (100, report.next_at);
        Ok(())
    }

    /// An attempt has failed: another one follows, or the job ends.
    fn fail(&mut self, failure: AttemptFailure, message: &str) -> Result<bool> {
        if let Some((_, reason)) = self.row.lease().and_then(|lease| lease.cancel) {
            return self.end_cancelled(reason, message);
        }
        let (attempt, all) = (self.row.attempt, u64::from(self.row.task.retry.max) + 1);
        let pause = self.row.pause(failure, self.id.get());
        let Some(pause) = pause.filter(|_| !self.has_lost_its_only_worker(failure)) else {
            let many = format!("attempt {attempt} of {all} failed");
            let message = if all == 1 { message.to_owned() } else { with(&many, message) };
            self.end(failure.reason(), &message)?;
            return Ok(true);
        };
        let next = self.now().after(pause);
        let failed = with(&format!("attempt {attempt} of {all} failed"), message);
        let told = format!("{failed}; next at {next}");
        self.tell(warning(failure.reason(), &told))?;
        self.row.phase = TaskPhase::Waiting(next);
        Ok(true)
    }

    /// Whether the worker that is lost was the only one that may run the task.
    fn has_lost_its_only_worker(&self, failure: AttemptFailure) -> bool {
        let named = &self.row.task.filter.workers;
        let is_lost = |lease: &TaskLease| named.iter().all(|id| *id == lease.worker);
        failure == AttemptFailure::WorkerLost
            && !named.is_empty()
            && self.row.lease().is_some_and(is_lost)
    }

    /// The job ends as failed.
    fn end(&mut self, reason: &str, message: &str) -> Result<()> {
        let message = (!message.is_empty()).then(|| message.to_owned());
        let change = NewChange { message, ..NewChange::new(State::Faulted) };
        self.tell(change.reason_code(reason))?;
        self.row.phase = TaskPhase::Ended(self.now());
        Ok(())
    }

    fn end_cancelled(&mut self, reason: CancelReason, message: &str) -> Result<bool> {
        self.end(reason.code(), &with(reason.code(), message)).map(|()| true)
    }

    fn look(&mut self, epoch: u32, until: Option<Timestamp>) -> Result<bool> {
        let (now, due) = (self.now(), self.row.lease_due());
        let Some(lease) = self.row.lease().filter(|_| self.row.epoch == epoch) else {
            return Ok(false);
        };
        if due.is_none_or(|due| due > now) {
            return Ok(false);
        }
        let grace = Duration::from_millis(self.row.task.timeouts.cancel_grace_ms);
        if let Some((asked, reason)) = lease.cancel
            && asked.after(grace) <= now
        {
            return self.end_cancelled(reason, "its worker did not stop in time");
        }
        if self.row.deadline().is_some_and(|deadline| deadline <= now) {
            let most = self.row.task.timeouts.execution_ms.unwrap_or(0);
            let why = format!("it took longer than {most} ms");
            return self.fail(AttemptFailure::Timeout, &why);
        }
        let Some(until) = until.filter(|until| *until > now) else {
            let why = format!("worker {} was silent", lease.worker);
            return self.fail(AttemptFailure::WorkerLost, &why);
        };
        let lease = TaskLease { until, ..lease.clone() };
        self.row.phase = TaskPhase::Leased(lease);
        Ok(true)
    }

    fn unclaimed(&mut self, epoch: u32, why: &str) -> Result<bool> {
        let now = self.now();
        let has_waited = self.row.start_deadline().is_some_and(|deadline| deadline <= now);
        let is_urgent = self.row.task.on_no_worker == OnNoWorker::Fail;
        let is_free = matches!(self.row.phase, TaskPhase::Waiting(from) if from <= now);
        if !is_free || self.row.epoch != epoch || !(has_waited || is_urgent) {
            return Ok(false);
        }
        self.end("no_worker", why).map(|()| true)
    }

    fn cancel(&mut self, reason: CancelReason, by: Option<&str>) -> Result<bool> {
        let now = self.now();
        match &mut self.row.phase {
            TaskPhase::Ended(_) => Ok(false),
            TaskPhase::Leased(lease) if lease.cancel.is_some() => Ok(false),
            TaskPhase::Leased(lease) => {
                lease.cancel = Some((now, reason));
                Ok(true)
            }
            TaskPhase::Waiting(_) | TaskPhase::Paused(_) => {
                let change = NewChange { by: by.map(Into::into), ..NewChange::new(State::Faulted) };
                self.tell(change.reason_code(reason.code()).message(reason.code()))?;
                self.row.phase = TaskPhase::Ended(now);
                Ok(true)
            }
        }
    }

    fn pause(&mut self, by: Option<&str>) -> Result<bool> {
        match self.row.phase {
            TaskPhase::Waiting(_) => {
                self.tell(NewChange { by: by.map(Into::into), ..warning("paused", "paused") })?;
                self.row.phase = TaskPhase::Paused(self.now());
                Ok(true)
            }
            TaskPhase::Leased(_) => Err(Error::TaskIsRunning(self.id)),
            TaskPhase::Paused(_) | TaskPhase::Ended(_) => Ok(false),
        }
    }

    fn resume(&mut self, by: Option<&str>) -> Result<bool> {
        if !matches!(self.row.phase, TaskPhase::Paused(_)) {
            return Ok(false);
        }
        // One that was held from the beginning has nothing to take back.
        let last = self.space.status(self.id).map(|status| status.last);
        if last.is_some_and(|last| last != State::WaitingToRun) {
            self.tell(NewChange { by: by.map(Into::into), ..warning("resumed", "resumed") })?;
        }
        let now = self.now();
        let from = self.row.task.not_before.map_or(now, |from| from.max(now));
        self.row.phase = TaskPhase::Waiting(from);
        Ok(true)
    }
}

fn warning(reason: &str, message: &str) -> NewChange {
    let message = (!message.is_empty()).then(|| message.to_owned());
    NewChange { message, ..NewChange::new(State::Warning) }.reason_code(reason)
}

/// What happened, and what its cause has to say, if it says something.
fn with(what: &str, message: &str) -> String {
    if message.is_empty() { what.to_owned() } else { format!("{what}: {message}") }
}
