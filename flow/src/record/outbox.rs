use std::collections::VecDeque;

use jobtracker_client::{NewChange, State};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Snapshot;

/// Warnings of a step that wait to be told. Past them, the oldest gives way.
const WARNINGS_KEPT: usize = 16;

/// What is to be told of a run: for each step, what has become of it since it was told last. It
/// does not grow with the events, so a service that is slow or gone costs no more than this.
#[derive(Default)]
pub(super) struct Outbox {
    inner: Mutex<Inner>,
    filled: Notify,
    emptied: Notify,
}

#[derive(Default)]
struct Inner {
    steps: Vec<Reports>,
    /// Steps that have something to tell, each once.
    waiting: VecDeque<u32>,
    end: Option<End>,
    /// Whether the writer has what it took still in hand.
    is_busy: bool,
    /// Whether the writer has gone.
    is_closed: bool,
}

/// How a run ended.
pub(super) struct End {
    pub(super) change: NewChange,
    pub(super) snapshot: Snapshot,
}

/// What is to be told of a step.
#[derive(Default)]
struct Reports {
    is_waiting: bool,
    is_running: bool,
    warnings: VecDeque<NewChange>,
    end: Option<NewChange>,
}

/// What the writer takes at once.
pub(super) struct Batch {
    /// Steps, each with its changes in order.
    pub(super) steps: Vec<(u32, Vec<NewChange>)>,
    /// The end of the run, when nothing comes after this batch.
    pub(super) end: Option<End>,
}

impl Outbox {
    pub(super) fn new(steps: usize) -> Self {
        let steps = std::iter::repeat_with(Reports::default).take(steps).collect();
        Self { inner: Mutex::new(Inner { steps, ..Inner::default() }), ..Self::default() }
    }

    pub(super) fn running(&self, step: u32) {
        self.put(step, |reports| reports.is_running = true);
    }

    pub(super) fn warning(&self, step: u32, change: NewChange) {
        self.put(step, |reports| {
            if reports.warnings.len() == WARNINGS_KEPT {
                reports.warnings.pop_front();
            }
            reports.warnings.push_back(change);
        });
    }

    pub(super) fn end_of(&self, step: u32, change: NewChange) {
        self.put(step, |reports| reports.end = Some(change));
    }

    pub(super) fn end(&self, end: End) {
        let mut inner = self.inner.lock();
        if !inner.is_closed {
            inner.end = Some(end);
            self.filled.notify_one();
        }
    }

    fn put(&self, step: u32, put: impl FnOnce(&mut Reports)) {
        let mut inner = self.inner.lock();
        if inner.is_closed {
            return;
        }
        let Some(reports) = inner.steps.get_mut(step as usize) else { return };
        put(reports);
        if !std::mem::replace(&mut reports.is_waiting, true) {
            inner.waiting.push_back(step);
            if inner.waiting.len() == 1 {
                self.filled.notify_one();
            }
        }
    }

    /// Waits for something to tell, and takes all there is.
    pub(super) async fn take(&self) -> Batch {
        loop {
            if let Some(batch) = self.try_take() {
                return batch;
            }
            self.filled.notified().await;
        }
    }

    fn try_take(&self) -> Option<Batch> {
        let mut inner = self.inner.lock();
        inner.is_busy = false;
        let waiting = std::mem::take(&mut inner.waiting);
        let end = inner.end.take();
        if waiting.is_empty() && end.is_none() {
            self.emptied.notify_waiters();
            return None;
        }
        inner.is_busy = true;
        let mut changes = |step: u32| {
            let Reports { is_running, warnings, end, .. } =
                std::mem::take(&mut inner.steps[step as usize]);
            let running = is_running.then(|| NewChange::new(State::Running).change_id("running"));
            running.into_iter().chain(warnings).chain(end).collect()
        };
        let steps = waiting.into_iter().map(|step| (step, changes(step))).collect();
        Some(Batch { steps, end })
    }

    /// Says that nothing is written any more.
    pub(super) fn close(&self) {
        let mut inner = self.inner.lock();
        *inner = Inner { is_closed: true, ..Inner::default() };
        self.emptied.notify_waiters();
    }

    /// Waits until what is in it has been told.
    pub(super) async fn empty(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            emptied.as_mut().enable();
            let is_empty = {
                let inner = self.inner.lock();
                inner.waiting.is_empty() && inner.end.is_none() && !inner.is_busy
            };
            if is_empty {
                return;
            }
            emptied.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_waits_is_bounded_and_in_order() {
        let outbox = Outbox::new(2);
        outbox.running(1);
        for attempt in 1..=100 {
            outbox.warning(1, NewChange::new(State::Warning).message(format!("{attempt}")));
        }
        outbox.end_of(1, NewChange::new(State::Faulted));
        let Batch { steps, end } = outbox.take().await;
        let [(1, changes)] = &steps[..] else { panic!("{steps:?}") };
        let states: Vec<State> = changes.iter().map(|change| change.state).collect();
        assert_eq!(
            (states[0], states[1], states[17]),
            (State::Running, State::Warning, State::Faulted)
        );
        let told = |at: usize| changes[at].message.as_deref();
        assert_eq!((changes.len(), told(1), told(16)), (18, Some("85"), Some("100")));
        assert!(end.is_none());
        // What is told of it later is only what is new.
        outbox.running(0);
        assert_eq!(outbox.take().await.steps.len(), 1);
        // Without a writer, nothing waits.
        outbox.close();
        outbox.running(0);
        assert!(outbox.try_take().is_none());
        outbox.empty().await;
    }
}
