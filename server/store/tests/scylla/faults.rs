//! Commits whose requests and replies get lost on the way: each is done once, or not at all when
//! its caller hears so.

use std::time::Duration;

use jobtracker_model::{JobId, State};
use jobtracker_store::{Error, Result, StageId, Trees, scylla::ScyllaOptions};
use jobtracker_store_suite::{Forest, Staging};

use crate::{
    faulty::{Faulty, stage_rows},
    proxy::{FAULTS, Fault},
    space::{COMMIT, append_noise, commit, commit_soon, id},
};

/// Each fault once, at commits that change this.
async fn every_fault(is_staged: bool, change: fn(&mut Forest, u64)) {
    let mut faulty = Faulty::new(|_| {}).await;
    for (round, fault) in FAULTS.into_iter().enumerate() {
        let (mut due, after) = faulty.changed(|forest| change(forest, 1_000 * (round as u64 + 1)));
        if is_staged {
            let aside = Staging::new(round as u64 + 1, due, 2);
            stage_rows(&faulty.store, &aside).await.unwrap();
            due = aside.commit;
        }
        faulty.proxy.inject(COMMIT, fault, 1);
        let answer = commit(&faulty.store, due).await;
        assert!(answer.is_ok(), "{fault:?}: {answer:?}");
        faulty.proxy.hit(round + 1).await;
        faulty.forest = after;
        faulty.same_versions(fault).await;
    }
    faulty.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_is_done_once() {
    every_fault(false, |forest, number| {
        forest.child(number, 1);
        forest.append(id(1), &["a line", "and another"]);
        forest.report(id(number), State::Running, Some("on its way".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_commit_of_a_tree_is_done_once() {
    every_fault(false, |forest, number| {
        forest.root(number);
        forest.child(number + 1, number);
        forest.attach(id(number), "a", Some("text"));
    })
    .await;
}

/// A body that does not fit into the conditional batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_commit_is_done_once() {
    every_fault(false, |forest, number| {
        forest.child(number, 1);
        append_noise(forest, id(number), 20, 20_000);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_is_done_once() {
    every_fault(true, |forest, number| {
        for child in number + 1..number + 5 {
            forest.child(child, 1);
            forest.append(id(child), &["staged"]);
        }
        forest.report(id(number + 1), State::Faulted, None);
    })
    .await;
}

/// The first sending is still on its way when the second has been done, and arrives after a third.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_comes_late_does_nothing() {
    let mut faulty = Faulty::new(|_| {}).await;
    let (due, after) = faulty.changed(|forest| forest.child(2, 1));
    faulty.proxy.inject(COMMIT, Fault::Hold, 1);
    commit(&faulty.store, due).await.unwrap();
    faulty.forest = after;
    let (due, after) = faulty.changed(|forest| forest.child(3, 2));
    commit(&faulty.store, due).await.unwrap();
    faulty.forest = after;
    faulty.proxy.clear();
    faulty.proxy.quiet().await;
    faulty.same_versions("a late request").await;
    faulty.finish().await;
}

/// The reply gets lost, and before the commit is sent again another store has gone on from it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_followed_is_found_in_the_log() {
    let mut faulty = Faulty::new(|_| {}).await;
    for (round, fault) in [Fault::LoseReply, Fault::CutAtReply].into_iter().enumerate() {
        let number = 10 * (round as u64 + 1);
        let (due, after) = faulty.changed(|forest| forest.child(number, 1));
        faulty.proxy.inject(COMMIT, fault, 1);
        // So that the other store is faster than the repetition.
        faulty.proxy.inject(COMMIT, Fault::Hold, usize::MAX);
        let mine = faulty.begin(due);
        faulty.proxy.hit(faulty.proxy.hits() + 1).await;
        faulty.forest = after;
        for child in number + 1..number + 3 {
            let (due, after) = faulty.changed(|forest| forest.child(child, number));
            commit(&faulty.other, due).await.unwrap();
            faulty.forest = after;
        }
        faulty.proxy.clear();
        let answer = mine.await.unwrap();
        assert!(answer.is_ok(), "{fault:?}: {answer:?}");
        faulty.same_versions(fault).await;
    }
    faulty.finish().await;
}

/// The request gets lost, and before it is sent again another store has made that version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_overtaken_is_stale() {
    let mut faulty = Faulty::new(|_| {}).await;
    for (round, fault) in [Fault::LoseRequest, Fault::CutBefore].into_iter().enumerate() {
        let number = 10 * (round as u64 + 1);
        let (due, _) = faulty.changed(|forest| forest.child(number, 1));
        faulty.proxy.inject(COMMIT, fault, 1);
        faulty.proxy.inject(COMMIT, Fault::Hold, usize::MAX);
        let mine = faulty.begin(due);
        faulty.proxy.hit(faulty.proxy.hits() + 1).await;
        for child in number + 1..number + 3 {
            let (due, after) = faulty.changed(|forest| forest.child(child, 1));
            commit(&faulty.other, due).await.unwrap();
            faulty.forest = after;
        }
        faulty.proxy.clear();
        let answer = mine.await.unwrap();
        assert!(is_stale(&answer), "{fault:?}: {answer:?}");
        faulty.same_versions(fault).await;
    }
    faulty.finish().await;
}

fn is_stale(answer: &Result<()>) -> bool {
    matches!(answer, Err(Error::Stale { root }) if *root == JobId::MIN)
}

/// Followed, and the log has been applied since: the outcome can no longer be found out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_has_left_the_log_is_not_called_stale() {
    let mut faulty = Faulty::new(|options| options.tail_versions = 2).await;
    let (due, after) = faulty.changed(|forest| forest.child(2, 1));
    faulty.proxy.inject(COMMIT, Fault::LoseReply, 1);
    faulty.proxy.inject(COMMIT, Fault::Hold, usize::MAX);
    let mine = faulty.begin(due.clone());
    faulty.proxy.hit(1).await;
    faulty.forest = after;
    for child in 10..20 {
        let (due, after) = faulty.changed(|forest| forest.child(child, 1));
        commit(&faulty.other, due).await.unwrap();
        faulty.forest = after;
    }
    faulty.proxy.clear();
    let answer = mine.await.unwrap();
    assert!(matches!(answer, Ok(()) | Err(Error::OutcomeUnknown(_))), "{answer:?}");
    let again = commit(&faulty.store, due).await;
    assert!(is_stale(&again), "the repetition: {again:?}");
    faulty.same_versions("the repetition").await;
    faulty.finish().await;
}

fn impatient(options: &mut ScyllaOptions) {
    options.request_timeout = Duration::from_millis(500);
    options.resolve_timeout = Duration::from_millis(1_500);
}

/// No reply comes back, or no request gets there, until the caller hears of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_in_doubt_may_be_repeated() {
    let mut faulty = Faulty::new(impatient).await;
    for (fault, number) in [(Fault::LoseReply, 10), (Fault::LoseRequest, 20)] {
        // In an existing tree, in a new one, and of jobs that were staged.
        let news: [fn(&mut Forest, u64); 3] = [
            |forest, number| forest.child(number, 1),
            |forest, number| forest.root(number),
            |forest, number| (0..9).for_each(|child| forest.child(number * 10 + child, 1)),
        ];
        for (new, number) in news.into_iter().zip(number..) {
            let (mut due, after) = faulty.changed(|forest| new(forest, number));
            if number % 10 == 2 {
                let aside = Staging::new(number, due, 2);
                stage_rows(&faulty.store, &aside).await.unwrap();
                due = aside.commit;
            }
            faulty.proxy.inject(COMMIT, fault, usize::MAX);
            let answer = commit(&faulty.store, due.clone()).await;
            assert!(matches!(answer, Err(Error::OutcomeUnknown(_))), "{fault:?}: {answer:?}");
            faulty.proxy.clear();
            let again = commit(&faulty.store, due.clone()).await;
            match fault {
                Fault::LoseReply => {
                    assert!(matches!(again, Err(Error::Stale { .. })), "{number}: {again:?}");
                }
                _ => assert!(again.is_ok(), "{number}: {again:?}"),
            }
            faulty.forest = after;
            faulty.same_versions((fault, number)).await;
            let third = commit(&faulty.store, due).await;
            assert!(matches!(third, Err(Error::Stale { .. })), "{number}: {third:?}");
        }
    }
    faulty.finish().await;
}

/// A commit that publishes a stage may still come true when its caller gives up and discards it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_in_doubt_is_discarded_whole_or_not_at_all() {
    let mut faulty = Faulty::new(impatient).await;
    for (fault, stage) in [(Fault::LoseReply, 1), (Fault::Hold, 2), (Fault::Hold, 3)] {
        let number = stage * 100;
        let children = number + 1..number + 6;
        let (due, after) = faulty.changed(|forest| {
            if stage == 3 {
                forest.root(number);
            } else {
                forest.child(number, 1);
            }
            children.clone().for_each(|child| forest.child(child, number));
        });
        let aside = Staging::new(stage, due.clone(), 2);
        stage_rows(&faulty.store, &aside).await.unwrap();
        faulty.proxy.inject(COMMIT, fault, usize::MAX);
        let answer = commit(&faulty.store, aside.commit).await;
        assert!(matches!(answer, Err(Error::OutcomeUnknown(_))), "{fault:?}: {answer:?}");
        faulty.store.discard(StageId(stage));
        faulty.proxy.quiet().await;
        // The held request gets there after all.
        faulty.proxy.clear();
        faulty.proxy.quiet().await;
        if fault == Fault::LoseReply {
            faulty.forest = after;
            faulty.same_versions(fault).await;
            continue;
        }
        faulty.same_versions(fault).await;
        // Its ids are free, for a commit of the whole too.
        commit_soon(&faulty.other, due).await;
        faulty.forest = after;
    }
    faulty.finish().await;
}
