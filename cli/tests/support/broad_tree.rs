//! Trees of one kind, recorded in a context, of which a part can be told from the whole.

use jobtracker_client::{JobId, JobTrackerClient, NewChange, NewJob, State};
use jobtracker_context::JobTrackerContext;

fn id(number: u64) -> JobId {
    JobId::new(number).unwrap()
}

/// A root with this many children, of which every tenth failed.
pub async fn record(context: &JobTrackerContext, root: u64, children: u64) {
    context.create(NewJob::new("root").id(id(root))).await.unwrap();
    for child in root + 1..=root + children {
        let job = NewJob::new("child").id(id(child)).under(id(root));
        context.create(job).await.unwrap();
        context.update(id(child), NewChange::new(State::Running)).await.unwrap();
        let failed = child % 10 == 0;
        let last = if failed { State::Faulted } else { State::RanToCompletion };
        context.update(id(child), NewChange::new(last)).await.unwrap();
    }
    context.update(id(root), NewChange::new(State::RanToCompletion)).await.unwrap();
}

/// Whether the tree exists; if it does, it is complete and exact.
pub async fn is_whole(client: &JobTrackerClient, root: u64, children: u64) -> bool {
    let states = client.states((root..=root + 500.min(children)).map(id).collect()).await.unwrap();
    let Some(job) = client.get(id(root)).await.unwrap() else {
        assert!(states.iter().all(|job| job.state == State::WaitingForActivation));
        return false;
    };
    assert!(states.iter().all(|job| job.state.is_finished()));
    assert_eq!((job.state, job.subtree.total), (State::Faulted, children));
    assert_eq!((job.subtree.failed, job.children.failed), (children / 10, children / 10));
    assert_eq!(job.children.successful, children - children / 10);
    assert_eq!((job.children.pending, job.changes), (0, 2));
    true
}
