//! What a page with a table asks for: children by number, rows without options, roots by time.

use futures_util::{StreamExt, TryStreamExt, stream};
use jobtracker_client::{JobId, JobTrackerClient, ListChildren, NewJob, Order, RootsQuery, State};
use serde_json::{Value, json};

use crate::harness::{Harness, STORES};

fn id(number: u64) -> JobId {
    JobId::new(number).unwrap()
}

/// 1 with the children 100 to 3,099, every tenth failed, and a job with options below one of them.
async fn plant(client: &JobTrackerClient) {
    client.create(NewJob::new("root").id(id(1))).await.unwrap();
    let children = (100..3_100).map(|number| NewJob::new(format!("page {number}")).id(id(number)));
    client.create_children(id(1), children.collect()).await.unwrap();
    let failed: Vec<_> = (100..400).step_by(10).collect();
    let reports = stream::iter(failed).map(Ok::<_, jobtracker_client::Error>);
    let report = async |number| {
        client.update(id(number), jobtracker_client::NewChange::new(State::Faulted)).await
    };
    reports.try_for_each(async |number| report(number).await.map(drop)).await.unwrap();
    let deep = NewJob::new("deep").id(id(50)).under(id(2_500)).options("x".repeat(100));
    client.create(deep).await.unwrap();
}

#[tokio::test]
async fn children_are_found_by_their_number() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        let client = harness.client();
        plant(&client).await;
        let page =
            async |list: ListChildren| client.child_rows(id(1), list.limit(2)).await.unwrap();
        let all = |order, offset| ListChildren::default().order(order).offset(offset);
        for (list, first, offset) in [
            (all(Order::Oldest, 0), Some(100), 0),
            (all(Order::Oldest, 2_500), Some(2_600), 2_500),
            (all(Order::Newest, 0), Some(3_099), 0),
            (all(Order::Newest, 2_500), Some(599), 2_500),
            (all(Order::Oldest, 2_999), Some(3_099), 2_999),
            (all(Order::Newest, 3_000), None, 3_000),
            (all(Order::Oldest, u64::MAX), None, 3_000),
        ] {
            let found = page(list.clone()).await;
            assert_eq!(found.items.first().map(|row| row.id.get()), first, "{list:?}");
            assert_eq!((found.offset, found.total), (Some(offset), Some(3_000)), "{list:?}");
            assert!(found.items.iter().all(|row| row.definition.is_some()));
        }
        let failed = page(all(Order::Newest, 1).states([State::Faulted])).await;
        assert_eq!(failed.items[0].id.get(), 380);
        assert_eq!((failed.offset, failed.total), (Some(1), Some(30)));
        let named = page(all(Order::Oldest, 12).name_prefix("page 20")).await;
        assert_eq!(named.items[0].id.get(), 2_002, "200 to 209, 2000 and 2001 come before");
        assert_eq!((named.offset, named.total), (Some(12), None));
        // A cursor goes on behind the page, in its order.
        let before = page(all(Order::Newest, 2_500)).await;
        let list = ListChildren::default().order(Order::Newest);
        let next = page(list.cursor(before.next_cursor.clone().unwrap())).await;
        assert_eq!(next.items[0].id.get(), 597);
        assert_eq!((next.offset, next.version), (None, before.version));

        let path = client.ancestor_rows(id(50)).await.unwrap();
        let ranks: Vec<_> = path.ranks.unwrap().iter().map(|it| (it.id.get(), it.rank)).collect();
        assert_eq!(ranks, [(50, 0), (2_500, 2_400)]);
        assert_eq!(path.items.len(), 2);
        refused(&harness, &before.next_cursor.unwrap()).await;
        harness.stop().await;
    }
}

async fn refused(harness: &Harness, cursor: &str) {
    for (query, code) in [
        ("offset=-1".to_owned(), "invalid_query"),
        ("offset=x".to_owned(), "invalid_query"),
        ("order=best".to_owned(), "invalid_query"),
        ("fields=some".to_owned(), "invalid_query"),
        (format!("order=newest&offset=1&cursor={cursor}"), "invalid_query"),
        (format!("order=oldest&cursor={cursor}"), "invalid_cursor"),
    ] {
        harness.get(&format!("/api/v1/jobs/1/children?{query}")).await.assert_problem(code);
    }
    harness.get("/api/v1/jobs/1/ancestors?ranks=yes").await.assert_problem("invalid_query");
    harness.get("/api/v1/jobs/9/children?offset=1").await.assert_problem("job_not_found");
    harness.get("/api/v1/jobs/9/ancestors?ranks=true").await.assert_problem("job_not_found");
}

