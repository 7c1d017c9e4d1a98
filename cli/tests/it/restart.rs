//! The service is down for a while, as when it is restarted or replaced: its clients wait for it,
//! and no call of theirs is lost or done twice.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use jobtracker_client::{JobId, JobTrackerClient, NewChange, NewJob, State};
use tokio::net::TcpStream;

use crate::process::{ANY_PORT, Process, embedded};

const CLIENTS: usize = 4;

/// The progress of clients, and whether they go on.
#[derive(Default)]
struct Work {
    done: AtomicU64,
    over: AtomicBool,
}

/// Makes children and begins them, one after the other; answers how many.
async fn work(client: JobTrackerClient, root: JobId, work: Arc<Work>) -> u64 {
    let mut children = 0;
    while !work.over.load(SeqCst) {
        let child = client.create(NewJob::new("child").under(root)).await.unwrap().id;
        assert!(client.update(child, NewChange::new(State::Running)).await.unwrap().applied);
        children += 1;
        work.done.fetch_add(1, SeqCst);
    }
    children
}

/// Asks the service to stop, and waits until it accepts no more connections.
async fn terminate(service: &Process) {
    let id = service.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    while TcpStream::connect(service.address()).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_is_lost() {
    let data = tempfile::tempdir().unwrap();
    let mut service = Process::start(ANY_PORT, &embedded(data.path()));
    let address = service.address().to_owned();
    let client = JobTrackerClient::new(format!("http://{address}")).unwrap();
    let root = client.create(NewJob::new("root")).await.unwrap().id;
    let shared = Arc::new(Work::default());
    let workers: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(work(client.clone(), root, Arc::clone(&shared))))
        .collect();
    let more = async |than: u64| {
        while shared.done.load(SeqCst) <= than {
            assert!(!workers.iter().any(tokio::task::JoinHandle::is_finished));
            tokio::task::yield_now().await;
        }
    };
    // A service that shuts down, and one that is killed.
    for says_goodbye in [true, false] {
        more(shared.done.load(SeqCst) + 20).await;
        if says_goodbye {
            terminate(&service).await;
        }
        service.kill();
        tokio::time::sleep(Duration::from_secs(2)).await;
        service = Process::start(&address, &embedded(data.path()));
    }
    more(shared.done.load(SeqCst) + 20).await;
    shared.over.store(true, SeqCst);
    let mut children = 0;
    for worker in workers {
        children += worker.await.unwrap();
    }
    let root = client.load(root).await.unwrap();
    assert_eq!((root.subtree.total, root.subtree.running), (children, children));
    service.kill();
}
