//! The audit list: everything that is done by hand is on it.

use jobtracker_model::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    ADMIN, ask, make, start,
    table::{Operation, operations},
};
use crate::{
    document::schema::Document,
    harness::{Harness, Reply},
};

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
        let is_audited = operation.role >= Some(Role::Operator) && operation.method != Method::GET;
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
        assert_eq!(newest["role"], "admin");
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