#[tokio::test]
async fn rows_have_neither_options_nor_source() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        harness.create(1, None).await;
        let job = json!({"id": 2, "parent": 1, "name": "job", "options": "o", "sourceLink": "s"});
        assert_eq!(harness.post("/api/v1/jobs", &job).await.status, 201);
        harness.report(2, "Running").await;
        for list in ["jobs/1/children", "jobs/1/descendants", "jobs/2/ancestors", "roots"] {
            let items = async |fields: &str| -> Vec<Value> {
                let reply = harness.get(&format!("/api/v1/{list}{fields}")).await.json();
                reply["items"].as_array().unwrap().clone()
            };
            for fields in ["", "?fields=all"] {
                assert!(items(fields).await[0].get("options").is_some(), "{list}{fields}");
            }
            let row = &items("?fields=row").await[0];
            assert!(row.get("options").is_none(), "{list}: {row}");
            assert!(row["treeStart"].is_object() && row["definition"]["name"].is_string());
        }
        harness.stop().await;
    }
}

#[tokio::test]
async fn roots_come_in_both_orders_with_a_histogram() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        let client = harness.client();
        harness.plant_roots(30).await;
        let query = |order| RootsQuery::default().order(order).limit(7);
        let names = async |query: RootsQuery| -> Vec<String> {
            let jobs = client.roots_stream(query).map(|job| job.unwrap().name);
            jobs.collect().await
        };
        let mut newest = names(query(Order::Newest)).await;
        let oldest = names(query(Order::Oldest)).await;
        assert_eq!((oldest.len(), oldest[0].as_str()), (30, "root 0"));
        newest.reverse();
        assert_eq!(newest, oldest);
        let page = client.root_rows(query(Order::Newest)).await.unwrap();
        let failed = page.items[0].id;
        harness.report(failed.get(), "Faulted").await;

        let path = "/api/v1/roots?histogram=10&namePrefix=root";
        let histogram = harness.get(path).await.json()["histogram"].take();
        let sum = |histogram: &Value, state: &str| -> u64 {
            let buckets = histogram["buckets"].as_array().unwrap();
            assert_eq!(buckets.len(), 10);
            buckets.iter().map(|bucket| bucket[state].as_u64().unwrap()).sum()
        };
        assert_eq!(["total", "waiting", "failed"].map(|it| sum(&histogram, it)), [30, 29, 1]);
        assert!(histogram.get("countedFrom").is_none());
        // Others are given the same one; another filter has another one.
        harness.report(failed.get() - 1, "Faulted").await;
        let again = harness.get(&format!("{path}&limit=1")).await.json()["histogram"].take();
        assert_eq!(again, histogram);
        let other = format!("{path}&states=Faulted&from=2000-01-01T00:00:00Z");
        let other = harness.get(&other).await.json()["histogram"].take();
        assert_eq!(sum(&other, "total"), 2);
        assert_eq!(other["buckets"][9]["failed"], 2);
        for bad in ["0", "241", "x"] {
            let path = format!("/api/v1/roots?histogram={bad}");
            harness.get(&path).await.assert_problem("invalid_query");
        }
        let oldest = harness.get("/api/v1/roots?order=oldest&limit=1").await.json();
        let cursor = oldest["nextCursor"].as_str().unwrap();
        let path = format!("/api/v1/roots?cursor={cursor}");
        harness.get(&path).await.assert_problem("invalid_cursor");
        harness.stop().await;
    }
}

#[tokio::test]
async fn an_overview_says_what_a_server_does() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        let client = harness.client();
        harness.plant_roots(5).await;
        let overview = client.overview().await.unwrap();
        assert!(overview.operations.per_minute >= 5 && overview.requests.per_minute >= 5);
        assert_eq!(overview.requests.in_flight, 1, "the request itself");
        assert_eq!((overview.operations.waiting, overview.operations.refused), (0, 0));
        assert_eq!((overview.viewers.connections, overview.viewers.trees), (0, 0));
        assert!(overview.store.is_alive && overview.started <= overview.time);
        let root = client.root_rows(RootsQuery::default().limit(1)).await.unwrap().items[0].id;
        let mut watch = client.watch(root);
        watch.next().await.unwrap().unwrap();
        let viewers = client.overview().await.unwrap().viewers;
        assert_eq!((viewers.connections, viewers.trees), (1, 1));
        drop(watch);
        harness.stop().await;
    }
}
