use std::{fs, io::Write, path::Path, sync::Arc, time::Duration};

use jobtracker_context::{Error, Fsync, JobTrackerContext, RecoverReport, WhenFull};
use jobtracker_model::{NewChange, State, upload::Item};

use crate::{
    recorded::{self, id, job, report},
    service::{Fault, Service, read},
};

fn open(service: &Arc<Service>, path: &Path) -> JobTrackerContext {
    recorded::builder(service).journal(path).fsync(Fsync::OnCall).build().unwrap()
}

async fn recover(service: &Arc<Service>, path: &Path) -> RecoverReport {
    JobTrackerContext::recover(Arc::clone(service) as _, path).await.unwrap()
}

/// A tree with everything in it.
async fn record(context: &JobTrackerContext) {
    context.create(job(1, None).tag("t").options("old")).await.unwrap();
    for number in 2..=4 {
        context.create(job(number, 1)).await.unwrap();
        report(context, number, State::Running).await;
    }
    let change = NewChange::new(State::Faulted).message("no").reason_code("c").change_id("i");
    context.update(id(2), change).await.unwrap();
    context.update_options(id(1), Some("new".into())).await.unwrap();
    context.append_log(id(3), vec!["a".into(), "b".into()]).await.unwrap();
}

/// The journal as a process that is killed now leaves it: a copy, since the lock of the original
/// goes away only with its context.
fn killed(path: &Path) -> std::path::PathBuf {
    let copy = path.with_extension("copy");
    fs::copy(path, &copy).unwrap();
    copy
}

fn items(service: &Service, index: usize) -> Vec<Item> {
    let kept = service.kept();
    read(&kept.streams[&kept.sent[index]])
}

#[tokio::test]
async fn what_was_recorded_is_sent_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (service, other) = (Service::new(true), Service::new(true));
    let context = open(&service, &path);
    record(&context).await;
    context.sync().await.unwrap();
    let report = recover(&other, &killed(&path)).await;
    assert_eq!((report.operations, report.torn_bytes, report.misplaced), (11, 0, 0));
    assert_eq!((report.flushed.jobs, report.flushed.changes), (4, 4));
    // The recovered stream is the one that the context itself sends.
    context.commit_and_close().await.unwrap();
    assert_eq!(items(&service, 0), items(&other, 0));
    // Nothing is left, neither of the one nor of the other.
    for path in [&path, &killed(&path)] {
        drop(context.clone());
        assert_eq!(fs::metadata(path).unwrap().len(), 9);
    }
    assert_eq!(recover(&other, &path.with_extension("copy")).await, RecoverReport::default());
}

#[tokio::test]
async fn a_commit_that_had_arrived_is_not_applied_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    for fault in [Fault::LostReply, Fault::Unreachable] {
        let service = Service::new(true);
        let context = open(&service, &path);
        record(&context).await;
        service.fail(fault);
        context.flush().await.unwrap_err();
        // More operations in the same tree, and another tree.
        report(&context, 3, State::RanToCompletion).await;
        context.create(job(5, 4)).await.unwrap();
        context.create(job(9, None)).await.unwrap();
        context.sync().await.unwrap();
        let recovered = recover(&service, &killed(&path)).await;
        assert_eq!((recovered.operations, recovered.flushed.uploads), (14, 2));
        let kept = service.kept();
        assert_eq!(kept.jobs.len(), 6);
        assert_eq!(kept.jobs[&id(3)].changes.len(), 3);
        assert_eq!(kept.jobs[&id(3)].lines.len(), 2);
        drop(kept);
        drop(context);
        fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn jobs_of_the_service_are_recovered_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let service = Service::new(true);
    let context = open(&service, &path);
    record(&context).await;
    context.flush().await.unwrap();
    assert_eq!(context.stats().journal_bytes, 9);
    report(&context, 3, State::RanToCompletion).await;
    context.create(job(5, 4)).await.unwrap();
    context.sync().await.unwrap();
    let recovered = recover(&service, &killed(&path)).await;
    assert_eq!((recovered.operations, recovered.misplaced), (2, 0));
    assert_eq!(service.kept().jobs[&id(1)].node.status.subtree.total, 4);
    context.close().await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), 9);
}

#[tokio::test]
async fn a_tail_that_is_torn_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let context = open(&Service::new(true), &path);
    record(&context).await;
    context.sync().await.unwrap();
    let whole = fs::read(&path).unwrap();
    let copy = path.with_extension("torn");
    let mut operations = Vec::new();
    for length in (0..whole.len()).step_by(7) {
        fs::write(&copy, &whole[..length]).unwrap();
        let service = Service::new(true);
        let report = recover(&service, &copy).await;
        assert_eq!(report.misplaced, 0);
        assert_eq!(report.flushed.jobs as usize, service.kept().jobs.len());
        operations.push(report.operations);
    }
    assert!(operations.is_sorted() && operations[0] == 0);
    // Garbage behind the end does no harm; it is kept.
    fs::write(&copy, &whole).unwrap();
    fs::OpenOptions::new().append(true).open(&copy).unwrap().write_all(&[0; 1000]).unwrap();
    let report = recover(&Service::new(true), &copy).await;
    assert_eq!((report.torn_bytes, report.operations), (1000, 11));
    assert_eq!(fs::read(report.set_aside.unwrap()).unwrap(), [0; 1000]);
    fs::write(&copy, b"something else altogether").unwrap();
    let failed = JobTrackerContext::recover(Service::new(true) as _, &copy).await;
    assert!(matches!(failed, Err(Error::Journal { .. })));
    context.close().await.unwrap();
}

