use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jobtracker_engine::Engine;
use jobtracker_model::DeliveryId;
use jobtracker_store::{AgendaKey, CheckRow, DeliveryRow, FollowUp, FollowUpKey, Result, Store};
use tokio::{
    sync::{Semaphore, watch},
    task::{JoinError, JoinSet},
};

use super::{
    FollowUpMetrics, Vet, check,
    delivery::{self, Due},
    due::{BUSY, Begin, Begun, DueList},
    hand::{Hands, InHand},
    lease::{ASK_AGAIN, Lease},
};
use crate::{
    clock,
    outbox::{InLine, Lanes, Mailer, Poster, Schedule},
};

/// How often a list is read when little is due, on a store of this machine and on one that servers
/// share.
const EVERY: Duration = Duration::from_millis(100);
const EVERY_SHARED: Duration = Duration::from_millis(250);
/// How often it is read when so much was begun that there may be more.
const EVERY_BUSY: Duration = Duration::from_millis(25);
/// A list that takes long to read is read less often, and yet so often.
const EVERY_AT_MOST: Duration = Duration::from_secs(5);
/// Checks that are made at once: as many as make a large group of the engine's.
const CHECKS: usize = 1_000;

/// Everything that following up needs.
pub(crate) struct Parts {
    pub store: Arc<dyn Store>,
    pub engine: Engine,
    pub poster: Poster,
    /// None when no SMTP server is configured.
    pub mailer: Option<Mailer>,
    pub schedule: Schedule,
    pub lanes: Arc<Lanes>,
    /// Room for deliveries that are read before it is their turn.
    pub prepared: Arc<Semaphore>,
    pub metrics: FollowUpMetrics,
}

/// Deliveries of up to some 30 KB each that are in memory before it is their turn.
pub(crate) const PREPARED: usize = 4_000;

impl Parts {
    /// What can be followed here.
    pub fn vet(&self) -> Vet {
        Vet { has_mailer: self.mailer.is_some() }
    }
}

/// Reads what is due, round by round, and has it done.
pub(crate) struct Rounds {
    parts: Arc<Parts>,
    hands: Hands,
    checks: Arc<Semaphore>,
    /// How long what is under way has to end when the service stops.
    grace: Duration,
}

/// What is being done of one part of the list.
struct Work<'a> {
    rounds: &'a Rounds,
    lease: &'a Arc<Lease>,
    /// Deliveries that have a place in the line of their receiver and are not started yet.
    lined_up: Vec<(Due, InLine, InHand)>,
    tasks: &'a mut JoinSet<()>,
    stopping: &'a watch::Receiver<bool>,
}

impl Rounds {
    pub fn new(parts: Arc<Parts>, grace: Duration) -> Self {
        let checks = Arc::new(Semaphore::new(CHECKS));
        Self { parts, hands: Hands::default(), checks, grace }
    }

    /// Works until the service stops; then ends what is under way.
    pub async fn run(self, stopping: watch::Receiver<bool>) {
        let this = Arc::new(self);
        let parts = 0..this.parts.store.agenda_parts();
        let all = parts.map(|part| Arc::clone(&this).follow_on(part, stopping.clone()));
        futures_util::future::join_all(all).await;
    }

    /// Looks after one part of the list, also after something has gone very wrong.
    async fn follow_on(self: Arc<Self>, part: u32, stopping: watch::Receiver<bool>) {
        let follow = || tokio::spawn(Arc::clone(&self).follow(part, stopping.clone()));
        while let Err(panic) = follow().await {
            tell_of_panic(Err(panic));
            tokio::time::sleep(EVERY_AT_MOST).await;
        }
    }

