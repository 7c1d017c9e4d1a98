//! The notice for a receiver, made of the stored rows.

use jobtracker_model::{Action, DeliveryId, EmailAction, HttpAction, Target, Trigger};
use jobtracker_store::{CheckRow, DeliveryRow, FollowUp, FollowUpKey, Loaded};

use crate::outbox::{Finding, Found, JobName, Notice, NoticeKind};

/// A delivery with all that is needed to send it.
pub(super) struct Message {
    pub notice: Notice,
    pub http: Option<HttpAction>,
    pub email: Option<EmailAction>,
}

/// The follow-up that a delivery belongs to.
pub(super) fn source_of(trigger: Trigger) -> FollowUpKey {
    match trigger {
        Trigger::Action(number) => FollowUpKey::Action(number),
        Trigger::CheckPassed(number) | Trigger::CheckFailed(number) => FollowUpKey::Check(number),
    }
}

/// The message of a delivery, without its cause; `None` if the follow-up that it belongs to was not
/// loaded.
pub(super) fn message(id: DeliveryId, row: &DeliveryRow, loaded: &Loaded) -> Option<Message> {
    let definition = loaded.definitions.get(&id.job)?;
    let source = loaded.follow_ups.get(&(id.job, source_of(row.trigger)))?;
    let (target, kind) = match (source, row.trigger) {
        (FollowUp::Action(action), _) => {
            let Action { target, .. } = &**action;
            (target, NoticeKind::State)
        }
        (FollowUp::Check(check), Trigger::CheckPassed(_)) => {
            (check.check.success.as_ref()?, NoticeKind::Check(finding(check, row, true)))
        }
        (FollowUp::Check(check), _) => {
            (check.check.failure.as_ref()?, NoticeKind::Check(finding(check, row, false)))
        }
        _ => return None,
    };
    let event = &row.event;
    let notice = Notice {
        kind,
        delivery: id.to_string(),
        job: JobName { id: id.job, name: definition.name.clone(), root: event.root },
        state: event.state,
        time: event.time,
        cause: None,
        children: event.children,
        subtree: event.subtree,
    };
    let Target { http, email } = target.clone();
    Some(Message { notice, http, email })
}

fn finding(check: &CheckRow, row: &DeliveryRow, met: bool) -> Finding {
    let found = Found { state: row.event.state, last_change: row.event.quiet_since };
    Finding { expected: check.check.kind.clone(), met, found }
}
