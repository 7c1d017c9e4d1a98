use std::sync::Arc;

use jobtracker_client::JobTrackerClient;
use jobtracker_server::{Config, RunningServer, Server, StoreKind};
use jobtracker_store::{
    Store,
    fjall::{FjallOptions, FjallStore},
    memory::MemoryStore,
    scylla::{ScyllaStore, testing::Lent},
};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header::HeaderMap};
use serde_json::Value;
use tempfile::TempDir;

/// The stores that every module of tests runs on.
pub const STORES: [StoreKind; 3] = [StoreKind::Memory, StoreKind::Fjall, StoreKind::Scylla];

/// A service of this process, with a store of its own.
pub struct Harness {
    server: RunningServer,
    store: Arc<dyn Store>,
    url: String,
    http: reqwest::Client,
    directory: Option<TempDir>,
    /// Its keyspace, if its trees are in a cluster.
    keyspace: Option<Lent>,
}

impl Harness {
    /// Starts a service with the default configuration, a free port and the changes that `change`
    /// makes.
    pub async fn start(kind: StoreKind, change: impl FnOnce(&mut Config)) -> Self {
        let shelf = Shelf::open(kind).await;
        let store = Arc::clone(shelf.store());
        shelf.serve(store, change)
    }

    /// Starts a service on a directory that may have data in it.
    pub async fn restart(directory: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let store = FjallStore::open(&FjallOptions::new(directory.path())).unwrap();
        Self::on(Arc::new(store), Some(directory), change)
    }

    /// Starts a service on any store.
    pub fn on(
        store: Arc<dyn Store>,
        directory: Option<TempDir>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config::defaults();
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        config.server.workers = 2;
        change(&mut config);
        let server = Server::start(&config, Arc::clone(&store)).unwrap();
        let url = server.url();
        let http = reqwest::Client::builder().no_gzip().no_zstd().build().unwrap();
        Self { server, store, url, http, directory, keyspace: None }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The client that users have.
    pub fn client(&self) -> JobTrackerClient {
        JobTrackerClient::new(&self.url).unwrap()
    }

    /// A request by hand; `path` begins with a slash.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub async fn get(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        Reply::of(self.request(Method::POST, path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        Reply::of(self.request(Method::PUT, path).json(body)).await
    }

    /// A job with an id, under a parent if one is given.
    pub async fn create(&self, id: u64, parent: Option<u64>) {
        let body = serde_json::json!({"id": id, "parent": parent, "name": format!("job {id}")});
        assert_eq!(self.post("/api/v1/jobs", &body).await.status, 201);
    }

    pub async fn report(&self, id: u64, state: &str) {
        let body = serde_json::json!({"state": state});
        let reply = self.post(&format!("/api/v1/jobs/{id}/changes"), &body).await;
        assert_eq!(reply.json()["applied"], true, "{}", reply.text());
    }

    /// Ends when this many waits for a state have come in. The gauge also counts the request that
    /// reads it.
    pub async fn waits(&self, count: usize) {
        let wanted = format!("jobtracker_http_requests_in_flight {}", count + 1);
        while !self.get("/metrics").await.text().lines().any(|line| line == wanted) {
            tokio::task::yield_now().await;
        }
    }

    /// Creates roots, "root 0" first, many at a time.
    pub async fn plant_roots(&self, count: usize) {
        use futures_util::StreamExt;

        let create = |number: usize| async move {
            let job = serde_json::json!({"name": format!("root {number}")});
            assert_eq!(self.post("/api/v1/jobs", &job).await.status, 201);
        };
        // The first and the last are created alone, so that they are the oldest and the newest.
        create(0).await;
        futures_util::stream::iter(1..count - 1).for_each_concurrent(64, create).await;
        create(count - 1).await;
    }

    /// Stops the service; the directory, if there is one, can be started on again.
    pub async fn stop(self) -> Option<TempDir> {
        // The server would close idle connections too, but only up to a second later.
        drop(self.http);
        self.server.stop().await;
        // From here on another test may use the keyspace.
        drop(self.keyspace);
        self.directory
    }
}

/// A store without a service: no server does what is due there.
pub struct Shelf {
    store: Arc<dyn Store>,
    directory: Option<TempDir>,
    keyspace: Option<Lent>,
}

impl Shelf {
    pub async fn open(kind: StoreKind) -> Self {
        let (mut directory, mut keyspace) = (None, None);
        let store: Arc<dyn Store> = match kind {
            StoreKind::Memory => Arc::new(MemoryStore::new()),
            StoreKind::Fjall => {
                let folder = directory.insert(tempfile::tempdir().unwrap());
                Arc::new(FjallStore::open(&FjallOptions::new(folder.path())).unwrap())
            }
            StoreKind::Scylla => {
                let lent = keyspace.insert(Lent::new().await);
                Arc::new(ScyllaStore::open(&lent.options).await.unwrap())
            }
        };
        Self { store, directory, keyspace }
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Starts a service on the store, or on this one that leads to it.
    pub fn serve(self, store: Arc<dyn Store>, change: impl FnOnce(&mut Config)) -> Harness {
        let Self { directory, keyspace, store: _ } = self;
        Harness { keyspace, ..Harness::on(store, directory, change) }
    }

    pub async fn close(self) {
        self.store.close().await;
        // The store used them, so they are dropped after it.
        drop((self.directory, self.keyspace));
    }
}

/// A reply with its whole body.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub async fn of(request: RequestBuilder) -> Self {
        let response: Response = request.send().await.unwrap();
        Self::read(response).await.unwrap()
    }

    /// None: the connection broke before its end.
    pub async fn read(response: Response) -> Option<Self> {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.ok()?.to_vec();
        Some(Self { status: status.as_u16(), headers, body })
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Checks that this is a complete problem with this code.
    #[track_caller]
    pub fn assert_problem(&self, code: &str) {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{body}");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{body}");
        assert_eq!(problem["type"], format!("urn:jobtracker:problem:{code}"));
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["requestId"].as_str(), self.header("x-request-id"));
        let known = jobtracker_model::ProblemCode::from_code(code).unwrap();
        assert_eq!(known.status(), self.status);
        assert_eq!(problem["title"], known.title());
        assert!(problem["detail"].as_str().unwrap().ends_with(known.advice()));
        let waits = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
        if waits.iter().any(|status| *status == self.status) {
            let millis = problem["retryAfterMs"].as_u64().unwrap();
            assert_eq!(self.header("retry-after"), Some(&*millis.div_ceil(1000).to_string()));
        }
    }
}
