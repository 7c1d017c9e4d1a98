//! Silence while no server was up.

use jobtracker_model::{NewChange, NewJob, State};

use super::{QUIET, deliveries, it_is, look, moment, start};
use crate::{
    harness::{id, job},
    upload::follow_ups::silence,
};

#[tokio::test]
async fn an_outage_is_no_silence() {
    let (store, engine, _turn) = start().await;
    it_is(45_000);
    for number in [1, 2] {
        let root = NewJob { checks: vec![silence(QUIET)], ..job(number, None) };
        engine.create(root).await.unwrap();
    }
    it_is(58_000);
    assert_eq!(look(&*store, &engine, 1, 0).await, Some(65_000));
    assert!(deliveries(&*store, 1).await.is_empty());
    // The job that reports again is not silent. The other one is, and again after the same time.
    it_is(59_000);
    engine.update(id(2), NewChange::new(State::Running)).await.unwrap();
    it_is(65_000);
    assert_eq!(look(&*store, &engine, 2, 0).await, Some(70_000));
    assert_eq!(look(&*store, &engine, 1, 0).await, Some(75_000));
    let told = deliveries(&*store, 1).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].event.quiet_since, Some(moment(45_000)));
    assert!(deliveries(&*store, 2).await.is_empty());
    engine.close().await;
}

/// However checks divide the time: the time that had passed before the outage counts.
#[tokio::test]
async fn an_outage_postpones_what_is_told_again_by_no_more_than_its_length() {
    let (store, engine, _turn) = start().await;
    it_is(35_000);
    let root = NewJob { checks: vec![silence(QUIET)], ..job(1, None) };
    engine.create(root).await.unwrap();
    it_is(45_000);
    assert_eq!(look(&*store, &engine, 1, 0).await, Some(55_000));
    for (now, due, told) in [(58_000, 65_000, 1), (65_000, 75_000, 2), (76_000, 86_000, 3)] {
        it_is(now);
        assert_eq!(look(&*store, &engine, 1, 0).await, Some(due), "at {now}");
        assert_eq!(deliveries(&*store, 1).await.len(), told, "at {now}");
    }
    engine.close().await;
}
