//! The refused trees of an upload stay in the journal.

use std::{fs, path::Path, sync::Arc};

use jobtracker_context::{Error, Fsync, JobTrackerContext, RecoverReport, SavedTrees, WhenFull};
use jobtracker_model::State;

use crate::{
    recorded::{self, id, job, report},
    service::Service,
};

fn open(service: &Arc<Service>, path: &Path) -> JobTrackerContext {
    recorded::builder(service).journal(path).fsync(Fsync::OnCall).build().unwrap()
}

/// A change without a change id in a tree that is there, a new tree, and two that are refused.
async fn record(context: &JobTrackerContext, service: &Service) {
    context.create(job(1, None)).await.unwrap();
    context.flush().await.unwrap();
    service.kept().refuse.extend([id(2), id(3)]);
    report(context, 1, State::Running).await;
    for number in 2..=4 {
        context.create(job(number, None)).await.unwrap();
        context.create(job(10 * number, number)).await.unwrap();
        report(context, 10 * number, State::Running).await;
    }
}

/// Recovers the journal as it is now, as if the process had been killed.
async fn recover(service: &Arc<Service>, bytes: &[u8]) -> RecoverReport {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    fs::write(&path, bytes).unwrap();
    let report = JobTrackerContext::recover(Arc::clone(service) as _, &path).await.unwrap();
    if let Some(file) = &report.refused_in {
        SavedTrees::open(file).unwrap();
    }
    assert_eq!(fs::metadata(&path).unwrap().len(), 9);
    report
}

fn changes(service: &Service, number: u64) -> usize {
    service.kept().jobs[&id(number)].changes.len()
}

#[tokio::test]
async fn only_what_was_refused_is_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let service = Service::new(true);
    let context = open(&service, &path);
    record(&context, &service).await;
    let refused = context.flush().await;
    assert!(matches!(refused, Err(Error::Refused { flushed }) if flushed.refused == 2));
    // Later operations in one of these trees go into another upload.
    report(&context, 4, State::Running).await;
    context.sync().await.unwrap();
    let journal = fs::read(&path).unwrap();

    for is_forgotten in [false, true] {
        let other = service.copy();
        if is_forgotten {
            other.kept().outcomes.clear();
        }
        let sent = other.kept().sent.len();
        let recovered = recover(&other, &journal).await;
        let flushed = &recovered.flushed;
        assert_eq!((recovered.operations, recovered.misplaced), (7, 0));
        assert_eq!((flushed.trees, flushed.applied, flushed.refused), (3, 1, 2));
        assert_eq!(flushed.changes, 1);
        assert_eq!((changes(&other, 1), changes(&other, 40), changes(&other, 4)), (2, 2, 2));
        // The refused ones, if they had to be sent, and the new upload.
        assert_eq!(other.kept().sent.len(), sent + 1 + usize::from(is_forgotten));
        assert_eq!(other.last_roots(), [4]);
        let upload = other.kept().sent[sent].clone();
        assert_eq!(other.kept().outcomes[&upload].trees.len(), if is_forgotten { 2 } else { 1 });
    }
    // The cause of the refusal is gone meanwhile: the trees are applied, once.
    let other = service.copy();
    other.kept().outcomes.clear();
    other.kept().refuse.clear();
    let recovered = recover(&other, &journal).await;
    assert_eq!((recovered.flushed.refused, recovered.refused_in), (0, None));
    assert_eq!((changes(&other, 1), changes(&other, 20), changes(&other, 30)), (2, 2, 2));
    context.close().await.unwrap();
}

/// Where the entries of a journal begin, and of what kind they are.
fn entries(journal: &[u8]) -> Vec<(usize, u8)> {
    let (mut at, mut entries) = (9, Vec::new());
    while let Some(length) = journal.get(at..at + 4) {
        entries.push((at, journal[at + 12]));
        at += 12 + u32::from_le_bytes(length.try_into().unwrap()) as usize;
    }
    entries
}

const REFUSED: u8 = 8;
const KEPT: u8 = 9;

/// The writing of the refused trees may break off at any byte: nothing is lost or doubled.
#[tokio::test]
async fn a_kill_while_an_outcome_is_written_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let service = Service::new(true);
    let context = open(&service, &path);
    record(&context, &service).await;
    context.flush().await.unwrap_err();
    assert_eq!(context.drop_refused(id(3)), 3);
    context.sync().await.unwrap();
    let journal = fs::read(&path).unwrap();
    context.close().await.unwrap();
    let written: Vec<_> =
        entries(&journal).into_iter().filter(|(_, kind)| *kind == REFUSED).collect();
    let [(first, _), (second, _)] = written[..] else { panic!("{written:?}") };
    for length in (first..journal.len()).step_by(5).chain([second, journal.len()]) {
        let is_known = length >= second;
        for is_forgotten in [false, true] {
            // Before it is written, only the service knows that it was sent.
            if is_forgotten && !is_known {
                continue;
            }
            let other = service.copy();
            if is_forgotten {
                other.kept().outcomes.clear();
            }
            let recovered = recover(&other, &journal[..length]).await;
            let left = if length == journal.len() { 1 } else { 2 };
            assert_eq!(recovered.flushed.refused, left, "{length}");
            assert_eq!(recovered.operations, if is_known { 3 * left } else { 10 }, "{length}");
            assert_eq!((changes(&other, 1), changes(&other, 40)), (2, 2), "{length}");
        }
    }
}

