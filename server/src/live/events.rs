//! The events of a commit, from its rows. A row is at most one event, and the event has the row's
//! position, so every server makes the same events of a commit.

use jobtracker_model::{
    DeliveryStatus, JobId, Progress, State,
    live::{LiveEvent, Occurrence, Position},
};
use jobtracker_store::{FollowUp, FollowUpKey, Row, TreeCommit, Version};

/// The events of rows of a commit.
pub(super) fn events<'a>(
    root: JobId,
    version: Version,
    rows: impl Iterator<Item = (u32, &'a Row)>,
) -> impl Iterator<Item = LiveEvent> {
    rows.filter_map(move |(index, row)| {
        let what = occurrence(row)?;
        let at = Position::new(version, index);
        Some(LiveEvent { at, id: row.job().unwrap_or(root), what })
    })
}

/// The events of a commit from the store's log. Rows that it publishes are not among its own, and
/// are one event.
pub(super) fn of_commit(commit: &TreeCommit) -> Vec<LiveEvent> {
    let (root, version) = (commit.root, commit.expected + 1);
    if commit.publishes.is_some() {
        return vec![flushed(root, version)];
    }
    events(root, version, (0..).zip(&commit.rows)).collect()
}

/// The event of an upload whose rows were staged.
pub(super) fn flushed(root: JobId, version: Version) -> LiveEvent {
    let what = Occurrence::Flushed { commit: None };
    LiveEvent { at: Position::new(version, 0), id: root, what }
}

/// The event of a tree that was deleted, which is the last one.
pub(super) fn deleted(root: JobId, version: Version) -> LiveEvent {
    LiveEvent { at: Position::new(version, 0), id: root, what: Occurrence::Deleted }
}

/// Whether a row is an event.
pub(super) fn is_event(row: &Row) -> bool {
    match row {
        // A job is created as WaitingToRun, which is no event of its own.
        Row::Status { before, status, .. } => before.unwrap_or(State::WaitingToRun) != status.state,
        Row::FollowUp { key, row, .. } => {
            matches!((key, row), (FollowUpKey::Delivery(_), FollowUp::Delivery(_)))
        }
        Row::Repeat { .. } => false,
        _ => true,
    }
}

fn occurrence(row: &Row) -> Option<Occurrence> {
    if !is_event(row) {
        return None;
    }
    match row {
        Row::Job { origin, definition, .. } => {
            Some(Occurrence::Created { parent: origin.parent, name: definition.name.clone() })
        }
        Row::Status { before, status, .. } => {
            Some(Occurrence::State { before: *before, state: status.state })
        }
        Row::Change { number, change, .. } => {
            Some(Occurrence::Changed { number: *number, change: change.clone() })
        }
        Row::LogLine { line, .. } => Some(Occurrence::Log(line.clone())),
        Row::Definition { .. } => Some(Occurrence::Options),
        Row::Attachment { key, text, .. } => {
            let size = text.as_ref().map(|text| text.len().try_into().unwrap_or(u32::MAX));
            Some(Occurrence::Attachment { key: key.clone(), size })
        }
        Row::FollowUp { key: FollowUpKey::Delivery(number), row, .. } => delivery(*number, row),
        Row::TreeResult { commit, .. } => {
            Some(Occurrence::Flushed { commit: Some(commit.clone()) })
        }
        Row::Deleted { .. } => Some(Occurrence::Deleted),
        Row::FollowUp { .. } | Row::Repeat { .. } => None,
    }
}

fn delivery(number: u32, row: &FollowUp) -> Option<Occurrence> {
    let FollowUp::Delivery(row) = row else { return None };
    let status = match row.progress {
        Progress::Waiting(_) => DeliveryStatus::Waiting,
        Progress::Delivered(_) => DeliveryStatus::Delivered,
        Progress::Failed(_) => DeliveryStatus::Failed,
        Progress::Cancelled(_) => DeliveryStatus::Cancelled,
    };
    Some(Occurrence::Delivery { number, status, attempts: row.attempts })
}
