use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Release},
        },
    },
    thread::JoinHandle,
};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::{
    failure,
    hot_cache::HotCache,
    tables::Tables,
    view::{Instant, SnapshotView},
};
use crate::{Error, Result, view::at_once};

type Job = Box<dyn FnOnce(&Tables, &HotCache) + Send>;

/// A few threads that answer from the tables, and a bounded queue before them; reads that writing
/// waits for go past that queue. The queue stays while the engine is closed and opened again, the
/// threads do not.
pub struct Readers {
    queue: Arc<Queue>,
    closed: AtomicBool,
    limit: usize,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    /// Reads that writing waits for; the caller bounds their number.
    first: VecDeque<Job>,
    jobs: VecDeque<Job>,
    /// The threads are to end; waiting reads are for the threads that come after them.
    resting: bool,
    /// Reads are refused for a while, for this reason.
    refused: Option<Error>,
    closed: bool,
}

impl Readers {
    /// A queue for this many reads, which wait until there are threads.
    pub fn new(limit: usize) -> Self {
        Self { queue: Arc::default(), closed: AtomicBool::new(false), limit: limit.max(1) }
    }

    /// Starts the threads.
    pub fn start(
        &self,
        tables: &Arc<Tables>,
        cache: &Arc<HotCache>,
        threads: usize,
    ) -> std::io::Result<Vec<JoinHandle<()>>> {
        {
            let mut state = self.queue.state.lock();
            state.resting = false;
            state.refused = None;
        }
        let mut handles = Vec::new();
        for number in 0..threads.max(1) {
            let (queue, tables, cache) = (self.queue.clone(), tables.clone(), cache.clone());
            let thread = std::thread::Builder::new().name(format!("store-read-{number}"));
            let handle = thread.spawn(move || queue.work(&tables, &cache));
            handles.push(handle.inspect_err(|_| self.rest())?);
        }
        Ok(handles)
    }

    /// Has the threads end. Reads that wait go on waiting.
    pub fn rest(&self) {
        self.queue.state.lock().resting = true;
        self.queue.arrived.notify_all();
    }

    /// Refuses the reads that wait and those that come, until there are threads again.
    pub fn refuse(&self, error: Error) {
        let mut state = self.queue.state.lock();
        state.refused = Some(error);
        let refused = (std::mem::take(&mut state.first), std::mem::take(&mut state.jobs));
        // The callers notice when their questions are dropped, and read the reason here.
        drop(state);
        drop(refused);
    }

    /// Takes no more reads; those that wait are still answered.
    pub fn close(&self) {
        self.closed.store(true, Release);
        self.queue.state.lock().closed = true;
        self.queue.arrived.notify_all();
    }

    /// Whether it takes no more reads.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }

    /// How many reads wait for a thread.
    pub fn waiting(&self) -> usize {
        let state = self.queue.state.lock();
        state.first.len() + state.jobs.len()
    }

    /// Answers a question from the rows of one snapshot, on one of the threads.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl AsyncFnOnce(&SnapshotView) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.ask_at(None, question).await
    }

    /// The same from an instant that is held, if there is one.
    pub async fn ask_at<T: Send + 'static>(
        &self,
        instant: Option<Instant>,
        question: impl AsyncFnOnce(&SnapshotView) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (job, answer) = asked(instant, question);
        self.push(|state| {
            if state.jobs.len() >= self.limit {
                return Err(Error::Unavailable("too many reads are waiting".into()));
            }
            state.jobs.push_back(job);
            Ok(())
        })?;
        answer.await.unwrap_or_else(|_| Err(self.refusal()))
    }

    /// Answers a question before all those that wait, no matter how many: all writing waits for its
    /// answer, and the caller has a bound of its own.
    pub async fn ask_first<T: Send + 'static>(
        &self,
        question: impl AsyncFnOnce(&SnapshotView) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (job, answer) = asked(None, question);
        self.push(|state| {
            state.first.push_back(job);
            Ok(())
        })?;
        answer.await.unwrap_or_else(|_| Err(self.refusal()))
    }

    /// Why a read was dropped after it had been accepted.
    fn refusal(&self) -> Error {
        self.queue.state.lock().refused.clone().unwrap_or_else(closed)
    }

    fn push(&self, push: impl FnOnce(&mut State) -> Result<()>) -> Result<()> {
        let mut state = self.queue.state.lock();
        if state.closed {
            return Err(closed());
        }
        if let Some(refused) = &state.refused {
            return Err(refused.clone());
        }
        push(&mut state)?;
        drop(state);
        self.queue.arrived.notify_one();
        Ok(())
    }
}

