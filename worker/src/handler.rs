use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;

use crate::{BoxError, Outcome, TaskContext};

/// Runs tasks. One value serves all tasks of its name, several at once.
///
/// Every function that takes a [`TaskContext`] and answers a future of an [`Outcome`] is one.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Prepares the handler, before the worker claims anything. An error ends the worker.
    async fn init(&self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Runs a task. When it [is cancelled](TaskContext::cancelled), it should end soon: after the
    /// time that the task allows, the future is dropped. A panic is a failure of the attempt.
    ///
    /// What blocks a thread for long belongs into `tokio::task::spawn_blocking`: it cannot be
    /// stopped from outside, and if it blocks all threads, the leases of the worker end.
    async fn execute(&self, cx: TaskContext) -> Outcome;

    /// Cleans up, after the last task.
    async fn destroy(&self) {}
}

#[async_trait]
impl<F, R> Handler for F
where
    F: Fn(TaskContext) -> R + Send + Sync + 'static,
    R: Future<Output = Outcome> + Send + 'static,
{
    async fn execute(&self, cx: TaskContext) -> Outcome {
        self(cx).await
    }
}

/// A handler under the name by which tasks ask for it.
#[derive(Clone)]
pub(crate) struct Named {
    pub name: String,
    pub description: String,
    pub handler: Arc<dyn Handler>,
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, description, .. } = self;
        f.debug_struct("Named").field("name", name).field("description", description).finish()
    }
}
