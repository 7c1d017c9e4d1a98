//! What makes a job claimable: a task, its policies and how far it is.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    FieldError, FollowedRun, Payload, Routing, Timestamp, check_name, field::check_text, limits,
    text::or_default,
};

/// What makes a job claimable by a worker: the job then waits until a worker that offers the
/// handler claims it, and its states follow from what that worker reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewTask {
    /// Which handler runs it: `service/name`, each part 1 to 64 of `A-Z a-z 0-9 . _ -` and not only
    /// dots.
    pub handler: String,
    /// Any JSON that the handler is given; up to 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Payload>,
    /// Any JSON that an earlier run left for this one; up to 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Payload>,
    /// The run of another schedule that this one follows. The service says it of each run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<FollowedRun>,
    /// How long it may take.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub timeouts: Timeouts,
    /// When an attempt that failed is followed by another.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub retry: Retry,
    /// Which workers may claim it; all that offer the handler unless it says otherwise.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub filter: WorkerFilter,
    /// By which rule it is given to one of them; to the first that claims it unless it says
    /// otherwise.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub routing: Routing,
    /// What happens while no worker may claim it.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub on_no_worker: OnNoWorker,
    /// Which part of a divided work this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// It may not be claimed before that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// It may not be claimed until it is resumed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub held: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// How long a task may take, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Timeouts {
    /// From the time at which it may be claimed until a worker claims it; for ever unless given.
    /// After that it fails with the reason `no_worker`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_to_start_ms: Option<u64>,
    /// One attempt; for ever unless given. After that the attempt has failed by `timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_ms: Option<u64>,
    /// From a request to cancel it until its lease ends in any case.
    #[serde(default = "Timeouts::cancel_grace_ms")]
    pub cancel_grace_ms: u64,
}

impl Timeouts {
    const fn cancel_grace_ms() -> u64 {
        10_000
    }

    fn check(&self) -> Result<(), FieldError> {
        let Self { schedule_to_start_ms, execution_ms, cancel_grace_ms } = *self;
        let times = [
            ("scheduleToStartMs", schedule_to_start_ms),
            ("executionMs", execution_ms),
            ("cancelGraceMs", Some(cancel_grace_ms)),
        ];
        times.into_iter().try_for_each(|(field, time)| check_time("timeouts", field, time))
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        let cancel_grace_ms = Self::cancel_grace_ms();
        Self { schedule_to_start_ms: None, execution_ms: None, cancel_grace_ms }
    }
}

fn check_time(within: &str, field: &str, millis: Option<u64>) -> Result<(), FieldError> {
    let most = limits::TASK_TIME_MS;
    if millis.is_some_and(|millis| !(1..=most).contains(&millis)) {
        return Err(FieldError::new(format!("{within}.{field}"), format!("must be 1 to {most}")));
    }
    Ok(())
}

/// Why an attempt ended without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AttemptFailure {
    /// The handler reported it.
    Failed,
    /// It took longer than it may.
    Timeout,
    /// The worker was silent for a lease time, or was kicked.
    WorkerLost,
}

impl AttemptFailure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Failed, Self::Timeout, Self::WorkerLost];

    /// The reason code of the change that tells of it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::WorkerLost => "worker_lost",
        }
    }
}

/// When an attempt that failed is followed by another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Retry {
    /// How many attempts may follow the first; 0 unless given, up to 1,000.
    pub max: u32,
    /// The pause before the second attempt in milliseconds; 1,000 unless given.
    pub initial_ms: u64,
    /// By what the pause is multiplied from one attempt to the next: 1 to 10; 2 unless given.
    pub factor: u32,
    /// The longest pause in milliseconds; 600,000 unless given.
    pub cap_ms: u64,
    /// By how much a pause may be longer or shorter, in percent: 0 to 100; 20 unless given.
    pub jitter_percent: u32,
    /// After which failures another attempt follows; after all of them unless given.
    pub on: Vec<AttemptFailure>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max: 0,
            initial_ms: 1_000,
            factor: 2,
            cap_ms: 600_000,
            jitter_percent: 20,
            on: AttemptFailure::ALL.to_vec(),
        }
    }
}

