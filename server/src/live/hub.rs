use std::{
    collections::{HashMap, hash_map::Entry},
    ops::Deref,
    sync::Arc,
    time::Duration,
};

use jobtracker_engine::{Engine, Error, Result, Scope};
use jobtracker_model::{JobId, ViewerLoad};
use jobtracker_store::Store;
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep, sleep_until},
};

use super::{
    pace::Pace,
    ring::Kept,
    state::{Source, StateTopic, StateView, States},
    tree::LiveTree,
    window,
};
use crate::access::{NoPlace, Principal, Shares};

/// How long the events of a tree are kept after its last viewer has gone, so that one that comes
/// again goes on where it was.
const LINGER: Duration = Duration::from_secs(60);
/// The time from one look at a state of the service to the next: ten times as long as the look
/// takes, but not less and not more than these.
const LOOK: Duration = Duration::from_secs(1);
const LOOK_AT_MOST: Duration = Duration::from_secs(10);
const TIMES: u32 = 10;
/// A state that only commits of this server change is looked at as often even without them.
const ANYHOW: Duration = Duration::from_secs(10);
/// States of the service that are watched at once, and those of them that one caller was the first
/// to watch.
const STATES: usize = 64;
const STATES_EACH: usize = 16;

/// The trees that are watched.
pub(crate) struct Hub {
    pub(super) engine: Engine,
    pub(super) store: Arc<dyn Store>,
    /// The states of the service that are watched.
    states: Mutex<States>,
    places: Arc<Shares>,
    trees: Mutex<HashMap<JobId, Arc<LiveTree>>>,
    /// The events that are kept of all trees.
    kept: Arc<Kept>,
    /// Room for connections, and how many there may be.
    connections: Arc<Semaphore>,
    limit: usize,
    /// Where the trees are listened to: connections are served by threads that end before.
    runtime: Handle,
    /// True once the service is stopping.
    pub(super) stopping: watch::Receiver<bool>,
}

/// A tree that one viewer more watches; dropping it ends that.
pub(super) struct Watching(Arc<LiveTree>);

impl Hub {
    /// Must be called in a Tokio runtime, in which the trees are listened to.
    pub fn new(
        engine: Engine,
        store: Arc<dyn Store>,
        connections: usize,
        stopping: watch::Receiver<bool>,
    ) -> Arc<Self> {
        Arc::new(Self {
            engine,
            store,
            states: Mutex::default(),
            places: Shares::new(STATES, STATES_EACH),
            trees: Mutex::default(),
            kept: Arc::default(),
            connections: Arc::new(Semaphore::new(connections)),
            limit: connections,
            runtime: Handle::current(),
            stopping,
        })
    }

    /// The connections that there are, and the trees that are watched.
    pub fn viewers(&self) -> ViewerLoad {
        let connections = self.limit - self.connections.available_permits();
        let trees = self.trees.lock().len() as u64;
        ViewerLoad { connections: connections as u64, trees }
    }

    /// Room for one connection more.
    pub(super) fn room(&self) -> Result<OwnedSemaphorePermit> {
        if *self.stopping.borrow() {
            return Err(Error::ShuttingDown);
        }
        let room = Arc::clone(&self.connections).try_acquire_owned();
        room.map_err(|_| Error::Overloaded { retry_after_ms: 1_000 })
    }

    /// Watches a tree.
    pub(super) async fn watch(self: &Arc<Self>, root: JobId) -> Result<Watching> {
        if let Some(tree) = self.trees.lock().get(&root) {
            return Ok(Watching::new(tree));
        }
        let mut listener = self.engine.listen(Scope::Tree(root))?;
        let version = window::version(&*self.store, root).await?;
        listener.begin_at(version);
        let mut trees = self.trees.lock();
        let tree = match trees.entry(root) {
            Entry::Occupied(tree) => return Ok(Watching::new(tree.get())),
            Entry::Vacant(entry) => {
                entry.insert(Arc::new(LiveTree::new(root, version, Arc::clone(&self.kept))))
            }
        };
        let (hub, live) = (Arc::clone(self), Arc::clone(tree));
        self.runtime.spawn(async move {
            tokio::select! {
                () = live.listen(listener, &*hub.store) => {}
                () = live.tick(&*hub.store) => {}
                () = hub.forget(&live) => {}
            }
        });
        Ok(Watching::new(tree))
    }

    /// Watches a state of the service, of which the client may have a version.
    pub(super) fn watch_state(
        self: &Arc<Self>,
        caller: &Principal,
        source: Source,
        since: Option<u64>,
        pace: Pace,
    ) -> Result<StateView> {
        let mut states = self.states.lock();
        if let Some(topic) = states.get(&source.name) {
            return Ok(topic.view(since, pace));
        }
        let place = self.places.take(caller).map_err(|none| Error::Overloaded {
            retry_after_ms: match none {
                NoPlace::ForCaller(_) => 10_000,
                NoPlace::AtAll => 1_000,
            },
        })?;
        let topic = Arc::new(StateTopic::new(source.name.clone(), place));
        let view = topic.view(since, pace);
        states.insert(source.name.clone(), Arc::clone(&topic));
        self.runtime.spawn(Arc::clone(self).look(topic, source));
        Ok(view)
    }

    /// Looks at a state, until it has no viewer.
    async fn look(self: Arc<Self>, topic: Arc<StateTopic>, source: Source) {
        let mut known: Option<(u64, Instant)> = None;
        let mut stopping = self.stopping.clone();
        loop {
            let begun = Instant::now();
            let commits = self.engine.load().commits;
            let is_same =
                known.is_some_and(|(known, at)| known == commits && at.elapsed() < ANYHOW);
            if !is_same || !source.follows_commits || self.store.is_shared() {
                let read = (source.read)().await;
                known = read.is_ok().then_some((commits, begun));
                topic.tell(read);
            }
            let pause = (begun.elapsed() * TIMES).clamp(LOOK, LOOK_AT_MOST);
            tokio::select! {
                () = sleep(pause) => {}
                () = topic.left() => if self.forget_state(&topic) { return },
                // An error means that the service is gone.
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    /// Forgets a state that has no viewer; false if there is one by now.
    fn forget_state(&self, topic: &StateTopic) -> bool {
        let mut states = self.states.lock();
        let is_left = !topic.has_viewers();
        if is_left {
            states.remove(&topic.name);
        }
        is_left
    }

    /// Ends when a tree has had no viewer for a while, and is forgotten.
    async fn forget(&self, tree: &LiveTree) {
        loop {
            // While it has viewers, it is kept for that time at least.
            sleep_until(tree.left().unwrap_or_else(Instant::now) + LINGER).await;
            let mut trees = self.trees.lock();
            if tree.left().is_some_and(|left| left.elapsed() >= LINGER) {
                trees.remove(&tree.root);
                return;
            }
        }
    }
}

impl Watching {
    fn new(tree: &Arc<LiveTree>) -> Self {
        tree.enter();
        Self(Arc::clone(tree))
    }
}

impl Deref for Watching {
    type Target = Arc<LiveTree>;

    fn deref(&self) -> &Arc<LiveTree> {
        &self.0
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.leave();
    }
}
