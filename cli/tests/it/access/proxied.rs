//! Users whom a proxy in front of the service names.

use std::time::Duration;

use jobtracker_server::Secret;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{ADMIN, ask};
use crate::harness::{Harness, Reply, STORES};

const SECRET: &str = "a-secret-of-the-proxy";

/// A service with a proxy that connects from this network.
async fn start(network: &str) -> Harness {
    Harness::start(STORES[0], |config| {
        config.auth.token = Secret::new(ADMIN);
        config.proxy.networks = vec![network.to_owned()];
        config.proxy.secret = Secret::new(SECRET);
        config.proxy.roles = vec!["staff=reader".into(), "ops=admin".into()];
    })
    .await
}

/// A request as the proxy passes it on.
fn passed_on(harness: &Harness, method: Method, path: &str, groups: &str) -> RequestBuilder {
    let request = harness.request(method, path).header("x-forwarded-for", "198.51.100.7");
    let request = request.header("x-proxy-secret", SECRET).header("sec-fetch-site", "same-origin");
    request.header("x-forwarded-user", "anna@example.com").header("x-forwarded-groups", groups)
}

#[tokio::test]
async fn users_of_the_proxy_have_the_role_of_their_groups() {
    const SESSION: &str = "/api/v1/session";
    let harness = start("127.0.0.0/8").await;
    let asked = Reply::of(passed_on(&harness, Method::GET, SESSION, "staff")).await.json();
    assert_eq!(
        asked,
        json!({"name": "anna@example.com", "role": "reader", "tokenRequired": true, "how": "proxy"})
    );
    let login = passed_on(&harness, Method::POST, SESSION, "staff").json(&json!({"token": "x"}));
    let login = Reply::of(login).await;
    assert_eq!((login.json(), login.header("set-cookie")), (asked, None), "the proxy logs in");
    let tokens = "/api/v1/tokens";
    let refused = Reply::of(passed_on(&harness, Method::GET, tokens, "staff")).await;
    refused.assert_problem("forbidden");
    let refused = Reply::of(passed_on(&harness, Method::GET, SESSION, "others")).await;
    refused.assert_problem("forbidden");
    let new = json!({"name": "build", "role": "reader"});
    let made = Reply::of(passed_on(&harness, Method::POST, tokens, "ops,staff").json(&new)).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let audit = Reply::of(passed_on(&harness, Method::GET, "/api/v1/audit", "ops")).await.json();
    let entry = &audit["items"][0];
    assert_eq!(
        [&entry["name"], &entry["how"], &entry["from"]],
        ["anna@example.com", "proxy", "198.51.100.7"]
    );
    // A browser sends what the proxy knows it by whatever site has it send a request.
    let foreign = passed_on(&harness, Method::POST, tokens, "ops").json(&new);
    let mut foreign = foreign.build().unwrap();
    foreign.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
    let foreign = reqwest::Client::new().execute(foreign).await.unwrap();
    assert_eq!(foreign.status(), 403);
    harness.stop().await;
}

#[tokio::test]
async fn without_the_secret_nothing_from_the_proxy_counts_and_from_elsewhere_it_means_nothing() {
    let harness = start("127.0.0.0/8").await;
    for (name, value) in [("x-forwarded-user", "anna"), ("x-proxy-secret", "another-secret-text")] {
        let path = "/api/v1/roots";
        let request = harness.request(Method::GET, path).header("x-forwarded-groups", "ops");
        let refused = Reply::of(request.header(name, value).bearer_auth(ADMIN)).await;
        assert_eq!(refused.status, 401);
        refused.assert_problem("proxy_refused");
    }
    assert_eq!(harness.get("/healthz").await.status, 200);
    harness.stop().await;

    let harness = start("192.0.2.0/24").await;
    let refused = Reply::of(passed_on(&harness, Method::GET, "/api/v1/roots", "ops")).await;
    refused.assert_problem("unauthorized");
    let with_token = passed_on(&harness, Method::GET, "/api/v1/session", "ops").bearer_auth(ADMIN);
    assert_eq!(Reply::of(with_token).await.json()["name"], "configuration");
    harness.stop().await;
}

/// A proxy that knows no users only says where requests come from.
#[tokio::test]
async fn addresses_behind_a_proxy_wait_each_for_itself() {
    let harness = Harness::start(STORES[0], |config| {
        config.auth.token = Secret::new(ADMIN);
        config.proxy.networks = vec!["127.0.0.1".to_owned()];
    })
    .await;
    let roots = |from: &'static str, token: &'static str| {
        let request = harness.request(Method::GET, "/api/v1/roots").bearer_auth(token);
        Reply::of(request.header("x-forwarded-for", from))
    };
    for _ in 0..10 {
        roots("6.6.6.6, 198.51.100.7", "wrong").await.assert_problem("unauthorized");
    }
    roots("198.51.100.7", ADMIN).await.assert_problem("too_many_tries");
    for other in ["198.51.100.8", "6.6.6.6"] {
        assert_eq!(roots(other, ADMIN).await.status, 200);
    }
    assert_eq!(ask(&harness, ADMIN, Method::GET, "/api/v1/roots", &Value::Null).await.status, 200);
    harness.stop().await;
}

/// The proxy says who the user is only when a connection begins, so none goes on for long.
#[tokio::test]
async fn a_live_view_of_a_user_of_the_proxy_ends_and_may_come_again() {
    let harness = Harness::start(STORES[0], |config| {
        config.auth.token = Secret::new(ADMIN);
        config.proxy.networks = vec!["127.0.0.1".to_owned()];
        config.proxy.secret = Secret::new(SECRET);
        config.proxy.roles = vec!["staff=reader".into()];
        config.proxy.live_seconds = 1;
    })
    .await;
    let path = "/api/v1/events?topic=roots";
    let view = passed_on(&harness, Method::GET, path, "staff").send().await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(30), view.text()).await;
    let told = told.unwrap().unwrap();
    assert!(told.contains("\"t\":\"roots\"") && !told.contains("\"t\":\"end\""), "{told}");
    let again = passed_on(&harness, Method::GET, path, "staff").send().await.unwrap();
    assert_eq!(again.status(), 200);
    let lost = passed_on(&harness, Method::GET, path, "others");
    Reply::of(lost).await.assert_problem("forbidden");
    harness.stop().await;
}
