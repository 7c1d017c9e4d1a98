//! One try of one delivery.

use std::time::Duration;

use jobtracker_engine::{Engine, Error};
use jobtracker_model::{Attempt, Channel, DeliveryId, Progress, Timestamp};
use jobtracker_store::DeliveryRow;

use super::{notice::Letter, rounds::Parts};
use crate::{
    clock,
    outbox::{Answer, Outcome},
};

/// How often it is tried to note what came of a try.
const TRIES: u32 = 5;
/// The pause before it is tried again, at first; it doubles.
const PAUSE: Duration = Duration::from_millis(200);

/// Tries to deliver, and notes what came of it.
pub(super) async fn deliver(
    parts: &Parts,
    id: DeliveryId,
    row: &DeliveryRow,
    letter: Option<Letter>,
) {
    let outcome = match letter {
        Some(letter) => send(parts, row.channel, &letter).await,
        None => refused("what it belongs to is not there"),
    };
    let now = clock::now();
    let made = row.attempts - row.earlier + 1;
    let progress = progress(parts, made, &outcome, now);
    let name = match progress {
        Progress::Delivered(_) => "delivered",
        Progress::Failed(_) => "failed",
        _ => "waits",
    };
    parts.metrics.tried(row.channel, name);
    let attempt = attempt(outcome, now);
    if let Err(error) = note(&parts.engine, id, row.attempts, (attempt, progress)).await {
        // It is due as before: the receiver may get it once more, under the same id.
        tracing::warn!(delivery = %id, %error, "what came of a delivery is not noted");
    }
}

/// Sends a letter in one way, once.
pub(super) async fn send(parts: &Parts, channel: Channel, letter: &Letter) -> Outcome {
    let Letter { notice, http, email } = letter;
    let now = clock::now();
    match (channel, http, email, &parts.mailer) {
        (Channel::Http, Some(http), ..) => match notice.body(http.payload.as_ref()) {
            Ok(body) => parts.poster.post(&notice.delivery, http, body, now).await,
            Err(error) => refused(&format!("its payload cannot be sent: {error}")),
        },
        (Channel::Email, _, Some(email), Some(mailer)) => mailer.send(notice, email, now).await,
        (Channel::Email, _, Some(_), None) => refused("no SMTP server is configured"),
        _ => refused("it has no receiver"),
    }
}

fn refused(why: &str) -> Outcome {
    Outcome::Refused(Answer { status: 0, text: why.to_owned() })
}

/// What is to become of a delivery after so many tries.
fn progress(parts: &Parts, made: u32, outcome: &Outcome, now: Timestamp) -> Progress {
    let asked = match outcome {
        Outcome::Delivered(_) => return Progress::Delivered(now),
        Outcome::Refused(_) => return Progress::Failed(now),
        Outcome::TryLater { after, .. } => *after,
        Outcome::Failed { .. } | Outcome::Forbidden { .. } => None,
    };
    match parts.schedule.next(made, rand::random()) {
        Some(pause) => Progress::Waiting(later(now, pause.max(asked.unwrap_or_default()))),
        None => Progress::Failed(now),
    }
}

fn later(now: Timestamp, pause: Duration) -> Timestamp {
    let millis = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.millis().saturating_add(millis)).unwrap_or(Timestamp::MAX)
}

/// What came of a try, as it is shown.
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

async fn note(
    engine: &Engine,
    id: DeliveryId,
    attempts: u32,
    (attempt, progress): (Attempt, Progress),
) -> Result<(), Error> {
    let mut pause = PAUSE;
    for _ in 1..TRIES {
        match engine.settle_delivery(id, attempts, attempt.clone(), progress).await {
            Err(error) if error.code().is_transient() => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            done => return done.map(|_| ()),
        }
    }
    engine.settle_delivery(id, attempts, attempt, progress).await.map(|_| ())
}
