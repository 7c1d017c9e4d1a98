use std::time::Duration;

use jobtracker_engine::Error;
use jobtracker_model::{NewChange, State, StateSet};

use crate::harness::{LONG, id, job, memory};

#[tokio::test]
async fn a_wait_ends_with_the_step_that_it_waits_for() {
    let (_, engine) = memory();
    engine.create(job(1, None)).await.unwrap();
    engine.create(job(2, Some(1))).await.unwrap();
    engine.update(id(1), NewChange::new(State::RanToCompletion)).await.unwrap();
    for (state, wanted) in [
        (State::Running, [State::Running].into_iter().collect()),
        (State::Faulted, StateSet::FINISHED),
    ] {
        // The root becomes finished through its child; the child reports its own state.
        let waited_for = if state == State::Running { id(2) } else { id(1) };
        let wait = engine.wait(waited_for, wanted, LONG);
        let update = engine.update(id(2), NewChange::new(state));
        let (waited, updated) = tokio::join!(wait, update);
        assert!(updated.unwrap().applied);
        let waited = waited.unwrap();
        assert_eq!((waited.reached, waited.state), (true, state));
    }
}

#[tokio::test]
async fn a_state_that_stands_is_answered_at_once_and_time_runs_out() {
    let (_, engine) = memory();
    engine.create(job(1, None)).await.unwrap();
    let waited = engine.wait(id(1), [State::WaitingToRun].into_iter().collect(), LONG).await;
    assert!(waited.unwrap().reached);
    let waited = engine.wait(id(1), StateSet::FINISHED, Duration::ZERO).await.unwrap();
    assert_eq!((waited.reached, waited.state), (false, State::WaitingToRun));
    let unknown = engine.wait(id(2), StateSet::FINISHED, LONG).await;
    assert!(matches!(unknown, Err(Error::JobNotFound(_))), "{unknown:?}");
}

#[tokio::test]
async fn closing_dismisses_those_who_wait() {
    let (_, engine) = memory();
    engine.create(job(1, None)).await.unwrap();
    let waiting = {
        let engine = engine.clone();
        tokio::spawn(async move { engine.wait(id(1), StateSet::FINISHED, LONG).await })
    };
    engine.close().await;
    let dismissed = waiting.await.unwrap();
    assert!(matches!(dismissed, Err(Error::ShuttingDown)), "{dismissed:?}");
}
