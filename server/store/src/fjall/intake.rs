use std::{
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use tokio::sync::mpsc;

/// The writer's end of its queue, at which it waits for a while only.
pub struct Intake<T> {
    queue: mpsc::Receiver<T>,
    waker: Waker,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl<T> Intake<T> {
    /// For the thread that calls this.
    pub fn new(queue: mpsc::Receiver<T>) -> Self {
        Self { queue, waker: Arc::new(Unpark(thread::current())).into() }
    }

    /// The next item, if it comes soon; `None` when none can come any more. (It may give up sooner
    /// than it was told to.)
    pub fn wait(&mut self, at_most: Duration) -> Poll<Option<T>> {
        let mut context = Context::from_waker(&self.waker);
        let found = self.queue.poll_recv(&mut context);
        if found.is_ready() || at_most.is_zero() {
            return found;
        }
        thread::park_timeout(at_most);
        self.queue.poll_recv(&mut context)
    }

    /// The next item that is already in the queue.
    pub fn try_receive(&mut self) -> Option<T> {
        self.queue.try_recv().ok()
    }

    /// Lets no further item in.
    pub fn close(&mut self) {
        self.queue.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_woken_by_what_comes() {
        let (sender, queue) = mpsc::channel(1);
        let mut intake = Intake::new(queue);
        assert_eq!(intake.wait(Duration::ZERO), Poll::Pending);
        assert_eq!(intake.wait(Duration::from_millis(1)), Poll::Pending);
        let other = thread::spawn(move || sender.blocking_send(7).unwrap());
        // Much longer than the test would be allowed to take.
        let mut found = Poll::Pending;
        while found.is_pending() {
            found = intake.wait(Duration::from_secs(3600));
        }
        assert_eq!(found, Poll::Ready(Some(7)));
        other.join().unwrap();
        assert_eq!(intake.wait(Duration::from_secs(3600)), Poll::Ready(None));
    }
}
