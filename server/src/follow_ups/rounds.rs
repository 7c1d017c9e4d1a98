use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jobtracker_engine::{Engine, SOON};
use jobtracker_model::{DeliveryId, JobId, Timestamp};
use jobtracker_store::{
    CheckRow, DeliveryRow, FollowUp, FollowUpKey, IndexId, IndexKey, Result, TaskRow,
};
use tokio::{
    sync::{Semaphore, watch},
    task::{JoinError, JoinSet},
};

use super::{
    check,
    delivery::{self, Due},
    due::{BUSY, Begin, Begun, DueList, Round},
    in_progress::{Entry, InProgress},
    lease::{ASK_AGAIN, Lease},
    parts::Parts,
};
use crate::{clock, tasks::WorkerError};

/// The shortest time between two reads when little is due, on an embedded store and on one that
/// servers share. A commit of this server causes a read at once; commits of other servers are found
/// by polling, which becomes rarer, down to once per [`SOON`], while nothing is found.
const EVERY: Duration = Duration::from_millis(100);
const EVERY_SHARED: Duration = Duration::from_millis(250);
/// The time to the next read when a round began at least [`BUSY`]: there may be more.
const EVERY_BUSY: Duration = Duration::from_millis(25);
/// If a read takes long, the next ones are rarer, but at least this frequent.
const EVERY_AT_MOST: Duration = Duration::from_secs(5);
/// How long follow-ups under way may take when the service stops. A receiver that has not answered
/// by then delays the stop no longer; it gets the delivery again after the next start.
const GRACE_AT_MOST: Duration = Duration::from_secs(1);
/// Checks that are made at once: as many as fill a large group of the engine.
const CHECKS: usize = 1_000;

/// Reads what is due, round by round, and starts it.
pub(crate) struct Rounds {
    parts: Arc<Parts>,
    checks: Arc<Semaphore>,
    /// How long follow-ups under way may take when the service stops.
    grace: Duration,
}

/// The work on one part of the index.
struct Work<'a> {
    rounds: &'a Rounds,
    lease: &'a Arc<Lease>,
    in_progress: &'a InProgress,
    /// When the page was read that is being gone through.
    read: Instant,
    /// Deliveries that are in the queue of their receiver and are not started yet.
    due: Vec<Due>,
    tasks: &'a mut JoinSet<()>,
    stopping: &'a watch::Receiver<bool>,
}

impl Rounds {
    pub fn new(parts: Arc<Parts>, grace: Duration) -> Self {
        let checks = Arc::new(Semaphore::new(CHECKS));
        Self { parts, checks, grace: grace.min(GRACE_AT_MOST) }
    }

    /// Works until the service stops; then ends the follow-ups under way.
    pub async fn run(self, stopping: watch::Receiver<bool>) {
        let this = Arc::new(self);
        let (store, uptime) = (&*this.parts.store, &this.parts.uptime);
        uptime.begin(store, &mut stopping.clone()).await;
        let parts = 0..this.parts.store.index_parts();
        let all = parts.map(|part| Arc::clone(&this).follow_on(part, stopping.clone()));
        let all = futures_util::future::join_all(all);
        futures_util::join!(all, uptime.go_on(store, stopping.clone()));
    }

    /// Does one part of the index, and starts again after a panic.
    async fn follow_on(self: Arc<Self>, part: u32, stopping: watch::Receiver<bool>) {
        let follow = || tokio::spawn(Arc::clone(&self).follow(part, stopping.clone()));
        while let Err(panic) = follow().await {
            tell_of_panic(Err(panic));
            tokio::time::sleep(EVERY_AT_MOST).await;
        }
    }

