use std::collections::{BTreeMap, VecDeque};

use jobtracker_model::{
    JobId, Payload, State, Timestamp, limits,
    schedule::{
        Firing, NewSchedule, RegisterSchedule, Registration, Schedule, ScheduleCode,
        ScheduleDefinition, ScheduleStatistics, ScheduleTrigger, Triggered,
    },
};
use serde::{Deserialize, Serialize};

use crate::{Bases, Plan};

/// What the store keeps of a schedule, in one document: what it is, and how far it is. Every
/// change of it is one conditional put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub name: String,
    /// How often the document was changed.
    pub revision: u64,
    pub version: u64,
    pub enabled: bool,
    pub definition: ScheduleDefinition,
    pub created: Timestamp,
    pub changed: Timestamp,
    pub by: String,
    /// Set if a program has registered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ScheduleCode>,
    /// When there is something to do next, if nothing else happens before.
    pub wake: Option<Timestamp>,
    /// The next planned time.
    pub next: Option<Timestamp>,
    pub cursor: Cursor,
    /// Firings by hand whose times have not come.
    #[serde(default)]
    pub by_hand: Vec<ByHand>,
    #[serde(default)]
    pub running: Vec<Run>,
    #[serde(default)]
    pub queue: VecDeque<Run>,
    /// The newest is the last.
    #[serde(default)]
    pub firings: VecDeque<Firing>,
    /// The number of the last firing, or of the last planned time of it.
    #[serde(default)]
    pub fired: u64,
    /// The last runs that ended, for schedules that follow them.
    #[serde(default)]
    pub ends: VecDeque<RunEnd>,
    /// How many runs have ended.
    #[serde(default)]
    pub ended: u64,
    /// By the name of another schedule: how many of its ended runs have been followed.
    #[serde(default)]
    pub followed: BTreeMap<String, Followed>,
    #[serde(default)]
    pub keys: VecDeque<Key>,
    /// What the last run that left something has left for the next one.
    #[serde(default)]
    pub data: Option<Payload>,
    #[serde(default)]
    pub statistics: ScheduleStatistics,
    /// Runs that have failed since one succeeded.
    #[serde(default)]
    pub failed_in_a_row: u32,
    /// When a run last failed that told the receivers of the alarm.
    #[serde(default)]
    pub alarmed: Option<Timestamp>,
    /// How long all runs together took from start to end, in milliseconds.
    #[serde(default)]
    pub total_ms: u64,
}

/// Up to where planned times have been decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cursor {
    /// Planned times up to this one have been decided.
    pub decided: Timestamp,
    /// When the last run ended; `None` while one is open.
    pub rested: Option<Timestamp>,
    /// The time that the last run has named, in the place of the next planned one.
    #[serde(default)]
    pub named: Option<Named>,
}

/// A time that a run has named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Named {
    pub at: Timestamp,
    /// The planned time that does not fire since this one does.
    pub instead_of: Option<Timestamp>,
}

/// A firing by hand whose time has not come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ByHand {
    pub planned: Timestamp,
    pub by: String,
    pub reserved: Reserved,
    #[serde(default)]
    pub params: Option<Payload>,
}

/// The ids of a run: that of the root, and of its children, which follow it or are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reserved {
    pub root: JobId,
    pub children: u32,
    /// The first of the children, if they are for workers: these are reserved when the run starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<JobId>,
}

impl Reserved {
    /// Whether the run is more than its root.
    pub fn is_divided(self) -> bool {
        self.children > 0 || self.first.is_some()
    }

    pub fn child(self, index: u32) -> Option<JobId> {
        let first = self.first.map_or(self.root.get() + 1, JobId::get);
        JobId::new(first + u64::from(index))
    }
}

/// A run that is open, or waits for another one to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Run {
    #[serde(flatten)]
    pub reserved: Reserved,
    /// The number of its firing.
    pub number: u64,
    /// Until the run is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Payload>,
    /// The run that it follows, until the run is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<After>,
    /// Whether its tree is known to have been made: if it is not there any more, it was deleted.
    #[serde(default)]
    pub made: bool,
    /// Whether it is to end, since a newer one takes its place.
    #[serde(default)]
    pub replaced: bool,
    /// Whether it tells the receivers of the alarm if it fails.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub armed: bool,
}

/// A run of another schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct After {
    pub schedule: String,
    pub run: JobId,
}

impl After {
    /// How many bytes it takes in a document.
    pub fn bytes(&self) -> usize {
        self.schedule.len() + r#","after":{"schedule":"","run":9223372036854775807}"#.len()
    }
}

