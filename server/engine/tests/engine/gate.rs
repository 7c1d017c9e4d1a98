use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jobtracker_store::{Error, Loaded, Result, Store, TreeCommit, Wanted, memory::MemoryStore};
use jobtracker_store_suite::{Hooks, Through};
use tokio::sync::Semaphore;

/// A gate in front of the commits of a store: each group needs a permit, or each tree of
/// it when servers share the store, and while `failing` is set it is refused. Another gate is in
/// front of its loads.
pub struct Gate {
    pub permits: Semaphore,
    pub loads: Semaphore,
    /// Has a permit for each commit that has reached the gate.
    pub came: Semaphore,
    pub failing: parking_lot::Mutex<Option<Error>>,
    /// The number of look-ups for which there is no room.
    pub no_room: AtomicUsize,
    /// How often a commit yields, so that several are under way at once.
    pub patience: usize,
    /// How long a commit takes to the store; if set, the store counts as shared by servers.
    pub way: Option<Duration>,
}

/// A store behind a gate.
pub type Gated = Through<Gate>;

impl Gate {
    pub fn closed() -> Arc<Gated> {
        Self::new(0, 0)
    }

    /// A gate that is open and slow.
    pub fn slow(patience: usize) -> Arc<Gated> {
        Self::new(1_000_000, patience)
    }

    /// A gate with this delay before a store that other servers use as well.
    pub fn far(store: &Arc<MemoryStore>, way: Duration) -> Arc<Gated> {
        let gate = Self { way: Some(way), ..Self::with(1_000_000) };
        Through::new(Arc::clone(store) as _, gate)
    }

    /// A closed gate before a store that other servers use as well.
    pub fn shared() -> Arc<Gated> {
        let (loads, way) = (Semaphore::new(0), Some(Duration::ZERO));
        Through::new(Arc::new(MemoryStore::new()), Self { loads, way, ..Self::with(0) })
    }

    fn new(permits: usize, patience: usize) -> Arc<Gated> {
        let gate = Self { patience, ..Self::with(permits) };
        Through::new(Arc::new(MemoryStore::new()), gate)
    }

    fn with(permits: usize) -> Self {
        let (permits, came) = (Semaphore::new(permits), Semaphore::new(0));
        let failing = parking_lot::Mutex::default();
        let loads = Semaphore::new(1_000_000);
        let no_room = AtomicUsize::new(0);
        Self { permits, loads, came, failing, no_room, patience: 0, way: None }
    }

    pub fn open(&self) {
        self.permits.add_permits(1_000_000);
    }

    async fn pass(&self, trees: usize) {
        let permits = if self.way.is_some() { trees } else { 1 };
        let permits = u32::try_from(permits).unwrap();
        self.permits.acquire_many(permits).await.unwrap().forget();
    }
}

#[async_trait]
impl Hooks for Gate {
    async fn load(&self, store: &dyn Store, wanted: Wanted) -> Result<Loaded> {
        self.loads.acquire().await.unwrap().forget();
        store.load(wanted).await
    }

    async fn look_up(&self, store: &dyn Store, wanted: Wanted) -> Result<Loaded> {
        let one_less = |left: usize| left.checked_sub(1);
        match self.no_room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) {
            Ok(_) => Err(Error::Unavailable("too many reads are waiting".into())),
            Err(_) => store.look_up(wanted).await,
        }
    }

    async fn commit(&self, store: &dyn Store, commits: Vec<TreeCommit>) -> Vec<Result<()>> {
        self.came.add_permits(1);
        self.pass(commits.len()).await;
        for _ in 0..self.patience {
            tokio::task::yield_now().await;
        }
        if let Some(way) = self.way {
            tokio::time::sleep(way).await;
        }
        let failing = self.failing.lock().clone();
        match failing {
            Some(error) => commits.iter().map(|_| Err(error.clone())).collect(),
            None => store.commit(commits).await,
        }
    }

    fn is_shared(&self, _: &dyn Store) -> bool {
        self.way.is_some()
    }
}
