//! The backup of a service that runs: trees come through it while writers write, and a restore is
//! tried each time.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jobtracker_client::{JobTrackerClient, NewChange, State};
use jobtracker_server::{
    Config, StoreKind,
    moving::{Fetched, Outlet, Selection},
};
use jobtracker_store::{Result as StoreResult, RowsQuery, Store, memory::MemoryStore};
use jobtracker_store_suite::{Hooks, Through};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::mpsc,
    task::JoinHandle,
};

use super::{
    LIMIT, Target, everything, export_to, id, import_all, lines, roots,
    trees::{broad_tree, plant, random_trees},
    watched::{Meddle, Watch},
};
use crate::harness::{Harness, STORES, Shelf};

/// Children of the tree that is written while it is read: their rows take several pages.
const CHILDREN: u64 = 4_500;
const BUSY: u64 = 1_000_000;

/// Writes through the client until it is told to end; answers how much it has written.
struct Writers {
    is_over: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<u64>>,
}

impl Writers {
    /// Reports of one job of each page, in the order of the pages, so that at no instant a later
    /// one has more of them; and trees that come and go.
    fn begin(harness: &Harness, busy: Option<u64>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (client, over) = (harness.client(), Arc::clone(&is_over));
        let waves = tokio::spawn(async move {
            let mut rounds = 0;
            while let Some(root) = busy.filter(|_| !over.load(Ordering::Relaxed)) {
                for child in [1, CHILDREN / 2, CHILDREN] {
                    let change = NewChange::new(State::Warning).message(format!("{rounds}"));
                    client.update(id(root + child), change).await.unwrap();
                }
                rounds += 1;
            }
            rounds
        });
        let (client, over) = (harness.client(), Arc::clone(&is_over));
        let trees = tokio::spawn(come_and_go(client, over));
        Self { is_over, tasks: vec![waves, trees] }
    }

    async fn end(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        let mut written = 0;
        for task in self.tasks {
            written += task.await.unwrap();
        }
        written
    }
}

async fn come_and_go(client: JobTrackerClient, is_over: Arc<AtomicBool>) -> u64 {
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        let root = client.create(jobtracker_client::NewJob::new("new")).await.unwrap().id;
        let child = jobtracker_client::NewJob::new("child").under(root);
        client.create(child).await.unwrap();
        if count % 2 == 0 {
            client.delete_tree(root).await.unwrap();
        }
        count += 1;
    }
    count
}

/// Runs `jobtracker export` against a service.
async fn export(url: &str, file: &Path, more: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobtracker"));
    command.args(["export", "--url", url, "--to"]).arg(file).args(more);
    let output = command.output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

/// How many reports three children of the busy tree have.
async fn reports(store: &Arc<dyn Store>) -> [u32; 3] {
    let mut changes = [0; 3];
    for (changes, child) in changes.iter_mut().zip([1, CHILDREN / 2, CHILDREN]) {
        *changes = store.get_job(id(BUSY + child)).await.unwrap().unwrap().status.changes;
    }
    changes
}

/// Each tree is as it was at one instant, though it takes longer to read than to change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_while_writers_write_can_be_restored() {
    let harness = start_quiet(StoreKind::Fjall, |config| {
        // A page a second, so that there is a lot of work between two of them.
        config.export.bytes_per_second = 1 << 20;
    })
    .await;
    random_trees(harness.store(), 77).await;
    plant(harness.store(), [broad_tree(BUSY, CHILDREN, 0)]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trees.export");
    let writers = Writers::begin(&harness, Some(BUSY));
    let before = reports(harness.store()).await;
    export(harness.url(), &file, &[]).await;
    let after = reports(harness.store()).await;
    writers.end().await;

    let restored: Arc<dyn Store> = Arc::new(MemoryStore::new());
    import_all(&restored, &std::fs::read(&file).unwrap()).await;
    let [first, middle, last] = reports(&restored).await;
    assert!(first >= middle && middle >= last && last + 1 >= first, "{first} {middle} {last}");
    assert!(before[0] <= first && first < after[0], "{before:?} {first} {after:?}");

    // When it is quiet, the file has all that there is.
    let again = folder.path().join("again.export");
    let said = export(harness.url(), &again, &[]).await;
    assert!(said.contains(&format!("{} trees", roots(harness.store()).await.len())), "{said}");
    let restored: Arc<dyn Store> = Arc::new(MemoryStore::new());
    import_all(&restored, &std::fs::read(&again).unwrap()).await;
    assert!(everything(&restored).await == everything(harness.store()).await);
    harness.stop().await;
}

/// A relay between a client and the service that cuts its first connections after some bytes.
struct Cutting {
    url: String,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Cutting {
    async fn start(service: &str, after: Vec<usize>) -> Self {
        let service = service.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let number = counted.fetch_add(1, Ordering::SeqCst);
                let mut server = TcpStream::connect(&service).await.unwrap();
                let Some(mut left) = after.get(number).copied() else {
                    tokio::spawn(async move {
                        tokio::io::copy_bidirectional(&mut client, &mut server).await.ok();
                    });
                    continue;
                };
                let mut bytes = vec![0; 65_536];
                let read = client.read(&mut bytes).await.unwrap();
                server.write_all(&bytes[..read]).await.unwrap();
                while left > 0 {
                    let most = left.min(bytes.len());
                    let read = server.read(&mut bytes[..most]).await.unwrap();
                    client.write_all(&bytes[..read]).await.unwrap();
                    left -= read;
                }
            }
        });
        Self { url, connections, task }
    }
}

