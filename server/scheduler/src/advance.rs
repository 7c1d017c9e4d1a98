//! Brings a record up to a time: pure, so that it may be computed again after another server has
//! changed the record.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use jobtracker_model::{
    JobId, Payload, State, Timestamp, limits,
    schedule::{
        Concurrency, Firing, FiringCause, FiringOutcome, ScheduleTrigger, SkipReason,
        TriggerSchedule, Triggered,
    },
};

use crate::{
    Bases, Error, Plan, Result,
    record::{After, ByHand, Cursor, Followed, Key, Named, Record, Reserved, Run, RunEnd},
};

/// Planned times that one step decides at most.
const TIMES_AT_ONCE: usize = 10_000;
/// Firings of planned times that one step makes at most.
const FIRINGS_AT_ONCE: usize = 100;
/// Ends of runs that are kept for schedules that follow them.
const ENDS: usize = 50;
/// Bytes of parameters of firings that wait, and of what is kept of the runs that they follow, at
/// most: with the definition, what a run has left and the lists they have to fit into a document.
pub(crate) const WAITING_BYTES: usize = 28 * 1024;

/// What a step has to know beside the record.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// The open runs whose roots are there.
    pub runs: HashMap<JobId, RunFact>,
    /// The schedules that this one follows.
    pub others: BTreeMap<String, Other>,
    /// How many workers a run has shards for that starts now.
    pub workers: u32,
    /// How many workers there are, if runs are counted on each.
    pub counted_on: Option<usize>,
}

impl Facts {
    /// How many runs may be open. While there is no worker, one waits for it.
    pub fn open(&self, concurrency: Concurrency) -> usize {
        let each = concurrency.open();
        let all = self.counted_on.map_or(each, |workers| each.saturating_mul(workers.max(1)));
        all.min(limits::OPEN_RUNS as usize)
    }
}

/// How the root of a run is.
#[derive(Debug, Clone)]
pub(crate) enum RunFact {
    /// It is open; `whole`: everything that its firing makes has been made.
    Open {
        whole: bool,
    },
    Ended {
        state: State,
        time: Timestamp,
        millis: u64,
        left: Left,
    },
    /// It cannot be made any more: its tree was deleted, say.
    Gone,
}

/// What a run has left for the next one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Left {
    pub next_at: Option<Timestamp>,
    pub data: Option<Payload>,
}

/// What a schedule has to know of another one that it follows.
#[derive(Debug)]
pub(crate) struct Other {
    pub created: Timestamp,
    pub ended: u64,
    pub ends: Vec<RunEnd>,
}

/// Ids that were reserved for a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    first: JobId,
    count: u32,
    /// How many the step takes; if these are more, it has to be made again with as many.
    pub taken: u32,
}

impl Ids {
    pub fn new(first: JobId, count: u32) -> Self {
        Self { first, count, taken: 0 }
    }

    /// Whether the step had as many as it takes.
    pub fn were_enough(self) -> bool {
        self.taken <= self.count
    }

    fn take(&mut self, children: u32) -> Reserved {
        let root = JobId::new(self.first.get() + u64::from(self.taken));
        self.taken = self.taken.saturating_add(children + 1);
        Reserved { root: root.unwrap_or(self.first), children, first: None }
    }

    /// The first of this many ids for the shards of a run.
    fn take_shards(&mut self, count: u32) -> JobId {
        let first = JobId::new(self.first.get() + u64::from(self.taken));
        self.taken = self.taken.saturating_add(count);
        first.unwrap_or(self.first)
    }
}

/// A step at a record.
pub(crate) struct Step<'a> {
    pub record: &'a mut Record,
    pub plan: &'a Plan,
    pub now: Timestamp,
    pub ids: Ids,
    /// How many workers a run has shards for that starts now.
    pub workers: u32,
    /// How many runs may be open.
    pub open: usize,
    /// Whether there is more to do at this time.
    pub more: bool,
}

