use serde::{Deserialize, Serialize};

use crate::{EmailAction, FieldError, HttpAction, Target, limits};

/// Whom to tell when runs of a schedule do not go well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleAlarm {
    /// 1 to 4 receivers.
    pub actions: Vec<AlarmAction>,
    /// Tells of a run that has failed for good when this many in a row have; 1 to 100. That is
    /// decided when a run is started.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub threshold: u32,
    /// For how long after such a run none that is started tells again, in milliseconds; up to
    /// 31,622,400,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence_ms: Option<u64>,
    /// Tells of a run without shards that has not begun this long after it was made, in
    /// milliseconds; 1,000 to 31,622,400,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_started_ms: Option<u64>,
    /// Tells of a run that has not ended when this share of the mean time of earlier runs is over,
    /// in percent; 101 to 100,000. Not before a second after it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_percent: Option<u32>,
}

/// A receiver of an alarm. It has no secrets: who reads the schedule sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AlarmAction {
    /// A request, as for an action of a job.
    Http {
        /// The address; http or https, without user and password, up to 2048 bytes.
        url: String,
    },
    /// An e-mail.
    Email {
        /// 1 to 32 addresses such as `ops@example.com`, each once.
        to: Vec<String>,
    },
}

impl From<&AlarmAction> for Target {
    fn from(action: &AlarmAction) -> Self {
        match action {
            AlarmAction::Http { url } => HttpAction::new(url).into(),
            AlarmAction::Email { to } => {
                EmailAction { to: to.clone(), ..EmailAction::default() }.into()
            }
        }
    }
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_one(number: &u32) -> bool {
    *number == 1
}

impl ScheduleAlarm {
    /// An alarm for each run that fails.
    #[must_use]
    pub fn to(action: AlarmAction) -> Self {
        Self {
            actions: vec![action],
            threshold: 1,
            silence_ms: None,
            not_started_ms: None,
            long_percent: None,
        }
    }

    pub(super) fn check(&self) -> Result<(), FieldError> {
        let Self { actions, threshold, silence_ms, not_started_ms, long_percent } = self;
        let within = |field: &str, number: u64, least: u64, most: u64| {
            if (least..=most).contains(&number) {
                return Ok(());
            }
            Err(FieldError::new(format!("alarm.{field}"), format!("must be {least} to {most}")))
        };
        if !(1..=limits::ALARM_ACTIONS).contains(&actions.len()) {
            let reason = format!("must have 1 to {} receivers", limits::ALARM_ACTIONS);
            return Err(FieldError::new("alarm.actions", reason));
        }
        for (at, action) in actions.iter().enumerate() {
            Target::from(action).check(&format!("alarm.actions[{at}]"))?;
        }
        within("threshold", u64::from(*threshold), 1, 100)?;
        within("silenceMs", silence_ms.unwrap_or(0), 0, limits::TRIGGER_MS)?;
        within("notStartedMs", not_started_ms.unwrap_or(1_000), 1_000, limits::TRIGGER_MS)?;
        within("longPercent", u64::from(long_percent.unwrap_or(101)), 101, 100_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_checked_at_and_past_its_limits() {
        type Spoil = fn(&mut ScheduleAlarm);
        let good = ScheduleAlarm::to(AlarmAction::Email { to: vec!["ops@example.com".into()] });
        assert_eq!(good.check(), Ok(()));
        let bad = ScheduleAlarm::to(AlarmAction::Http { url: "ftp://example.com/".into() });
        assert_eq!(bad.check().unwrap_err().field, "alarm.actions[0].http.url");
        let cases: [(&str, Spoil); 5] = [
            ("alarm.actions", |alarm| alarm.actions.clear()),
            ("alarm.threshold", |alarm| alarm.threshold = 0),
            ("alarm.silenceMs", |alarm| alarm.silence_ms = Some(u64::MAX)),
            ("alarm.notStartedMs", |alarm| alarm.not_started_ms = Some(1)),
            ("alarm.longPercent", |alarm| alarm.long_percent = Some(100)),
        ];
        for (field, spoil) in cases {
            let mut alarm = good.clone();
            spoil(&mut alarm);
            assert_eq!(alarm.check().unwrap_err().field, field);
        }
    }
}
