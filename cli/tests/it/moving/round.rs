use jobtracker_model::Timestamp;
use jobtracker_server::moving::Selection;
use jobtracker_store::Row;
use serde_json::json;

use super::{
    everything, export, id, import, import_all, lines, neighbours, roots, rows,
    trees::{broad_tree, long_tree, plant, random_trees},
    watched::{Meddle, Watch},
};
use crate::harness::{Harness, STORES, Shelf};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trees_are_the_same_in_another_store() {
    for (number, from) in STORES.into_iter().enumerate() {
        let source = Shelf::open(from).await;
        random_trees(source.store(), 7 + number as u64).await;
        plant(source.store(), [broad_tree(9_000_000, 3, 2), broad_tree(9_000_100, 0, 0)]).await;
        let (done, file) = export(source.store(), Selection::ALL).await;
        let trees = roots(source.store()).await;
        assert_eq!((done.trees, done.kept), (trees.len() as u64, 0));
        assert!(trees.len() > 2 && done.counts.changes > 3 && done.counts.repeats > 3, "{done:?}");
        assert!(!done.has_newer);
        for to in STORES {
            let target = Shelf::open(to).await;
            let imported = import_all(target.store(), &file).await;
            assert_eq!((imported.new, imported.there), (done.trees, 0));
            assert_eq!((imported.counts, imported.rows), (done.counts, done.counts.rows()));
            assert_eq!(everything(target.store()).await, everything(source.store()).await);
            // An export of the target is the same again.
            let (again, back) = export(target.store(), Selection::ALL).await;
            assert_eq!((again.trees, again.counts), (done.trees, done.counts));
            assert_eq!(lines(&back), lines(&file));
            // Importing what a store has already adds nothing to it.
            let imported = import_all(target.store(), &back).await;
            assert_eq!((imported.new, imported.there), (0, done.trees));
            assert_eq!(everything(target.store()).await, everything(source.store()).await);
            target.close().await;
        }
        source.close().await;
    }
}

/// A change that was sent before the move and is sent again after it is known to have been applied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_again_after_the_move_is_known() {
    let create = json!({"id": 70, "name": "a", "options": "first"});
    let child = json!({"id": 71, "parent": 70, "name": "b", "tags": ["t"]});
    let change = json!({"state": "Running", "message": "m", "changeId": "c 1"});
    let other = json!({"state": "Warning", "changeId": "c 1"});
    let log = json!({"lines": ["one", "two"], "appendId": "l 1"});
    for (from, to) in neighbours() {
        let source = Harness::start(from, |_| {}).await;
        let mut replies = Vec::new();
        for body in [&create, &child] {
            replies.push(source.post("/api/v1/jobs", body).await.status);
        }
        // The fingerprint stays that of the creation.
        source.put("/api/v1/jobs/70/options", &json!({"options": "second"})).await;
        replies.push(source.post("/api/v1/jobs/71/changes", &change).await.status);
        replies.push(source.post("/api/v1/jobs/71/log", &log).await.status);
        assert!(replies.iter().all(|status| (200..300).contains(status)), "{replies:?}");
        let given = source.post("/api/v1/ids", &json!({"count": 5000})).await.json();
        let last = given["first"].as_u64().unwrap() + 4999;

        let (_, file) = export(source.store(), Selection::ALL).await;
        let target = Harness::start(to, |_| {}).await;
        import_all(target.store(), &file).await;
        for body in [&create, &child] {
            let reply = target.post("/api/v1/jobs", body).await.json();
            assert_eq!(reply["created"], false, "{reply}");
        }
        let reply = target.post("/api/v1/jobs/71/changes", &change).await.json();
        assert_eq!(reply["repeated"], true, "{reply}");
        target.post("/api/v1/jobs/71/changes", &other).await.assert_problem("repeat_conflict");
        let reply = target.post("/api/v1/jobs/71/log", &log).await.json();
        assert_eq!(reply["repeated"], true, "{reply}");
        // Ids that were given out are not given out again.
        let given = target.post("/api/v1/ids", &json!({"count": 1})).await.json();
        assert!(given["first"].as_u64().unwrap() > last, "{given} after {last}");
        // The tree is like any other.
        target.report(71, "RanToCompletion").await;
        target.report(70, "RanToCompletion").await;
        assert_eq!(target.get("/api/v1/jobs/70").await.json()["state"], "RanToCompletion");
        source.stop().await;
        target.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trees_are_chosen_by_root_and_by_time() {
    let time = |millis: i64| Timestamp::from_millis(1_700_000_000_000 + millis);
    for kind in STORES {
        let source = Harness::start(kind, |_| {}).await;
        // A tree is as old as its number says.
        plant(source.store(), [500, 100, 300, 200, 400].map(|root| broad_tree(root, 2, 0))).await;
        let created = |from, until| Selection::Created { from, until };
        for (selection, due) in [
            (Selection::ALL, vec![500, 400, 300, 200, 100]),
            (created(time(200), time(400)), vec![300, 200]),
            (created(time(201), None), vec![500, 400, 300]),
            (created(None, time(201)), vec![200, 100]),
            (created(time(600), None), vec![]),
            (Selection::Roots(vec![id(400), id(100), id(400)]), vec![100, 400]),
        ] {
            let (done, file) = export(source.store(), selection).await;
            let begins = lines(&file).into_iter().filter(|line| line.starts_with("{\"tree\""));
            let root = |line: String| {
                let line: serde_json::Value = serde_json::from_str(&line).unwrap();
                line["tree"]["root"].as_u64().unwrap()
            };
            assert_eq!(begins.map(root).collect::<Vec<_>>(), due);
            assert_eq!(done.trees, due.len() as u64);
            let target = Harness::start(STORES[0], |_| {}).await;
            assert_eq!(import_all(target.store(), &file).await.new, done.trees);
            let mut there: Vec<u64> =
                roots(target.store()).await.iter().map(|id| id.get()).collect();
            there.sort_unstable();
            let mut due = due;
            due.sort_unstable();
            assert_eq!(there, due);
            target.stop().await;
        }
        // A job that is no root, and one that does not exist.
        for wrong in [101, 7] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            let selection = Some(Selection::Roots(vec![id(100), id(wrong)]));
            let target = super::Target::New(path);
            let error = super::export_to(source.store(), selection, target).await.unwrap_err();
            assert_eq!(error.to_string(), format!("there is no root job {wrong}"));
        }
        source.stop().await;
    }
}

