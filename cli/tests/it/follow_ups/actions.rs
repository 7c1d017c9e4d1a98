use jobtracker_client::{
    Action, DeliveryStatus, HttpAction, NewChange, NewJob, Payload, State, Target,
};
use serde_json::json;

use super::{deliveries, id, receiver::Receiver, settled, start, tell};
use crate::harness::{Harness, STORES};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[tokio::test]
async fn a_receiver_is_told_what_happened_and_signed_for() {
    for kind in STORES {
        let harness = start(kind).await;
        let (client, receiver) = (harness.client(), Receiver::start().await);
        let target = HttpAction::new(receiver.url("hook"))
            .header("Authorization", "Bearer geheim")
            .payload(Payload::parse(r#"{"ticket": 7}"#).unwrap())
            .secret(SECRET);
        let root = NewJob::new("nightly").id(id(1)).notify_on_finish(target);
        client.create(root).await.unwrap();
        client.create(NewJob::new("page").id(id(2)).under(id(1))).await.unwrap();
        client.update(id(1), NewChange::new(State::RanToCompletion)).await.unwrap();
        let change = NewChange { message: Some("404".into()), ..NewChange::new(State::Faulted) };
        client.update(id(2), change).await.unwrap();
        let received = receiver.count(1).await.remove(0);
        let body = received.json();
        assert_eq!(body["type"], "job.state");
        assert_eq!(body["id"], "1-0");
        let data = &body["data"];
        assert_eq!(data["job"], json!({"id": 1, "name": "nightly", "root": 1}));
        assert_eq!((&data["state"], &data["message"]), (&json!("Faulted"), &json!("404")));
        assert_eq!(data["children"], json!({"pending": 0, "successful": 0, "failed": 1}));
        assert_eq!(data["subtree"]["failed"], 1);
        assert_eq!(data["payload"], json!({"ticket": 7}));
        assert_eq!(received.headers["authorization"], "Bearer geheim");
        let verifier = standardwebhooks::Webhook::new(SECRET).unwrap();
        let mut headers = reqwest::header::HeaderMap::new();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            headers.insert(name, received.headers[name].parse().unwrap());
        }
        verifier.verify(received.text.as_bytes(), &headers).unwrap();
        let delivery = settled(&client, id(1)).await.remove(0);
        assert_eq!((delivery.status, delivery.attempts), (DeliveryStatus::Delivered, 1));
        assert_eq!(delivery.last_attempt.unwrap().status, Some(204));
        nothing_secret_is_shown(&harness).await;
        harness.stop().await;
    }
}

async fn nothing_secret_is_shown(harness: &Harness) {
    for path in ["", "/actions", "/checks", "/deliveries"] {
        let reply = harness.get(&format!("/api/v1/jobs/1{path}")).await;
        let text = reply.text();
        assert!(!text.contains("geheim") && !text.contains("MfKQ"), "{path}: {text}");
    }
}

#[tokio::test]
async fn an_action_that_is_added_later_fires_from_then_on_and_once() {
    for kind in STORES {
        let harness = start(kind).await;
        let (client, receiver) = (harness.client(), Receiver::start().await);
        client.create(NewJob::new("job").id(id(1))).await.unwrap();
        client.update(id(1), NewChange::new(State::Running)).await.unwrap();
        let action = tell(&receiver, "late", &[State::Running, State::Warning]);
        for added in [true, false] {
            let answer = client.add_action(id(1), &action).await.unwrap();
            assert_eq!((answer.number, answer.added), (0, added));
        }
        // The job is Running already, so the state does not change.
        client.update(id(1), NewChange::new(State::Running)).await.unwrap();
        client.update(id(1), NewChange::new(State::Warning)).await.unwrap();
        receiver.count(1).await;
        let all = settled(&client, id(1)).await;
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].event.state, State::Warning);
        let actions = client.actions(id(1)).await.unwrap();
        assert_eq!(actions.len(), 1);
        assert_eq!(actions[0].action.http.as_ref().unwrap().url, receiver.url("late"));
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_repeated_update_fires_nothing() {
    for kind in STORES {
        let harness = start(kind).await;
        let (client, receiver) = (harness.client(), Receiver::start().await);
        let job = NewJob::new("job").id(id(1)).action(tell(&receiver, "x", &[State::Faulted]));
        client.create(job).await.unwrap();
        for _ in 0..3 {
            let change = NewChange::new(State::Faulted).change_id("c");
            client.update(id(1), change).await.unwrap();
        }
        settled(&client, id(1)).await;
        assert_eq!(deliveries(&client, id(1)).await.len(), 1);
        harness.stop().await;
        assert_eq!(receiver.all().len(), 1);
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_and_changes_nothing() {
    let harness = start(STORES[0]).await;
    let client = harness.client();
    client.create(NewJob::new("job").id(id(1))).await.unwrap();
    let http = |url: &str| json!({"states": ["Faulted"], "http": {"url": url}});
    let bad = [
        (json!({"states": [], "http": {"url": "http://a.example"}}), "action.states"),
        (json!({"states": ["Faulted"]}), "action"),
        (http("ftp://a.example"), "action.http.url"),
        (http("http://user:pass@a.example"), "action.http.url"),
        (json!({"states": ["Faulted"], "email": {"to": ["a@b.example"]}}), "action.email"),
    ];
    for (body, field) in bad {
        let reply = harness.post("/api/v1/jobs/1/actions", &body).await;
        assert_eq!(reply.status, 422, "{body}: {}", reply.text());
        let problem = reply.json();
        assert_eq!((&problem["code"], &problem["field"]), (&json!("invalid_field"), &json!(field)));
    }
    let mail =
        json!({"name": "j", "actions": [{"states": ["Faulted"], "email": {"to": ["a@b.c"]}}]});
    assert_eq!(harness.post("/api/v1/jobs", &mail).await.json()["field"], "actions[0].email");
    assert_eq!(harness.post("/api/v1/jobs/9/actions", &http("http://a.b")).await.status, 404);
    assert_eq!(client.actions(id(1)).await.unwrap(), []);
    for number in 0..17 {
        let target: Target = HttpAction::new(format!("http://a.example/{number}")).into();
        let added = client.add_action(id(1), &Action::on_finish(target)).await;
        assert_eq!(added.is_ok(), number < 16, "{number}: {added:?}");
    }
    harness.stop().await;
}
