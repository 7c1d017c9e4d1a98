//! Replies that are lost, the same upload from two senders, a service that is killed while an
//! upload comes in: each tree is complete or absent, and applied once.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jobtracker_client::{JobId, JobTrackerClient, RetryPolicy};
use jobtracker_context::{Error, JobTrackerContext};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{examples::context, proxy::Proxy};
use crate::{
    broad_tree::{is_whole, record},
    harness::{Harness, STORES},
    process::{ANY_PORT, Process, embedded},
};

fn id(number: u64) -> JobId {
    JobId::new(number).unwrap()
}

#[tokio::test]
async fn a_lost_reply_does_not_apply_anything_twice() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        let proxy = Proxy::start(harness.url(), 2).await;
        let tracker = JobTrackerClient::new(&proxy.url).unwrap();
        let context = JobTrackerContext::new(Arc::new(tracker)).unwrap();
        record(&context, 1_000, 300).await;
        record(&context, 2_000, 10).await;
        let flushed = context.commit_and_close().await.unwrap();
        assert_eq!((flushed.applied, flushed.jobs, flushed.changes), (2, 312, 622));
        assert!(proxy.lost.load(Ordering::SeqCst) >= 1);
        assert!(is_whole(&harness.client(), 1_000, 300).await);
        assert!(is_whole(&harness.client(), 2_000, 10).await);
        drop(proxy);
        harness.stop().await;
    }
}

/// A client that gives up at the first failure keeps everything in the context, to be sent again.
#[tokio::test]
async fn what_could_not_be_sent_is_kept() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let proxy = Proxy::start(harness.url(), 1).await;
    let tracker =
        JobTrackerClient::builder(&proxy.url).retry(RetryPolicy::never()).build().unwrap();
    let context = JobTrackerContext::new(Arc::new(tracker)).unwrap();
    record(&context, 1_000, 30).await;
    let error = context.flush().await.unwrap_err();
    assert!(matches!(error, Error::Flush(_)), "{error:?}");
    // The upload did arrive; its reply was lost.
    assert!(is_whole(&harness.client(), 1_000, 30).await);
    record(&context, 2_000, 30).await;
    let flushed = context.commit_and_close().await.unwrap();
    assert_eq!((flushed.uploads, flushed.applied), (2, 2));
    assert!(is_whole(&harness.client(), 1_000, 30).await);
    assert!(is_whole(&harness.client(), 2_000, 30).await);
    harness.stop().await;
}

#[tokio::test]
async fn a_refused_tree_is_an_error_of_the_flush() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.create(1_005, None).await;
    let context = context(&harness, true);
    record(&context, 1_000, 30).await;
    record(&context, 2_000, 30).await;
    let Err(Error::Refused { flushed }) = context.commit_and_close().await else {
        panic!("a tree has a job that is there already");
    };
    assert_eq!((flushed.applied, flushed.refused), (1, 1));
    let refusal = flushed.attention[0].refusal.as_ref().unwrap();
    assert_eq!(refusal.code, "id_conflict");
    assert!(!is_whole_root(&harness, 1_000).await && is_whole_root(&harness, 2_000).await);
    harness.stop().await;
}

async fn is_whole_root(harness: &Harness, root: u64) -> bool {
    harness.client().get(id(root)).await.unwrap().is_some()
}

/// The service is killed at random while a large tree and small ones come in, and started again on
/// the same data. `JOBTRACKER_KILL_ROUNDS` makes it a long run.
#[tokio::test]
async fn a_service_that_is_killed_while_a_commit_comes_in() {
    const LARGE: u64 = 12_000;
    let rounds = std::env::var("JOBTRACKER_KILL_ROUNDS").ok().and_then(|text| text.parse().ok());
    let data = tempfile::tempdir().unwrap();
    let mut random = StdRng::seed_from_u64(7);
    let mut cut = 0;
    for round in 0..rounds.unwrap_or(4) {
        let service = Process::start(ANY_PORT, &embedded(data.path()));
        let address = service.address().to_owned();
        let policy = RetryPolicy { attempts: 5, ..RetryPolicy::default() };
        let builder = JobTrackerClient::builder(format!("http://{address}")).retry(policy);
        let tracker = builder.build().unwrap();
        let context = JobTrackerContext::new(Arc::new(tracker)).unwrap();
        let first = 1_000_000 * (round + 1);
        let trees = [(first, LARGE), (first + 500_000, 10)];
        for (root, children) in trees {
            record(&context, root, children).await;
        }
        let mut flushing = {
            let context = context.clone();
            tokio::spawn(async move { context.flush().await })
        };
        // Some rounds end before any byte has come in, some in the middle, some after the end.
        let moment = Duration::from_millis(random.random_range(0..400));
        let early = tokio::time::timeout(moment, &mut flushing).await;
        service.kill();
        let acknowledged = match early {
            Ok(flushed) => flushed.unwrap().is_ok(),
            Err(_) => {
                // The client tries again and again, according to its policy, and then it gives up.
                let flushed = flushing.await.unwrap();
                assert!(flushed.is_err(), "there is no service to answer");
                false
            }
        };
        cut += u64::from(!acknowledged);

        let service = Process::start(&address, &embedded(data.path()));
        let client = service.client();
        for (root, children) in trees {
            assert!(is_whole(&client, root, children).await || !acknowledged);
        }
        // The context has kept its records, and sends them under the same name.
        while let Err(error) = context.flush().await {
            assert!(error.is_retryable(), "{error:?}");
        }
        for (root, children) in trees {
            assert!(is_whole(&client, root, children).await);
        }
        service.kill();
    }
    println!("{cut} of the flushes were cut");
}
