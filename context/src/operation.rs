use std::{any::Any, collections::VecDeque, fmt, future::Future};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::task::JoinSet;

use crate::JobTrackerContext;

/// What happens to a batch of work when a task of it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// The first failure ends the batch: tasks that run are stopped where they wait, and the others
    /// are not begun.
    #[default]
    First,
    /// All tasks run to their end, and all failures are told.
    All,
}

/// A batch of async work on a context: tasks that run side by side, up to a number at once.
///
/// Nothing runs before [`run`](Self::run), and nothing after its future is gone: a future that is
/// dropped stops the tasks that run where they wait and does not begin the others. What they have
/// recorded stays recorded.
#[must_use]
pub struct BatchOperation<T, E> {
    context: JobTrackerContext,
    tasks: VecDeque<Task<T, E>>,
    parallel: usize,
    on_error: OnError,
}

type Task<T, E> = Box<dyn FnOnce(JobTrackerContext) -> BoxFuture<'static, Result<T, E>> + Send>;

/// Why a task of a batch failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskFailure<E> {
    /// It answered with an error.
    Failed(E),
    /// It panicked, with this message.
    Panicked(String),
}

/// Why a batch failed.
#[derive(Debug)]
pub struct BatchError<E> {
    /// The tasks that failed, by their numbers in the order in which they were added, from 0. The
    /// first failure comes first. At least one.
    pub failures: Vec<(usize, TaskFailure<E>)>,
    /// How many tasks succeeded.
    pub succeeded: usize,
    /// How many tasks were stopped or not begun.
    pub skipped: usize,
}

impl JobTrackerContext {
    /// A batch of async work on this context.
    pub fn batch<T, E>(&self) -> BatchOperation<T, E> {
        BatchOperation::new(self.clone())
    }
}

impl<T, E> BatchOperation<T, E> {
    fn new(context: JobTrackerContext) -> Self {
        Self { context, tasks: VecDeque::new(), parallel: 16, on_error: OnError::default() }
    }

    /// How many tasks run at once at most; 16 by default, 0 is taken as 1.
    pub fn parallel(mut self, tasks: usize) -> Self {
        self.parallel = tasks.max(1);
        self
    }

    /// What happens when a task fails; [`OnError::First`] by default.
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }

    /// Adds a task. It gets a handle of the context.
    pub fn add<F, Fut>(&mut self, task: F) -> &mut Self
    where
        F: FnOnce(JobTrackerContext) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.tasks.push_back(Box::new(move |context| task(context).boxed()));
        self
    }

    /// How many tasks have been added.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether no task has been added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}

impl<T: Send + 'static, E: Send + 'static> BatchOperation<T, E> {
    /// Runs the tasks and answers what they answer, in the order in which they were added.
    ///
    /// # Errors
    /// Tasks failed or panicked. With [`OnError::First`] it is told when all others have stopped.
    pub async fn run(self) -> Result<Vec<T>, BatchError<E>> {
        let Self { context, mut tasks, parallel, on_error } = self;
        let mut answers: Vec<Option<T>> = tasks.iter().map(|_| None).collect();
        let mut failures = Vec::new();
        let mut begun = 0;
        // Dropped, it stops what is in it.
        let mut running = JoinSet::new();
        loop {
            while running.len() < parallel
                && let Some(task) = tasks.pop_front()
            {
                let (number, context) = (begun, context.clone());
                // Within, a panic is caught with the number of its task.
                running.spawn(async move { (number, caught(task, context).await) });
                begun += 1;
            }
            // A task of a runtime that is being shut down has no answer; it counts as skipped.
            match running.join_next().await {
                None => break,
                Some(Ok((number, Ok(answer)))) => answers[number] = Some(answer),
                Some(Ok((number, Err(failure)))) => failures.push((number, failure)),
                Some(Err(_)) => {}
            }
            if on_error == OnError::First && !failures.is_empty() {
                running.shutdown().await;
                break;
            }
        }
        let count = answers.len();
        let answers: Vec<T> = answers.into_iter().flatten().collect();
        if answers.len() == count {
            return Ok(answers);
        }
        let (succeeded, failed) = (answers.len(), failures.len());
        Err(BatchError { failures, succeeded, skipped: count - succeeded - failed })
    }
}

async fn caught<T, E>(task: Task<T, E>, context: JobTrackerContext) -> Result<T, TaskFailure<E>> {
    let run = async move { task(context).await };
    match std::panic::AssertUnwindSafe(run).catch_unwind().await {
        Ok(answer) => answer.map_err(TaskFailure::Failed),
        Err(panic) => Err(TaskFailure::Panicked(message(&*panic))),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a text").to_owned()
}

impl<E: fmt::Display> fmt::Display for TaskFailure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Panicked(message) => write!(f, "it panicked: {message}"),
        }
    }
}

impl<E: fmt::Display> fmt::Display for BatchError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { failures, succeeded, skipped } = self;
        let failed = failures.len();
        write!(f, "{failed} tasks failed, {succeeded} succeeded, {skipped} were skipped")?;
        match failures.first() {
            Some((number, failure)) => write!(f, "; the first, number {number}: {failure}"),
            None => Ok(()),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for BatchError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.failures.first() {
            Some((_, TaskFailure::Failed(error))) => Some(error),
            _ => None,
        }
    }
}

impl<T, E> fmt::Debug for BatchOperation<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchOperation")
            .field("tasks", &self.tasks.len())
            .field("parallel", &self.parallel)
            .field("on_error", &self.on_error)
            .finish_non_exhaustive()
    }
}
