//! Deliveries name their causes.

use std::sync::Arc;

use jobtracker_client::{
    CheckKind, HttpAction, ListPage, NewChange, NewCheck, NewJob, State, Timestamp,
};
use jobtracker_context::JobTrackerContext;
use jobtracker_model::{
    Change, Definition, JobId,
    rollup::{FirstFault, Status},
};
use jobtracker_store::{Origin, Row, TreeCommit};
use serde_json::{Value, json};

use super::{deliveries, id, receiver::Receiver, settled, start, tell};
use crate::harness::STORES;

fn faulted(message: &str) -> NewChange {
    NewChange::new(State::Faulted).message(message)
}

fn done(message: &str) -> NewChange {
    NewChange::new(State::RanToCompletion).message(message)
}

/// The ids on the path from the job that fired to the one that caused it.
fn path(data: &Value) -> Vec<u64> {
    let path = data["cause"]["path"].as_array().unwrap();
    path.iter().map(|job| job["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_failure_names_the_first_fault_and_not_the_last_success() {
    for kind in STORES {
        let harness = start(kind).await;
        let (client, receiver) = (harness.client(), Receiver::start().await);
        let hook = HttpAction::new(receiver.url("hook"));
        client.create(NewJob::new("import").id(id(1)).notify_on_finish(hook)).await.unwrap();
        for (number, parent, name) in [(2, 1, "disks"), (3, 2, "disk A"), (4, 1, "orders")] {
            client.create(NewJob::new(name).id(id(number)).under(id(parent))).await.unwrap();
        }
        client.update(id(1), done("started all")).await.unwrap();
        client.update(id(3), faulted("disk error")).await.unwrap();
        client.update(id(2), faulted("a disk is missing")).await.unwrap();
        client.update(id(4), done("1,204 orders loaded")).await.unwrap();
        let data = receiver.count(1).await.remove(0).json()["data"].clone();
        assert_eq!((&data["state"], &data["message"]), (&json!("Faulted"), &json!("disk error")));
        assert_eq!(data["cause"]["job"], json!({"id": 3, "name": "disk A"}));
        assert_eq!(data["cause"]["message"], "disk error");
        assert!(data["cause"]["time"].is_string());
        assert_eq!(path(&data), [1, 2, 3]);
        let told = settled(&client, id(1)).await.remove(0).event;
        assert_eq!((told.source, told.message.as_deref()), (id(3), Some("disk error")));
        // A parent that failed itself is a reason like its child; each has its message.
        let page = client.blockers(id(1), ListPage::default()).await.unwrap();
        let why: Vec<_> = page.items.iter().map(|one| (one.job.id, &one.last_change)).collect();
        let why: Vec<_> = why.iter().map(|(id, why)| (*id, why.message.as_deref())).collect();
        assert_eq!(why, [(id(2), Some("a disk is missing")), (id(3), Some("disk error"))]);
        let first = client.statistics(id(1)).await.unwrap().first_fault.unwrap();
        assert_eq!((first.job, first.change), (id(3), 1));
        harness.stop().await;
    }
}

#[tokio::test]
async fn what_failed_itself_says_so_whatever_came_later() {
    for kind in STORES {
        let harness = start(kind).await;
        let (client, receiver) = (harness.client(), Receiver::start().await);
        let hook = HttpAction::new(receiver.url("hook"));
        client.create(NewJob::new("report").id(id(1)).notify_on_finish(hook)).await.unwrap();
        client.create(NewJob::new("page").id(id(2)).under(id(1))).await.unwrap();
        client.update(id(1), faulted("no paper")).await.unwrap();
        client.update(id(1), done("cleaned up")).await.unwrap();
        client.update(id(2), faulted("no ink")).await.unwrap();
        // The job is opened again, and fails for the same reason again.
        client.create(NewJob::new("retry").id(id(3)).under(id(1))).await.unwrap();
        client.update(id(3), done("it works now")).await.unwrap();
        for told in receiver.count(2).await {
            let data = &told.json()["data"];
            assert_eq!((&data["message"], path(data)), (&json!("no paper"), vec![1]));
        }
        let page = client.blockers(id(1), ListPage::default()).await.unwrap();
        let why: Vec<_> = page.items.iter().map(|one| one.last_change.message.clone()).collect();
        assert_eq!(why, [Some("no paper".to_owned()), Some("no ink".to_owned())]);
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_success_names_what_finished_it() {
    for kind in STORES {
        let harness = start(kind).await;
        let (client, receiver) = (harness.client(), Receiver::start().await);
        let action = tell(&receiver, "hook", &[State::RanToCompletion]);
        client.create(NewJob::new("import").id(id(1)).action(action)).await.unwrap();
        client.create(NewJob::new("orders").id(id(2)).under(id(1))).await.unwrap();
        client.update(id(1), done("started all")).await.unwrap();
        client.update(id(2), done("1,204 orders loaded")).await.unwrap();
        let data = receiver.count(1).await.remove(0).json()["data"].clone();
        assert_eq!(data["message"], "1,204 orders loaded");
        assert_eq!(path(&data), [1, 2]);
        harness.stop().await;
    }
}

/// An upload of a context fires for new and for existing jobs; the cause is often some levels
/// below, and was not recorded last.
#[tokio::test]
async fn a_commit_names_the_report_wherever_it_is() {
    for kind in STORES {
        let harness = start(kind).await;
        let (client, receiver) = (harness.client(), Receiver::start().await);
        let hook = |path: &str| HttpAction::new(receiver.url(path));
        client.create(NewJob::new("old").id(id(1)).notify_on_finish(hook("old"))).await.unwrap();
        let context = JobTrackerContext::new(Arc::new(harness.client())).unwrap();
        let new = NewJob::new("new").id(id(2)).under(id(1)).notify_on_finish(hook("new"));
        context.create(new).await.unwrap();
        for (number, parent) in [(3, 2), (4, 3), (5, 2), (6, 1)] {
            let name = format!("job {number}");
            context.create(NewJob::new(name).id(id(number)).under(id(parent))).await.unwrap();
        }
        let page = id(6);
        context.update(id(4), faulted("404")).await.unwrap();
        for number in [3, 5, 2, 1] {
            context.update(id(number), done(&format!("{number} is done"))).await.unwrap();
        }
        context.update(page, done("the last one")).await.unwrap();
        context.append_log(page, vec!["a line".into()]).await.unwrap();
        context.commit_and_close().await.unwrap();
        let mut told = receiver.count(2).await;
        told.sort_by(|one, other| one.path.cmp(&other.path));
        let data: Vec<_> = told.iter().map(|one| one.json()["data"].clone()).collect();
        for (data, way) in data.iter().zip([vec![2, 3, 4], vec![1, 2, 3, 4]]) {
            assert_eq!((&data["state"], &data["message"]), (&json!("Faulted"), &json!("404")));
            assert_eq!(path(data), way);
        }
        assert_eq!(settled(&client, id(1)).await[0].event.message.as_deref(), Some("404"));
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_check_that_finds_a_failure_says_why() {
    for kind in STORES {
        let harness = start(kind).await;
        let (client, receiver) = (harness.client(), Receiver::start().await);
        client.create(NewJob::new("import").id(id(1))).await.unwrap();
        client.create(NewJob::new("orders").id(id(2)).under(id(1))).await.unwrap();
        client.update(id(2), faulted("disk error")).await.unwrap();
        client.update(id(1), done("all is well")).await.unwrap();
        let states = [State::RanToCompletion].into_iter().collect();
        let kind = CheckKind::State { at: Timestamp::MIN, states };
        let check = NewCheck::new(kind).on_failure(HttpAction::new(receiver.url("late")));
        client.add_check(id(1), &check).await.unwrap();
        let data = receiver.count(1).await.remove(0).json()["data"].clone();
        assert_eq!((&data["message"], path(&data)), (&json!("disk error"), vec![1, 2]));
        assert_eq!(deliveries(&client, id(1)).await.len(), 1);
        harness.stop().await;
    }
}

/// A tree of a program that kept no first faults: this many jobs below the root have failed, the
/// second of them first, and one runs.
fn of_before(failed: u64) -> TreeCommit {
    let time = |number: u64| Timestamp::from_millis(1_700_000_000_000 + number as i64).unwrap();
    let row = |number: u64, status: Status| {
        let definition = Definition { name: format!("job {number}"), ..Definition::default() };
        let parent = (number > 1).then(|| id(1));
        let fingerprint = definition.fingerprint(parent);
        let origin = Origin { parent, root: id(1), depth: u32::from(number > 1), fingerprint };
        let status = Status { first_fault: FirstFault::Unknown, ..status };
        let (id, definition) = (id(number), Arc::new(definition));
        [Row::Job { id, origin, definition }, Row::Status { id, parent, before: None, status }]
    };
    let (mut root, _) = Status::created(id(1), time(1));
    let mut rows = Vec::new();
    for number in 2..failed + 3 {
        let job: JobId = id(number);
        let (mut status, born) = Status::created(job, time(1));
        root.absorb(id(1), &born);
        if number < failed + 2 {
            let at = if number == 3 { time(5) } else { time(5 + number) };
            root.absorb(id(1), &status.report(job, State::Faulted, at));
            let why = faulted(&format!("failure of {number}"));
            rows.push(Row::Change { id: job, number: 1, change: Change::recorded(why, at) });
        }
        rows.extend(row(number, status));
    }
    rows.extend(row(1, root));
    TreeCommit { root: id(1), expected: 0, rows, publishes: None }
}

#[tokio::test]
async fn a_failure_of_before_is_not_told_as_a_later_one() {
    for kind in STORES {
        for failed in [2, 100] {
            let harness = start(kind).await;
            harness.store().commit(vec![of_before(failed)]).await.remove(0).unwrap();
            let (client, receiver) = (harness.client(), Receiver::start().await);
            let hook = tell(&receiver, "hook", &[State::Faulted]);
            client.add_action(id(1), &hook).await.unwrap();
            client.update(id(failed + 2), faulted("a later one")).await.unwrap();
            client.update(id(1), done("started all")).await.unwrap();
            let data = receiver.count(1).await.remove(0).json()["data"].clone();
            assert_eq!(data["state"], "Faulted");
            if failed == 2 {
                assert_eq!((&data["message"], path(&data)), (&json!("failure of 3"), vec![1, 3]));
            } else {
                // There are more than are searched for the first one.
                assert_eq!((&data["message"], data.get("cause")), (&Value::Null, None));
            }
            assert_eq!(client.statistics(id(1)).await.unwrap().first_fault, None);
            harness.stop().await;
        }
    }
}