/// The end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunEnd {
    /// Its number among the ends of its schedule, from 1 on.
    pub number: u64,
    pub run: JobId,
    pub state: State,
    pub time: Timestamp,
}

/// How far the ends of another schedule have been followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Followed {
    /// When that schedule was created: one of the same name may come after it.
    pub created: Timestamp,
    pub ended: u64,
}

/// A key by which a firing by hand is known again, and how it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    pub key: String,
    pub answer: Triggered,
}

impl Record {
    pub fn new(new: NewSchedule, by: &str, now: Timestamp) -> Self {
        let NewSchedule { name, enabled, definition } = new;
        Self {
            name,
            revision: 0,
            version: 1,
            enabled,
            definition,
            created: now,
            changed: now,
            by: by.to_owned(),
            code: None,
            wake: None,
            next: None,
            cursor: Cursor { decided: now, rested: Some(now), named: None },
            by_hand: Vec::new(),
            running: Vec::new(),
            queue: VecDeque::new(),
            firings: VecDeque::new(),
            fired: 0,
            ends: VecDeque::new(),
            ended: 0,
            followed: BTreeMap::new(),
            keys: VecDeque::new(),
            data: None,
            statistics: ScheduleStatistics::default(),
            failed_in_a_row: 0,
            alarmed: None,
            total_ms: 0,
        }
    }

    /// Puts another definition.
    pub fn replace(&mut self, definition: &ScheduleDefinition, by: &str, now: Timestamp) {
        self.definition.clone_from(definition);
        self.version += 1;
        (self.changed, self.by) = (now, by.to_owned());
        self.begin_anew(now);
    }

    /// Takes over the definition that a program has registered, if it is newer than the one that it
    /// would replace. What was put by hand stays until a program registers the same.
    pub fn register(&mut self, new: &RegisterSchedule, by: &str, now: Timestamp) -> Registration {
        let known = self.code.map_or(0, |code| code.version);
        if new.version < known {
            return Registration::OlderVersion;
        }
        let is_same = self.definition == new.definition;
        let is_by_hand = self.code.is_none_or(|code| code.changed_by_hand);
        if !is_same && is_by_hand {
            return Registration::ChangedByHand;
        }
        if !is_same && new.version == known {
            return Registration::SameVersion;
        }
        self.code = Some(ScheduleCode { version: new.version, changed_by_hand: false });
        if is_same {
            return Registration::Unchanged;
        }
        self.replace(&new.definition, by, now);
        Registration::Replaced
    }

    pub fn bases(&self) -> Bases {
        Bases { created: self.created, changed: self.changed, rested: self.cursor.rested }
    }

    /// Plans nothing of what was to come until now: what follows counts from now on.
    pub fn begin_anew(&mut self, now: Timestamp) {
        let rested = self.running.is_empty().then_some(now);
        self.cursor = Cursor { decided: now, rested, named: None };
    }

    /// The schedules that it follows.
    pub fn follows(&self) -> impl Iterator<Item = &str> {
        self.definition.triggers.iter().filter_map(|trigger| match trigger {
            ScheduleTrigger::After { schedule, .. } => Some(schedule.as_str()),
            _ => None,
        })
    }

    /// The planned times that are to come, as far as they do not depend on runs.
    pub fn coming(&self, plan: &Plan) -> impl Iterator<Item = Timestamp> {
        let mut cursor = self.cursor;
        std::iter::from_fn(move || {
            let bases = Bases { rested: cursor.rested, ..self.bases() };
            let next = cursor.next(plan, bases).filter(|_| self.enabled)?;
            cursor.pass(next, plan, bases);
            // The run of that time has an end that is not known.
            cursor.rested = None;
            Some(next)
        })
    }

    pub fn add_firing(&mut self, firing: Firing) {
        self.fired = firing.number + u64::from(firing.count) - 1;
        self.firings.push_back(firing);
        while self.firings.len() > limits::FIRINGS {
            self.firings.pop_front();
        }
    }

    pub fn firing(&mut self, number: u64) -> Option<&mut Firing> {
        self.firings.iter_mut().rev().find(|firing| firing.number == number)
    }

    /// How many bytes the parameters of firings have that wait, or whose runs may not be made, and
    /// what is kept of the runs that they follow.
    pub fn waiting_bytes(&self) -> usize {
        let size = |json: &Option<Payload>| json.as_ref().map_or(0, |json| json.as_str().len());
        let runs = self
            .queue
            .iter()
            .chain(&self.running)
            .map(|run| size(&run.params) + run.after.as_ref().map_or(0, After::bytes));
        runs.chain(self.by_hand.iter().map(|by_hand| size(&by_hand.params))).sum()
    }

