use std::collections::HashMap;

use jobtracker_model::{
    NewChange, NewJob, State,
    testing::{Expected, Step, Vector},
};

use crate::{recorded, service::Service};

/// The worked examples, before they are committed, and after.
#[tokio::test]
async fn worked_examples() {
    for vector in Vector::all() {
        let service = Service::new(vector.block_updates_after_finish);
        let context = recorded::context(&service);
        let mut changes: HashMap<_, Vec<State>> = HashMap::new();
        for step in &vector.ops {
            match step {
                Step::Create { id, parent } => {
                    let job = NewJob { id: Some(*id), parent: *parent, ..NewJob::new("job") };
                    assert_eq!(context.create(job).await.unwrap(), *id);
                    changes.insert(*id, vec![State::WaitingToRun]);
                }
                Step::Update { id, state, applied } => {
                    let done = context.update(*id, NewChange::new(*state)).await.unwrap();
                    assert_eq!(done.applied, *applied, "{}: {step:?}", vector.name);
                    if done.applied {
                        changes.get_mut(id).unwrap().push(*state);
                    }
                }
            }
        }
        for expected in &vector.expect {
            let id = expected.id;
            let status = context.get(id).await.unwrap().unwrap().node.status;
            let seen = Expected {
                id,
                state: status.state,
                pending: status.children.pending,
                successful: status.children.successful,
                failed: status.children.failed,
                subtree: status.subtree.into(),
                tree_start_source: status.tree_start.map(|mark| mark.source),
                tree_end_source: status.tree_end.map(|mark| mark.source),
                changes: changes[&id].clone(),
                // A context fires nothing; the service fires when the upload is committed.
                fired: expected.fired.clone(),
            };
            assert_eq!(&seen, expected, "{}", vector.name);
        }
        let flushed = context.commit_and_close().await.unwrap();
        assert!(flushed.is_clean());
        let kept = service.kept();
        for expected in &vector.expect {
            let job = &kept.jobs[&expected.id];
            assert_eq!(job.changes, expected.changes, "{}", vector.name);
            assert_eq!(job.node.status.state, expected.state, "{}", vector.name);
        }
    }
}
