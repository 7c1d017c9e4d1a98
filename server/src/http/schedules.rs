use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{ETAG, HeaderValue},
    },
};
use jobtracker_model::{
    Page, Target, check_name, limits,
    schedule::{
        Firing, NewSchedule, NextFires, PlannedTimes, RegisterSchedule, Schedule,
        ScheduleDefinition, ScheduleRegistered, TriggerSchedule, Triggered,
    },
};
use jobtracker_scheduler::{Plan, preview};
use jobtracker_store::{DocumentKey, PageLimit};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    app::{App, State},
    cursor::{self, List, fnv},
    extract::{IfMatch, Json, Name, Query, limit, number},
    problem::{ApiError, Result},
    reply,
    right::{Admin, Operator, Reader, Writer},
    validate::check_routing,
};
use crate::{clock, follow_ups::Unfit};

/// Times of a list of what comes next, unless the caller names a number.
const NEXT: u32 = 10;

/// Which schedules, and which page of them.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// The name begins like this.
    name_prefix: Option<String>,
    /// Most items on the page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 200)]
    limit: Option<String>,
    /// The `nextCursor` of the page before; absent for the first page.
    cursor: Option<String>,
}

impl ListParams {
    fn prefix(&self) -> Result<Option<DocumentKey>> {
        let prefix = self.name_prefix.as_deref().filter(|prefix| !prefix.is_empty());
        let prefix = prefix.map(DocumentKey::new).transpose();
        prefix.map_err(|error| ApiError::query("namePrefix", error.reason))
    }

    fn limit(&self) -> Result<PageLimit> {
        limit(self.limit.as_deref())
    }

    /// Of a list that is watched: the prefix, and how many.
    ///
    /// # Errors
    /// A value is wrong, or has no meaning for such a list.
    pub(super) fn watched(&self) -> Result<(Option<DocumentKey>, PageLimit)> {
        let limit = self.limit()?;
        if self.cursor.is_some() || limit.items > limits::PAGE_DEFAULT {
            let reason = format!("must be a first page of up to {}", limits::PAGE_DEFAULT);
            return Err(ApiError::invalid_field("filter", reason));
        }
        Ok((self.prefix()?, limit))
    }
}

/// How many times.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct NextParams {
    /// Most times.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 10)]
    n: Option<String>,
}

/// Create a schedule
///
/// Durable before the reply. Safe to repeat: a schedule of that name with the same definition is
/// answered; one with another definition is a conflict.
#[utoipa::path(post, path = "/api/v1/schedules", operation_id = "createSchedule",
    tag = "schedules", request_body = NewSchedule,
    responses((status = 200, description = "The schedule, with its version as ETag.",
        body = Schedule)))]
pub(super) async fn create(
    caller: Admin,
    app: State,
    body: Json<NewSchedule>,
) -> Result<HttpResponse> {
    // So that no text of any length is put on the audit list.
    check_name(&body.0.name)?;
    check(&app, &body.0.definition).map_err(|unfit| unfit.within("definition."))?;
    let (by, name) = (caller.admitted.principal.name(), body.0.name.clone());
    let creating = async { Ok(app.scheduler.create(body.0, by, clock::now()).await?) };
    tagged(&caller.act(&app, "createSchedule", name, creating).await?)
}

/// List the schedules
///
/// By name.
#[utoipa::path(get, path = "/api/v1/schedules", operation_id = "listSchedules",
    tag = "schedules", params(ListParams),
    responses((status = 200, description = "A page.", body = Page<Schedule>)))]
pub(super) async fn list(_: Reader, app: State, query: Query<ListParams>) -> Result<HttpResponse> {
    let subject = fnv(query.0.name_prefix.as_deref().unwrap_or("").as_bytes());
    let after = cursor::decode(List::Schedules, subject, query.0.cursor.as_deref())?;
    let listed = app.scheduler.list(query.0.prefix()?, after, query.0.limit()?).await?;
    let next = |last: DocumentKey| cursor::encode(List::Schedules, subject, &last);
    reply::ok(&Page { items: listed.items, next_cursor: listed.next.map(next) })
}

/// Get a schedule
#[utoipa::path(get, path = "/api/v1/schedules/{name}", operation_id = "getSchedule",
    tag = "schedules", params(("name" = String, Path, description = "The name.")),
    responses((status = 200, description = "The schedule, with its version as ETag.",
        body = Schedule)))]
pub(super) async fn get(_: Reader, app: State, name: Name) -> Result<HttpResponse> {
    tagged(&app.scheduler.get(&name.0).await?)
}

