//! One try of one delivery: it is due, then prepared, then sent, then settled.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jobtracker_engine::{Error, Tried};
use jobtracker_model::{Attempt, Channel, DeliveryId, Progress, Timestamp, Way};
use jobtracker_store::{
    DeliveryRow, FollowUp, FollowUpKey, IndexId, Result as StoreResult, Wanted,
};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::sleep,
};

use super::{
    in_progress::Entry,
    lease::Lease,
    message::{Message, messages},
    parts::Parts,
};
use crate::{
    clock,
    outbox::{Answer, Outcome, Queued},
};

/// A delivery that was read longer ago is read again: a caller may have cancelled it.
const FRESH: Duration = Duration::from_secs(1);
/// The pause before the outcome of a try is noted again, at first and at most; it doubles.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// The pause after which a follow-up is due again if its outcome can never be noted.
const PAUSE_FOR_GOOD: Duration = Duration::from_secs(3600);

/// A delivery that is due, as the index has it.
pub(super) struct Due {
    pub id: DeliveryId,
    pub time: Timestamp,
    pub row: DeliveryRow,
    /// When the index was read.
    pub read: Instant,
    /// Its place in the queue of its receiver.
    pub queued: Queued,
    pub in_progress: Entry,
}

/// A due delivery with its message, if there was room to read it before its turn.
pub(super) struct Prepared {
    due: Due,
    message: Option<(Option<Message>, OwnedSemaphorePermit)>,
}

/// A delivery that was tried.
struct Sent {
    id: DeliveryId,
    tried: Tried,
    attempt: Attempt,
    progress: Progress,
    /// Until the outcome is noted.
    _in_progress: (Queued, Entry),
}

/// Reads the messages of many deliveries at once. A delivery for which there is no room is read
/// when it has its turn, and so are all of them if the store does not answer now.
pub(super) async fn prepare(parts: &Parts, due: Vec<Due>) -> Vec<Prepared> {
    let rooms: Vec<_> =
        due.iter().map_while(|_| Arc::clone(&parts.prepared).try_acquire_owned().ok()).collect();
    let read: Vec<_> = due.iter().take(rooms.len()).map(|due| (due.id, &due.row)).collect();
    let messages = messages(&*parts.store, &read).await.unwrap_or_default();
    let mut messages = messages.into_iter().zip(rooms);
    due.into_iter().map(|due| Prepared { due, message: messages.next() }).collect()
}

impl Prepared {
    /// Sends the delivery when it has its turn, and notes the outcome.
    pub async fn deliver(self, parts: &Parts, lease: &Lease, stopping: watch::Receiver<bool>) {
        if let Some(sent) = self.send(parts, lease, stopping.clone()).await {
            sent.settle(parts, stopping).await;
        }
    }

    /// `None` if it is not due any more, or is left to a later round or to another server.
    async fn send(
        self,
        parts: &Parts,
        lease: &Lease,
        mut stopping: watch::Receiver<bool>,
    ) -> Option<Sent> {
        let Self { due: Due { id, time, mut row, read, queued, in_progress }, message } = self;
        let turn = tokio::select! {
            turn = queued.turn() => turn,
            _ = stopping.wait_for(|stopping| *stopping) => return None,
        };
        if !lease.holds() {
            // The wait was long, and another server has the lease by now.
            return None;
        }
        let message = match message.filter(|_| read.elapsed() < FRESH) {
            Some((message, _room)) => message,
            None => match read_again(parts, id, time).await {
                Ok(found) => {
                    let message;
                    (row, message) = found?;
                    message
                }
                Err(error) => {
                    tracing::warn!(delivery = %id, %error, "a delivery cannot be read now");
                    return None;
                }
            },
        };
        let under_way = parts.metrics.enter();
        parts.metrics.began("delivery", time, clock::now());
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
        let tried = Tried { due: time, attempts: row.attempts };
        let (attempt, _in_progress) = (attempt(outcome, now), (queued, in_progress));
        Some(Sent { id, tried, attempt, progress, _in_progress })
    }
}

/// A delivery as it is now, and its message; `None` if it is not due at that time any more.
async fn read_again(
    parts: &Parts,
    id: DeliveryId,
    due: Timestamp,
) -> StoreResult<Option<(DeliveryRow, Option<Message>)>> {
    let key = (id.job, FollowUpKey::Delivery(id.number));
    let wanted = Wanted { follow_ups: [key].into(), ..Wanted::default() };
    let row = parts.store.look_up(wanted).await?.follow_ups.remove(&key);
    let is_due = |row: &FollowUp| row.entry() == Some((IndexId::Due, due));
    let Some(FollowUp::Delivery(row)) = row.filter(is_due) else { return Ok(None) };
    let message = messages(&*parts.store, &[(id, &row)]).await?.pop().flatten();
    Ok(Some((row, message)))
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

impl Sent {
    /// Notes the outcome of a try, for as long as that takes, until the service stops: a store that
    /// takes no writes must not become a stream of requests to the receiver. If the outcome can
    /// never be noted, the delivery is due again after a long pause, for the same reason.
    async fn settle(self, parts: &Parts, mut stopping: watch::Receiver<bool>) {
        let Self { id, tried, ref attempt, progress, .. } = self;
        let mut pause = PAUSE;
        loop {
            let noted = parts.engine.settle_delivery(id, tried, attempt.clone(), progress).await;
            let Err(error) = noted else { return };
            let ending = ending(&error);
            match ending {
                Ending::Over => return,
                Ending::Passes => {
                    tracing::warn!(delivery = %id, %error, "its outcome waits to be noted");
                }
                Ending::Stays => {
                    parts.metrics.not_noted();
                    tracing::error!(delivery = %id, %error, "its outcome cannot be noted");
                    pause = PAUSE_FOR_GOOD;
                }
            }
            tokio::select! {
                () = sleep(pause) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
            if ending == Ending::Stays {
                return;
            }
            pause = PAUSE_MAX.min(pause * 2);
        }
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