/// One tree of the file exists with another child, another's ids are taken, the others are
/// imported.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trees_that_cannot_be_put_in_are_told() {
    for kind in STORES {
        let source = Harness::start(kind, |_| {}).await;
        let target = Harness::start(kind, |_| {}).await;
        plant(source.store(), [100, 200, 300, 400].map(|root| broad_tree(root, 3, 1))).await;
        // Large trees go another way.
        plant(source.store(), [10_000, 20_000].map(|root| long_tree(root, 100, 0))).await;
        let (_, file) = export(source.store(), Selection::ALL).await;
        plant(target.store(), [broad_tree(200, 3, 1), broad_tree(300, 4, 1)]).await;
        // Ids of trees 400 and 20,000, in other trees.
        plant(target.store(), [broad_tree(402, 0, 0), broad_tree(20_099, 0, 0)]).await;
        plant(target.store(), [long_tree(10_000, 99, 0)]).await;
        for round in 0..2 {
            let (done, mut failed) = import(target.store(), &file).await;
            failed.sort();
            let done = done.unwrap();
            assert_eq!((done.new, done.there, done.failed), (1 - round, 1 + round, 4));
            let taken = "ids of its jobs are taken by other trees";
            let due = [
                (300, "it is there already, and has 9 jobs instead of 7"),
                (400, taken),
                (10_000, "it is there already, and has 100 jobs instead of 101"),
                (20_000, taken),
            ];
            assert_eq!(failed, due.map(|(root, why)| (id(root), why.to_owned())));
            assert_eq!(rows(target.store(), id(100)).await, rows(source.store(), id(100)).await);
            assert_eq!(rows(target.store(), id(20_000)).await, []);
        }
        source.stop().await;
        target.stop().await;
    }
}

/// A tree that has as many rows as the one in the file, but another line in its log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_that_differs_in_one_text_is_told() {
    for kind in STORES {
        let source = Harness::start(kind, |_| {}).await;
        let target = Harness::start(kind, |_| {}).await;
        let tree = broad_tree(100, 3, 1);
        let mut other = tree.clone();
        for row in &mut other.rows {
            if let Row::LogLine { id: job, line } = row
                && *job == id(103)
            {
                line.text.push('!');
            }
        }
        plant(source.store(), [tree]).await;
        plant(target.store(), [other]).await;
        let (_, file) = export(source.store(), Selection::ALL).await;
        let (done, failed) = import(target.store(), &file).await;
        assert_eq!((done.unwrap().failed, failed.len()), (1, 1));
        assert!(failed[0].1.contains("as many rows, but other ones"), "{failed:?}");
        source.stop().await;
        target.stop().await;
    }
}

/// Ids that were given out in the source, and those that jobs have, are not given out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_id_is_given_twice() {
    for kind in STORES {
        let source = Harness::start(STORES[0], |_| {}).await;
        let first = source.store().reserve_ids(3_500_000).await.unwrap().get();
        plant(source.store(), [broad_tree(4_000_000, 3, 0)]).await;
        let (_, file) = export(source.store(), Selection::ALL).await;
        let target = Harness::start(kind, |_| {}).await;
        import_all(target.store(), &file).await;
        let given = target.store().reserve_ids(1).await.unwrap().get();
        assert!(given >= first + 3_500_000, "{given}");
        assert!(given < 4_000_000, "ids are not wasted: {given}");
        // A second import uses up only a few ids.
        import_all(target.store(), &file).await;
        let again = target.store().reserve_ids(1).await.unwrap().get();
        assert!(again > given && again < given + 10, "{again} after {given}");
        // A target with a higher mark keeps its mark.
        let far = target.store().reserve_ids(5_000_000).await.unwrap().get() + 5_000_000;
        import_all(target.store(), &file).await;
        let again = target.store().reserve_ids(1).await.unwrap().get();
        assert!((far..far + 10).contains(&again), "{again} after {far}");
        source.stop().await;
        target.stop().await;
    }
}

/// Roots that are created during an export are left to the next one, and the export says so.
#[tokio::test]
async fn newer_roots_are_left_to_the_next_export() {
    for kind in STORES {
        let source = Harness::start(kind, |_| {}).await;
        plant(source.store(), [100, 200].map(|root| broad_tree(root, 1, 0))).await;
        let watched = Watch::over(source.store(), [Meddle::Plant(broad_tree(300, 1, 0))]);
        let (done, file) = export(&watched.store(), Selection::ALL).await;
        assert_eq!((done.trees, done.has_newer), (2, true));
        let from = Timestamp::from_millis(1_700_000_000_000 + 200);
        let (done, newer) = export(source.store(), Selection::Created { from, until: None }).await;
        assert_eq!((done.trees, done.has_newer), (2, false));
        let target = Harness::start(kind, |_| {}).await;
        import_all(target.store(), &file).await;
        let imported = import_all(target.store(), &newer).await;
        assert_eq!((imported.new, imported.there), (1, 1));
        assert_eq!(everything(target.store()).await, everything(source.store()).await);
        source.stop().await;
        target.stop().await;
    }
}
