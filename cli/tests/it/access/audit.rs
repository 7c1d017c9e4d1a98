//! The audit list: everything that is done by hand is on it.

use jobtracker_model::Role;
use jobtracker_server::Secret;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    ADMIN, ask, make, start,
    table::{Operation, operations},
};
use crate::{
    document::schema::Document,
    harness::{Harness, Reply, STORES},
};

/// Operations of writers that are on the list when an operator or an admin does them.
const BY_HAND: [&str; 4] = ["deleteAttachment", "drainWorker", "registerSchedule", "updateOptions"];

async fn entries(harness: &Harness, query: &str) -> Value {
    let path = format!("/api/v1/audit?{query}");
    ask(harness, ADMIN, Method::GET, &path, &Value::Null).await.json()
}

/// A body that the operation takes.
fn body(document: &Document, operation: &Operation) -> Value {
    if operation.id == "testTarget" {
        // The guard of deliveries lets nothing go there.
        return json!({"http": {"url": "http://127.0.0.1:1/"}});
    }
    let schema = operation.body.as_ref();
    schema.map_or(Value::Null, |schema| document.sample("", schema))
}

#[tokio::test]
async fn every_operation_of_operators_and_admins_is_on_the_list() {
    let harness = start().await;
    let token = make(&harness, "anna", "admin").await;
    let document = Document::served();
    let mut acts = 0;
    for operation in operations(&document.0) {
        let is_read = operation.method == Method::GET || operation.id == "previewRetentionRule";
        let is_audited =
            BY_HAND.contains(&&*operation.id) || operation.role >= Some(Role::Operator) && !is_read;
        let given_id = format!("request-of-{}", operation.id);
        let request =
            harness.request(operation.method.clone(), &operation.path).bearer_auth(&token);
        let request = match body(&document, &operation) {
            Value::Null => request,
            body => request.json(&body),
        };
        // Of the operations of writers some take a body of another kind.
        let reply = Reply::of(request.header("x-request-id", &given_id)).await;
        assert_eq!(reply.header("x-request-id"), Some(&*given_id));
        let newest = entries(&harness, "limit=1").await["items"][0].clone();
        assert_eq!(newest["act"] == *operation.id, is_audited, "{} {newest}", operation.id);
        if !is_audited {
            continue;
        }
        acts += 1;
        assert_eq!(newest["name"], "anna");
        assert_eq!([&newest["role"], &newest["how"]], ["admin", "token"]);
        assert_eq!(newest["from"], "127.0.0.1");
        assert_eq!(newest["requestId"], given_id);
        let failed = if reply.status < 400 { Value::Null } else { reply.json()["code"].clone() };
        assert_eq!(newest["failed"], failed, "{}", operation.id);
    }
    assert!(acts > 8, "{acts} acts");
    harness.stop().await;
}

#[tokio::test]
async fn the_list_is_paged_from_the_newest_on_and_has_no_secrets() {
    let harness = start().await;
    let mut secrets = Vec::new();
    for name in ["a", "b", "c"] {
        secrets.push(make(&harness, name, "reader").await);
    }
    ask(&harness, ADMIN, Method::DELETE, "/api/v1/tokens/b", &Value::Null).await;
    let (mut subjects, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = entries(&harness, &format!("limit=3{cursor}")).await;
        for item in page["items"].as_array().unwrap() {
            assert!(
                !secrets.iter().any(|secret| item.to_string().contains(&secret[8..])),
                "{item}"
            );
            subjects.push(format!("{} {}", item["act"], item["subject"]).replace('"', ""));
        }
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let made = ["c", "b", "a"].map(|name| format!("createToken {name} (reader)"));
    assert_eq!(subjects[0], "revokeToken b");
    assert_eq!(subjects[1..], made);
    harness.stop().await;
}

/// What services do all the time is on the list only when it is done by hand.
#[tokio::test]
async fn options_and_attachments_that_are_changed_by_hand_are_on_the_list() {
    // A store that writes rows.
    let harness = Harness::start(STORES[1], |config| config.auth.token = Secret::new(ADMIN)).await;
    let [service, anna, writer] = [
        make(&harness, "service", "writer").await,
        make(&harness, "anna", "operator").await,
        make(&harness, "bert", "writer").await,
    ];
    let job = json!({"id": 7, "name": "a"});
    assert_eq!(ask(&harness, &service, Method::POST, "/api/v1/jobs", &job).await.status, 201);
    let login = harness.post("/api/v1/session", &json!({"token": writer})).await;
    let cookie = login.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    for caller in [&*service, &*anna, ""] {
        let send = async |method: Method, path: &str, body: Option<Value>| {
            let request = harness.request(method, &format!("/api/v1/jobs/7/{path}"));
            let request = match caller {
                "" => request.header("cookie", &cookie).header("sec-fetch-site", "same-origin"),
                token => request.bearer_auth(token),
            };
            let reply = Reply::of(match body {
                Some(body) => request.json(&body),
                None => request.header("content-type", "text/plain").body("text"),
            });
            reply.await.status
        };
        let options = Some(json!({"options": caller}));
        assert_eq!(send(Method::PUT, "options", options).await, 200);
        assert_eq!(send(Method::PUT, "attachments/k", None).await, 201);
        assert_eq!(send(Method::DELETE, "attachments/k", None).await, 204);
        assert_eq!(send(Method::DELETE, "attachments/k", None).await, 404);
    }
    let listed = entries(&harness, "limit=8").await;
    let shown = |item: &Value| {
        let failed = item["failed"].as_str().unwrap_or_default();
        let text = |name: &str| item[name].as_str().unwrap().to_owned();
        format!("{} {} {} {} {failed}", text("name"), text("how"), text("act"), text("subject"))
    };
    let listed: Vec<_> = listed["items"].as_array().unwrap().iter().map(shown).collect();
    let mut wanted = Vec::new();
    for caller in ["bert session", "anna token"] {
        wanted.push(format!("{caller} deleteAttachment 7 k attachment_not_found"));
        for act in ["deleteAttachment 7 k", "putAttachment 7 k", "updateOptions 7"] {
            wanted.push(format!("{caller} {act} "));
        }
    }
    assert_eq!(listed, wanted);
    let all = entries(&harness, "").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 8 + 3, "the tokens were made: {all}");
    harness.stop().await;
}
