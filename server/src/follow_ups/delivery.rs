//! One try of one delivery.

use std::time::Duration;

use jobtracker_engine::{Engine, Error};
use jobtracker_model::{Attempt, Channel, DeliveryId, Progress, Timestamp, Trigger};
use jobtracker_store::{Agenda, DeliveryRow, FollowUp, FollowUpKey, Wanted};
use tokio::{sync::watch, time::sleep};

use super::{
    notice::{Letter, letter, source_of},
    rounds::Parts,
};
use crate::{
    clock,
    outbox::{Answer, InLine, Outcome},
};

/// How often it is tried to note what came of a try.
const TRIES: u32 = 5;
/// The pause before it is tried again, at first; it doubles.
const PAUSE: Duration = Duration::from_millis(200);
/// How long nothing is sent again after it could not be noted what came of it: a store that takes
/// no writes must not become a stream of requests to the receiver.
const HELD: Duration = Duration::from_secs(60);

/// Tries to deliver what was due at that time, when it is its turn, and notes what came of it.
pub(super) async fn deliver(
    parts: &Parts,
    id: DeliveryId,
    trigger: Trigger,
    due: Timestamp,
    (in_line, stopping): (InLine, &mut watch::Receiver<bool>),
) {
    let turn = tokio::select! {
        turn = in_line.turn() => turn,
        _ = stopping.wait_for(|stopping| *stopping) => return,
    };
    let (row, letter) = match load(parts, id, trigger, due).await {
        Ok(Some(found)) => found,
        Ok(None) => return,
        Err(error) => {
            tracing::warn!(delivery = %id, %error, "a delivery cannot be read now");
            return;
        }
    };
    let _under_way = parts.metrics.enter();
    parts.metrics.began("delivery", due, clock::now());
    let outcome = match letter {
        Some(letter) => send(parts, row.channel, &letter).await,
        None => refused("what it belongs to is not there"),
    };
    // The next one need not wait until this one is noted.
    drop(turn);
    drop(in_line);
    let now = clock::now();
    let made = row.attempts - row.earlier + 1;
    let progress = progress(parts, made, &outcome, now);
    parts.metrics.tried(row.channel, progress);
    let attempt = attempt(outcome, now);
    if let Err(error) = note(&parts.engine, id, row.attempts, (attempt, progress)).await {
        // It is due as before: the receiver may get it once more, under the same id.
        tracing::warn!(delivery = %id, %error, "what came of a delivery is not noted");
        tokio::select! {
            () = sleep(HELD) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }
}

/// The delivery as it is now and what is to be sent, unless it is not due at that time any more:
/// what came of an earlier try may have been noted after the list was read.
async fn load(
    parts: &Parts,
    id: DeliveryId,
    trigger: Trigger,
    due: Timestamp,
) -> Result<Option<(DeliveryRow, Option<Letter>)>, jobtracker_store::Error> {
    let key = (id.job, FollowUpKey::Delivery(id.number));
    let mut wanted = Wanted::default();
    wanted.paths.insert(id.job);
    wanted.definitions.insert(id.job);
    wanted.follow_ups.extend([key, (id.job, source_of(trigger))]);
    let loaded = parts.store.load(wanted).await?;
    let is_due = |row: &&FollowUp| row.place() == Some((Agenda::Due, due));
    Ok(match loaded.follow_ups.get(&key).filter(is_due) {
        Some(FollowUp::Delivery(row)) => Some((row.clone(), letter(id, row, &loaded))),
        _ => None,
    })
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
        Some(pause) => Progress::Waiting(now.after(pause.max(asked.unwrap_or_default()))),
        None => Progress::Failed(now),
    }
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
                sleep(pause).await;
                pause *= 2;
            }
            done => return done.map(|_| ()),
        }
    }
    engine.settle_delivery(id, attempts, attempt, progress).await.map(|_| ())
}
