use serde::{Deserialize, Serialize};

use super::{
    Concurrency, ConcurrencyScope, DailyWindow, Misfire, ScheduleAlarm, ScheduleTrigger, Sharding,
};
use crate::{
    CheckedJob, FieldError, JobId, NewJob, NewTask, Payload, PerWorker, Routing, Timestamp,
    field::check_text, limits,
};

/// What a schedule is: when it fires, what its firings do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleDefinition {
    /// What it is for; up to 1,024 bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Up to 8, at most one of them a fixed delay. A time that several plan is one time. Without
    /// any, it fires by hand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<ScheduleTrigger>,
    /// No time before this one is planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<Timestamp>,
    /// Nor this one and any time after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_at: Option<Timestamp>,
    /// Up to 8. With some, cron and fixed rate plan only times within one of them, and a fixed
    /// delay that ends outside goes on until one begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<DailyWindow>,
    /// What a run is.
    #[serde(default)]
    pub run: RunTemplate,
    /// What becomes of a planned time that is late by more than the grace.
    #[serde(default)]
    pub misfire: Misfire,
    /// By how much a planned time may be late and fires all the same; up to 86,400,000.
    #[serde(default = "grace")]
    pub grace_ms: u64,
    /// What becomes of a firing while a run is open.
    #[serde(default)]
    pub concurrency: Concurrency,
    /// Whether that counts all runs, or those on each worker.
    #[serde(default, skip_serializing_if = "ConcurrencyScope::is_schedule")]
    pub concurrency_scope: ConcurrencyScope,
    /// How a run is divided.
    #[serde(default)]
    pub sharding: Sharding,
    /// Whom to tell when runs do not go well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<ScheduleAlarm>,
}

fn grace() -> u64 {
    limits::MISFIRE_GRACE_MS
}

/// What the root of a run is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunTemplate {
    /// The name of the root; without one, that of the schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Tags of the root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The options of the root. Of a run without a task, parameters with which a caller triggers
    /// the schedule take their place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<String>,
    /// The source link of the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_link: Option<String>,
    /// How many days the trees of the runs are kept, as `keepDays` of a root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_days: Option<u32>,
    /// The task of the root, or of each shard. Without one, a program that learns of the root
    /// reports its states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<NewTask>,
}

impl RunTemplate {
    /// The root of a run of the schedule with this name, with these parameters in the place of the
    /// template's.
    #[must_use]
    pub fn root(&self, schedule: &str, id: JobId, params: Option<&Payload>) -> NewJob {
        let mut root = NewJob {
            id: Some(id),
            name: self.name.clone().unwrap_or_else(|| schedule.to_owned()),
            created_by: format!("schedule:{schedule}"),
            tags: self.tags.clone(),
            options: self.options.clone(),
            source_link: self.source_link.clone(),
            keep_days: self.keep_days,
            task: self.task.clone(),
            ..NewJob::default()
        };
        if let Some(NewTask { routing: Routing::ConsistentHash { key, .. }, .. }) = &mut root.task {
            key.get_or_insert_with(|| schedule.to_owned());
        }
        match (&mut root.task, params) {
            (Some(task), Some(params)) => task.params = Some(params.clone()),
            (None, Some(params)) => root.options = Some(params.as_str().to_owned()),
            (_, None) => {}
        }
        root
    }
}

impl ScheduleDefinition {
    /// A definition with these triggers.
    #[must_use]
    pub fn new(triggers: impl IntoIterator<Item = ScheduleTrigger>) -> Self {
        Self {
            description: String::new(),
            triggers: triggers.into_iter().collect(),
            start_at: None,
            end_at: None,
            windows: Vec::new(),
            run: RunTemplate::default(),
            misfire: Misfire::default(),
            grace_ms: limits::MISFIRE_GRACE_MS,
            concurrency: Concurrency::default(),
            concurrency_scope: ConcurrencyScope::default(),
            sharding: Sharding::default(),
            alarm: None,
        }
    }

    /// How many tasks of the schedule with this name one worker may have, if that is bounded.
    #[must_use]
    pub fn per_worker(&self, schedule: &str) -> Option<PerWorker> {
        let max = u32::try_from(self.concurrency.open()).unwrap_or(u32::MAX);
        let key = || format!("schedule:{schedule}");
        (!self.concurrency_scope.is_schedule()).then(|| PerWorker { key: key(), max })
    }

    fn check_scope(&self) -> Result<(), FieldError> {
        if self.concurrency_scope.is_schedule() {
            return Ok(());
        }
        let refused = |reason: &str| Err(FieldError::new("concurrencyScope", reason));
        match &self.run.task {
            Some(task) if task.filter.per_worker.is_some() => {
                refused("sets run.task.filter.perWorker, which may not be given")
            }
            _ if self.concurrency == Concurrency::ReplaceRunning => {
                refused("must be schedule with replaceRunning")
            }
            _ => Ok(()),
        }
    }

    /// Checks all fields but what patterns and zones say.
    ///
    /// # Errors
    /// A field past its limit.
    pub fn check(&self) -> Result<(), FieldError> {
        check_text("description", &self.description, 0, limits::DESCRIPTION)?;
        let is_delay =
            |trigger: &&ScheduleTrigger| matches!(trigger, ScheduleTrigger::FixedDelay { .. });
        if self.triggers.len() > limits::TRIGGERS {
            return Err(FieldError::new("triggers", format!("has more than {}", limits::TRIGGERS)));
        }
        if self.triggers.iter().filter(is_delay).count() > 1 {
            return Err(FieldError::new("triggers", "has more than one fixed delay"));
        }
        for (at, trigger) in self.triggers.iter().enumerate() {
            trigger.check().map_err(|error| within("triggers", at, error))?;
        }
        if self.windows.len() > limits::WINDOWS {
            return Err(FieldError::new("windows", format!("has more than {}", limits::WINDOWS)));
        }
        for (at, window) in self.windows.iter().enumerate() {
            window.check().map_err(|error| within("windows", at, error))?;
        }
        if self.end_at.is_some_and(|end| self.start_at.is_some_and(|start| end <= start)) {
            return Err(FieldError::new("endAt", "must be later than `startAt`"));
        }
        if self.grace_ms > limits::GRACE_MS {
            let reason = format!("must be 0 to {}", limits::GRACE_MS);
            return Err(FieldError::new("graceMs", reason));
        }
        self.misfire.check()?;
        self.concurrency.check()?;
        self.check_scope()?;
        self.sharding.check()?;
        self.alarm.as_ref().map_or(Ok(()), ScheduleAlarm::check)?;
        if self.run.task.as_ref().is_some_and(|task| task.shard.is_some()) {
            return Err(FieldError::new("run.task.shard", "is set for each shard of a run"));
        }
        let bytes = serde_json::to_vec(self).map_or(usize::MAX, |json| json.len());
        if bytes > limits::SCHEDULE_DEFINITION {
            let reason = format!("has more than {} bytes", limits::SCHEDULE_DEFINITION);
            return Err(FieldError::new("definition", reason));
        }
        let root = CheckedJob::try_from(self.run.root("x", JobId::MIN, None));
        root.map(drop).map_err(|error| error.within("run"))
    }
}

/// An error about a part of a list.
fn within(list: &str, at: usize, error: FieldError) -> FieldError {
    FieldError::new(format!("{list}[{at}].{}", error.field), error.reason)
}
