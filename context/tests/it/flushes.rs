use std::{sync::Arc, time::Duration};

use jobtracker_context::{Error, JobTrackerContext};
use jobtracker_model::{NewChange, ProblemCode, State, upload::Record};
use tokio::{sync::Semaphore, task::yield_now, time::timeout};

use crate::{
    recorded::{self, id, job, report, seen, status},
    service::{Fault, Service, read},
};

/// A service that answers an upload when the test permits it.
fn gated() -> Arc<Service> {
    let gate = Some(Semaphore::new(0));
    Arc::new(Service { block: true, gate, ..Service::default() })
}

async fn in_flight(context: &JobTrackerContext) {
    while context.stats().in_flight == 0 {
        yield_now().await;
    }
}

#[tokio::test]
async fn recording_goes_on_meanwhile() {
    let service = gated();
    let context = recorded::context(&service);
    context.create(job(1, None)).await.unwrap();
    context.create(job(2, 1)).await.unwrap();
    context.create(job(3, 1)).await.unwrap();
    let flush = tokio::spawn({
        let context = context.clone();
        async move { context.flush().await }
    });
    in_flight(&context).await;
    assert!(report(&context, 2, State::Running).await);
    context.create(job(4, 2)).await.unwrap();
    assert_eq!((context.stats().operations, context.stats().in_flight), (5, 3));
    assert!(seen(&context, 3).await.is_buffered);
    service.gate.as_ref().unwrap().add_permits(1);
    assert_eq!(flush.await.unwrap().unwrap().jobs, 3);
    // Job 3 has left; the others have something newer, or below them.
    assert_eq!((context.stats().operations, context.stats().jobs), (2, 3));
    assert!(!seen(&context, 3).await.is_buffered);
    let root = status(&context, 1).await;
    assert_eq!((root.subtree.total, root.subtree.running), (3, 1));

    service.gate.as_ref().unwrap().add_permits(1);
    let flushed = context.flush().await.unwrap();
    assert_eq!((flushed.jobs, flushed.changes), (1, 1));
    assert_eq!(context.stats().jobs, 0);
    let kept = service.kept();
    let items = read(&kept.streams[&kept.sent[1]]);
    let orders: Vec<_> = items
        .iter()
        .filter_map(|item| match &item.record {
            Record::Job { order, .. } | Record::Change { order, .. } => Some(*order),
            _ => None,
        })
        .collect();
    // They go on where the first upload ended.
    assert_eq!(orders, [4, 5]);
}

#[tokio::test]
async fn what_could_not_be_sent_is_sent_first_under_its_name() {
    let service = Service::new(true);
    let context = recorded::context(&service);
    context.create(job(1, None)).await.unwrap();
    for fault in [Fault::Unreachable, Fault::LostReply] {
        service.fail(fault);
        let error = context.flush().await.unwrap_err();
        assert!(matches!(error, Error::Flush(_)) && error.is_retryable(), "{error:?}");
        assert_eq!(context.stats().in_flight, 1);
    }
    report(&context, 1, State::Running).await;
    let flushed = context.flush().await.unwrap();
    assert_eq!((flushed.uploads, flushed.jobs, flushed.changes), (2, 1, 1));
    let stats = context.stats();
    assert_eq!((stats.uploads, stats.failed_flushes, stats.operations), (2, 2, 0));
    let kept = service.kept();
    // The first one had arrived: its outcome was asked for, and it was not sent again.
    assert_eq!(kept.sent.len(), 2);
    assert_ne!(kept.sent[0], kept.sent[1]);
    assert_eq!(kept.jobs[&id(1)].changes.len(), 2);
}

#[tokio::test]
async fn a_commit_that_fails_leaves_the_context_open() {
    let service = Service::new(true);
    let context = recorded::context(&service);
    context.create(job(1, None)).await.unwrap();
    service.fail(Fault::Refused(ProblemCode::OtherRules));
    let error = context.commit_and_close().await.unwrap_err();
    assert_eq!(error.code(), Some(ProblemCode::OtherRules));
    assert!(!error.is_retryable());
    context.create(job(2, None)).await.unwrap();
    assert_eq!(context.commit_and_close().await.unwrap().jobs, 2);
}

#[tokio::test]
async fn trees_that_are_refused_are_told_and_the_rest_is_applied() {
    let service = Service::new(true);
    service.kept().refuse.insert(id(2));
    let context = recorded::context(&service);
    for number in 1..=3 {
        context.create(job(number, None)).await.unwrap();
    }
    let error = context.flush().await.unwrap_err();
    assert!(error.to_string().contains("1 of 3"), "{error}");
    let Error::Refused { flushed } = error else { panic!() };
    assert_eq!((flushed.applied, flushed.refused, flushed.jobs), (2, 1, 2));
    assert_eq!(flushed.attention[0].root, id(2));
    assert_eq!(flushed.attention_uploads, service.kept().sent);
    assert_eq!((context.stats().operations, context.stats().jobs), (0, 0));
    assert!(context.get(id(2)).await.unwrap().is_none());
    assert!(context.commit_and_close().await.unwrap().is_clean());
}

#[tokio::test]
async fn what_was_recorded_in_a_refused_tree_meanwhile_is_judged_by_itself() {
    let service = gated();
    service.kept().refuse.insert(id(1));
    let gate = service.gate.as_ref().unwrap();
    let context = recorded::context(&service);
    context.create(job(1, None)).await.unwrap();
    let flush = tokio::spawn({
        let context = context.clone();
        async move { context.flush().await }
    });
    in_flight(&context).await;
    report(&context, 1, State::Running).await;
    context.create(job(2, 1)).await.unwrap();
    gate.add_permits(2);
    assert!(matches!(flush.await.unwrap(), Err(Error::Refused { .. })));
    assert_eq!(context.stats().operations, 2);
    let Err(Error::Refused { flushed }) = context.commit_and_close().await else { panic!() };
    assert_eq!((flushed.trees, flushed.refused), (1, 1));
    assert_eq!(context.stats().operations, 0);
}

#[tokio::test]
async fn a_flush_that_is_dropped_goes_on() {
    let service = gated();
    let context = recorded::context(&service);
    context.create(job(1, None)).await.unwrap();
    let soon = Duration::from_millis(20);
    assert!(timeout(soon, context.flush()).await.is_err());
    assert_eq!(context.stats().in_flight, 1);
    service.gate.as_ref().unwrap().add_permits(1);
    // The next flush waits for its turn, and finds nothing left.
    assert_eq!(context.flush().await.unwrap().uploads, 0);
    assert_eq!(service.kept().sent.len(), 1);
}

#[tokio::test]
async fn an_empty_flush_sends_nothing() {
    let service = Service::new(true);
    let context = recorded::context(&service);
    assert_eq!(context.flush().await.unwrap(), jobtracker_context::Flushed::default());
    assert_eq!(context.commit_and_close().await.unwrap().uploads, 0);
    assert!(service.kept().sent.is_empty());
}

#[tokio::test]
async fn what_is_closed_is_thrown_away() {
    let service = Service::new(true);
    let context = recorded::context(&service);
    context.create(job(1, None)).await.unwrap();
    service.fail(Fault::LostReply);
    context.flush().await.unwrap_err();
    report(&context, 1, State::Running).await;
    let discarded = context.close().await.unwrap();
    assert_eq!((discarded.operations, discarded.in_doubt), (2, 1));
    assert_eq!((context.stats().operations, context.stats().jobs), (0, 0));
    let updated = context.update(id(1), NewChange::new(State::Running)).await;
    assert!(matches!(updated, Err(Error::Closed)));
}
