//! A journal on a disk that has no room for it, or loses what was written: in processes of their
//! own, whose files may not grow for a while, or whose calls fail.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use jobtracker_context::{Error, Fsync, JobTrackerContext, RecoverReport};
use jobtracker_model::State;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{sync::Semaphore, task::yield_now};

use crate::{
    recorded::{self, id, job},
    service::Service,
};

const CHILD: &str = "JOBTRACKER_TEST_FULL";
/// The size of the control of the fault library: five numbers and a part of a path.
const CONTROL: usize = 5 * 4 + 128;

/// In a process of its own, which does not end by the signal that tells of a file that is too
/// large.
#[test]
fn a_journal_on_a_full_disk() {
    let mut child = Command::new("sh");
    child.args(["-c", "trap '' XFSZ; exec \"$0\" --exact full::in_a_process_of_its_own"]);
    let output = child.arg(env::current_exe().unwrap()).env(CHILD, "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Bytes that a disk has taken and could not make durable may be gone, even if it reports success
/// the next time.
#[test]
fn a_journal_on_a_disk_that_loses_what_it_has_taken() {
    let folder = tempfile::tempdir().unwrap();
    let [library, control] = ["faults.so", "control"].map(|name| folder.path().join(name));
    let source = "../server/store-suite/src/faults.c";
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let mut compiler = Command::new("cc");
    let built = compiler.args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl");
    assert!(built.status().expect("this needs a C compiler, as the build does").success());
    fs::write(&control, [0; CONTROL]).unwrap();
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", "full::in_a_process_of_its_own"]).env(CHILD, "2");
    let output = child.env("LD_PRELOAD", library).env("FAULTS", control).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn in_a_process_of_its_own() {
    let Ok(which) = env::var(CHILD) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if which == "1" {
        runtime.block_on(it_goes_on_when_there_is_room());
        runtime.block_on(what_is_sent_meanwhile_is_not_doubted_for_ever());
    } else {
        runtime.block_on(only_a_new_begin_helps());
    }
}

/// Makes the flushes of journals fail with EIO, or no more: the control of the fault library.
fn fail_flushes(fail: bool) {
    let mut control = [0; CONTROL];
    if fail {
        let (error, calls, times) = (5_u32.to_ne_bytes(), 4_u32.to_ne_bytes(), i32::MAX);
        control[..4].copy_from_slice(&error);
        control[4..8].copy_from_slice(&calls);
        control[16..20].copy_from_slice(&times.to_ne_bytes());
        control[20..27].copy_from_slice(b"journal");
    }
    let file = fs::OpenOptions::new().write(true).open(env::var("FAULTS").unwrap()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &control, 0).unwrap();
}

async fn only_a_new_begin_helps() {
    for is_refused in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let service = Service::new(true);
        let context = open(&service, &path);
        if is_refused {
            service.kept().refuse.insert(id(2));
            context.create(job(2, None)).await.unwrap();
            context.flush().await.unwrap_err();
        }
        context.create(job(1, None)).await.unwrap();
        fail_flushes(true);
        let failed = context.sync().await;
        assert!(matches!(failed, Err(Error::Journal { .. })), "{failed:?}");
        // Nothing is sent while the journal cannot even be marked as in doubt.
        let failed = context.flush().await;
        assert!(matches!(failed, Err(Error::Journal { .. })), "{failed:?}");
        fail_flushes(false);
        assert!(context.sync().await.is_err());
        assert!(context.create(job(3, None)).await.is_err());
        assert_eq!(context.flush().await.unwrap().jobs, 1);
        context.create(job(3, None)).await.unwrap();
        context.sync().await.unwrap();
        let other = service.copy();
        other.kept().outcomes.clear();
        let report = recover(&other, &path).await;
        assert_eq!(report.operations, 1 + u64::from(is_refused));
        assert_eq!(report.flushed.refused, u64::from(is_refused));
        assert_eq!(other.kept().jobs.len(), 2);
        context.close().await.unwrap();
    }
}

/// How large a file may become.
fn room(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum }).unwrap();
}

fn open(service: &Arc<Service>, path: &Path) -> JobTrackerContext {
    recorded::builder(service).journal(path).fsync(Fsync::OnCall).build().unwrap()
}

