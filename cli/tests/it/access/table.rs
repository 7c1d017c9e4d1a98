//! Every operation of the OpenAPI document, with every kind of caller.

use std::{collections::BTreeSet, sync::Arc};

use jobtracker_model::Role;
use jobtracker_server::Secret;
use jobtracker_store::{
    Document, DocumentChange, DocumentId, DocumentKey, DocumentKind, DocumentVersion,
};
use reqwest::Method;
use serde_json::Value;

use super::{ADMIN, ask, make, start};
use crate::harness::{Harness, Reply};

/// The operations that need no token; `createSession` is where one is given.
const OPEN: [&str; 5] = ["createSession", "endSession", "health", "openapi", "ready"];

/// An operation of the document.
pub struct Operation {
    pub id: String,
    pub method: Method,
    pub path: String,
    /// None: it needs no token.
    pub role: Option<Role>,
    /// The schema of a body of JSON.
    pub body: Option<Value>,
}

pub fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let role = operation["x-role"].as_str().map(|role| role.parse().unwrap());
            assert_eq!(role.is_none(), operation["security"].is_array(), "{operation}");
            let mut path = path.clone();
            for (name, value) in [
                ("id", "987654321"),
                ("number", "1"),
                ("key", "a"),
                ("commit", "a"),
                ("delivery", "1-0"),
                ("name", "nothing"),
            ] {
                path = path.replace(&format!("{{{name}}}"), value);
            }
            assert!(!path.contains('{'), "{path}");
            let id = operation["operationId"].as_str().unwrap().to_owned();
            let method = method.to_uppercase().parse().unwrap();
            let body = operation.pointer("/requestBody/content/application~1json/schema");
            operations.push(Operation { id, method, path, role, body: body.cloned() });
        }
    }
    operations
}

/// Lets a token of the store expire.
async fn expire(harness: &Harness, name: &str) {
    let key = DocumentKey::new(name).unwrap();
    let id = DocumentId { kind: DocumentKind::Token, key };
    let document = harness.store().get_document(&id).await.unwrap().unwrap();
    let mut record: Value = serde_json::from_slice(&document.bytes).unwrap();
    record["expireTime"] = record["createTime"].clone();
    let bytes = serde_json::to_vec(&record).unwrap();
    let expired = Document { id, version: DocumentVersion(1), bytes };
    let change = DocumentChange::put(expired, Some(document.version)).unwrap();
    harness.store().change_document(change).await.unwrap();
}

/// The refusal that a caller gets, if any: its status and code.
async fn refusal(harness: &Harness, operation: &Operation, token: Option<&str>) -> Option<String> {
    let request = harness.request(operation.method.clone(), &operation.path);
    let reply = Reply::of(match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    })
    .await;
    assert!(reply.status < 500, "{}: {}", operation.id, reply.text());
    let is_refused = [401, 403].contains(&reply.status);
    is_refused.then(|| {
        let code = reply.json()["code"].as_str().unwrap().to_owned();
        reply.assert_problem(&code);
        if code == "forbidden" {
            let needed = operation.role.unwrap().name();
            assert!(reply.json()["detail"].as_str().unwrap().contains(needed), "{}", reply.text());
        }
        code
    })
}

#[tokio::test]
async fn every_operation_is_for_those_with_its_role_and_no_one_else() {
    let maker = start().await;
    let mut callers = Vec::new();
    for role in Role::ALL {
        callers.push((Some(role), make(&maker, role.name(), role.name()).await));
    }
    let [expired, revoked] = ["expired", "revoked"];
    let ended = [make(&maker, expired, "admin").await, make(&maker, revoked, "admin").await];
    expire(&maker, expired).await;
    ask(&maker, ADMIN, Method::DELETE, "/api/v1/tokens/revoked", &Value::Null).await;
    // Another server on the same store, which has yet to find these tokens there.
    let harness = Harness::on(Arc::clone(maker.store()), None, |config| {
        config.auth.token = Secret::new(ADMIN);
        config.access.failed_tries = 1_000_000;
    });
    let wrong = make(&maker, "wrong", "admin").await.replace("wrong", "wrong-name");
    let document = harness.get("/openapi.json").await.json();
    let (mut complaints, mut seen) = (Vec::new(), BTreeSet::new());
    for operation in operations(&document) {
        let mut expect = async |token: Option<&str>, wanted: Option<&str>| {
            let found = refusal(&harness, &operation, token).await;
            if found.as_deref() != wanted {
                complaints.push(format!("{}: {token:?} {found:?} {wanted:?}", operation.id));
            }
        };
        let is_login = operation.id == "createSession";
        let Some(needed) = operation.role.or(is_login.then_some(Role::Reader)) else {
            for token in [None, Some("wrong"), Some(&*ended[0]), Some(&*ended[1])] {
                expect(token, None).await;
            }
            assert!(seen.insert(operation.id.clone()));
            continue;
        };
        expect(None, Some("unauthorized")).await;
        expect(Some("wrong"), Some("unauthorized")).await;
        expect(Some(&wrong), Some("unauthorized")).await;
        expect(Some(&ended[0]), Some("token_expired")).await;
        expect(Some(&ended[1]), Some("token_revoked")).await;
        for (role, token) in &callers {
            let refused = (*role < Some(needed)).then_some("forbidden");
            expect(Some(token), refused).await;
        }
        expect(Some(ADMIN), None).await;
        seen.extend(is_login.then(|| operation.id.clone()));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(seen.iter().map(String::as_str).eq(OPEN), "{seen:?} need no token");
    harness.stop().await;
    maker.stop().await;
}
