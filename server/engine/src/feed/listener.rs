use std::sync::Arc;

use jobtracker_store::Version;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{FeedEvent, MoveReason, Scope, channels::Channels};
use crate::Result;

/// Hears of what is committed, from its creation on. Dropping it ends that.
///
/// To know all of a tree: listen, read the tree, say by [`begin_at`](Self::begin_at) which version
/// that was, and go on with the events. The events of a tree come in order, each from the version
/// where the one before ended; a listener to a job is not told of commits without a row of the job.
///
/// What a listener has not read yet is bounded. One that is too slow misses events and is told so,
/// by [`FeedEvent::Moved`], or by [`FeedEvent::Skipped`] if it listens to all trees.
#[derive(Debug)]
pub struct Listener {
    channels: Arc<Channels>,
    scope: Scope,
    receiver: Receiver<FeedEvent>,
    /// The version up to which it knows its tree.
    at: Version,
    /// Events that it missed.
    missed: u64,
    /// An event that comes after the one that says what was missed.
    next: Option<FeedEvent>,
}

impl Listener {
    pub(super) fn join(channels: &Arc<Channels>, scope: Scope) -> Result<Self> {
        let (receiver, channels) = (channels.join(scope)?, Arc::clone(channels));
        Ok(Self { channels, scope, receiver, at: 0, missed: 0, next: None })
    }

    /// Says at which version the tree was read: only what came after that is told.
    pub fn begin_at(&mut self, version: Version) {
        self.at = version;
    }

    /// The next event; `None` when the engine takes no more operations. A dropped call misses
    /// nothing.
    pub async fn next(&mut self) -> Option<FeedEvent> {
        loop {
            let event = match self.next.take() {
                Some(event) => event,
                None => match self.receiver.recv().await {
                    Ok(event) => event,
                    Err(RecvError::Lagged(missed)) => {
                        self.missed += missed;
                        continue;
                    }
                    Err(RecvError::Closed) => return None,
                },
            };
            let told = match self.scope {
                Scope::All => Some(self.after_skipped(event)),
                Scope::Tree(_) | Scope::Job { .. } => self.in_order(event),
            };
            if told.is_some() {
                return told;
            }
        }
    }

    fn after_skipped(&mut self, event: FeedEvent) -> FeedEvent {
        match std::mem::take(&mut self.missed) {
            0 => event,
            missed => {
                self.next = Some(event);
                FeedEvent::Skipped(missed)
            }
        }
    }

    /// The event as far as it goes on from what is known.
    fn in_order(&mut self, event: FeedEvent) -> Option<FeedEvent> {
        let (root, from, to) = event.span()?;
        if to <= self.at {
            return None;
        }
        let known = std::mem::replace(&mut self.at, to);
        let missed = std::mem::take(&mut self.missed) > 0;
        match event {
            FeedEvent::Moved { reason, .. } => {
                let reason = if missed { MoveReason::Slow } else { reason };
                let from = if missed { known } else { from.max(known) };
                Some(FeedEvent::Moved { root, from, to, reason })
            }
            event if missed && from > known => {
                (self.at, self.next) = (from, Some(event));
                Some(FeedEvent::Moved { root, from: known, to: from, reason: MoveReason::Slow })
            }
            event => Some(event),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.channels.leave(self.scope);
    }
}
