//! Polls for waiting callers, on a store that other servers commit to as well: no server announces
//! its commits, so the states of all jobs that are waited for are read again and again.

use std::{sync::Arc, time::Duration};

use jobtracker_model::State;
use jobtracker_store::Store;
use tokio::time::Instant;

use crate::wait::Waiters;

/// The time from the end of one poll to the next. A poll that took longer than that is followed by
/// as long a pause, so that at most half of the time goes into polling.
const EVERY: Duration = Duration::from_millis(100);
/// Jobs that are read at once.
const AT_ONCE: usize = 1_000;

/// Polls for waiting callers, for as long as the future is polled.
pub(crate) async fn watch(store: Arc<dyn Store>, waiters: Arc<Waiters>) {
    let mut pause = EVERY;
    loop {
        tokio::time::sleep(pause).await;
        let begun = Instant::now();
        look(&*store, &waiters).await;
        pause = EVERY.max(begun.elapsed());
    }
}

async fn look(store: &dyn Store, waiters: &Waiters) {
    for ids in waiters.awaited().chunks(AT_ONCE) {
        // A store that does not answer now may do so at the next poll; a caller whose wait ends
        // before reads the store once more, and gets its error.
        let Ok(states) = store.get_states(ids.to_vec()).await else { return };
        let states = ids.iter().zip(states);
        let there = states.filter(|(_, state)| *state != State::WaitingForActivation);
        let became: Vec<_> = there.map(|(id, state)| (*id, state)).collect();
        waiters.tell(&became);
    }
}
