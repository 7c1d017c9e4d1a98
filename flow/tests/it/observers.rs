//! Behaviours 49 and 50: what observers are told, and what a recorder does without a service.

use std::{sync::Arc, time::Duration};

use jobtracker_client::{JobTrackerClient, RetryPolicy};
use jobtracker_flow::{ConstantBuilder, Flow, FlowBuilder, Recorder, Rerun, RunOptions, StepState};
use tokio::{net::TcpListener, time::Instant};

use crate::support::{Journal, boom, ms, states};

fn flow() -> Flow<()> {
    let mut flow = FlowBuilder::<()>::new("observed");
    let again = ConstantBuilder::default().with_delay(ms(1)).with_max_times(1);
    let bad = flow.step("bad").retry(again).run(|_, ()| async { boom::<()>(1) });
    let skipped = flow.step("skipped").after(bad).run(|_, ()| async { Ok(()) });
    flow.step("settled").after(skipped.settled()).run(|_, ()| async { Ok(()) });
    for i in 0..20 {
        flow.step(format!("good {i}")).run(|_, ()| async {
            tokio::task::yield_now().await;
            Ok(())
        });
    }
    flow.build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b49_events_come_in_order_and_the_end_before_wait_returns() {
    let flow = flow();
    for _ in 0..50 {
        let journal = Arc::new(Journal::default());
        let run = flow.start_with((), RunOptions::new().observer(journal.clone()));
        run.wait().await.unwrap_err();
        let lines = journal.lines();
        assert_eq!((&*lines[0], &**lines.last().unwrap()), ("run starts", "run ends false"));
        assert_eq!(lines.len(), 2 + 4 + 1 + 2 + 20 * 2, "{lines:?}");
        let bad = ["starts 1", "retries after 1 in 1ms", "starts 2", "is Failed after 2"];
        assert_eq!(journal.of("bad"), bad);
        assert_eq!(journal.of("skipped"), ["is Skipped after 0"]);
        assert_eq!(journal.of("settled"), ["starts 1", "is Succeeded after 1"]);
        assert_eq!(journal.of("good 7"), ["starts 1", "is Succeeded after 1"]);
        // What is used again is told of at the begin.
        let journal = Arc::new(Journal::default());
        let options = RunOptions::new().observer(journal.clone());
        let again = run.rerun_with(Rerun::Unfinished, options).unwrap();
        again.wait().await.unwrap_err();
        assert_eq!(journal.lines()[1], "settled is Reused after 0");
        assert_eq!(journal.of("good 7"), ["is Reused after 0"]);
    }
}

/// A service that takes connections and never answers.
async fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(listener.accept().await.unwrap());
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b50_a_service_that_is_silent_or_gone_changes_nothing() {
    let flow = flow();
    let plain = flow.start(());
    let wanted = plain.wait().await.unwrap_err().to_string();
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    for url in [silent().await, gone] {
        let client = JobTrackerClient::builder(&url)
            .retry(RetryPolicy { attempts: 1, ..RetryPolicy::default() })
            .build()
            .unwrap();
        let recorder = Arc::new(Recorder::new(Arc::new(client)).patience(ms(300)));
        let run = flow.start_with((), RunOptions::new().observer(recorder.clone()));
        let error = run.wait_timeout(Duration::from_secs(60)).await.unwrap_err();
        assert_eq!(error.to_string(), wanted);
        assert_eq!(states(&run.snapshot()), states(&plain.snapshot()));
        assert_eq!(recorder.job(run.id()), None);
        // It is given up, and says so, in bounded time.
        let begin = Instant::now();
        recorder.flush().await.unwrap();
        assert!(begin.elapsed() < Duration::from_secs(30));
        while recorder.stats().open > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!((recorder.stats().given_up, recorder.stats().recorded), (1, 0));
        // It is no burden for the next one.
        let next = flow.start_with((), RunOptions::new().observer(recorder));
        next.wait().await.unwrap_err();
        assert_eq!(next.snapshot().counts().done(), 23);
        assert_eq!(next.snapshot().steps[0].state, StepState::Failed);
    }
}

#[tokio::test]
async fn b50_so_many_runs_are_recorded_at_once_and_the_others_are_counted() {
    let flow = FlowBuilder::<()>::new("empty").build().unwrap();
    let client = JobTrackerClient::new(&silent().await).unwrap();
    let recorder = Arc::new(Recorder::new(Arc::new(client)));
    for _ in 0..1_003 {
        let run = flow.start_with((), RunOptions::new().observer(recorder.clone()));
        run.wait().await.unwrap();
    }
    let stats = recorder.stats();
    assert_eq!((stats.open, stats.turned_away, stats.given_up), (1_000, 3, 0));
}
