//! Plain writes whose requests and replies get lost: reservations, stages, parts, checkpoints, ids.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use jobtracker_model::State;
use jobtracker_store::{Error, Health, Servers, StageId, Trees, scylla::ScyllaOptions};
use jobtracker_store_suite::{Forest, Staging};
use tokio::time::sleep;

use crate::{
    faulty::{Faulty, stage_rows},
    proxy::{FAULTS, Fault},
    space::{append_noise, commit, commit_soon, compare, id},
};

/// Long enough that only a failing test waits for all of it.
const LONG: Duration = Duration::from_secs(60);

/// Faults of a write that may be repeated. A broken connection is hidden from its caller.
const PLAIN: [Fault; 4] =
    [Fault::LoseRequest, Fault::LoseReply, Fault::CutBefore, Fault::CutAtReply];

fn breaks(fault: Fault) -> bool {
    matches!(fault, Fault::CutBefore | Fault::CutAtReply)
}

/// A change of many kinds, with a body that goes into parts.
fn grow(forest: &mut Forest, number: u64) {
    for child in number + 1..number + 3 {
        forest.child(child, 1);
        append_noise(forest, id(child), 4, 12_500);
        forest.attach(id(child), "a", Some("text"));
        forest.report(id(child), State::Running, Some("on its way".into()));
    }
}

/// The rows that are written before the conditional batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_claims_or_parts_get_lost_is_not_done() {
    let mut faulty = Faulty::new(|_| {}).await;
    let writes = ["INSERT INTO origin", "INSERT INTO part", "INSERT INTO listing"];
    for (round, words) in writes.into_iter().enumerate() {
        for (fault, number) in PLAIN.into_iter().zip(1_000 * (round as u64 + 1)..) {
            let (due, after) = faulty.changed(|forest| grow(forest, number * 10));
            let before = faulty.proxy.hits();
            faulty.proxy.inject(words, fault, 1);
            let answer = commit(&faulty.store, due.clone()).await;
            assert_eq!(faulty.proxy.hits(), before + 1, "{fault:?} at {words}");
            match answer {
                Ok(()) => {}
                Err(Error::Unavailable(_)) if !breaks(fault) => {
                    faulty.same_versions((words, fault)).await;
                    commit(&faulty.store, due).await.unwrap();
                }
                answer => panic!("{fault:?} at {words}: {answer:?}"),
            }
            faulty.forest = after;
            faulty.same_versions((words, fault)).await;
        }
    }
    faulty.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_of_which_writes_get_lost_is_whole_or_refused() {
    let mut faulty = Faulty::new(|_| {}).await;
    let writes = ["INSERT INTO listing", "INSERT INTO origin", "INSERT INTO job", "INTO history"];
    let mut stage = 0;
    for words in writes {
        for fault in PLAIN {
            stage += 2;
            let (due, after) = faulty.changed(|forest| grow(forest, stage * 100));
            let aside = Staging::new(stage, due.clone(), 2);
            let before = faulty.proxy.hits();
            faulty.proxy.inject(words, fault, 1);
            let put = stage_rows(&faulty.store, &aside).await;
            assert_eq!(faulty.proxy.hits(), before + 1, "{fault:?} at {words}");
            if put.is_ok() {
                commit(&faulty.store, aside.commit).await.unwrap();
            } else {
                assert!(!breaks(fault), "{fault:?} at {words}: {put:?}");
                let published = commit(&faulty.store, aside.commit).await;
                let refused = matches!(published, Err(Error::Unavailable(_)));
                assert!(refused, "{fault:?} at {words}: {published:?}");
                faulty.store.discard(StageId(stage));
                commit_soon(&faulty.store, due).await;
            }
            faulty.forest = after;
            faulty.same_versions((words, fault)).await;
        }
    }
    faulty.finish().await;
}

/// When writes of a checkpoint get lost, no reader sees it. A commit is affected where a fault cuts
/// the connection that it shares with the checkpoint: nothing of it was done then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_whose_writes_get_lost_is_made_again() {
    let tune = |options: &mut ScyllaOptions| {
        options.tail_versions = 2;
        options.tree_cache_bytes = 1;
    };
    let mut faulty = Faulty::new(tune).await;
    let writes = [
        "INSERT INTO job (parent, page, id, stage, ver,",
        "VALUES (?, -1, ?, 0)",
        "INSERT INTO history",
        "INSERT INTO detail",
        "VALUES (?, 3, 0, ?)",
        "DELETE FROM tree",
        "DELETE FROM part",
    ];
    let mut number = 0;
    for words in writes {
        for fault in PLAIN {
            let before = faulty.proxy.hits();
            faulty.proxy.inject(words, fault, 1);
            // A checkpoint that fails is made again after a later commit. On a busy machine the one
            // under way may take long.
            let begun = Instant::now();
            while faulty.proxy.hits() == before && begun.elapsed() < LONG {
                number += 10;
                let (due, after) = faulty.changed(|forest| grow(forest, number));
                while let Err(error) = commit(&faulty.store, due.clone()).await {
                    let is_cut =
                        matches!(&error, Error::Unavailable(why) if why.contains("onnection"));
                    assert!(is_cut, "{fault:?} at {words}: {error}");
                }
                faulty.forest = after;
                sleep(Duration::from_millis(200)).await;
            }
            assert_eq!(faulty.proxy.hits(), before + 1, "{fault:?} at {words}");
            faulty.same_versions((words, fault)).await;
        }
    }
    let fresh = faulty.space.open().await;
    compare(&[&fresh], &faulty.forest).await;
    fresh.close().await;
    faulty.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_id_is_given_out_twice() {
    let mut faulty = Faulty::new(|_| {}).await;
    let mut given = BTreeSet::from([id(1)]);
    let (first, next) = ("INTO register (name, value)", "UPDATE register SET value");
    let faults = FAULTS.into_iter().map(|fault| (next, fault));
    for (words, fault) in [(first, Fault::LoseReply)].into_iter().chain(faults) {
        let before = faulty.proxy.hits();
        faulty.proxy.inject(words, fault, 1);
        let reserve = async || match faulty.store.reserve_ids(3).await {
            // Nothing was done: the caller may ask again.
            Err(Error::Unavailable(_)) => faulty.store.reserve_ids(3).await,
            answer => answer,
        };
        let mine = reserve().await.unwrap();
        assert_eq!(faulty.proxy.hits(), before + 1, "{fault:?} at {words}");
        // And again, while another store does the same, and beyond an id that a caller has chosen.
        let chosen = mine.get() + 7;
        let (due, after) = faulty.changed(|forest| forest.child(chosen, 1));
        commit(&faulty.other, due).await.unwrap();
        faulty.forest = after;
        given.insert(id(chosen));
        let (more, theirs) = tokio::join!(reserve(), faulty.other.reserve_ids(5));
        for (first, count) in [(mine, 3), (more.unwrap(), 3), (theirs.unwrap(), 5)] {
            for number in first.get()..first.get() + count {
                assert!(given.insert(id(number)), "{number} twice after {fault:?}: {given:?}");
            }
        }
    }
    faulty.finish().await;
}
