use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use jobtracker_engine::Engine;
use jobtracker_model::{JobId, Timestamp};

/// When this server looks at which schedule, and whose open runs it watches. All of it follows from
/// the records; a look too early is a look for nothing.
#[derive(Debug)]
pub(crate) struct Timetable {
    /// Tells of the ends of open runs.
    engine: Engine,
    wakes: BTreeSet<(Timestamp, Arc<str>)>,
    schedules: HashMap<Arc<str>, Entry>,
    runs: HashMap<JobId, Arc<str>>,
    /// By name, the schedules that follow that one.
    followers: HashMap<String, BTreeSet<Arc<str>>>,
}

/// What the timetable knows of a schedule.
#[derive(Debug, Default)]
struct Entry {
    revision: u64,
    wake: Option<Timestamp>,
    runs: Vec<JobId>,
    follows: Vec<String>,
    /// Until when this server looks after it, though another one has the lease.
    kept_until: Option<Timestamp>,
    /// In which list it was last seen.
    seen: u64,
}

/// What a record says for the timetable.
#[derive(Debug)]
pub(crate) struct Stand<'a> {
    pub name: &'a str,
    pub revision: u64,
    pub wake: Option<Timestamp>,
    pub runs: Vec<JobId>,
    pub follows: Vec<String>,
}

impl Timetable {
    pub fn new(engine: Engine) -> Self {
        let (wakes, schedules, runs) = (BTreeSet::new(), HashMap::new(), HashMap::new());
        Self { engine, wakes, schedules, runs, followers: HashMap::new() }
    }

    /// Takes over what a record says, unless a newer one was taken over before. `seen`: the list in
    /// which it was found.
    pub fn set(&mut self, stand: Stand<'_>, seen: u64) {
        let name: Arc<str> = match self.schedules.get_key_value(stand.name) {
            Some((name, _)) => Arc::clone(name),
            None => stand.name.into(),
        };
        let entry = self.schedules.entry(Arc::clone(&name)).or_default();
        entry.seen = entry.seen.max(seen);
        if entry.revision > stand.revision {
            return;
        }
        entry.revision = stand.revision;
        // An earlier one may be for an end of a run of which the record does not know yet.
        let wake = entry.wake.into_iter().chain(stand.wake).min();
        let followed = std::mem::replace(&mut entry.follows, stand.follows.clone());
        let before = std::mem::replace(&mut entry.runs, stand.runs.clone());
        for gone in before.into_iter().filter(|run| !stand.runs.contains(run)) {
            self.runs.remove(&gone);
            self.engine.forget_end(gone);
        }
        for other in followed {
            self.unfollow(&other, &name);
        }
        for other in stand.follows {
            self.followers.entry(other).or_default().insert(Arc::clone(&name));
        }
        for run in stand.runs {
            if self.runs.insert(run, Arc::clone(&name)).is_none() {
                self.engine.watch_end(run);
            }
        }
        self.move_to(&name, wake);
    }

    fn unfollow(&mut self, other: &str, name: &Arc<str>) {
        if let Some(followers) = self.followers.get_mut(other) {
            followers.remove(name);
            if followers.is_empty() {
                self.followers.remove(other);
            }
        }
    }

    fn move_to(&mut self, name: &Arc<str>, wake: Option<Timestamp>) {
        let Some(entry) = self.schedules.get_mut(name) else { return };
        if let Some(old) = std::mem::replace(&mut entry.wake, wake) {
            self.wakes.remove(&(old, Arc::clone(name)));
        }
        self.wakes.extend(wake.map(|wake| (wake, Arc::clone(name))));
    }

    /// Has the server look at a schedule at this time, if it does not do so before.
    pub fn wake(&mut self, name: &str, at: Timestamp) {
        let name: Arc<str> = match self.schedules.get_key_value(name) {
            Some((name, _)) => Arc::clone(name),
            None => name.into(),
        };
        let entry = self.schedules.entry(Arc::clone(&name)).or_default();
        let at = entry.wake.map_or(at, |wake| wake.min(at));
        self.move_to(&name, Some(at));
    }

    /// Looks after a schedule until this time, even if another server has the lease.
    pub fn keep(&mut self, name: &str, until: Timestamp) {
        if let Some(entry) = self.schedules.get_mut(name) {
            entry.kept_until = Some(until);
        }
    }

    pub fn remove(&mut self, name: &str) {
        let Some((name, entry)) = self.schedules.remove_entry(name) else { return };
        for run in entry.runs {
            self.runs.remove(&run);
            self.engine.forget_end(run);
        }
        for other in entry.follows {
            self.unfollow(&other, &name);
        }
        if let Some(wake) = entry.wake {
            self.wakes.remove(&(wake, name));
        }
    }

    /// Removes the schedules that were not seen in this list, and are not kept.
    pub fn forget_unseen(&mut self, list: u64, now: Timestamp) {
        let is_unseen =
            |entry: &Entry| entry.seen < list && entry.kept_until.is_none_or(|until| until < now);
        let unseen = self.schedules.iter().filter(|(_, entry)| is_unseen(entry));
        let unseen: Vec<_> = unseen.map(|(name, _)| Arc::clone(name)).collect();
        for name in unseen {
            self.remove(&name);
        }
    }

    /// The schedules that are due, at most this many. They are not due any more.
    pub fn take_due(&mut self, now: Timestamp, most: usize) -> Vec<Arc<str>> {
        let mut due = Vec::new();
        while due.len() < most
            && let Some((time, _)) = self.wakes.first()
            && *time <= now
            && let Some((_, name)) = self.wakes.pop_first()
        {
            if let Some(entry) = self.schedules.get_mut(&name) {
                entry.wake = None;
            }
            due.push(name);
        }
        due
    }

    /// When the next schedule is due.
    pub fn first(&self) -> Option<Timestamp> {
        self.wakes.first().map(|(time, _)| *time)
    }

    /// The schedule with this open run.
    pub fn of_run(&self, root: JobId) -> Option<Arc<str>> {
        self.runs.get(&root).cloned()
    }

    /// All open runs.
    pub fn runs(&self) -> Vec<JobId> {
        self.runs.keys().copied().collect()
    }

    /// The schedules that follow one.
    pub fn followers(&self, name: &str) -> Vec<Arc<str>> {
        self.followers.get(name).into_iter().flatten().cloned().collect()
    }
}
