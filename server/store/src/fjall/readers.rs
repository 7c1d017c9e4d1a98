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

use super::{failure, front::Front, tables::Tables, view::MomentView};
use crate::{Error, Result};

type Job = Box<dyn FnOnce(&Tables, &Front) + Send>;

/// A few threads that answer from the tables, and a bounded queue before them.
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
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Readers {
    /// Starts the threads.
    pub fn start(
        tables: &Arc<Tables>,
        front: &Arc<Front>,
        threads: usize,
        limit: usize,
    ) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        let queue = Arc::new(Queue::default());
        let closed = AtomicBool::new(false);
        let readers = Self { queue: Arc::clone(&queue), closed, limit: limit.max(1) };
        let mut handles = Vec::new();
        for number in 0..threads.max(1) {
            let (queue, tables, front) = (queue.clone(), tables.clone(), front.clone());
            let thread = std::thread::Builder::new().name(format!("store-read-{number}"));
            let handle = thread.spawn(move || queue.work(&tables, &front));
            handles.push(handle.inspect_err(|_| readers.close())?);
        }
        Ok((readers, handles))
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
        self.queue.state.lock().jobs.len()
    }

    /// Answers a question from the rows of one moment, on one of the threads.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&MomentView) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.push(Box::new(move |tables, front| {
            if reply.is_closed() {
                return;
            }
            let found = failure::caught("reading", || {
                let view = MomentView::new(tables, front);
                let found = question(&view);
                view.finish();
                found
            });
            // Nobody has to wait for the answer.
            reply.send(found.flatten()).ok();
        }))?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    fn push(&self, job: Job) -> Result<()> {
        let mut state = self.queue.state.lock();
        if state.closed {
            return Err(closed());
        }
        if state.jobs.len() >= self.limit {
            return Err(Error::Unavailable("too many reads are waiting".into()));
        }
        state.jobs.push_back(job);
        drop(state);
        self.queue.arrived.notify_one();
        Ok(())
    }
}

impl Queue {
    fn work(&self, tables: &Tables, front: &Front) {
        loop {
            let mut state = self.state.lock();
            let job = loop {
                match state.jobs.pop_front() {
                    Some(job) => break job,
                    None if state.closed => return,
                    None => self.arrived.wait(&mut state),
                }
            };
            drop(state);
            job(tables, front);
        }
    }
}

/// What a store that has been closed answers.
pub fn closed() -> Error {
    Error::Unavailable("it has been closed".into())
}