impl Retry {
    /// Up to this many attempts after the first.
    #[must_use]
    pub fn times(max: u32) -> Self {
        Self { max, ..Self::default() }
    }

    /// The pause after an attempt, counted from 1, that failed like this; `None` when no other
    /// attempt follows. The same seed gives the same pause.
    #[must_use]
    pub fn pause(&self, attempt: u32, failure: AttemptFailure, seed: u64) -> Option<Duration> {
        if attempt > self.max || !self.on.contains(&failure) {
            return None;
        }
        let times = attempt.saturating_sub(1);
        let factor = u64::from(self.factor).checked_pow(times).unwrap_or(u64::MAX);
        let millis = self.initial_ms.saturating_mul(factor).min(self.cap_ms);
        let spread = millis.saturating_mul(u64::from(self.jitter_percent)) / 100;
        let shift = scattered(seed) % spread.saturating_mul(2).saturating_add(1);
        Some(Duration::from_millis(millis.saturating_sub(spread).saturating_add(shift)))
    }

    fn check(&self) -> Result<(), FieldError> {
        let number = |field: &str, number: u32, least: u32, most: u32| {
            let fits = (least..=most).contains(&number);
            let error = || FieldError::new(field, format!("must be {least} to {most}"));
            fits.then_some(()).ok_or_else(error)
        };
        number("retry.max", self.max, 0, limits::RETRIES)?;
        number("retry.factor", self.factor, 1, 10)?;
        number("retry.jitterPercent", self.jitter_percent, 0, 100)?;
        check_time("retry", "initialMs", Some(self.initial_ms))?;
        check_time("retry", "capMs", Some(self.cap_ms))?;
        if self.on.len() > AttemptFailure::ALL.len() {
            return Err(FieldError::new("retry.on", "names a failure twice"));
        }
        Ok(())
    }
}

/// A number that differs in all bits for neighbouring seeds (the finisher of SplitMix64).
fn scattered(seed: u64) -> u64 {
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

/// Which workers may claim a task, among those that offer its handler: one that passes every part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerFilter {
    /// It has all of these tags; up to 32.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// It has all of these labels with these values; up to 32.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// It is one of these, if any are named; up to 100 ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<String>,
    /// It has fewer tasks with this key than `max` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_worker: Option<PerWorker>,
}

/// How many tasks with the same key one worker may have at once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PerWorker {
    /// Tasks with this key are counted together; 1 to 128 bytes.
    pub key: String,
    /// How many of them there may be; 1 to 1,000.
    pub max: u32,
}

impl PerWorker {
    fn check(&self) -> Result<(), FieldError> {
        check_text("filter.perWorker.key", &self.key, 1, limits::PER_WORKER_KEY)?;
        if (1..=limits::WORKER_SLOTS).contains(&self.max) {
            return Ok(());
        }
        let reason = format!("must be 1 to {}", limits::WORKER_SLOTS);
        Err(FieldError::new("filter.perWorker.max", reason))
    }
}

impl WorkerFilter {
    /// Whether a worker with this id, these tags and labels passes, whatever tasks it has.
    #[must_use]
    pub fn passes(&self, id: &str, tags: &[String], labels: &BTreeMap<String, String>) -> bool {
        (self.workers.is_empty() || self.workers.iter().any(|named| named == id))
            && self.tags.iter().all(|tag| tags.contains(tag))
            && self.labels.iter().all(|(key, value)| labels.get(key) == Some(value))
    }

    pub(crate) fn check(&self) -> Result<(), FieldError> {
        check_worker_words("filter", &self.tags, &self.labels)?;
        self.per_worker.as_ref().map_or(Ok(()), PerWorker::check)?;
        if self.workers.len() > limits::FILTER_WORKERS {
            let reason = format!("has more than {}", limits::FILTER_WORKERS);
            return Err(FieldError::new("filter.workers", reason));
        }
        let mut ids = self.workers.iter();
        ids.try_for_each(|id| check_text("filter.workers", id, 1, limits::WORKER_ID))
    }
}

