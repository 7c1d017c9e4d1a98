//! Root jobs: filters, expressions, totals, pages.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Harness, Reply, STORES};

/// Roots 1 to 30: named by whether they are even, tagged, every third one failed below.
async fn plant(harness: &Harness) {
    for id in 1..=30_u64 {
        let parity = if id % 2 == 0 { "even" } else { "odd" };
        let tags: Vec<_> = ["two", "three", "five"]
            .into_iter()
            .zip([2, 3, 5])
            .filter(|(_, n)| id % n == 0)
            .collect();
        let tags: Vec<_> = tags.into_iter().map(|(tag, _)| tag).collect();
        let creator = if id <= 10 { "ann" } else { "bob" };
        let job = json!({
            "id": id, "name": format!("{parity} {id}"), "createdBy": creator, "tags": tags,
        });
        assert_eq!(harness.post("/api/v1/jobs", &job).await.status, 201);
        if id % 3 == 0 {
            harness.create(1000 + id, Some(id)).await;
            harness.report(1000 + id, "Faulted").await;
            harness.report(id, "RanToCompletion").await;
        }
    }
}

async fn roots(harness: &Harness, query: &[(&str, &str)]) -> Reply {
    Reply::of(harness.request(Method::GET, "/api/v1/roots").query(query)).await
}

fn ids(page: &Value) -> Vec<u64> {
    page["items"].as_array().unwrap().iter().map(|job| job["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn each_filter_finds_what_it_says() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        plant(&harness).await;
        let finds = async |query: &[(&str, &str)], wanted: fn(u64) -> bool| {
            let page = roots(&harness, query).await.json();
            let mut expected: Vec<_> = (1..=30).filter(|id| wanted(*id)).collect();
            let mut found = ids(&page);
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{query:?}");
            assert_eq!(page["total"], expected.len(), "{query:?}");
            assert_eq!(page["totalExact"], true);
        };
        finds(&[], |_| true).await;
        finds(&[("namePrefix", "even 1")], |id| id % 2 == 0 && (10..20).contains(&id)).await;
        finds(&[("createdBy", "ann")], |id| id <= 10).await;
        finds(&[("tags", "two,three")], |id| id % 6 == 0).await;
        finds(&[("states", "Faulted")], |id| id % 3 == 0).await;
        finds(&[("states", "Running,WaitingToRun")], |id| id % 3 != 0).await;
        finds(&[("createdBy", "nobody")], |_| false).await;
        finds(&[("expression", "subtree.failed > 0")], |id| id % 3 == 0).await;
        finds(&[("expression", "id > 20 && 'five' in tags")], |id| id == 25 || id == 30).await;
        finds(&[("expression", "startTime == null && endTime != null")], |id| id % 3 == 0).await;
        finds(&[("createdBy", "bob"), ("tags", "five"), ("expression", "id < 21")], |id| {
            id == 15 || id == 20
        })
        .await;
        harness.stop().await;
    }
}

#[tokio::test]
async fn roots_come_newest_first_and_within_their_time() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        plant(&harness).await;
        let page = roots(&harness, &[]).await.json();
        let items = page["items"].as_array().unwrap();
        let places: Vec<_> = items
            .iter()
            .map(|job| (job["createTime"].as_str().unwrap(), job["id"].as_u64().unwrap()))
            .collect();
        assert!(places.is_sorted_by(|newer, older| newer > older), "{places:?}");
        let middle = places[15].0;
        let later = roots(&harness, &[("from", middle)]).await.json();
        let earlier = roots(&harness, &[("to", middle)]).await.json();
        assert_eq!(later["total"], places.iter().filter(|place| place.0 >= middle).count());
        assert_eq!(earlier["total"], places.iter().filter(|place| place.0 < middle).count());
        let none = roots(&harness, &[("from", middle), ("to", middle)]).await.json();
        assert_eq!(none["total"], 0);
        harness.stop().await;
    }
}