impl Drop for Cutting {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Another server has all that is done in the background.
struct Elsewhere;

#[async_trait]
impl Hooks for Elsewhere {
    async fn lease(&self, _: &dyn Store, _: &str, _: Duration) -> StoreResult<bool> {
        Ok(false)
    }
}

/// A service that leaves random trees as they are, in which checks and deliveries are due.
async fn start_quiet(kind: StoreKind, change: impl FnOnce(&mut Config)) -> Harness {
    let shelf = Shelf::open(kind).await;
    let store = Through::new(Arc::clone(shelf.store()), Elsewhere).store();
    shelf.serve(store, change)
}

/// The command goes on behind the last whole tree when its connection breaks, and when it is called
/// again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_goes_on_where_its_connection_broke() {
    for kind in STORES {
        let harness = start_quiet(kind, |_| {}).await;
        random_trees(harness.store(), 31).await;
        plant(harness.store(), (1..40).map(|at| broad_tree(90_000_000 + 100 * at, 30, 1))).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("trees.export");
        export(harness.url(), &file, &[]).await;
        let whole = std::fs::read(&file).unwrap();

        let writers = Writers::begin(&harness, None);
        let (one, other) = (whole.len() / 3, whole.len() / 2);
        let cutting = Cutting::start(harness.url(), vec![one, 200, other]).await;
        let broken = folder.path().join("broken.export");
        let until = ["--until", "2026-01-01T00:00:00Z"];
        let said = export(&cutting.url, &broken, &until).await;
        assert_eq!(cutting.connections.load(Ordering::SeqCst), 4, "{said}");
        writers.end().await;
        // Trees that came meanwhile are newer.
        let planted = |file: &[u8]| {
            let lines = lines(file).into_iter();
            lines.filter(|line| !line.starts_with("{\"document\"")).collect::<Vec<_>>()
        };
        let broken = std::fs::read(broken).unwrap();
        assert!(planted(&whole).ends_with(&planted(&broken)), "{kind:?}");
        assert!(planted(&broken).len() > 2_000);

        std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        let said = export(harness.url(), &file, &["--resume"]).await;
        assert!(said.contains("were in the file already"), "{said}");
        assert_eq!(planted(&std::fs::read(&file).unwrap()), planted(&whole));
        harness.stop().await;
    }
}

/// A store that holds no instant: a tree that changes while it is read is begun again.
#[tokio::test]
async fn a_large_tree_that_changes_is_sent_again() {
    let source: Arc<dyn Store> = Arc::new(MemoryStore::new());
    plant(&source, [broad_tree(BUSY, CHILDREN, 0)]).await;
    let meddle = [Meddle::Append(id(BUSY)), Meddle::Append(id(BUSY))];
    let harness = Harness::on(Watch::over(&source, meddle).store(), None, |_| {});
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trees.export");
    let said = export(harness.url(), &file, &[]).await;
    assert!(said.contains("going on behind 0 trees"), "{said}");
    let restored: Arc<dyn Store> = Arc::new(MemoryStore::new());
    import_all(&restored, &std::fs::read(&file).unwrap()).await;
    assert!(everything(&restored).await == everything(&source).await);
    harness.stop().await;
}

