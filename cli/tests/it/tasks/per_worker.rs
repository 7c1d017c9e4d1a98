//! How many tasks of a kind one worker has at once.

use jobtracker_client::{ClaimTasks, PerWorker, Timestamp};

use super::*;

fn counted(max: u32, routing: Routing) -> NewTask {
    let per_worker = Some(PerWorker { key: "k".into(), max });
    let filter = WorkerFilter { per_worker, ..WorkerFilter::default() };
    NewTask { filter, routing, ..run() }
}

impl Player {
    /// The worker claims up to four tasks, and says how many it has with the key already.
    async fn claim_having(&self, has: u32, wait: Duration) -> Vec<ClaimedTask> {
        let has = [("k".to_owned(), has)].into();
        let claim = ClaimTasks { free: 4, wait_ms: wait.as_millis() as u64, has };
        self.client.claim_tasks_with(&self.id, &claim).await.unwrap()
    }

    /// When the service has last heard of it.
    async fn heard(&self) -> Timestamp {
        let workers = self.client.workers().await.unwrap();
        workers.into_iter().find(|worker| worker.id == self.id).unwrap().heard
    }
}

#[tokio::test]
async fn a_worker_gets_no_more_tasks_with_a_key_than_they_allow() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let (one, other) =
        (Player::new(&harness, "a", &[]).await, Player::new(&harness, "b", &[]).await);
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(create(&client, counted(2, Routing::Any {})).await);
    }
    let plain = create(&client, run()).await;
    let mut tasks = Vec::new();
    while tasks.len() < 3 {
        let has = tasks.iter().filter(|task: &&ClaimedTask| task.per_worker_key.is_some()).count();
        tasks.extend(one.claim_having(has as u32, LONG).await);
    }
    // Those that it may not have hide no other.
    assert!(tasks.iter().any(|task| task.job == plain && task.per_worker_key.is_none()));
    assert_eq!(tasks.iter().filter(|task| task.job != plain).count(), 2);
    assert!(one.claim_having(2, Duration::ZERO).await.is_empty());
    // Another worker has none yet.
    let third = other.claim_having(1, LONG).await;
    assert_eq!(third.len(), 1);
    // One that waits hears that a task of its own has ended.
    let ended = tasks.iter().find(|task| task.job != plain).unwrap();
    let before = one.heard().await;
    let (last, ()) = tokio::join!(one.claim_having(2, LONG), async {
        while one.heard().await == before {
            tokio::task::yield_now().await;
        }
        one.report(ended, TaskReportState::Succeeded).await.unwrap();
    });
    assert_eq!(last.len(), 1);
    assert!(jobs.contains(&last[0].job) && last[0].job != third[0].job);
    harness.stop().await;
}

#[tokio::test]
async fn a_rule_passes_over_a_worker_that_may_have_no_more() {
    let harness = Harness::start(StoreKind::Memory, |config| {
        config.workers.assign_ttl_ms = 60_000;
    })
    .await;
    let client = harness.client();
    let (one, other) =
        (Player::new(&harness, "a", &[]).await, Player::new(&harness, "b", &[]).await);
    // The first one is asked first, but it has said that it is full.
    let before = one.heard().await;
    let passed = async {
        while one.heard().await == before {
            tokio::task::yield_now().await;
        }
        let job = create(&client, counted(1, Routing::First {})).await;
        let tasks = other.claim_having(0, LONG).await;
        assert_eq!(tasks.iter().map(|task| task.job).collect::<Vec<_>>(), [job]);
    };
    tokio::select! {
        given = one.claim_having(1, LONG) => panic!("it was given {given:?}"),
        () = passed => {}
    }
    harness.stop().await;
}
