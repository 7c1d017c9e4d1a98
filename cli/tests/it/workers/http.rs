//! The handler `http` within a worker.

use jobtracker_worker::builtin::Http;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

fn request(params: &Value) -> NewTask {
    NewTask::new("test/http").params(Payload::of(params).unwrap()).retry(again())
}

async fn log(client: &JobTrackerClient, job: JobId) -> Vec<String> {
    let log = client.log(job, Default::default()).await.unwrap();
    log.items.into_iter().map(|line| line.text).collect()
}

/// A3.
#[tokio::test]
async fn a_request_is_sent_where_it_may_go_and_its_answer_is_kept_without_secrets() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/geheim?geheim", listener.local_addr().unwrap());
    let echo = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = vec![0; 64 * 1024];
        let read = stream.read(&mut heard).await.unwrap();
        let heard = String::from_utf8_lossy(&heard[..read]).into_owned();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", heard.len());
        stream.write_all(format!("{head}{heard}").as_bytes()).await.unwrap();
        heard
    };
    let http = Http::new(["127.0.0.1"]).unwrap();
    let worker = Playing::start(builder(&client).handler("test/http", "", http));
    let headers = json!({"x-key": "topsecret", "authorization": "Bearer topsecret"});
    let params = json!({"url": url, "headers": headers});
    let job = create(&client, request(&params)).await;
    let heard = tokio::time::timeout(LONG, echo).await.unwrap();
    assert_eq!(end(&client, job).await, State::RanToCompletion);
    for part in ["x-key: topsecret", "jobtracker-epoch: 1", &format!("jobtracker-job: {job}")] {
        assert!(heard.contains(part), "{heard}");
    }
    let result: Value =
        serde_json::from_str(client.task(job).await.unwrap().result.unwrap().as_str()).unwrap();
    assert_eq!((&result["status"], &result["isCut"]), (&json!(200), &json!(false)));
    assert!(result["body"].as_str().unwrap().contains("x-key: ***"), "{result}");
    let told = [log(&client, job).await.join("\n"), last_words(&client, job).await];
    assert!(told[0].starts_with("GET http://127.0.0.1:") && told[0].contains("x-key: ***"));
    assert!(told.iter().all(|text| !text.contains("topsecret")), "{told:?}");
    assert!(!told[0].lines().next().unwrap().contains("geheim"), "{told:?}");

    let metadata = create(&client, request(&json!({"url": "http://169.254.169.254/"}))).await;
    assert_eq!(end(&client, metadata).await, State::Faulted);
    assert_eq!(story(&client, metadata).await.len(), 3, "no attempt follows a refusal");
    let said = last_words(&client, metadata).await;
    assert!(said.contains("169.254.169.254"), "{said}");
    drop(worker);
    harness.stop().await;
}

#[tokio::test]
async fn a_cancelled_request_is_broken_off() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let http = Http::new(["127.0.0.0/8"]).unwrap();
    let worker = Playing::start(builder(&client).handler("test/http", "", http));
    let job = create(&client, request(&json!({"url": url}))).await;
    let (mut stream, _) = tokio::time::timeout(LONG, listener.accept()).await.unwrap().unwrap();
    client.cancel_task(job).await.unwrap();
    // Its end is seen by the receiver, which never answers.
    let mut heard = Vec::new();
    tokio::time::timeout(LONG, stream.read_to_end(&mut heard)).await.unwrap().unwrap();
    assert!(heard.starts_with(b"GET / HTTP/1.1\r\n"));
    assert_eq!(end(&client, job).await, State::Faulted);
    assert!(last_words(&client, job).await.contains("cancelled"));
    drop(worker);
    harness.stop().await;
}

/// A3.
#[tokio::test]
async fn no_worker_calls_anything_unless_it_is_said() {
    let refused = refusal(&["worker", "--enable", "command", "--allow", "a", "--allow-host", "a"]);
    assert!(refused.contains("--enable http"), "{refused}");
    let refused = refusal(&["worker", "--enable", "http", "--allow-host", "10.0.0.1/8"]);
    assert!(refused.contains("a rule is a network"), "{refused}");
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let client = harness.client();
    let arguments = ["--enable", "http", "--prefix", "test"];
    let worker = WorkerProcess::start(harness.url(), &arguments);
    let service = create(&client, request(&json!({"url": harness.url()}))).await;
    assert_eq!(end(&client, service).await, State::Faulted);
    let said = last_words(&client, service).await;
    assert!(said.contains("no public address"), "{said}");
    drop(worker);
    harness.stop().await;
}
