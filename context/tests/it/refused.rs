use std::{collections::HashSet, fs, sync::Arc, time::Duration};

use futures_util::{FutureExt, TryStreamExt};
use jobtracker_client::{UploadSource, Uploads};
use jobtracker_context::{Error, Fsync, JobTrackerContext, SavedTrees, WhenFull};
use jobtracker_model::{NewChange, ProblemCode, State};
use tokio::time::timeout;

use crate::{
    recorded::{self, id, job, report},
    service::{Fault, Service},
};

/// Three trees, of which the service does not want the second.
async fn refuse_one(context: &JobTrackerContext, service: &Service) {
    service.kept().refuse.insert(id(2));
    for number in 1..=3 {
        context.create(job(number, None)).await.unwrap();
    }
    context.create(job(20, 2)).await.unwrap();
    let change = NewChange::new(State::Faulted).message("no").change_id("c");
    context.update(id(20), change).await.unwrap();
    let refused = context.flush().await;
    assert!(matches!(refused, Err(Error::Refused { flushed }) if flushed.refused == 1));
}

#[tokio::test]
async fn what_is_refused_stays_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("refused");
    let service = Service::new(true);
    let context = recorded::context(&service);
    refuse_one(&context, &service).await;
    let refused = context.refused();
    assert_eq!((refused[0].root, refused[0].operations, refused.len()), (id(2), 3, 1));
    assert_eq!(refused[0].refusal.code, ProblemCode::TooDeep.code());
    assert_eq!(refused[0].upload, service.kept().sent[0]);
    let stats = context.stats();
    assert_eq!((stats.operations, stats.in_flight, stats.refused), (0, 0, 3));
    report(&context, 1, State::Running).await;
    assert_eq!(context.commit_and_close().await.unwrap().changes, 1);

    // Refused trees can be taken from a closed context, too.
    fs::write(&path, "somebody's").unwrap();
    assert!(matches!(context.save_refused(&path).await, Err(Error::Save { .. })));
    assert_eq!((context.refused(), fs::read(&path).unwrap()), (refused, b"somebody's".to_vec()));
    fs::remove_file(&path).unwrap();
    assert_eq!(context.save_refused(&path).await.unwrap(), 1);
    assert_eq!((context.refused().len(), context.stats().bytes), (0, 0));
    let again = folder.path().join("again");
    assert_eq!(context.save_refused(&again).await.unwrap(), 0);
    assert!(!again.exists());

    // When the cause is gone, it is sent from the file.
    service.kept().refuse.clear();
    let trees = Arc::new(SavedTrees::open(&path).unwrap());
    let outcome = service.upload(&"again".parse().unwrap(), trees).await.unwrap();
    assert_eq!((outcome.applied, outcome.jobs, outcome.changes), (1, 2, 1));
    assert_eq!(service.kept().jobs[&id(2)].node.status.subtree.failed, 1);
}

#[tokio::test]
async fn saved_trees_are_sent_without_those_that_arrived() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("refused");
    let service = Service::new(true);
    service.kept().refuse.extend([id(1), id(2)]);
    let context = recorded::context(&service);
    for number in 1..=2 {
        context.create(job(number, None)).await.unwrap();
        report(&context, number, State::Running).await;
    }
    context.flush().await.unwrap_err();
    assert_eq!(context.save_refused(&path).await.unwrap(), 2);
    let stream = async |applied: &[u64]| {
        let applied = applied.iter().map(|root| id(*root)).collect();
        let source = SavedTrees::open(&path).unwrap();
        let chunks: Vec<_> = UploadSource::open(&source, &applied).try_collect().await.unwrap();
        chunks.concat()
    };
    assert_eq!(stream(&[]).await, fs::read(&path).unwrap());
    assert_eq!(crate::service::read(&stream(&[1]).await).len(), 6);
    assert_eq!(crate::service::read(&stream(&[1, 2]).await).len(), 2);
    // A file that is not a whole upload is not sent, and one that stops being whole while it is
    // sent has no end that the service could accept.
    let whole = fs::read(&path).unwrap();
    let source = SavedTrees::open(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let chunks = UploadSource::open(&source, &HashSet::new());
    assert!(chunks.try_collect::<Vec<_>>().await.is_err());
    for bytes in [&whole[..whole.len() - 1], b"JOBTREES\x02", b""] {
        fs::write(&path, bytes).unwrap();
        assert!(SavedTrees::open(&path).is_err());
    }
}

