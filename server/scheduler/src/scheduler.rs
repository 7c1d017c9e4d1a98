use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use jobtracker_engine::Engine;
use jobtracker_model::{
    JobId, NewTask, Timestamp, WorkerFilter,
    schedule::{
        ConcurrencyScope, Firing, NewSchedule, RegisterSchedule, Registration, Schedule,
        ScheduleCode, ScheduleDefinition, ScheduleRegistered, TriggerSchedule, Triggered,
    },
};
use jobtracker_store::{DocumentKey, Listed, PageLimit, Store};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    Error, Plan, Result,
    advance::{Facts, Ids, Other, RunFact, Step},
    documents::Documents,
    ids::IdPool,
    record::{Record, Run},
    runs,
    timetable::{Stand, Timetable},
};

/// Tries at a schedule that other servers change at the same time.
const TRIES: usize = 20;
/// How long a server looks after a schedule that a caller has changed there: until the server that
/// has the lease has listed all schedules again.
const KEPT: Duration = Duration::from_secs(90);
/// When a schedule is looked at again that could not be brought up to date: soon if the store or
/// the engine was the reason.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_LATER: Duration = Duration::from_secs(60);
/// The pause before the next shards of a run are ended.
const NEXT_STEP: Duration = Duration::from_millis(5);

/// The schedules of a store: what callers do with them, and what is done when they are due. Any
/// number of servers may do the same at once; each step is one conditional change of a document.
pub struct Scheduler {
    pub(crate) engine: Engine,
    fleet: Option<Arc<dyn Fleet>>,
    pub(crate) documents: Documents,
    pub(crate) timetable: Mutex<Timetable>,
    /// Tells the timer that something may be due earlier than it knows.
    pub(crate) woken: Notify,
    ids: IdPool,
    /// Runs that cannot be made, until their schedules know.
    gone: Mutex<HashSet<JobId>>,
    /// Runs with shards that are ended since newer ones take their places: the next shard to end.
    replacing: Mutex<HashMap<JobId, u32>>,
}

/// Knows the workers.
pub trait Fleet: Send + Sync {
    /// The ids of the workers that are online, may claim this task and pass this filter too.
    fn online(&self, task: &NewTask, filter: &WorkerFilter) -> Vec<String>;
}

impl Scheduler {
    /// The schedules of a store, whose runs are made by this engine.
    #[must_use]
    pub fn new(engine: Engine, store: Arc<dyn Store>) -> Self {
        Self {
            timetable: Mutex::new(Timetable::new(engine.clone())),
            engine,
            fleet: None,
            documents: Documents(store),
            woken: Notify::new(),
            ids: IdPool::new(),
            gone: Mutex::new(HashSet::new()),
            replacing: Mutex::default(),
        }
    }

    /// With the workers for which runs may have a shard each.
    #[must_use]
    pub fn with_fleet(self, fleet: Arc<dyn Fleet>) -> Self {
        Self { fleet: Some(fleet), ..self }
    }

    /// Creates a schedule. Safe to repeat: one that is there with the same definition is answered.
    ///
    /// # Errors
    /// A field that cannot be accepted, a name that is taken.
    pub async fn create(&self, new: NewSchedule, by: &str, now: Timestamp) -> Result<Schedule> {
        new.check()?;
        self.put_new(Record::new(new, by, now), now).await
    }

