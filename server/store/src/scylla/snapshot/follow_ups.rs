//! Follow-ups of the jobs of a tree.

use std::collections::BTreeMap;

use jobtracker_model::JobId;

use super::{details::NamedRow, moment::Moment};
use crate::{
    FollowUp, FollowUpKey, Result, coding,
    scylla::{keys, trees::Place},
};

impl Moment {
    /// A follow-up of a job.
    pub async fn follow_up(
        &self,
        id: JobId,
        place: Place,
        key: FollowUpKey,
    ) -> Result<Option<FollowUp>> {
        if let Some(row) = self.tail.follow_up(id, key) {
            return Ok(Some(row.clone()));
        }
        if self.is_in_tail() {
            return Ok(None);
        }
        let (kind, name) = keys::follow_up(key);
        let Some((version, body)) = self.detail(id, place, kind, &name).await? else {
            return Ok(None);
        };
        if !self.is_past(version) {
            return Err(self.stale());
        }
        body.map(|body| coding::decode("follow-up", &body)).transpose()
    }

    /// Follow-ups of one kind of a job, from one on: some of them, and all up to the last of these;
    /// no more are there if none comes.
    pub async fn follow_ups(
        &self,
        id: JobId,
        place: Place,
        from: FollowUpKey,
    ) -> Result<BTreeMap<FollowUpKey, FollowUp>> {
        let (kind, number) = from.parts();
        let mut found = BTreeMap::new();
        let mut end = None;
        if !self.is_in_tail() {
            // Names are numbers of ten digits: what is behind the one before comes from this on.
            let before = number.checked_sub(1).and_then(|number| FollowUpKey::of(kind, number));
            let behind = before.map(|before| keys::follow_up(before).1).unwrap_or_default();
            let cluster = self.cluster();
            let key = (keys::number(id), place.stage, keys::follow_up(from).0, behind);
            let rows: Vec<NamedRow> = cluster.rows(&cluster.statements.detail_bodies, key).await?;
            for (name, version, body) in rows {
                let number = name.parse().ok();
                let key = number.and_then(|number| FollowUpKey::of(kind, number));
                let (Some(key), Some(body)) = (key, body) else { continue };
                end = Some(key);
                if self.is_past(version) {
                    found.insert(key, coding::decode("follow-up", &body)?);
                } else if self.tail.follow_up(id, key).is_none() {
                    return Err(self.stale());
                }
            }
        }
        for redo in &self.tail.redos {
            let later = redo.follow_ups(id).filter(|(key, _)| key.parts().0 == kind);
            let later = later.filter(|(key, _)| *key >= from && end.is_none_or(|end| *key <= end));
            found.extend(later.map(|(key, row)| (key, row.clone())));
        }
        Ok(found)
    }
}
