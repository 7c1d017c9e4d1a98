//! The limits of one upload for a tree, and creations that are repeated while the tree leaves the
//! buffer.

use std::{fs, sync::Arc};

use jobtracker_context::{Error, Fsync, JobTrackerContext};
use jobtracker_model::{State, limits};

use crate::{
    recorded::{self, id, job, report, time},
    service::{Service, said},
};

/// More about jobs that the service has than it takes at once is refused before it is accepted.
#[tokio::test]
async fn a_tree_has_only_so_much_about_old_jobs() {
    let service = Service::new(false);
    let said = said(job(1, None));
    service.kept().create(id(1), None, time(1), said).unwrap();
    let context = recorded::context(&service);
    let line = || vec!["x".repeat(limits::LOG_LINE); 100];
    let mut calls = 0;
    let error = loop {
        match context.append_log(id(1), line()).await {
            Ok(()) => calls += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::TreeFull(root) if root == id(1)), "{error:?}");
    assert!(error.is_retryable() && calls > 0);
    let bytes = calls * 100 * limits::LOG_LINE;
    assert!(bytes < limits::COMMIT_EXISTING_BYTES && bytes > limits::COMMIT_EXISTING_BYTES / 2);
    // New jobs are another matter.
    context.create(job(2, 1)).await.unwrap();
    context.append_log(id(2), line()).await.unwrap();
    let flushed = context.flush().await.unwrap();
    assert_eq!(flushed.refused, 0);
    context.append_log(id(1), line()).await.unwrap();
    context.commit_and_close().await.unwrap();
    assert_eq!(service.kept().jobs[&id(1)].lines.len(), (calls + 1) * 100);
}

/// A creation that is repeated while its tree leaves the buffer is not lost, nor what is under it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_created_again_while_it_leaves_is_recovered() {
    const LARGE: u64 = 10_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let service = Service::new(false);
    let context = recorded::builder(&service).journal(&path).fsync(Fsync::OnCall).build().unwrap();
    context.create(job(1, None)).await.unwrap();
    context.create(job(2, None)).await.unwrap();
    for number in 3..LARGE {
        context.create(job(number, 2)).await.unwrap();
    }
    let flushing = tokio::spawn({
        let context = context.clone();
        async move { context.flush().await.unwrap() }
    });
    while !flushing.is_finished() {
        context.create(job(1, None)).await.unwrap();
        tokio::task::yield_now().await;
    }
    flushing.await.unwrap();
    context.create(job(LARGE, 1)).await.unwrap();
    report(&context, LARGE, State::Running).await;
    context.sync().await.unwrap();
    // As a recovery would find it after a crash.
    let copy = folder.path().join("copy");
    fs::copy(&path, &copy).unwrap();
    let report = JobTrackerContext::recover(Arc::clone(&service) as _, &copy).await.unwrap();
    assert_eq!((report.misplaced, report.flushed.refused), (0, 0), "{report:?}");
    assert!(service.kept().jobs.contains_key(&id(LARGE)));
    context.close().await.unwrap();
}
