use std::{collections::VecDeque, sync::Mutex, time::Duration};

use jobtracker_client::{ClientBuilder, JobTrackerClient, RetryPolicy};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers::any};

/// A server that answers everything by one rule.
pub async fn answering(rule: impl Respond + 'static) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(rule).mount(&server).await;
    server
}

/// A server that gives these answers one after another, the last one for ever.
pub async fn answering_in_turn(answers: impl IntoIterator<Item = ResponseTemplate>) -> MockServer {
    let answers: Mutex<VecDeque<_>> = Mutex::new(answers.into_iter().collect());
    let rule = move |_: &Request| {
        let mut answers = answers.lock().unwrap();
        if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() }
    };
    answering(rule).await
}

/// A client that tries up to five times, a few milliseconds apart.
pub fn client(server: &MockServer) -> JobTrackerClient {
    builder(&server.uri()).build().unwrap()
}

pub fn builder(address: &str) -> ClientBuilder {
    JobTrackerClient::builder(address).retry(quick())
}

pub fn quick() -> RetryPolicy {
    let ms = Duration::from_millis(1);
    RetryPolicy { attempts: 5, base_backoff: ms, max_backoff: 5 * ms }
}

/// What the server was asked, in order.
pub async fn requests(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.unwrap()
}

/// A field of the JSON body of each request.
pub fn field(requests: &[Request], name: &str) -> Vec<serde_json::Value> {
    requests.iter().map(|r| r.body_json::<serde_json::Value>().unwrap()[name].clone()).collect()
}

/// Tries as often as there is time for.
pub fn stubborn() -> RetryPolicy {
    RetryPolicy { attempts: u32::MAX, ..quick() }
}
