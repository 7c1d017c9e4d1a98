use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jobtracker_model::{
    FieldError, HandlerView, JobId, NewTask, NewWorker, Timestamp, WorkerFilter, WorkerLoad,
    WorkerRegistered, WorkerState, WorkerView, limits,
};
use jobtracker_scheduler::Fleet;
use jobtracker_store::{DocumentChange, DocumentKey, DocumentVersion, Error as StoreError, Store};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    document::{Use, WorkerDocument, document_id, list_documents},
    routing::RoutedWorker,
};
use crate::clock;

/// How often the document of a worker says when it was heard of, at most.
const KEPT_EVERY: Duration = Duration::from_secs(10);
/// How old the list of all workers may be, as of other servers.
const LISTED_EVERY: Duration = Duration::from_secs(5);
/// After this long a worker that has gone is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);
/// Tries at a document that another server changes at the same time.
const TRIES: usize = 5;
/// A worker that this server has not heard of for this many lease times is not kept in memory.
const SILENT_LEASES: u32 = 4;

/// Why a worker gets no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerError {
    #[error("there is no worker {0:?}")]
    NotFound(String),
    #[error("it may register again at {0}")]
    Kicked(Timestamp),
    #[error("worker {0} is to finish what it has")]
    Draining(String),
    #[error("there are {0} workers, as many as there may be")]
    TooMany(usize),
    #[error(transparent)]
    Field(#[from] FieldError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Engine(#[from] jobtracker_engine::Error),
}

/// The workers: those that speak to this server in memory, and all of them as documents.
pub(crate) struct Workers {
    store: Arc<dyn Store>,
    lease: Duration,
    started: Timestamp,
    /// Another number when the workers that speak to this server may be others.
    generation: AtomicU64,
    /// Of the last task that a worker was given by a rule.
    last_use: AtomicU64,
    /// How long a task is kept for the worker that its rule has chosen.
    assign_ttl: Duration,
    known: Mutex<HashMap<String, Known>>,
    listed: Mutex<Everyone>,
}

/// A worker that speaks to this server.
pub(super) struct Known {
    pub document: WorkerDocument,
    version: DocumentVersion,
    kept: Timestamp,
    /// When this server has last heard of it, or was asked about it.
    here: Timestamp,
    /// What it has on lease, as far as this server has heard.
    pub held: HashMap<JobId, Held>,
    /// Tells that there is an order for it.
    pub orders: Arc<Notify>,
}

/// A task that a worker has on lease.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub epoch: u32,
    pub since: Timestamp,
    pub progress: u8,
    /// When its progress was last written down.
    pub told: Timestamp,
}

/// All workers, as they were listed some seconds ago.
#[derive(Default)]
struct Everyone {
    time: Option<Timestamp>,
    workers: HashMap<String, WorkerDocument>,
}

impl Workers {
    pub fn new(store: Arc<dyn Store>, lease: Duration, assign_ttl: Duration) -> Self {
        let (known, listed) = (Mutex::default(), Mutex::default());
        let (generation, last_use) = (AtomicU64::new(1), AtomicU64::new(0));
        let started = clock::now();
        Self { store, lease, started, generation, last_use, assign_ttl, known, listed }
    }

    pub fn lease(&self) -> Duration {
        self.lease
    }

    pub fn assign_ttl(&self) -> Duration {
        self.assign_ttl
    }

    /// Takes up a worker.
    pub async fn register(&self, worker: NewWorker) -> Result<WorkerRegistered, WorkerError> {
        worker.check()?;
        let now = clock::now();
        let banned = self.banned_until(&worker.name).await?;
        if let Some(until) = banned.filter(|until| *until > now) {
            return Err(WorkerError::Kicked(until));
        }
        self.list_when_old().await?;
        if self.listed.lock().workers.len() >= limits::WORKERS {
            return Err(WorkerError::TooMany(limits::WORKERS));
        }
        let id = format!("{}-{:08x}", worker.name, rand::random::<u32>());
        let (document, version) = (WorkerDocument::new(worker, now), version());
        self.store.change_document(document.put(&id, (None, version))?).await?;
        self.listed.lock().workers.insert(id.clone(), document.clone());
        self.known.lock().insert(id.clone(), Known::new(document, version, now));
        self.others_now();
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (heartbeat_ms, lease_ms) = (millis(self.lease / 3), millis(self.lease));
        Ok(WorkerRegistered { id, heartbeat_ms, lease_ms })
    }

