//! Whether what is asked for can be followed here.

use actix_web::web;
use jobtracker_model::{NewJob, ProblemCode};

use super::{
    app::App,
    problem::{ApiError, Result},
};
use crate::follow_ups::{Unfit, Vet};

/// Looks at what new jobs want followed, and answers with the jobs. `within` is what stands before
/// the names of a job's fields.
pub(super) async fn vet_jobs(
    app: &App,
    jobs: Vec<NewJob>,
    within: fn(usize) -> String,
) -> Result<Vec<NewJob>> {
    let vet = app.follow_ups.vet();
    let is_slow = jobs.iter().any(Vet::is_slow);
    let work = move || {
        for (index, job) in jobs.iter().enumerate() {
            if !job.actions.is_empty() || !job.checks.is_empty() {
                vet.job(&within(index), job)?;
            }
        }
        Ok(jobs)
    };
    if is_slow { vet_elsewhere(work).await } else { Ok(work()?) }
}

/// Looks at expressions where that holds nobody up.
pub(super) async fn vet_elsewhere<T: Send + 'static>(
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
