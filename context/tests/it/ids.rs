use std::collections::HashSet;

use jobtracker_context::Error;
use jobtracker_model::NewJob;

use crate::{
    recorded::{self, id},
    service::Service,
};

#[tokio::test]
async fn they_are_reserved_ahead() {
    let service = Service::new(true);
    let context = recorded::builder(&service).id_block_size(10).build().unwrap();
    let mut ids = HashSet::new();
    for _ in 0..35 {
        ids.insert(context.create(NewJob::new("a")).await.unwrap());
        tokio::task::yield_now().await;
    }
    assert_eq!(ids.len(), 35);
    // Half of the fourth block is used, and the fifth is there.
    assert_eq!(service.kept().reserved, [10; 5]);
    context.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_two_jobs_share_one() {
    let service = Service::new(true);
    let context = recorded::builder(&service).id_block_size(3).build().unwrap();
    let mut batch = context.batch();
    for _ in 0..200 {
        batch.add(|context| async move { context.create(NewJob::new("a")).await });
    }
    let ids: HashSet<_> = batch.parallel(50).run().await.unwrap().into_iter().collect();
    assert_eq!(ids.len(), 200);
    assert_eq!(context.close().await.unwrap().operations, 200);
}

#[tokio::test]
async fn a_range_of_ones_own() {
    let service = Service::new(true);
    let context = recorded::builder(&service).ids_from(id(500), 2).build().unwrap();
    for number in [500, 501] {
        assert_eq!(context.create(NewJob::new("a")).await.unwrap(), id(number));
    }
    assert!(matches!(context.create(NewJob::new("a")).await, Err(Error::IdsUsedUp)));
    assert!(service.kept().reserved.is_empty());
    // An id that the caller chooses is not one of them.
    context.create(NewJob::new("a").id(id(9))).await.unwrap();
    assert_eq!(context.close().await.unwrap().operations, 3);
}