#[tokio::test]
async fn pages_keep_the_total_that_the_first_was_asked_for() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        plant(&harness).await;
        for filter in [None, Some(("states", "Faulted")), Some(("expression", "id % 3 == 0"))] {
            let query: Vec<_> = filter.into_iter().chain([("total", "true")]).collect();
            let whole = roots(&harness, &query).await.json();
            for limit in ["1", "3", "7", "10", "30"] {
                let (mut found, mut cursor) = (Vec::new(), String::new());
                loop {
                    let mut query = query.clone();
                    query.push(("limit", limit));
                    if !cursor.is_empty() {
                        query.push(("cursor", &cursor));
                    }
                    let page = roots(&harness, &query).await.json();
                    assert_eq!(page["total"], whole["total"]);
                    found.extend(ids(&page));
                    match page["nextCursor"].as_str() {
                        Some(next) => cursor = next.to_owned(),
                        None => break,
                    }
                }
                assert_eq!(found, ids(&whole), "{filter:?} in pages of {limit}");
            }
        }
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_page_counts_no_further_than_itself_unless_asked_to() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        plant(&harness).await;
        let total = |page: &Value| (page["total"].as_u64(), page["totalExact"].as_bool());
        let mut query = vec![("limit", "12"), ("total", "false")];
        let first = roots(&harness, &query).await.json();
        assert_eq!(total(&first), (Some(12), Some(false)));
        query.push(("cursor", first["nextCursor"].as_str().unwrap()));
        let second = roots(&harness, &query).await.json();
        assert_eq!(total(&second), (Some(24), Some(false)));
        query.last_mut().unwrap().1 = second["nextCursor"].as_str().unwrap();
        let last = roots(&harness, &query).await.json();
        assert_eq!(total(&last), (Some(30), Some(true)));
        assert_eq!(last["nextCursor"], Value::Null);
        roots(&harness, &[("total", "yes")]).await.assert_problem("invalid_query");
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_cursor_goes_with_its_filter() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    plant(&harness).await;
    let first = roots(&harness, &[("limit", "2"), ("tags", "two")]).await.json();
    let cursor = first["nextCursor"].as_str().unwrap();
    let next = roots(&harness, &[("limit", "9"), ("tags", "two"), ("cursor", cursor)]).await;
    assert_eq!(next.json()["items"].as_array().unwrap().len(), 9);
    for other in [("tags", "three"), ("createdBy", "two"), ("states", "Running")] {
        roots(&harness, &[other, ("cursor", cursor)]).await.assert_problem("invalid_cursor");
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_bad_expression_is_told_where() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let detail = async |expression: &str| {
        let reply = roots(&harness, &[("expression", expression)]).await;
        reply.assert_problem("invalid_expression");
        reply.json()["detail"].as_str().unwrap().to_owned()
    };
    assert!(detail("name == 'a' &&\n  owner == 'b'").await.contains("line 2, column 3"));
    assert!(detail("name ==").await.contains("line 1, column 8"));
    assert!(detail("size(tags)").await.contains("true or false"));
    assert!(detail("tags.all(t, tags.all(u, u == t))").await.contains("inside another"));
    // An expression that fails for some jobs is refused when it meets one of these.
    assert_eq!(roots(&harness, &[("expression", "tags[0] > 'a'")]).await.status, 200);
    harness.create(7, None).await;
    assert!(detail("tags[0] > 'a'").await.contains("job 7"));
    // An absent time of a job is no error.
    let page = roots(&harness, &[("expression", "endTime >= createTime")]).await;
    assert_eq!((page.status, page.json()["total"].as_u64()), (200, Some(0)));
    harness.stop().await;
}

#[tokio::test]
async fn a_page_looks_at_no_more_than_it_may() {
    use jobtracker_model::limits;

    let harness = Harness::start(STORES[0], |_| {}).await;
    let count = limits::SCAN + 500;
    harness.plant_roots(count).await;
    let total = |page: &Value| (page["total"].as_u64(), page["totalExact"].as_bool());
    let counted = ("total", "true");
    let whole = roots(&harness, &[("limit", "1"), counted]).await.json();
    assert_eq!(total(&whole), (Some(count as u64), Some(true)));
    let filter = ("expression", "name == 'root 0'");
    let first = roots(&harness, &[filter, ("limit", "1"), counted]).await.json();
    assert_eq!(total(&first), (Some(1), Some(true)));
    assert_eq!(ids(&first).len(), 1);

    // The only match comes after more roots than a page reads.
    let first = roots(&harness, &[filter]).await.json();
    assert_eq!((ids(&first), total(&first)), (vec![], (Some(0), Some(false))));

    // After a page of the newest root come more roots than one page may read.
    let newest = format!("name == 'root 0' || name == 'root {}'", count - 1);
    let page = roots(&harness, &[("expression", &newest), ("limit", "1"), counted]).await.json();
    assert_eq!(page["total"], 2);
    let cursor = page["nextCursor"].as_str().unwrap();
    let empty = roots(&harness, &[("expression", &newest), ("cursor", cursor)]).await.json();
    assert!(ids(&empty).is_empty());
    let cursor = empty["nextCursor"].as_str().unwrap();
    let last = roots(&harness, &[("expression", &newest), ("cursor", cursor)]).await.json();
    assert_eq!((ids(&last).len(), &last["nextCursor"]), (1, &Value::Null));
    harness.stop().await;
}
