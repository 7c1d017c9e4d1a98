//! What could not be heard while no server was up is no silence.

use std::time::Duration;

use jobtracker_client::{
    CheckKind, CheckStatus, HttpAction, JobTracker, NewChange, NewCheck, NewJob, State, Timestamp,
};

use super::{deliveries, id, receiver::Receiver};
use crate::process::{ANY_PORT, Process, embedded};

const JOBS: u64 = 20;
/// Longer than the jobs may be silent.
const DOWN: Duration = Duration::from_millis(2_500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_was_down_raises_no_alarms() {
    let receiver = Receiver::start().await;
    let data = tempfile::tempdir().unwrap();
    let settings = embedded(data.path());
    let service = Process::start(ANY_PORT, &settings);
    let client = service.client();
    for number in 1..=JOBS {
        // They may be silent for so long that the first alarm is not before the service is down.
        let silence = NewCheck::new(CheckKind::Silence { quiet_ms: 2_000 })
            .on_failure(HttpAction::new(receiver.url("silence")));
        client.create(NewJob::new("job").id(id(number)).check(silence)).await.unwrap();
    }
    for number in 1..=JOBS {
        client.update(id(number), NewChange::new(State::Running)).await.unwrap();
    }
    service.kill();
    // How long it is down is what this is about.
    tokio::time::sleep(DOWN).await;
    let service = Process::start(ANY_PORT, &settings);
    let client = service.client();
    // It is due later than all of those, so it is made when they have been looked at.
    let past =
        CheckKind::State { at: Timestamp::MIN, states: [State::Warning].into_iter().collect() };
    let marker = NewCheck::new(past).on_failure(HttpAction::new(receiver.url("marker")));
    client.create(NewJob::new("marker").id(id(JOBS + 1)).check(marker)).await.unwrap();
    let told = receiver.until(|all| all.iter().any(|one| one.path == "marker")).await;
    assert_eq!(told.len(), 1, "{told:?}");
    for number in 1..=JOBS {
        client.update(id(number), NewChange::new(State::RanToCompletion)).await.unwrap();
        assert!(deliveries(&client, id(number)).await.is_empty());
        let check = client.checks(id(number)).await.unwrap().remove(0);
        assert!(check.told == 0 && check.status != CheckStatus::Failed, "{check:?}");
    }
}
