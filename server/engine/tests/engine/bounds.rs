use std::sync::Arc;

use jobtracker_engine::{Engine, Error, Options};
use jobtracker_model::{NewJob, State, limits};
use jobtracker_store::{Error as StoreError, Store};
use tokio::task::JoinHandle;

use crate::{
    gate::Gate,
    harness::{LONG, id, job, memory, options},
};

/// Fills an engine whose store is blocked with creations under a parent; answers the creations that
/// were taken, and the first that was refused.
async fn fill(engine: &Engine, parent: Option<u64>) -> (Vec<JoinHandle<bool>>, u64) {
    let mut taken = Vec::new();
    for number in 2.. {
        let engine = engine.clone();
        let mut create = Box::pin(async move { engine.create(job(number, parent)).await });
        // Polled once, an operation is in the queue or refused.
        match futures_poll_once(&mut create).await {
            Some(Err(Error::Overloaded { retry_after_ms })) => {
                assert!(retry_after_ms > 0);
                return (taken, number);
            }
            Some(other) => panic!("answered while the store stands still: {other:?}"),
            None => {
                taken.push(tokio::spawn(async move { create.await.unwrap().created }));
                tokio::task::yield_now().await;
            }
        }
    }
    unreachable!("a queue has an end")
}

async fn futures_poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        let polled = std::pin::Pin::new(&mut *future).poll(context);
        std::task::Poll::Ready(match polled {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

/// Each creation makes a root, or all are children of one root: then they wait for each other in
/// the engine.
async fn full_queue_refuses_and_drops_nothing(options: Options) {
    for parent in [None, Some(1)] {
        let gate = Gate::closed();
        let store: Arc<dyn Store> = gate.store();
        let engine = Engine::start(Arc::clone(&store), options);
        gate.permits.add_permits(1);
        engine.create(job(1, None)).await.unwrap();
        let (taken, refused) = fill(&engine, parent).await;
        assert!((8..=10).contains(&taken.len()), "{} were taken", taken.len());
        gate.open();
        for create in taken {
            assert!(create.await.unwrap());
        }
        assert!(store.get_job(id(refused)).await.unwrap().is_none());
        assert!(engine.create(job(refused, parent)).await.unwrap().created);
        engine.close().await;
    }
}

#[tokio::test]
async fn a_full_queue_refuses_by_number() {
    full_queue_refuses_and_drops_nothing(Options { queue_operations: 8, ..options() }).await;
}

#[tokio::test]
async fn a_full_queue_refuses_by_bytes() {
    full_queue_refuses_and_drops_nothing(Options { queue_bytes: 5_000, ..options() }).await;
}

#[tokio::test]
async fn operations_behind_a_commit_of_their_tree_keep_their_order() {
    for options in [
        Options { group_operations: 1, ..options() },
        Options { group_bytes: 1, ..options() },
        options(),
    ] {
        let gate = Gate::closed();
        let engine = Engine::start(gate.store(), options);
        engine.reserve_ids(1).await.unwrap();
        let mut running = Vec::new();
        for number in 1..=20 {
            let parent = (number > 1).then_some(number - 1);
            let engine = engine.clone();
            let mut create = Box::pin(async move { engine.create(job(number, parent)).await });
            assert!(futures_poll_once(&mut create).await.is_none());
            running.push(create);
        }
        // A reservation needs no commit of a tree: when it is answered, all operations before it
        // are queued behind the first, which cannot go on.
        engine.reserve_ids(1).await.unwrap();
        gate.open();
        for create in running {
            assert!(create.await.unwrap().created);
        }
        let deepest = gate.inner().get_job(id(20)).await.unwrap().unwrap();
        assert_eq!(deepest.depth, 19);
    }
}

#[tokio::test]
async fn closing_finishes_what_was_taken_and_takes_no_more() {
    let gate = Gate::closed();
    let engine = Engine::start(gate.store(), options());
    let mut running = Vec::new();
    for number in 1..=50 {
        let engine = engine.clone();
        let mut create = Box::pin(async move { engine.create(job(number, None)).await });
        assert!(futures_poll_once(&mut create).await.is_none());
        running.push(create);
    }
    let mut closing = Box::pin(engine.close());
    assert!(futures_poll_once(&mut closing).await.is_none());
    let late = engine.create(job(99, None)).await;
    assert!(matches!(late, Err(Error::ShuttingDown)), "{late:?}");
    let wait = engine.wait(id(1), [State::Faulted].into_iter().collect(), LONG).await;
    assert!(matches!(wait, Err(Error::ShuttingDown)), "{wait:?}");
    gate.open();
    closing.await;
    for create in running {
        assert!(create.await.unwrap().created);
    }
    assert!(gate.inner().get_job(id(50)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_store_that_fails_is_told_to_the_caller_and_changes_nothing() {
    let gate = Gate::closed();
    gate.open();
    let engine = Engine::start(gate.store(), options());
    engine.create(job(1, None)).await.unwrap();
    *gate.failing.lock() = Some(StoreError::Full("a test".into()));
    let refused = engine.create(job(2, Some(1))).await;
    assert!(matches!(refused, Err(Error::Store(StoreError::Full(_)))), "{refused:?}");
    *gate.failing.lock() = None;
    let root = gate.inner().get_job(id(1)).await.unwrap().unwrap();
    assert_eq!(root.status.subtree.total, 0);
    assert!(engine.create(job(2, Some(1))).await.unwrap().created);
}

#[tokio::test]
async fn a_tree_that_never_stands_still_is_contention() {
    let gate = Gate::closed();
    gate.open();
    *gate.failing.lock() = Some(StoreError::Stale { root: id(1) });
    let engine = Engine::start(gate.store(), options());
    let refused = engine.create(job(1, None)).await;
    assert!(matches!(refused, Err(Error::Contention(_))), "{refused:?}");
}

#[tokio::test]
async fn ids_are_given_once_and_skip_those_in_use() {
    let (store, engine) = memory();
    engine.create(job(3, None)).await.unwrap();
    engine.create(job(1500, None)).await.unwrap();
    let mut last = 0;
    for count in [1, 2, 700, 1_000_000, 1, 5] {
        let block = engine.reserve_ids(count).await.unwrap();
        assert!(block.first.get() > last, "{block:?} after {last}");
        last = block.first.get() + u64::from(count) - 1;
        assert!(
            !(block.first.get()..=last).contains(&3) && !(block.first.get()..=last).contains(&1500)
        );
    }
    // A caller takes ids out of the range that the engine holds: the engine drops the range.
    let next = engine.create(NewJob::new("any")).await.unwrap().id.get();
    for taken in (next + 1..=next + 20).chain([next + 500]) {
        engine.create(job(taken, None)).await.unwrap();
    }
    let created = engine.create(NewJob::new("any")).await.unwrap();
    assert!(created.created && created.id.get() > next + 500, "{created:?}");
    let block = engine.reserve_ids(900).await.unwrap();
    assert!(block.first > created.id, "{block:?} after {created:?}");
    for count in [0, limits::IDS_PER_RESERVATION + 1] {
        assert!(matches!(engine.reserve_ids(count).await, Err(Error::Field(_))));
    }
    assert!(store.get_job(created.id).await.unwrap().is_some());
}

#[tokio::test]
async fn an_id_of_ones_own_and_one_of_the_engine_are_never_the_same() {
    for order in [[false, true], [true, false]] {
        let (_, engine) = memory();
        engine.create(job(5_000, None)).await.unwrap();
        // The first id that the engine will choose.
        let own = id(1);
        let jobs = order.map(|chosen| match chosen {
            true => NewJob::new("own").id(own),
            false => NewJob::new("any"),
        });
        let jobs = jobs.map(|job| job.try_into().unwrap());
        let items = engine.create_children(id(5_000), jobs.to_vec()).await.unwrap().items;
        assert!(items.iter().all(|item| item.created), "{items:?}");
        assert_ne!(items[0].id, items[1].id);
        assert_eq!(items[usize::from(order[1])].id, own);
    }
}

#[tokio::test]
async fn an_engine_whose_thread_has_died_is_not_alive() {
    let gate = Gate::closed();
    let engine = Engine::start(gate.clone(), options());
    // Waiting for a permit panics from now on.
    gate.permits.close();
    assert!(engine.is_alive());
    let lost = engine.create(job(1, None)).await.unwrap_err();
    assert!(matches!(lost, Error::Store(StoreError::OutcomeUnknown(_))), "{lost}");
    while engine.is_alive() {
        tokio::task::yield_now().await;
    }

    let (_, closed) = memory();
    closed.close().await;
    assert!(closed.is_alive());
}