    /// Does one part of the index.
    async fn follow(self: Arc<Self>, part: u32, stopping: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        let (mut list, mut idle) = (DueList::new(IndexId::Due, part), 0);
        let (lease, in_progress) = (Arc::new(Lease::of(part)), InProgress::default());
        let mut stops = stopping.clone();
        loop {
            let mut work = Work {
                rounds: &self,
                lease: &lease,
                in_progress: &in_progress,
                read: Instant::now(),
                due: Vec::new(),
                tasks: &mut tasks,
                stopping: &stopping,
            };
            let pause = match self.round(&mut list, &mut work, &mut idle).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(part, %error, "what is due cannot be read now");
                    Pause::of(EVERY_AT_MOST)
                }
            };
            while let Some(ended) = tasks.try_join_next() {
                tell_of_panic(ended);
            }
            tokio::select! {
                () = pause.over(&self.parts.engine, part) => {}
                // An error means that the server is gone, which has the same meaning as a stop.
                _ = stops.wait_for(|stopping| *stopping) => break,
            }
        }
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.grace, ended).await.is_err() {
            // What is not noted is still due, and is tried again after the next start.
            tracing::info!(part, left = tasks.len(), "deliveries under way are broken off");
        }
    }

    /// One round of a part, if this server has the lease; answers how long to wait for the next
    /// round. `idle` is how many rounds in a row have begun nothing.
    async fn round(
        &self,
        list: &mut DueList,
        work: &mut Work<'_>,
        idle: &mut u32,
    ) -> Result<Pause> {
        let store = &*self.parts.store;
        if !work.lease.keep(store).await? {
            self.parts.metrics.waiting(list.part(), 0);
            return Ok(Pause::of(ASK_AGAIN));
        }
        let read = Instant::now();
        let round = list.round(store, clock::now(), work).await?;
        self.parts.metrics.waiting(list.part(), list.length());
        *idle = if round.begun > 0 { 0 } else { idle.saturating_add(1) };
        let pause = Pause::after(round, store.is_shared(), *idle, clock::now());
        let least = pause.least.max(read.elapsed()).min(EVERY_AT_MOST);
        Ok(Pause { least, ..pause })
    }
}

/// The time between two rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pause {
    least: Duration,
    /// When the next round begins unless this server commits a due entry before.
    most: Duration,
}

impl Pause {
    /// A rest that no commit shortens.
    fn of(time: Duration) -> Self {
        Self { least: time, most: time }
    }

    fn after(round: Round, is_shared: bool, idle: u32, now: Timestamp) -> Self {
        let least = match round.begun {
            BUSY.. => EVERY_BUSY,
            _ if is_shared => EVERY_SHARED,
            _ => EVERY,
        };
        let look = match is_shared {
            true => EVERY_SHARED.saturating_mul(1_u32.checked_shl(idle).unwrap_or(u32::MAX)),
            false => SOON,
        };
        let millis = round.next.map(|next| u64::try_from(next.millis() - now.millis()));
        let next = millis.map_or(SOON, |millis| Duration::from_millis(millis.unwrap_or(0)));
        Self { least, most: look.min(next).min(SOON) }
    }

    async fn over(self, engine: &Engine, part: u32) {
        tokio::time::sleep(self.least).await;
        let rest = self.most.saturating_sub(self.least);
        // Ends early too if a commit was made meanwhile.
        let _ = tokio::time::timeout(rest, engine.due(part)).await;
    }
}

fn tell_of_panic(ended: std::result::Result<(), JoinError>) {
    if let Err(error) = ended.map_err(|error| error.to_string()) {
        tracing::error!(%error, "a follow-up has panicked; it is due as before");
    }
}