    /// Until when no worker of this name may register. All servers know it from the documents.
    async fn banned_until(&self, name: &str) -> Result<Option<Timestamp>, WorkerError> {
        let prefix = DocumentKey::new(format!("{name}-"))?;
        let same = list_documents(&*self.store, Some(prefix)).await?.into_iter();
        let same = same.map(|(_, worker)| worker).filter(|other| other.worker.name == name);
        Ok(same.filter_map(|other| other.banned_until).max())
    }

    /// Notes that a worker was heard of, with what it says of itself; answers what is known of it.
    /// One that was kicked is refused.
    pub(super) async fn hear(
        &self,
        id: &str,
        said: Option<(u32, Option<WorkerLoad>)>,
    ) -> Result<WorkerDocument, WorkerError> {
        self.load(id).await?;
        let now = clock::now();
        let was_kept = self.with(id, |known| {
            if known.document.state(self.lease, now) == WorkerState::Offline {
                self.others_now();
            }
            known.here = now;
            // If the clock was set back, it was not heard of in times to come.
            known.document.heard = now;
            if let Some((running, load)) = said {
                (known.document.running, known.document.load) = (running, load);
            }
            // One of the requests that come at the same time writes it down.
            let every = KEPT_EVERY.min(self.lease / 3);
            let is_old = !(known.kept..known.kept.after(every)).contains(&now);
            is_old.then(|| std::mem::replace(&mut known.kept, now))
        })?;
        if let Some(before) = was_kept
            && let Err(error) = self.change(id, |_| {}).await
        {
            // The next request tries again.
            let _ = self.with(id, |known| known.kept = before);
            return Err(error);
        }
        self.standing(id).await
    }

    /// What is known of a worker, of which nothing is heard by this; refuses one that was kicked.
    pub(super) async fn standing(&self, id: &str) -> Result<WorkerDocument, WorkerError> {
        self.load(id).await?;
        let document = self.with(id, |known| known.document.clone())?;
        let kicked = document.banned_until.map(WorkerError::Kicked);
        kicked.map_or(Ok(document), Err)
    }

    /// A number that is another one when the workers that speak to this server may be others.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn others_now(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// The workers that speak to this server and claim tasks.
    pub(super) fn online_here(&self) -> HashMap<String, WorkerDocument> {
        let now = clock::now();
        let known = self.known.lock();
        let is_online =
            |known: &Known| known.document.state(self.lease, now) == WorkerState::Online;
        let online = known.iter().filter(|(_, known)| is_online(known));
        online.map(|(id, known)| (id.clone(), known.document.clone())).collect()
    }

    /// Has a worker finish what it has.
    pub async fn drain(&self, id: &str) -> Result<WorkerView, WorkerError> {
        self.load(id).await?;
        self.change(id, |document| document.draining = true).await?;
        self.tell(id);
        self.view(id)
    }

    /// Keeps a worker out; answers what it had on lease.
    pub async fn kick(&self, id: &str, until: Timestamp) -> Result<Vec<(JobId, u32)>, WorkerError> {
        self.load(id).await?;
        self.change(id, |document| document.banned_until = Some(until)).await?;
        self.tell(id);
        self.with(id, Known::take_held)
    }

    /// Forgets a worker that leaves; answers what it had on lease.
    pub async fn leave(&self, id: &str) -> Result<Vec<(JobId, u32)>, WorkerError> {
        self.load(id).await?;
        for tried in 1.. {
            let known = self.with(id, |known| (known.version, known.document.banned_until))?;
            let (version, banned_until) = known;
            // It would be back at once.
            if banned_until.is_some() {
                break;
            }
            let change = DocumentChange::delete(document_id(id)?, version);
            match self.store.change_document(change).await {
                Err(StoreError::StaleDocument(_)) if tried < TRIES => self.load_anew(id).await?,
                done => {
                    done?;
                    break;
                }
            }
        }
        self.listed.lock().workers.remove(id);
        let known = self.known.lock().remove(id);
        self.others_now();
        Ok(known.map(|mut known| known.take_held()).unwrap_or_default())
    }

