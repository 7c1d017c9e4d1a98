//! The list of a call's staged rows, by which they can be found and removed.

use std::collections::BTreeMap;

use jobtracker_model::JobId;
use serde::{Deserialize, Serialize};

use crate::{FollowUpKey, Row, scylla::keys};

/// A job of a call, with what is needed to find its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    pub id: JobId,
    pub parent: Option<JobId>,
    /// Parts of its changes and of its log, one behind the last.
    pub parts: [i32; 2],
    pub details: Details,
}

/// What else a job of a call has: attachments, repeatable appends and follow-ups. Before deliveries
/// existed, this was a truth value, which is written like the first two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Details {
    None,
    Some,
    /// Some, and deliveries in this many parts of their own.
    Deliveries(i32),
}

/// The jobs that have rows here.
pub fn staged(rows: &[Row]) -> Vec<Staged> {
    let mut jobs: BTreeMap<JobId, Staged> = BTreeMap::new();
    for row in rows {
        let Some(id) = row.job() else { continue };
        let new = || Staged { id, parent: None, parts: [0, 0], details: Details::None };
        let job = jobs.entry(id).or_insert_with(new);
        match row {
            Row::Job { origin, .. } => job.parent = origin.parent,
            Row::Status { parent, .. } | Row::Definition { parent, .. } => job.parent = *parent,
            Row::Change { number, .. } => {
                job.parts[0] = job.parts[0].max(keys::part(*number) + 1);
            }
            Row::LogLine { line, .. } => {
                job.parts[1] = job.parts[1].max(keys::part(line.line) + 1);
            }
            Row::Repeat { key, row, .. } if keys::is_early(row.first) => {
                let part = keys::repeat_kinds(key).0 as usize;
                job.parts[part] = job.parts[part].max(keys::part(row.first) + 1);
            }
            Row::FollowUp { key: FollowUpKey::Delivery(number), .. } => {
                let parts = keys::part(*number) + 1;
                job.details = job.details.max(Details::Deliveries(parts));
            }
            Row::Repeat { .. } | Row::Attachment { .. } | Row::FollowUp { .. } => {
                job.details = job.details.max(Details::Some);
            }
            Row::TreeResult { .. } | Row::Deleted { .. } => {}
        }
    }
    jobs.into_values().collect()
}

#[cfg(test)]
mod tests {
    use jobtracker_model::{Channel, Event, Host, State, Subtree, Timestamp, Trigger, Way};

    use super::*;
    use crate::{DeliveryRow, FollowUp, Watch, coding, coding::tests::pinned};

    /// How it was written before there were deliveries.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Before {
        id: JobId,
        parent: Option<JobId>,
        parts: [i32; 2],
        details: bool,
    }

    #[test]
    fn what_is_listed_is_pinned_and_what_was_listed_before_is_read() {
        let (id, parent) = (JobId::new(300).unwrap(), JobId::new(7));
        let job = |details| Staged { id, parent, parts: [1, 20], details };
        pinned(&job(Details::None), "01ac020107022800");
        pinned(&job(Details::Some), "01ac020107022801");
        pinned(&job(Details::Deliveries(70)), "01ac0201070228028c01");
        for (before, now) in [(false, Details::None), (true, Details::Some)] {
            let before = Before { id, parent, parts: [1, 20], details: before };
            let mut bytes = Vec::new();
            coding::encode(&before, &mut bytes).unwrap();
            assert_eq!(coding::decode::<Staged>("test", &bytes).unwrap(), job(now));
        }
    }

    #[test]
    fn follow_ups_are_listed_by_where_they_are() {
        let delivery = |number| {
            let event = Event {
                time: Timestamp::MIN,
                state: State::Faulted,
                message: None,
                root: JobId::MIN,
                source: JobId::MIN,
                children: Default::default(),
                subtree: Subtree::default(),
                quiet_since: None,
            };
            let way = Way { channel: Channel::Email, host: Host::EMAIL, recipient: 0 };
            let row = DeliveryRow::new(Trigger::Action(0), way, event);
            (FollowUpKey::Delivery(number), FollowUp::Delivery(row))
        };
        let watch = || (FollowUpKey::Watch, FollowUp::Watch(Watch::default()));
        let cases = [
            (vec![watch()], Details::Some),
            (vec![delivery(0), watch()], Details::Deliveries(1)),
            (vec![watch(), delivery(64), delivery(3)], Details::Deliveries(3)),
        ];
        for (rows, due) in cases {
            let rows = rows.into_iter();
            let rows: Vec<Row> = rows
                .map(|(key, row)| Row::FollowUp { id: JobId::MIN, key, before: None, row })
                .collect();
            let found = staged(&rows);
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].details, due);
        }
    }
}