/// A changed byte at any position: an entry with whole entries behind it is never cut off.
#[tokio::test]
async fn damage_is_no_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let context = open(&Service::new(true), &path);
    record(&context).await;
    context.sync().await.unwrap();
    let whole = fs::read(&path).unwrap();
    context.close().await.unwrap();
    let (mut damaged, mut torn) = (0, 0);
    for at in (9..whole.len()).step_by(5) {
        let path = folder.path().join(format!("journal-{at}"));
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(&path, &bytes).unwrap();
        let service = Service::new(true);
        match JobTrackerContext::recover(Arc::clone(&service) as _, &path).await {
            // The byte was in the last entry, which looks like one that was not written to its end.
            Ok(report) => {
                torn += 1;
                assert_eq!(report.operations, 9);
                let tail = fs::read(report.set_aside.unwrap()).unwrap();
                assert!(!tail.is_empty() && bytes.ends_with(&tail));
            }
            Err(error) => {
                damaged += 1;
                let Error::JournalDamaged { at: place, .. } = error else { panic!("{error:?}") };
                assert!(place <= at as u64);
                assert!(service.kept().sent.is_empty() && fs::read(&path).unwrap() == bytes);
                let salvage = JobTrackerContext::salvage(Arc::clone(&service) as _, &path);
                let report = salvage.await.unwrap();
                assert!(report.damaged_bytes > 0 && report.torn_bytes == 0);
                assert_eq!(fs::read(report.set_aside.unwrap()).unwrap(), bytes);
                assert_eq!(fs::metadata(&path).unwrap().len(), 9);
                // One entry is lost, with all that depends on it: at most the creation of a root.
                assert!(report.operations + report.misplaced >= 9);
                assert_eq!(report.flushed.jobs as usize, service.kept().jobs.len());
            }
        }
    }
    assert!(damaged > 20 && torn > 0);
}

/// A salvage that is repeated until the service is there keeps one copy, also if it has cut off a
/// torn end.
#[tokio::test]
async fn a_salvage_that_is_repeated_keeps_one_copy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let context = open(&Service::new(true), &path);
    record(&context).await;
    context.sync().await.unwrap();
    drop(context);
    let mut bytes = fs::read(&path).unwrap();
    let text = bytes.windows(3).position(|bytes| bytes == b"new").unwrap();
    bytes[text] ^= 0x55;
    bytes.extend([7; 5]);
    fs::write(&path, &bytes).unwrap();
    let service = Service::new(true);
    let salvage = || JobTrackerContext::salvage(Arc::clone(&service) as _, &path);
    for _ in 0..3 {
        service.fail(Fault::Unreachable);
        assert!(matches!(salvage().await, Err(Error::Flush(_))));
    }
    let report = salvage().await.unwrap();
    assert_eq!(report.operations, 10);
    assert_eq!(fs::read(report.set_aside.unwrap()).unwrap(), bytes);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    // Another damage gets another copy.
    bytes[text] ^= 0x33;
    fs::write(&path, &bytes).unwrap();
    let report = salvage().await.unwrap();
    assert_eq!(report.set_aside.unwrap(), folder.path().join("journal.damaged-2"));
}

#[tokio::test]
async fn a_journal_has_one_owner_and_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let service = Service::new(true);
    let context = open(&service, &path);
    record(&context).await;
    context.sync().await.unwrap();
    let builder = || recorded::builder(&service).journal(&path);
    assert!(matches!(builder().build(), Err(Error::JournalInUse { .. })));
    let failed = JobTrackerContext::recover(Arc::clone(&service) as _, &path).await;
    assert!(matches!(failed, Err(Error::JournalInUse { .. })));
    drop(context);
    assert!(matches!(builder().build(), Err(Error::JournalNotEmpty { .. })));

    // What cannot be sent stays, for the next time.
    service.fail(Fault::Unreachable);
    let failed = JobTrackerContext::recover(Arc::clone(&service) as _, &path).await;
    assert!(matches!(failed, Err(Error::Flush(_))));
    assert_eq!(recover(&service, &path).await.flushed.jobs, 4);
    assert_eq!(service.kept().sent.len(), 1);
    builder().build().unwrap();
    let absent = folder.path().join("absent");
    assert_eq!(recover(&service, &absent).await, RecoverReport::default());
    assert!(builder().journal(folder.path().join("no/folder")).build().is_err());
}

#[tokio::test]
async fn the_rule_for_finished_jobs_is_recovered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let service = Service::new(false);
    let context = open(&service, &path);
    context.create(job(1, None)).await.unwrap();
    for state in [State::Faulted, State::Running, State::RanToCompletion] {
        assert!(report(&context, 1, state).await);
    }
    drop(context);
    assert_eq!(recover(&service, &path).await.flushed.changes, 3);
    assert_eq!(service.kept().jobs[&id(1)].node.status.state, State::Faulted);
}

#[tokio::test]
async fn a_journal_does_not_grow_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let service = Service::new(true);
    let context = recorded::builder(&service)
        .journal(&path)
        .fsync(Fsync::Every(Duration::from_millis(1)))
        .max_journal_bytes(5_000)
        .when_full(WhenFull::Flush)
        .build()
        .unwrap();
    context.create(job(1, None)).await.unwrap();
    for number in 2..=500 {
        context.create(job(number, 1)).await.unwrap();
        assert!(context.stats().journal_bytes < 6_000);
    }
    assert_eq!(context.commit_and_close().await.unwrap().jobs, 500);
    drop(context);
    assert_eq!(fs::metadata(&path).unwrap().len(), 9);
}