    /// Until when a lease lasts by what is known of its worker. After a start of the server that
    /// has a lease time to be heard of. A lease of which this server did not know is on its books
    /// from now on, so that it is given back if the worker does not name it.
    ///
    /// # Errors
    /// The store does not answer what another server has heard of the worker.
    pub async fn lasts_until(
        &self,
        id: &str,
        job: JobId,
        epoch: u32,
    ) -> Result<Option<Timestamp>, WorkerError> {
        let until = self.known_until(id, job, epoch);
        let is_over = until.is_none_or(|until| until <= clock::now());
        if !is_over {
            return Ok(until);
        }
        // Another server may have heard of it since workers were listed here.
        let Ok(document) = document_id(id) else { return Ok(None) };
        let found = self.store.get_document(&document).await?;
        let found = found.as_ref().and_then(WorkerDocument::read);
        let found = found.filter(|found| found.banned_until.is_none());
        Ok(found.map(|found| found.heard.max(self.started).after(self.lease)))
    }

    fn known_until(&self, id: &str, job: JobId, epoch: u32) -> Option<Timestamp> {
        let now = clock::now();
        let fresh = Held { epoch, since: now, progress: 0, told: now };
        if let Some(known) = self.known.lock().get_mut(id) {
            let held = known.held.entry(job).or_insert(fresh);
            if held.epoch != epoch {
                *held = fresh;
            }
        }
        let heard =
            |document: &WorkerDocument| document.banned_until.is_none().then_some(document.heard);
        let here = self.known.lock().get(id).map(|known| heard(&known.document));
        let there = self.listed.lock().workers.get(id).map(heard);
        // If one of them knows that it was kicked, it was.
        let heard = match (here, there) {
            (Some(None), _) | (_, Some(None)) | (None, None) => return None,
            (here, there) => here.flatten().max(there.flatten())?,
        };
        Some(heard.max(self.started).after(self.lease))
    }

    /// Whether a worker is online that may claim a task for this handler that asks for this.
    pub fn offer(&self, handler: &str, filter: &WorkerFilter) -> bool {
        let now = clock::now();
        // After a start of the server workers have a lease time to be heard of.
        let is_starting = self.started.after(self.lease) > now;
        let fits = |(id, document): (&String, &WorkerDocument)| {
            let is_online = document.state(self.lease, now) == WorkerState::Online;
            (is_online || is_starting) && document.may_run(id, handler, filter)
        };
        let is_here = {
            let known = self.known.lock();
            known.iter().any(|(id, known)| fits((id, &known.document)))
        };
        is_here || self.listed.lock().workers.iter().any(fits)
    }

    /// The workers of all servers that are online and may claim a task, by id.
    pub(super) fn routed(&self, handler: &str, filter: &WorkerFilter) -> Vec<RoutedWorker> {
        let now = clock::now();
        let known = self.known.lock();
        let listed = self.listed.lock();
        let here = known.iter().map(|(id, known)| match listed.workers.get(id) {
            // It speaks to another server by now.
            Some(listed) if listed.heard > known.document.heard => (id, listed, listed.running),
            _ => (id, &known.document, u32::try_from(known.held.len()).unwrap_or(u32::MAX)),
        });
        let there = listed.workers.iter().filter(|(id, _)| !known.contains_key(*id));
        let there = there.map(|(id, listed)| (id, listed, listed.running));
        let online = here.chain(there).filter(|(id, document, _)| {
            document.state(self.lease, now) == WorkerState::Online
                && document.may_run(id, handler, filter)
        });
        let mut all: Vec<_> = online
            .map(|(id, document, running)| {
                let used = document.uses.get(handler);
                RoutedWorker {
                    id: id.clone(),
                    name: document.worker.name.clone(),
                    slots: document.worker.slots,
                    running,
                    load: document.load,
                    dispatched: used.map_or(0, |used| used.within_day(now)),
                    last: used.map_or(0, |used| used.last),
                }
            })
            .collect();
        all.sort_by(|one, other| one.id.cmp(&other.id));
        all
    }

    /// Notes that a worker is given a task of a handler by a rule; answers the number of that. It
    /// is written down with the worker's next sign of life.
    pub(super) fn note_use(&self, id: &str, handler: &str) -> u64 {
        let now = clock::now();
        // So that the numbers of several servers are about in the order of time.
        let least = u64::try_from(now.millis()).unwrap_or(0) << 10;
        let next = |last: u64| Some(least.max(last + 1));
        let last = self.last_use.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        let last = last.ok().and_then(next).unwrap_or(least);
        let note = |document: &mut WorkerDocument| {
            let fresh = Use { since: now, count: 0, last };
            document.uses.entry(handler.to_owned()).or_insert(fresh).note(now, last);
        };
        self.known.lock().get_mut(id).map(|known| &mut known.document).map(note);
        self.listed.lock().workers.get_mut(id).map(note);
        last
    }

