//! Test deliveries to a target.

use std::time::Duration;

use futures_util::future::join_all;
use jobtracker_model::{
    Channel, Children, JobId, State, Subtree, Target, Tested, TestedChannel, Timestamp, Way, Ways,
};

use super::{
    delivery::{attempt, send},
    message::Message,
    parts::Parts,
};
use crate::{
    clock,
    outbox::{JobName, Notice, NoticeKind, Outcome},
};

/// How long a test waits for its turn at a host, behind what is due there.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends a test to a target, once and as soon as its host has room, and answers the outcome.
/// Nothing is stored. For several recipients it is the outcome of the first that did not get it.
pub(crate) async fn test_send(parts: &Parts, target: Target, now: Timestamp) -> Tested {
    let ways: Vec<_> = Ways::from(&target).each().collect();
    let job = JobName { id: JobId::MIN, name: "test".into(), root: JobId::MIN };
    let notice = Notice {
        kind: NoticeKind::Test,
        delivery: format!("test-{:016x}", rand::random::<u64>()),
        job,
        state: State::RanToCompletion,
        time: now,
        cause: None,
        children: Children::default(),
        subtree: Subtree::default(),
    };
    let Target { http, email } = target;
    let message = Message { notice, http, email };
    let tested = join_all(ways.iter().map(|way| send_one(parts, *way, &message))).await;
    let mut outcomes: Vec<_> = ways.into_iter().zip(tested).collect();
    // Failures come first, per channel.
    outcomes.sort_by_key(|(_, tested)| tested.delivered);
    let of = |channel| {
        let first = outcomes.iter().find(|(way, _)| way.channel == channel);
        first.map(|(_, tested)| tested.clone())
    };
    Tested { http: of(Channel::Http), email: of(Channel::Email) }
}

async fn send_one(parts: &Parts, way: Way, message: &Message) -> TestedChannel {
    let full = || Outcome::failed("too many deliveries wait for this host");
    let outcome = match parts.hosts.enqueue(way.host) {
        Some(queued) => match tokio::time::timeout(PATIENCE, queued.turn()).await {
            Ok(_turn) => send(parts, way, message).await,
            Err(_) => full(),
        },
        None => full(),
    };
    let delivered = matches!(outcome, Outcome::Delivered(_));
    TestedChannel { delivered, attempt: attempt(outcome, clock::now()) }
}
