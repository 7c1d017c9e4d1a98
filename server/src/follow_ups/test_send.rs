//! Tries a target out.

use jobtracker_model::{
    Channel, Children, JobId, State, Subtree, Target, Tested, TestedChannel, Timestamp,
};

use super::{
    delivery::{attempt, send},
    notice::Letter,
    rounds::Parts,
};
use crate::outbox::{JobName, Notice, NoticeKind, Outcome};

/// Sends a test to a target, once and at once, and says what came of it. Nothing is kept.
pub(crate) async fn test_send(parts: &Parts, target: Target, now: Timestamp) -> Tested {
    let job = JobName { id: JobId::MIN, name: "test".into(), root: JobId::MIN };
    let notice = Notice {
        kind: NoticeKind::Test,
        delivery: format!("test-{:016x}", rand::random::<u64>()),
        job,
        state: State::RanToCompletion,
        time: now,
        message: Some("This is a test.".into()),
        children: Children::default(),
        subtree: Subtree::default(),
    };
    let Target { http, email } = target;
    let (has_http, has_email) = (http.is_some(), email.is_some());
    let letter = Letter { notice, http, email };
    let tested = |outcome: Outcome| {
        let delivered = matches!(outcome, Outcome::Delivered(_));
        TestedChannel { delivered, attempt: attempt(outcome, crate::clock::now()) }
    };
    let http = match has_http {
        true => Some(tested(send(parts, Channel::Http, &letter).await)),
        false => None,
    };
    let email = match has_email {
        true => Some(tested(send(parts, Channel::Email, &letter).await)),
        false => None,
    };
    Tested { http, email }
}
