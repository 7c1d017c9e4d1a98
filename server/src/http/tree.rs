use std::{collections::HashSet, iter::successors, sync::Arc};

use actix_web::{HttpRequest, HttpResponse};
use jobtracker_model::{
    Blocker, Job, JobId, JobNode, JobPath, Page, PathStep, StateSet, Statistics, limits,
};
use jobtracker_store::{
    BlockersQuery, ChildrenQuery, DescendantsQuery, JobRow, Listed, Node, Origin, PageLimit, Store,
    Wanted,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    app::State,
    cursor::{self, List},
    exports::{self, Format},
    extract::{Id, Query, flag, limit, states},
    filtered::{self, Filtered},
    problem::{ApiError, Result},
    reply,
    right::Reader,
};

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
    /// `json` for a page, `ndjson` or `csv` for a file with all of them, which is made as it is
    /// read and is not of one instant. Two files are made at once at most.
    #[param(example = "csv", default = "json")]
    format: Option<String>,
}

/// Which page of the children of a job, and which of them.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChildrenParams {
    /// Only children in one of these visible states, separated by commas. A page of a filtered
    /// list may be empty and still have a cursor.
    #[param(example = "Faulted,Running")]
    states: Option<String>,
    /// Only children whose name begins like this. One page looks at up to 20,000 children.
    name_prefix: Option<String>,
    /// Most items on the page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 200)]
    limit: Option<String>,
    /// The `nextCursor` of the page before; absent for the first page.
    cursor: Option<String>,
}

/// List the direct children of a job
///
/// By id.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/children", operation_id = "listChildren",
    tag = "tree", params(("id" = JobId, Path, description = "The parent."), ChildrenParams),
    responses((status = 200, description = "A page.", body = Page<Job>)))]
pub(super) async fn children(
    _: Reader,
    app: State,
    id: Id,
    query: Query<ChildrenParams>,
) -> Result<HttpResponse> {
    let (parent, query) = (id.0, query.0);
    let after = cursor::decode(List::Children, parent.get(), query.cursor.as_deref())?;
    let (states, limit) = (states(query.states.as_deref())?, limit(query.limit.as_deref())?);
    let listed = match query.name_prefix.filter(|prefix| !prefix.is_empty()) {
        None => app.store.list_children(ChildrenQuery { parent, states, after, limit }).await?,
        Some(prefix) => {
            let named = Named { store: &app.store, parent, states, prefix };
            filtered::page(&named, after, limit.items).await?
        }
    };
    reply::ok(&page(listed, List::Children, parent))
}

/// The children whose names begin with a text.
struct Named<'a> {
    store: &'a Arc<dyn Store>,
    parent: JobId,
    states: StateSet,
    prefix: String,
}

impl Filtered for Named<'_> {
    type Row = JobRow;
    type Key = JobId;

    async fn read(&self, after: Option<JobId>, rows: usize) -> Result<Listed<JobRow, JobId>> {
        let Self { parent, states, .. } = *self;
        let limit = PageLimit::rows(rows);
        Ok(self.store.list_children(ChildrenQuery { parent, states, after, limit }).await?)
    }

    async fn wanted(&self, mut rows: Vec<JobRow>) -> Result<Vec<JobRow>> {
        rows.retain(|row| row.definition.name.starts_with(&self.prefix));
        Ok(rows)
    }

    fn key(row: &JobRow) -> JobId {
        row.id
    }

    fn bytes(row: &JobRow) -> usize {
        row.definition.bytes()
    }
}

/// List the descendants of a job
///
/// Each before its own children, siblings by id.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/descendants", operation_id = "listDescendants",
    tag = "tree", params(("id" = JobId, Path, description = "The job at the top."), JobsQuery),
    responses((status = 200, description = "A page.", body = Page<Job>)))]
pub(super) async fn descendants(
    _: Reader,
    app: State,
    id: Id,
    query: Query<JobsQuery>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let (of, query) = (id.0, query.0);
    if let Some(format) = Format::of_file(query.format.as_deref(), [&query.limit, &query.cursor])? {
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
    reply::ok(&page(listed, List::Descendants, of))
}

/// List the ancestors of a job
///
/// The parent first, the root last, all at once.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/ancestors", operation_id = "listAncestors",
    tag = "tree", params(("id" = JobId, Path, description = "The job.")),
    responses((status = 200, description = "All of them.", body = Page<Job>)))]
pub(super) async fn ancestors(_: Reader, app: State, id: Id) -> Result<HttpResponse> {
    let rows = app.store.list_ancestors(id.0).await?;
    let items = rows.into_iter().map(Job::from).collect();
    reply::ok(&Page { items, next_cursor: None })
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
}

/// List what a job waits for, or why it failed
///
/// For a job that is not finished: the deepest unfinished descendants, each with its last change.
/// For a faulted one: those that failed by themselves, the job itself and those below it, each with
/// its first Faulted change, which says why. In the order of descendants.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/blockers", operation_id = "listBlockers",
    tag = "tree", params(("id" = JobId, Path, description = "The job at the top."), BlockersParams),
    responses((status = 200, description = "A page.", body = Page<Blocker>)))]
pub(super) async fn blockers(
    _: Reader,
    app: State,
    id: Id,
    query: Query<BlockersParams>,
) -> Result<HttpResponse> {
    let (of, query) = (id.0, query.0);
    let after = cursor::decode(List::Blockers, of.get(), query.cursor.as_deref())?;
    let (limit, paths) = (limit(query.limit.as_deref())?, flag("path", query.path.as_deref())?);
    let mut listed = app.store.list_blockers(BlockersQuery { of, after, limit }).await?;
    if paths {
        add_paths(&*app.store, of, &mut listed.items).await?;
    }
    let next = |last: JobId| cursor::encode(List::Blockers, of.get(), &last);
    reply::ok(&Page { items: listed.items, next_cursor: listed.next.map(next) })
}

/// Names the jobs between the top and each blocker. Neither names nor places in a tree change, so
/// they need not be read at the instant of the list.
async fn add_paths(store: &dyn Store, of: JobId, blockers: &mut [Blocker]) -> Result<()> {
    let paths = blockers.iter().map(|blocker| blocker.job.id).collect();
    let nodes = store.look_up(Wanted { paths, ..Wanted::default() }).await?.nodes;
    let parent = |id: &JobId| nodes.get(id).and_then(|node| node.origin.parent);
    let between = |id: JobId| {
        let above = successors(parent(&id), |id| parent(id)).take_while(move |id| *id != of);
        above.filter(move |_| id != of)
    };
    let definitions = blockers.iter().flat_map(|blocker| between(blocker.job.id)).collect();
    let definitions = store.look_up(Wanted { definitions, ..Wanted::default() }).await?.definitions;
    let name = |id: JobId| {
        let definition = definitions.get(&id)?;
        Some(PathStep { id, name: definition.name.clone() })
    };
    for blocker in blockers {
        let mut path: Vec<PathStep> = between(blocker.job.id).filter_map(name).collect();
        path.reverse();
        blocker.path = Some(path);
    }
    Ok(())
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

fn page(listed: Listed<JobRow, JobId>, list: List, of: JobId) -> Page<Job> {
    let next = |last: JobId| cursor::encode(list, of.get(), &last);
    let items = listed.items.into_iter().map(Job::from).collect();
    Page { items, next_cursor: listed.next.map(next) }
}
