//! Actions and checks of jobs that a context creates.

use std::sync::Arc;

use jobtracker_client::{
    Action, CheckKind, EmailAction, HttpAction, NewChange, NewCheck, NewJob, State, Timestamp,
};
use jobtracker_context::JobTrackerContext;

use crate::{
    follow_ups::{deliveries, id, receiver::Receiver, settled, start, tell},
    harness::{Harness, STORES},
};

fn context(harness: &Harness) -> JobTrackerContext {
    JobTrackerContext::new(Arc::new(harness.client())).unwrap()
}

#[tokio::test]
async fn they_are_told_when_the_tree_is_there() {
    for kind in STORES {
        let (harness, receiver) = (start(kind).await, Receiver::start().await);
        let context = context(&harness);
        let past = CheckKind::State { at: Timestamp::MIN, states: "Running".parse().unwrap() };
        let late = NewCheck::new(past).on_failure(HttpAction::new(receiver.url("late")));
        let root =
            NewJob::new("root").id(id(1)).notify_on_finish(HttpAction::new(receiver.url("end")));
        context.create(root.check(late)).await.unwrap();
        for number in 2..=20 {
            let action = tell(&receiver, "page", &[State::Running, State::Faulted]);
            let job = NewJob::new("page").id(id(number)).under(id(1)).action(action);
            context.create(job).await.unwrap();
            context.update(id(number), NewChange::new(State::Running)).await.unwrap();
            let change = NewChange::new(State::Faulted).message("404");
            context.update(id(number), change).await.unwrap();
        }
        context.update(id(1), NewChange::new(State::RanToCompletion)).await.unwrap();
        assert!(receiver.all().is_empty(), "a delivery about a state that is not visible");
        context.flush().await.unwrap();
        // It was never visible that they ran.
        let received = receiver.count(1 + 1 + 19).await;
        for one in &received {
            let data = &one.json()["data"];
            assert_eq!(data["state"], "Faulted");
            if one.path == "page" {
                assert_eq!(data["message"], "404");
            }
        }
        // From now on the job is like others.
        context.update(id(2), NewChange::new(State::Running)).await.unwrap();
        context.flush().await.unwrap();
        context.close().await.unwrap();
        for number in 1..=20 {
            settled(&harness.client(), id(number)).await;
        }
        assert_eq!(deliveries(&harness.client(), id(2)).await.len(), 1, "it was finished");
        harness.stop().await;
        assert_eq!(receiver.all().len(), received.len());
    }
}

#[tokio::test]
async fn what_cannot_be_followed_is_refused_with_its_tree() {
    let (harness, receiver) = (start(STORES[0]).await, Receiver::start().await);
    let context = context(&harness);
    let kind = CheckKind::Subtree { at: Timestamp::MIN, expression: "subtree.".into() };
    let action = Action::on_finish(EmailAction::to("a@b.example"));
    let jobs = [
        NewJob::new("mail").id(id(1)).action(action),
        NewJob::new("cel")
            .id(id(2))
            .check(NewCheck::new(kind).on_failure(HttpAction::new("http://a"))),
        NewJob::new("good").id(id(3)).action(tell(&receiver, "x", &[State::Faulted])),
    ];
    for job in jobs {
        context.create(job).await.unwrap();
    }
    let flushed = context.flush().await;
    let words = format!("{flushed:?}");
    assert!(
        words.contains("actions[0].email") && words.contains("checks[0].expression"),
        "{words}"
    );
    let client = harness.client();
    for (number, is_there) in [(1, false), (2, false), (3, true)] {
        assert_eq!(client.get(id(number)).await.unwrap().is_some(), is_there);
    }
    drop(context);
    harness.stop().await;
}
