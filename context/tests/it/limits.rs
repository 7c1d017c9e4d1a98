use std::{sync::Arc, time::Duration};

use jobtracker_context::{Error, WhenFull};
use jobtracker_model::{NewChange, NewJob, State};
use tokio::{task::yield_now, time::timeout};

use crate::{
    recorded::{self, id, job, report},
    service::{Fault, Service},
};

#[tokio::test]
async fn a_full_buffer_refuses() {
    let service = Service::new(true);
    let context = recorded::builder(&service).max_operations(3).build().unwrap();
    context.create(job(1, None)).await.unwrap();
    report(&context, 1, State::Running).await;
    report(&context, 1, State::Running).await;
    let error = context.create(job(2, None)).await.unwrap_err();
    assert!(matches!(error, Error::Full { operations: 3, .. }) && error.is_retryable());
    // A failed flush makes no room.
    service.fail(Fault::Unreachable);
    context.flush().await.unwrap_err();
    assert!(context.create(job(2, None)).await.is_err());
    context.flush().await.unwrap();
    context.create(job(2, None)).await.unwrap();
    assert_eq!(context.stats().operations, 1);
    context.close().await.unwrap();
}

#[tokio::test]
async fn what_changes_nothing_takes_no_room() {
    let service = Service::new(true);
    let context = recorded::builder(&service).max_operations(2).build().unwrap();
    context.create(job(1, None)).await.unwrap();
    for _ in 0..3 {
        context.create(job(1, None)).await.unwrap();
        context.update(id(9), NewChange::new(State::Running)).await.unwrap_err();
        context.create(NewJob::new("x").under(id(9))).await.unwrap_err();
    }
    assert_eq!(context.stats().operations, 1);
    let bytes = context.stats().bytes;
    report(&context, 1, State::Running).await;
    assert!(context.stats().bytes > bytes);
    context.flush().await.unwrap();
    assert_eq!(context.stats().bytes, 0);
}

#[tokio::test]
async fn bytes_count_too() {
    let service = Service::new(true);
    for when_full in [WhenFull::Refuse, WhenFull::Wait, WhenFull::Flush] {
        let builder = recorded::builder(&service).max_bytes(10_000).when_full(when_full);
        let context = builder.build().unwrap();
        // The operation is larger than the whole buffer: no flush would help.
        let large = NewJob::new("a").options("o".repeat(20_000));
        assert!(matches!(context.create(large).await, Err(Error::Full { .. })));
    }
    let context = recorded::builder(&service).max_bytes(10_000).build().unwrap();
    context.create(NewJob::new("a").options("o".repeat(6_000))).await.unwrap();
    let more = context.create(NewJob::new("a").options("o".repeat(6_000))).await;
    assert!(matches!(more, Err(Error::Full { .. })));
    context.close().await.unwrap();
}

#[tokio::test]
async fn who_waits_goes_on_when_there_is_room() {
    let service = Service::new(true);
    let builder = recorded::builder(&service).max_operations(1).when_full(WhenFull::Wait);
    let context = builder.build().unwrap();
    context.create(job(1, None)).await.unwrap();
    let waiting: Vec<_> = [2, 3]
        .map(|number| {
            let context = context.clone();
            tokio::spawn(async move { context.create(job(number, None)).await })
        })
        .into();
    let first = timeout(Duration::from_millis(20), context.create(job(4, None))).await;
    assert!(first.is_err());
    while service.kept().jobs.len() < 3 {
        context.flush().await.unwrap();
        yield_now().await;
    }
    for task in waiting {
        task.await.unwrap().unwrap();
    }
    // The one whose future was dropped has recorded nothing.
    assert_eq!(context.stats().operations, 0);

    context.create(job(5, None)).await.unwrap();
    let waiting = tokio::spawn({
        let context = context.clone();
        async move { context.create(job(6, None)).await }
    });
    yield_now().await;
    assert_eq!(context.close().await.unwrap().operations, 1);
    assert!(matches!(waiting.await.unwrap(), Err(Error::Closed)));
}

#[tokio::test]
async fn a_full_buffer_flushes_by_itself() {
    let service = Service::new(true);
    let builder = recorded::builder(&service).max_operations(10).when_full(WhenFull::Flush);
    let context = builder.build().unwrap();
    context.create(job(1, None)).await.unwrap();
    for number in 2..=100 {
        context.create(job(number, 1)).await.unwrap();
        assert!(context.stats().operations <= 10);
    }
    service.fail(Fault::Unreachable);
    let mut failed = 0;
    for number in 101..=120 {
        failed += u32::from(context.create(job(number, 1)).await.is_err());
    }
    assert_eq!(failed, 1);
    // It tells of the flushes in the background.
    let flushed = context.commit_and_close().await.unwrap();
    assert_eq!((flushed.jobs, flushed.refused), (119, 0));
    assert!(flushed.uploads >= 11);
    assert_eq!(service.kept().jobs[&id(1)].node.status.subtree.total, 118);
}

async fn arrived(service: &Arc<Service>, jobs: usize) {
    let all = async {
        while service.kept().jobs.len() < jobs {
            yield_now().await;
        }
    };
    timeout(Duration::from_secs(60), all).await.expect("a flush in the background");
}

#[tokio::test]
async fn it_flushes_in_the_background() {
    let service = Service::new(true);
    service.fail(Fault::Unreachable);
    service.kept().refuse.insert(id(2));
    let context = recorded::builder(&service).flush_at_operations(2).build().unwrap();
    context.create(job(1, None)).await.unwrap();
    context.create(job(2, None)).await.unwrap();
    arrived(&service, 1).await;
    while context.stats().operations > 0 {
        yield_now().await;
    }
    assert_eq!(context.stats().failed_flushes, 1);
    // A refusal in the background is told to the first caller who asks.
    let Err(Error::Refused { flushed }) = context.flush().await else { panic!() };
    assert_eq!((flushed.refused, flushed.applied), (1, 1));
    assert_eq!(context.flush().await.unwrap().trees, 0);

    let ms = Duration::from_millis(5);
    let context = recorded::builder(&service).flush_every(ms).build().unwrap();
    context.create(job(3, None)).await.unwrap();
    arrived(&service, 2).await;
    let context = recorded::builder(&service).flush_at_bytes(1).build().unwrap();
    context.create(job(4, None)).await.unwrap();
    arrived(&service, 3).await;
}

#[tokio::test]
async fn numbers_out_of_range_are_not_accepted() {
    let service = Service::new(true);
    let builder = || recorded::builder(&service);
    for wrong in [
        builder().id_block_size(0),
        builder().max_operations(0),
        builder().flush_every(Duration::ZERO),
        builder().ids_from(id(i64::MAX as u64), 2),
    ] {
        assert!(matches!(wrong.build(), Err(Error::Setup(_))));
    }
}