    /// Takes over a definition that a program brings along: creates the schedule, or puts the
    /// definition in the place of an older version of the program. Whether the schedule is enabled
    /// stays. Safe to repeat.
    ///
    /// # Errors
    /// A field that cannot be accepted.
    pub async fn register(
        &self,
        name: &str,
        new: &RegisterSchedule,
        by: &str,
        now: Timestamp,
    ) -> Result<ScheduleRegistered> {
        new.check()?;
        Plan::new(&new.definition).map_err(|error| error.within("definition"))?;
        let code = ScheduleCode { version: new.version, changed_by_hand: false };
        for _ in 0..TRIES {
            let registered = Mutex::new(Registration::Unchanged);
            let change = |record: &mut Record| {
                *registered.lock() = record.register(new, by, now);
                Ok(())
            };
            match self.change(name, now, change, |_| Ok(())).await {
                Err(Error::NotFound(_)) => {}
                Err(error) => return Err(error),
                Ok((Record { code, .. }, ())) => {
                    let code_version = code.map(|code| code.version);
                    return Ok(ScheduleRegistered { outcome: *registered.lock(), code_version });
                }
            }
            let first = NewSchedule::new(name, new.definition.clone());
            first.check()?;
            let record = Record { code: Some(code), ..Record::new(first, by, now) };
            match self.put_new(record, now).await {
                // Another program may have created it at the same time.
                Ok(created) if created.code == Some(code) => {
                    let (outcome, code_version) = (Registration::Created, Some(new.version));
                    return Ok(ScheduleRegistered { outcome, code_version });
                }
                Ok(_) | Err(Error::Exists(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Contention(name.to_owned()))
    }

    /// Stores a new record; one that is there with the same definition is answered.
    async fn put_new(&self, record: Record, now: Timestamp) -> Result<Schedule> {
        let plan = Plan::new(&record.definition)?;
        let facts = self.facts(&record).await?;
        let (mut record, ..) = self.step(&record, &plan, now, &facts, |_| Ok(())).await?;
        // Revisions go on behind those of a schedule of this name that was deleted.
        record.revision = u64::try_from(now.millis()).unwrap_or(1);
        // If this call ends halfway, the timer goes on.
        self.timetable.lock().wake(&record.name, now.after(AGAIN));
        if !self.documents.put(&record, None).await? {
            let (known, _) = self.documents.load(&record.name).await?;
            let is_same = known.definition == record.definition;
            return if is_same { Ok(known.view()) } else { Err(Error::Exists(record.name)) };
        }
        self.note(&record);
        self.keep(&record.name, now);
        Ok(record.view())
    }

    /// Puts another definition, if the schedule has the expected version. Firings that wait and
    /// runs that are open stay; planned times count from now on.
    ///
    /// # Errors
    /// A field that cannot be accepted, no such schedule, another version.
    pub async fn replace(
        &self,
        name: &str,
        definition: ScheduleDefinition,
        expected: Option<u64>,
        by: &str,
        now: Timestamp,
    ) -> Result<Schedule> {
        definition.check()?;
        Plan::new(&definition)?;
        let change = |record: &mut Record| {
            let version = record.version;
            if expected.is_some_and(|expected| expected != version) {
                return Err(Error::OtherVersion { name: name.to_owned(), version });
            }
            if record.definition != definition {
                record.replace(&definition, by, now);
                if let Some(code) = &mut record.code {
                    code.changed_by_hand = true;
                }
            }
            Ok(())
        };
        Ok(self.change(name, now, change, |_| Ok(())).await?.0.view())
    }

    /// Has the triggers of a schedule plan firings, or none any more. Runs that are open and
    /// firings that wait stay.
    ///
    /// # Errors
    /// No such schedule.
    pub async fn enable(&self, name: &str, enabled: bool, now: Timestamp) -> Result<Schedule> {
        let change = |record: &mut Record| {
            if record.enabled != enabled {
                record.enabled = enabled;
                record.begin_anew(now);
            }
            Ok(())
        };
        Ok(self.change(name, now, change, |_| Ok(())).await?.0.view())
    }

    /// Fires a schedule by hand, also one that is disabled. Safe to repeat with a key.
    ///
    /// # Errors
    /// A field that cannot be accepted, no such schedule, too many firings that wait for their
    /// times.
    pub async fn trigger(
        &self,
        name: &str,
        request: &TriggerSchedule,
        by: &str,
        now: Timestamp,
    ) -> Result<Triggered> {
        request.check()?;
        Ok(self.change(name, now, |_| Ok(()), |step| step.trigger(request, by)).await?.1)
    }

    /// Deletes a schedule, if it has the expected version. Its open runs go on.
    ///
    /// # Errors
    /// No such schedule, another version.
    pub async fn delete(&self, name: &str, expected: Option<u64>) -> Result<()> {
        for _ in 0..TRIES {
            let (Record { version, .. }, document) = self.documents.load(name).await?;
            if expected.is_some_and(|expected| expected != version) {
                return Err(Error::OtherVersion { name: name.to_owned(), version });
            }
            if self.documents.delete(name, document).await? {
                self.timetable.lock().remove(name);
                return Ok(());
            }
        }
        Err(Error::Contention(name.to_owned()))
    }

    /// A schedule.
    ///
    /// # Errors
    /// No such schedule.
    pub async fn get(&self, name: &str) -> Result<Schedule> {
        Ok(self.documents.load(name).await?.0.view())
    }

    /// The last firings of a schedule, the newest first.
    ///
    /// # Errors
    /// No such schedule.
    pub async fn firings(&self, name: &str) -> Result<Vec<Firing>> {
        Ok(self.documents.load(name).await?.0.firings.into_iter().rev().collect())
    }

    /// Schedules by name.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn list(
        &self,
        prefix: Option<DocumentKey>,
        after: Option<DocumentKey>,
        limit: PageLimit,
    ) -> Result<Listed<Schedule, DocumentKey>> {
        let Listed { items, next } = self.documents.list::<Record>(prefix, after, limit).await?;
        Ok(Listed { items: items.into_iter().map(Record::view).collect(), next })
    }

    /// The next times that a schedule plans, as far as they do not depend on runs.
    ///
    /// # Errors
    /// No such schedule.
    pub async fn next_fires(&self, name: &str, count: usize) -> Result<Vec<Timestamp>> {
        let (record, _) = self.documents.load(name).await?;
        let plan = Plan::new(&record.definition)?;
        Ok(record.coming(&plan).take(count).collect())
    }

    /// Brings a schedule up to date.
    pub(crate) async fn settle(&self, name: &str, now: Timestamp) {
        match self.put(name, now, |_| Ok(()), |_| Ok(())).await {
            Ok(_) => {}
            Err(Error::NotFound(_)) => self.timetable.lock().remove(name),
            Err(error) => {
                tracing::warn!(schedule = name, %error, "a schedule is not up to date");
                let is_passing =
                    matches!(error, Error::Contention(_) | Error::Engine(_) | Error::Store(_));
                let pause = if is_passing { AGAIN } else { AGAIN_LATER };
                self.timetable.lock().wake(name, now.after(pause));
            }
        }
    }

    /// Changes a schedule for a caller.
    async fn change<T>(
        &self,
        name: &str,
        now: Timestamp,
        change: impl Fn(&mut Record) -> Result<()>,
        then: impl Fn(&mut Step<'_>) -> Result<T>,
    ) -> Result<(Record, T)> {
        // If this call ends halfway, the timer goes on.
        self.timetable.lock().wake(name, now.after(AGAIN));
        let changed = self.put(name, now, change, then).await?;
        self.keep(name, now);
        Ok(changed)
    }

    /// Looks after a schedule for a while, and at once.
    fn keep(&self, name: &str, now: Timestamp) {
        self.timetable.lock().keep(name, now.after(KEPT));
        self.woken.notify_one();
    }

    /// Changes a record, does all that is due, and then something more, as one change of its
    /// document; then makes the runs that it names.
    async fn put<T>(
        &self,
        name: &str,
        now: Timestamp,
        change: impl Fn(&mut Record) -> Result<()>,
        then: impl Fn(&mut Step<'_>) -> Result<T>,
    ) -> Result<(Record, T)> {
        for _ in 0..TRIES {
            let (read, version) = self.documents.load(name).await?;
            let mut record = read.clone();
            change(&mut record)?;
            let plan = Plan::new(&record.definition)?;
            let facts = self.facts(&record).await?;
            let (mut record, value, more) = self.step(&record, &plan, now, &facts, &then).await?;
            if record != read {
                record.revision += 1;
                if !self.documents.put(&record, Some(version)).await? {
                    continue;
                }
            }
            self.note(&record);
            for (root, fact) in &facts.runs {
                match fact {
                    RunFact::Gone => drop(self.gone.lock().remove(root)),
                    RunFact::Ended { .. } => drop(self.replacing.lock().remove(root)),
                    RunFact::Open { .. } => {}
                }
            }
            let mut woken = Vec::new();
            if record.ended > read.ended {
                woken = self.timetable.lock().followers(name);
            }
            woken.extend(more.then(|| name.into()));
            for name in woken {
                self.timetable.lock().wake(&name, now);
            }
            self.make_runs(&record, &facts, now).await;
            return Ok((record, value));
        }
        Err(Error::Contention(name.to_owned()))
    }

    /// The record after a step, with as many ids as that takes, and whether there is more to do.
    async fn step<T>(
        &self,
        record: &Record,
        plan: &Plan,
        now: Timestamp,
        facts: &Facts,
        then: impl Fn(&mut Step<'_>) -> Result<T>,
    ) -> Result<(Record, T, bool)> {
        let mut ids = Ids::new(JobId::MIN, 0);
        loop {
            let mut changed = record.clone();
            let (workers, open) = (facts.workers, facts.open(record.definition.concurrency));
            let mut step =
                Step { record: &mut changed, plan, now, ids, workers, open, more: false };
            step.advance(facts);
            let value = then(&mut step)?;
            step.finish();
            let Step { ids: used, more, .. } = step;
            if used.were_enough() {
                return Ok((changed, value, more));
            }
            let first = self.ids.take(&self.engine, used.taken).await?;
            ids = Ids::new(first, used.taken);
        }
    }

    /// What a step at this record has to know beside it.
    async fn facts(&self, record: &Record) -> Result<Facts> {
        let mut facts = Facts::default();
        for run in &record.running {
            let root = run.reserved.root;
            let fact = if self.gone.lock().contains(&root) {
                Some(RunFact::Gone)
            } else {
                runs::look(&*self.documents.0, run).await?
            };
            facts.runs.extend(fact.map(|fact| (root, fact)));
        }
        facts.workers = u32::try_from(self.workers_of(record).len()).unwrap_or(0);
        let ScheduleDefinition { concurrency_scope, run, .. } = &record.definition;
        if let (ConcurrencyScope::Worker, Some(task)) = (concurrency_scope, &run.task) {
            let online = |fleet: &Arc<dyn Fleet>| fleet.online(task, &WorkerFilter::default());
            facts.counted_on = Some(self.fleet.as_ref().map_or(0, |fleet| online(fleet).len()));
        }
        for name in record.follows() {
            if let Some((Record { created, ended, ends, .. }, _)) = self.documents.get(name).await?
            {
                let other = Other { created, ended, ends: ends.into() };
                facts.others.insert(name.to_owned(), other);
            }
        }
        Ok(facts)
    }

    /// The workers for which a run that starts now has a shard each.
    fn workers_of(&self, record: &Record) -> Vec<String> {
        let ScheduleDefinition { sharding, run, .. } = &record.definition;
        match (sharding.workers(), &run.task, &self.fleet) {
            (Some(filter), Some(task), Some(fleet)) => fleet.online(task, &filter),
            _ => Vec::new(),
        }
    }

    /// Makes the runs of a record that have not been made, and ends those for which newer ones take
    /// their places. What fails is tried again: the record names it.
    async fn make_runs(&self, record: &Record, facts: &Facts, now: Timestamp) {
        for run in &record.running {
            let root = run.reserved.root;
            let fact = facts.runs.get(&root);
            let is_whole = run.made || matches!(fact, Some(RunFact::Open { whole: true }));
            let mut made = Ok(());
            if !is_whole {
                let workers = self.workers_of(record);
                let (engine, store) = (&self.engine, &*self.documents.0);
                made = runs::make((engine, store), record, run, &workers).await;
            }
            if made.is_ok() && run.replaced {
                made = self.replace_run(record, run, now).await;
            }
            match made {
                Ok(()) => {}
                Err(Error::Engine(error)) if !error.code().is_transient() => {
                    tracing::warn!(schedule = record.name, %root, %error, "no run can be made");
                    self.gone.lock().insert(root);
                    self.timetable.lock().wake(&record.name, now);
                }
                Err(error) => {
                    tracing::warn!(schedule = record.name, %root, %error, "no run is made now");
                    self.timetable.lock().wake(&record.name, now.after(AGAIN));
                }
            }
        }
    }

    /// Goes on ending an open run for which a newer one takes its place. The next step comes in a
    /// later round of the timer, so that others are not held up.
    async fn replace_run(&self, record: &Record, run: &Run, now: Timestamp) -> Result<()> {
        let root = run.reserved.root;
        let from = self.replacing.lock().get(&root).copied().unwrap_or(0);
        if from > run.reserved.children {
            return Ok(());
        }
        let next = runs::replace(&self.engine, run, from).await?;
        self.replacing.lock().insert(root, next);
        if next <= run.reserved.children {
            self.timetable.lock().wake(&record.name, now.after(NEXT_STEP));
        }
        Ok(())
    }

    /// Notes in the timetable how a record stands.
    fn note(&self, record: &Record) {
        let runs = record.running.iter().map(|run| run.reserved.root).collect();
        let follows = record.follows().map(str::to_owned).collect();
        let Record { name, revision, wake, .. } = record;
        let stand = Stand { name, revision: *revision, wake: *wake, runs, follows };
        self.timetable.lock().set(stand, 0);
    }
}