/// Replace the definition of a schedule
///
/// Durable before the reply. Planned times count from now on; open runs, and firings that wait,
/// stay. Safe to repeat without a version.
#[utoipa::path(put, path = "/api/v1/schedules/{name}", operation_id = "replaceSchedule",
    tag = "schedules",
    params(("name" = String, Path, description = "The name."),
        ("If-Match" = Option<String>, Header,
            description = "The version that the caller has seen, as the ETag has it; if the \
                schedule has another one, nothing changes.")),
    request_body = ScheduleDefinition,
    responses((status = 200, description = "The schedule, with its version as ETag.",
        body = Schedule)))]
pub(super) async fn replace(
    caller: Admin,
    app: State,
    name: Name,
    expected: IfMatch,
    body: Json<ScheduleDefinition>,
) -> Result<HttpResponse> {
    check_name(&name.0)?;
    check(&app, &body.0)?;
    let by = caller.admitted.principal.name();
    let replacing = async {
        let now = clock::now();
        Ok(app.scheduler.replace(&name.0, body.0, expected.0, by, now).await?)
    };
    tagged(&caller.act(&app, "replaceSchedule", &name.0, replacing).await?)
}

/// Register the schedule of a program
///
/// Creates the schedule, or puts the definition in the place of an older version of the program.
/// Ignored, as the answer says, if the schedule has a newer version or a definition that was put by
/// hand; whether it is enabled stays. Durable before the reply. Safe to repeat.
#[utoipa::path(post, path = "/api/v1/schedules/{name}/register",
    operation_id = "registerSchedule", tag = "schedules",
    params(("name" = String, Path, description = "The name.")),
    request_body = RegisterSchedule,
    responses((status = 200, description = "What was done.", body = ScheduleRegistered)))]
pub(super) async fn register(
    caller: Writer,
    app: State,
    name: Name,
    body: Json<RegisterSchedule>,
) -> Result<HttpResponse> {
    check_name(&name.0)?;
    check(&app, &body.0.definition).map_err(|unfit| unfit.within("definition."))?;
    let by = caller.admitted.principal.name();
    let registering =
        async { Ok(app.scheduler.register(&name.0, &body.0, by, clock::now()).await?) };
    reply::ok(&caller.act_if_by_hand(&app, "registerSchedule", &name.0, registering).await?)
}

/// Delete a schedule
///
/// Durable before the reply. Its open runs go on; firings that wait are gone.
#[utoipa::path(delete, path = "/api/v1/schedules/{name}", operation_id = "deleteSchedule",
    tag = "schedules",
    params(("name" = String, Path, description = "The name."),
        ("If-Match" = Option<String>, Header,
            description = "The version that the caller has seen, as the ETag has it.")),
    responses((status = 204, description = "It fires no more.")))]
pub(super) async fn delete(
    caller: Admin,
    app: State,
    name: Name,
    expected: IfMatch,
) -> Result<HttpResponse> {
    check_name(&name.0)?;
    let deleting = async { Ok(app.scheduler.delete(&name.0, expected.0).await?) };
    caller.act(&app, "deleteSchedule", &name.0, deleting).await?;
    Ok(HttpResponse::new(StatusCode::NO_CONTENT))
}

/// Enable a schedule
///
/// Its triggers plan firings again, from now on. Safe to repeat.
#[utoipa::path(post, path = "/api/v1/schedules/{name}/enable", operation_id = "enableSchedule",
    tag = "schedules", params(("name" = String, Path, description = "The name.")),
    responses((status = 200, description = "The schedule.", body = Schedule)))]
pub(super) async fn enable(caller: Operator, app: State, name: Name) -> Result<HttpResponse> {
    check_name(&name.0)?;
    let enabling = async { Ok(app.scheduler.enable(&name.0, true, clock::now()).await?) };
    tagged(&caller.act(&app, "enableSchedule", &name.0, enabling).await?)
}

/// Disable a schedule
///
/// Its triggers plan nothing any more. Open runs, and firings that wait, stay. Safe to repeat.
#[utoipa::path(post, path = "/api/v1/schedules/{name}/disable", operation_id = "disableSchedule",
    tag = "schedules", params(("name" = String, Path, description = "The name.")),
    responses((status = 200, description = "The schedule.", body = Schedule)))]
pub(super) async fn disable(caller: Operator, app: State, name: Name) -> Result<HttpResponse> {
    check_name(&name.0)?;
    let disabling = async { Ok(app.scheduler.enable(&name.0, false, clock::now()).await?) };
    tagged(&caller.act(&app, "disableSchedule", &name.0, disabling).await?)
}