/// A command that was refused has left nothing that is in its way.
#[tokio::test]
async fn a_refused_backup_leaves_no_file() {
    let harness = Harness::start(StoreKind::Memory, |_| {}).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trees.export");
    for resume in [&[][..], &["--resume"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jobtracker"));
        command.args(["export", "--url", harness.url(), "--root", "100", "--to"]);
        let refused = command.arg(&file).args(resume).output().await.unwrap();
        assert!(!refused.status.success() && !file.exists());
    }
    plant(harness.store(), [broad_tree(100, 2, 0)]).await;
    export(harness.url(), &file, &["--root", "100"]).await;
    harness.stop().await;
}

/// A client gives up that hears nothing, so a piece goes out in time, however small trees become by
/// compression, and also within a page.
#[tokio::test]
async fn a_client_is_not_left_without_a_piece() {
    let source: Arc<dyn Store> = Arc::new(MemoryStore::new());
    plant(&source, [broad_tree(BUSY, CHILDREN, 0)]).await;
    let mut counts = Vec::new();
    for quiet in [Duration::from_secs(3_600), Duration::ZERO] {
        let (sender, mut pieces) = mpsc::channel(2);
        let outlet = Outlet { quiet, ..Outlet::new(sender, None, 1 << 34) };
        let take = async {
            let (mut count, mut file) = (0, Vec::new());
            while let Some(piece) = pieces.recv().await {
                count += 1;
                file.extend(piece);
            }
            (count, file)
        };
        let (done, (count, file)) =
            tokio::join!(export_to(&source, Some(Selection::ALL), Target::Client(outlet)), take);
        assert_eq!(done.unwrap().trees, 1);
        let restored: Arc<dyn Store> = Arc::new(MemoryStore::new());
        assert_eq!(import_all(&restored, &file).await.new, 1);
        counts.push(count);
    }
    let [patient, eager] = counts[..] else { panic!() };
    assert!(eager > patient, "{eager} pieces and {patient}");
}

/// Only an admin gets it, one at a time, and what is asked for wrongly is refused before it begins.
#[tokio::test]
async fn who_gets_a_backup_and_of_what() {
    let harness = Harness::start(StoreKind::Memory, |config| {
        config.export.bytes_per_second = 1 << 16;
    })
    .await;
    plant(harness.store(), [broad_tree(100, 3_000, 0), broad_tree(9_000, 2, 0)]).await;
    let ask = async |body: serde_json::Value| harness.post("/api/v1/export", &body).await;
    ask(json!({"roots": [7]})).await.assert_problem("job_not_found");
    ask(json!({"roots": [101]})).await.assert_problem("job_not_found");
    let both = json!({"roots": [100], "from": "2026-01-01T00:00:00Z"});
    ask(both).await.assert_problem("invalid_field");
    let far = json!({"after": {"trees": 1_u64 << 60, "counts": {"jobs": 0, "changes": 0,
        "logLines": 0, "attachments": 0, "repeats": 0}}});
    ask(far).await.assert_problem("invalid_field");

    let chosen = ask(json!({"roots": [9_000]})).await;
    assert_eq!(chosen.header("content-type"), Some("application/zstd"));
    assert_eq!(chosen.header("content-encoding"), None);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    assert_eq!(import_all(&store, &chosen.body).await.new, 1);
    let query = RowsQuery { root: id(9_000), after: None, limit: LIMIT };
    assert!(!store.list_rows(query).await.unwrap().items.is_empty());

    // The large tree takes longer than all that follows.
    let client = harness.client();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let file = Fetched::open(Target::New(path), Some(Selection::ALL)).unwrap();
    let mut running = client.export(&file.request()).await.unwrap();
    assert!(running.next().await.unwrap().is_ok());
    ask(json!({})).await.assert_problem("overloaded");
    drop(running);
    // The service finds out that the client has gone.
    let freed = async {
        while ask(json!({"roots": [9_000]})).await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), freed).await.unwrap();
    harness.stop().await;
}
