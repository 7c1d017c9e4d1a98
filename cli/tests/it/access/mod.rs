//! Who may do what: tokens and roles.

mod table;

use jobtracker_server::Secret;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Harness, Reply, STORES};

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

#[tokio::test]
async fn a_token_is_made_shown_once_listed_and_revoked() {
    let harness = start().await;
    let secret = make(&harness, "build", "writer").await;
    let who = ask(&harness, &secret, Method::GET, "/api/v1/session", &Value::Null).await.json();
    assert_eq!(who, json!({"name": "build", "role": "writer", "tokenRequired": true}));
    let who = ask(&harness, ADMIN, Method::GET, "/api/v1/session", &Value::Null).await.json();
    assert_eq!(who, json!({"name": "configuration", "role": "admin", "tokenRequired": true}));

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
    assert_eq!(who, json!({"name": "anonymous", "role": "admin", "tokenRequired": false}));
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
