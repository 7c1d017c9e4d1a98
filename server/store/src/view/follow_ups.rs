use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use jobtracker_model::JobId;
use parking_lot::Mutex;

use super::{
    View,
    load::subject,
    page::{Page, follow_up_bytes, try_visit},
};
use crate::{FollowUp, FollowUpKey, FollowUpsQuery, IndexKey, IndexQuery, Listed, Result};

/// The shortest time between two log messages about skipped entries: due follow-ups are read
/// several times a second.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// Follow-ups of one kind of a job.
///
/// # Errors
/// There is no such job, or the rows cannot be read.
pub fn list_follow_ups(
    view: &dyn View,
    query: &FollowUpsQuery,
) -> Result<Listed<(FollowUpKey, FollowUp), FollowUpKey>> {
    let mut page = Page::new(query.limit);
    if !subject(view, query.id)?.status.flags.followed {
        return Ok(page.finish());
    }
    let (kind, _) = query.from.parts();
    view.follow_ups(query.id, query.from, &mut |(key, row)| {
        if key.parts().0 != kind {
            return ControlFlow::Break(());
        }
        page.look(key)?;
        let bytes = follow_up_bytes(&row);
        page.take((key, row), bytes);
        ControlFlow::Continue(())
    })?;
    Ok(page.finish())
}

/// Follow-ups of all jobs by time. An entry without a follow-up is skipped, so that those behind it
/// do not wait for ever.
///
/// # Errors
/// The rows cannot be read.
pub fn list_index(
    view: &dyn View,
    query: &IndexQuery,
) -> Result<Listed<(IndexKey, FollowUp), IndexKey>> {
    let mut page = Page::new(query.limit);
    let first = IndexKey { time: query.from, id: JobId::MIN, key: FollowUpKey::Watch };
    let from = query.after.map_or(first, |after| after.max(first));
    let walk = |visit: super::Visit<'_, IndexKey>| view.index(query.index, from, visit);
    try_visit(walk, |place| {
        if query.after == Some(place) {
            return Ok(ControlFlow::Continue(()));
        }
        if place.time > query.until || page.look(place).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let row = view.follow_up(place.id, place.key)?;
        match row.filter(|row| row.place() == Some((query.index, place.time))) {
            Some(row) => {
                let bytes = follow_up_bytes(&row);
                page.take((place, row), bytes);
            }
            None => passed_by(place),
        }
        Ok(ControlFlow::Continue(()))
    })?;
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
