use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use jobtracker_context::{ContextBuilder, ContextJob, JobTrackerContext};
use jobtracker_model::{JobId, NewChange, NewJob, State, Timestamp, rollup::Status};

use crate::service::Service;

pub fn id(number: u64) -> JobId {
    JobId::new(number).unwrap()
}

pub fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

/// A context whose clock goes on by a millisecond each time it is asked.
pub fn builder(service: &Arc<Service>) -> ContextBuilder {
    let now = AtomicI64::new(1000);
    JobTrackerContext::builder(Arc::clone(service) as _)
        .block_updates_after_finish(service.block)
        .clock(move || time(now.fetch_add(1, Ordering::Relaxed)))
}

pub fn context(service: &Arc<Service>) -> JobTrackerContext {
    builder(service).build().unwrap()
}

/// A job with an id of its own, a root or a child.
pub fn job(number: u64, parent: impl Into<Option<u64>>) -> NewJob {
    let job = NewJob::new(format!("job {number}")).id(id(number));
    match parent.into() {
        Some(parent) => job.under(id(parent)),
        None => job,
    }
}

pub async fn report(context: &JobTrackerContext, number: u64, state: State) -> bool {
    context.update(id(number), NewChange::new(state)).await.unwrap().applied
}

pub async fn seen(context: &JobTrackerContext, number: u64) -> ContextJob {
    context.get(id(number)).await.unwrap().unwrap()
}

pub async fn status(context: &JobTrackerContext, number: u64) -> Status {
    seen(context, number).await.node.status
}
