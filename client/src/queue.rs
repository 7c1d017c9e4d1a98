use jobtracker_model::{Page, QueueCounts, QueueState, QueuedTask};

use crate::{JobTrackerClient, ListPage, Result, call::Call};

const PATH: &str = "api/v1/queue";

/// Which tasks of the queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueQuery {
    /// Only tasks in one of these states; empty: all.
    pub states: Vec<QueueState>,
    /// Only tasks for this handler.
    pub handler: Option<String>,
    /// Only tasks that the worker with this id has, or that are kept for it.
    pub worker: Option<String>,
}

/// The queue of tasks, for those who look after it. Workers claim from it.
impl JobTrackerClient {
    /// A page of the queue: first the tasks that workers have, then those that wait, the oldest
    /// first. A page may be short, or empty, and still not be the last: the cursor tells.
    ///
    /// # Errors
    /// `invalid_query`, `invalid_cursor`.
    pub async fn queue(&self, query: &QueueQuery, page: ListPage) -> Result<Page<QueuedTask>> {
        let states = query.states.iter().map(|state| state.name()).collect::<Vec<_>>().join(",");
        let call = Call::get(PATH)
            .query("states", Some(states).filter(|states| !states.is_empty()))
            .query("handler", query.handler.as_ref())
            .query("worker", query.worker.as_ref());
        self.http.json(call.page(page)).await
    }

    /// How many tasks the queue has, by where they are and by handler. Up to 20,000 are counted.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn count_queue(&self) -> Result<QueueCounts> {
        self.http.json(Call::get("api/v1/queue/counts")).await
    }
}
