//! Validates the follow-ups of requests.

use actix_web::web;
use jobtracker_model::{NewJob, ProblemCode};

use super::{
    app::App,
    problem::{ApiError, Result},
};
use crate::follow_ups::{Unfit, Validator};

/// Validates the follow-ups of new jobs, and answers the jobs. `within` is the prefix of the names
/// of a job's fields.
pub(super) async fn validate_jobs(
    app: &App,
    jobs: Vec<NewJob>,
    within: fn(usize) -> String,
) -> Result<Vec<NewJob>> {
    let validator = app.follow_ups.validator();
    let is_slow = jobs.iter().any(Validator::is_slow);
    let work = move || {
        for (index, job) in jobs.iter().enumerate() {
            if !job.actions.is_empty() || !job.checks.is_empty() {
                validator.job(&within(index), job)?;
            }
        }
        Ok(jobs)
    };
    if is_slow { validate_off_thread(work).await } else { Ok(work()?) }
}

/// Validates expressions off the worker, so that other requests do not wait.
pub(super) async fn validate_off_thread<T: Send + 'static>(
    work: impl FnOnce() -> std::result::Result<T, Unfit> + Send + 'static,
) -> Result<T> {
    let done = web::block(work).await.map_err(|error| ApiError::internal(&error))?;
    Ok(done?)
}

impl From<Unfit> for ApiError {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Field(error) => error.into(),
            Unfit::Expression(field, invalid) => {
                let detail = format!("The expression: {invalid}.");
                Self::new(ProblemCode::InvalidExpression, detail).field(&field)
            }
        }
    }
}
