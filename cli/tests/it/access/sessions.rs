//! Sessions of browsers.

use std::{sync::Arc, time::Duration};

use jobtracker_model::Timestamp;
use jobtracker_server::Secret;
use reqwest::{
    Method, RequestBuilder,
    header::{COOKIE, ORIGIN},
};
use serde_json::{Value, json};

use super::{ADMIN, ask, make, start};
use crate::harness::{Harness, Reply, STORES};

const SITE: &str = "sec-fetch-site";
const SESSION: &str = "/api/v1/session";

/// The `name=value` of the cookie that a reply sets.
fn cookie(reply: &Reply) -> String {
    let set = reply.header("set-cookie").unwrap_or_else(|| panic!("{}", reply.text()));
    set.split(';').next().unwrap().to_owned()
}

async fn log_in(harness: &Harness, token: &str) -> String {
    let reply = harness.post(SESSION, &json!({"token": token})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    cookie(&reply)
}

/// A request of the service's own page.
fn own(harness: &Harness, method: Method, path: &str, cookie: &str) -> RequestBuilder {
    harness.request(method, path).header(COOKIE, cookie).header(SITE, "same-origin")
}

#[tokio::test]
async fn a_browser_logs_in_acts_and_logs_out() {
    let harness = start().await;
    let token = make(&harness, "anna", "operator").await;
    harness.get(SESSION).await.assert_problem("unauthorized");
    let before = Timestamp::from_millis(0).unwrap();
    let reply = harness.post(SESSION, &json!({"token": format!(" {token}\n")})).await;
    let set = reply.header("set-cookie").unwrap();
    for part in ["jobtracker_session=", "HttpOnly", "SameSite=Strict", "Max-Age=43"] {
        assert!(set.contains(part), "{set}");
    }
    // The path is that of the address, below whatever path a proxy serves it.
    assert!(!set.contains("Path") && !set.contains("Domain") && !set.contains("Secure"), "{set}");
    assert!(!set.contains(&token[token.len() - 64..]), "{set}");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let who = reply.json();
    assert_eq!([&who["name"], &who["role"], &who["how"]], ["anna", "operator", "session"]);
    let end: Timestamp = who["endTime"].as_str().unwrap().parse().unwrap();
    assert!(end > before);

    let cookie = cookie(&reply);
    let asked = Reply::of(own(&harness, Method::GET, SESSION, &cookie)).await;
    assert_eq!(asked.json(), who, "it is too new for a later end");
    assert_eq!(asked.header("set-cookie"), None);
    let job = json!({"id": 7, "name": "a"});
    let created = Reply::of(own(&harness, Method::POST, "/api/v1/jobs", &cookie).json(&job)).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let refused = Reply::of(own(&harness, Method::GET, "/api/v1/tokens", &cookie)).await;
    refused.assert_problem("forbidden");
    // A proxy may want a password of its own.
    let request = own(&harness, Method::GET, SESSION, &format!("a=b; {cookie}; c"));
    assert_eq!(Reply::of(request.basic_auth("a", Some("b"))).await.json(), who);

    let ended = Reply::of(own(&harness, Method::DELETE, SESSION, &cookie)).await;
    let set = ended.header("set-cookie").unwrap();
    assert!(ended.status == 204 && set.contains("Max-Age=0") && !set.contains("Path"), "{set}");
    // A copy of the cookie is worth nothing.
    for _ in 0..2 {
        let refused = Reply::of(own(&harness, Method::GET, SESSION, &cookie)).await;
        assert_eq!(refused.status, 401);
        refused.assert_problem("session_ended");
        let again = Reply::of(own(&harness, Method::DELETE, SESSION, &cookie)).await;
        assert_eq!(again.status, 204);
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_session_goes_on_after_a_restart_and_on_other_servers_and_dies_with_its_token() {
    let harness = Harness::start(STORES[1], |config| config.auth.token = Secret::new(ADMIN)).await;
    let token = make(&harness, "anna", "reader").await;
    let (anna, admin) = (log_in(&harness, &token).await, log_in(&harness, ADMIN).await);
    let directory = harness.stop().await.unwrap();
    let token = |config: &mut jobtracker_server::Config| config.auth.token = Secret::new(ADMIN);
    let harness = Harness::restart(directory, token).await;
    let other = Harness::on(Arc::clone(harness.store()), None, token);
    for server in [&harness, &other] {
        for (cookie, name) in [(&anna, "anna"), (&admin, "configuration")] {
            let who = Reply::of(own(server, Method::GET, SESSION, cookie)).await.json();
            assert_eq!(who["name"], name);
        }
    }
    ask(&harness, ADMIN, Method::DELETE, "/api/v1/tokens/anna", &Value::Null).await;
    Reply::of(own(&harness, Method::GET, SESSION, &anna)).await.assert_problem("token_revoked");
    Reply::of(own(&harness, Method::DELETE, SESSION, &admin)).await;
    // The other server hears of both within seconds.
    for (cookie, code) in [(&anna, "token_revoked"), (&admin, "session_ended")] {
        let asking = async {
            while Reply::of(own(&other, Method::GET, SESSION, cookie)).await.status == 200 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), asking).await.unwrap();
        Reply::of(own(&other, Method::GET, SESSION, cookie)).await.assert_problem(code);
    }
    let changed = Harness::on(Arc::clone(harness.store()), None, |config| {
        config.auth.token = Secret::new("another-token");
    });
    let admin = log_in(&harness, ADMIN).await;
    let refused = Reply::of(own(&changed, Method::GET, SESSION, &admin)).await;
    refused.assert_problem("session_ended");
    // Two servers had the store of the third.
    changed.stop().await;
    other.stop().await;
    harness.stop().await;
}

#[tokio::test]
async fn pages_of_other_sites_can_do_nothing_with_a_session() {
    let harness = start().await;
    let cookie = log_in(&harness, ADMIN).await;
    let asked = |method: Method, path: &str, headers: &[(&str, &str)]| {
        let mut request = harness.request(method, path).header(COOKIE, &cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.json(&json!({"name": "a"}))
    };
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let socket = |headers: &[(&str, &str)]| {
        let request = harness.request(Method::GET, "/api/v1/live").header(COOKIE, &cookie);
        let headers = headers.iter().chain(&upgrade);
        headers.fold(request, |request, (name, value)| request.header(*name, *value))
    };
    let (jobs, events) = ("/api/v1/jobs", "/api/v1/events?topic=roots");
    for headers in [
        &[(SITE, "cross-site")][..],
        &[(SITE, "same-site")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        // No browser: it has no page, and a program has a token.
        &[],
    ] {
        Reply::of(asked(Method::POST, jobs, headers)).await.assert_problem("foreign_origin");
        Reply::of(asked(Method::DELETE, SESSION, headers)).await.assert_problem("foreign_origin");
        Reply::of(asked(Method::GET, events, headers)).await.assert_problem("foreign_origin");
        Reply::of(socket(headers)).await.assert_problem("foreign_origin");
        let read = Reply::of(asked(Method::GET, SESSION, headers)).await;
        assert_eq!(read.status == 200, headers.is_empty(), "{}", read.text());
    }
    let page = harness.url().to_owned();
    for headers in [&[(SITE, "same-origin")][..], &[("origin", &*page)]] {
        assert_eq!(Reply::of(asked(Method::POST, jobs, headers)).await.status, 201);
        assert_eq!(socket(headers).send().await.unwrap().status(), 101);
    }
    // With a token no page matters.
    let request = asked(Method::POST, jobs, &[(SITE, "cross-site")]).bearer_auth(ADMIN);
    assert_eq!(Reply::of(request).await.status, 201);
    harness.stop().await;
}

/// Another site must not log a browser in as a user of its own, and a session that is planted in a
/// browser must not become that of the user who logs in.
#[tokio::test]
async fn no_other_site_begins_or_chooses_a_session() {
    let harness = start().await;
    let token = make(&harness, "evil", "writer").await;
    for (name, value) in [
        (SITE, "cross-site"),
        (SITE, "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let body = json!({"token": token});
        let request = harness.request(Method::POST, SESSION).header(name, value);
        let refused = Reply::of(request.json(&body)).await;
        refused.assert_problem("foreign_origin");
        assert_eq!(refused.header("set-cookie"), None);
        // A form, which needs no permission of the service.
        let form = harness.request(Method::POST, SESSION).header("content-type", "text/plain");
        let refused = Reply::of(form.body(body.to_string())).await;
        refused.assert_problem("unsupported_media_type");
    }
    let planted = log_in(&harness, &token).await;
    let request = own(&harness, Method::POST, SESSION, &planted).json(&json!({"token": ADMIN}));
    let own_one = cookie(&Reply::of(request).await);
    assert_ne!(own_one, planted);
    let ask = async |cookie: &str| Reply::of(own(&harness, Method::GET, SESSION, cookie)).await;
    assert_eq!(ask(&own_one).await.json()["name"], "configuration");
    // A login ends the session that the browser had.
    ask(&planted).await.assert_problem("session_ended");
    let forged = own_one.replace('.', ".A");
    let refused = Reply::of(own(&harness, Method::GET, SESSION, &forged)).await;
    refused.assert_problem("session_ended");
    harness.stop().await;
}

#[tokio::test]
async fn a_login_takes_a_token_from_the_body_or_the_header_and_counts_wrong_ones() {
    let harness = start().await;
    let bearer = harness.request(Method::POST, SESSION).bearer_auth(ADMIN);
    assert_eq!(Reply::of(bearer).await.json()["how"], "session");
    harness
        .post(&format!("{SESSION}?token={ADMIN}"), &Value::Null)
        .await
        .assert_problem("invalid_json");
    let nothing = harness.request(Method::POST, &format!("{SESSION}?token={ADMIN}"));
    Reply::of(nothing).await.assert_problem("unauthorized");
    let large = json!({"token": "x".repeat(20_000)});
    harness.post(SESSION, &large).await.assert_problem("body_too_large");
    for _ in 0..10 {
        harness.post(SESSION, &json!({"token": "wrong"})).await.assert_problem("unauthorized");
    }
    harness.post(SESSION, &json!({"token": ADMIN})).await.assert_problem("too_many_tries");
    harness.stop().await;
}

#[tokio::test]
async fn a_cookie_is_for_encrypted_connections_where_there_is_one() {
    let harness = start().await;
    let log_in = |name: &'static str, value: String| {
        let body = json!({"token": ADMIN});
        Reply::of(harness.request(Method::POST, SESSION).header(name, value).json(&body))
    };
    let host = harness.url().replace("http://", "https://");
    for reply in [log_in("origin", host).await, log_in("x-forwarded-proto", "https".into()).await] {
        assert!(reply.header("set-cookie").unwrap().contains("Secure"), "{reply:?}");
    }
    let plain = log_in(ORIGIN.as_str(), harness.url().to_owned()).await;
    assert!(!plain.header("set-cookie").unwrap().contains("Secure"), "{plain:?}");
    harness.stop().await;
}

#[tokio::test]
async fn a_live_view_ends_with_its_session() {
    let harness = start().await;
    let job = json!({"id": 1, "name": "root"});
    ask(&harness, ADMIN, Method::POST, "/api/v1/jobs", &job).await;
    let cookie = log_in(&harness, ADMIN).await;
    let view = own(&harness, Method::GET, "/api/v1/events?topic=tree/1", &cookie);
    let view = view.send().await.unwrap();
    assert_eq!(view.status(), 200);
    Reply::of(own(&harness, Method::DELETE, SESSION, &cookie)).await;
    let told = tokio::time::timeout(Duration::from_secs(30), view.text()).await;
    let told = told.unwrap().unwrap();
    assert!(told.contains("session_ended"), "{told}");
    harness.stop().await;
}

#[tokio::test]
async fn a_server_without_a_token_gives_no_session() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let reply = harness.post(SESSION, &json!({"token": "any"})).await;
    assert_eq!(reply.json()["how"], "open");
    assert_eq!(reply.header("set-cookie"), None);
    let ended = Reply::of(harness.request(Method::DELETE, SESSION)).await;
    assert_eq!(ended.status, 204);
    let foreign = harness.request(Method::POST, SESSION).header(SITE, "cross-site");
    Reply::of(foreign).await.assert_problem("foreign_origin");
    harness.stop().await;
}

/// A browser sends the cookies of all hosts above its own, those of others first where it likes.
#[tokio::test]
async fn the_own_session_counts_wherever_it_stands_among_cookies_of_its_name() {
    let harness = start().await;
    let anna = make(&harness, "anna", "reader").await;
    let (anna, admin) = (log_in(&harness, &anna).await, log_in(&harness, ADMIN).await);
    let shown = async |cookies: &str| Reply::of(own(&harness, Method::GET, SESSION, cookies)).await;
    let sibling = "jobtracker_session=another-program";
    for cookies in [format!("{sibling}; {anna}"), format!("{anna}; {sibling}; {sibling}")] {
        assert_eq!(shown(&cookies).await.json()["name"], "anna");
    }
    assert_eq!(shown(&format!("{admin}; {anna}")).await.json()["name"], "configuration");
    shown(sibling).await.assert_problem("session_ended");
    // The reason is that of the own one, and a logout ends it.
    let both = format!("{sibling}; {anna}");
    let ended = Reply::of(own(&harness, Method::DELETE, SESSION, &both)).await;
    assert_eq!(ended.status, 204);
    shown(&anna).await.assert_problem("session_ended");
    revoke(&harness).await;
    let again = make(&harness, "anna", "reader").await;
    let again = log_in(&harness, &again).await;
    revoke(&harness).await;
    shown(&format!("{sibling}; {again}; {sibling}")).await.assert_problem("token_revoked");
    harness.stop().await;
}

async fn revoke(harness: &Harness) {
    ask(harness, ADMIN, Method::DELETE, "/api/v1/tokens/anna", &Value::Null).await;
}

/// A page whose name was made to lead here (DNS rebinding) is of the service's origin for its
/// browser, which has no cookie of the service for that name.
#[tokio::test]
async fn a_page_that_rebinds_its_name_gets_nothing_of_a_service_with_a_token() {
    let harness = start().await;
    let evil = "evil.example:8840";
    let ask = async |method: Method, path: &str, more: &[(&str, &str)]| {
        let mut request = harness.request(method, path).header("host", evil);
        for (name, value) in [(SITE, "same-origin"), ("origin", "http://evil.example:8840")] {
            request = request.header(name, value);
        }
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        Reply::of(request.json(&json!({"name": "a"}))).await
    };
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    for (method, path, more) in [
        (Method::GET, "/api/v1/roots", &[][..]),
        (Method::GET, SESSION, &[]),
        (Method::GET, "/api/v1/events?topic=roots", &[]),
        (Method::GET, "/api/v1/live", &upgrade),
        (Method::POST, "/api/v1/jobs", &[]),
        (Method::POST, "/api/v1/export", &[]),
        (Method::DELETE, "/api/v1/jobs/1", &[]),
    ] {
        ask(method, path, more).await.assert_problem("unauthorized");
    }
    let planted = [("cookie", "jobtracker_session=planted")];
    ask(Method::GET, "/api/v1/roots", &planted).await.assert_problem("session_ended");
    harness.stop().await;
}

#[tokio::test]
async fn one_token_does_not_end_the_sessions_of_all() {
    let harness = start().await;
    let token = make(&harness, "evil", "reader").await;
    let admin = log_in(&harness, ADMIN).await;
    let refused = loop {
        let reply = harness.post(SESSION, &json!({"token": token})).await;
        if reply.status != 200 {
            break reply;
        }
        let ended = Reply::of(own(&harness, Method::DELETE, SESSION, &cookie(&reply))).await;
        assert_eq!(ended.status, 204);
    };
    refused.assert_problem("overloaded");
    assert!(refused.json()["retryAfterMs"].as_u64().unwrap() > 60_000, "{}", refused.text());
    let who = Reply::of(own(&harness, Method::GET, SESSION, &admin)).await;
    assert_eq!(who.json()["name"], "configuration");
    log_in(&harness, ADMIN).await;
    harness.stop().await;
}
