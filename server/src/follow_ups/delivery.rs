//! One try of one delivery.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use jobtracker_engine::{Error, Tried};
use jobtracker_model::{Attempt, Channel, DeliveryId, Progress, Timestamp, Trigger, Way};
use jobtracker_store::{
    DeliveryRow, FollowUp, FollowUpKey, IndexId, Loaded, Result as StoreResult, Wanted,
};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::sleep,
};

use super::{
    cause::cause,
    lease::Lease,
    notice::{Message, message, source_of},
    rounds::Parts,
};
use crate::{
    clock,
    outbox::{Answer, JobName, JobRef, Outcome, Queued},
};

/// A delivery that was read longer ago is read again: a caller may have cancelled it.
const FRESH: Duration = Duration::from_secs(1);
/// The pause before the outcome of a try is noted again, at first and at most; it doubles.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// The pause after which a follow-up is due again if its outcome can never be noted.
const PAUSE_FOR_GOOD: Duration = Duration::from_secs(3600);
/// Deliveries whose causes are read at once.
const CAUSES_AT_ONCE: usize = 16;

/// A due delivery, as the index has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub id: DeliveryId,
    pub trigger: Trigger,
    pub time: Timestamp,
}

/// A delivery with its message, read before its turn.
pub(super) struct Prepared {
    row: DeliveryRow,
    message: Option<Message>,
    since: Instant,
    _room: OwnedSemaphorePermit,
}

/// Reads the messages of many deliveries at once. `None` for a delivery for which there is no room,
/// or which is not due any more: it is read, again, when it has its turn.
pub(super) async fn prepare(parts: &Parts, due: &[Due]) -> Vec<Option<Prepared>> {
    let Ok(loaded) = parts.store.look_up(wanted(due)).await else {
        return due.iter().map(|_| None).collect();
    };
    let since = Instant::now();
    let loaded = &loaded;
    let prepared = due.iter().copied().map(async |due| {
        let room = Arc::clone(&parts.prepared).try_acquire_owned().ok()?;
        let (row, message) = found(loaded, due)?;
        let message = with_cause(parts, &row, message).await.ok()?;
        Some(Prepared { row, message, since, _room: room })
    });
    stream::iter(prepared).buffered(CAUSES_AT_ONCE).collect().await
}

/// Tries a due delivery when it has its turn, and notes the outcome.
pub(super) async fn deliver(
    parts: &Parts,
    due: Due,
    prepared: Option<Prepared>,
    (queued, lease, stopping): (Queued, Arc<Lease>, watch::Receiver<bool>),
) {
    let mut stops = stopping.clone();
    let turn = tokio::select! {
        turn = queued.turn() => turn,
        _ = stops.wait_for(|stopping| *stopping) => return,
    };
    if !lease.holds() {
        // The wait was long, and another server has the lease by now.
        return;
    }
    let id = due.id;
    let (row, message) = match prepared.filter(|prepared| prepared.since.elapsed() < FRESH) {
        Some(Prepared { row, message, .. }) => (row, message),
        None => match read(parts, due).await {
            Ok(Some(found)) => found,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(delivery = %id, %error, "a delivery cannot be read now");
                return;
            }
        },
    };
    let under_way = parts.metrics.enter();
    parts.metrics.began("delivery", due.time, clock::now());
    let outcome = match message {
        Some(message) => send(parts, row.way, &message).await,
        None => refused("what it belongs to is not there"),
    };
    // The next delivery need not wait until this one is noted.
    drop((turn, under_way));
    let now = clock::now();
    let made = row.attempts.saturating_sub(row.earlier) + 1;
    let progress = progress(parts, made, &outcome, now);
    parts.metrics.tried(row.way.channel, progress);
    let tried = Tried { due: due.time, attempts: row.attempts };
    note(parts, id, tried, (attempt(outcome, now), progress), stopping).await;
}

async fn read(parts: &Parts, due: Due) -> StoreResult<Option<(DeliveryRow, Option<Message>)>> {
    let loaded = parts.store.look_up(wanted(&[due])).await?;
    let Some((row, message)) = found(&loaded, due) else { return Ok(None) };
    let message = with_cause(parts, &row, message).await?;
    Ok(Some((row, message)))
}

/// A message with its cause.
async fn with_cause(
    parts: &Parts,
    row: &DeliveryRow,
    message: Option<Message>,
) -> StoreResult<Option<Message>> {
    let Some(mut message) = message else { return Ok(None) };
    let JobName { id, name, .. } = &message.notice.job;
    let job = JobRef { id: *id, name: name.clone() };
    message.notice.cause = cause(&*parts.store, job, row).await?;
    Ok(Some(message))
}

fn wanted(due: &[Due]) -> Wanted {
    let mut wanted = Wanted::default();
    for Due { id, trigger, .. } in due {
        wanted.definitions.insert(id.job);
        wanted.follow_ups.insert((id.job, FollowUpKey::Delivery(id.number)));
        wanted.follow_ups.insert((id.job, source_of(*trigger)));
    }
    wanted
}

