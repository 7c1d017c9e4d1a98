use std::collections::HashSet;

use jobtracker_client::{
    CheckKind, CheckStatus, HttpAction, NewChange, NewCheck, NewJob, State, Timestamp,
};
use jobtracker_server::StoreKind;
use serde_json::json;

use super::{
    deliveries, eventually, id,
    receiver::{LONG, Reaction, Received, Receiver},
    settled, start,
};
use crate::harness::STORES;

fn at(kind: CheckKind, receiver: &Receiver) -> NewCheck {
    NewCheck::new(kind)
        .on_success(HttpAction::new(receiver.url("passed")))
        .on_failure(HttpAction::new(receiver.url("failed")))
}

fn state_is(at: Timestamp, states: &[State]) -> CheckKind {
    CheckKind::State { at, states: states.iter().copied().collect() }
}

#[tokio::test]
async fn a_check_whose_time_is_past_is_made_at_once_and_once() {
    for kind in STORES {
        let harness = start(kind).await;
        let (client, receiver) = (harness.client(), Receiver::start().await);
        let past = Timestamp::MIN;
        let job = NewJob::new("job")
            .id(id(1))
            .check(at(state_is(past, &[State::WaitingToRun]), &receiver))
            .check(at(state_is(past, &[State::RanToCompletion]), &receiver));
        client.create(job).await.unwrap();
        let received = receiver.count(2).await;
        let mut told: Vec<_> = received
            .iter()
            .map(|one| {
                let check = &one.json()["data"]["check"];
                assert_eq!(check["found"]["state"], "WaitingToRun");
                (one.path.clone(), check["met"].clone())
            })
            .collect();
        told.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(told, [("failed".into(), json!(false)), ("passed".into(), json!(true))]);
        settled(&client, id(1)).await;
        let checks = client.checks(id(1)).await.unwrap();
        let status: Vec<_> = checks.iter().map(|check| (check.status, check.told)).collect();
        assert_eq!(status, [(CheckStatus::Passed, 1), (CheckStatus::Failed, 1)]);
        assert_eq!(deliveries(&client, id(1)).await.len(), 2);
        harness.stop().await;
    }
}

#[tokio::test]
async fn an_expression_is_asked_of_the_numbers() {
    for kind in STORES {
        let harness = start(kind).await;
        let (client, receiver) = (harness.client(), Receiver::start().await);
        client.create(NewJob::new("job").id(id(1))).await.unwrap();
        client.create(NewJob::new("page").id(id(2)).under(id(1))).await.unwrap();
        for (expression, path) in [
            ("subtree.total == 1", "passed"),
            ("subtree.successful * 100 >= subtree.total * 99", "failed"),
        ] {
            let expression = expression.to_owned();
            let kind = CheckKind::Subtree { at: Timestamp::MIN, expression };
            client.add_check(id(1), &at(kind, &receiver)).await.unwrap();
            receiver.until(|all| all.iter().any(|one| one.path == path)).await;
        }
        let kind = CheckKind::Subtree { at: Timestamp::MIN, expression: "subtree.".into() };
        let refused = client.add_check(id(1), &at(kind, &receiver)).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "invalid_expression");
        harness.stop().await;
    }
}

#[tokio::test]
async fn silence_is_told_again_and_again_until_the_job_is_finished() {
    for kind in [StoreKind::Memory, StoreKind::Fjall] {
        let harness = start(kind).await;
        let (client, receiver) = (harness.client(), Receiver::start().await);
        let silence = NewCheck::new(CheckKind::Silence { quiet_ms: 1_000 })
            .on_failure(HttpAction::new(receiver.url("silence")));
        client.create(NewJob::new("job").id(id(1)).check(silence)).await.unwrap();
        client.create(NewJob::new("page").id(id(2)).under(id(1))).await.unwrap();
        receiver.count(2).await;
        client.update(id(2), NewChange::new(State::RanToCompletion)).await.unwrap();
        client.update(id(1), NewChange::new(State::RanToCompletion)).await.unwrap();
        let is_over = async || client.checks(id(1)).await.unwrap()[0].status == CheckStatus::Passed;
        eventually(is_over).await;
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_cancelled_check_is_not_made() {
    for kind in STORES {
        let harness = start(kind).await;
        let (client, receiver) = (harness.client(), Receiver::start().await);
        client.create(NewJob::new("job").id(id(1))).await.unwrap();
        let kind = state_is(Timestamp::MAX, &[State::Running]);
        let check = at(kind, &receiver);
        let added = client.add_check(id(1), &check).await.unwrap();
        assert!(added.added && !client.add_check(id(1), &check).await.unwrap().added);
        for _ in 0..2 {
            client.cancel_check(id(1), added.number).await.unwrap();
        }
        let checks = client.checks(id(1)).await.unwrap();
        assert_eq!(checks[0].status, CheckStatus::Cancelled);
        let unknown = client.cancel_check(id(1), 7).await.unwrap_err();
        assert_eq!(unknown.code().unwrap().code(), "check_not_found");
        harness.stop().await;
        assert!(receiver.all().is_empty());
    }
}

/// Ten thousand checks are due at the same time, a hundred of them for a receiver that never
/// answers.
#[tokio::test]
async fn ten_thousand_checks_at_the_same_moment_are_all_made() {
    const CHECKS: usize = 10_000;
    const SLOW: usize = 100;
    let harness = start(StoreKind::Fjall).await;
    let (client, fast) = (harness.client(), Receiver::start().await);
    let slow = Receiver::answering(|_, _| Reaction::Stall(LONG)).await;
    client.create(NewJob::new("root").id(id(1))).await.unwrap();
    let past = state_is(Timestamp::MIN, &[State::WaitingToRun]);
    let jobs = (0..CHECKS).map(|number| {
        let receiver = if number < SLOW { &slow } else { &fast };
        NewJob::new("job").id(id(2 + number as u64)).check(at(past.clone(), receiver))
    });
    client.create_children(id(1), jobs.collect()).await.unwrap();
    let received = fast.count(CHECKS - SLOW).await;
    let ids: HashSet<_> = received.iter().map(Received::id).collect();
    assert_eq!(ids.len(), CHECKS - SLOW);
    drop(slow);
    harness.stop().await;
    assert_eq!(fast.all().len(), CHECKS - SLOW, "each came once");
}
