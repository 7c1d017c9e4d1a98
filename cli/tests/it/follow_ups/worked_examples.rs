//! The actions that fire in the worked examples, with a receiver for every state.

use std::collections::BTreeMap;

use jobtracker_client::{JobId, NewChange, NewJob, State};
use jobtracker_model::testing::{NaiveTree, Step, Vector};
use jobtracker_server::StoreKind;
use serde_json::Value;

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

/// A delivery about a job: its new state, the job whose report caused it, and the message of that
/// report.
type Told = (State, JobId, Value);

/// Observes every job after each step, and derives from that alone which deliveries are due.
#[derive(Default)]
struct Looker {
    naive: NaiveTree,
    seen: BTreeMap<JobId, State>,
    said: BTreeMap<(JobId, usize), Value>,
    due: BTreeMap<JobId, Vec<Told>>,
}

impl Looker {
    fn look(&mut self, step: &Step, said: &str) {
        let job = match step {
            Step::Create { id, parent } => {
                self.naive.create(*id, *parent);
                *id
            }
            Step::Update { applied: false, .. } => return,
            Step::Update { id, state, .. } => {
                self.naive.append(*id, *state);
                let change = self.naive.job(*id).changes.len() - 1;
                self.said.insert((*id, change), said.into());
                *id
            }
        };
        let last = self.naive.job(job).changes.len() - 1;
        let ids: Vec<_> = self.naive.ids().collect();
        for id in ids {
            let state = self.naive.job(id).state;
            let before = self.seen.insert(id, state);
            if before.is_none_or(|before| before == state) {
                continue;
            }
            let (source, change) = match self.naive.first_fault(id) {
                Some(report) if state == State::Faulted => (report.job, report.change as usize),
                _ => (job, last),
            };
            let said = self.said.get(&(source, change)).cloned().unwrap_or_default();
            self.due.entry(id).or_default().push((state, source, said));
        }
    }
}

async fn on(kind: StoreKind, every: usize) {
    for vector in Vector::all().into_iter().step_by(every) {
        let receiver = Receiver::start().await;
        let harness = Harness::start(kind, |config| {
            quick(config);
            config.jobs.block_updates_after_finish = vector.block_updates_after_finish;
        })
        .await;
        let (client, mut looker) = (harness.client(), Looker::default());
        for (number, step) in vector.ops.iter().enumerate() {
            let said = format!("step {number}");
            looker.look(step, &said);
            match step {
                Step::Create { id, parent } => {
                    let action = tell(&receiver, &id.to_string(), &STATES);
                    let job = NewJob::new("job").id(*id).action(action);
                    client.create(NewJob { parent: *parent, ..job }).await.unwrap();
                }
                Step::Update { id, state, .. } => {
                    client.update(*id, NewChange::new(*state).message(said)).await.unwrap();
                }
            }
        }
        let fired: usize = vector.expect.iter().map(|job| job.fired.len()).sum();
        let mut told: BTreeMap<JobId, BTreeMap<u64, Told>> = BTreeMap::new();
        for received in receiver.count(fired).await {
            let (job, number) = received.id().split_once('-').unwrap();
            let data = &received.json()["data"];
            let state = serde_json::from_value(data["state"].clone()).unwrap();
            let source = serde_json::from_value(data["cause"]["job"]["id"].clone()).unwrap();
            assert_eq!(data["message"], data["cause"]["message"]);
            let of_job = told.entry(job.parse().unwrap()).or_default();
            let what = (state, source, data["message"].clone());
            let before = of_job.insert(number.parse().unwrap(), what);
            assert_eq!(before, None, "{}: {received:?} came twice", vector.name);
            assert_eq!(received.path, job);
        }
        for expected in &vector.expect {
            let found = told.remove(&expected.id).unwrap_or_default();
            let found: Vec<Told> = found.into_values().collect();
            let states: Vec<State> = found.iter().map(|told| told.0).collect();
            assert_eq!(states, expected.fired, "{}: job {}", vector.name, expected.id);
            let due = looker.due.remove(&expected.id).unwrap_or_default();
            assert_eq!(found, due, "{}: job {}", vector.name, expected.id);
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
