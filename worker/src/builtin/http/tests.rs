use std::{io, net::SocketAddr, time::Duration};

use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{body_string, header, method, path},
};

use super::*;

const HERE: [&str; 1] = ["127.0.0.0/8"];

/// Every name ending in `.test` has the address of this machine.
struct Names;

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        assert!(host.ends_with(".test"), "{host}");
        Ok(vec![([127, 0, 0, 1], port).into()])
    }
}

fn http(allowed: &[&str]) -> Http {
    Http::with_resolver(allowed, Arc::new(Names)).unwrap()
}

async fn send(http: &Http, params: Value) -> Result<Answer, Failure> {
    let params: Params = serde_json::from_value(params).unwrap();
    http.send(params.request()?).await
}

fn is_forbidden(answer: &Result<Answer, Failure>) -> bool {
    matches!(answer, Err(Failure::Rejected(why)) if why.contains("may not be called"))
}

async fn refusal(params: Value) -> String {
    match send(&http(&[]), params).await {
        Err(Failure::Rejected(why)) => why,
        other => panic!("{:?}", other.map(|answer| answer.status)),
    }
}

/// A3.
#[tokio::test]
async fn only_allowed_addresses_are_called() {
    let server = MockServer::start().await;
    let port = server.address().port();
    let all = ["0.0.0.0/0", "::/0"];
    for host in ["127.0.0.1", "a.test", "2130706433", "10.0.0.1", "[::1]", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}:{port}/");
        assert!(is_forbidden(&send(&http(&[]), json!({"url": url})).await), "{host}");
    }
    for url in ["http://169.254.169.254/", "http://metadata.google.internal/", "http://0.0.0.0/"] {
        for rules in [&[][..], &all, &HERE] {
            assert!(is_forbidden(&send(&http(rules), json!({"url": url})).await), "{url}");
        }
    }
    assert!(is_forbidden(&send(&http(&HERE), json!({"url": "http://10.0.0.1/"})).await));
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
    for rules in [&HERE[..], &["a.test"]] {
        let url = format!("http://a.test:{port}/");
        let answer = send(&http(rules), json!({"url": url, "expect": [404]})).await.unwrap();
        assert!(answer.is_expected);
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
}

fn to(location: &str, status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status).insert_header("location", location)
}

