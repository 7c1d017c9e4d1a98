//! The stored form of follow-ups: the order of variants and fields never changes, and new ones come
//! last. A field that was added later stands behind the row that it belongs to, in a variant of its
//! own, so that rows without it are as they were before.

use std::sync::Arc;

use jobtracker_model::{Action, Report, Timestamp};
use serde::{Deserialize, Serialize, Serializer};

use super::{Cause, CheckRow, DeliveryRow, FollowUp, Watch};
use crate::{Assignment, TaskRow};

#[derive(Deserialize)]
pub(super) enum Kept {
    Watch(Watch),
    Action(Arc<Action>),
    Check(CheckRow),
    Delivery(DeliveryRow),
    /// [`Cause::At`].
    DeliveryOf(DeliveryRow, Report),
    /// [`Cause::Below`].
    DeliveryFromBelow(DeliveryRow),
    /// With the number of deliveries that were not made.
    WatchWithLoss(Watch, u32),
    /// With [`last_told`](CheckRow::last_told).
    CheckTold(CheckRow, Timestamp),
    Task(Box<TaskRow>),
    /// Of a job that has a [task](Watch::task), with the number of deliveries that were not made.
    WatchOfTask(Watch, u32),
    /// With [`reported_by`](TaskRow::reported_by) and [`assigned`](TaskRow::assigned).
    TaskOf(Box<TaskRow>, Option<String>, Option<Assignment>),
}

/// The same, for writing.
#[derive(Serialize)]
enum Written<'a> {
    Watch(&'a Watch),
    Action(&'a Action),
    Check(&'a CheckRow),
    Delivery(&'a DeliveryRow),
    DeliveryOf(&'a DeliveryRow, Report),
    DeliveryFromBelow(&'a DeliveryRow),
    WatchWithLoss(&'a Watch, u32),
    CheckTold(&'a CheckRow, Timestamp),
    Task(&'a TaskRow),
    WatchOfTask(&'a Watch, u32),
    TaskOf(&'a TaskRow, &'a Option<String>, &'a Option<Assignment>),
}

impl Serialize for FollowUp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match self {
            Self::Watch(watch) if watch.task => Written::WatchOfTask(watch, watch.lost),
            Self::Watch(watch) if watch.lost > 0 => Written::WatchWithLoss(watch, watch.lost),
            Self::Watch(watch) => Written::Watch(watch),
            Self::Action(action) => Written::Action(action),
            Self::Check(check) => match check.last_told {
                None => Written::Check(check),
                Some(time) => Written::CheckTold(check, time),
            },
            Self::Delivery(row) => match row.cause {
                Cause::Told => Written::Delivery(row),
                Cause::At(report) => Written::DeliveryOf(row, report),
                Cause::Below => Written::DeliveryFromBelow(row),
            },
            Self::Task(row) => match (&row.reported_by, &row.assigned) {
                (None, None) => Written::Task(row),
                (reported_by, assigned) => Written::TaskOf(row, reported_by, assigned),
            },
        };
        written.serialize(serializer)
    }
}

impl From<Kept> for FollowUp {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Watch(watch) => Self::Watch(watch),
            Kept::WatchWithLoss(watch, lost) => Self::Watch(Watch { lost, ..watch }),
            Kept::WatchOfTask(watch, lost) => Self::Watch(Watch { lost, task: true, ..watch }),
            Kept::Action(action) => Self::Action(action),
            Kept::Check(check) => Self::Check(check),
            Kept::CheckTold(check, time) => {
                Self::Check(CheckRow { last_told: Some(time), ..check })
            }
            Kept::Task(row) => Self::Task(row),
            Kept::TaskOf(row, reported_by, assigned) => {
                Self::Task(Box::new(TaskRow { reported_by, assigned, ..*row }))
            }
            Kept::Delivery(row) => Self::Delivery(row),
            Kept::DeliveryOf(row, report) => {
                Self::Delivery(DeliveryRow { cause: Cause::At(report), ..row })
            }
            Kept::DeliveryFromBelow(row) => {
                Self::Delivery(DeliveryRow { cause: Cause::Below, ..row })
            }
        }
    }
}
