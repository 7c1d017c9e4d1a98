use std::{collections::HashMap, sync::Arc};

use futures_util::{
    FutureExt,
    future::{BoxFuture, WeakShared},
};
use jobtracker_client::{ContextTracker, Error as ClientError};
use jobtracker_model::{JobId, JobNode};
use parking_lot::Mutex;

use crate::{Error, Result};

/// Asks the service for jobs that are not in the buffer. Tasks that want the same job at the same
/// time share the answer.
pub(crate) struct Paths {
    tracker: Arc<dyn ContextTracker>,
    loads: Arc<Mutex<Loads>>,
}

/// The loads under way, by the job and by when they were begun at the earliest.
type Loads = HashMap<(JobId, u64), WeakShared<Load>>;

type Load = BoxFuture<'static, Result<Arc<[JobNode]>, Arc<ClientError>>>;

impl Paths {
    pub fn new(tracker: Arc<dyn ContextTracker>) -> Self {
        Self { tracker, loads: Arc::default() }
    }

    /// A job and all above it, if it is there; not older than `since`, a number of
    /// [departures](crate::buffer::Buffer::departures).
    pub async fn get(&self, id: JobId, since: u64) -> Result<Option<Arc<[JobNode]>>> {
        let load = {
            let mut loads = self.loads.lock();
            let running = loads.get(&(id, since)).and_then(WeakShared::upgrade);
            running.unwrap_or_else(|| {
                // A load whose callers all stopped waiting has not removed itself.
                loads.retain(|_, load| load.upgrade().is_some());
                let load = self.load(id, since).shared();
                loads.extend(load.downgrade().map(|load| ((id, since), load)));
                load
            })
        };
        match load.await {
            Ok(path) if is_path(&path, id) => Ok(Some(path)),
            Ok(_) => Err(Error::NotAPath(id)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(source) => Err(Error::Load { id, source }),
        }
    }

    fn load(&self, id: JobId, since: u64) -> Load {
        let (tracker, loads) = (Arc::clone(&self.tracker), Arc::clone(&self.loads));
        async move {
            let path = tracker.path(id).await;
            loads.lock().remove(&(id, since));
            path.map(Arc::from).map_err(Arc::new)
        }
        .boxed()
    }
}

/// Whether these are a job and those above it, up to a root.
fn is_path(path: &[JobNode], id: JobId) -> bool {
    let parents = path.iter().skip(1).map(|above| Some(above.id)).chain([None]);
    path.first().is_some_and(|job| job.id == id)
        && path.iter().map(|job| job.parent).eq(parents)
        && path.iter().enumerate().all(|(up, job)| job.depth as usize + up + 1 == path.len())
}