impl Step<'_> {
    /// Does everything that is due.
    pub fn advance(&mut self, facts: &Facts) {
        self.end_runs(&facts.runs);
        self.start_queued();
        self.fire_by_hand();
        self.follow(&facts.others);
        self.fire_planned();
        if self.record.running.is_empty() && self.record.cursor.rested.is_none() {
            self.record.cursor.rested = Some(self.now);
        }
    }

    /// Notes what is to be done next.
    pub fn finish(&mut self) {
        let by_hand = self.record.by_hand.iter().map(|by_hand| by_hand.planned);
        let next = self.next();
        (self.record.next, self.record.wake) = (next, by_hand.chain(next).min());
    }

    /// The next planned time.
    fn next(&self) -> Option<Timestamp> {
        let Record { enabled, cursor, .. } = &*self.record;
        if !*enabled {
            return None;
        }
        cursor.next(self.plan, self.record.bases())
    }

    fn end_runs(&mut self, facts: &HashMap<JobId, RunFact>) {
        let mut ended = Vec::new();
        self.record.running.retain_mut(|run| {
            let is_open = match facts.get(&run.reserved.root) {
                None => !run.made,
                Some(RunFact::Open { whole }) => {
                    if *whole {
                        (run.made, run.params, run.after) = (true, None, None);
                    }
                    true
                }
                Some(RunFact::Gone | RunFact::Ended { .. }) => false,
            };
            if !is_open {
                ended.push(run.clone());
            }
            is_open
        });
        let ends = ended.iter().map(|run| match facts.get(&run.reserved.root) {
            Some(RunFact::Ended { time, .. }) => *time,
            _ => self.now,
        });
        if let Some(last) = ends.max().filter(|_| self.record.running.is_empty()) {
            self.record.cursor.rested = Some(last);
        }
        for run in ended {
            // The end of a run whose tree was deleted is not known.
            if let Some(RunFact::Ended { state, time, millis, left }) =
                facts.get(&run.reserved.root)
            {
                self.note_end(&run, *state, *time, *millis);
                self.take_what_is_left(left);
            }
        }
    }

    fn note_end(&mut self, run: &Run, state: State, time: Timestamp, millis: u64) {
        let record = &mut *self.record;
        record.ended += 1;
        let (number, root) = (record.ended, run.reserved.root);
        record.ends.push_back(RunEnd { number, run: root, state, time });
        while record.ends.len() > ENDS {
            record.ends.pop_front();
        }
        record.total_ms = record.total_ms.saturating_add(millis);
        let statistics = &mut record.statistics;
        match state {
            State::Faulted => {
                statistics.failed += 1;
                record.failed_in_a_row = record.failed_in_a_row.saturating_add(1);
                if run.armed {
                    record.alarmed = Some(time);
                }
            }
            _ => {
                statistics.succeeded += 1;
                record.failed_in_a_row = 0;
            }
        }
        let ended = statistics.succeeded + statistics.failed;
        statistics.mean_ms = record.total_ms.checked_div(ended);
        statistics.last_ms = Some(millis);
        (statistics.last_end, statistics.last_state) = (Some(time), Some(state));
        if let Some(firing) = record.firing(run.number) {
            (firing.end_time, firing.state) = (Some(time), Some(state));
        }
    }

    fn take_what_is_left(&mut self, left: &Left) {
        if left.data.is_some() {
            self.record.data.clone_from(&left.data);
        }
        let is_planned = |at: &Timestamp| self.record.enabled && self.plan.is_before_end(*at);
        if let Some(at) = left.next_at.filter(is_planned) {
            let cursor = Cursor { named: None, ..self.record.cursor };
            let instead_of = cursor.next(self.plan, self.record.bases());
            self.record.cursor.named = Some(Named { at: at.max(self.now), instead_of });
        }
    }

    fn start_queued(&mut self) {
        while self.record.running.len() < self.open
            && let Some(run) = self.record.queue.pop_front()
        {
            self.start(run);
        }
    }

    fn start(&mut self, mut run: Run) {
        if self.record.definition.sharding.workers().is_some() {
            run.reserved.children = self.workers;
            run.reserved.first = Some(self.ids.take_shards(self.workers));
        }
        run.armed = self.arms();
        let record = &mut *self.record;
        if let Some(firing) = record.firing(run.number) {
            firing.start_time = Some(self.now);
        }
        record.cursor.rested = None;
        record.statistics.runs += 1;
        record.statistics.last_start = Some(self.now);
        record.running.push(run);
    }

    /// Whether a run that starts now tells the receivers of the alarm if it fails.
    fn arms(&self) -> bool {
        let Some(alarm) = &self.record.definition.alarm else { return false };
        let silence = Duration::from_millis(alarm.silence_ms.unwrap_or(0));
        let is_silent = self.record.alarmed.is_some_and(|last| last.after(silence) > self.now);
        let is_armed = self.record.running.iter().any(|run| run.armed);
        // With a silence one run at a time tells.
        let is_enough = is_silent || (is_armed && !silence.is_zero());
        !is_enough && self.record.failed_in_a_row + 1 >= alarm.threshold
    }

    fn fire_by_hand(&mut self) {
        let (mut due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.record.by_hand)
            .into_iter()
            .partition(|by_hand| by_hand.planned <= self.now);
        self.record.by_hand = later;
        due.sort_by_key(|by_hand| by_hand.planned);
        for ByHand { planned, by, reserved, params } in due {
            self.fire(planned, FiringCause::Manual { by }, params, Some(reserved));
        }
    }

    /// Fires by hand, now or later.
    pub fn trigger(&mut self, request: &TriggerSchedule, by: &str) -> Result<Triggered> {
        let TriggerSchedule { params, delay_ms, idempotency_key } = request;
        let is_same = |known: &&Key| Some(&known.key) == idempotency_key.as_ref();
        if let Some(known) = self.record.keys.iter().find(is_same) {
            return Ok(known.answer);
        }
        let (by, params) = (by.to_owned(), params.clone());
        let delay = Duration::from_millis(delay_ms.unwrap_or(0));
        let planned = self.now.after(delay);
        let answer = if planned > self.now {
            let bytes = params.as_ref().map_or(0, |params| params.as_str().len());
            if self.record.by_hand.len() >= limits::PLANNED_BY_HAND
                || self.record.waiting_bytes() + bytes > WAITING_BYTES
            {
                return Err(Error::TooManyPlanned(self.record.name.clone()));
            }
            let reserved = self.ids.take(self.record.definition.sharding.children());
            self.record.by_hand.push(ByHand { planned, by, reserved, params });
            Triggered { planned, run: Some(reserved.root), outcome: None }
        } else {
            self.fire(planned, FiringCause::Manual { by }, params, None);
            let firing = self.record.firings.back();
            let run = firing.and_then(Firing::run);
            Triggered { planned, run, outcome: firing.map(|firing| firing.outcome) }
        };
        if let Some(key) = idempotency_key.clone() {
            self.record.keys.push_back(Key { key, answer });
            while self.record.keys.len() > limits::IDEMPOTENCY_KEYS {
                self.record.keys.pop_front();
            }
        }
        Ok(answer)
    }

    /// Fires for the runs of other schedules that have ended since the last step. What ended before
    /// this schedule knew the other one is not followed.
    fn follow(&mut self, others: &BTreeMap<String, Other>) {
        self.record.followed.retain(|name, _| others.contains_key(name));
        for (name, other) in others {
            let known = self.record.followed.get(name);
            let after = match known {
                // It came after this definition, so that all its ends count.
                None if other.created >= self.record.changed => 0,
                None => other.ended,
                Some(known) if known.created == other.created => known.ended,
                Some(_) => 0,
            };
            let followed = Followed { created: other.created, ended: other.ended };
            if known != Some(&followed) {
                self.record.followed.insert(name.clone(), followed);
            }
            if !self.record.enabled {
                continue;
            }
            for end in other.ends.iter().filter(|end| end.number > after) {
                let meant = |trigger: &ScheduleTrigger| match trigger {
                    ScheduleTrigger::After { schedule, on } => schedule == name && on.is(end.state),
                    _ => false,
                };
                if self.record.definition.triggers.iter().any(meant) {
                    let cause = FiringCause::After { schedule: name.clone(), run: end.run };
                    self.fire(end.time, cause, None, None);
                }
            }
        }
    }

    /// Decides about the planned times that have come: late ones by the misfire policy.
    fn fire_planned(&mut self) {
        if !self.record.enabled {
            return;
        }
        let (times, _) = self.planned(TIMES_AT_ONCE);
        let grace = Duration::from_millis(self.record.definition.grace_ms);
        let late = times.partition_point(|(time, _)| time.after(grace) < self.now);
        let fires = self.record.definition.misfire.fires();
        let is_full = times.len() == TIMES_AT_ONCE;
        // The last late ones fire. If there may be more of them, the last ones are not known yet.
        let sure = if is_full && late == times.len() { late - fires } else { times.len() };
        // The ids of one step are reserved at once.
        let ids = (self.record.definition.sharding.children() + self.workers) as usize + 1;
        let at_once = FIRINGS_AT_ONCE.min(limits::IDS_PER_RESERVATION as usize / 2 / ids);
        let decided = sure.min(late.saturating_sub(fires) + at_once);
        self.more |= is_full || decided < times.len();
        let misfired = late.saturating_sub(fires).min(decided);
        (_, self.record.cursor) = self.planned(decided);
        self.misfire(&times[..misfired]);
        for (time, cause) in &times[misfired..decided] {
            self.fire(*time, cause.clone(), None, None);
        }
    }

    /// The planned times that have come, at most this many, and the cursor behind them.
    fn planned(&self, most: usize) -> (Vec<(Timestamp, FiringCause)>, Cursor) {
        let (mut cursor, mut times) = (self.record.cursor, Vec::new());
        while times.len() < most {
            let bases = Bases { rested: cursor.rested, ..self.record.bases() };
            let Some(next) = cursor.next(self.plan, bases).filter(|next| *next <= self.now) else {
                break;
            };
            let is_named = cursor.named.is_some();
            times.push((next, if is_named { FiringCause::Task } else { FiringCause::Planned }));
            cursor.pass(next, self.plan, bases);
        }
        (times, cursor)
    }

    /// Notes planned times that do not fire as one firing.
    fn misfire(&mut self, times: &[(Timestamp, FiringCause)]) {
        let (Some((first, cause)), Some((last, _))) = (times.first(), times.last()) else { return };
        let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
        let policy = self.record.definition.misfire.policy();
        let mut firing = self.firing(*first, cause.clone(), FiringOutcome::Misfired { policy });
        firing.count = count;
        firing.until = (count > 1).then_some(*last);
        self.record.statistics.misfired += u64::from(count);
        self.record.add_firing(firing);
    }

    fn firing(&self, planned: Timestamp, cause: FiringCause, outcome: FiringOutcome) -> Firing {
        Firing {
            number: self.record.fired + 1,
            planned,
            count: 1,
            until: None,
            time: self.now,
            cause,
            outcome,
            start_time: None,
            end_time: None,
            state: None,
        }
    }

    /// Fires: starts a run, has it wait, or skips it, by the concurrency policy.
    fn fire(
        &mut self,
        planned: Timestamp,
        cause: FiringCause,
        params: Option<Payload>,
        reserved: Option<Reserved>,
    ) {
        let concurrency = self.record.definition.concurrency;
        let after = match &cause {
            FiringCause::After { schedule, run } => {
                Some(After { schedule: schedule.clone(), run: *run })
            }
            FiringCause::Planned | FiringCause::Manual { .. } | FiringCause::Task => None,
        };
        let bytes = params.as_ref().map_or(0, |params| params.as_str().len())
            + after.as_ref().map_or(0, After::bytes);
        let has_room = self.record.waiting_bytes() + bytes <= WAITING_BYTES;
        let is_free = self.record.running.len() < self.open && self.record.queue.is_empty();
        let waits = match concurrency {
            _ if is_free && (bytes == 0 || has_room) => Ok(false),
            Concurrency::Queue { limit }
                if self.record.queue.len() < limit as usize && has_room =>
            {
                Ok(true)
            }
            Concurrency::Queue { .. } => Err(SkipReason::QueueFull),
            Concurrency::DiscardNew | Concurrency::Allow { .. } => Err(SkipReason::Running),
            Concurrency::ReplaceRunning => {
                self.make_way();
                Ok(true)
            }
        };
        let Ok(waits) = waits.inspect_err(|reason| {
            let firing =
                self.firing(planned, cause.clone(), FiringOutcome::Skipped { reason: *reason });
            self.record.statistics.skipped += 1;
            self.record.add_firing(firing);
        }) else {
            return;
        };
        let children = self.record.definition.sharding.children();
        let reserved = reserved.unwrap_or_else(|| self.ids.take(children));
        let run = reserved.root;
        let outcome =
            if waits { FiringOutcome::Queued { run } } else { FiringOutcome::Started { run } };
        let firing = self.firing(planned, cause, outcome);
        let number = firing.number;
        self.record.add_firing(firing);
        let (made, replaced, armed) = (false, false, false);
        let run = Run { reserved, number, params, after, made, replaced, armed };
        if waits {
            self.record.queue.push_back(run);
        } else {
            self.start(run);
        }
    }

    /// Has the open runs end, and skips the firings that wait for that.
    fn make_way(&mut self) {
        for run in &mut self.record.running {
            run.replaced = true;
        }
        for run in std::mem::take(&mut self.record.queue) {
            self.record.statistics.skipped += 1;
            if let Some(firing) = self.record.firing(run.number) {
                firing.outcome = FiringOutcome::Skipped { reason: SkipReason::Replaced };
            }
        }
    }
}

impl Cursor {
    /// The next planned time.
    pub fn next(&self, plan: &Plan, bases: Bases) -> Option<Timestamp> {
        match self.named {
            Some(named) => Some(named.at),
            None => plan.next(self.decided, bases),
        }
    }

    /// Goes on behind a planned time.
    pub fn pass(&mut self, time: Timestamp, plan: &Plan, bases: Bases) {
        let instead_of = self.named.take().and_then(|named| named.instead_of);
        let passed = time.max(instead_of.unwrap_or(time));
        if plan.delay(bases).is_some_and(|delay| delay <= passed) {
            self.rested = None;
        }
        self.decided = self.decided.max(passed);
    }
}
