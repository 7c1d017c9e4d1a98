use actix_web::{HttpResponse, http::StatusCode};
use jobtracker_model::{
    Channel, Delivery, DeliveryId, DeliveryPage, DeliveryStatus, Event, JobId, Page, Progress,
    ReplayFailed, Replayed, Timestamp, limits,
};
use jobtracker_store::{
    Cause, DeliveryRow, FollowUp, FollowUpKey, FollowUpsQuery, IndexId, IndexQuery, PageLimit,
    Wanted,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    app::{App, State},
    changes::PageQuery,
    cursor::{self, FailedPosition, List},
    extract::{DeliveryPath, Id, Json, Query, limit, time},
    problem::Result,
    reply,
    right::{Operator, Reader},
};
use crate::clock;

/// Deliveries that one request replays.
const REPLAYED_AT_ONCE: usize = 10_000;

/// Which failed deliveries.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FailedQuery {
    /// Failed at this time or later.
    #[param(value_type = Option<Timestamp>)]
    from: Option<String>,
    /// Failed up to this time.
    #[param(value_type = Option<Timestamp>)]
    to: Option<String>,
    /// Most items on the page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 200)]
    limit: Option<String>,
    /// The `nextCursor` of the page before; absent for the first page. It goes with the same times.
    cursor: Option<String>,
}

/// List the deliveries of a job
///
/// Oldest first, with what became of each, and how many were not made because there would have been
/// too many.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/deliveries", operation_id = "listDeliveries",
    tag = "follow-ups", params(("id" = JobId, Path, description = "The job."), PageQuery),
    responses((status = 200, description = "A page.", body = DeliveryPage)))]
pub(super) async fn list(
    _: Reader,
    app: State,
    id: Id,
    query: Query<PageQuery>,
) -> Result<HttpResponse> {
    let (id, PageQuery { limit: items, cursor }) = (id.0, query.0);
    let from = cursor::decode(List::Deliveries, id.get(), cursor.as_deref())?.unwrap_or(0);
    let (from, limit) = (FollowUpKey::Delivery(from), limit(items.as_deref())?);
    let listed = app.store.list_follow_ups(FollowUpsQuery { id, from, limit }).await?;
    let next =
        |last: FollowUpKey| cursor::encode(List::Deliveries, id.get(), &last.next().parts().1);
    let next_cursor = listed.next.map(next);
    let rows = listed.items.into_iter().map(|(key, row)| (id, key, row));
    let items = all_shown(&app, rows).await?;
    let from = FollowUpKey::Watch;
    let limit = PageLimit::items(1);
    let watch = app.store.list_follow_ups(FollowUpsQuery { id, from, limit }).await?.items.pop();
    let lost = match watch {
        Some((_, FollowUp::Watch(watch))) => watch.lost,
        _ => 0,
    };
    reply::ok(&DeliveryPage { items, next_cursor, lost })
}

/// List failed deliveries
///
/// Of all jobs, by the time at which they were given up, oldest first.
#[utoipa::path(get, path = "/api/v1/deliveries/failed", operation_id = "listFailedDeliveries",
    tag = "follow-ups", params(FailedQuery),
    responses((status = 200, description = "A page.", body = Page<Delivery>)))]
pub(super) async fn list_failed(
    _: Reader,
    app: State,
    query: Query<FailedQuery>,
) -> Result<HttpResponse> {
    let FailedQuery { from, to, limit: items, cursor } = query.0;
    let range = ReplayFailed {
        from: time("from", from.as_deref())?.unwrap_or(Timestamp::MIN),
        to: time("to", to.as_deref())?.unwrap_or(Timestamp::MAX),
    };
    let subject = range.from.millis() as u64 ^ (range.to.millis() as u64).rotate_left(32);
    let at = cursor::decode(List::FailedDeliveries, subject, cursor.as_deref())?;
    let mut at = at.unwrap_or(FailedPosition { part: 0, after: None });
    let limit = limit(items.as_deref())?;
    loop {
        let listed = app.store.list_index(failed(range, at, limit)).await?;
        let next = match listed.next {
            Some(after) => Some(FailedPosition { after: Some(after), ..at }),
            None => Some(FailedPosition { part: at.part + 1, after: None })
                .filter(|next| next.part < app.store.index_parts()),
        };
        let rows = listed.items.into_iter().map(|(place, row)| (place.id, place.key, row));
        let items = all_shown(&app, rows).await?;
        match next {
            // Parts without failed deliveries are skipped.
            Some(next) if items.is_empty() => at = next,
            next => {
                let encode = |next| cursor::encode(List::FailedDeliveries, subject, &next);
                return reply::ok(&Page { items, next_cursor: next.map(encode) });
            }
        }
    }
}

/// Replay a delivery
///
/// It is sent again at once under the same id, whatever became of it, with the whole schedule
/// before it. Durable before the reply. To repeat the request is to ask for another try.
#[utoipa::path(post, path = "/api/v1/deliveries/{delivery}/replay",
    operation_id = "replayDelivery", tag = "follow-ups",
    params(("delivery" = String, Path, description = "The delivery, such as 7-3.")),
    responses((status = 204, description = "It will be sent.")))]
pub(super) async fn replay(
    caller: Operator,
    app: State,
    path: DeliveryPath,
) -> Result<HttpResponse> {
    let replaying = async { Ok(app.engine.replay_delivery(path.0).await?) };
    caller.act(&app, "replayDelivery", path.0, replaying).await?;
    Ok(HttpResponse::new(StatusCode::NO_CONTENT))
}