/// Fire a schedule by hand
///
/// Now, or after a delay; also a schedule that is disabled. Durable before the reply, which names
/// the root of the run. Safe to repeat with an idempotency key.
#[utoipa::path(post, path = "/api/v1/schedules/{name}/trigger", operation_id = "triggerSchedule",
    tag = "schedules", params(("name" = String, Path, description = "The name.")),
    request_body = TriggerSchedule,
    responses((status = 202, description = "What the firing did.", body = Triggered)))]
pub(super) async fn trigger(
    caller: Operator,
    app: State,
    name: Name,
    body: Json<TriggerSchedule>,
) -> Result<HttpResponse> {
    check_name(&name.0)?;
    let by = caller.admitted.principal.name();
    let firing = async { Ok(app.scheduler.trigger(&name.0, &body.0, by, clock::now()).await?) };
    let triggered = caller.act(&app, "triggerSchedule", &name.0, firing).await?;
    reply::json(StatusCode::ACCEPTED, &triggered)
}

/// List the next planned times of a schedule
///
/// As far as they do not depend on runs.
#[utoipa::path(get, path = "/api/v1/schedules/{name}/next-fires",
    operation_id = "listNextFires", tag = "schedules",
    params(("name" = String, Path, description = "The name."), NextParams),
    responses((status = 200, description = "The times.", body = PlannedTimes)))]
pub(super) async fn next_fires(
    _: Reader,
    app: State,
    name: Name,
    query: Query<NextParams>,
) -> Result<HttpResponse> {
    let count = number("n", query.0.n.as_deref(), 1, limits::PREVIEW)?.unwrap_or(NEXT);
    let times = app.scheduler.next_fires(&name.0, count as usize).await?;
    reply::ok(&PlannedTimes { times })
}

/// List the firings of a schedule
///
/// The newest first: the last 50.
#[utoipa::path(get, path = "/api/v1/schedules/{name}/firings", operation_id = "listFirings",
    tag = "schedules", params(("name" = String, Path, description = "The name.")),
    responses((status = 200, description = "The firings.", body = Page<Firing>)))]
pub(super) async fn firings(_: Reader, app: State, name: Name) -> Result<HttpResponse> {
    reply::ok(&Page { items: app.scheduler.firings(&name.0).await?, next_cursor: None })
}

/// See when a definition would fire
///
/// Checks it as a creation does, and stores nothing.
#[utoipa::path(post, path = "/api/v1/planned-times", operation_id = "previewSchedule",
    tag = "schedules", request_body = NextFires,
    responses((status = 200, description = "The times.", body = PlannedTimes)))]
pub(super) async fn plan(_: Reader, app: State, body: Json<NextFires>) -> Result<HttpResponse> {
    let NextFires { definition, after, count } = body.0;
    check(&app, &definition).map_err(|unfit| unfit.within("definition."))?;
    let plan = Plan::new(&definition).map_err(|error| error.within("definition"))?;
    let count = count.unwrap_or(NEXT);
    if !(1..=limits::PREVIEW).contains(&count) {
        return Err(ApiError::invalid_field("count", format!("must be 1 to {}", limits::PREVIEW)));
    }
    let now = clock::now();
    let times = preview(&plan, after.unwrap_or(now), now, count as usize);
    reply::ok(&PlannedTimes { times })
}

/// Checks what depends on this service.
fn check(app: &App, definition: &ScheduleDefinition) -> std::result::Result<(), Unfit> {
    let ScheduleDefinition { run, alarm, .. } = definition;
    if let Some(task) = &run.task {
        let known = check_routing(task, &app.dispatch.routers);
        known.map_err(|error| error.within("run.task"))?;
    }
    let validator = app.follow_ups.validator();
    let mut targets = alarm.iter().flat_map(|alarm| &alarm.actions).enumerate();
    targets.try_for_each(|(at, action)| {
        validator.target(&format!("alarm.actions[{at}]"), &Target::from(action))
    })
}

/// A reply with the version as its tag.
fn tagged(schedule: &Schedule) -> Result<HttpResponse> {
    let mut reply = reply::ok(schedule)?;
    let tag = HeaderValue::try_from(format!("\"{}\"", schedule.version));
    let tag = tag.map_err(|error| ApiError::internal(&error))?;
    reply.headers_mut().insert(ETAG, tag);
    Ok(reply)
}
