//! Lists come in pages that fit together.

use serde_json::{Value, json};

use crate::harness::{Harness, STORES};

/// All pages of a list, and how many there were.
async fn pages(harness: &Harness, list: &str, limit: usize) -> (Vec<Value>, usize) {
    let (mut items, mut count, mut cursor) = (Vec::new(), 0, None::<String>);
    loop {
        let joint = if list.contains('?') { '&' } else { '?' };
        let mut path = format!("{list}{joint}limit={limit}");
        if let Some(cursor) = &cursor {
            path.push_str(&format!("&cursor={cursor}"));
        }
        let reply = harness.get(&path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        let page = reply.json();
        let found = page["items"].as_array().unwrap();
        assert!(found.len() <= limit);
        items.extend_from_slice(found);
        count += 1;
        match page["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return (items, count),
        }
    }
}

/// 100 with the children 101 to 105; each of these with two children; every third job failed.
async fn plant(harness: &Harness) {
    harness.create(100, None).await;
    for child in 101..=105 {
        harness.create(child, Some(100)).await;
        for grandchild in [child * 10, child * 10 + 1] {
            harness.create(grandchild, Some(child)).await;
            let failed = grandchild % 3 == 0;
            harness.report(grandchild, if failed { "Faulted" } else { "Running" }).await;
        }
    }
}

fn ids(items: &[Value]) -> Vec<u64> {
    items.iter().map(|item| item["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn pages_of_any_size_make_the_same_list() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        plant(&harness).await;
        for list in [
            "/api/v1/jobs/100/children",
            "/api/v1/jobs/100/descendants",
            "/api/v1/jobs/100/descendants?states=Faulted",
            "/api/v1/jobs/100/blockers",
            "/api/v1/jobs/1010/changes",
            "/api/v1/roots",
        ] {
            let (whole, one) = pages(&harness, list, 1000).await;
            assert_eq!(one, 1, "{list}");
            for limit in [1, 2, 3, 7] {
                let (items, _) = pages(&harness, list, limit).await;
                assert_eq!(items, whole, "{list} in pages of {limit}");
            }
        }
        harness.stop().await;
    }
}

#[tokio::test]
async fn lists_have_their_order_and_filter() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        plant(&harness).await;
        let children = pages(&harness, "/api/v1/jobs/100/children", 2).await.0;
        assert_eq!(ids(&children), [101, 102, 103, 104, 105]);
        let descendants = pages(&harness, "/api/v1/jobs/100/descendants", 4).await.0;
        let expected = (101..=105).flat_map(|child| [child, child * 10, child * 10 + 1]);
        assert_eq!(ids(&descendants), expected.collect::<Vec<_>>());
        let failed = pages(&harness, "/api/v1/jobs/100/descendants?states=Faulted", 2).await.0;
        assert_eq!(ids(&failed), [1011, 1020, 1041, 1050]);
        let both = "/api/v1/jobs/100/descendants?states=Faulted,Running";
        assert_eq!(pages(&harness, both, 3).await.0.len(), 10);
        let none = pages(&harness, "/api/v1/jobs/100/children?states=Faulted", 3).await;
        assert!(none.0.is_empty());
        let blockers = pages(&harness, "/api/v1/jobs/100/blockers", 2).await.0;
        let waits = blockers.iter().map(|blocker| blocker["job"]["id"].as_u64().unwrap());
        assert_eq!(waits.collect::<Vec<_>>(), [1010, 1021, 1030, 1031, 1040, 1051]);
        let ancestors = harness.get("/api/v1/jobs/1010/ancestors").await.json();
        assert_eq!(ids(ancestors["items"].as_array().unwrap()), [101, 100]);
        assert_eq!(ancestors["nextCursor"], Value::Null);
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_cursor_belongs_to_its_list() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    plant(&harness).await;
    let first = harness.get("/api/v1/jobs/100/children?limit=1").await.json();
    let cursor = first["nextCursor"].as_str().unwrap();
    assert_eq!(
        harness.get(&format!("/api/v1/jobs/100/children?cursor={cursor}")).await.status,
        200
    );
    for list in [
        "/api/v1/jobs/101/children",
        "/api/v1/jobs/100/descendants",
        "/api/v1/jobs/100/blockers",
        "/api/v1/jobs/100/changes",
        "/api/v1/jobs/100/log",
        "/api/v1/roots",
    ] {
        let reply = harness.get(&format!("{list}?cursor={cursor}")).await;
        reply.assert_problem("invalid_cursor");
    }
    harness.stop().await;
}

#[tokio::test]
async fn what_is_added_behind_a_cursor_is_found() {
    let harness = Harness::start(STORES[1], |_| {}).await;
    harness.create(100, None).await;
    for child in 101..=104 {
        harness.create(child, Some(100)).await;
    }
    let first = harness.get("/api/v1/jobs/100/children?limit=2").await.json();
    let cursor = first["nextCursor"].as_str().unwrap();
    let more = json!({"jobs": [{"id": 105, "name": "late"}]});
    assert_eq!(harness.post("/api/v1/jobs/100/children", &more).await.status, 201);
    let rest = harness.get(&format!("/api/v1/jobs/100/children?cursor={cursor}")).await.json();
    assert_eq!(ids(rest["items"].as_array().unwrap()), [103, 104, 105]);
    harness.stop().await;
}

#[tokio::test]
async fn a_cursor_of_another_tree_is_told_so() {
    let grown = Harness::start(STORES[0], |_| {}).await;
    grown.create(1, None).await;
    for child in 2..6 {
        grown.create(child, Some(1)).await;
    }
    let page = grown.get("/api/v1/jobs/1/descendants?limit=2").await.json();
    let cursor = page["nextCursor"].as_str().unwrap();
    let bare = Harness::start(STORES[0], |_| {}).await;
    bare.create(1, None).await;
    let path = format!("/api/v1/jobs/1/descendants?limit=2&cursor={cursor}");
    bare.get(&path).await.assert_problem("invalid_cursor");
    grown.stop().await;
    bare.stop().await;
}

#[tokio::test]
async fn changes_come_newest_first_too() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.create(100, None).await;
    // Of changes as large as they may be fewer than a thousand fill a page by their bytes.
    let (message, code) = ("m".repeat(4_096), "c".repeat(64));
    for number in 0..1_100 {
        let id = format!("{number:064}");
        let change =
            json!({"state": "Running", "message": message, "reasonCode": code, "changeId": id});
        assert_eq!(harness.post("/api/v1/jobs/100/changes", &change).await.status, 200);
    }
    let list = "/api/v1/jobs/100/changes";
    let mut due = pages(&harness, list, 1000).await.0;
    assert_eq!(due.len(), 1_101);
    due.reverse();
    for limit in [1, 7, 1000] {
        let (items, _) = pages(&harness, &format!("{list}?order=newest"), limit).await;
        assert!(items == due, "pages of {limit}");
    }
    let widest = harness.get(&format!("{list}?order=newest&limit=1000")).await.json();
    assert!(widest["items"].as_array().unwrap().len() < 1000, "bytes do not end a page");
    let newest = harness.get(&format!("{list}?order=newest&limit=3")).await.json();
    let cursor = newest["nextCursor"].as_str().unwrap();
    let other = harness.get(&format!("{list}?cursor={cursor}")).await;
    other.assert_problem("invalid_cursor");
    harness.get(&format!("{list}?order=up")).await.assert_problem("invalid_query");
    harness.get("/api/v1/jobs/7/changes?order=newest").await.assert_problem("job_not_found");
    harness.stop().await;
}

