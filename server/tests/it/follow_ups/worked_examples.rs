//! What the worked examples say of what fires, with a receiver that is told of every state.

use std::collections::BTreeMap;

use jobtracker_client::{JobId, JobTracker, NewChange, NewJob, State};
use jobtracker_model::testing::{Step, Vector};
use jobtracker_server::StoreKind;

use super::{deliveries, quick, receiver::Receiver, tell};
use crate::harness::Harness;

/// Every state that can become visible.
const STATES: [State; 6] = [
    State::WaitingToRun,
    State::Running,
    State::Warning,
    State::WaitingForChildrenToComplete,
    State::RanToCompletion,
    State::Faulted,
];

async fn on(kind: StoreKind, every: usize) {
    for vector in Vector::all().into_iter().step_by(every) {
        let receiver = Receiver::start().await;
        let harness = Harness::start(kind, |config| {
            quick(config);
            config.jobs.block_updates_after_finish = vector.block_updates_after_finish;
        })
        .await;
        let client = harness.client();
        for step in &vector.ops {
            match step {
                Step::Create { id, parent } => {
                    let action = tell(&receiver, &id.to_string(), &STATES);
                    let job = NewJob::new("job").id(*id).action(action);
                    client.create(NewJob { parent: *parent, ..job }).await.unwrap();
                }
                Step::Update { id, state, .. } => {
                    client.update(*id, NewChange::new(*state)).await.unwrap();
                }
            }
        }
        let fired: usize = vector.expect.iter().map(|job| job.fired.len()).sum();
        let mut told: BTreeMap<JobId, BTreeMap<u64, State>> = BTreeMap::new();
        for received in receiver.count(fired).await {
            let (job, number) = received.id().split_once('-').unwrap();
            let state = serde_json::from_value(received.json()["data"]["state"].clone()).unwrap();
            let of_job = told.entry(job.parse().unwrap()).or_default();
            let before = of_job.insert(number.parse().unwrap(), state);
            assert_eq!(before, None, "{}: {received:?} came twice", vector.name);
            assert_eq!(received.path, job);
        }
        for expected in &vector.expect {
            let found = told.remove(&expected.id).unwrap_or_default();
            let found: Vec<State> = found.into_values().collect();
            assert_eq!(found, expected.fired, "{}: job {}", vector.name, expected.id);
            assert_eq!(deliveries(&client, expected.id).await.len(), expected.fired.len());
        }
        assert!(told.is_empty(), "{}: {told:?}", vector.name);
        harness.stop().await;
        assert_eq!(receiver.all().len(), fired, "{}", vector.name);
    }
}

#[tokio::test]
async fn on_the_memory_store() {
    on(StoreKind::Memory, 1).await;
}

#[tokio::test]
async fn on_the_embedded_store() {
    on(StoreKind::Fjall, 1).await;
}

#[tokio::test]
async fn on_a_cluster() {
    on(StoreKind::Scylla, 5).await;
}
