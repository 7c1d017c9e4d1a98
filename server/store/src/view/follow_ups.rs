use std::{
    pin::pin,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use jobtracker_model::JobId;
use parking_lot::Mutex;

use super::{
    Lists, View,
    load::subject,
    page::{Page, follow_up_bytes},
};
use crate::{FollowUp, FollowUpKey, FollowUpsQuery, IndexKey, IndexQuery, Listed, Result};

/// The shortest time between two log messages about skipped entries: due follow-ups are read
/// several times a second.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// Follow-ups of one kind of a job.
///
/// # Errors
/// There is no such job, or the rows cannot be read.
pub(crate) async fn list_follow_ups<V: View>(
    view: &V,
    query: &FollowUpsQuery,
) -> Result<Listed<(FollowUpKey, FollowUp), FollowUpKey>> {
    let mut page = Page::new(query.limit);
    if !subject(view, query.id).await?.status.flags.followed {
        return Ok(page.finish());
    }
    let (kind, _) = query.from.parts();
    let mut rows = pin!(view.follow_ups(query.id, query.from));
    while let Some((key, row)) = rows.try_next().await? {
        if key.parts().0 != kind || page.look(key).is_break() {
            break;
        }
        let bytes = follow_up_bytes(&row);
        page.take((key, row), bytes);
    }
    Ok(page.finish())
}

/// Follow-ups of all jobs by time. An entry without a follow-up is skipped, so that those behind it
/// do not wait for ever.
///
/// # Errors
/// The rows cannot be read.
pub(crate) async fn list_index<V: Lists>(
    view: &V,
    query: &IndexQuery,
) -> Result<Listed<(IndexKey, FollowUp), IndexKey>> {
    let mut page = Page::new(query.limit);
    let first = IndexKey { time: query.from, id: JobId::MIN, key: FollowUpKey::Watch };
    let from = query.after.map_or(first, |after| after.max(first));
    let mut places = pin!(view.index(query.index, from));
    while let Some(place) = places.try_next().await? {
        if query.after == Some(place) {
            continue;
        }
        if place.time > query.until || page.look(place).is_break() {
            break;
        }
        let row = view.follow_up(place.id, place.key).await?;
        match row.filter(|row| row.entry() == Some((query.index, place.time))) {
            Some(row) => {
                let bytes = follow_up_bytes(&row);
                page.take((place, row), bytes);
            }
            None => passed_by(place),
        }
    }
    Ok(page.finish())
}

fn passed_by(place: IndexKey) {
    static SAID: Mutex<Option<Instant>> = Mutex::new(None);
    let mut said = SAID.lock();
    if said.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
        *said = Some(Instant::now());
        tracing::warn!(?place, "an entry of a list by time has no follow-up; it is skipped");
    }
}
