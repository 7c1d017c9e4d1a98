use async_trait::async_trait;
use jobtracker_model::{Action, Added, JobAction, JobCheck, JobId, NewCheck, Target, Tested};

use crate::Result;

/// Whom a service tells, and what it checks when the time comes: a part of a
/// [`JobTracker`](crate::JobTracker).
///
/// An action or check that is added here counts from now on; a job can also be created with it
/// ([`NewJob::notify_on`](jobtracker_model::NewJob),
/// [`NewJob::check_at`](jobtracker_model::NewJob)).
#[async_trait]
pub trait FollowUps: Send + Sync {
    /// Adds an action to a job. Durable, and safe to repeat: the same action is there once.
    ///
    /// # Errors
    /// `job_not_found`, `invalid_field`, `too_many_actions` past 16.
    async fn add_action(&self, id: JobId, action: &Action) -> Result<Added>;

    /// The actions of a job, without secrets.
    ///
    /// # Errors
    /// `job_not_found`.
    async fn actions(&self, id: JobId) -> Result<Vec<JobAction>>;

    /// Adds a check to a job; one whose time is past is made at once. Durable, and safe to repeat:
    /// the same check is there once.
    ///
    /// # Errors
    /// `job_not_found`, `invalid_field`, `invalid_expression`, `too_many_checks` past 64, those
    /// that are over included.
    async fn add_check(&self, id: JobId, check: &NewCheck) -> Result<Added>;

    /// The checks of a job, those that are over included, without secrets.
    ///
    /// # Errors
    /// `job_not_found`.
    async fn checks(&self, id: JobId) -> Result<Vec<JobCheck>>;

    /// Cancels a check. Durable, and safe to repeat.
    ///
    /// # Errors
    /// `job_not_found`, `check_not_found`, `check_is_over` for one that has been made.
    async fn cancel_check(&self, id: JobId, number: u32) -> Result<()>;

    /// Sends a test to a target, once. It waits up to 5 s for a place at its host. Nothing is kept.
    ///
    /// # Errors
    /// `invalid_field`. That it was not received is no error.
    async fn test_target(&self, target: &Target) -> Result<Tested>;

    /// Sends a test to the receivers of an action, with its headers and its signature, once. It
    /// waits up to 5 s for a place at its host. Nothing is kept.
    ///
    /// # Errors
    /// `job_not_found`, `action_not_found`. That it was not received is no error.
    async fn test_action(&self, id: JobId, number: u32) -> Result<Tested>;
}
