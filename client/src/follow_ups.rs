//! Actions, checks and deliveries of jobs.

use std::time::Duration;

use jobtracker_model::{
    Action, Added, Delivery, JobAction, JobCheck, JobId, NewCheck, Page, ReplayFailed, Replayed,
    Target, Tested, Timestamp,
};

use crate::{JobTrackerClient, ListPage, Result, call::Call};

/// How long a receiver may take to answer a test, in the service's longest setting.
const TEST_TAKES: Duration = Duration::from_secs(120);

/// Whom a service tells, and what it checks when the time comes. An action or check that is added
/// here counts from now on; a job can also be created with it
/// ([`NewJob::notify_on`](jobtracker_model::NewJob),
/// [`NewJob::check_at`](jobtracker_model::NewJob)).
///
/// A delivery is made at least once, with the same id on every try.
impl JobTrackerClient {
    /// Adds an action to a job. Durable, and safe to repeat: the same action is there once.
    ///
    /// # Errors
    /// `job_not_found`, `invalid_field`, `too_many_actions` past 16.
    pub async fn add_action(&self, id: JobId, action: &Action) -> Result<Added> {
        self.http.json(Call::post(format!("api/v1/jobs/{id}/actions"), action)?).await
    }

    /// The actions of a job, without secrets.
    ///
    /// # Errors
    /// `job_not_found`.
    pub async fn actions(&self, id: JobId) -> Result<Vec<JobAction>> {
        let call = Call::get(format!("api/v1/jobs/{id}/actions"));
        let page: Page<JobAction> = self.http.json(call).await?;
        Ok(page.items)
    }

    /// Adds a check to a job; one whose time is past is made at once. Durable, and safe to repeat:
    /// the same check is there once.
    ///
    /// # Errors
    /// `job_not_found`, `invalid_field`, `invalid_expression`, `too_many_checks` past 64, those
    /// that are over included.
    pub async fn add_check(&self, id: JobId, check: &NewCheck) -> Result<Added> {
        self.http.json(Call::post(format!("api/v1/jobs/{id}/checks"), check)?).await
    }

    /// The checks of a job, those that are over included, without secrets.
    ///
    /// # Errors
    /// `job_not_found`.
    pub async fn checks(&self, id: JobId) -> Result<Vec<JobCheck>> {
        let call = Call::get(format!("api/v1/jobs/{id}/checks"));
        let page: Page<JobCheck> = self.http.json(call).await?;
        Ok(page.items)
    }

    /// Cancels a check. Durable, and safe to repeat.
    ///
    /// # Errors
    /// `job_not_found`, `check_not_found`, `check_is_over` for one that has been made.
    pub async fn cancel_check(&self, id: JobId, number: u32) -> Result<()> {
        let call = Call::delete(format!("api/v1/jobs/{id}/checks/{number}"));
        self.http.send(call).await.map(drop)
    }

    /// A page of the deliveries of a job, oldest first.
    ///
    /// # Errors
    /// `job_not_found`.
    pub async fn deliveries(&self, id: JobId, page: ListPage) -> Result<Page<Delivery>> {
        self.http.json(Call::get(format!("api/v1/jobs/{id}/deliveries")).page(page)).await
    }

    /// A page of the deliveries of all jobs that were given up in a range of time, both ends
    /// included, oldest first.
    ///
    /// # Errors
    /// `invalid_cursor`: the cursor goes with the same range.
    pub async fn failed_deliveries(
        &self,
        from: Timestamp,
        to: Timestamp,
        page: ListPage,
    ) -> Result<Page<Delivery>> {
        let call = Call::get("api/v1/deliveries/failed").page(page);
        self.http.json(call.query("from", Some(from)).query("to", Some(to))).await
    }

    /// Has a delivery sent again at once, in any state. Durable. Every call asks for
    /// another try, and so may a call that has to send its request twice.
    ///
    /// # Errors
    /// `delivery_not_found`.
    pub async fn replay_delivery(&self, delivery: &str) -> Result<()> {
        let call = Call::post("api/v1/deliveries", &())?.key(delivery)?.key("replay")?;
        self.http.send(call).await.map(drop)
    }

    /// Has a delivery not tried any more; a try that is under way goes on. Durable, and safe to
    /// repeat.
    ///
    /// # Errors
    /// `delivery_not_found`, `delivery_is_over` for one that was received.
    pub async fn cancel_delivery(&self, delivery: &str) -> Result<()> {
        let call = Call::post("api/v1/deliveries", &())?.key(delivery)?.key("cancel")?;
        self.http.send(call).await.map(drop)
    }

    /// Has everything sent again that was given up in a range of time, both ends included; up to
    /// 10,000 at once. Durable, and safe to repeat.
    ///
    /// # Errors
    /// The service does not answer; some may have been replayed then.
    pub async fn replay_failed(&self, from: Timestamp, to: Timestamp) -> Result<Replayed> {
        let range = ReplayFailed { from, to };
        self.http.json(Call::post("api/v1/deliveries/replay", &range)?).await
    }

    /// Sends a test to a target, once. It waits up to 5 s for a place at its host. Nothing is kept.
    ///
    /// # Errors
    /// `invalid_field`. That it was not received is no error.
    pub async fn test_target(&self, target: &Target) -> Result<Tested> {
        let call = Call::post("api/v1/actions/test", target)?;
        self.http.json(call.once().slow(TEST_TAKES)).await
    }

    /// Sends a test to the receivers of an action, with its headers and its signature, once. It
    /// waits up to 5 s for a place at its host. Nothing is kept.
    ///
    /// # Errors
    /// `job_not_found`, `action_not_found`. That it was not received is no error.
    pub async fn test_action(&self, id: JobId, number: u32) -> Result<Tested> {
        let call = Call::post(format!("api/v1/jobs/{id}/actions/{number}/test"), &())?;
        self.http.json(call.once().slow(TEST_TAKES)).await
    }
}
