//! Runs that are divided.

use jobtracker_client::{
    FollowedRun, limits,
    schedule::{RunEnding, RunTemplate, ScheduleTrigger},
};

use super::*;

/// S2.
#[tokio::test]
async fn only_the_shard_that_failed_is_run_again_and_only_its_last_attempt_counts() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let player = Player::new(&harness, "w", &[]).await;
    let retry = Retry { max: 1, initial_ms: 1, ..Retry::default() };
    let mut definition = ScheduleDefinition::new([]);
    definition.run.task = Some(NewTask { retry, ..run() });
    definition.sharding = Sharding::Fixed { total: 3 };
    client.create_schedule(&NewSchedule::new("three", definition)).await.unwrap();
    for (second, expected) in [
        (TaskReportState::Succeeded, State::RanToCompletion),
        (TaskReportState::Failed, State::Faulted),
    ] {
        let request = TriggerSchedule::default();
        let root = client.trigger_schedule("three", &request).await.unwrap().run.unwrap();
        let mut failed = None;
        for _ in 0..3 {
            let task = player.claim().await;
            let fails = task.shard.unwrap().index == 1;
            let state = if fails { TaskReportState::Failed } else { TaskReportState::Succeeded };
            player.report(&task, state).await.unwrap();
            failed = failed.or(fails.then_some(task.job));
        }
        assert!(!client.get(root).await.unwrap().unwrap().state.is_finished());
        let again = player.claim().await;
        assert_eq!((Some(again.job), again.attempt), (failed, 2));
        player.report(&again, second).await.unwrap();
        assert_eq!(client.wait_finished(root, LONG).await.unwrap().state, expected);
        assert!(player.has_none().await);
    }
    harness.stop().await;
}

impl Player {
    /// Ends a task with this answer.
    async fn answer(&self, task: &ClaimedTask, json: Option<String>) {
        let result = json.map(|json| Payload::parse(&json).unwrap());
        let report = TaskReport::new(&self.id, task.epoch, TaskReportState::Succeeded);
        self.client.report_task(task.job, &TaskReport { result, ..report }).await.unwrap();
    }
}

/// T4.
#[tokio::test]
async fn the_result_of_a_run_is_handed_once_to_the_schedule_that_follows_it() {
    const SHARDS: u32 = 8;
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        let client = harness.client();
        let player = Player::new(&harness, "w", &[]).await;
        let of = |triggers: Vec<ScheduleTrigger>, sharding| {
            let run = RunTemplate { task: Some(run()), ..RunTemplate::default() };
            ScheduleDefinition { run, sharding, ..ScheduleDefinition::new(triggers) }
        };
        let after = |schedule: &str| ScheduleTrigger::After {
            schedule: schedule.into(),
            on: RunEnding::Success,
        };
        for (name, definition) in [
            ("eight", of(Vec::new(), Sharding::Fixed { total: SHARDS })),
            ("second", of(vec![after("eight")], Sharding::One)),
            ("third", of(vec![after("second")], Sharding::Fixed { total: 1 })),
        ] {
            client.create_schedule(&NewSchedule::new(name, definition)).await.unwrap();
        }
        let request = TriggerSchedule::default();
        for text in ["x".to_owned(), "x".repeat(4_000)] {
            let root = client.trigger_schedule("eight", &request).await.unwrap().run.unwrap();
            for _ in 0..SHARDS {
                let task = player.claim().await;
                assert_eq!(task.after, None);
                let index = task.shard.unwrap().index;
                let json = format!(r#"{{"of": {index}, "text": "{text}"}}"#);
                player.answer(&task, (index != 3).then_some(json)).await;
            }
            let second = player.claim().await;
            let all = (0..SHARDS).map(|index| match index {
                3 => "null".to_owned(),
                _ => format!(r#"{{"of":{index},"text":"{text}"}}"#),
            });
            let all = format!("[{}]", all.collect::<Vec<_>>().join(","));
            let fits = all.len() <= limits::PAYLOAD;
            assert_eq!(fits, text.len() == 1);
            let result = fits.then(|| Payload::parse(&all).unwrap());
            let (schedule, state) = ("eight".to_owned(), State::RanToCompletion);
            assert_eq!(second.after, Some(FollowedRun { schedule, run: root, state, result }));
            player.answer(&second, Some("12.50".into())).await;
            let third = player.claim().await;
            let after = third.after.clone().unwrap();
            assert_eq!((after.run, after.result.unwrap().as_str()), (second.job, "12.50"));
            player.answer(&third, None).await;
            assert!(player.has_none().await, "each is followed once");
        }
        assert_eq!(client.firings("second").await.unwrap().len(), 2);
        harness.stop().await;
    }
}