/// A3.
#[tokio::test]
async fn each_redirect_is_checked() {
    let (server, other) = (MockServer::start().await, MockServer::start().await);
    let from = |at: &str, answer| Mock::given(path(at)).respond_with(answer).mount(&server);
    from("/metadata", to("http://169.254.169.254/latest", 302)).await;
    from("/inside", to("http://10.0.0.1/", 307)).await;
    from("/file", to("file:///etc/passwd", 302)).await;
    from("/name", to(&format!("http://b.test:{}/", other.address().port()), 302)).await;
    let url = |at: &str| json!({"url": format!("http://a.test:{}{at}", server.address().port())});
    for at in ["/metadata", "/inside", "/file"] {
        assert!(is_forbidden(&send(&http(&HERE), url(at)).await), "{at}");
    }
    assert!(is_forbidden(&send(&http(&["a.test"]), url("/name")).await));
    assert_eq!(other.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn redirects_are_followed_without_the_headers_for_another_origin() {
    let (server, other) = (MockServer::start().await, MockServer::start().await);
    let here = |at: &str| format!("{}{at}", server.uri());
    let mount = |from: &str, answer| Mock::given(path(from)).respond_with(answer).mount(&server);
    mount("/a", to("/b", 308)).await;
    mount("/b", to(&format!("{}/c", other.uri()), 307)).await;
    mount("/see", to("/a-get", 303)).await;
    mount("/a-get", ResponseTemplate::new(200)).await;
    mount("/loop", to("/loop", 302)).await;
    Mock::given(path("/c")).respond_with(ResponseTemplate::new(201)).mount(&other).await;
    let headers = json!({"x-key": "geheim"});
    let params =
        |at: &str| json!({"url": here(at), "method": "post", "headers": headers, "body": {"a": 1}});
    let answer = send(&http(&HERE), params("/a")).await.unwrap();
    assert!(answer.is_expected && answer.status == 201 && answer.from == other.uri());
    let heard = server.received_requests().await.unwrap();
    assert!(heard.iter().all(|request| request.headers["x-key"] == "geheim"));
    let heard = other.received_requests().await.unwrap().remove(0);
    assert!(!heard.headers.contains_key("x-key"));
    assert_eq!((heard.method.as_str(), &*heard.body), ("POST", &br#"{"a":1}"#[..]));
    send(&http(&HERE), params("/see")).await.unwrap();
    let heard = server.received_requests().await.unwrap().pop().unwrap();
    assert_eq!((heard.method.as_str(), heard.body.len()), ("GET", 0));
    let endless = send(&http(&HERE), json!({"url": here("/loop"), "redirects": 2})).await;
    let Err(Failure::Failed(why)) = endless else { panic!("it ends") };
    assert!(why.contains("more than 2"), "{why}");
    let shown = send(&http(&HERE), json!({"url": here("/loop"), "expect": [302]})).await.unwrap();
    assert!(shown.is_expected);
}

#[tokio::test]
async fn a_request_is_as_the_task_says_and_so_is_its_success() {
    let server = MockServer::start().await;
    Mock::given(method("PUT"))
        .and(body_string("plain"))
        .and(header("content-type", "text/csv"))
        .and(header("authorization", "Bearer geheim"))
        .respond_with(ResponseTemplate::new(202).set_body_string("got Bearer geheim, geheim"))
        .mount(&server)
        .await;
    let params = |expect: &[u16]| {
        json!({"url": server.uri(), "method": "PUT", "body": "plain", "contentType": "text/csv",
            "headers": {"Authorization": "Bearer geheim"}, "expect": expect})
    };
    let answer = send(&http(&HERE), params(&[])).await.unwrap();
    assert!(answer.is_expected);
    assert_eq!(answer.body, "got ***, ***");
    assert!(send(&http(&HERE), params(&[200, 202])).await.unwrap().is_expected);
    assert!(!send(&http(&HERE), params(&[200])).await.unwrap().is_expected);
    // Another request is not answered by the mock.
    let other = json!({"url": server.uri(), "method": "PUT", "body": {"plain": 1}});
    let answer = send(&http(&HERE), other).await.unwrap();
    assert!(!answer.is_expected && answer.status == 404);
}

#[tokio::test]
async fn of_a_long_answer_the_begin_is_kept_and_a_late_one_is_a_failure() {
    let server = MockServer::start().await;
    let long = ResponseTemplate::new(200).set_body_string("\u{1}".repeat(100_000));
    Mock::given(path("/long")).respond_with(long).mount(&server).await;
    let late = ResponseTemplate::new(200).set_delay(Duration::from_secs(3_600));
    Mock::given(path("/late")).respond_with(late).mount(&server).await;
    let url = |at: &str| format!("{}{at}", server.uri());
    let answer = send(&http(&HERE), json!({"url": url("/long")})).await.unwrap();
    assert!(answer.is_cut && answer.body.len() == TEXT_BYTES);
    // Each of its characters is six in JSON.
    let kept = result(answer.status, &answer.body, false);
    assert!(kept["isCut"] == true && kept["body"].as_str().unwrap().len() == TEXT_BYTES / 4);
    let late = send(&http(&HERE), json!({"url": url("/late"), "timeoutMs": 50})).await;
    let Err(Failure::Failed(why)) = late else { panic!("it ends") };
    assert_eq!(why, "no answer within 50 ms");
}

#[tokio::test]
async fn what_is_no_request_is_rejected() {
    for (params, part) in [
        (json!({"url": "ftp://a"}), "params.url"),
        (json!({"url": "http://a:b@c/"}), "params.url"),
        (json!({"url": "http://a", "method": "TRACE"}), "params.method"),
        (json!({"url": "http://a", "headers": {"host": "b"}}), "params.headers"),
        (json!({"url": "http://a", "contentType": "\n"}), "params.contentType"),
        (json!({"url": "http://a", "timeoutMs": 0}), "params.timeoutMs"),
        (json!({"url": "http://a", "redirects": 11}), "params.redirects"),
    ] {
        let why = refusal(params).await;
        assert!(why.contains(part), "{why}");
    }
    assert!(matches!(Http::new(["10.0.0.1/8"]), Err(HttpError::Rule(_))));
}
