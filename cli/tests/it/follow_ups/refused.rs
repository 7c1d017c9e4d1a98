//! Follow-ups that could never fire or be delivered are refused at creation, or at the first try.

use jobtracker_client::{Action, DeliveryStatus, HttpAction, NewChange, NewJob, State, Target};
use serde_json::json;

use super::{id, receiver::Receiver, settled, start, tell};
use crate::harness::STORES;

#[tokio::test]
async fn the_service_itself_is_no_receiver() {
    let harness = start(STORES[0]).await;
    let client = harness.client();
    client.create(NewJob::new("job").id(id(1))).await.unwrap();
    let port = harness.url().rsplit(':').next().unwrap().to_owned();
    for host in ["127.0.0.1", "localhost", "LOCALHOST.", "a.localhost", "[::ffff:127.0.0.1]"] {
        let http = json!({"url": format!("http://{host}:{port}/api/v1/jobs")});
        let action = json!({"states": ["Faulted"], "http": http});
        for (path, body, field) in [
            ("/api/v1/jobs/1/actions", action.clone(), "action.http.url"),
            ("/api/v1/jobs", json!({"name": "j", "actions": [action]}), "actions[0].http.url"),
            ("/api/v1/actions/test", json!({"http": http}), "target.http.url"),
        ] {
            let reply = harness.post(path, &body).await;
            assert_eq!(reply.status, 422, "{host} {path}: {}", reply.text());
            let problem = reply.json();
            assert_eq!(problem["code"], "invalid_field");
            assert_eq!(problem["field"], field);
            assert!(problem["detail"].as_str().unwrap().contains("own address"), "{problem}");
        }
    }
    assert_eq!(client.actions(id(1)).await.unwrap(), []);
    harness.stop().await;
}

/// A server does not know the addresses of others; they identify themselves.
#[tokio::test]
async fn another_server_takes_no_deliveries() {
    let (harness, other) = (start(STORES[0]).await, start(STORES[0]).await);
    let client = harness.client();
    let hook = HttpAction::new(format!("{}/api/v1/jobs", other.url()));
    client.create(NewJob::new("job").id(id(1)).notify_on_finish(hook)).await.unwrap();
    client.update(id(1), NewChange::new(State::Faulted)).await.unwrap();
    let delivery = settled(&client, id(1)).await.remove(0);
    assert_eq!((delivery.status, delivery.attempts), (DeliveryStatus::Failed, 1));
    let attempt = delivery.last_attempt.unwrap();
    assert_eq!(attempt.status, Some(410));
    assert!(attempt.response.contains("not_a_receiver"), "{attempt:?}");
    harness.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn what_has_happened_is_not_waited_for() {
    for kind in STORES {
        let harness = start(kind).await;
        let (client, receiver) = (harness.client(), Receiver::start().await);
        let failed = tell(&receiver, "failed", &[State::Faulted]);
        client.create(NewJob::new("job").id(id(1)).action(failed.clone())).await.unwrap();
        client.update(id(1), NewChange::new(State::RanToCompletion)).await.unwrap();
        let target: Target = HttpAction::new(receiver.url("end")).into();
        let refused = client.add_action(id(1), &Action::on_finish(target.clone())).await;
        assert_eq!(refused.unwrap_err().code().unwrap().code(), "already_in_state");
        // The same action again, and one that waits for another state, are no errors.
        assert!(!client.add_action(id(1), &failed).await.unwrap().added);
        let open = Action::new([State::WaitingForChildrenToComplete], target.clone());
        assert!(client.add_action(id(1), &open).await.unwrap().added);
        // After the job is open again there is an end to wait for.
        client.create(NewJob::new("page").id(id(2)).under(id(1))).await.unwrap();
        assert!(client.add_action(id(1), &Action::on_finish(target)).await.unwrap().added);
        client.update(id(2), NewChange::new(State::RanToCompletion)).await.unwrap();
        receiver.count(2).await;
        settled(&client, id(1)).await;
        let page = harness.get("/api/v1/jobs/1/deliveries").await.json();
        assert_eq!(page["lost"], 0);
        harness.stop().await;
    }
}
