use std::time::{Duration, Instant};

use jobtracker_client::{Error, Problem, ProblemCode, RetryPolicy};
use wiremock::ResponseTemplate;

use crate::{
    canned::{id, job, json, problem, problem_with},
    stub,
};

#[tokio::test]
async fn what_means_later_is_tried_again() {
    let mut answers: Vec<_> = [408, 429, 502, 503, 504].map(ResponseTemplate::new).into();
    let transient = ProblemCode::ALL.iter().filter(|code| code.is_transient());
    answers.extend(transient.map(|code| problem(*code)));
    for answer in answers {
        let server = stub::answering_in_turn([answer, json(job(7))]).await;
        assert_eq!(stub::client(&server).load(id(7)).await.unwrap(), job(7));
        assert_eq!(stub::requests(&server).await.len(), 2);
    }
}

#[tokio::test]
async fn every_other_problem_is_final_and_comes_whole() {
    for code in ProblemCode::ALL.iter().filter(|code| !code.is_transient()) {
        let mut sent = Problem::new(*code, "It happened.");
        sent.field = Some("name".into());
        sent.request_id = Some("abc".into());
        let server = stub::answering(problem_with(&sent)).await;
        let error = stub::client(&server).load(id(7)).await.unwrap_err();
        assert_eq!(stub::requests(&server).await.len(), 1, "{code}");
        assert_eq!(error.code(), Some(*code));
        assert!(!error.is_retryable());
        assert_eq!(error.is_not_found(), code.code().ends_with("not_found") && !is_route(*code));
        assert_eq!(error.is_gone(), *code == ProblemCode::Gone);
        // These are about the state of a job or a worker, not about what an id was used for.
        let of_state = [
            ProblemCode::StaleLease,
            ProblemCode::TaskIsRunning,
            ProblemCode::WorkerKicked,
            ProblemCode::WorkerDraining,
            ProblemCode::UnexpectedState,
            ProblemCode::AlreadyInState,
            ProblemCode::NotARoot,
            ProblemCode::OpenFollowUps,
        ];
        let of_state = of_state.contains(code);
        assert_eq!(error.is_conflict(), code.status() == 409 && !of_state);
        assert_eq!(error.outcome_unknown(), code.status() == 500);
        let message = error.to_string();
        assert!(message.contains(code.code()) && message.contains("[request abc]"), "{message}");
        let Error::Problem { problem, .. } = error else { panic!("{error:?}") };
        assert_eq!(*problem, sent);
    }
}

fn is_route(code: ProblemCode) -> bool {
    code == ProblemCode::RouteNotFound
}

#[tokio::test]
async fn a_code_of_a_newer_service_is_judged_by_its_status() {
    for (status, tries) in [(422, 1), (503, 5)] {
        let mut sent = Problem::new(ProblemCode::Internal, "It happened.");
        sent.code = "of_tomorrow".into();
        sent.status = status;
        let server = stub::answering(problem_with(&sent)).await;
        let error = stub::client(&server).load(id(7)).await.unwrap_err();
        assert!(error.code().is_none() && error.to_string().contains("of_tomorrow"));
        assert_eq!(stub::requests(&server).await.len(), tries);
    }
}

#[tokio::test]
async fn the_service_says_when_to_come_back() {
    let mut busy = Problem::new(ProblemCode::Overloaded, "");
    busy.retry_after_ms = Some(80);
    // The number in milliseconds counts, not the one that is rounded up to seconds.
    let answer = problem_with(&busy).insert_header("retry-after", "3600");
    let server = stub::answering_in_turn([answer, json(job(7))]).await;
    let begin = Instant::now();
    stub::client(&server).load(id(7)).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn seconds_in_the_header_count_when_the_body_says_nothing() {
    let answer = problem(ProblemCode::Overloaded).insert_header("retry-after", "3600");
    let server = stub::answering(answer).await;
    let client = stub::builder(&server.uri()).retry(RetryPolicy::never()).build().unwrap();
    let error = client.load(id(7)).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
}

#[tokio::test]
async fn a_date_in_the_header_counts_by_the_clock_of_the_answer() {
    let pause = async |date: Option<&'static str>| {
        let mut answer = problem(ProblemCode::Overloaded)
            .insert_header("retry-after", "Sat, 21 Nov 2026 09:30:00 GMT");
        if let Some(date) = date {
            answer = answer.insert_header("date", date);
        }
        let server = stub::answering(answer).await;
        let client = stub::builder(&server.uri()).retry(RetryPolicy::never()).build().unwrap();
        client.load(id(7)).await.unwrap_err().retry_after()
    };
    // The clock of this machine does not matter.
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(pause(Some("Sat, 21 Nov 2026 09:29:23 GMT")).await, seconds(37));
    assert_eq!(pause(Some("Sat, 21 Nov 2026 10:30:00 GMT")).await, seconds(0));
    assert_eq!(pause(Some("yesterday")).await, None);
}

#[tokio::test]
async fn the_policy_bounds_the_tries() {
    for (attempts, tries) in [(0, 1), (1, 1), (3, 3)] {
        let server = stub::answering(problem(ProblemCode::Contention)).await;
        let client = stub::builder(&server.uri())
            .retry(RetryPolicy { attempts, ..stub::quick() })
            .build()
            .unwrap();
        let error = client.load(id(7)).await.unwrap_err();
        assert_eq!(error.code(), Some(ProblemCode::Contention));
        assert_eq!(stub::requests(&server).await.len(), tries);
    }
}
