use std::ops::ControlFlow;

use jobtracker_model::JobId;

use super::{
    View,
    load::subject,
    page::{Page, follow_up_bytes, try_visit},
};
use crate::{AgendaKey, AgendaQuery, Error, FollowUp, FollowUpKey, FollowUpsQuery, Listed, Result};

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

/// Follow-ups of all jobs by time.
///
/// # Errors
/// The rows cannot be read.
pub fn list_agenda(
    view: &dyn View,
    query: &AgendaQuery,
) -> Result<Listed<(AgendaKey, FollowUp), AgendaKey>> {
    let mut page = Page::new(query.limit);
    let first = AgendaKey { time: query.from, id: JobId::MIN, key: FollowUpKey::Watch };
    let from = query.after.map_or(first, |after| after.max(first));
    let walk = |visit: super::Visit<'_, AgendaKey>| view.agenda(query.agenda, from, visit);
    try_visit(walk, |place| {
        if query.after == Some(place) {
            return Ok(ControlFlow::Continue(()));
        }
        if place.time > query.until || page.look(place).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let missing = || Error::Corrupt(format!("a follow-up of job {} is not there", place.id));
        let row = view.follow_up(place.id, place.key)?.ok_or_else(missing)?;
        let bytes = follow_up_bytes(&row);
        page.take((place, row), bytes);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(page.finish())
}
