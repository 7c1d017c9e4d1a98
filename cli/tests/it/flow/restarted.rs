//! A service that is down for a part of a recorded run.

use std::sync::Arc;

use jobtracker_flow::{FlowBuilder, Recorder, RunOptions};
use tokio::sync::Semaphore;

use super::tree::check;
use crate::harness::Harness;

/// The first half of the run is recorded, the second happens while the service is down, and the run
/// does not wait for it.
#[tokio::test]
async fn a_service_that_comes_back_hears_the_rest() {
    let harness = Harness::restart(tempfile::tempdir().unwrap(), |_| {}).await;
    let address = harness.url().strip_prefix("http://").unwrap().to_owned();
    let client = harness.client();
    let recorder = Arc::new(Recorder::new(Arc::new(client.clone())));

    let mut flow = FlowBuilder::<Semaphore>::new("restarted");
    let first = flow.step("first").run(|_, ()| async { Ok(()) });
    let second = flow.step("second").after(first).run(|cx, ()| async move {
        cx.input().acquire().await?.forget();
        Ok(())
    });
    for i in 0..30 {
        flow.step(format!("{i}"))
            .after(second)
            .run(move |_, ()| async move { if i == 7 { Err("seven".into()) } else { Ok(()) } });
    }
    let input = Arc::new(Semaphore::new(0));
    let options = RunOptions::new().observer(recorder.clone());
    let run = flow.build().unwrap().start_with(Arc::clone(&input), options);
    run.output(first).await.unwrap();
    recorder.flush().await.unwrap();
    let data = harness.stop().await.unwrap();

    input.add_permits(1);
    run.wait().await.unwrap_err();
    assert_eq!(recorder.stats().open, 1);
    let harness = Harness::restart(data, |config| {
        config.server.listen = address.parse().unwrap();
    })
    .await;
    check(&client, &recorder, &run).await;
    assert_eq!(recorder.stats().given_up, 0);
    harness.stop().await;
}