/// The delivery as it is now and its message, unless it is not due at that time any more: the
/// outcome of an earlier try may have been noted after the index was read.
fn found(loaded: &Loaded, Due { id, time, .. }: Due) -> Option<(DeliveryRow, Option<Message>)> {
    let row = loaded.follow_ups.get(&(id.job, FollowUpKey::Delivery(id.number)))?;
    match row {
        FollowUp::Delivery(delivery) if row.place() == Some((IndexId::Due, time)) => {
            Some((delivery.clone(), message(id, delivery, loaded)))
        }
        _ => None,
    }
}

/// Sends a message once, by one way.
pub(super) async fn send(parts: &Parts, way: Way, message: &Message) -> Outcome {
    let Message { notice, http, email } = message;
    let now = clock::now();
    match (way.channel, http, email, &parts.mailer) {
        (Channel::Http, Some(http), ..) => match notice.body(http.payload.as_ref()) {
            Ok(body) => parts.poster.post(&notice.delivery, http, body, now).await,
            Err(error) => refused(&format!("its payload cannot be sent: {error}")),
        },
        (Channel::Email, _, Some(email), Some(mailer)) => {
            mailer.send(notice, email, way.recipient, now).await
        }
        // Another server may have one, or this server after a restart.
        (Channel::Email, _, Some(_), None) => Outcome::failed("no SMTP server is configured"),
        _ => refused("it has no receiver"),
    }
}

fn refused(why: &str) -> Outcome {
    Outcome::Refused(Answer { status: 0, text: why.to_owned() })
}

/// What follows for a delivery after `made` tries.
fn progress(parts: &Parts, made: u32, outcome: &Outcome, now: Timestamp) -> Progress {
    let asked = match outcome {
        Outcome::Delivered(_) => return Progress::Delivered(now),
        Outcome::Refused(_) => return Progress::Failed(now),
        Outcome::TryLater { after, .. } => *after,
        Outcome::Failed { .. } | Outcome::Forbidden { .. } => None,
    };
    match parts.schedule.next(made, rand::random()) {
        Some(pause) => Progress::Waiting(now.after(pause.max(asked.unwrap_or_default()))),
        None => Progress::Failed(now),
    }
}

/// The outcome of a try, as the API shows it.
pub(super) fn attempt(outcome: Outcome, time: Timestamp) -> Attempt {
    let of = |answer: Answer| {
        let status = Some(answer.status).filter(|status| *status > 0);
        Attempt { time, status, response: answer.text }
    };
    match outcome {
        Outcome::Delivered(answer)
        | Outcome::Refused(answer)
        | Outcome::TryLater { answer, .. } => of(answer),
        Outcome::Failed { answer: Some(answer), .. } => of(answer),
        Outcome::Failed { answer: None, reason } | Outcome::Forbidden { why: reason } => {
            Attempt { time, status: None, response: reason }
        }
    }
}

/// Notes the outcome of a try, for as long as that takes, until the service stops: a store that
/// takes no writes must not become a stream of requests to the receiver. If the outcome can never
/// be noted, the delivery is due again after a long pause, for the same reason.
async fn note(
    parts: &Parts,
    id: DeliveryId,
    tried: Tried,
    (attempt, progress): (Attempt, Progress),
    mut stopping: watch::Receiver<bool>,
) {
    let mut pause = PAUSE;
    loop {
        let noted = parts.engine.settle_delivery(id, tried, attempt.clone(), progress).await;
        let Err(error) = noted else { return };
        let last = match ending(&error) {
            Ending::Over => return,
            Ending::Passes => {
                tracing::warn!(delivery = %id, %error, "what came of a delivery waits to be noted");
                false
            }
            Ending::Stays => {
                parts.metrics.not_noted();
                tracing::error!(delivery = %id, %error, "what came of a delivery cannot be noted");
                pause = PAUSE_FOR_GOOD;
                true
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        if last {
            return;
        }
        pause = PAUSE_MAX.min(pause * 2);
    }
}

/// What an error of a note means for the next step.
#[derive(Debug, PartialEq, Eq)]
enum Ending {
    /// There is nothing left to note, or the engine takes no more notes.
    Over,
    /// A later note may succeed.
    Passes,
    /// Every further note will fail.
    Stays,
}

fn ending(error: &Error) -> Ending {
    match error {
        Error::JobNotFound(_) | Error::DeliveryNotFound(_) | Error::ShuttingDown => Ending::Over,
        error if error.code().is_transient() => Ending::Passes,
        _ => Ending::Stays,
    }
}

#[cfg(test)]
mod tests {
    use jobtracker_model::JobId;
    use jobtracker_store::Error as StoreError;

    use super::*;

    #[test]
    fn what_cannot_pass_is_not_waited_for() {
        let of = |error: StoreError| ending(&error.into());
        assert_eq!(of(StoreError::Unavailable("busy".into())), Ending::Passes);
        assert_eq!(of(StoreError::Full("disk".into())), Ending::Passes);
        assert_eq!(of(StoreError::OutcomeUnknown("lost".into())), Ending::Passes);
        assert_eq!(of(StoreError::Corrupt("row".into())), Ending::Stays);
        assert_eq!(ending(&Error::JobNotFound(JobId::MIN)), Ending::Over);
        assert_eq!(ending(&Error::ShuttingDown), Ending::Over);
        assert_eq!(ending(&Error::Overloaded { retry_after_ms: 1 }), Ending::Passes);
    }
}
