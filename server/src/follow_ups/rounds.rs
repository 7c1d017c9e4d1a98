use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use jobtracker_engine::Engine;
use jobtracker_model::{DeliveryId, JobId, Timestamp};
use jobtracker_store::{
    Agenda, AgendaKey, AgendaQuery, FollowUp, FollowUpKey, Loaded, PageLimit, Result, Store, Wanted,
};
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};

use super::{
    FollowUpMetrics, check, delivery,
    notice::{letter, source_of},
};
use crate::{
    clock,
    outbox::{Hosts, Mailer, Poster, Schedule, Turn, host_of},
};

/// How often a list is read when nothing was due, on a store of this machine and on one that
/// servers share.
const EVERY: Duration = Duration::from_millis(100);
const EVERY_SHARED: Duration = Duration::from_millis(250);
/// A list that takes long to read is read less often, and yet so often.
const EVERY_AT_MOST: Duration = Duration::from_secs(5);
/// How long a server keeps a part to itself, and how often it asks for it.
const LEASED: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_secs(3);
/// Follow-ups that are listed at once, and that are taken in hand at once.
const PAGE: usize = 500;
const AT_ONCE: usize = 100;

/// Everything that following up needs.
pub(crate) struct Parts {
    pub store: Arc<dyn Store>,
    pub engine: Engine,
    pub poster: Poster,
    /// None when no SMTP server is configured.
    pub mailer: Option<Mailer>,
    pub schedule: Schedule,
    pub hosts: Arc<Hosts>,
    pub metrics: FollowUpMetrics,
}

/// Reads what is due, round by round, and has it done.
pub(crate) struct Rounds {
    parts: Arc<Parts>,
    /// Room for what is done at once.
    room: Arc<Semaphore>,
    /// What is being done: it is due until it is done.
    in_hand: Arc<Mutex<HashSet<(JobId, FollowUpKey)>>>,
}

/// Something that is being done; it is in nobody's hand any more when this is dropped.
struct InHand {
    in_hand: Arc<Mutex<HashSet<(JobId, FollowUpKey)>>>,
    what: (JobId, FollowUpKey),
    _room: OwnedSemaphorePermit,
}

/// Something that is due and in this server's hand.
struct Taken {
    key: AgendaKey,
    /// As it was when the list was read.
    row: FollowUp,
    in_hand: InHand,
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.in_hand.lock().remove(&self.what);
    }
}

impl Rounds {
    /// Does so much at once.
    pub fn new(parts: Arc<Parts>, at_once: usize) -> Self {
        Self { parts, room: Arc::new(Semaphore::new(at_once)), in_hand: Arc::default() }
    }

    /// Works until the service stops; then ends what is under way.
    pub async fn run(self, stopping: watch::Receiver<bool>) {
        let this = Arc::new(self);
        let mut parts = JoinSet::new();
        for part in 0..this.parts.store.agenda_parts() {
            parts.spawn(Arc::clone(&this).follow(part, stopping.clone()));
        }
        while parts.join_next().await.is_some() {}
    }