#[tokio::test]
async fn a_log_is_searched() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.create(100, None).await;
    let log = "/api/v1/jobs/100/log";
    // More lines than one page may look at.
    for block in 0..25 {
        let line = |n: u64| match n {
            20_500 => "an ERROR (with a dot.)".to_owned(),
            n if n % 1_000 == 0 => format!("Error of line {n}"),
            n => format!("line {n}"),
        };
        let lines: Vec<_> = (block * 1_000..(block + 1) * 1_000).map(line).collect();
        assert_eq!(harness.post(log, &json!({ "lines": lines })).await.status, 200);
    }
    for limit in [1, 10, 1000] {
        let (items, _) = pages(&harness, &format!("{log}?search=error"), limit).await;
        let lines: Vec<_> = items.iter().map(|item| item["line"].as_u64().unwrap()).collect();
        let mut due: Vec<_> = (0..25).map(|block| block * 1_000).collect();
        due.insert(21, 20_500);
        assert_eq!(lines, due, "pages of {limit}");
    }
    let (items, count) = pages(&harness, &format!("{log}?search=dot.)"), 10).await;
    assert_eq!((items.len(), count), (1, 2));
    let first = harness.get(&format!("{log}?search=error&limit=1&from=500")).await.json();
    assert_eq!(first["items"][0]["line"], 1_000);
    let cursor = first["nextCursor"].as_str().unwrap();
    harness
        .get(&format!("{log}?search=dot&cursor={cursor}"))
        .await
        .assert_problem("invalid_cursor");
    harness.get(&format!("{log}?cursor={cursor}")).await.assert_problem("invalid_cursor");
    harness.get(&format!("{log}?search=")).await.assert_problem("invalid_query");
    let long = "x".repeat(257);
    harness.get(&format!("{log}?search={long}")).await.assert_problem("invalid_query");
    harness.get(&format!("{log}?search=error&from=end")).await.assert_problem("invalid_query");
    harness.stop().await;
}

