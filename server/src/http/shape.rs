//! Parts of a tree that stand for the whole, for pictures of it.

use actix_web::HttpResponse;
use jobtracker_model::{JobId, Shape, Timeline, limits, live::JobSummary};
use jobtracker_store::{SampleQuery, ShapeQuery};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    app::State,
    extract::{Id, Query, number},
    problem::{ApiError, Result},
    reply,
    right::Reader,
};

/// Levels below the top without a word about them, and at most.
const DEPTH: u32 = 4;
/// Jobs of a shape without a word about them, and at most.
const JOBS: usize = 400;
const JOBS_MAX: usize = 1_000;
/// Children of a timeline that may be there only because they failed.
const FAILED: usize = 200;

/// How large the shape may be.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ShapeParams {
    /// Levels below the job.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 64, default = 4)]
    depth: Option<String>,
    /// Most jobs, with the one at the top.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 400)]
    jobs: Option<String>,
}

/// Get the shape of a tree
///
/// A few jobs that stand for all, with the exact numbers of what is not shown below each: failed
/// ones first, then unfinished ones, then the others. At one instant. It costs the jobs that it
/// shows, however large the tree is.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/shape", operation_id = "getShape", tag = "tree",
    params(("id" = JobId, Path, description = "The job at the top."), ShapeParams),
    responses((status = 200, description = "The shape.", body = Shape)))]
pub(super) async fn shape(
    _: Reader,
    app: State,
    id: Id,
    query: Query<ShapeParams>,
) -> Result<HttpResponse> {
    let depth = number("depth", query.0.depth.as_deref(), 1, limits::DEPTH)?.unwrap_or(DEPTH);
    let jobs = number("jobs", query.0.jobs.as_deref(), 1, JOBS_MAX)?.unwrap_or(JOBS);
    let rows = app.store.get_shape(ShapeQuery { of: id.0, depth, jobs }).await?;
    reply::ok(&Shape::new(rows.into_iter().map(JobSummary::from).collect()))
}

/// How long the timeline may be.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TimelineParams {
    /// Most children.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 1000)]
    limit: Option<String>,
}

/// Get the timeline of a job
///
/// When the work of its children began and ended: of all of them, or, where there are more than
/// asked for, of the first failed ones (up to 200, and half of the list) and of an even sample. At
/// one instant. It costs a few reads for each child that it shows.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/timeline", operation_id = "getTimeline",
    tag = "tree", params(("id" = JobId, Path, description = "The parent."), TimelineParams),
    responses((status = 200, description = "The timeline.", body = Timeline)))]
pub(super) async fn timeline(
    _: Reader,
    app: State,
    id: Id,
    query: Query<TimelineParams>,
) -> Result<HttpResponse> {
    let jobs = number("limit", query.0.limit.as_deref(), 1, limits::PAGE)?.unwrap_or(limits::PAGE);
    let failed = FAILED.min(jobs / 2);
    let sample = SampleQuery { parent: id.0, jobs, failed };
    let mut rows = app.store.sample_children(sample).await?.into_iter().map(JobSummary::from);
    let job = rows.next().ok_or_else(|| ApiError::job_not_found(id.0))?;
    let items: Vec<_> = rows.collect();
    let sampled = job.children.total() > items.len() as u64;
    reply::ok(&Timeline { job, items, sampled })
}
