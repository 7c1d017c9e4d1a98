use jobtracker_client::{Error, JobTrackerClient};

use crate::{canned, stub};

fn refused(builder: jobtracker_client::ClientBuilder) -> String {
    match builder.build() {
        Err(error @ Error::InvalidRequest { .. }) => {
            assert!(!error.is_retryable() && !error.outcome_unknown());
            error.to_string()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn bad_settings_are_refused_with_the_reason() {
    for (address, reason) in [
        ("", "not a URL"),
        ("ftp://localhost", "http://"),
        ("http://", "not a URL"),
        ("http://me:secret@localhost", "user"),
        ("http://localhost?a=b", "query"),
        ("http://localhost#a", "fragment"),
    ] {
        let message = refused(JobTrackerClient::builder(address));
        assert!(message.contains(reason), "{address}: {message}");
        assert!(!message.contains("secret"));
    }
    for address in ["localhost:8840", "127.0.0.1:8840", "[::1]:8840", "http:/localhost"] {
        assert!(JobTrackerClient::builder(address).bearer_token("secret").build().is_ok());
    }
    // Without a token there is nothing to leak.
    assert!(JobTrackerClient::new("jobs.example.com:8840").is_ok());
    let far = JobTrackerClient::builder("jobs.example.com").bearer_token("secret");
    assert!(refused(far).contains("https://"));
    let good = || JobTrackerClient::builder("http://localhost");
    assert!(refused(good().id_block_size(0)).contains("id block"));
    assert!(refused(good().id_block_size(1_000_001)).contains("id block"));
    assert!(refused(good().rate_limit(0, 1)).contains("rate limit"));
    assert!(refused(good().rate_limit(1, 0)).contains("rate limit"));
    for token in ["", "two words", "line\nbreak", "ümlaut"] {
        let message = refused(good().bearer_token(token));
        assert!(message.contains("token") && !message.contains("break"), "{message}");
    }
}

#[tokio::test]
async fn the_token_goes_with_every_request_and_is_never_printed() {
    let server = stub::answering(canned::json(canned::job(7))).await;
    let builder = stub::builder(&server.uri()).bearer_token("s3cr3t");
    assert!(!format!("{builder:?}").contains("s3cr3t"));
    let client = builder.build().unwrap();
    assert!(!format!("{client:?}").contains("s3cr3t"));
    client.load(canned::id(7)).await.unwrap();
    stub::client(&server).load(canned::id(7)).await.unwrap();
    let requests = stub::requests(&server).await;
    assert_eq!(requests[0].headers["authorization"], "Bearer s3cr3t");
    assert!(!requests[1].headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_client_of_ones_own_is_used() {
    let server = stub::answering(canned::json(canned::job(7))).await;
    let http = reqwest::Client::builder().user_agent("mine").build().unwrap();
    let client = stub::builder(&server.uri()).http_client(http).build().unwrap();
    client.load(canned::id(7)).await.unwrap();
    assert_eq!(stub::requests(&server).await[0].headers["user-agent"], "mine");
}

#[tokio::test]
async fn a_path_in_the_address_is_kept() {
    let server = stub::answering(canned::json(canned::job(7))).await;
    for address in [format!("{}/jobs/a", server.uri()), format!("{}/jobs/a/", server.uri())] {
        stub::builder(&address).build().unwrap().load(canned::id(7)).await.unwrap();
    }
    for request in stub::requests(&server).await {
        assert_eq!(request.url.path(), "/jobs/a/api/v1/jobs/7");
    }
}