/// Checks the tags and labels of a worker or of a filter.
pub(crate) fn check_worker_words(
    within: &str,
    tags: &[String],
    labels: &BTreeMap<String, String>,
) -> Result<(), FieldError> {
    for (field, len) in [("tags", tags.len()), ("labels", labels.len())] {
        if len > limits::TAGS {
            let reason = format!("has {len}; at most {}", limits::TAGS);
            return Err(FieldError::new(format!("{within}.{field}"), reason));
        }
    }
    for tag in tags {
        check_text(&format!("{within}.tags"), tag, 1, limits::TAG)?;
    }
    labels.iter().try_for_each(|(key, value)| {
        let field = format!("{within}.labels");
        check_text(&field, key, 1, limits::TAG)?;
        check_text(&field, value, 0, limits::TAG)
    })
}

/// What happens to a task while no worker may claim it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum OnNoWorker {
    /// It waits, as long as `scheduleToStartMs` allows.
    #[default]
    Wait,
    /// It fails with the reason `no_worker`.
    Fail,
}

/// Which part of a divided work a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Shard {
    /// Which one, from 0.
    pub index: u32,
    /// How many there are; at least 1.
    pub total: u32,
}

impl NewTask {
    /// A task for this handler, `service/name`, with every policy as it is by default.
    #[must_use]
    pub fn new(handler: impl Into<String>) -> Self {
        Self {
            handler: handler.into(),
            params: None,
            data: None,
            after: None,
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            filter: WorkerFilter::default(),
            routing: Routing::default(),
            on_no_worker: OnNoWorker::default(),
            shard: None,
            not_before: None,
            held: false,
        }
    }

    /// With parameters for the handler.
    #[must_use]
    pub fn params(mut self, params: Payload) -> Self {
        self.params = Some(params);
        self
    }

    /// With a rule for further attempts.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Checks every field against its limit.
    ///
    /// # Errors
    /// The first field that is past its limit or malformed.
    pub fn check(&self) -> Result<(), FieldError> {
        check_handler("handler", &self.handler)?;
        for (field, value) in [("params", &self.params), ("data", &self.data)] {
            value.as_ref().map_or(Ok(()), |value| value.check(field))?;
        }
        self.after.as_ref().map_or(Ok(()), FollowedRun::check)?;
        self.timeouts.check()?;
        self.retry.check()?;
        self.filter.check()?;
        self.routing.check()?;
        match self.shard {
            Some(Shard { index, total }) if index >= total || total > limits::SHARDS => {
                let reason = format!("must be one of 1 to {} shards", limits::SHARDS);
                Err(FieldError::new("shard", reason))
            }
            _ => Ok(()),
        }
    }

    /// About how much memory its texts take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let result = self.after.as_ref().and_then(|after| after.result.as_ref());
        let json = [self.params.as_ref(), self.data.as_ref(), result]
            .map(|json| json.map_or(0, |json| json.as_str().len()));
        let words = self.filter.tags.iter().chain(&self.filter.workers).map(|text| text.len() + 24);
        let labels = self.filter.labels.iter().map(|(key, value)| key.len() + value.len() + 48);
        let key = self.filter.per_worker.as_ref().map_or(0, |per_worker| per_worker.key.len());
        size_of::<Self>()
            + self.handler.len()
            + self.routing.bytes()
            + key
            + json.iter().sum::<usize>()
            + words.chain(labels).sum::<usize>()
    }
}

