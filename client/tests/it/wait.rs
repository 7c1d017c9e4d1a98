use std::time::Duration;

use jobtracker_client::{ProblemCode, State, StateSet, Waited};
use wiremock::{MockServer, ResponseTemplate};

use crate::{
    canned::{id, json, problem},
    stub,
};

fn waited(reached: bool) -> Waited {
    let state = if reached { State::RanToCompletion } else { State::Running };
    Waited { id: id(7), reached, state }
}

async fn asked(server: &MockServer) -> Vec<u64> {
    let millis = |request: &wiremock::Request| {
        let mut query = request.url.query_pairs();
        query.find(|(name, _)| name == "timeoutMs").unwrap().1.parse().unwrap()
    };
    stub::requests(server).await.iter().map(millis).collect()
}

#[tokio::test]
async fn a_wait_asks_for_states_and_at_most_a_minute() {
    let server = stub::answering(json(waited(true))).await;
    let client = stub::client(&server);
    let states: StateSet = [State::Running, State::Warning].into_iter().collect();
    let answer = client.wait(id(7), states, Duration::MAX).await.unwrap();
    assert_eq!(answer, waited(true));
    client.wait(id(7), StateSet::EMPTY, Duration::ZERO).await.unwrap();
    let requests = stub::requests(&server).await;
    assert_eq!(requests[0].url.path(), "/api/v1/jobs/7/wait");
    assert!(requests[0].url.query().unwrap().starts_with("states=Running%2CWarning&timeoutMs="));
    assert!(requests[1].url.query().unwrap().starts_with("timeoutMs="));
    let asked = asked(&server).await;
    // The time that has passed since the call is no longer asked for.
    assert!((50_000..=60_000).contains(&asked[0]) && asked[1] == 0, "{asked:?}");
}

#[tokio::test]
async fn a_wait_may_take_longer_than_other_requests() {
    let server = stub::answering(json(waited(false)).set_delay(Duration::from_millis(600))).await;
    let client = stub::builder(&server.uri())
        .request_timeout(Duration::from_millis(500))
        .deadline(Duration::from_millis(500))
        .build()
        .unwrap();
    let timeout = Duration::from_secs(20);
    assert_eq!(client.wait(id(7), StateSet::FINISHED, timeout).await.unwrap(), waited(false));
    assert_eq!(stub::requests(&server).await.len(), 1);
}

#[tokio::test]
async fn a_repeated_wait_asks_for_what_is_left() {
    let busy = ResponseTemplate::new(503).set_delay(Duration::from_millis(50));
    let server = stub::answering_in_turn([busy, json(waited(true))]).await;
    let timeout = Duration::from_secs(20);
    stub::client(&server).wait(id(7), StateSet::FINISHED, timeout).await.unwrap();
    let asked = asked(&server).await;
    assert_eq!(asked.len(), 2);
    assert!(asked[1] + 50 <= asked[0], "{asked:?}");
}

#[tokio::test]
async fn waiting_for_the_end_repeats_waits() {
    let no = || json(waited(false));
    let server = stub::answering_in_turn([no(), no(), json(waited(true))]).await;
    let client = stub::client(&server);
    let answer = client.wait_finished(id(7), Duration::MAX).await.unwrap();
    assert_eq!(answer, waited(true));
    assert_eq!(stub::requests(&server).await.len(), 3);
}

#[tokio::test]
async fn waiting_for_the_end_has_an_end() {
    let server = stub::answering(json(waited(false))).await;
    let client = stub::client(&server);
    let answer = client.wait_finished(id(7), Duration::from_millis(100)).await.unwrap();
    assert_eq!(answer, waited(false));
    // Each answer came too soon. The client does not ask again in a tight loop.
    assert!((1..=3).contains(&stub::requests(&server).await.len()));
    let answer = client.wait_finished(id(7), Duration::ZERO).await.unwrap();
    assert_eq!(answer, waited(false));
}

#[tokio::test]
async fn an_error_ends_the_waiting() {
    let server =
        stub::answering_in_turn([json(waited(false)), problem(ProblemCode::JobNotFound)]).await;
    let error = stub::client(&server).wait_finished(id(7), Duration::MAX).await.unwrap_err();
    assert!(error.is_not_found());
}