/// An upload that the service does not understand does not keep the others waiting.
#[tokio::test]
async fn a_commit_that_is_refused_as_a_whole_stays_too() {
    let service = Service::new(true);
    let context = recorded::context(&service);
    context.create(job(1, None)).await.unwrap();
    context.create(job(2, None)).await.unwrap();
    service.fail(Fault::Refused(ProblemCode::CommitTooLarge));
    let refused = context.flush().await;
    assert!(matches!(refused, Err(Error::Refused { flushed }) if flushed.refused == 2));
    let codes: Vec<_> = context.refused().into_iter().map(|tree| tree.refusal.code).collect();
    assert_eq!(codes, ["commit_too_large", "commit_too_large"]);
    context.create(job(3, None)).await.unwrap();
    assert_eq!(context.flush().await.unwrap().jobs, 1);
    assert_eq!((context.drop_refused(id(1)), context.drop_refused(id(1))), (1, 0));
    assert_eq!(context.stats().refused, 1);
    assert_eq!(context.close().await.unwrap().operations, 1);
    assert!(context.refused().is_empty());
}

#[tokio::test]
async fn what_is_refused_takes_room() {
    for when_full in [WhenFull::Refuse, WhenFull::Wait, WhenFull::Flush] {
        let service = Service::new(true);
        let builder = recorded::builder(&service).max_operations(6).when_full(when_full);
        let context = builder.build().unwrap();
        refuse_one(&context, &service).await;
        for number in 4..=6 {
            context.create(job(number, None)).await.unwrap();
        }
        let lines = || context.append_log(id(6), vec!["x".into(); 4]);
        let full = timeout(Duration::from_secs(30), lines()).await.expect("no task makes room");
        assert!(matches!(full, Err(Error::Full { .. })), "{full:?}");
        assert_eq!(context.drop_refused(id(2)), 3);
        if when_full == WhenFull::Flush {
            lines().await.unwrap();
        }
        context.close().await.unwrap();
    }
}

/// A task that waits for room when everything is refused learns that there will be none.
#[tokio::test]
async fn a_wait_for_room_ends_when_all_is_refused() {
    let service = Service::new(true);
    let builder = recorded::builder(&service).max_operations(2).when_full(WhenFull::Wait);
    let context = builder.build().unwrap();
    service.kept().refuse.insert(id(2));
    context.create(job(2, None)).await.unwrap();
    context.create(job(20, 2)).await.unwrap();
    let mut waits = Box::pin(context.create(job(3, None)));
    assert!((&mut waits).now_or_never().is_none());
    assert!(matches!(context.flush().await, Err(Error::Refused { .. })));
    let full = timeout(Duration::from_secs(30), waits).await.expect("it goes on waiting");
    assert!(matches!(full, Err(Error::Full { .. })), "{full:?}");
    context.close().await.unwrap();
}

#[tokio::test]
async fn a_journal_keeps_it_until_somebody_has_taken_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let service = Service::new(true);
    let open = || recorded::builder(&service).journal(&path).fsync(Fsync::OnCall).build().unwrap();
    let context = open();
    refuse_one(&context, &service).await;
    drop(context);
    let recovered = JobTrackerContext::recover(Arc::clone(&service) as _, &path).await.unwrap();
    assert_eq!((recovered.flushed.applied, recovered.flushed.refused), (0, 1));
    let file = recovered.refused_in.unwrap();
    assert_eq!(file, folder.path().join("journal.refused"));
    assert_eq!(fs::metadata(&path).unwrap().len(), 9);
    service.kept().refuse.clear();
    let trees = Arc::new(SavedTrees::open(&file).unwrap());
    service.upload(&"again".parse().unwrap(), trees).await.unwrap();
    assert_eq!(service.kept().jobs.len(), 4);

    // Taken while the context lives, it leaves the journal.
    service.kept().jobs.clear();
    let context = open();
    refuse_one(&context, &service).await;
    assert!(context.stats().journal_bytes > 9);
    context.save_refused(folder.path().join("saved")).await.unwrap();
    assert_eq!(context.stats().journal_bytes, 9);
    context.close().await.unwrap();
}
