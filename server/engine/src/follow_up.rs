//! Operations on the follow-ups of a job.

use std::sync::Arc;

use jobtracker_model::{Action, Attempt, DeliveryId, JobId, NewCheck, Progress, Timestamp, limits};
use jobtracker_store::FollowUpKey;

use crate::{
    Engine, Outages, Result,
    operation::{Operation, Outcome},
};

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

impl Engine {
    /// Adds an action to a job; answers its number, and whether it is new. Safe to repeat: the job
    /// has the same action once.
    ///
    /// # Errors
    /// An unknown job, a field past its limit, a job with 16 actions, or one that is finished in a
    /// state that the action names: it fires when a state is reached, not while it lasts.
    pub async fn add_action(&self, id: JobId, action: Action) -> Result<(u32, bool)> {
        action.check("action")?;
        self.follow_up(id, FollowUpChange::AddAction(Arc::new(action))).await
    }

    /// Adds a check to a job; answers its number, and whether it is new. Safe to repeat: the job
    /// has the same check once.
    ///
    /// # Errors
    /// An unknown job, a field past its limit, a job with 64 checks, those that are over included.
    pub async fn add_check(&self, id: JobId, check: NewCheck) -> Result<(u32, bool)> {
        check.check("check")?;
        self.follow_up(id, FollowUpChange::AddCheck(Arc::new(check))).await
    }

    /// Cancels a check. Safe to repeat.
    ///
    /// # Errors
    /// An unknown job or check, or a check that has been made.
    pub async fn cancel_check(&self, id: JobId, number: u32) -> Result<()> {
        self.follow_up(id, FollowUpChange::CancelCheck(number)).await.map(|_| ())
    }

    /// Makes a check that was due at that time, unless it was made before; answers whether this
    /// call made it. For an expression the caller says whether it holds. Silence during an outage
    /// does not count. Safe to repeat.
    ///
    /// # Errors
    /// An unknown job or check.
    pub async fn make_check(
        &self,
        id: JobId,
        number: u32,
        due: Timestamp,
        holds: Option<bool>,
        outages: Outages,
    ) -> Result<bool> {
        let look = Look { due, holds, outages };
        let change = FollowUpChange::MakeCheck { number, look };
        self.follow_up(id, change).await.map(|(_, done)| done)
    }

    /// Notes what came of a try to deliver. If another try was noted meanwhile, or a caller has
    /// cancelled the delivery or requested it again, the try is noted only if the delivery was
    /// received; answers whether it was noted. Safe to repeat.
    ///
    /// # Errors
    /// An unknown job or delivery.
    pub async fn settle_delivery(
        &self,
        delivery: DeliveryId,
        tried: Tried,
        attempt: Attempt,
        progress: Progress,
    ) -> Result<bool> {
        let DeliveryId { job, number } = delivery;
        let change = FollowUpChange::Settle { number, tried, attempt, progress };
        self.follow_up(job, change).await.map(|(_, done)| done)
    }

    /// Schedules another try at once, in any state of the delivery. A repetition of the call is a
    /// request for another try.
    ///
    /// # Errors
    /// An unknown job or delivery.
    pub async fn replay_delivery(&self, delivery: DeliveryId) -> Result<()> {
        let change = FollowUpChange::Replay { number: delivery.number, failed: None };
        self.follow_up(delivery.job, change).await.map(|_| ())
    }

    /// The same, if the delivery failed at that time and has not changed since; answers whether it
    /// is tried again. Safe to repeat.
    ///
    /// # Errors
    /// An unknown job or delivery.
    pub async fn replay_failed(&self, delivery: DeliveryId, failed: Timestamp) -> Result<bool> {
        let change = FollowUpChange::Replay { number: delivery.number, failed: Some(failed) };
        self.follow_up(delivery.job, change).await.map(|(_, done)| done)
    }

    /// Cancels a delivery, so that it is not tried any more. A try that is under way goes on. Safe
    /// to repeat.
    ///
    /// # Errors
    /// An unknown job or delivery, or a delivery that was received.
    pub async fn cancel_delivery(&self, delivery: DeliveryId) -> Result<()> {
        let change = FollowUpChange::CancelDelivery(delivery.number);
        self.follow_up(delivery.job, change).await.map(|_| ())
    }

    async fn follow_up(&self, id: JobId, change: FollowUpChange) -> Result<(u32, bool)> {
        let operation = Operation::FollowUp { id, change: Box::new(change) };
        match self.submit(operation).await? {
            Outcome::FollowedUp { key, new } => Ok((key.parts().1, new)),
            other => unreachable!("a follow-up cannot have this outcome: {other:?}"),
        }
    }
}
