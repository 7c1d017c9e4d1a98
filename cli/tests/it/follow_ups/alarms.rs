//! Alarms of schedules.

use std::time::Duration;

use jobtracker_client::{
    DeliveryStatus, NewTask, NewWorker, Retry, State, TaskReport, TaskReportState, WorkerHandler,
    schedule::{
        AlarmAction, NewSchedule, RunTemplate, ScheduleAlarm, ScheduleDefinition, TriggerSchedule,
    },
};
use jobtracker_server::StoreKind;

use super::{
    deliveries,
    receiver::{Reaction, Receiver},
    settled, start,
};

const WAIT: Duration = Duration::from_secs(30);

/// X3: one request after the last attempt has failed, which is tried again and listed as any
/// delivery, and none in the time of silence.
#[tokio::test]
async fn an_alarm_is_one_delivery_after_the_last_attempt_and_then_there_is_silence() {
    let harness = start(StoreKind::Memory).await;
    let client = harness.client();
    let receiver = Receiver::answering(|_, before| match before {
        0 => Reaction::Status(500),
        _ => Reaction::Status(204),
    })
    .await;
    let alarm = ScheduleAlarm {
        silence_ms: Some(3_600_000),
        ..ScheduleAlarm::to(AlarmAction::Http { url: receiver.url("alarm") })
    };
    let retry = Retry { max: 2, initial_ms: 1, ..Retry::default() };
    let task = NewTask::new("test/fails").retry(retry);
    let run = RunTemplate { task: Some(task), ..RunTemplate::default() };
    let watched = ScheduleDefinition { run, alarm: Some(alarm), ..ScheduleDefinition::new([]) };
    client.create_schedule(&NewSchedule::new("watched", watched)).await.unwrap();
    let handler = WorkerHandler { name: "test/fails".into(), description: String::new() };
    let (tags, labels) = (Vec::new(), Default::default());
    let worker = NewWorker { name: "w".into(), handlers: vec![handler], tags, labels, slots: 1 };
    let worker = client.register_worker(&worker).await.unwrap().id;
    let fail_all = async || {
        let fired = client.trigger_schedule("watched", &TriggerSchedule::default()).await.unwrap();
        let run = fired.run.unwrap();
        for attempt in 1..=3 {
            // An attempt that another follows tells none.
            assert_eq!(deliveries(&client, run).await, [], "before attempt {attempt}");
            let task = client.claim_tasks(&worker, 1, WAIT).await.unwrap().remove(0);
            assert_eq!((task.job, task.attempt), (run, attempt));
            let failed = TaskReport::new(&worker, task.epoch, TaskReportState::Failed);
            client.report_task(run, &failed).await.unwrap();
        }
        run
    };
    let run = fail_all().await;
    let told = receiver.count(2).await;
    assert!(told.iter().all(|one| one.path == "alarm" && one.id() == format!("{run}-0")));
    assert_eq!(told[0].json()["data"]["job"]["id"], run.get());
    let told = settled(&client, run).await;
    assert_eq!((told.len(), told[0].status, told[0].attempts), (1, DeliveryStatus::Delivered, 2));

    // The run has ended for the schedule as well before the next one is started.
    while !client.schedule("watched").await.unwrap().running.is_empty() {
        tokio::task::yield_now().await;
    }
    let silent = fail_all().await;
    assert_eq!(client.get(silent).await.unwrap().unwrap().state, State::Faulted);
    assert_eq!(deliveries(&client, silent).await, []);
    assert_eq!(receiver.all().len(), 2);
    harness.stop().await;
}
