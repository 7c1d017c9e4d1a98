//! Time in which no server was up is no silence.

use std::time::Duration;

use futures_util::future::join_all;
use jobtracker_client::{
    CheckKind, CheckStatus, HttpAction, JobTrackerClient, NewChange, NewCheck, NewJob, State,
    Timestamp,
};

use jobtracker_store::scylla::testing::Lent;

use super::{deliveries, id, receiver::Receiver, servers};
use crate::process::{ANY_PORT, Process, Settings, embedded};

const JOBS: u64 = 20;

/// Reports this state of all jobs.
async fn report(client: &JobTrackerClient, state: State) {
    let report = |number| client.update(id(number), NewChange::new(state));
    for reported in join_all((1..=JOBS).map(report)).await {
        reported.unwrap();
    }
}

/// Kills this many servers at once while jobs run that may be silent for `quiet`, and starts them
/// again after `down`.
async fn raise_no_alarms(settings: &Settings, servers: usize, quiet: Duration, down: Duration) {
    let receiver = Receiver::start().await;
    let start = || (0..servers).map(|_| Process::start(ANY_PORT, settings)).collect::<Vec<_>>();
    let running = start();
    let client = running[0].client();
    // All jobs get their checks at the same time, so that this takes a few writes and not one for
    // each job, and the first alarm would come after the servers are down.
    let create = |number| {
        let quiet_ms = quiet.as_millis() as u64;
        let silence = NewCheck::new(CheckKind::Silence { quiet_ms })
            .on_failure(HttpAction::new(receiver.url("silence")));
        client.create(NewJob::new("job").id(id(number)).check(silence))
    };
    for created in join_all((1..=JOBS).map(create)).await {
        created.unwrap();
    }
    report(&client, State::Running).await;
    running.into_iter().for_each(Process::kill);
    // The length of the outage is what this test is about.
    tokio::time::sleep(down).await;
    let running = start();
    let client = running[0].client();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_was_down_raises_no_alarms() {
    let data = tempfile::tempdir().unwrap();
    let (quiet, down) = (Duration::from_secs(3), Duration::from_millis(3_200));
    raise_no_alarms(&embedded(data.path()), 1, quiet, down).await;
}

/// A gap between the notes of servers with clocks of their own has to be longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_were_all_down_raise_no_alarms() {
    let lent = Lent::new().await;
    let mut settings = servers::settings(&lent);
    settings.push(("store.scylla.max_clock_skew_ms", "100".to_owned()));
    raise_no_alarms(&settings, 2, Duration::from_secs(5), Duration::from_secs(7)).await;
}

/// As long as one server is up, silence is silence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_left_tells_of_silence() {
    let (lent, receiver) = (Lent::new().await, Receiver::start().await);
    let mut settings = servers::settings(&lent);
    settings.push(("store.scylla.max_clock_skew_ms", "100".to_owned()));
    let [left, killed] = [(); 2].map(|()| Process::start(ANY_PORT, &settings));
    // Longer than what makes an outage, so that the one that is down all the time would be one.
    let silence = NewCheck::new(CheckKind::Silence { quiet_ms: 7_000 })
        .on_failure(HttpAction::new(receiver.url("silence")));
    killed.client().create(NewJob::new("job").id(id(1)).check(silence)).await.unwrap();
    killed.kill();
    let told = receiver.until(|all| !all.is_empty()).await;
    assert_eq!(told[0].path, "silence");
    let check = left.client().checks(id(1)).await.unwrap().remove(0);
    assert_eq!(check.told, 1, "{check:?}");
}
