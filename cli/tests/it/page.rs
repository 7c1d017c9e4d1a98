//! How the page's documents and files are handed out. What it does in a browser: `web/e2e`.

use jobtracker_server::Secret;
use reqwest::Method;

use crate::harness::{Harness, Reply, STORES};

const TOKEN: &str = "a-token-for-tests";

#[tokio::test]
async fn its_views_are_open_and_may_load_nothing_foreign() {
    let harness = Harness::start(STORES[0], |config| config.auth.token = Secret::new(TOKEN)).await;
    let deep = ["/jobs/7", "/jobs/9223372036854775807", "/uploads/7"];
    let flat = ["/", "/deliveries", "/uploads", "/tokens", "/audit", "/service"];
    for path in flat.into_iter().chain(deep) {
        let reply = harness.get(path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
        let policy = reply.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none';") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        let top = if deep.contains(&path) { "../" } else { "./" };
        assert!(reply.text().contains(&format!("src=\"{top}page/app.js\"")), "{}", reply.text());
    }
    let app = harness.get("/page/app.js").await;
    assert_eq!(app.header("content-type"), Some("text/javascript; charset=utf-8"));
    for nowhere in ["/page/nothing.js", "/page/..%2fCargo.toml"] {
        harness.get(nowhere).await.assert_problem("route_not_found");
    }
    harness.get("/jobs/7/more").await.assert_problem("unauthorized");
    harness.stop().await;
}

#[tokio::test]
async fn a_known_file_is_not_sent_again() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let ask = async |method: Method, headers: &[(&str, &str)]| {
        let request = harness.request(method, "/page/app.css");
        let with = |request: reqwest::RequestBuilder, (name, value): &(&str, &str)| {
            request.header(*name, *value)
        };
        Reply::of(headers.iter().fold(request, with)).await
    };
    let plain = ask(Method::GET, &[("accept-encoding", "identity")]).await;
    assert_eq!((plain.status, plain.header("content-encoding")), (200, None));
    assert_eq!(plain.header("cache-control"), Some("no-cache"));
    let tag = plain.header("etag").unwrap();
    for known in [tag.to_owned(), format!("\"other\", W/{tag}")] {
        let again = ask(Method::GET, &[("if-none-match", &known)]).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{known}");
        assert_eq!(again.header("etag"), Some(tag));
    }
    let packed = ask(Method::GET, &[("accept-encoding", "gzip, br"), ("if-none-match", "\"x\"")]);
    let packed = packed.await;
    assert_eq!((packed.status, packed.header("content-encoding")), (200, Some("gzip")));
    assert!(packed.body.len() * 2 < plain.body.len());
    assert_eq!(ask(Method::HEAD, &[]).await.status, 200);
    ask(Method::POST, &[]).await.assert_problem("method_not_allowed");
    harness.stop().await;
}

/// A browser asks for what a document names while it loads the scripts.
#[tokio::test]
async fn a_document_names_what_its_caller_may_ask_first() {
    let harness = Harness::start(STORES[0], |config| config.auth.token = Secret::new(TOKEN)).await;
    let bearer = format!("Bearer {TOKEN}");
    for (path, token, named) in [
        ("/jobs/7", "", vec!["../api/v1/session"]),
        ("/?q=nightly", bearer.as_str(), vec!["./api/v1/session"]),
        ("/", &bearer, vec!["./api/v1/session", "./api/v1/roots?limit=100&fields=row"]),
        (
            "/jobs/7?view=log",
            &bearer,
            vec![
                "../api/v1/session",
                "../api/v1/jobs/7",
                "../api/v1/jobs/7/ancestors",
                "../api/v1/jobs/7/task",
            ],
        ),
    ] {
        let mut request = harness.request(Method::GET, path);
        if !token.is_empty() {
            request = request.header("authorization", token);
        }
        let reply = Reply::of(request).await;
        let links = reply.header("link").unwrap().split(", ");
        let links: Vec<_> = links
            .map(|link| link.strip_suffix(">; rel=preload; as=fetch; crossorigin").unwrap())
            .map(|link| link.strip_prefix('<').unwrap())
            .collect();
        assert_eq!(links, named, "{path}");
    }
    harness.stop().await;
}