/// Checks the name of a handler, `service/name`.
///
/// # Errors
/// A part is not 1 to 64 of `A-Z a-z 0-9 . _ -`, or only dots.
pub fn check_handler(field: &str, handler: &str) -> Result<(), FieldError> {
    let is_name = |part: &str| check_name(part).is_ok();
    match handler.split_once('/') {
        Some((service, name)) if is_name(service) && is_name(name) => Ok(()),
        _ => {
            let most = limits::TOKEN_NAME;
            let reason = format!(
                "must be service/name, each of 1 to {most} of A-Z a-z 0-9 . _ -, not only dots"
            );
            Err(FieldError::new(field, reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_checked_at_and_past_its_limits() {
        let full = NewTask {
            params: Some(Payload::parse("{}").unwrap()),
            shard: Some(Shard { index: 2, total: 3 }),
            retry: Retry::times(limits::RETRIES),
            ..NewTask::new("reports/nightly")
        };
        assert_eq!(full.check(), Ok(()));
        type Spoil = fn(&mut NewTask);
        let cases: [(&str, Spoil); 12] = [
            ("handler", |t| t.handler = "nightly".into()),
            ("handler", |t| t.handler = "a/b/c".into()),
            ("handler", |t| t.handler = "a/..".into()),
            ("timeouts.executionMs", |t| t.timeouts.execution_ms = Some(0)),
            ("timeouts.cancelGraceMs", |t| t.timeouts.cancel_grace_ms = u64::MAX),
            ("retry.max", |t| t.retry.max += 1),
            ("retry.factor", |t| t.retry.factor = 0),
            ("retry.jitterPercent", |t| t.retry.jitter_percent = 101),
            ("filter.tags", |t| t.filter.tags.push(String::new())),
            ("filter.labels", |t| drop(t.filter.labels.insert(String::new(), String::new()))),
            ("filter.workers", |t| t.filter.workers.push(String::new())),
            ("shard", |t| t.shard = Some(Shard { index: 3, total: 3 })),
        ];
        for (field, spoil) in cases {
            let mut task = full.clone();
            spoil(&mut task);
            assert_eq!(task.check().unwrap_err().field, field);
        }
    }

    #[test]
    fn a_task_says_only_what_is_not_the_default() {
        let json = serde_json::to_string(&NewTask::new("a/b")).unwrap();
        assert_eq!(json, r#"{"handler":"a/b"}"#);
        assert_eq!(serde_json::from_str::<NewTask>(&json).unwrap(), NewTask::new("a/b"));
        let retry: Retry = serde_json::from_str(r#"{"max":3}"#).unwrap();
        assert_eq!(retry, Retry::times(3));
    }

    #[test]
    fn pauses_grow_within_their_jitter_up_to_the_cap() {
        let retry = Retry { max: 5, cap_ms: 5_000, ..Retry::default() };
        for (attempt, millis) in [(1, 1_000), (2, 2_000), (3, 4_000), (4, 5_000), (5, 5_000)] {
            let pauses = (0..100).map(|seed| {
                retry.pause(attempt, AttemptFailure::Failed, seed).unwrap().as_millis() as u64
            });
            let (least, most) = (millis * 8 / 10, millis * 12 / 10);
            let all: Vec<u64> = pauses.collect();
            assert!(all.iter().all(|pause| (least..=most).contains(pause)), "{all:?}");
            assert!(all.iter().any(|pause| *pause != all[0]), "{all:?}");
        }
        assert_eq!(retry.pause(6, AttemptFailure::Failed, 0), None);
        let picky = Retry { on: vec![AttemptFailure::WorkerLost], ..retry };
        assert_eq!(picky.pause(1, AttemptFailure::Timeout, 0), None);
        assert!(picky.pause(1, AttemptFailure::WorkerLost, 0).is_some());
    }

    #[test]
    fn a_filter_passes_workers_that_have_all_it_names() {
        let labels = BTreeMap::from([("zone".to_owned(), "a".to_owned())]);
        let tags = ["gpu".to_owned(), "big".to_owned()];
        let passes = |filter: &WorkerFilter| filter.passes("w1", &tags, &labels);
        assert!(passes(&WorkerFilter::default()));
        let tagged = |tag: &str| WorkerFilter { tags: vec![tag.into()], ..Default::default() };
        assert!(passes(&tagged("gpu")) && !passes(&tagged("small")));
        let named = |id: &str| WorkerFilter { workers: vec![id.into()], ..Default::default() };
        assert!(passes(&named("w1")) && !passes(&named("w2")));
        let zone = |zone: &str| WorkerFilter {
            labels: BTreeMap::from([("zone".to_owned(), zone.to_owned())]),
            ..Default::default()
        };
        assert!(passes(&zone("a")) && !passes(&zone("b")));
    }
}
