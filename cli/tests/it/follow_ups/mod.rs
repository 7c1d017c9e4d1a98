//! Actions and state checks: receivers get their deliveries, by requests to a real receiver.

mod actions;
mod alarms;
mod causes;
mod checks;
mod deliveries;
mod killed;
mod mails;
mod outages;
pub mod receiver;
mod refused;
mod servers;
mod worked_examples;

use jobtracker_client::{
    Action, Delivery, DeliveryStatus, HttpAction, JobId, JobTrackerClient, ListPage, State,
};
use jobtracker_server::{Config, StoreKind};
use receiver::{LONG, Receiver};

use crate::harness::Harness;

pub fn id(number: u64) -> JobId {
    JobId::new(number).unwrap()
}

/// An action that fires for each of these states, at this path of the receiver.
pub fn tell(receiver: &Receiver, path: &str, states: &[State]) -> Action {
    Action::new(states.iter().copied(), HttpAction::new(receiver.url(path)))
}

/// No pauses, and as many tries as by default.
fn quick(config: &mut Config) {
    config.callbacks.schedule_seconds = vec![0; 7];
}

pub async fn start(kind: StoreKind) -> Harness {
    Harness::start(kind, quick).await
}

/// All deliveries of a job.
pub async fn deliveries(client: &JobTrackerClient, job: JobId) -> Vec<Delivery> {
    let mut all = Vec::new();
    let mut page = ListPage::default().limit(3);
    loop {
        let found = client.deliveries(job, page.clone()).await.unwrap();
        all.extend(found.items);
        let Some(cursor) = found.next_cursor else { return all };
        page = page.cursor(cursor);
    }
}

/// Waits until no delivery of a job waits any more. An outcome is noted a little later than the
/// receiver gets the delivery.
pub async fn settled(client: &JobTrackerClient, job: JobId) -> Vec<Delivery> {
    let mut all = Vec::new();
    eventually(async || {
        all = deliveries(client, job).await;
        all.iter().all(|delivery| delivery.status != DeliveryStatus::Waiting)
    })
    .await;
    all
}

/// Polls until the condition is true.
pub async fn eventually(mut is_so: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, looking).await.expect("it is so in the end");
}
