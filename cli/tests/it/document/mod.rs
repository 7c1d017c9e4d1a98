//! The OpenAPI document says what the service takes: requests are made of its schemas, at every
//! bound and beyond it, and the service has to take what the document allows and no more.

pub mod schema;

use reqwest::Method;
use schema::{Document, Try};
use serde_json::{Value, json};

use crate::harness::{Harness, Reply, STORES};

/// The codes of a refused value.
const REFUSALS: [&str; 6] = [
    "invalid_json",
    "invalid_field",
    "invalid_query",
    "invalid_expression",
    "state_not_allowed",
    "route_not_found",
];

/// One operation of the document, on a service.
struct Operation<'a> {
    harness: &'a Harness,
    id: &'a str,
    path: &'a str,
    method: Method,
    parameters: Vec<&'a Value>,
    body: Option<&'a Value>,
}

impl<'a> Operation<'a> {
    fn all(document: &'a Document, harness: &'a Harness) -> Vec<Self> {
        let mut all = Vec::new();
        for (path, item) in document.0["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let method = method.to_uppercase().parse().unwrap();
                let parameters = operation["parameters"].as_array().into_iter().flatten().collect();
                let body = operation.pointer("/requestBody/content/application~1json/schema");
                let id = operation["operationId"].as_str().unwrap();
                all.push(Self { harness, id, path, method, parameters, body });
            }
        }
        assert!(all.len() > 30, "{} operations", all.len());
        all
    }

    /// Whether the service takes this body, or this value of a parameter.
    async fn takes(&self, body: Option<&Value>, given: Option<(&str, &str)>) -> bool {
        let value = |name: &str| given.filter(|(given, _)| *given == name).map(|(_, value)| value);
        let mut path = self.path.to_owned();
        if path.contains("{id}") && value("id").is_none() {
            let job = self.harness.post("/api/v1/jobs", &json!({"name": "a"})).await.json();
            path = path.replace("{id}", &job["id"].to_string());
        }
        for (name, usual) in [
            ("id", ""),
            ("number", "0"),
            ("key", "a"),
            ("commit", "a"),
            ("delivery", "1-0"),
            ("name", "a"),
        ] {
            let value = value(name).unwrap_or(usual);
            let value: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
            path = path.replace(&format!("{{{name}}}"), &value);
        }
        // Only a wait would take time, and here it need not.
        let mut query: Vec<(&str, &str)> = Vec::new();
        if self.id == "waitForState" {
            let usual = [("states", "WaitingToRun"), ("timeoutMs", "0")];
            query.extend(usual.into_iter().filter(|(name, _)| value(name).is_none()));
        }
        let is_query =
            |name: &str| self.parameters.iter().any(|at| at["name"] == name && at["in"] == "query");
        query.extend(given.filter(|(name, _)| is_query(name)));
        let mut request = self.harness.request(self.method.clone(), &path).query(&query);
        if let Some(body) = body {
            request = request.json(body);
        } else if self.id == "putAttachment" {
            request = request.header("content-type", "text/plain").body("a");
        }
        let reply = Reply::of(request).await;
        assert!(reply.status < 500, "{} {path}: {}", self.id, reply.text());
        let is_problem = reply.header("content-type") == Some("application/problem+json");
        !is_problem || !REFUSALS.iter().any(|code| reply.json()["code"] == *code)
    }
}

async fn start() -> Harness {
    Harness::start(STORES[0], |config| {
        // Without a server e-mails are refused; none is sent.
        config.smtp.host = "mail.invalid".into();
        config.smtp.from = "jobs@mail.invalid".into();
    })
    .await
}

fn shortened(value: &Value) -> String {
    value.to_string().chars().take(200).collect()
}

#[tokio::test]
async fn bodies_are_taken_up_to_their_bounds_and_not_beyond() {
    let (harness, document) = (start().await, Document::served());
    let (mut complaints, mut tries) = (Vec::new(), [0, 0]);
    for operation in Operation::all(&document, &harness) {
        // This operation would send to its target; its schema is that of others.
        let Some(schema) = operation.body.filter(|_| operation.id != "testTarget") else {
            continue;
        };
        for Try { value, is_allowed, what } in document.tries("", schema) {
            // The parent is in the address, and excluded by a "not" in the schema.
            let is_of_children = operation.id.starts_with("createChildren");
            if is_of_children && what.starts_with("jobs: parent") {
                continue;
            }
            // A "not" in the schema too.
            if what.contains("sharding: filter: perWorker: ") {
                continue;
            }
            // No schema can say that a time has to lie ahead.
            if operation.id == "createToken" && what.starts_with("expireTime") {
                continue;
            }
            // Nor that one number is below another.
            if what.contains("shard: ") {
                continue;
            }
            // Nor which rules of the operator's own there are.
            if value.to_string().contains(r#""kind":"custom""#) {
                continue;
            }
            tries[usize::from(is_allowed)] += 1;
            if operation.takes(Some(&value), None).await != is_allowed {
                let body = shortened(&value);
                complaints.push(format!("{}: {what}, allowed: {is_allowed}: {body}", operation.id));
            }
        }
    }
    harness.stop().await;
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(tries.iter().all(|count| *count > 100), "{tries:?}");
}

#[tokio::test]
async fn parameters_are_taken_up_to_their_bounds_and_not_beyond() {
    let (harness, document) = (start().await, Document::served());
    let (mut complaints, mut tries) = (Vec::new(), [0, 0]);
    for operation in Operation::all(&document, &harness) {
        // These take a stream of another format, or a parameter for bodies of plain text alone, or
        // answer without an end.
        if ["sendCommit", "appendLog", "testAction", "events"].contains(&operation.id) {
            continue;
        }
        let body = operation.body.map(|schema| document.sample("", schema));
        for parameter in &operation.parameters {
            let name = parameter["name"].as_str().unwrap();
            // The form of a cursor is private to the service.
            if name == "cursor" {
                continue;
            }
            for Try { value, is_allowed, what } in document.tries(name, &parameter["schema"]) {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                // An address has no types, and a part of a path is not empty.
                if what == "another type" || (parameter["in"] == "path" && text.is_empty()) {
                    continue;
                }
                tries[usize::from(is_allowed)] += 1;
                if operation.takes(body.as_ref(), Some((name, &text))).await != is_allowed {
                    let value = shortened(&value);
                    let said = format!("{name}: {what}, allowed: {is_allowed}: {value}");
                    complaints.push(format!("{} {said}", operation.id));
                }
            }
        }
    }
    harness.stop().await;
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(tries.iter().all(|count| *count > 50), "{tries:?}");
}