    /// All workers, by id.
    pub async fn views(&self) -> Result<Vec<WorkerView>, WorkerError> {
        self.list().await?;
        let now = clock::now();
        let mut all: BTreeMap<String, WorkerDocument> =
            self.listed.lock().workers.clone().into_iter().collect();
        for (id, known) in self.known.lock().iter() {
            // Another server may have heard of it since.
            if all.get(id).is_some_and(|document| document.heard <= known.document.heard) {
                all.insert(id.clone(), known.document.clone());
            }
        }
        Ok(all.iter().map(|(id, document)| document.view(id, self.lease, now)).collect())
    }

    /// The handlers that workers offer, by name.
    pub async fn handlers(&self) -> Result<Vec<HandlerView>, WorkerError> {
        let mut all: BTreeMap<String, HandlerView> = BTreeMap::new();
        for WorkerView { worker, state, .. } in self.views().await? {
            for handler in worker.handlers {
                let entry = all.entry(handler.name.clone()).or_insert_with(|| HandlerView {
                    name: handler.name,
                    description: handler.description,
                    workers: 0,
                });
                entry.workers += u32::from(state == WorkerState::Online);
            }
        }
        Ok(all.into_values().collect())
    }

    /// One worker.
    pub async fn get(&self, id: &str) -> Result<WorkerView, WorkerError> {
        self.load(id).await?;
        self.view(id)
    }

    fn view(&self, id: &str) -> Result<WorkerView, WorkerError> {
        self.with(id, |known| known.document.view(id, self.lease, clock::now()))
    }

    /// Reads the list of all workers, if the last one is old, and forgets those that have gone long
    /// since.
    pub async fn list_when_old(&self) -> Result<(), WorkerError> {
        let time = self.listed.lock().time;
        let now = clock::now();
        let is_new = |time: Timestamp| (time..time.after(LISTED_EVERY)).contains(&now);
        if time.is_some_and(is_new) { Ok(()) } else { self.list().await }
    }

    async fn list(&self) -> Result<(), WorkerError> {
        let (now, mut workers) = (clock::now(), HashMap::new());
        for (document, worker) in list_documents(&*self.store, None).await? {
            let id = document.id.key.as_str().to_owned();
            let is_banned = worker.banned_until.is_some_and(|until| until > now);
            if worker.heard.after(FORGOTTEN_AFTER) > now || is_banned {
                workers.insert(id, worker);
                continue;
            }
            let change = DocumentChange::delete(document.id, document.version);
            // If it has come back, it stays.
            if self.store.change_document(change).await.is_ok() {
                self.known.lock().remove(&id);
            }
        }
        self.forget_elsewhere(now);
        let mut listed = self.listed.lock();
        for (id, document) in &mut workers {
            // What this server has given it may not have been written down yet.
            if let Some(before) = listed.workers.get(id) {
                document.merge_uses(&before.uses);
            }
        }
        *listed = Everyone { time: Some(now), workers };
        drop(listed);
        self.others_now();
        Ok(())
    }

    /// Forgets workers that speak to other servers by now: their documents say all of them.
    fn forget_elsewhere(&self, now: Timestamp) {
        let silence = self.lease.saturating_mul(SILENT_LEASES);
        self.known.lock().retain(|_, known| known.here.after(silence) > now);
    }

    /// Does something with a worker that is in memory.
    pub(super) fn with<T>(
        &self,
        id: &str,
        work: impl FnOnce(&mut Known) -> T,
    ) -> Result<T, WorkerError> {
        let mut known = self.known.lock();
        known.get_mut(id).map(work).ok_or_else(|| WorkerError::NotFound(id.to_owned()))
    }

    /// Tells a worker that there is an order for it.
    pub fn tell(&self, id: &str) {
        if let Some(known) = self.known.lock().get(id) {
            known.orders.notify_one();
        }
    }

    /// Makes sure that a worker is in memory.
    async fn load(&self, id: &str) -> Result<(), WorkerError> {
        if self.known.lock().contains_key(id) { Ok(()) } else { self.load_anew(id).await }
    }

