//! An upload of which a tree is refused, and a process that is killed then: applied trees are not
//! applied again, also if the service has forgotten the upload.

use std::sync::Arc;

use jobtracker_client::{JobId, ListPage, NewChange, NewJob, State, Timestamp};
use jobtracker_context::{Error, JobTrackerContext};

use crate::harness::{Harness, STORES};

fn id(number: u64) -> JobId {
    JobId::new(number).unwrap()
}

#[tokio::test]
async fn what_was_applied_beside_it_is_not_sent_again() {
    for (kind, is_forgotten) in [(STORES[0], false), (STORES[0], true), (STORES[1], true)] {
        let harness = Harness::start(kind, |_| {}).await;
        let client = Arc::new(harness.client());
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal");
        harness.create(1, None).await;
        harness.create(2, None).await;
        let context = JobTrackerContext::builder(Arc::clone(&client) as _).journal(&journal);
        let context = context.build().unwrap();
        context.update(id(1), NewChange::new(State::Running)).await.unwrap();
        context.create(NewJob::new("another one").id(id(2))).await.unwrap();
        context.create(NewJob::new("child").id(id(20)).under(id(2))).await.unwrap();
        let Err(Error::Refused { flushed }) = context.flush().await else { panic!("it is taken") };
        assert_eq!((flushed.applied, flushed.refused), (1, 1));
        // A kill leaves the same.
        drop(context);
        if is_forgotten {
            assert_eq!(harness.store().forget_uploads(Timestamp::MAX, 10).await.unwrap(), 1);
        }
        let report = JobTrackerContext::recover(Arc::clone(&client) as _, &journal).await.unwrap();
        assert_eq!((report.operations, report.misplaced), (2, 0));
        assert_eq!((report.flushed.applied, report.flushed.refused), (0, 1));
        assert!(report.refused_in.is_some());
        let changes = client.changes(id(1), ListPage::default()).await.unwrap();
        assert_eq!(changes.items.len(), 2);
        harness.stop().await;
    }
}