impl Begin for Work<'_> {
    fn read_begins(&mut self) {
        self.read = Instant::now();
        self.in_progress.read_begins();
    }

    fn begin(&mut self, IndexKey { id, key, time }: IndexKey, row: FollowUp) -> Begun {
        let Some(in_progress) = self.in_progress.take((id, key)) else { return Begun::Already };
        let begun = match (key, row) {
            (FollowUpKey::Delivery(number), FollowUp::Delivery(row)) => {
                let id = DeliveryId { job: id, number };
                self.enqueue(id, time, row, in_progress)
            }
            (FollowUpKey::Check(number), FollowUp::Check(row)) => {
                self.check(id, number, row, time, in_progress)
            }
            (FollowUpKey::Task, FollowUp::Task(row)) => self.look_at_lease(id, *row, in_progress),
            _ => None,
        };
        begun.map_or(Begun::NoRoom, |()| Begun::Yes)
    }

    /// Starts the deliveries that are queued.
    async fn go_on(&mut self) {
        let due = std::mem::take(&mut self.due);
        if due.is_empty() {
            return;
        }
        for prepared in delivery::prepare(&self.rounds.parts, due).await {
            let (parts, lease) = (Arc::clone(&self.rounds.parts), Arc::clone(self.lease));
            let stopping = self.stopping.clone();
            self.tasks.spawn(async move { prepared.deliver(&parts, &lease, stopping).await });
        }
    }
}

impl Work<'_> {
    /// `None` if the queue of its receiver is full.
    fn enqueue(
        &mut self,
        id: DeliveryId,
        time: Timestamp,
        row: DeliveryRow,
        in_progress: Entry,
    ) -> Option<()> {
        let queued = self.rounds.parts.hosts.enqueue(row.way.host)?;
        self.due.push(Due { id, time, row, read: self.read, queued, in_progress });
        Some(())
    }

    /// `None` if enough checks are under way.
    fn look_at_lease(&mut self, id: JobId, row: TaskRow, in_progress: Entry) -> Option<()> {
        let room = Arc::clone(&self.rounds.checks).try_acquire_owned().ok()?;
        let parts = Arc::clone(&self.rounds.parts);
        self.tasks.spawn(async move {
            let _held = (in_progress, room);
            let (epoch, lease) = (row.epoch, row.lease());
            let looking = async {
                let until = match lease {
                    Some(lease) => parts.workers.lasts_until(&lease.worker, id, epoch).await?,
                    None => None,
                };
                Ok::<_, WorkerError>(parts.engine.look_at_lease(id, epoch, until).await?)
            };
            if let Err(error) = looking.await {
                tracing::warn!(job = %id, epoch, %error, "a lease is not looked at now");
            }
        });
        Some(())
    }

    /// `None` if enough checks are under way.
    fn check(
        &mut self,
        id: JobId,
        number: u32,
        row: CheckRow,
        due: Timestamp,
        in_progress: Entry,
    ) -> Option<()> {
        let room = Arc::clone(&self.rounds.checks).try_acquire_owned().ok()?;
        let parts = Arc::clone(&self.rounds.parts);
        self.tasks.spawn(async move {
            let _held = (in_progress, room);
            check::make(&parts, id, number, &row, due).await;
        });
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_again_when_there_may_be_something() {
        let now = Timestamp::from_millis(1_000_000).unwrap();
        let at = |begun, next: Option<u64>, is_shared, idle| {
            let next = next.map(|millis| now.after(Duration::from_millis(millis)));
            let Pause { least, most } = Pause::after(Round { begun, next }, is_shared, idle, now);
            (least.as_millis(), most.as_millis())
        };
        // Idle, on an embedded store and on one that other servers write to.
        assert_eq!(at(0, None, false, 1), (100, 2_000));
        let looks = [1, 2, 3, 40].map(|idle| at(0, None, true, idle).1);
        assert_eq!(looks, [500, 1_000, 2_000, 2_000]);
        assert_eq!(at(1, None, true, 0), (250, 250), "there may be more where that came from");
        // A follow-up becomes due soon, or was due and left.
        assert_eq!(at(0, Some(700), false, 9), (100, 700));
        assert_eq!(at(0, Some(700), true, 9), (250, 700));
        assert_eq!(at(0, Some(0), true, 9), (250, 0));
        assert_eq!(at(BUSY, Some(0), true, 0), (25, 0));
    }
}