#[tokio::test]
async fn a_journal_is_not_kept_large_by_what_was_refused() {
    for (most, bound) in [(u64::MAX, 300_000), (20_000, 26_000)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let service = Service::new(true);
        let builder = recorded::builder(&service).journal(&path).fsync(Fsync::OnCall);
        let builder = builder.max_journal_bytes(most).when_full(WhenFull::Flush);
        let context = builder.build().unwrap();
        record(&context, &service).await;
        let mut grown = 0;
        for number in 1..=400 {
            context.append_log(id(4), vec!["x".repeat(5_000)]).await.unwrap();
            let size = context.stats().journal_bytes;
            grown = grown.max(size);
            assert!(size < bound, "{size}");
            if number % 20 == 0 {
                let _ = context.flush().await;
            }
        }
        let _ = context.flush().await;
        assert!(grown > bound / 4);
        // The refused trees are there, and nothing else.
        context.create(job(7_000, None)).await.unwrap();
        context.sync().await.unwrap();
        let journal = fs::read(&path).unwrap();
        assert_eq!(context.stats().journal_bytes, journal.len() as u64);
        assert_eq!(entries(&journal)[..2].iter().map(|entry| entry.1).max(), Some(KEPT));
        let other = service.copy();
        other.kept().outcomes.clear();
        other.kept().refuse.clear();
        let recovered = recover(&other, &journal).await;
        assert_eq!((recovered.operations, recovered.flushed.jobs), (7, 5));
        assert_eq!(other.kept().jobs[&id(4)].lines.len(), 400);
        assert_eq!((changes(&other, 1), changes(&other, 20), changes(&other, 30)), (2, 2, 2));

        context.close().await.unwrap();
        drop(context);
        assert_eq!(fs::metadata(&path).unwrap().len(), 9);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

/// A file of another program stays where the journal would be written anew, and so does a link to
/// it; a file that a kill has left there goes away.
#[cfg(unix)]
#[tokio::test]
async fn what_stands_beside_a_journal() {
    for is_in_the_way in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let [path, real, beside] =
            ["link", "journal", "journal.new"].map(|name| folder.path().join(name));
        std::os::unix::fs::symlink(&real, &path).unwrap();
        let content: &[u8] = if is_in_the_way { b"somebody's" } else { b"JOBTRKJ\x02\x01and more" };
        fs::write(&real, b"").unwrap();
        fs::write(&beside, content).unwrap();
        let service = Service::new(true);
        let context = open(&service, &path);
        assert_eq!(beside.exists(), is_in_the_way);
        record(&context, &service).await;
        context.flush().await.unwrap_err();
        for _ in 0..3 {
            context.append_log(id(4), vec!["x".repeat(8_000); 9]).await.unwrap();
            context.flush().await.unwrap();
        }
        context.sync().await.unwrap();
        let journal = fs::read(&path).unwrap();
        assert_eq!(context.stats().journal_bytes, journal.len() as u64);
        assert_eq!(journal.len() < 10_000, !is_in_the_way, "{}", journal.len());
        assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
        let left = fs::read(&beside).ok();
        assert_eq!(left.as_deref(), is_in_the_way.then_some(content));
        service.kept().outcomes.clear();
        let recovered = recover(&service, &journal).await;
        assert_eq!((recovered.operations, recovered.flushed.refused), (6, 2));
        assert_eq!((changes(&service, 1), changes(&service, 40)), (2, 2));
        context.close().await.unwrap();
    }
}

/// The version in a journal is the one that its reader has to know.
#[tokio::test]
async fn versions_of_the_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let service = Service::new(true);
    let context = open(&service, &path);
    let version = async || {
        context.sync().await.unwrap();
        fs::read(&path).unwrap()[7]
    };
    record(&context, &service).await;
    assert_eq!(version().await, 1);
    context.flush().await.unwrap_err();
    assert_eq!(version().await, 2);
    let journal = fs::read(&path).unwrap();
    context.save_refused(folder.path().join("saved")).await.unwrap();
    assert_eq!((version().await, context.stats().journal_bytes), (1, 9));
    drop(context);

    // An older journal has a tree that was refused, and one that was applied with it.
    let service = Service::new(true);
    service.kept().refuse.insert(id(10));
    let recovered = recover(&service, include_bytes!("version_1.journal")).await;
    assert_eq!((recovered.operations, recovered.misplaced), (8, 0));
    assert_eq!((recovered.flushed.applied, recovered.flushed.refused), (2, 1));

    // Later ones are refused, and stay as they are.
    let (mut later, mut kind) = (journal.clone(), journal.clone());
    later[7] = 3;
    let (at, _) = *entries(&journal).last().unwrap();
    kind[at + 12] = 10;
    let sum = xxhash_rust::xxh3::xxh3_64(&kind[at + 12..]);
    kind[at + 4..at + 12].copy_from_slice(&sum.to_le_bytes());
    for bytes in [later, kind] {
        fs::write(&path, &bytes).unwrap();
        let failed = JobTrackerContext::recover(Arc::clone(&service) as _, &path).await;
        let Err(Error::Journal { source, .. }) = failed else { panic!("{failed:?}") };
        assert!(source.to_string().contains("later version of this library"), "{source}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}
