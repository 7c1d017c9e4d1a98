use std::sync::Arc;

use jobtracker_context::Error;
use jobtracker_model::{Definition, NewChange, ProblemCode, State};
use tokio::sync::Semaphore;

use crate::{
    recorded::{self, id, job, report, seen, status, time},
    service::Service,
};

/// A service that has a root with two children.
fn serving(block: bool) -> Arc<Service> {
    let service = Service::new(block);
    let mut kept = service.kept();
    for (number, parent) in [(1, None), (2, Some(1)), (3, Some(1))] {
        let definition = Definition { name: format!("job {number}"), ..Definition::default() };
        kept.create(id(number), parent.map(id), time(1), (definition, vec![], vec![])).unwrap();
    }
    drop(kept);
    service
}

#[tokio::test]
async fn a_job_of_the_service_is_loaded_once() {
    let service = serving(true);
    let context = recorded::context(&service);
    assert!(!seen(&context, 2).await.is_buffered);
    service.kept().paths.clear();
    assert!(report(&context, 2, State::Running).await);
    assert!(report(&context, 2, State::RanToCompletion).await);
    assert!(!report(&context, 2, State::Running).await);
    context.create(job(10, 2)).await.unwrap();
    context.create(job(11, 1)).await.unwrap();
    assert_eq!(service.kept().paths, [id(2)]);
    let root = status(&context, 1).await;
    assert_eq!((root.subtree.total, root.children.pending), (4, 3));
    assert_eq!(status(&context, 2).await.state, State::WaitingForChildrenToComplete);
    // A job that is not in the buffer is as the service has it.
    assert!(!seen(&context, 3).await.is_buffered);
    assert_eq!(service.kept().jobs[&id(1)].node.status.subtree.total, 2);

    let before: Vec<_> = [status(&context, 1).await, status(&context, 2).await].into();
    let flushed = context.commit_and_close().await.unwrap();
    assert_eq!((flushed.jobs, flushed.changes, flushed.trees), (2, 2, 1));
    let kept = service.kept();
    let after = [1, 2].map(|number| kept.jobs[&id(number)].node.status.clone());
    assert_eq!(after, *before);
}

#[tokio::test]
async fn tasks_share_one_load() {
    let service = serving(true);
    let context = recorded::context(&service);
    let mut batch = context.batch();
    for number in 100..140 {
        batch.add(move |context| async move { context.create(job(number, 3)).await });
    }
    batch.parallel(40).run().await.unwrap();
    assert_eq!(service.kept().paths, [id(3)]);
    assert_eq!(status(&context, 1).await.subtree.total, 42);
    context.flush().await.unwrap();
    assert_eq!(service.kept().jobs[&id(3)].node.status.children.pending, 40);
}

#[tokio::test]
async fn what_comes_to_nothing_leaves_nothing() {
    let service = serving(true);
    service.kept().update(id(2), State::Faulted, true);
    let context = recorded::context(&service);
    for _ in 0..2 {
        assert!(!report(&context, 2, State::Running).await);
        assert_eq!((context.stats().jobs, context.stats().operations), (0, 0));
    }
    // In a tree with unsent operations, the other jobs stay.
    report(&context, 3, State::Running).await;
    assert!(!report(&context, 2, State::Running).await);
    assert_eq!(context.stats().jobs, 2);
    assert_eq!(context.flush().await.unwrap().changes, 1);
    assert_eq!(context.flush().await.unwrap().uploads, 0);
}

#[tokio::test]
async fn the_service_says_whether_a_job_is_the_same() {
    let service = serving(true);
    let context = recorded::context(&service);
    report(&context, 2, State::Running).await;
    assert_eq!(context.create(job(2, 1)).await.unwrap(), id(2));
    let other = context.create(job(2, None)).await.unwrap_err();
    assert_eq!(other.code(), Some(ProblemCode::IdConflict));
    // Its parent is not a job of the service, as this context has it.
    context.create(job(20, None)).await.unwrap();
    assert!(context.create(job(20, 1)).await.is_err());
    context.flush().await.unwrap();
}

#[tokio::test]
async fn an_id_of_another_tree_is_found_out() {
    let service = serving(true);
    let context = recorded::context(&service);
    // The service has it below job 1; this context is told that it is a root.
    context.create(job(2, None)).await.unwrap();
    report(&context, 3, State::Running).await;
    {
        let mut kept = service.kept();
        let definition = Definition { name: "below".into(), ..Definition::default() };
        kept.create(id(4), Some(id(2)), time(1), (definition, vec![], vec![])).unwrap();
    }
    let updated = context.update(id(4), NewChange::new(State::Running)).await;
    assert!(matches!(updated, Err(Error::IdConflict(_))), "{updated:?}");
    let Err(Error::Refused { flushed }) = context.commit_and_close().await else { panic!() };
    assert_eq!((flushed.refused, flushed.applied), (1, 1));
    assert_eq!(service.kept().jobs[&id(3)].changes.len(), 2);
}

/// A job comes into the buffer, changes and leaves again, while another task waits for the
/// service's answer about it: that answer is then too old.
#[tokio::test]
async fn an_answer_that_was_overtaken_is_asked_for_again() {
    let mut service = Arc::into_inner(serving(true)).unwrap();
    service.slow_path = Some((id(2), Semaphore::new(0)));
    let service = Arc::new(service);
    let definition = Definition { name: "below".into(), ..Definition::default() };
    service.kept().create(id(20), Some(id(2)), time(1), (definition, vec![], vec![])).unwrap();
    let context = recorded::context(&service);
    let slow = tokio::spawn({
        let context = context.clone();
        async move { report(&context, 2, State::Running).await }
    });
    while service.kept().paths.is_empty() {
        tokio::task::yield_now().await;
    }
    report(&context, 20, State::RanToCompletion).await;
    report(&context, 2, State::RanToCompletion).await;
    context.flush().await.unwrap();
    service.slow_path.as_ref().unwrap().1.add_permits(2);
    // The job is finished, as this very context has reported.
    assert!(!slow.await.unwrap());
    assert_eq!(service.kept().paths, [id(2), id(20), id(2)]);
    assert_eq!(context.stats().jobs, 0);
}

/// Another program changes the tree between two loads: the numbers of the buffer do not fit
/// together any more. Nothing breaks, and the service has the last word.
#[tokio::test]
async fn a_tree_that_somebody_else_changes_meanwhile() {
    let service = serving(false);
    let context = recorded::context(&service);
    report(&context, 2, State::Running).await;
    {
        let mut kept = service.kept();
        for number in [2, 3] {
            kept.update(id(number), State::RanToCompletion, false);
        }
    }
    for state in [State::Running, State::Faulted, State::Running, State::RanToCompletion] {
        report(&context, 3, state).await;
        report(&context, 2, state).await;
    }
    assert!(context.commit_and_close().await.unwrap().is_clean());
    let kept = service.kept();
    assert_eq!(kept.jobs[&id(1)].node.status.children.failed, 2);
    assert_eq!(kept.jobs[&id(3)].changes.len(), 6);
}

#[tokio::test]
async fn what_the_service_blocks_is_told() {
    let service = serving(true);
    let context = recorded::context(&service);
    report(&context, 2, State::Running).await;
    service.kept().update(id(2), State::Faulted, true);
    assert!(report(&context, 2, State::RanToCompletion).await);
    let flushed = context.flush().await.unwrap();
    assert_eq!((flushed.blocked, flushed.changes), (2, 0));
    assert!(!flushed.is_clean());
    assert_eq!(flushed.attention_uploads.len(), 1);
    assert_eq!(status(&context, 2).await.state, State::Faulted);
}