#[tokio::test]
async fn children_are_found_by_the_begin_of_their_names() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    harness.create(100, None).await;
    let child = |id: u64| {
        let kind = if id.is_multiple_of(3) { "page" } else { "picture" };
        json!({"id": id, "name": format!("{kind} {id}"), "createdBy": "crawler"})
    };
    let children: Vec<_> = (200..240).map(child).collect();
    let created = harness.post("/api/v1/jobs/100/children", &json!({ "jobs": children })).await;
    assert_eq!(created.status, 201, "{}", created.text());
    harness.report(201, "Faulted").await;
    harness.report(202, "Faulted").await;
    let list = "/api/v1/jobs/100/children";
    for limit in [1, 4, 100] {
        let (items, _) = pages(&harness, &format!("{list}?namePrefix=page"), limit).await;
        let due: Vec<_> = (200..240).filter(|id| id % 3 == 0).collect();
        assert_eq!(ids(&items), due);
    }
    let both = format!("{list}?namePrefix=page&states=Faulted");
    assert_eq!(ids(&pages(&harness, &both, 10).await.0), [201]);
    assert!(pages(&harness, &format!("{list}?namePrefix=x"), 10).await.0.is_empty());
    assert_eq!(pages(&harness, &format!("{list}?namePrefix="), 100).await.0.len(), 40);
    harness.stop().await;
}

#[tokio::test]
async fn blockers_name_the_jobs_above_them() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    plant(&harness).await;
    let path = |items: &[Value], id: u64| -> Vec<u64> {
        let item = items.iter().find(|item| item["job"]["id"] == id).unwrap();
        ids(item["path"].as_array().unwrap())
    };
    let (items, _) = pages(&harness, "/api/v1/jobs/100/blockers?path=true", 3).await;
    assert_eq!((items.len(), path(&items, 1040)), (6, vec![104]));
    let above = harness.get("/api/v1/jobs/104").await.json();
    let item = items.iter().find(|item| item["job"]["id"] == 1040).unwrap();
    assert_eq!(item["path"][0]["name"], above["name"]);
    let (rows, _) = pages(&harness, "/api/v1/jobs/100/blockers?path=true&fields=row", 3).await;
    assert_eq!(rows.len(), items.len());
    for (row, item) in rows.iter().zip(&items) {
        assert_eq!((&row["lastChange"], &row["path"]), (&item["lastChange"], &item["path"]));
        let (row, job) = (&row["job"], &item["job"]);
        assert_eq!((&row["id"], &row["definition"]["name"]), (&job["id"], &job["name"]));
        assert!(row.get("treeStart").is_some() && row.get("options").is_none(), "{row}");
    }
    let id = jobtracker_client::JobId::new(100).unwrap();
    let page = jobtracker_client::ListPage::default();
    let told = harness.client().blocker_rows(id, page, true).await.unwrap();
    assert_eq!(serde_json::to_value(told.items).unwrap(), Value::from(rows));
    let (items, _) = pages(&harness, "/api/v1/jobs/104/blockers?path=true", 3).await;
    assert!(path(&items, 1040).is_empty());
    // A job that failed by itself is the first of its own blockers.
    let (items, _) = pages(&harness, "/api/v1/jobs/1011/blockers?path=true", 3).await;
    assert!(path(&items, 1011).is_empty());
    let (items, _) = pages(&harness, "/api/v1/jobs/104/blockers", 3).await;
    assert!(items.iter().all(|item| item.get("path").is_none()));
    harness.get("/api/v1/jobs/104/blockers?path=x").await.assert_problem("invalid_query");
    harness.stop().await;
}

