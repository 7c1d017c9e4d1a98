use jobtracker_context::unsent_drops;

use crate::{
    recorded::{self, job},
    service::{Fault, Service},
};

/// Other tests drop contexts at the same time, so only more can be told from less.
#[tokio::test]
async fn a_context_that_is_dropped_with_something_in_it_is_counted() {
    let service = Service::new(true);
    let context = recorded::context(&service);
    context.create(job(1, None)).await.unwrap();
    let other = context.clone();
    let before = unsent_drops();
    drop(context);
    other.create(job(2, None)).await.unwrap();
    drop(other);
    assert!(unsent_drops() > before);

    // Without an answer it counts too.
    let context = recorded::context(&service);
    context.create(job(3, None)).await.unwrap();
    service.fail(Fault::LostReply);
    context.flush().await.unwrap_err();
    let before = unsent_drops();
    drop(context);
    assert!(unsent_drops() > before);
}