    /// Looks after one part of the list.
    async fn follow(self: Arc<Self>, part: u32, stopping: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        let mut list = DueList::new(part);
        let lease = Arc::new(Lease::of(part));
        let mut stops = stopping.clone();
        loop {
            let (tasks, stopping) = (&mut tasks, &stopping);
            let lined_up = Vec::new();
            let mut work = Work { rounds: &self, lease: &lease, lined_up, tasks, stopping };
            let pause = match self.round(&mut list, &mut work).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(part, %error, "what is due cannot be read now");
                    EVERY_AT_MOST
                }
            };
            while let Some(ended) = tasks.try_join_next() {
                tell_of_panic(ended);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // An error means that the server has gone, which is as good as stopping.
                _ = stops.wait_for(|stopping| *stopping) => break,
            }
        }
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.grace, ended).await.is_err() {
            // What is not noted is still due, and tried again after the next start.
            tracing::warn!(part, left = tasks.len(), "deliveries under way are broken off");
        }
    }

    /// One round of a part, if this server has it; how long to wait for the next one.
    async fn round(&self, list: &mut DueList, work: &mut Work<'_>) -> Result<Duration> {
        let store = &*self.parts.store;
        if !work.lease.keep(store).await? {
            self.parts.metrics.waiting(list.part(), 0);
            return Ok(ASK_AGAIN);
        }
        let read = Instant::now();
        let begun = list.round(store, clock::now(), work).await?;
        self.parts.metrics.waiting(list.part(), list.length());
        let every = match begun {
            BUSY.. => EVERY_BUSY,
            _ if store.is_shared() => EVERY_SHARED,
            _ => EVERY,
        };
        Ok(every.max(read.elapsed()).min(EVERY_AT_MOST))
    }
}

fn tell_of_panic(ended: std::result::Result<(), JoinError>) {
    if let Err(error) = ended.map_err(|error| error.to_string()) {
        tracing::error!(%error, "a follow-up has panicked; it is due as before");
    }
}

impl Begin for Work<'_> {
    fn begin(&mut self, key: AgendaKey, row: FollowUp) -> Begun {
        let Some(in_hand) = self.rounds.hands.take((key.id, key.key)) else {
            return Begun::Already;
        };
        let begun = match (key.key, row) {
            (FollowUpKey::Delivery(number), FollowUp::Delivery(row)) => {
                self.line_up(key, number, &row, in_hand)
            }
            (FollowUpKey::Check(number), FollowUp::Check(row)) => {
                self.check(key, number, row, in_hand)
            }
            _ => None,
        };
        begun.map_or(Begun::NoRoom, |()| Begun::Yes)
    }

    /// Starts the deliveries that stand in line.
    async fn go_on(&mut self) {
        let lined_up = std::mem::take(&mut self.lined_up);
        if lined_up.is_empty() {
            return;
        }
        let due: Vec<_> = lined_up.iter().map(|(due, ..)| *due).collect();
        let prepared = delivery::prepare(&self.rounds.parts, &due).await;
        for ((due, in_line, in_hand), prepared) in lined_up.into_iter().zip(prepared) {
            let parts = Arc::clone(&self.rounds.parts);
            let held = (in_line, Arc::clone(self.lease), self.stopping.clone());
            self.tasks.spawn(async move {
                let _held = in_hand;
                delivery::deliver(&parts, due, prepared, held).await;
            });
        }
    }
}

impl Work<'_> {
    /// None when the line to its receiver is full.
    fn line_up(
        &mut self,
        key: AgendaKey,
        number: u32,
        row: &DeliveryRow,
        in_hand: InHand,
    ) -> Option<()> {
        let in_line = self.rounds.parts.lanes.line_up(row.way.lane)?;
        let (id, trigger) = (DeliveryId { job: key.id, number }, row.trigger);
        self.lined_up.push((Due { id, trigger, time: key.time }, in_line, in_hand));
        Some(())
    }

    /// None when enough of them are being made.
    fn check(&mut self, key: AgendaKey, number: u32, row: CheckRow, in_hand: InHand) -> Option<()> {
        let room = Arc::clone(&self.rounds.checks).try_acquire_owned().ok()?;
        let parts = Arc::clone(&self.rounds.parts);
        self.tasks.spawn(async move {
            let _held = (in_hand, room);
            check::make(&parts, key.id, number, &row, key.time).await;
        });
        Some(())
    }
}
