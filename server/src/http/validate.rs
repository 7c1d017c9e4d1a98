//! Checks and validates jobs and follow-ups of requests.

use actix_web::web;
use jobtracker_model::{CheckedJob, FieldError, NewJob, NewTask, ProblemCode, Routing};

use super::{
    app::App,
    problem::{ApiError, Result},
};
use crate::{
    follow_ups::{Unfit, Validator},
    tasks::Routers,
};

/// Checks new jobs and validates their follow-ups. `within` is the prefix of the names of a job's
/// fields.
pub(super) async fn validate_jobs(
    app: &App,
    jobs: Vec<NewJob>,
    within: fn(usize) -> String,
) -> Result<Vec<CheckedJob>> {
    let validator = app.follow_ups.validator();
    let is_slow = jobs.iter().any(Validator::is_slow);
    let routers = app.dispatch.routers.clone();
    let validate = move |job: NewJob| {
        let job = CheckedJob::try_from(job)?;
        if let Some(task) = &job.task {
            check_routing(task, &routers).map_err(|error| error.within("task"))?;
        }
        validator.all(&job.actions, &job.checks)?;
        Ok(job)
    };
    let work = move || {
        let jobs = jobs.into_iter().enumerate();
        jobs.map(|(index, job)| validate(job).map_err(|unfit: Unfit| unfit.within(&within(index))))
            .collect()
    };
    if is_slow { validate_off_thread(work).await } else { Ok(work()?) }
}

/// Checks that a rule of the operator's own is there.
pub(super) fn check_routing(
    task: &NewTask,
    routers: &Routers,
) -> std::result::Result<(), FieldError> {
    match &task.routing {
        Routing::Custom { name } if !routers.contains_key(name) => {
            Err(FieldError::new("routing.name", "is no rule of this service"))
        }
        _ => Ok(()),
    }
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
