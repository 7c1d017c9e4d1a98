//! What is seen of a task while it runs.

use jobtracker_client::NewLogLines;

use super::*;

/// O2, O3.
#[tokio::test]
async fn progress_grows_and_the_log_is_read_while_it_runs_and_after_its_worker_has_left() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let player = Player::new(&harness, "w", &[]).await;
    let client = &player.client;
    let job = create(client, run()).await;
    let task = player.claim().await;
    let progress = async |percent| {
        let report = TaskReport::new(&player.id, task.epoch, TaskReportState::Progress);
        let report = TaskReport { progress: Some(percent), ..report };
        client.report_task(job, &report).await.unwrap();
        client.task(job).await.unwrap().progress
    };
    let told = [progress(40).await, progress(20).await, progress(100).await];
    assert_eq!(told, [40, 40, 99], "it never goes back, and is not whole before the end");
    let lines = async || -> Vec<String> {
        let log = client.log(job, Default::default()).await.unwrap();
        log.items.into_iter().map(|line| line.text).collect()
    };
    let append = async |text: &str| {
        let (worker, lines) = (player.id.clone(), vec![text.to_owned()]);
        let log = TaskLog { worker, epoch: task.epoch, lines, append_id: None };
        client.append_log_of_task(job, log).await.unwrap();
    };
    append("one").await;
    assert_eq!(lines().await, ["one"]);
    append("two").await;
    player.report(&task, TaskReportState::Succeeded).await.unwrap();
    client.leave_worker(&player.id).await.unwrap();
    assert_eq!(client.workers().await.unwrap(), []);
    assert_eq!(client.task(job).await.unwrap().progress, 100);
    assert_eq!(lines().await, ["one", "two"]);
    harness.stop().await;
}

/// O2.
#[tokio::test]
async fn a_line_of_the_log_says_which_attempt_has_said_it() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        let player = Player::new(&harness, "w", &[]).await;
        let client = &player.client;
        let retry = Retry { max: 1, initial_ms: 1, ..Retry::default() };
        let job = create(client, NewTask { retry, ..run() }).await;
        let append = async |line: &str| {
            let lines = NewLogLines { lines: vec![line.to_owned()], append_id: None };
            client.append_log(job, lines).await.unwrap();
        };
        append("before").await;
        for end in [TaskReportState::Failed, TaskReportState::Succeeded] {
            let task = player.claim().await;
            let (worker, epoch) = (player.id.clone(), task.epoch);
            let lines = ["one", "two"].map(str::to_owned).to_vec();
            let log = TaskLog { worker, epoch, lines, append_id: None };
            client.append_log_of_task(job, log).await.unwrap();
            append("between").await;
            player.report(&task, end).await.unwrap();
        }
        let log = client.log(job, Default::default()).await.unwrap().items;
        let log: Vec<_> = log.iter().map(|line| (line.attempt, &*line.text)).collect();
        let of = |attempt| [(attempt, "one"), (attempt, "two"), (None, "between")];
        assert_eq!(log, [&[(None, "before")][..], &of(Some(1)), &of(Some(2))].concat());
        harness.stop().await;
    }
}
