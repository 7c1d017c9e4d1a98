//! The worked examples of the rules over HTTP, on both embedded stores, and after a crash.

use jobtracker_client::{JobTrackerClient, ListPage, NewChange, NewJob, State};
use jobtracker_model::testing::{Expected, Step, Vector};
use jobtracker_server::StoreKind;

use crate::{
    harness::Harness,
    process::{ANY_PORT, Process, embedded},
};

async fn run(client: &JobTrackerClient, vector: &Vector) {
    for step in &vector.ops {
        match step {
            Step::Create { id, parent } => {
                let job = NewJob { id: Some(*id), parent: *parent, ..NewJob::new("job") };
                assert!(client.create(job).await.unwrap().created);
            }
            Step::Update { id, state, applied } => {
                let updated = client.update(*id, NewChange::new(*state)).await.unwrap();
                assert_eq!(updated.applied, *applied, "{}: {step:?}", vector.name);
            }
        }
    }
}

/// Compares everything except which actions fired, which HTTP does not show.
pub async fn check(client: &JobTrackerClient, vector: &Vector) {
    for expected in &vector.expect {
        let id = expected.id;
        let job = client.load(id).await.unwrap();
        let statistics = client.statistics(id).await.unwrap();
        let changes = client.changes(id, ListPage::default().limit(1000)).await.unwrap().items;
        let seen = Expected {
            id,
            state: job.state,
            pending: job.children.pending,
            successful: job.children.successful,
            failed: job.children.failed,
            subtree: job.subtree.into(),
            tree_start_source: statistics.tree_start.map(|mark| mark.source),
            tree_end_source: statistics.tree_end.map(|mark| mark.source),
            changes: changes.iter().map(|change| change.state).collect::<Vec<State>>(),
            fired: expected.fired.clone(),
        };
        assert_eq!(&seen, expected, "{}", vector.name);
    }
}

async fn over_http(kind: StoreKind) {
    for vector in Vector::all() {
        let harness = Harness::start(kind, |config| {
            config.jobs.block_updates_after_finish = vector.block_updates_after_finish;
        })
        .await;
        let client = harness.client();
        run(&client, &vector).await;
        check(&client, &vector).await;
        harness.stop().await;
    }
}

#[tokio::test]
async fn over_http_on_the_memory_store() {
    over_http(StoreKind::Memory).await;
}

#[tokio::test]
async fn over_http_on_the_embedded_store() {
    over_http(StoreKind::Fjall).await;
}

#[tokio::test]
async fn over_http_after_a_crash() {
    // One in four: each costs two processes.
    let vectors = Vector::all().into_iter().filter(|vector| vector.block_updates_after_finish);
    for vector in vectors.step_by(4) {
        let data = tempfile::tempdir().unwrap();
        let service = Process::start(ANY_PORT, &embedded(data.path()));
        run(&service.client(), &vector).await;
        service.kill();
        let service = Process::start(ANY_PORT, &embedded(data.path()));
        check(&service.client(), &vector).await;
    }
}
