//! Who may do what: tokens and roles.

mod audit;
mod proxied;
mod sessions;
mod table;

use std::time::Duration;

use actix_http::ws::{CloseCode, Frame};
use jobtracker_server::Secret;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    command_line::BINARY,
    harness::{Harness, Reply, STORES},
    live::reader::Socket,
};

/// The token of the configuration.
const ADMIN: &str = "a-token-for-tests";

async fn start() -> Harness {
    Harness::start(STORES[0], |config| config.auth.token = Secret::new(ADMIN)).await
}

/// A request with a bearer token.
async fn ask(harness: &Harness, token: &str, method: Method, path: &str, body: &Value) -> Reply {
    let mut request = harness.request(method, path).bearer_auth(token);
    if !body.is_null() {
        request = request.json(body);
    }
    Reply::of(request).await
}

/// The secret of a new token.
async fn make(harness: &Harness, name: &str, role: &str) -> String {
    let new = json!({"name": name, "role": role});
    let made = ask(harness, ADMIN, Method::POST, "/api/v1/tokens", &new).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["secret"].as_str().unwrap().to_owned()
}

/// A live view goes on for hours; its token may not. That its address has to wait does not keep it.
#[tokio::test]
async fn a_token_that_is_revoked_or_replaced_ends_a_live_view() {
    let harness = start().await;
    let job = json!({"id": 1, "name": "root"});
    assert_eq!(ask(&harness, ADMIN, Method::POST, "/api/v1/jobs", &job).await.status, 201);
    let mut views = Vec::new();
    for name in ["revoked", "replaced"] {
        let secret = make(&harness, name, "reader").await;
        let view = harness.request(Method::GET, "/api/v1/events?topic=tree/1").bearer_auth(&secret);
        views.push(view.send().await.unwrap());
        let path = format!("/api/v1/tokens/{name}");
        ask(&harness, ADMIN, Method::DELETE, &path, &Value::Null).await;
    }
    make(&harness, "replaced", "reader").await;
    for _ in 0..10 {
        let wrong = ask(&harness, "wrong", Method::GET, "/api/v1/session", &Value::Null).await;
        wrong.assert_problem("unauthorized");
    }
    for (view, code) in views.into_iter().zip(["token_revoked", "unauthorized"]) {
        assert_eq!(view.status(), 200);
        let told = tokio::time::timeout(Duration::from_secs(30), view.text()).await;
        let told = told.unwrap().unwrap();
        let end = told.lines().rfind(|line| line.starts_with("data: ")).unwrap();
        let end: Value = serde_json::from_str(&end["data: ".len()..]).unwrap();
        assert_eq!((&end["t"], &end["problem"]["code"]), (&json!("end"), &json!(code)), "{told}");
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_token_that_is_revoked_ends_the_connection_of_a_worker() {
    let harness = start().await;
    let secret = make(&harness, "build", "writer").await;
    let bearer = format!("authorization: Bearer {secret}\r\n");
    let (mut socket, answer) = Socket::ask_at(&harness, "workers/socket", &bearer).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    ask(&harness, ADMIN, Method::DELETE, "/api/v1/tokens/build", &Value::Null).await;
    match socket.message().await {
        Some(Frame::Close(Some(reason))) => {
            assert_eq!(reason.code, CloseCode::Policy);
            assert_eq!(reason.description.as_deref(), Some("token_revoked"));
        }
        other => panic!("{other:?}"),
    }
    harness.stop().await;
}

#[tokio::test]
async fn an_upload_ends_when_its_token_is_revoked() {
    let harness = start().await;
    let secret = make(&harness, "build", "writer").await;
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let body = futures_util::stream::once(async move {
        let _ = released.await;
        Ok::<_, std::io::Error>("the end")
    });
    let upload = harness
        .request(Method::PUT, "/api/v1/commits/a")
        .bearer_auth(&secret)
        .header("content-type", jobtracker_model::upload::MEDIA_TYPE)
        .body(reqwest::Body::wrap_stream(body));
    let upload = tokio::spawn(Reply::of(upload));
    let until = async |status: u16| {
        let asking = async {
            let path = "/api/v1/commits/a";
            while ask(&harness, ADMIN, Method::GET, path, &Value::Null).await.status != status {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), asking).await.unwrap();
    };
    until(200).await;
    ask(&harness, ADMIN, Method::DELETE, "/api/v1/tokens/build", &Value::Null).await;
    // The server takes no more of it in, and answers when the body has ended.
    until(404).await;
    release.send(()).unwrap();
    upload.await.unwrap().assert_problem("token_revoked");
    harness.stop().await;
}

/// Also while the store is asked for the token: what is wrong with the request is told later.
#[tokio::test]
async fn a_request_that_is_wrong_too_is_refused_for_its_token() {
    let harness = start().await;
    let wrong = make(&harness, "build", "writer").await.replace("build", "none");
    let list = harness.request(Method::GET, "/api/v1/roots?limit=wrong");
    let create = harness.request(Method::POST, "/api/v1/jobs").json(&json!("no job"));
    for request in [list, create] {
        Reply::of(request.bearer_auth(&wrong)).await.assert_problem("unauthorized");
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_token_that_cannot_be_made_is_not_on_the_audit_list() {
    let harness = start().await;
    let long = json!({"name": "x".repeat(100_000), "role": "reader"});
    let refused = ask(&harness, ADMIN, Method::POST, "/api/v1/tokens", &long).await;
    refused.assert_problem("invalid_field");
    let listed = ask(&harness, ADMIN, Method::GET, "/api/v1/audit", &Value::Null).await.json();
    assert_eq!(listed["items"], json!([]));
    harness.stop().await;
}

#[tokio::test]
async fn a_token_is_made_shown_once_listed_and_revoked() {
    let harness = start().await;
    let secret = make(&harness, "build", "writer").await;
    let who = ask(&harness, &secret, Method::GET, "/api/v1/session", &Value::Null).await.json();
    let build = json!({"name": "build", "role": "writer", "tokenRequired": true, "how": "token"});
    assert_eq!(who, build);
    let who = ask(&harness, ADMIN, Method::GET, "/api/v1/session", &Value::Null).await.json();
    assert_eq!(
        who,
        json!({"name": "configuration", "role": "admin", "tokenRequired": true, "how": "token"})
    );

    let twin = json!({"name": "build", "role": "admin"});
    let twin = ask(&harness, ADMIN, Method::POST, "/api/v1/tokens", &twin).await;
    twin.assert_problem("token_exists");
    let past = json!({"name": "old", "role": "reader", "expireTime": "2020-01-01T00:00:00Z"});
    let past = ask(&harness, ADMIN, Method::POST, "/api/v1/tokens", &past).await;
    past.assert_problem("invalid_field");

    make(&harness, "a-first", "reader").await;
    let first = ask(&harness, ADMIN, Method::GET, "/api/v1/tokens?limit=1", &Value::Null).await;
    let cursor = first.json()["nextCursor"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/tokens?cursor={cursor}");
    let listed = ask(&harness, ADMIN, Method::GET, &path, &Value::Null).await;
    assert!(!listed.text().contains(&secret[secret.len() - 64..]), "{}", listed.text());
    let item = &listed.json()["items"][0];
    assert_eq!(
        [&item["name"], &item["role"], &item["createdBy"], &item["revokeTime"]],
        [&json!("build"), &json!("writer"), &json!("configuration"), &Value::Null]
    );

    let revoke =
        async || ask(&harness, ADMIN, Method::DELETE, "/api/v1/tokens/build", &Value::Null).await;
    assert_eq!([revoke().await.status, revoke().await.status], [204, 204]);
    let refused = ask(&harness, &secret, Method::GET, "/api/v1/session", &Value::Null).await;
    refused.assert_problem("token_revoked");
    let gone = ask(&harness, ADMIN, Method::DELETE, "/api/v1/tokens/none", &Value::Null).await;
    gone.assert_problem("token_not_found");
    harness.stop().await;
}

#[tokio::test]
async fn a_server_without_a_token_serves_everyone_as_an_admin() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let who = harness.get("/api/v1/session").await.json();
    assert_eq!(
        who,
        json!({"name": "anonymous", "role": "admin", "tokenRequired": false, "how": "open"})
    );
    harness.stop().await;
}

#[tokio::test]
async fn a_token_is_taken_from_the_header_alone() {
    let harness = start().await;
    for path in
        [format!("/api/v1/roots?token={ADMIN}"), format!("/api/v1/roots?access_token={ADMIN}")]
    {
        harness.get(&path).await.assert_problem("unauthorized");
    }
    let basic = harness.request(Method::GET, "/api/v1/roots").basic_auth(ADMIN, Some(ADMIN));
    Reply::of(basic).await.assert_problem("unauthorized");
    harness.stop().await;
}

#[tokio::test]
async fn an_address_waits_after_ten_wrong_tokens_and_the_good_ones_go_on() {
    let harness = start().await;
    let secret = make(&harness, "build", "reader").await;
    let roots =
        async |token: &str| ask(&harness, token, Method::GET, "/api/v1/roots", &Value::Null).await;
    for _ in 0..10 {
        assert_eq!(roots(ADMIN).await.status, 200);
        roots("wrong-token").await.assert_problem("unauthorized");
        // This is no try.
        harness.get("/api/v1/roots").await.assert_problem("unauthorized");
    }
    for refused in ["wrong-token", ADMIN] {
        let refused = roots(refused).await;
        assert_eq!(refused.status, 429);
        refused.assert_problem("too_many_tries");
    }
    assert_eq!(roots(&secret).await.status, 200);
    assert_eq!(harness.get("/healthz").await.status, 200);
    harness.stop().await;
}

#[tokio::test]
async fn the_history_says_who_reported_a_state_by_hand() {
    // A store that writes rows.
    let harness = Harness::start(STORES[1], |config| config.auth.token = Secret::new(ADMIN)).await;
    let [service, anna] =
        [make(&harness, "service", "writer").await, make(&harness, "anna", "operator").await];
    let job = json!({"id": 7, "name": "a"});
    assert_eq!(ask(&harness, &service, Method::POST, "/api/v1/jobs", &job).await.status, 201);
    let changes = "/api/v1/jobs/7/changes";
    for (token, state) in [(&*service, "Running"), (&*anna, "Warning"), (ADMIN, "Faulted")] {
        let change = json!({"state": state});
        assert_eq!(ask(&harness, token, Method::POST, changes, &change).await.status, 200);
    }
    let forged = json!({"state": "Running", "by": "anna"});
    let forged = ask(&harness, &service, Method::POST, changes, &forged).await;
    forged.assert_problem("invalid_json");
    let listed = ask(&harness, &service, Method::GET, changes, &Value::Null).await.json();
    let items = listed["items"].as_array().unwrap().iter();
    let by: Vec<_> = items.map(|change| change.get("by").cloned()).collect();
    assert_eq!(by, [None, None, Some(json!("anna")), Some(json!("configuration"))]);
    harness.stop().await;
}

/// What `jobtracker token` prints, and whether it succeeds.
async fn command(harness: &Harness, arguments: &[&str], own: Option<&str>) -> (bool, String) {
    let mut command = tokio::process::Command::new(BINARY);
    command
        .arg("token")
        .args(arguments)
        .args(["--url", harness.url()])
        .env_remove("JOBTRACKER_TOKEN");
    if let Some(own) = own {
        command.env("JOBTRACKER_TOKEN", own);
    }
    let output = command.output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn the_command_makes_lists_and_revokes_tokens() {
    let harness = start().await;
    let create = ["create", "nightly", "--role", "writer", "--expires", "90d"];
    let (done, refused) = command(&harness, &create, None).await;
    assert!(!done && refused.contains("unauthorized"), "{refused}");
    let (done, secret) = command(&harness, &create, Some(ADMIN)).await;
    assert!(done && secret.starts_with("jt_nightly_"), "{secret}");
    let (done, refused) = command(&harness, &create, Some(ADMIN)).await;
    assert!(!done && refused.contains("token_exists"), "{refused}");
    let (done, refused) = command(&harness, &["list"], Some(secret.trim())).await;
    assert!(!done && refused.contains("forbidden"), "{refused}");

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, format!("{ADMIN}\n")).unwrap();
    let list = ["list", "--token-file", file.to_str().unwrap()];
    let (done, listed) = command(&harness, &list, None).await;
    let line = listed.lines().find(|line| line.starts_with("nightly ")).unwrap_or_default();
    assert!(done && line.contains(" writer ") && !line.contains("revoked"), "{listed}");
    assert!(!listed.contains(secret.trim()));
    let (done, revoked) = command(&harness, &["revoke", "nightly"], Some(ADMIN)).await;
    assert!(done, "{revoked}");
    let (_, listed) = command(&harness, &list, None).await;
    assert!(listed.contains("revoked 20"), "{listed}");
    harness.stop().await;

    let open = Harness::start(STORES[0], |_| {}).await;
    let (done, told) = command(&open, &create, None).await;
    assert!(done && told.contains("requires no token"), "{told}");
    open.stop().await;
}
