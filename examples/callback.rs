//! Being told: a receiver that takes the service's requests and verifies their sender.

use std::sync::Arc;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::{Context, Result};
use jobtracker_client::{
    HttpAction, NewChange, NewJob, State,
    reqwest::header::{HeaderMap, HeaderValue},
};
use standardwebhooks::Webhook;
use tokio::sync::mpsc;

/// Known to the service and the receiver alone. Keep yours out of the code.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What the receiver needs.
struct Receiver {
    webhook: Webhook,
    told: mpsc::UnboundedSender<serde_json::Value>,
}

/// Takes requests that are signed and fresh, and refuses all others.
async fn receive(
    receiver: web::Data<Receiver>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let mut headers = HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let value = request.headers().get(name);
        if let Some(Ok(value)) = value.map(|value| HeaderValue::from_bytes(value.as_bytes())) {
            headers.insert(name, value);
        }
    }
    if receiver.webhook.verify(&body, &headers).is_err() {
        return HttpResponse::Unauthorized().finish();
    }
    let Ok(told) = serde_json::from_slice(&body) else {
        return HttpResponse::BadRequest().finish();
    };
    // The same id may come again: a receiver that acts on it remembers the ids that were done.
    let _ = receiver.told.send(told);
    HttpResponse::NoContent().finish()
}

#[actix_web::main]
async fn main() -> Result<()> {
    let (told, mut tells) = mpsc::unbounded_channel();
    let receiver = web::Data::new(Receiver { webhook: Webhook::new(SECRET)?, told });
    let app = move || App::new().app_data(receiver.clone()).route("/jobs", web::post().to(receive));
    let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0")?;
    let address = server.addrs().first().copied().context("it listens somewhere")?;
    let server = server.run();
    let receiving = server.handle();
    let serving = actix_web::rt::spawn(server);

    let service = jobtracker_examples::start().await?;
    let tracker = Arc::new(service.client());
    let hook = HttpAction::new(format!("http://{address}/jobs")).secret(SECRET);
    let deploy = NewJob::new("deploy").notify_on_finish(hook);
    let deploy = tracker.create(deploy).await?.id;
    let host = tracker.create(NewJob::new("host-01").under(deploy)).await?.id;
    tracker.update(deploy, NewChange::new(State::RanToCompletion)).await?;
    // The last of its jobs to finish finishes the tree, whichever program reports it.
    tracker.update(host, NewChange::new(State::Faulted).message("disk full")).await?;

    let told = tells.recv().await.context("the receiver is told")?;
    let data = &told["data"];
    println!("{} is {}: {}", data["job"]["name"], data["state"], data["message"]);
    assert_eq!(
        (data["state"].as_str(), data["message"].as_str()),
        (Some("Faulted"), Some("disk full"))
    );
    service.stop().await;
    receiving.stop(true).await;
    serving.await??;
    Ok(())
}
