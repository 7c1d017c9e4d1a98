use std::{
    future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use jobtracker_context::{BatchOperation, Error, JobTrackerContext, OnError, TaskFailure};
use jobtracker_model::NewJob;
use tokio::sync::Barrier;

use crate::{recorded, service::Service};

fn context() -> JobTrackerContext {
    recorded::context(&Service::new(true))
}

/// Counts how many tasks hold one at the same time.
#[derive(Clone, Default)]
struct Running(Arc<(AtomicUsize, AtomicUsize)>);

struct Held(Running);

impl Running {
    fn enter(&self) -> Held {
        let now = self.0.0.fetch_add(1, SeqCst) + 1;
        self.0.1.fetch_max(now, SeqCst);
        Held(self.clone())
    }

    fn now(&self) -> usize {
        self.0.0.load(SeqCst)
    }

    fn most(&self) -> usize {
        self.0.1.load(SeqCst)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.0.fetch_sub(1, SeqCst);
    }
}

#[tokio::test]
async fn so_many_run_at_once_and_answer_in_order() {
    let running = Running::default();
    let mut batch = context().batch();
    // They meet four at a time, so at least four run at once.
    let barrier = Arc::new(Barrier::new(4));
    for number in 0..40usize {
        let (running, barrier) = (running.clone(), Arc::clone(&barrier));
        batch.add(move |_| async move {
            let _held = running.enter();
            barrier.wait().await;
            Ok::<_, Error>(number)
        });
    }
    assert_eq!(batch.len(), 40);
    let answers = batch.parallel(4).run().await.unwrap();
    assert_eq!(answers, (0..40).collect::<Vec<_>>());
    assert_eq!((running.most(), running.now()), (4, 0));
    let empty: BatchOperation<(), Error> = context().batch();
    assert!(empty.is_empty());
    assert!(empty.parallel(0).run().await.unwrap().is_empty());
}

fn failing(context: &JobTrackerContext, running: &Running) -> BatchOperation<usize, String> {
    let mut batch = context.batch();
    for number in 0..10usize {
        let running = running.clone();
        batch.add(move |_| async move {
            let _held = running.enter();
            match number {
                2 => Err("two".to_owned()),
                4 => panic!("four"),
                _ => Ok(number),
            }
        });
    }
    batch
}

#[tokio::test]
async fn all_errors_or_the_first() {
    let (context, running) = (context(), Running::default());
    let all = failing(&context, &running).parallel(1).on_error(OnError::All);
    let error = all.run().await.unwrap_err();
    let expected = vec![
        (2, TaskFailure::Failed("two".to_owned())),
        (4, TaskFailure::Panicked("four".to_owned())),
    ];
    assert_eq!(error.failures, expected);
    assert_eq!((error.succeeded, error.skipped), (8, 0));
    assert!(error.to_string().contains("number 2: two"), "{error}");

    let error = failing(&context, &running).parallel(1).run().await.unwrap_err();
    assert_eq!(error.failures, expected[..1]);
    assert_eq!((error.succeeded, error.skipped), (2, 7));
    assert_eq!(running.now(), 0);
}

#[tokio::test]
async fn the_first_error_stops_those_that_run() {
    let (context, running) = (context(), Running::default());
    let mut batch = context.batch::<(), Error>();
    for _ in 0..3 {
        let running = running.clone();
        batch.add(move |_| async move {
            let _held = running.enter();
            future::pending().await
        });
    }
    batch.add(|context| async move {
        context.create(NewJob::new("")).await?;
        Ok(())
    });
    let error = batch.parallel(4).run().await.unwrap_err();
    assert!(matches!(error.failures[0], (3, TaskFailure::Failed(Error::Field(_)))));
    assert_eq!((error.succeeded, error.skipped), (0, 3));
    assert_eq!((running.most(), running.now()), (3, 0));
}

#[tokio::test]
async fn a_batch_that_is_dropped_leaves_nothing_running() {
    let (context, running) = (context(), Running::default());
    let mut batch = context.batch::<(), Error>();
    for _ in 0..10 {
        let running = running.clone();
        batch.add(move |_| async move {
            let _held = running.enter();
            future::pending().await
        });
    }
    let four_run = async {
        while running.now() < 4 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = batch.parallel(4).run() => panic!("they do not end"),
        () = four_run => {}
    }
    while running.now() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(running.most(), 4);
}
