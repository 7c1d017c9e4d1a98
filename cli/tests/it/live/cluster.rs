//! Two servers on one cluster tell the same.

use std::sync::Arc;

use jobtracker_store::scylla::{ScyllaStore, testing::Lent};
use serde_json::Value;

use super::reader::Events;
use crate::harness::Harness;

/// The events up to the end of the root, each with its position.
async fn told(events: &mut Events) -> Vec<Value> {
    let mut told = Vec::new();
    loop {
        let frame = events.next().await.unwrap();
        assert_ne!(frame["t"], "gap", "{frame}");
        if frame["t"] == "event" {
            let is_last = frame["kind"] == "state" && frame["state"] == "RanToCompletion";
            told.push(frame);
            if is_last {
                return told;
            }
        }
    }
}

#[tokio::test]
async fn each_server_tells_the_same_events_and_goes_on_where_the_other_was() {
    let lent = Lent::new().await;
    let start = async || {
        let store = ScyllaStore::open(&lent.options).await.unwrap();
        Harness::on(Arc::new(store), None, |_| {})
    };
    let (one, two) = (start().await, start().await);
    one.create(1, None).await;
    let mut views = [
        Events::open(&one, "topic=tree/1", None).await,
        Events::open(&two, "topic=tree/1", None).await,
    ];
    for view in &mut views {
        view.of("mark").await;
    }
    let begun = views[1].id.clone().unwrap();
    one.report(1, "Running").await;
    two.create(2, Some(1)).await;
    one.report(2, "Running").await;
    two.report(2, "RanToCompletion").await;
    let mut lists = Vec::new();
    for view in &mut views {
        lists.push(told(view).await);
    }
    assert_eq!(lists[0], lists[1]);
    // What the one has told, the other one tells again from the same position.
    let mut again = Events::open(&one, "topic=tree/1", Some(&begun)).await;
    assert_eq!(told(&mut again).await, lists[0]);
    drop((views, again));
    one.stop().await;
    two.stop().await;
    drop(lent);
}