    /// What callers are shown.
    pub fn view(self) -> Schedule {
        Schedule {
            name: self.name,
            version: self.version,
            enabled: self.enabled,
            definition: self.definition,
            create_time: self.created,
            change_time: self.changed,
            changed_by: self.by,
            code: self.code,
            next: self.next,
            running: self.running.iter().map(|run| run.reserved.root).collect(),
            queued: u32::try_from(self.queue.len()).unwrap_or(u32::MAX),
            last_firing: self.firings.back().cloned(),
            statistics: self.statistics,
        }
    }
}

/// What a list of all schedules needs of each.
#[derive(Debug, Deserialize)]
pub(crate) struct Head {
    pub name: String,
    pub revision: u64,
    pub wake: Option<Timestamp>,
    #[serde(default)]
    pub running: Vec<HeadRun>,
    pub definition: HeadDefinition,
}

#[derive(Debug, Deserialize)]
pub(crate) struct HeadRun {
    pub root: JobId,
}

#[derive(Debug, Deserialize)]
pub(crate) struct HeadDefinition {
    #[serde(default)]
    pub triggers: Vec<HeadTrigger>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct HeadTrigger {
    /// The schedule that it follows.
    pub schedule: Option<String>,
}

#[cfg(test)]
mod tests {
    use jobtracker_model::{
        NewTask,
        schedule::{Concurrency, FiringCause, FiringOutcome, RunTemplate},
    };

    use super::*;
    use crate::advance::WAITING_BYTES;

    fn json(bytes: usize) -> Option<Payload> {
        Payload::parse(&format!("\"{}\"", "x".repeat(bytes - 2))).ok()
    }

    /// A record that outgrew its document could not be changed any more.
    #[test]
    fn the_largest_record_fits_into_a_document() {
        let (now, most) = (Timestamp::MAX, limits::QUEUED_FIRINGS as usize);
        let mut definition = ScheduleDefinition::new([]);
        definition.concurrency = Concurrency::Allow { max: limits::OPEN_RUNS };
        let task =
            NewTask { params: json(16 * 1024), data: json(16 * 1024), ..NewTask::new("a/b") };
        definition.run = RunTemplate { task: Some(task), ..RunTemplate::default() };
        let name = "n".repeat(limits::TOKEN_NAME);
        let mut record = Record::new(NewSchedule::new(&*name, definition), &name, now);
        record.code = Some(ScheduleCode { version: limits::CODE_VERSION, changed_by_hand: true });
        let used = serde_json::to_vec(&record.definition).unwrap().len();
        record.definition.run.options = Some("o".repeat(limits::SCHEDULE_DEFINITION - used));
        let reserved = Reserved { root: JobId::MAX, children: limits::SHARDS, first: None };
        let number = u64::MAX >> 1;
        let after = Some(After { schedule: name.clone(), run: JobId::MAX });
        let (params, made, replaced, armed) = (None, false, false, false);
        let run = Run { reserved, number, params, after, made, replaced, armed };
        record.queue = vec![run.clone(); most].into();
        let first = Some(JobId::MAX);
        let run = Run { reserved: Reserved { first, ..reserved }, armed: true, ..run };
        record.running = vec![run; limits::OPEN_RUNS as usize];
        record.by_hand = vec![
            ByHand { planned: now, by: name.clone(), reserved, params: None };
            limits::PLANNED_BY_HAND
        ];
        record.by_hand[0].params = json(WAITING_BYTES - record.waiting_bytes());
        assert_eq!(record.waiting_bytes(), WAITING_BYTES);
        record.data = json(16 * 1024);
        let cause = FiringCause::After { schedule: name.clone(), run: JobId::MAX };
        let firing = Firing {
            number,
            planned: now,
            count: u32::MAX,
            until: Some(now),
            time: now,
            cause,
            outcome: FiringOutcome::Started { run: JobId::MAX },
            start_time: Some(now),
            end_time: Some(now),
            state: Some(State::RanToCompletion),
        };
        record.firings = vec![firing; limits::FIRINGS].into();
        let end = RunEnd { number, run: JobId::MAX, state: State::RanToCompletion, time: now };
        record.ends = vec![end; limits::FIRINGS].into();
        let answer = Triggered {
            planned: now,
            run: Some(JobId::MAX),
            outcome: Some(FiringOutcome::Started { run: JobId::MAX }),
        };
        // A character that JSON writes as two.
        let key = Key { key: "\"".repeat(limits::REPEAT_ID), answer };
        record.keys = vec![key; limits::IDEMPOTENCY_KEYS].into();
        let bytes = serde_json::to_vec(&record).unwrap().len();
        assert!(bytes <= limits::DOCUMENT, "{bytes} bytes");
    }
}
