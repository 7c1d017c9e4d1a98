use std::{io::Write, sync::Arc};

use serde_json::json;

use super::stream::stream;
use crate::harness::{Harness, Reply, STORES};

#[tokio::test]
async fn a_commit_is_answered_listed_and_remembered() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        harness.get("/api/v1/commits/c1").await.assert_problem("commit_not_found");
        let trees: Vec<(u64, u64)> = (1..=30).map(|number| (number * 100, 9)).collect();
        let reply = harness.send_commit("c1", stream(&trees)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let outcome = reply.json();
        let expected = json!({
            "id": "c1", "complete": true, "trees": 30, "applied": 30, "refused": 0,
            "jobs": 300, "changes": 540, "blocked": 0, "attention": [],
        });
        assert_eq!(outcome, expected);
        assert_eq!(harness.get("/api/v1/commits/c1").await.json(), expected);
        assert_eq!(harness.below(100).await, Some([9, 9, 0]));
        // A repetition changes nothing, and has the same outcome.
        assert_eq!(harness.send_commit("c1", stream(&trees)).await.json(), expected);
        assert_eq!(harness.below(100).await, Some([9, 9, 0]));
        let mut roots = Vec::new();
        let mut path = "/api/v1/commits/c1/trees?limit=7".to_owned();
        loop {
            let page = harness.get(&path).await.json();
            roots.extend(page["items"].as_array().unwrap().iter().map(|v| v["root"].clone()));
            let Some(cursor) = page["nextCursor"].as_str() else { break };
            path = format!("/api/v1/commits/c1/trees?limit=7&cursor={cursor}");
        }
        assert_eq!(roots, trees.iter().map(|(root, _)| json!(root)).collect::<Vec<_>>());
        harness.stop().await;
    }
}

#[tokio::test]
async fn the_times_are_those_at_which_it_was_recorded() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.send_commit("c", stream(&[(100, 2)])).await;
    let job = harness.get("/api/v1/jobs/101").await.json();
    assert_eq!(job["createTime"], "2023-11-14T22:13:20.020Z");
    assert_eq!(job["startTime"], "2023-11-14T22:13:20.021Z");
    assert_eq!(job["endTime"], "2023-11-14T22:13:20.022Z");
    let statistics = harness.get("/api/v1/jobs/100/statistics").await.json();
    assert_eq!(statistics["treeStart"]["source"], 101);
    let path = harness.get("/api/v1/jobs/101/path").await.json();
    let ids: Vec<_> = path["items"].as_array().unwrap().iter().map(|job| &job["id"]).collect();
    assert_eq!(ids, [&json!(101), &json!(100)]);
    assert_eq!(path["items"][1]["status"]["subtree"]["total"], 2);
    harness.get("/api/v1/jobs/999/path").await.assert_problem("job_not_found");
    harness.stop().await;
}

#[tokio::test]
async fn it_may_be_compressed() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    for (number, encoding) in ["zstd", "gzip", "identity"].into_iter().enumerate() {
        // From almost no bytes to many more than one step of unpacking.
        for children in [0, 1, 100, 30_000] {
            let root = 1_000_000 * (number as u64 + 1) + 50_000 * children.min(2) + children;
            let plain = stream(&[(root, children)]);
            let packed = match encoding {
                "zstd" => zstd::encode_all(&*plain, 3).unwrap(),
                "gzip" => gzip(&plain),
                _ => plain,
            };
            let name = format!("{encoding}-{children}");
            let request = harness.commit(&name, packed).header("content-encoding", encoding);
            let reply = Reply::of(request).await;
            assert_eq!(reply.status, 200, "{name}: {}", reply.text());
            assert_eq!(reply.json()["jobs"], children + 1, "{name}");
            assert_eq!(harness.below(root).await.unwrap()[0], children, "{name}");
        }
    }
    harness.stop().await;
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Readers that poll while a large tree comes in see all of it or nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_never_see_a_part() {
    for kind in STORES {
        let harness = Arc::new(Harness::start(kind, |_| {}).await);
        harness.create(5, None).await;
        let mut writer = jobtracker_model::upload::Writer::new(true);
        super::stream::tree(&mut writer, 5, 30_000, false);
        writer.end();
        let bytes = writer.take();
        let sending = {
            let harness = Arc::clone(&harness);
            tokio::spawn(async move { harness.send_commit("c", bytes).await })
        };
        let mut seen = 0;
        while !sending.is_finished() {
            let below = harness.below(5).await.unwrap();
            assert!(below == [0; 3] || below == [30_000, 27_000, 3_000], "{below:?}");
            let page = harness.get("/api/v1/jobs/5/children?limit=10").await.json();
            let children = page["items"].as_array().unwrap().len();
            assert!(children == 0 || children == 10, "{children}");
            seen += 1;
        }
        assert!(seen > 0);
        assert_eq!(sending.await.unwrap().status, 200);
        assert_eq!(harness.below(5).await, Some([30_000, 27_000, 3_000]));
        Arc::into_inner(harness).unwrap().stop().await;
    }
}

#[tokio::test]
async fn a_refused_tree_is_told_and_the_others_are_applied() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.create(101, None).await;
    let reply = harness.send_commit("c", stream(&[(100, 3), (200, 3)])).await;
    let outcome = reply.json();
    assert_eq!(
        (reply.status, &outcome["applied"], &outcome["refused"]),
        (200, &1.into(), &1.into())
    );
    let tree_result = &outcome["attention"][0];
    assert_eq!(
        (&tree_result["root"], &tree_result["refusal"]["code"]),
        (&100.into(), &"id_conflict".into())
    );
    // The header, the tree, the root.
    assert_eq!(tree_result["refusal"]["position"], 3);
    assert_eq!(harness.below(100).await, None);
    assert_eq!(harness.below(200).await, Some([3, 3, 0]));
    let listed = harness.get("/api/v1/commits/c/trees").await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    harness.stop().await;
}

/// The same upload from two senders at once: one of them is told to try again, or both get the same
/// outcome.
#[tokio::test]
async fn two_senders_of_one_commit() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        let bytes = stream(&[(1_000_000, 10_000), (2_000_000, 10)]);
        let (one, other) = tokio::join!(
            harness.send_commit("c", bytes.clone()),
            harness.send_commit("c", bytes.clone())
        );
        let mut applied = 0;
        for reply in [&one, &other] {
            if reply.status == 200 {
                assert_eq!(
                    (&reply.json()["applied"], &reply.json()["jobs"]),
                    (&2.into(), &10_012.into())
                );
                applied += 1;
            } else {
                reply.assert_problem("commit_in_progress");
            }
        }
        assert!(applied > 0);
        assert_eq!(harness.below(1_000_000).await, Some([10_000, 9_000, 1_000]));
        assert_eq!(harness.send_commit("c", bytes).await.json()["jobs"], 10_012);
        harness.stop().await;
    }
}