    /// Takes over what other servers have written about a worker.
    async fn load_anew(&self, id: &str) -> Result<(), WorkerError> {
        let unknown = || WorkerError::NotFound(id.to_owned());
        let document_id = document_id(id).map_err(|_| unknown())?;
        let Some(found) = self.store.get_document(&document_id).await? else {
            self.known.lock().remove(id);
            return Err(unknown());
        };
        let document = WorkerDocument::read(&found).ok_or_else(unknown)?;
        let mut known = self.known.lock();
        let entry = known.entry(id.to_owned());
        let entry =
            entry.or_insert_with(|| Known::new(document.clone(), found.version, Timestamp::MIN));
        let heard = entry.document.heard.max(document.heard);
        entry.document.heard = heard;
        entry.document.draining |= document.draining;
        entry.document.banned_until = document.banned_until.or(entry.document.banned_until);
        entry.document.merge_uses(&document.uses);
        entry.version = found.version;
        drop(known);
        self.others_now();
        Ok(())
    }

    /// Changes the document of a worker that is in memory.
    async fn change(
        &self,
        id: &str,
        change: impl Fn(&mut WorkerDocument),
    ) -> Result<(), WorkerError> {
        for tried in 1.. {
            let next = version();
            let (document, expected) = self.with(id, |known| {
                change(&mut known.document);
                (known.document.clone(), known.version)
            })?;
            let put = document.put(id, (Some(expected), next))?;
            match self.store.change_document(put).await {
                Err(StoreError::StaleDocument(_)) if tried < TRIES => self.load_anew(id).await?,
                done => {
                    done?;
                    return self.with(id, |known| {
                        (known.version, known.kept) = (next, clock::now());
                    });
                }
            }
        }
        unreachable!("the last try is answered")
    }
}

impl Fleet for Workers {
    fn online(&self, task: &NewTask, filter: &WorkerFilter) -> Vec<String> {
        let passes = |worker: &RoutedWorker| {
            let document = |document: &WorkerDocument| {
                let NewWorker { tags, labels, .. } = &*document.worker;
                filter.passes(&worker.id, tags, labels)
            };
            let here = self.known.lock().get(&worker.id).map(|known| document(&known.document));
            here.or_else(|| self.listed.lock().workers.get(&worker.id).map(document))
        };
        let all = self.routed(&task.handler, &task.filter).into_iter();
        all.filter(|worker| passes(worker) == Some(true)).map(|worker| worker.id).collect()
    }
}

impl Known {
    fn new(document: WorkerDocument, version: DocumentVersion, kept: Timestamp) -> Self {
        let (here, held, orders) = (clock::now(), HashMap::new(), Arc::default());
        Self { document, version, kept, here, held, orders }
    }

    fn take_held(&mut self) -> Vec<(JobId, u32)> {
        self.held.drain().map(|(job, held)| (job, held.epoch)).collect()
    }
}

fn version() -> DocumentVersion {
    DocumentVersion(rand::random())
}

#[cfg(test)]
mod tests {
    use jobtracker_model::WorkerHandler;
    use jobtracker_store::memory::MemoryStore;

    use super::*;

    const LEASE: Duration = Duration::from_millis(30);

    fn worker() -> NewWorker {
        let handler = WorkerHandler { name: "a/b".into(), description: String::new() };
        let (tags, labels) = (Vec::new(), BTreeMap::new());
        NewWorker { name: "w".into(), handlers: vec![handler], tags, labels, slots: 1 }
    }

    /// Two servers of one store, and a worker that speaks to the first.
    async fn servers() -> (Workers, Workers, String) {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let [here, there] = [(); 2].map(|()| Workers::new(Arc::clone(&store), LEASE, LEASE));
        let id = here.register(worker()).await.unwrap().id;
        (here, there, id)
    }

    #[tokio::test]
    async fn a_lease_lasts_by_what_another_server_has_heard_since_the_list() {
        let (here, there, id) = servers().await;
        there.list().await.unwrap();
        while there.known_until(&id, JobId::MIN, 1).is_some_and(|until| until > clock::now()) {
            here.hear(&id, None).await.unwrap();
            tokio::task::yield_now().await;
        }
        here.change(&id, |_| {}).await.unwrap();
        let listed = there.known_until(&id, JobId::MIN, 1);
        assert!(there.lasts_until(&id, JobId::MIN, 1).await.unwrap() > listed);
        here.leave(&id).await.unwrap();
        assert_eq!(there.lasts_until("w-none", JobId::MIN, 1).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_worker_that_speaks_to_another_server_is_not_kept_in_memory() {
        let (here, there, id) = servers().await;
        there.get(&id).await.unwrap();
        assert!(there.with(&id, |_| ()).is_ok());
        while there.with(&id, |_| ()).is_ok() {
            here.hear(&id, None).await.unwrap();
            there.list().await.unwrap();
        }
        assert_eq!(there.get(&id).await.unwrap().id, id, "its document says all of it");
    }
}
