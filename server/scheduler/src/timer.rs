use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use jobtracker_model::{JobId, Timestamp, limits};
use jobtracker_store::{Listed, PageLimit};
use tokio::sync::watch;

use crate::{Result, Scheduler, record::Head, timetable::Stand};

/// Into how many parts schedules are divided; each is looked after by the server with its lease.
const PARTS: u64 = 8;
/// How long a lease on a part lasts, and how often it is renewed.
const LEASED: Duration = Duration::from_secs(10);
const RENEWED: Duration = Duration::from_secs(3);
/// How often all schedules are listed: with other servers, to learn of what callers changed there.
const LISTED: Duration = Duration::from_secs(600);
const LISTED_SHARED: Duration = Duration::from_secs(30);
/// How often it is looked whether open runs have ended: on a store where other servers end them,
/// and where only a commit with an unknown outcome is not told.
const LOOKED: Duration = Duration::from_secs(30);
const LOOKED_SHARED: Duration = Duration::from_secs(2);
/// Schedules that are brought up to date at once.
const AT_ONCE: usize = 64;
/// Open runs whose states are read at once.
const STATES: usize = limits::STATES_PER_REQUEST;
/// The longest pause, after which the clock is read again: it may have been set.
const PAUSE: Duration = Duration::from_secs(1);

/// Looks at schedules when they are due and when their runs end.
pub struct Timer {
    scheduler: Arc<Scheduler>,
    owned: [bool; PARTS as usize],
    /// When it last looked at the clock.
    looked: Timestamp,
    /// When leases are renewed, schedules listed and runs looked at next.
    renew_at: Timestamp,
    list_at: Timestamp,
    look_at: Timestamp,
    lists: u64,
}

impl Timer {
    /// A timer that lists all schedules first. The engine tells it of the ends of open runs.
    #[must_use]
    pub fn new(scheduler: Arc<Scheduler>) -> Self {
        let owned = [false; PARTS as usize];
        let (looked, renew_at) = (Timestamp::MIN, Timestamp::MIN);
        let (list_at, look_at) = (Timestamp::MIN, Timestamp::MIN);
        Self { scheduler, owned, looked, renew_at, list_at, look_at, lists: 0 }
    }

    /// Looks at schedules until the service stops.
    pub async fn run(mut self, clock: fn() -> Timestamp, mut stopping: watch::Receiver<bool>) {
        loop {
            let round = async {
                self.tick(clock()).await;
                self.until_something(clock()).await;
            };
            tokio::select! {
                () = round => {}
                // An error means that the server is gone, which has the same meaning as a stop.
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    /// Waits until a schedule is due or a run has ended, but not for long.
    async fn until_something(&self, now: Timestamp) {
        let due = self.scheduler.timetable.lock().first().unwrap_or(Timestamp::MAX);
        let millis = due.min(self.renew_at).millis().saturating_sub(now.millis());
        let pause = Duration::from_millis(u64::try_from(millis).unwrap_or(0)).min(PAUSE);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.scheduler.woken.notified() => {}
            () = self.scheduler.engine.until_ended() => {}
        }
    }

    /// Does all that is due at this time.
    pub async fn tick(&mut self, now: Timestamp) {
        if let Err(error) = self.keep_up(now).await {
            tracing::warn!(%error, "schedules cannot be listed now");
        }
        loop {
            self.wake_ended(self.scheduler.engine.ended(), now);
            let due = self.scheduler.timetable.lock().take_due(now, AT_ONCE);
            if due.is_empty() {
                return;
            }
            let settling = due.into_iter().map(|name| {
                let scheduler = Arc::clone(&self.scheduler);
                async move { scheduler.settle(&name, now).await }
            });
            settling.collect::<FuturesUnordered<_>>().collect::<()>().await;
        }
    }

    /// Has the schedules of these runs looked at.
    fn wake_ended(&self, runs: Vec<JobId>, now: Timestamp) {
        let mut timetable = self.scheduler.timetable.lock();
        for run in runs {
            if let Some(name) = timetable.of_run(run) {
                timetable.wake(&name, now);
            }
        }
    }

    /// Renews leases, lists schedules and looks at open runs when it is time to.
    async fn keep_up(&mut self, now: Timestamp) -> Result<()> {
        let is_shared = self.scheduler.documents.0.is_shared();
        if std::mem::replace(&mut self.looked, now) > now {
            // The clock was set back: these times would come much too late.
            (self.renew_at, self.list_at, self.look_at) = (now, now, now);
        }
        if self.renew_at <= now {
            // If the store does not answer.
            self.renew_at = now.after(PAUSE);
            let before = self.owned;
            let renewed = self.renew().await;
            let is_more = |(is, was): (&bool, bool)| *is && !was;
            if self.owned.iter().zip(before).any(is_more) {
                self.list_at = now;
            }
            renewed?;
            self.renew_at = now.after(RENEWED);
        }
        if self.list_at <= now {
            self.list(now).await?;
            self.list_at = now.after(if is_shared { LISTED_SHARED } else { LISTED });
        }
        if self.look_at <= now {
            self.look(now).await?;
            self.look_at = now.after(if is_shared { LOOKED_SHARED } else { LOOKED });
        }
        Ok(())
    }

    async fn renew(&mut self) -> Result<()> {
        let store = &self.scheduler.documents.0;
        for (part, owned) in self.owned.iter_mut().enumerate() {
            *owned = store.lease(&format!("schedules-{part}"), LEASED).await?;
        }
        Ok(())
    }

    /// Lists all schedules, and looks after those of the parts that this server has leased.
    async fn list(&mut self, now: Timestamp) -> Result<()> {
        self.lists += 1;
        let mut after = None;
        loop {
            let limit = PageLimit::items(limits::PAGE);
            let listed = self.scheduler.documents.list::<Head>(None, after, limit).await?;
            let Listed { items, next } = listed;
            let mut timetable = self.scheduler.timetable.lock();
            for head in items.into_iter().filter(|head| self.owned[part(&head.name)]) {
                let runs: Vec<_> = head.running.iter().map(|run| run.root).collect();
                // A run of which the server before has not heard may have ended, or not been made.
                let wake = if runs.is_empty() { head.wake } else { Some(now) };
                let triggers = head.definition.triggers.into_iter();
                let follows: Vec<_> = triggers.filter_map(|trigger| trigger.schedule).collect();
                let wake = if follows.is_empty() { wake } else { Some(now) };
                let (name, revision) = (&*head.name, head.revision);
                timetable.set(Stand { name, revision, wake, runs, follows }, self.lists);
            }
            after = next;
            if after.is_none() {
                timetable.forget_unseen(self.lists, now);
                return Ok(());
            }
        }
    }

    /// Looks whether open runs have ended and that was not told.
    async fn look(&self, now: Timestamp) -> Result<()> {
        let runs = self.scheduler.timetable.lock().runs();
        for runs in runs.chunks(STATES) {
            let states = self.scheduler.documents.0.get_states(runs.to_vec()).await?;
            let ended = runs.iter().zip(states).filter(|(_, state)| state.is_finished());
            self.wake_ended(ended.map(|(run, _)| *run).collect(), now);
        }
        Ok(())
    }
}

/// The part of a schedule.
fn part(name: &str) -> usize {
    usize::try_from(xxhash_rust::xxh3::xxh3_64(name.as_bytes()) % PARTS).unwrap_or(0)
}