/// A question as work for a thread, and where its answer will be.
fn asked<T: Send + 'static>(
    instant: Option<Instant>,
    question: impl AsyncFnOnce(&SnapshotView) -> Result<T> + Send + 'static,
) -> (Job, oneshot::Receiver<Result<T>>) {
    let (reply, answer) = oneshot::channel();
    let job = move |tables: &Tables, cache: &HotCache| {
        if reply.is_closed() {
            return;
        }
        let found = failure::caught("reading", || {
            let view = match instant {
                None => SnapshotView::new(tables, cache),
                Some(instant) => instant.view(tables, cache)?,
            };
            let found = at_once(question(&view));
            view.finish();
            found
        });
        // The caller may have stopped waiting for the answer.
        reply.send(found.flatten()).ok();
    };
    (Box::new(job), answer)
}

impl Queue {
    fn work(&self, tables: &Tables, cache: &HotCache) {
        loop {
            let mut state = self.state.lock();
            let job = loop {
                // A store that is being closed answers what it has accepted.
                if state.resting && !state.closed {
                    return;
                }
                match state.first.pop_front().or_else(|| state.jobs.pop_front()) {
                    Some(job) => break job,
                    None if state.closed => return,
                    None => self.arrived.wait(&mut state),
                }
            };
            drop(state);
            job(tables, cache);
        }
    }
}

/// The answer of a closed store.
pub fn closed() -> Error {
    Error::Unavailable("it has been closed".into())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::fjall::{FjallOptions, snapshot::Present};

    #[test]
    fn what_comes_first_is_neither_refused_nor_kept_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let options = FjallOptions::new(directory.path());
        let tables = Arc::new(Tables::open(directory.path(), &options).unwrap());
        let cache = Arc::new(HotCache::new(&options, Present::of_jobs(&tables, 0)));
        let readers = Readers::new(1);
        let threads = readers.start(&tables, &cache, 1).unwrap();
        let (answered, answers) = mpsc::channel();
        let question = |name: &'static str| {
            let answered = answered.clone();
            async move |_: &SnapshotView| {
                answered.send(name).unwrap();
                Ok(())
            }
        };
        // The one thread has begun an answer, and will not end it before the queue is full.
        let (begun, begins) = mpsc::channel();
        let (end, ends) = mpsc::channel();
        let busy = async move |_: &SnapshotView| {
            begun.send(()).unwrap();
            ends.recv().unwrap();
            Ok(())
        };
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut busy = Box::pin(readers.ask(busy));
        assert!(busy.as_mut().poll(&mut context).is_pending());
        begins.recv().unwrap();
        let mut list = Box::pin(readers.ask(question("list")));
        assert!(list.as_mut().poll(&mut context).is_pending());
        let mut refused = Box::pin(readers.ask(question("refused")));
        assert!(refused.as_mut().poll(&mut context).is_ready());
        let mut first = Box::pin(readers.ask_first(question("first")));
        assert!(first.as_mut().poll(&mut context).is_pending());
        let mut second = Box::pin(readers.ask_first(question("second")));
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert_eq!(readers.waiting(), 3);
        end.send(()).unwrap();
        let order: Vec<_> = (0..3).map(|_| answers.recv().unwrap()).collect();
        assert_eq!(order, ["first", "second", "list"]);
        readers.close();
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
