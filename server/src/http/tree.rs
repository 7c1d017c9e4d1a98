use std::collections::{HashMap, HashSet};

use actix_web::{HttpRequest, HttpResponse};
use jobtracker_model::{
    Ancestors, Blocker, JobId, JobNode, JobPath, Page, PathStep, Rank, Statistics, limits,
    live::BlockerSummary,
};
use jobtracker_store::{
    BlockerRow, BlockersQuery, DescendantsQuery, JobPlaces, JobRow, Node, Origin, PageLimit, Place,
    Wanted,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    app::State,
    cursor::{self, List},
    exports::{self, Format},
    extract::{Id, Query, flag, limit, states},
    fields::{Fields, JobItem},
    problem::{ApiError, Result},
    reply,
    right::Reader,
};
use crate::paths::paths_to;

/// Which page of a list of jobs, and which jobs.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct JobsQuery {
    /// Only jobs in one of these visible states, separated by commas. A page of a filtered list
    /// may be empty and still have a cursor.
    #[param(example = "Faulted,Running")]
    states: Option<String>,
    /// Most items on the page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 200)]
    limit: Option<String>,
    /// The `nextCursor` of the page before; absent for the first page.
    cursor: Option<String>,
    /// With `row` each item is a `JobSummary`: a job without options and source link. Not for a
    /// file.
    #[param(example = "row", default = "all")]
    fields: Option<String>,
    /// `json` for a page, `ndjson` or `csv` for a file with all of them, which is made as it is
    /// read and is not of one instant. Two files are made at once at most.
    #[param(example = "csv", default = "json")]
    format: Option<String>,
}

/// List the descendants of a job
///
/// Each before its own children, siblings by id.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/descendants", operation_id = "listDescendants",
    tag = "tree", params(("id" = JobId, Path, description = "The job at the top."), JobsQuery),
    responses((status = 200, description = "A page.", body = Page<JobItem>)))]
pub(super) async fn descendants(
    _: Reader,
    app: State,
    id: Id,
    query: Query<JobsQuery>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let (of, query) = (id.0, query.0);
    let paging = [&query.limit, &query.cursor, &query.fields];
    if let Some(format) = Format::of_file(query.format.as_deref(), paging)? {
        let (states, limit) = (states(query.states.as_deref())?, PageLimit::items(limits::PAGE));
        let read = move |app: State, after| async move {
            let query = DescendantsQuery { of, states, after, limit };
            Ok(app.store.list_descendants(query).await?)
        };
        return exports::file(app, request, &format!("below-{of}"), format, read).await;
    }
    let after = cursor::decode(List::Descendants, of.get(), query.cursor.as_deref())?;
    let (states, limit) = (states(query.states.as_deref())?, limit(query.limit.as_deref())?);
    let listed = app.store.list_descendants(DescendantsQuery { of, states, after, limit }).await?;
    let items = Fields::parse(query.fields.as_deref())?.items(listed.items);
    let next = |last: JobId| cursor::encode(List::Descendants, of.get(), &last);
    reply::ok(&Page { items, next_cursor: listed.next.map(next) })
}

/// What is told of the jobs above one.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AncestorsParams {
    /// With `true` the answer says where the job and each ancestor stand among their siblings.
    #[param(value_type = Option<bool>, default = false)]
    ranks: Option<String>,
    /// With `row` each item is a `JobSummary`: a job without options and source link.
    #[param(example = "row", default = "all")]
    fields: Option<String>,
}

/// List the ancestors of a job
///
/// The parent first, the root last, all at once.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/ancestors", operation_id = "listAncestors",
    tag = "tree", params(("id" = JobId, Path, description = "The job."), AncestorsParams),
    responses((status = 200, description = "All of them.", body = Ancestors<JobItem>)))]
pub(super) async fn ancestors(
    _: Reader,
    app: State,
    id: Id,
    query: Query<AncestorsParams>,
) -> Result<HttpResponse> {
    let AncestorsParams { ranks, fields } = query.0;
    let fields = Fields::parse(fields.as_deref())?;
    let next_cursor = None;
    if !flag("ranks", ranks.as_deref())? {
        let items = fields.items(app.store.list_ancestors(id.0).await?);
        let (ranks, version) = (None, None);
        return reply::ok(&Ancestors { items, next_cursor, ranks, version });
    }
    let JobPlaces { ancestors, places, version } = app.store.get_places(id.0).await?;
    let rank = |Place { id, number, siblings }| Rank { id, rank: number, siblings };
    let ranks = Some(places.into_iter().map(rank).collect());
    let (items, version) = (fields.items(ancestors), Some(version));
    reply::ok(&Ancestors { items, next_cursor, ranks, version })
}

