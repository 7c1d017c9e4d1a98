use std::sync::Arc;

use jobtracker_model::{Action, Attempt, NewCheck, Progress, Timestamp, limits};
use jobtracker_store::FollowUpKey;

use crate::Outages;

/// A change to the follow-ups of one job.
#[derive(Debug)]
pub(crate) enum FollowUpChange {
    AddAction(Arc<Action>),
    AddCheck(Arc<NewCheck>),
    CancelCheck(u32),
    MakeCheck {
        number: u32,
        look: Look,
    },
    /// Note a try to deliver.
    Settle {
        number: u32,
        tried: Tried,
        attempt: Attempt,
        progress: Progress,
    },
    /// Try again; if a time is given, only if the delivery failed at that time.
    Replay {
        number: u32,
        failed: Option<Timestamp>,
    },
    CancelDelivery(u32),
}

/// A delivery as it was when it was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// When it was due.
    pub due: Timestamp,
    /// Tries before this one.
    pub attempts: u32,
}

impl FollowUpChange {
    /// The rows that the change needs besides the watch row.
    pub fn wanted(&self) -> Vec<FollowUpKey> {
        match self {
            Self::AddAction(_) => (0..limits::ACTIONS as u32).map(FollowUpKey::Action).collect(),
            Self::AddCheck(_) => (0..limits::CHECKS_EVER as u32).map(FollowUpKey::Check).collect(),
            Self::CancelCheck(number) | Self::MakeCheck { number, .. } => {
                vec![FollowUpKey::Check(*number)]
            }
            Self::Settle { number, .. }
            | Self::Replay { number, .. }
            | Self::CancelDelivery(number) => {
                vec![FollowUpKey::Delivery(*number)]
            }
        }
    }

    /// About how much memory its texts take.
    pub fn bytes(&self) -> usize {
        match self {
            Self::AddAction(action) => action.bytes(),
            Self::AddCheck(check) => check.bytes(),
            Self::Settle { attempt, .. } => attempt.response.len(),
            _ => 0,
        }
    }
}

/// A check that is due.
#[derive(Debug)]
pub(crate) struct Look {
    pub due: Timestamp,
    /// For an expression, whether it holds.
    pub holds: Option<bool>,
    pub outages: Outages,
}