#[tokio::test]
async fn a_list_is_one_file_too() {
    let harness = Harness::start(STORES[1], |_| {}).await;
    harness.create(1, None).await;
    let child = |id: u64| {
        json!({"id": id, "name": format!("=page {id}, \"a\""), "tags": ["x", "y"],
        "createdBy": "crawler"})
    };
    // More than a page of the store has.
    for block in 1..=3 {
        let jobs: Vec<_> = (block * 1_000..block * 1_000 + 1_000).map(child).collect();
        let created = harness.post("/api/v1/jobs/1/children", &json!({ "jobs": jobs })).await;
        assert_eq!(created.status, 201, "{}", created.text());
    }
    harness.report(1_500, "Faulted").await;
    let all = "/api/v1/jobs/1/descendants";
    let (due, _) = pages(&harness, all, 1000).await;
    let file = harness.get(&format!("{all}?format=ndjson")).await;
    assert_eq!(file.header("content-type"), Some("application/x-ndjson"));
    let jobs: Vec<Value> =
        file.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(jobs == due);

    let table = harness.get(&format!("{all}?format=csv&states=Faulted")).await;
    let name = table.header("content-disposition");
    assert_eq!(name, Some("attachment; filename=\"below-1.csv\""));
    let lines: Vec<_> = table.text().split("\r\n").collect();
    assert_eq!(lines.len(), 3, "{}", table.text());
    assert!(lines[0].starts_with("id,parent,root,depth,name,createdBy,tags,state,"));
    let cells = "1500,1,1,1,\"'=page 1500, \"\"a\"\"\",crawler,x y,Faulted,";
    assert!(lines[1].starts_with(cells), "{}", lines[1]);

    let roots = harness.get("/api/v1/roots?format=ndjson&expression=id%20%3D%3D%201").await;
    let root: Value = serde_json::from_str(roots.text().trim()).unwrap();
    assert_eq!(root["id"], 1);
    let none = harness.get("/api/v1/roots?format=ndjson&namePrefix=zzz").await;
    assert_eq!((none.status, none.text()), (200, ""));

    harness.get(&format!("{all}?format=xml")).await.assert_problem("invalid_query");
    harness.get(&format!("{all}?format=csv&limit=7")).await.assert_problem("invalid_query");
    harness.get("/api/v1/jobs/7/descendants?format=csv").await.assert_problem("job_not_found");
    harness
        .get("/api/v1/roots?format=csv&expression=%3F")
        .await
        .assert_problem("invalid_expression");
    harness.stop().await;
}

