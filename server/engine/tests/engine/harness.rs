use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jobtracker_engine::{Engine, Options};
use jobtracker_model::{
    Change, Job, JobId, NewJob, Timestamp,
    testing::{NaiveJob, NaiveTree},
};
use jobtracker_store::{ChangesQuery, PageLimit, Store, memory::MemoryStore};

/// A clock that never stands still.
pub fn ticking() -> Timestamp {
    static NOW: AtomicI64 = AtomicI64::new(1_000_000);
    Timestamp::from_millis(NOW.fetch_add(1, Ordering::Relaxed)).unwrap()
}

pub fn options() -> Options {
    Options::new(ticking)
}

pub fn memory() -> (Arc<dyn Store>, Engine) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    (Arc::clone(&store), Engine::start(store, options()))
}

pub fn id(number: u64) -> JobId {
    JobId::new(number).unwrap()
}

pub fn job(number: u64, parent: Option<u64>) -> NewJob {
    NewJob { id: Some(id(number)), parent: parent.map(id), ..NewJob::new(format!("job {number}")) }
}

pub async fn changes(store: &dyn Store, of: JobId) -> Vec<Change> {
    let query = ChangesQuery { id: of, from: 0, limit: PageLimit::items(1000) };
    store.list_changes(query).await.unwrap().items
}

/// Asserts that the store has every job of the naive model, with its state, numbers and changes.
pub async fn assert_same(store: &dyn Store, naive: &NaiveTree) {
    for id in naive.ids() {
        let job: Job = store.get_job(id).await.unwrap().unwrap().into();
        let list = changes(store, id).await;
        let changes = list.into_iter().map(|change| change.state).collect();
        let seen = NaiveJob { changes, ..NaiveJob::from(&job) };
        assert_eq!(seen, naive.job(id), "job {id}");
    }
}

/// Long enough that only a failing test waits for all of it.
pub const LONG: Duration = Duration::from_secs(60);
