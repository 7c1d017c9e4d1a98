//! Operations on the follow-ups of a job.

use std::sync::Arc;

use jobtracker_model::{Action, Attempt, DeliveryId, JobId, NewCheck, Progress, Timestamp};

use crate::{
    Engine, Outages, Result,
    operation::{FollowUpChange, Look, Operation, Outcome, Tried},
};

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
