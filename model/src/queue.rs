//! The queue: tasks that wait for a worker, and those that one has.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{JobId, Timestamp};

/// Where a task of the queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum QueueState {
    /// A worker has it on lease.
    Leased,
    /// It waits for a worker.
    Ready,
    /// It may be claimed later, for example because its next attempt follows a pause.
    Delayed,
}

/// A text that names no state of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a state of the queue is leased, ready or delayed")]
pub struct UnknownQueueState;

impl QueueState {
    /// All of them, in the order of the list.
    pub const ALL: [Self; 3] = [Self::Leased, Self::Ready, Self::Delayed];

    /// The name, as the API spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leased => "leased",
            Self::Ready => "ready",
            Self::Delayed => "delayed",
        }
    }
}

impl fmt::Display for QueueState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for QueueState {
    type Err = UnknownQueueState;

    fn from_str(text: &str) -> Result<Self, UnknownQueueState> {
        Self::ALL.into_iter().find(|state| state.name() == text).ok_or(UnknownQueueState)
    }
}

/// A task of the queue, without what it was given and has answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueuedTask {
    /// The job.
    pub job: JobId,
    /// What people call it.
    pub name: String,
    /// The handler that runs it.
    pub handler: String,
    /// Where it is.
    pub state: QueueState,
    /// Since when a worker has it, or from when on it may be claimed.
    pub since: Timestamp,
    /// How many attempts have begun, without those that were handed back.
    pub attempt: u32,
    /// The worker that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// When its lease ends unless the worker is heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// The worker for which it is kept while it waits, if its routing has chosen one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<String>,
    /// Whether its worker was asked to stop.
    pub cancelling: bool,
    /// How far the attempt is, in percent.
    pub progress: u8,
}

/// How long the queue is. On a queue with more tasks than are counted the numbers say how many
/// there are at least.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueCounts {
    /// The numbers.
    #[serde(flatten)]
    pub all: QueueLength,
    /// Whether there may be more than were counted: 10,000 that workers have, and 10,000 that
    /// wait, the oldest.
    pub more: bool,
    /// The same by handler, by name; of the first 200.
    pub handlers: Vec<HandlerQueue>,
}

/// How many tasks are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueLength {
    /// Tasks that workers have.
    pub leased: u64,
    /// Tasks that wait for a worker.
    pub ready: u64,
    /// Tasks that may be claimed later.
    pub delayed: u64,
    /// Since when the ready one has waited that has waited longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
}

/// The tasks of a handler in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HandlerQueue {
    /// `service/name`.
    pub handler: String,
    /// The numbers.
    #[serde(flatten)]
    pub length: QueueLength,
}

impl QueueLength {
    /// Counts one task more.
    pub fn count(&mut self, state: QueueState, since: Timestamp) {
        match state {
            QueueState::Leased => self.leased += 1,
            QueueState::Delayed => self.delayed += 1,
            QueueState::Ready => {
                self.ready += 1;
                self.oldest = self.oldest.into_iter().chain([since]).min();
            }
        }
    }
}