/// Get a job and all jobs above it as the roll-up sees them
///
/// The job first and the root last, at one instant: what a buffered context needs in order to go on
/// with a tree that the service has.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/path", operation_id = "getPath",
    tag = "tree", params(("id" = JobId, Path, description = "The job.")),
    responses((status = 200, description = "The jobs.", body = JobPath)))]
pub(super) async fn path(_: Reader, app: State, id: Id) -> Result<HttpResponse> {
    let paths = HashSet::from([id.0]);
    let mut nodes = app.store.look_up(Wanted { paths, ..Wanted::default() }).await?.nodes;
    let mut items = Vec::new();
    let mut next = Some(id.0);
    while let Some((id, node)) = next.and_then(|id| Some((id, nodes.remove(&id)?))) {
        let Node { origin: Origin { parent, root, depth, .. }, status } = node;
        items.push(JobNode { id, parent, root, depth, status });
        next = parent;
    }
    if items.is_empty() {
        Err(ApiError::job_not_found(id.0))
    } else {
        reply::ok(&JobPath { items })
    }
}

/// A blocker: with the whole job, or with `fields=row` without its options and source link.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum BlockerItem {
    Blocker(Box<Blocker>),
    Row(Box<BlockerSummary>),
}

impl BlockerItem {
    fn new(fields: Fields, blocker: BlockerRow, path: Option<Vec<PathStep>>) -> Self {
        let BlockerRow { job, last_change } = blocker;
        match fields {
            Fields::All => Self::Blocker(Box::new(Blocker { job: job.into(), last_change, path })),
            Fields::Row => {
                Self::Row(Box::new(BlockerSummary { job: job.into(), last_change, path }))
            }
        }
    }
}

/// Which page of the blockers of a job.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BlockersParams {
    /// Most items on the page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 200)]
    limit: Option<String>,
    /// The `nextCursor` of the page before; absent for the first page.
    cursor: Option<String>,
    /// With `true` each item names the jobs between the one at the top and itself.
    #[param(value_type = Option<bool>, default = false)]
    path: Option<String>,
    /// With `row` the `job` of each item is a `JobSummary`: without options and source link.
    #[param(example = "row", default = "all")]
    fields: Option<String>,
}

/// List what a job waits for, or why it failed
///
/// For a job that is not finished: the deepest unfinished descendants, each with its last change.
/// For a faulted one: those that failed by themselves, the job itself and those below it, each with
/// its first Faulted change, which says why. In the order of descendants.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/blockers", operation_id = "listBlockers",
    tag = "tree", params(("id" = JobId, Path, description = "The job at the top."), BlockersParams),
    responses((status = 200, description = "A page.", body = Page<BlockerItem>)))]
pub(super) async fn blockers(
    _: Reader,
    app: State,
    id: Id,
    query: Query<BlockersParams>,
) -> Result<HttpResponse> {
    let (of, query) = (id.0, query.0);
    let after = cursor::decode(List::Blockers, of.get(), query.cursor.as_deref())?;
    let (limit, paths) = (limit(query.limit.as_deref())?, flag("path", query.path.as_deref())?);
    let fields = Fields::parse(query.fields.as_deref())?;
    let listed = app.store.list_blockers(BlockersQuery { of, after, limit }).await?;
    let ids: Vec<JobId> = listed.items.iter().map(|blocker| blocker.job.id).collect();
    let mut paths = if paths { paths_to(&*app.store, of, ids).await? } else { HashMap::new() };
    let item = |blocker: BlockerRow| {
        let path = paths.remove(&blocker.job.id);
        BlockerItem::new(fields, blocker, path)
    };
    let items = listed.items.into_iter().map(item).collect();
    let next = |last: JobId| cursor::encode(List::Blockers, of.get(), &last);
    reply::ok(&Page { items, next_cursor: listed.next.map(next) })
}

/// Get the numbers and times of a tree
#[utoipa::path(get, path = "/api/v1/jobs/{id}/statistics", operation_id = "getStatistics",
    tag = "tree", params(("id" = JobId, Path, description = "The job at the top.")),
    responses((status = 200, description = "The numbers and times.", body = Statistics)))]
pub(super) async fn statistics(_: Reader, app: State, id: Id) -> Result<HttpResponse> {
    let row = app.store.get_job(id.0).await?;
    let row = row.ok_or_else(|| ApiError::job_not_found(id.0))?;
    reply::ok(&of_tree(&row))
}

fn of_tree(row: &JobRow) -> Statistics {
    let status = &row.status;
    Statistics {
        id: row.id,
        state: status.state,
        tree_start: status.tree_start,
        tree_end: status.tree_end,
        first_fault: status.first_fault.report(),
        execution_time_ms: status.execution_time_ms(),
        children: status.children,
        subtree: status.subtree,
    }
}
