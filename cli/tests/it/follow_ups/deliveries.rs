use std::time::Duration;

use jobtracker_client::{
    DeliveryStatus, HttpAction, ListPage, NewChange, NewJob, State, Target, Timestamp,
};
use jobtracker_server::StoreKind;

use super::{
    deliveries, eventually, id, quick,
    receiver::{LONG, Reaction, Receiver},
    settled, start, tell,
};
use crate::harness::{Harness, STORES};

#[tokio::test]
async fn what_fails_is_tried_again_under_the_same_id() {
    for kind in STORES {
        let harness = start(kind).await;
        let client = harness.client();
        let receiver = Receiver::answering(|_, before| match before {
            0 => Reaction::Status(500),
            1 => Reaction::Drop,
            2 => Reaction::Status(302),
            3 => Reaction::Later(503, 0),
            _ => Reaction::Status(200),
        })
        .await;
        let job = NewJob::new("job").id(id(1)).action(tell(&receiver, "x", &[State::Faulted]));
        client.create(job).await.unwrap();
        client.update(id(1), NewChange::new(State::Faulted)).await.unwrap();
        let received = receiver.count(5).await;
        assert!(received.iter().all(|one| one.id() == "1-0" && one.text == received[0].text));
        let delivery = settled(&client, id(1)).await.remove(0);
        assert_eq!((delivery.status, delivery.attempts), (DeliveryStatus::Delivered, 5));
        assert_eq!(delivery.last_attempt.unwrap().response, "said");
        harness.stop().await;
    }
}

#[tokio::test]
async fn what_is_given_up_is_seen_and_can_be_replayed() {
    for kind in STORES {
        let harness = start(kind).await;
        let client = harness.client();
        let receiver = Receiver::answering(|request, before| match request.path.as_str() {
            "gone" => Reaction::Status(410),
            // Eight tries fail, then one succeeds.
            _ if before < 8 => Reaction::Status(500),
            _ => Reaction::Status(200),
        })
        .await;
        for (number, path) in [(1, "gone"), (2, "down")] {
            let action = tell(&receiver, path, &[State::Faulted]);
            client.create(NewJob::new("job").id(id(number)).action(action)).await.unwrap();
            client.update(id(number), NewChange::new(State::Faulted)).await.unwrap();
        }
        let gone = settled(&client, id(1)).await.remove(0);
        assert_eq!((gone.status, gone.attempts), (DeliveryStatus::Failed, 1));
        let down = settled(&client, id(2)).await.remove(0);
        assert_eq!((down.status, down.attempts), (DeliveryStatus::Failed, 8));
        let (from, to) = (Timestamp::MIN, Timestamp::MAX);
        let mut failed = Vec::new();
        let mut page = ListPage::default().limit(1);
        loop {
            let found = client.failed_deliveries(from, to, page.clone()).await.unwrap();
            failed.extend(found.items.into_iter().map(|delivery| delivery.id));
            let Some(cursor) = found.next_cursor else { break };
            page = page.cursor(cursor);
        }
        failed.sort_unstable();
        assert_eq!(failed, ["1-0", "2-0"]);
        client.replay_delivery("1-0").await.unwrap();
        receiver.until(|all| all.iter().filter(|one| one.path == "gone").count() == 2).await;
        settled(&client, id(1)).await;
        let replayed = client.replay_failed(from, to).await.unwrap();
        assert_eq!((replayed.replayed, replayed.more), (2, false));
        let down = settled(&client, id(2)).await.remove(0);
        assert_eq!((down.status, down.attempts), (DeliveryStatus::Delivered, 9));
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_cancelled_delivery_is_not_tried_again() {
    for kind in STORES {
        let harness = Harness::start(kind, |config| {
            config.callbacks.schedule_seconds = vec![0, 3600];
        })
        .await;
        let client = harness.client();
        let receiver = Receiver::answering(|_, _| Reaction::Status(500)).await;
        let job = NewJob::new("job").id(id(1)).action(tell(&receiver, "x", &[State::Faulted]));
        client.create(job).await.unwrap();
        client.update(id(1), NewChange::new(State::Faulted)).await.unwrap();
        eventually(async || deliveries(&client, id(1)).await[0].attempts == 1).await;
        for _ in 0..2 {
            client.cancel_delivery("1-0").await.unwrap();
        }
        let delivery = deliveries(&client, id(1)).await.remove(0);
        assert_eq!((delivery.status, delivery.next_try), (DeliveryStatus::Cancelled, None));
        let unknown = client.cancel_delivery("1-9").await.unwrap_err();
        assert_eq!(unknown.code().unwrap().code(), "delivery_not_found");
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_slow_receiver_delays_no_other() {
    let harness = Harness::start(StoreKind::Fjall, |config| {
        quick(config);
        config.callbacks.at_once_per_host = 2;
    })
    .await;
    let client = harness.client();
    let slow = Receiver::answering(|_, _| Reaction::Stall(LONG)).await;
    let fast = Receiver::start().await;
    for number in 1..=40 {
        let receiver = if number <= 20 { &slow } else { &fast };
        let action = tell(receiver, "x", &[State::Faulted]);
        client.create(NewJob::new("job").id(id(number)).action(action)).await.unwrap();
        client.update(id(number), NewChange::new(State::Faulted)).await.unwrap();
    }
    fast.count(20).await;
    assert_eq!(slow.all().len(), 2);
    // Deliveries under way to the slow receiver end with it.
    drop(slow);
    tokio::time::timeout(Duration::from_secs(60), harness.stop()).await.unwrap();
}

#[tokio::test]
async fn a_test_says_what_came_of_it_and_keeps_nothing() {
    let harness = start(StoreKind::Memory).await;
    let client = harness.client();
    let receiver = Receiver::answering(|request, _| match request.path.as_str() {
        "good" => Reaction::Status(200),
        _ => Reaction::Status(400),
    })
    .await;
    for (path, delivered) in [("good", true), ("bad", false)] {
        let target: Target = HttpAction::new(receiver.url(path)).into();
        let tested = client.test_target(&target).await.unwrap().http.unwrap();
        assert_eq!(tested.delivered, delivered);
    }
    // An existing action is tested with all its headers and its secret.
    let hook = HttpAction::new(receiver.url("good")).header("authorization", "Bearer geheim");
    let job = NewJob::new("job").id(id(1)).notify_on_finish(hook);
    client.create(job).await.unwrap();
    assert!(client.test_action(id(1), 0).await.unwrap().http.unwrap().delivered);
    let unknown = client.test_action(id(1), 1).await.unwrap_err();
    assert_eq!(unknown.code().unwrap().code(), "action_not_found");
    let all = receiver.all();
    assert_eq!(all.len(), 3);
    assert_eq!(all[0].json()["type"], "test");
    assert_eq!(all[2].headers["authorization"], "Bearer geheim");
    assert_eq!(deliveries(&client, id(1)).await, []);
    harness.stop().await;
}