/// Cancel a delivery
///
/// It is not tried any more; a try that is under way goes on. Durable before the reply. Safe to
/// repeat.
#[utoipa::path(post, path = "/api/v1/deliveries/{delivery}/cancel",
    operation_id = "cancelDelivery", tag = "follow-ups",
    params(("delivery" = String, Path, description = "The delivery, such as 7-3.")),
    responses((status = 204, description = "It will not be sent.")))]
pub(super) async fn cancel(
    caller: Operator,
    app: State,
    path: DeliveryPath,
) -> Result<HttpResponse> {
    let cancelling = async { Ok(app.engine.cancel_delivery(path.0).await?) };
    caller.act(&app, "cancelDelivery", path.0, cancelling).await?;
    Ok(HttpResponse::new(StatusCode::NO_CONTENT))
}

/// Replay all deliveries that failed in a range of time
///
/// Up to 10,000 at once; the answer says whether there may be more. What fails again meanwhile is
/// left alone. Safe to repeat: what has been replayed is not failed any more.
#[utoipa::path(post, path = "/api/v1/deliveries/replay", operation_id = "replayFailed",
    tag = "follow-ups", request_body = ReplayFailed,
    responses((status = 200, description = "How many will be sent again.", body = Replayed)))]
pub(super) async fn replay_failed(
    caller: Operator,
    app: State,
    body: Json<ReplayFailed>,
) -> Result<HttpResponse> {
    // Deliveries that fail from now on are not replayed again by the same request.
    let range = ReplayFailed { to: body.0.to.min(clock::now()), ..body.0 };
    let subject = format!("{} to {}", range.from, range.to);
    let replayed = caller.act(&app, "replayFailed", subject, replay_range(&app, range)).await?;
    let more = replayed >= REPLAYED_AT_ONCE;
    reply::ok(&Replayed { replayed: replayed as u64, more })
}

/// Replays up to [`REPLAYED_AT_ONCE`]; answers how many.
async fn replay_range(app: &App, range: ReplayFailed) -> Result<usize> {
    let mut replayed = 0;
    for part in 0..app.store.index_parts() {
        let mut at = FailedPosition { part, after: None };
        loop {
            let limit = PageLimit::items(limits::PAGE.min(REPLAYED_AT_ONCE - replayed));
            let listed = app.store.list_index(failed(range, at, limit)).await?;
            let deliveries = listed.items.iter().filter_map(|(place, _)| match place.key {
                FollowUpKey::Delivery(number) => {
                    Some((DeliveryId { job: place.id, number }, place.time))
                }
                _ => None,
            });
            let replays = deliveries.map(|(delivery, at)| app.engine.replay_failed(delivery, at));
            for done in futures_util::future::join_all(replays).await {
                replayed += usize::from(done?);
            }
            if replayed >= REPLAYED_AT_ONCE {
                return Ok(replayed);
            }
            let Some(after) = listed.next else { break };
            at.after = Some(after);
        }
    }
    Ok(replayed)
}

fn failed(range: ReplayFailed, at: FailedPosition, limit: PageLimit) -> IndexQuery {
    let ReplayFailed { from, to } = range;
    let FailedPosition { part, after } = at;
    IndexQuery { index: IndexId::Failed, part, from, until: to, after, limit }
}

/// Deliveries with the messages of the changes that caused them.
async fn all_shown(
    app: &App,
    rows: impl Iterator<Item = (JobId, FollowUpKey, FollowUp)>,
) -> Result<Vec<Delivery>> {
    let mut wanted = Wanted::default();
    let shown = rows.filter_map(|(job, key, row)| {
        let change = match &row {
            FollowUp::Delivery(DeliveryRow { event, cause: Cause::At(report), .. }) => {
                event.message.is_none().then_some((report.job, report.change))
            }
            _ => None,
        };
        wanted.changes.extend(change);
        Some((shown(job, key, row)?, change))
    });
    let shown: Vec<_> = shown.collect();
    let changes = app.store.look_up(wanted).await?.changes;
    let with_message = shown.into_iter().map(|(mut delivery, change)| {
        let change = change.and_then(|change| changes.get(&change));
        if let Some(message) = change.and_then(|change| change.message.as_deref()) {
            delivery.event.message = Some(Event::message(message));
        }
        delivery
    });
    Ok(with_message.collect())
}

fn shown(job: JobId, key: FollowUpKey, row: FollowUp) -> Option<Delivery> {
    let (FollowUpKey::Delivery(number), FollowUp::Delivery(row)) = (key, row) else { return None };
    let DeliveryRow { trigger, way, event, progress, attempts, last, .. } = row;
    let (status, next_try, end_time) = match progress {
        Progress::Waiting(time) => (DeliveryStatus::Waiting, Some(time), None),
        Progress::Delivered(time) => (DeliveryStatus::Delivered, None, Some(time)),
        Progress::Failed(time) => (DeliveryStatus::Failed, None, Some(time)),
        Progress::Cancelled(time) => (DeliveryStatus::Cancelled, None, Some(time)),
    };
    let id = DeliveryId { job, number }.to_string();
    let is_email = way.channel == Channel::Email;
    let (recipient, last_attempt) = (is_email.then_some(way.recipient), last);
    Some(Delivery {
        id,
        job,
        trigger,
        channel: way.channel,
        recipient,
        event: *event,
        status,
        next_try,
        end_time,
        attempts,
        last_attempt,
    })
}
