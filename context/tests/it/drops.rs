use std::{
    env,
    fs::OpenOptions,
    process::{Command, Stdio},
    thread,
};

use jobtracker_context::unsent_drops;
use tokio::runtime::Runtime;

use crate::{
    recorded::{self, job},
    service::{Fault, Service},
};

/// Other tests drop contexts at the same time, so the count can only be compared as larger.
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

    // An upload without an answer counts too.
    let context = recorded::context(&service);
    context.create(job(3, None)).await.unwrap();
    service.fail(Fault::LostReply);
    context.flush().await.unwrap_err();
    let before = unsent_drops();
    drop(context);
    assert!(unsent_drops() > before);
}

const CHILD: &str = "JOBTRACKER_TEST_DROPS";

/// There is no subscriber of `tracing` here, so it is said on the standard error, in the middle of
/// a panic too. A standard error without a reader is no reason to panic.
#[test]
fn it_is_told_where_nobody_listens() {
    let child = || {
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", "drops::what_a_process_leaves_behind", "--nocapture"]);
        child.env(CHILD, "1").stdout(Stdio::null());
        child
    };
    let output = child().stderr(Stdio::piped()).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    assert_eq!(told.matches("jobtracker: a context was dropped with 2 operations").count(), 1);
    assert_eq!(told.matches("jobtracker: a context was dropped with 1 operations").count(), 1);
    assert_eq!(told.matches("they are lost").count(), 1);
    assert_eq!(told.matches("the journal has them").count(), 1);
    #[cfg(target_os = "linux")]
    {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert!(child().stderr(full).status().unwrap().success());
    }
}

#[test]
fn what_a_process_leaves_behind() {
    if env::var_os(CHILD).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let service = Service::new(true);
    let runtime = Runtime::new().unwrap();
    let journaled = recorded::builder(&service).journal(folder.path().join("journal"));
    let journaled = journaled.build().unwrap();
    runtime.block_on(journaled.create(job(1, None))).unwrap();
    drop(journaled);
    let context = recorded::context(&service);
    runtime.block_on(context.create(job(1, None))).unwrap();
    runtime.block_on(context.create(job(2, None))).unwrap();
    let before = unsent_drops();
    let panicked = thread::spawn(move || {
        let _context = context;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    assert_eq!(unsent_drops(), before + 1);
}
