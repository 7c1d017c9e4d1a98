//! The queue of tasks over HTTP.

use std::{collections::BTreeMap, time::Duration};

use jobtracker_client::{
    JobId, JobTrackerClient, ListPage, NewJob, NewTask, NewWorker, QueueQuery, QueueState,
    QueuedTask, Timestamp, WorkerHandler,
};
use jobtracker_server::StoreKind;
use serde_json::json;

use crate::harness::{Harness, STORES};

/// Long enough that only a failing test waits for all of it.
const LONG: Duration = Duration::from_secs(30);

fn worker(name: &str) -> NewWorker {
    let offer = |name: &str| WorkerHandler { name: name.into(), description: String::new() };
    let handlers = ["test/a", "test/b"].map(offer).to_vec();
    let (tags, labels) = (Vec::new(), BTreeMap::new());
    NewWorker { name: name.into(), handlers, tags, labels, slots: 4 }
}

async fn create(client: &JobTrackerClient, handler: &str, not_before: Option<Timestamp>) -> JobId {
    let task = NewTask { not_before, ..NewTask::new(handler) };
    client.create(NewJob::new("work").task(task)).await.unwrap().id
}

/// All of the queue, read in pages of this size.
async fn listed(client: &JobTrackerClient, query: &QueueQuery, limit: u32) -> Vec<QueuedTask> {
    let mut page = ListPage { limit: Some(limit), cursor: None };
    let mut all = Vec::new();
    loop {
        let found = client.queue(query, page.clone()).await.unwrap();
        assert!(found.items.len() <= limit as usize);
        all.extend(found.items);
        page.cursor = found.next_cursor;
        if page.cursor.is_none() {
            return all;
        }
    }
}

fn jobs(tasks: &[QueuedTask]) -> Vec<JobId> {
    tasks.iter().map(|task| task.job).collect()
}

#[tokio::test]
async fn the_queue_has_what_workers_have_and_what_waits_the_oldest_first() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        let client = harness.client();
        assert_eq!(client.count_queue().await.unwrap(), Default::default());
        let id = client.register_worker(&worker("w")).await.unwrap().id;
        let taken = create(&client, "test/a", None).await;
        let claimed = client.claim_tasks(&id, 1, LONG).await.unwrap();
        assert_eq!(claimed[0].job, taken);
        let mut ready = Vec::new();
        for handler in ["test/a", "test/b", "test/a", "test/b"] {
            ready.push(create(&client, handler, None).await);
        }
        let later = "2999-01-01T00:00:00Z".parse().unwrap();
        let delayed = create(&client, "test/b", Some(later)).await;
        let paused = create(&client, "test/b", None).await;
        client.pause_task(paused).await.unwrap();
        // A check is due in the same index as leases are.
        let check = json!({"at": "2999-01-01T00:00:00Z", "states": ["RanToCompletion"]});
        harness.post(&format!("/api/v1/jobs/{taken}/checks"), &check).await;

        let all = QueueQuery::default();
        for limit in [1, 2, 1_000] {
            let tasks = listed(&client, &all, limit).await;
            let states: Vec<_> = tasks.iter().map(|task| task.state).collect();
            let ids = jobs(&tasks);
            assert_eq!((states[0], ids[0]), (QueueState::Leased, taken), "{kind:?}");
            assert_eq!((states[5], ids[5]), (QueueState::Delayed, delayed), "{kind:?}");
            // Those of one millisecond come in any order.
            let since: Vec<_> = tasks[1..5].iter().map(|task| task.since).collect();
            assert!(since.is_sorted() && states[1..5].iter().all(|it| *it == QueueState::Ready));
            let mut found = ids[1..5].to_vec();
            found.sort();
            assert_eq!((found, ids.len()), (ready.clone(), 6), "{kind:?}");
        }
        let tasks = listed(&client, &all, 1_000).await;
        assert_eq!((tasks[0].name.as_str(), tasks[0].attempt), ("work", 1));
        assert_eq!(tasks[0].worker.as_ref(), Some(&id));

        let states = vec![QueueState::Ready];
        let handler = Some("test/b".to_owned());
        let query = QueueQuery { states, handler, worker: None };
        assert_eq!(jobs(&listed(&client, &query, 1).await), [ready[1], ready[3]]);
        let query = QueueQuery { worker: Some(id), ..QueueQuery::default() };
        assert_eq!(jobs(&listed(&client, &query, 1_000).await), [taken]);

        let counts = client.count_queue().await.unwrap();
        let (length, more) = (counts.all, counts.more);
        assert_eq!((length.leased, length.ready, length.delayed, more), (1, 4, 1, false));
        assert_eq!(length.oldest, Some(tasks[1].since));
        let of = |at: usize| (counts.handlers[at].handler.as_str(), counts.handlers[at].length);
        let ((a, a_has), (b, b_has)) = (of(0), of(1));
        assert_eq!((a, a_has.leased, a_has.ready, a_has.delayed), ("test/a", 1, 2, 0));
        assert_eq!((b, b_has.leased, b_has.ready, b_has.delayed), ("test/b", 0, 2, 1));
        harness.stop().await;
    }
}

#[tokio::test]
async fn what_the_queue_cannot_be_asked_is_refused() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    harness.get("/api/v1/queue?states=running").await.assert_problem("invalid_query");
    harness.get("/api/v1/queue?limit=0").await.assert_problem("invalid_query");
    harness.get("/api/v1/queue?cursor=x").await.assert_problem("invalid_cursor");
    harness.stop().await;
}