    /// Looks after one part of the list.
    async fn follow(self: Arc<Self>, part: u32, mut stopping: watch::Receiver<bool>) {
        let mut work = JoinSet::new();
        let mut leased: Option<Instant> = None;
        loop {
            let pause = match self.round(part, &mut leased, &mut work).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(part, %error, "what is due cannot be read now");
                    EVERY_AT_MOST
                }
            };
            while work.try_join_next().is_some() {}
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // An error means that the server has gone, which is as good as stopping.
                _ = stopping.wait_for(|stopping| *stopping) => break,
            }
        }
        while work.join_next().await.is_some() {}
    }

    /// One round of a part, if this server has it; how long to wait for the next one.
    #[expect(clippy::disallowed_methods, reason = "leases and rounds have times of their own")]
    async fn round(
        &self,
        part: u32,
        leased: &mut Option<Instant>,
        work: &mut JoinSet<()>,
    ) -> Result<Duration> {
        let store = &self.parts.store;
        if leased.is_none_or(|leased| leased.elapsed() > ASK_AGAIN) {
            *leased = None;
            let asked = Instant::now();
            if !store.lease(&format!("follow-ups {part}"), LEASED).await? {
                return Ok(ASK_AGAIN);
            }
            *leased = Some(asked);
        }
        let every = if store.is_shared() { EVERY_SHARED } else { EVERY };
        let begun = Instant::now();
        self.tick(part, clock::now(), work).await?;
        Ok(every.max(begun.elapsed()).min(EVERY_AT_MOST))
    }

    /// Begins everything of a part that is due and not in hand; answers how much that is.
    pub async fn tick(&self, part: u32, now: Timestamp, work: &mut JoinSet<()>) -> Result<usize> {
        let limit = PageLimit { items: PAGE, ..PageLimit::items(PAGE) };
        let (agenda, from) = (Agenda::Due, Timestamp::MIN);
        let (mut after, mut begun) = (None, 0);
        loop {
            let query = AgendaQuery { agenda, part, from, until: now, after, limit };
            let page = self.parts.store.list_agenda(query).await?;
            begun += self.begin(page.items, now, work).await?;
            after = page.next;
            if after.is_none() {
                return Ok(begun);
            }
        }
    }

    /// Begins what is not in hand and has room, at its host as well.
    async fn begin(
        &self,
        due: Vec<(AgendaKey, FollowUp)>,
        now: Timestamp,
        work: &mut JoinSet<()>,
    ) -> Result<usize> {
        let mut due = due.into_iter();
        let mut begun = 0;
        loop {
            let taken = self.take(&mut due).await;
            if taken.is_empty() {
                return Ok(begun);
            }
            // What came of an earlier try may have been noted after the list was read: what is in
            // hand now is read once more.
            let loaded = self.parts.store.load(wanted(&taken)).await?;
            for Taken { key, in_hand, .. } in taken {
                let row = loaded.follow_ups.get(&(key.id, key.key));
                let is_due = |row: &&FollowUp| row.place() == Some((Agenda::Due, key.time));
                if let Some(row) = row.filter(is_due) {
                    let row = row.clone();
                    begun += usize::from(self.start(key, row, &loaded, in_hand, now, work));
                }
            }
        }
    }

    /// Takes some of what is due into hand: at least one thing if there is one, and no more than
    /// there is room for.
    async fn take(&self, due: &mut impl Iterator<Item = (AgendaKey, FollowUp)>) -> Vec<Taken> {
        let mut taken = Vec::new();
        while taken.len() < AT_ONCE {
            let next = due.find(|(key, _)| !self.in_hand.lock().contains(&(key.id, key.key)));
            let Some((key, row)) = next else { break };
            let Ok(room) = Arc::clone(&self.room).acquire_owned().await else { break };
            let what = (key.id, key.key);
            self.in_hand.lock().insert(what);
            let in_hand = InHand { in_hand: Arc::clone(&self.in_hand), what, _room: room };
            taken.push(Taken { key, row, in_hand });
            // Whoever holds room must not wait for more of it.
            if self.room.available_permits() == 0 {
                break;
            }
        }
        taken
    }

    /// Starts one thing; false when its receiver has enough to do.
    fn start(
        &self,
        key: AgendaKey,
        row: FollowUp,
        loaded: &Loaded,
        in_hand: InHand,
        now: Timestamp,
        work: &mut JoinSet<()>,
    ) -> bool {
        let parts = Arc::clone(&self.parts);
        match (key.key, row) {
            (FollowUpKey::Delivery(number), FollowUp::Delivery(row)) => {
                let id = DeliveryId { job: key.id, number };
                let letter = letter(id, &row, loaded);
                let http = letter.as_ref().and_then(|letter| letter.http.as_ref());
                let turn: Option<Turn> = match http.and_then(host_of) {
                    Some(host) => match parts.hosts.try_enter(&host) {
                        Some(turn) => Some(turn),
                        None => return false,
                    },
                    None => None,
                };
                parts.metrics.began("delivery", key.time, now);
                work.spawn(async move {
                    let _held = (in_hand, turn, parts.metrics.enter());
                    delivery::deliver(&parts, id, &row, letter).await;
                });
            }
            (FollowUpKey::Check(number), FollowUp::Check(row)) => {
                parts.metrics.began("check", key.time, now);
                work.spawn(async move {
                    let _held = (in_hand, parts.metrics.enter());
                    let made = check::make(&parts, key.id, number, &row, key.time).await;
                    if let Err(error) = made {
                        tracing::warn!(job = %key.id, number, %error, "a check is not made now");
                    }
                });
            }
            _ => return false,
        }
        true
    }
}

/// What is needed to do what has been taken.
fn wanted(taken: &[Taken]) -> Wanted {
    let mut wanted = Wanted::default();
    for Taken { key, row, .. } in taken {
        wanted.follow_ups.insert((key.id, key.key));
        if let FollowUp::Delivery(row) = row {
            wanted.paths.insert(key.id);
            wanted.definitions.insert(key.id);
            wanted.follow_ups.insert((key.id, source_of(row.trigger)));
        }
    }
    wanted
}
