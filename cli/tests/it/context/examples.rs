//! The worked examples of the rules in a context: before it is committed, after that, and when the
//! service has a part of the tree already.

use std::sync::Arc;

use jobtracker_client::{JobTracker, NewChange, NewJob};
use jobtracker_context::JobTrackerContext;
use jobtracker_model::testing::{Step, Vector};
use jobtracker_server::StoreKind;

use crate::{
    examples::check,
    harness::{Harness, STORES},
};

pub fn context(harness: &Harness, block: bool) -> JobTrackerContext {
    let builder = JobTrackerContext::builder(Arc::new(harness.client()));
    builder.block_updates_after_finish(block).build().unwrap()
}

async fn start(kind: StoreKind, vector: &Vector) -> Harness {
    let block = vector.block_updates_after_finish;
    Harness::start(kind, |config| config.jobs.block_updates_after_finish = block).await
}

async fn record(context: &JobTrackerContext, vector: &Vector, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Create { id, parent } => {
                let job = NewJob { id: Some(*id), parent: *parent, ..NewJob::new("job") };
                assert_eq!(context.create(job).await.unwrap(), *id);
            }
            Step::Update { id, state, applied } => {
                let updated = context.update(*id, NewChange::new(*state)).await.unwrap();
                assert_eq!(updated.applied, *applied, "{}: {step:?}", vector.name);
            }
        }
    }
}

async fn direct(tracker: &dyn JobTracker, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Create { id, parent } => {
                let job = NewJob { id: Some(*id), parent: *parent, ..NewJob::new("job") };
                tracker.create(job).await.unwrap();
            }
            Step::Update { id, state, .. } => {
                tracker.update(*id, NewChange::new(*state)).await.unwrap();
            }
        }
    }
}

/// The context's answers are those that the service will give.
async fn check_before(context: &JobTrackerContext, vector: &Vector) {
    for expected in &vector.expect {
        let job = context.get(expected.id).await.unwrap().unwrap();
        let status = job.node.status;
        assert_eq!(status.state, expected.state, "{}: {}", vector.name, expected.id);
        let numbers = [status.children.pending, status.children.successful, status.children.failed];
        assert_eq!(numbers, [expected.pending, expected.successful, expected.failed]);
        assert_eq!(expected.subtree, status.subtree.into());
        assert_eq!(status.tree_start.map(|mark| mark.source), expected.tree_start_source);
        assert_eq!(status.tree_end.map(|mark| mark.source), expected.tree_end_source);
        assert_eq!(status.changes as usize, expected.changes.len());
    }
}

#[tokio::test]
async fn before_and_after_the_commit() {
    for kind in STORES {
        for vector in Vector::all() {
            let harness = start(kind, &vector).await;
            let context = context(&harness, vector.block_updates_after_finish);
            record(&context, &vector, &vector.ops).await;
            check_before(&context, &vector).await;
            let flushed = context.commit_and_close().await.unwrap();
            assert!(flushed.is_clean() && flushed.applied == 1, "{flushed:?}");
            check(&harness.client(), &vector).await;
            harness.stop().await;
        }
    }
}

#[tokio::test]
async fn over_a_tree_that_the_service_has() {
    for (index, vector) in Vector::all().into_iter().enumerate() {
        let harness = start(STORES[index % 2], &vector).await;
        let (before, then) = vector.ops.split_at(vector.ops.len() * (1 + index % 3) / 4);
        direct(&harness.client(), before).await;
        let context = context(&harness, vector.block_updates_after_finish);
        let (one, other) = then.split_at(then.len() / 2);
        record(&context, &vector, one).await;
        context.flush().await.unwrap();
        record(&context, &vector, other).await;
        check_before(&context, &vector).await;
        assert!(context.commit_and_close().await.unwrap().is_clean());
        check(&harness.client(), &vector).await;
        harness.stop().await;
    }
}
