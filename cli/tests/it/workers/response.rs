//! How long the service takes to answer a worker.

use jobtracker_client::Routing;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

/// By how much answers are later on a slow way: more than a busy machine makes of it.
const LATER: Duration = Duration::from_millis(1_000);

/// A way to the service on which answers take longer.
async fn slow(service: &str) -> String {
    let service = service.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(&service).await.unwrap();
            let ((mut asks, mut hears), (mut answers, mut gets)) =
                (client.into_split(), server.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut asks, &mut gets).await });
            tokio::spawn(async move {
                let mut bytes = vec![0; 65_536];
                while let Ok(count @ 1..) = answers.read(&mut bytes).await {
                    tokio::time::sleep(LATER).await;
                    if hears.write_all(&bytes[..count]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

/// R1.
#[tokio::test]
async fn a_task_goes_to_the_worker_that_the_service_answers_fastest() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let far = JobTrackerClient::builder(slow(harness.url()).await).build().unwrap();
    let quick = |_| async { Ok(Success::new()) };
    let start = |client: &JobTrackerClient, name: &str| {
        let worker = Worker::builder(client.clone(), name).slots(1);
        Playing::start(worker.handler("test/quick", "", quick))
    };
    // By its id it would be the first one.
    let workers = [start(&far, "a-far"), start(&client, "b-near")];
    let trips = async || -> Vec<f64> {
        let known = client.workers().await.unwrap().into_iter();
        known.filter_map(|worker| worker.load?.round_trip_ms).collect()
    };
    until(async || trips().await.len() == 2).await;
    let trips = trips().await;
    assert!(trips[0] >= LATER.as_secs_f64() * 1_000.0 && trips[0] > trips[1], "{trips:?}");
    let task = NewTask { routing: Routing::FastestResponse {}, ..NewTask::new("test/quick") };
    let job = create(&client, task).await;
    assert_eq!(end(&client, job).await, State::RanToCompletion);
    let changes = client.changes(job, ListPage::default()).await.unwrap().items;
    let claimed = changes.iter().find(|change| change.state == State::Running).unwrap();
    assert!(claimed.message.as_ref().unwrap().contains("on worker b-near"), "{claimed:?}");
    drop(workers);
    harness.stop().await;
}