fn copy(path: &Path) -> PathBuf {
    let copy = path.with_extension("copy");
    fs::copy(path, &copy).unwrap();
    copy
}

async fn recover(service: &Arc<Service>, path: &Path) -> RecoverReport {
    JobTrackerContext::recover(Arc::clone(service) as _, copy(path)).await.unwrap()
}

/// Records until it is refused; says how many lines were taken.
async fn fill(context: &JobTrackerContext) -> usize {
    room(Some(context.stats().journal_bytes + 10_000));
    for count in 0..1_000 {
        match context.append_log(id(1), vec!["x".repeat(2_500)]).await {
            Ok(()) => {}
            Err(Error::Journal { source, .. }) => {
                assert_eq!(source.kind(), std::io::ErrorKind::FileTooLarge);
                return count;
            }
            Err(error) => panic!("{error:?}"),
        }
        // The journal fails in its own time, so the test asks again and again.
        let _ = context.sync().await;
    }
    panic!("the disk is not full");
}

async fn it_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let service = Service::new(true);
    let context = open(&service, &path);
    context.create(job(1, None)).await.unwrap();
    context.sync().await.unwrap();
    let taken = fill(&context).await;
    assert!((1..5).contains(&taken), "{taken}");
    let failed = context.sync().await;
    assert!(matches!(failed, Err(Error::Journal { .. })));
    // What was durable before still is, and ends with a whole entry.
    let other = Service::new(true);
    let report = recover(&other, &path).await;
    assert_eq!((report.operations as usize, report.torn_bytes), (taken, 0));

    room(None);
    context.sync().await.unwrap();
    recorded::report(&context, 1, State::Running).await;
    context.sync().await.unwrap();
    let other = Service::new(true);
    assert_eq!(recover(&other, &path).await.operations as usize, taken + 2);
    assert_eq!(other.kept().jobs[&id(1)].lines.len(), taken);
    context.commit_and_close().await.unwrap();
    assert_eq!(service.kept().jobs[&id(1)].lines.len(), taken);
}

/// Operations that a full disk keeps out of the journal are sent from memory.
async fn what_is_sent_meanwhile_is_not_doubted_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let gate = Some(Semaphore::new(0));
    let service = Arc::new(Service { block: true, gate, ..Service::default() });
    let context = open(&service, &path);
    context.create(job(1, None)).await.unwrap();
    let taken = fill(&context).await;
    let flush = tokio::spawn({
        let context = context.clone();
        async move { context.flush().await }
    });
    while context.stats().in_flight == 0 || fs::read(&path).unwrap()[8] & 2 == 0 {
        yield_now().await;
    }
    // The process is killed before there is an answer: it is not known whether it arrived.
    let left = copy(&path);
    room(None);
    let failed = JobTrackerContext::recover(Service::new(true) as _, &left).await;
    assert!(matches!(failed, Err(Error::JournalInDoubt { .. })), "{failed:?}");
    let bytes = fs::read(&left).unwrap();
    let other = Service::new(true);
    let report = JobTrackerContext::salvage(Arc::clone(&other) as _, &left).await.unwrap();
    assert_eq!(fs::read(report.set_aside.unwrap()).unwrap(), bytes);
    assert_eq!(other.kept().jobs[&id(1)].lines.len() + 1, report.operations as usize);
    // With room the journal has all again, and the name under which it is sent.
    context.sync().await.unwrap();
    assert_eq!(recover(&Service::new(true), &path).await.operations as usize, taken + 1);
    service.gate.as_ref().unwrap().add_permits(100);
    flush.await.unwrap().unwrap();
    assert_eq!(service.kept().jobs[&id(1)].lines.len(), taken);
    assert_eq!(context.stats().journal_bytes, 9);

    // Even without room on the disk, an outcome makes room in the journal.
    fill(&context).await;
    context.flush().await.unwrap();
    recorded::report(&context, 1, State::Running).await;
    context.commit_and_close().await.unwrap();
    drop(context);
    assert_eq!(fs::metadata(&path).unwrap().len(), 9);
    room(None);
}