/// A file whose client takes nothing holds its place, until the client has gone.
#[tokio::test]
async fn few_files_are_made_at_once() {
    let harness = Harness::start(STORES[1], |_| {}).await;
    harness.create(1, None).await;
    let options = "o".repeat(2_000);
    let child = |id: u64| json!({"id": id, "name": "page", "createdBy": "x", "options": options});
    for block in 1..=20 {
        let jobs: Vec<_> = (block * 1_000..block * 1_000 + 1_000).map(child).collect();
        let created = harness.post("/api/v1/jobs/1/children", &json!({ "jobs": jobs })).await;
        assert_eq!(created.status, 201, "{}", created.text());
    }
    // 45 MB each: more than the sockets take.
    let path = "/api/v1/jobs/1/descendants?format=ndjson";
    let (one, other) = tokio::join!(
        harness.request(reqwest::Method::GET, path).send(),
        harness.request(reqwest::Method::GET, path).send()
    );
    harness.get(path).await.assert_problem("overloaded");
    drop((one.unwrap(), other.unwrap()));
    // Nothing tells when the service has noticed that they have gone.
    let room = async {
        loop {
            let reply = harness.get(path).await;
            if reply.status == 200 {
                return reply.text().lines().count();
            }
            reply.assert_problem("overloaded");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let lines = tokio::time::timeout(std::time::Duration::from_secs(30), room).await.unwrap();
    assert_eq!(lines, 20_000);
    harness.stop().await;
}

/// 1 with 3,000 children, of which every hundredth failed, every tenth runs, and the last has ten
/// children.
async fn plant_broad(harness: &Harness) {
    harness.create(1, None).await;
    let child = |id: u64| json!({"id": id, "name": format!("page {id}"), "createdBy": "x"});
    for block in 1..=3 {
        let jobs: Vec<_> = (block * 1_000..block * 1_000 + 1_000).map(child).collect();
        harness.post("/api/v1/jobs/1/children", &json!({ "jobs": jobs })).await;
    }
    for id in 1_000..4_000 {
        let state = match id {
            3_999 => continue,
            id if id % 100 == 0 => "Faulted",
            id if id % 10 == 0 => "Running",
            _ => "RanToCompletion",
        };
        harness.report(id, state).await;
    }
    let jobs: Vec<_> = (5_000..5_010).map(child).collect();
    harness.post("/api/v1/jobs/3999/children", &json!({ "jobs": jobs })).await;
}

#[tokio::test]
async fn pictures_of_a_tree_cost_what_they_show() {
    let harness = Harness::start(STORES[1], |_| {}).await;
    plant_broad(&harness).await;
    let shape = harness.get("/api/v1/jobs/1/shape?jobs=101").await.json();
    let items = shape["items"].as_array().unwrap();
    let shown: Vec<_> = items.iter().map(|item| item["job"]["id"].as_u64().unwrap()).collect();
    // Half of the room is the first level's: all that failed, then those that are not finished.
    let failed = (1_000..4_000).step_by(100);
    let pending = (1_000..4_000).step_by(10).filter(|id| id % 100 != 0).take(20);
    let due: Vec<u64> = [1].into_iter().chain(failed).chain(pending).collect();
    assert_eq!(shown, due);
    let rest = &items[0]["rest"];
    assert_eq!(rest["children"], json!({"pending": 251, "successful": 2_699, "failed": 0}));
    assert_eq!(
        (&rest["subtree"]["total"], &rest["subtree"]["waiting"]),
        (&json!(2_960), &json!(11))
    );
    assert!(items[1].get("rest").is_none());

    let whole = harness.get("/api/v1/jobs/3999/shape").await.json();
    assert_eq!(whole["items"].as_array().unwrap().len(), 11);
    assert!(whole["items"].as_array().unwrap().iter().all(|item| item.get("rest").is_none()));

    let timeline = harness.get("/api/v1/jobs/1/timeline?limit=300").await.json();
    assert_eq!((&timeline["job"]["id"], &timeline["sampled"]), (&json!(1), &json!(true)));
    let ids = ids(timeline["items"].as_array().unwrap());
    assert_eq!(ids.len(), 300);
    assert!(ids.is_sorted() && (1_000..4_000).step_by(100).all(|id| ids.contains(&id)));
    // An even sample has some of each part.
    for part in (1_000..4_000).step_by(100) {
        let some = ids.iter().filter(|id| (part..part + 100).contains(*id)).count();
        assert!((4..=25).contains(&some), "{some} from {part} on");
    }
    let all = harness.get("/api/v1/jobs/3999/timeline").await.json();
    assert_eq!((all["items"].as_array().unwrap().len(), &all["sampled"]), (10, &json!(false)));

    for bad in ["shape?depth=0", "shape?jobs=1001", "shape?x=1", "timeline?limit=0"] {
        harness.get(&format!("/api/v1/jobs/1/{bad}")).await.assert_problem("invalid_query");
    }
    for list in ["shape", "timeline"] {
        harness.get(&format!("/api/v1/jobs/7/{list}")).await.assert_problem("job_not_found");
    }
    harness.stop().await;
}
