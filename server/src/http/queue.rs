//! The queue: tasks that wait for a worker, and those that one has.

use std::time::Duration;

use actix_web::HttpResponse;
use jobtracker_model::{Page, QueueCounts, QueueState, QueuedTask};
use jobtracker_store::{Listed, Wanted};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    app::{App, State},
    cursor::{self, List, fnv},
    extract::{Query, limit},
    filtered::{self, Filtered},
    problem::{ApiError, Result},
    reply,
    right::Reader,
};
use crate::{
    clock,
    tasks::{Queue, QueuePosition},
};

/// How much longer than usual a lease may last: clocks of servers differ.
const SLACK: Duration = Duration::from_secs(60);

/// Which tasks of the queue.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct QueueParams {
    /// Only tasks in one of these states, separated by commas: `leased`, `ready`, `delayed`.
    #[param(example = "leased,ready")]
    states: Option<String>,
    /// Only tasks for this handler. One page looks at up to 20,000 tasks.
    #[param(example = "billing/report")]
    handler: Option<String>,
    /// Only tasks that the worker with this id has, or that are kept for it; likewise.
    worker: Option<String>,
    /// Most items on the page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 200)]
    limit: Option<String>,
    /// The `nextCursor` of the page before; absent for the first page. It goes with the same tasks.
    cursor: Option<String>,
}

/// List the queue
///
/// First the tasks that workers have, then those that wait, the oldest first, then those that may
/// be claimed later. Paused tasks are not among them. A page may have few items, or none, and still
/// have a cursor; a task that moves while pages are read may come twice or not at all.
#[utoipa::path(get, path = "/api/v1/queue", operation_id = "listQueue", tag = "tasks",
    params(QueueParams),
    responses((status = 200, description = "A page.", body = Page<QueuedTask>)))]
pub(super) async fn list(_: Reader, app: State, query: Query<QueueParams>) -> Result<HttpResponse> {
    let QueueParams { states, handler, worker, limit: items, cursor } = query.0;
    let subject = format!("{states:?} {handler:?} {worker:?}");
    let subject = fnv(subject.as_bytes());
    let after = cursor::decode(List::Queue, subject, cursor.as_deref())?;
    let limit = limit(items.as_deref())?;
    let selected = Selected { queue: queue(&app), states: parsed(states)?, handler, worker };
    let Listed { items, next } = filtered::page(&selected, after, limit.items).await?;
    let items = named(&app, items.into_iter().map(|(_, task)| task).collect()).await?;
    let next_cursor = next.map(|next| cursor::encode(List::Queue, subject, &next));
    reply::ok(&Page { items, next_cursor })
}

/// Count the queue
///
/// How many tasks there are, by where they are and by handler, and since when the oldest one waits.
/// Up to 20,000 tasks are read for it.
#[utoipa::path(get, path = "/api/v1/queue/counts", operation_id = "countQueue", tag = "tasks",
    responses((status = 200, description = "The numbers.", body = QueueCounts)))]
pub(super) async fn counts(_: Reader, app: State) -> Result<HttpResponse> {
    reply::ok(&queue(&app).counts().await?)
}

/// The queue now.
pub(super) fn queue(app: &App) -> Queue<'_> {
    let now = clock::now();
    let leased_until = now.after(app.dispatch.workers.lease() + SLACK);
    Queue::new(&*app.store, now, leased_until)
}

fn parsed(states: Option<String>) -> Result<Vec<QueueState>> {
    let states = states.filter(|states| !states.is_empty());
    let Some(states) = states else { return Ok(QueueState::ALL.to_vec()) };
    let parse = |state: &str| state.parse().map_err(|error| ApiError::query("states", error));
    states.split(',').map(parse).collect()
}

/// Those of the queue that are asked for.
struct Selected<'a> {
    queue: Queue<'a>,
    states: Vec<QueueState>,
    handler: Option<String>,
    worker: Option<String>,
}

impl Filtered for Selected<'_> {
    type Row = (QueuePosition, QueuedTask);
    type Key = QueuePosition;

    async fn read(
        &self,
        after: Option<QueuePosition>,
        rows: usize,
    ) -> Result<Listed<Self::Row, QueuePosition>> {
        Ok(self.queue.read(&self.states, after, rows).await?)
    }

    async fn wanted(&self, mut rows: Vec<Self::Row>) -> Result<Vec<Self::Row>> {
        let is = |asked: &Option<String>, has: &[Option<&String>]| {
            asked.as_ref().is_none_or(|asked| has.contains(&Some(asked)))
        };
        rows.retain(|(_, task)| {
            let workers = [task.worker.as_ref(), task.assigned_to.as_ref()];
            is(&self.handler, &[Some(&task.handler)]) && is(&self.worker, &workers)
        });
        Ok(rows)
    }

    fn key(row: &Self::Row) -> QueuePosition {
        row.0
    }

    fn bytes((_, task): &Self::Row) -> usize {
        size_of::<QueuedTask>() + task.handler.len()
    }

    fn wants_all(&self) -> bool {
        self.handler.is_none() && self.worker.is_none()
    }
}

/// Tasks with the names of their jobs.
async fn named(app: &App, mut tasks: Vec<QueuedTask>) -> Result<Vec<QueuedTask>> {
    let definitions = tasks.iter().map(|task| task.job).collect();
    let wanted = Wanted { definitions, ..Wanted::default() };
    let definitions = app.store.look_up(wanted).await?.definitions;
    for task in &mut tasks {
        if let Some(definition) = definitions.get(&task.job) {
            task.name.clone_from(&definition.name);
        }
    }
    Ok(tasks)
}
