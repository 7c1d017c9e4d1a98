//! The limits of the machine, and the files that the process leaves there.

use std::{
    fs,
    io::Write,
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use jobtracker_client::{JobId, NewJob};
use jobtracker_store::fjall::{FjallOptions, FjallStore};
use serde_json::json;

use crate::{
    harness::Harness,
    process::{ANY_PORT, BINARY, Process, embedded},
};

/// Starts the service after a line of a shell has changed its environment.
fn start_after(line: &str, data: &Path) -> Process {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{line} && exec \"$0\" \"$@\""), BINARY]);
    Process::spawn(shell, ANY_PORT, &embedded(data))
}

const WAITING: usize = 100;
const REQUESTS: u64 = 20;
const CHILDREN: u64 = 1000;

/// Connections that only wait leave the store the descriptors for its writes.
#[tokio::test]
async fn few_descriptors_and_many_who_wait() {
    let data = tempfile::tempdir().unwrap();
    let service = start_after("ulimit -n 64", data.path());
    let client = service.client();
    let root = client.create(NewJob::new("root")).await.unwrap().id;
    let wait = |_| {
        let mut waiting = TcpStream::connect(service.address()).unwrap();
        let head = format!("GET /api/v1/jobs/{root}/wait HTTP/1.1\r\nhost: localhost\r\n\r\n");
        waiting.write_all(head.as_bytes()).unwrap();
        waiting
    };
    let waiting: Vec<_> = (0..WAITING).map(wait).collect();
    for request in 0..REQUESTS {
        let child = |number: u64| {
            let id = JobId::new(1_000_000 + request * CHILDREN + number).unwrap();
            NewJob::new("child").id(id).options("o".repeat(600))
        };
        let jobs = (0..CHILDREN).map(child).collect();
        let created = client.create_children(root, jobs).await.unwrap().len();
        assert_eq!(created as u64, CHILDREN);
    }
    let found = client.get(root).await.unwrap().unwrap();
    assert_eq!(found.children.pending, REQUESTS * CHILDREN);
    drop(waiting);
    service.kill();
    // All of it is on the disk.
    let service = Process::start(ANY_PORT, &embedded(data.path()));
    let found = service.client().get(root).await.unwrap().unwrap();
    assert_eq!(found.children.pending, REQUESTS * CHILDREN);
}

/// With any inherited umask.
#[tokio::test]
async fn files_are_for_their_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let service = start_after("umask 000", &data);
    service.client().create(NewJob::new("root")).await.unwrap();
    let mut paths: Vec<PathBuf> = vec![data];
    while let Some(path) = paths.pop() {
        let found = fs::metadata(&path).unwrap();
        assert_eq!(found.permissions().mode() & 0o077, 0, "{}", path.display());
        if found.is_dir() {
            paths.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}

/// The page for supervisors says that a store cannot recover.
#[tokio::test]
async fn a_service_whose_store_is_gone_is_not_alive() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = FjallOptions::new(directory.path());
    options.write_buffer_bytes = 4096;
    options.patience = std::time::Duration::ZERO;
    let store = std::sync::Arc::new(FjallStore::open(&options).unwrap());
    let harness = Harness::on(store, None, |_| {});
    harness.create(100, None).await;
    assert_eq!(harness.get("/healthz").await.status, 200);
    let (db, gone) = (directory.path().join("db"), directory.path().join("gone"));
    fs::rename(&db, &gone).unwrap();
    let lines = json!({"lines": ["x".repeat(5000)]});
    while harness.post("/api/v1/jobs/100/log", &lines).await.status == 200 {}
    harness.get("/readyz").await.assert_problem("store_unavailable");
    harness.get("/healthz").await.assert_problem("store_unavailable");
    fs::rename(gone, db).unwrap();
    while harness.get("/readyz").await.status != 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(harness.post("/api/v1/jobs/100/log", &lines).await.status, 200);
    harness.stop().await;
}
