//! Time in which no server was up is no silence.

use std::time::Duration;

use futures_util::future::join_all;
use jobtracker_client::{
    CheckKind, CheckStatus, HttpAction, JobTrackerClient, NewChange, NewCheck, NewJob, State,
    Timestamp,
};

use super::{deliveries, id, receiver::Receiver};
use crate::process::{ANY_PORT, Process, embedded};

const JOBS: u64 = 20;
/// How long the jobs may be silent. All jobs get their checks at the same time, so that this takes
/// a few writes to the disk and not one for each job.
const QUIET: Duration = Duration::from_secs(3);
/// Longer than that.
const DOWN: Duration = Duration::from_millis(3_200);

/// Reports this state of all jobs.
async fn report(client: &JobTrackerClient, state: State) {
    let report = |number| client.update(id(number), NewChange::new(state));
    for reported in join_all((1..=JOBS).map(report)).await {
        reported.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_was_down_raises_no_alarms() {
    let receiver = Receiver::start().await;
    let data = tempfile::tempdir().unwrap();
    let settings = embedded(data.path());
    let service = Process::start(ANY_PORT, &settings);
    let client = service.client();
    let create = |number| {
        // They may be silent for long enough that the first alarm comes after the service is down.
        let quiet_ms = QUIET.as_millis() as u64;
        let silence = NewCheck::new(CheckKind::Silence { quiet_ms })
            .on_failure(HttpAction::new(receiver.url("silence")));
        client.create(NewJob::new("job").id(id(number)).check(silence))
    };
    for created in join_all((1..=JOBS).map(create)).await {
        created.unwrap();
    }
    report(&client, State::Running).await;
    service.kill();
    // The length of the outage is what this test is about.
    tokio::time::sleep(DOWN).await;
    let service = Process::start(ANY_PORT, &settings);
    let client = service.client();
    // This check is due after all the others, so it is made when they have been made.
    let past =
        CheckKind::State { at: Timestamp::MIN, states: [State::Warning].into_iter().collect() };
    let marker = NewCheck::new(past).on_failure(HttpAction::new(receiver.url("marker")));
    client.create(NewJob::new("marker").id(id(JOBS + 1)).check(marker)).await.unwrap();
    receiver.until(|all| all.iter().any(|one| one.path == "marker")).await;
    // Before any other request, since from here on silence counts.
    report(&client, State::RanToCompletion).await;
    let told = receiver.all();
    assert_eq!(told.len(), 1, "{told:?}");
    for number in 1..=JOBS {
        assert!(deliveries(&client, id(number)).await.is_empty());
        let check = client.checks(id(number)).await.unwrap().remove(0);
        assert!(check.told == 0 && check.status != CheckStatus::Failed, "{check:?}");
    }
}
