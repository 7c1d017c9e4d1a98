//! Work that takes several writes and is listed before it begins, so that what a server leaves
//! behind when it dies is found and tidied up by another.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jobtracker_model::JobId;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    ScyllaOptions,
    clocks::{Clocks, MINUTE, WRITTEN_WITHIN},
    cluster::Cluster,
    connect::now_millis,
    keys::{self, listing},
};
use crate::{Error, Result, coding};

/// How long a server counts as alive after its last heartbeat. This decides only which server is in
/// the way of which; whatever it has begun can be stopped by a condition at any time.
const ALIVE_SECONDS: i32 = 10;
/// How often a server sends its heartbeat.
pub const BEAT: Duration = Duration::from_secs(3);
/// This long after its end no server lists anything in a minute any more, with time to spare.
/// Clocks come on top.
const CLOSED_MILLIS: i64 = 180_000;
/// The key of a stage's record among its calls, which are numbered from 1.
const RECORD: (i64, &str) = (0, "");

/// A piece of open work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Work {
    /// Rows are being staged.
    Stage(u64),
    /// A large entry of a log is being written in parts.
    Parts(Uuid),
    /// A tree is deleted by one sending of a commit, and what it has occupied is removed.
    Removal(JobId, Uuid),
}

/// Which server has it open, and where.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    server: [u8; 16],
    root: JobId,
}

/// Work that a dead server has left open, or that its own server has given up.
#[derive(Debug)]
pub struct Left {
    pub work: Work,
    pub root: JobId,
    place: Place,
}

/// A list, and the slot in it where work is listed.
type Place = (i8, i64);
type ListRow = (i64, String, Option<Vec<u8>>);

/// The list of open work, by the minute in which it was begun.
///
/// Work that ends leaves a tombstone, which a cluster keeps for ten days, and Cassandra refuses a
/// read that meets 100,000 of them. So a minute is read until everything in it has ended, and never
/// again.
pub struct Open {
    cluster: Arc<Cluster>,
    /// This run of this server.
    pub server: Uuid,
    /// The open work of this server.
    mine: Mutex<HashMap<Work, Mine>>,
    /// The last minute that this server has listed.
    noted: AtomicI64,
    /// When it sent its last heartbeat.
    beat: Mutex<Option<Instant>>,
    closed_millis: i64,
}

/// Work of this server.
struct Mine {
    root: JobId,
    place: Place,
    /// Whether it could not be ended, so that it is tidied up as if its server had gone.
    is_given_up: bool,
}

/// Servers, by whether they are alive, for the time of one search.
struct Servers {
    there: HashSet<Uuid>,
    gone: HashSet<Uuid>,
}

impl Work {
    fn key(self) -> (i64, String) {
        match self {
            Self::Stage(stage) => (0, format!("{stage:020}")),
            Self::Parts(cid) => (1, cid.to_string()),
            // As earlier versions listed it.
            Self::Removal(root, sending) if sending.is_nil() => (2, root.to_string()),
            Self::Removal(root, sending) => (2, format!("{root} {sending}")),
        }
    }

    fn of(place: i64, key: &str) -> Option<Self> {
        match place {
            0 => key.parse().ok().map(Self::Stage),
            1 => key.parse().ok().map(Self::Parts),
            2 => removal(key),
            _ => None,
        }
    }
}

/// Earlier versions named the root alone.
fn removal(key: &str) -> Option<Work> {
    let (root, sending) = key.split_once(' ').unwrap_or((key, ""));
    let root = root.parse().ok().and_then(JobId::new)?;
    Some(Work::Removal(root, sending.parse().unwrap_or(Uuid::nil())))
}

impl Mine {
    fn left(&self, work: Work) -> Left {
        Left { work, root: self.root, place: self.place }
    }
}

impl Open {
    pub fn new(cluster: Arc<Cluster>, options: &ScyllaOptions) -> Self {
        let (mine, beat) = (Mutex::default(), Mutex::default());
        // Two servers may be off in opposite directions.
        let skew = i64::try_from(options.max_clock_skew.as_millis() * 2).unwrap_or(i64::MAX / 4);
        let (noted, closed_millis) = (AtomicI64::new(i64::MIN), CLOSED_MILLIS + skew);
        Self { cluster, server: Uuid::new_v4(), mine, noted, beat, closed_millis }
    }

    /// Lists work that begins.
    pub async fn begin(&self, work: Work, root: JobId) -> Result<()> {
        let begun = Clocks::now();
        let minute = begun.millis.div_euclid(MINUTE);
        let at = (listing::OPEN, minute);
        self.mine.lock().insert(work, Mine { root, place: at, is_given_up: false });
        let body = self.record(root)?;
        self.beat().await?;
        let statements = &self.cluster.statements;
        if self.noted.load(Ordering::Relaxed) != minute {
            let row = (listing::OPEN_MINUTES, 0_i64, minute, "");
            self.cluster.write(&statements.put_entry, row).await?;
            self.noted.store(minute, Ordering::Relaxed);
        }
        // Everything else is found from the entry in this list, so the entry comes first.
        self.list_at(at, work, body.clone()).await?;
        if let Work::Stage(stage) = work {
            let (list, slot) = staged_slot(stage);
            let row = (list, slot, RECORD.0, RECORD.1.to_owned(), Some(body));
            self.cluster.write(&statements.put_listing, row).await?;
        }
        match begun.elapsed() > WRITTEN_WITHIN {
            true => Err(Error::Unavailable("the cluster is slow; try again".into())),
            false => Ok(()),
        }
    }

    /// Lists work under this server that was left open; false if it is this server's already.
    pub async fn take_over(&self, left: &Left) -> Result<bool> {
        let Left { work, root, place } = *left;
        {
            let mut mine = self.mine.lock();
            if mine.get(&work).is_some_and(|mine| !mine.is_given_up) {
                return Ok(false);
            }
            // Not yet: after an error it is found again.
            mine.insert(work, Mine { root, place, is_given_up: true });
        }
        let body = self.record(root)?;
        self.beat().await?;
        self.list_at(place, work, body).await?;
        self.mine.lock().insert(work, Mine { root, place, is_given_up: false });
        Ok(true)
    }

    /// The record of work of this server.
    fn record(&self, root: JobId) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        coding::encode(&Record { server: *self.server.as_bytes(), root }, &mut body)?;
        Ok(body)
    }

    async fn list_at(&self, (list, slot): Place, work: Work, body: Vec<u8>) -> Result<()> {
        let (place, key) = work.key();
        let row = (list, slot, place, key, Some(body));
        self.cluster.write(&self.cluster.statements.put_listing, row).await
    }

    /// Takes work of this server off the list.
    pub async fn end(&self, work: Work) -> Result<()> {
        let mine = self.mine.lock().get(&work).map(|mine| mine.left(work));
        match mine {
            Some(mine) => self.end_left(&mine).await,
            None => Ok(()),
        }
    }

    /// Takes work off the list that was left open.
    pub async fn end_left(&self, left: &Left) -> Result<()> {
        let Left { work, place: (list, slot), .. } = left;
        let (place, key) = work.key();
        let statement = &self.cluster.statements.drop_listing;
        self.cluster.write(statement, (*list, *slot, place, key)).await?;
        self.mine.lock().remove(work);
        Ok(())
    }

    /// Work of this server could not be ended, or its outcome is unknown: it is left to `tidy`.
    pub fn give_up(&self, work: Work) {
        if let Some(mine) = self.mine.lock().get_mut(&work) {
            mine.is_given_up = true;
        }
    }

    /// The work that this server has given up.
    pub fn given_up(&self) -> Vec<Left> {
        let mine = self.mine.lock();
        let given_up = mine.iter().filter(|(_, mine)| mine.is_given_up);
        given_up.map(|(work, mine)| mine.left(*work)).collect()
    }

    /// Sends a heartbeat if this server has something open and has not sent one just now.
    pub async fn beat(&self) -> Result<()> {
        let is_due = self.beat.lock().is_none_or(|last| last.elapsed() >= BEAT / 2);
        if !is_due || self.mine.lock().is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        let none = Option::<Vec<u8>>::None;
        let key = self.server.to_string();
        let row = (listing::SERVERS, 0_i64, 0_i64, key, none, ALIVE_SECONDS);
        self.cluster.write(&self.cluster.statements.put_listing_for, row).await?;
        *self.beat.lock() = Some(now);
        Ok(())
    }

    /// Says that this server has gone.
    pub async fn leave(&self) -> Result<()> {
        let row = (listing::SERVERS, 0_i64, 0_i64, self.server.to_string());
        self.cluster.write(&self.cluster.statements.drop_listing, row).await
    }

    /// Says that a stage is being removed, so that other servers do not wait for its ids.
    pub async fn disown(&self, stage: u64) -> Result<()> {
        let (list, slot) = staged_slot(stage);
        let statement = &self.cluster.statements.drop_listing;
        self.cluster.write(statement, (list, slot, RECORD.0, RECORD.1)).await
    }

    /// Whether the server that has this stage open is alive, and has not disowned it.
    pub async fn is_alive(&self, stage: u64) -> Result<bool> {
        let statement = &self.cluster.statements.listed_at;
        let (list, slot) = staged_slot(stage);
        let (place, key) = Work::Stage(stage).key();
        let now = (list, slot, RECORD.0, RECORD.1.to_owned());
        for at in [now, (listing::OPEN_UNDIVIDED, 0_i64, place, key)] {
            let row: Option<(Option<Vec<u8>>,)> = self.cluster.row(statement, at).await?;
            if let Some((Some(body),)) = row {
                let record: Record = coding::decode("open work", &body)?;
                return self.is_there(Uuid::from_bytes(record.server)).await;
            }
        }
        Ok(false)
    }

    async fn is_there(&self, server: Uuid) -> Result<bool> {
        let statement = &self.cluster.statements.listed_at;
        let key = (listing::SERVERS, 0_i64, 0_i64, server.to_string());
        let row: Option<(Option<Vec<u8>>,)> = self.cluster.row(statement, key).await?;
        Ok(row.is_some())
    }

    /// The work that dead servers left open. Minutes in which everything has ended are taken off
    /// the list.
    pub async fn left(&self) -> Result<Vec<Left>> {
        let (mut left, mut empty) = (Vec::new(), Vec::new());
        let mut servers = Servers { there: [self.server].into(), gone: HashSet::new() };
        let closed = (now_millis() - self.closed_millis).div_euclid(MINUTE);
        let minutes = self.list((listing::OPEN_MINUTES, 0)).await?;
        let first = minutes.first().map(|(minute, ..)| *minute);
        let mut until = first;
        for (minute, ..) in minutes {
            let place = (listing::OPEN, minute);
            if self.left_at(place, &mut servers, &mut left).await? || minute >= closed {
                continue;
            }
            if until == Some(minute) {
                until = Some(minute + 1);
            } else {
                empty.push(minute);
            }
        }
        self.end_minutes(until.filter(|until| Some(*until) != first), empty).await?;
        // Earlier versions kept one list of all, in which too much may have ended to be read.
        let before = (listing::OPEN_UNDIVIDED, 0);
        if let Err(error) = self.left_at(before, &mut servers, &mut left).await {
            tracing::warn!(%error, "what was begun before an upgrade cannot be tidied up now");
        }
        Ok(left)
    }

    /// Finds the work left in one slot; answers whether the slot has any entry at all.
    async fn left_at(
        &self,
        place: Place,
        servers: &mut Servers,
        left: &mut Vec<Left>,
    ) -> Result<bool> {
        let rows = self.list(place).await?;
        let is_empty = rows.is_empty();
        for (at, key, body) in rows {
            let (Some(work), Some(body)) = (Work::of(at, &key), body) else { continue };
            let record: Record = coding::decode("open work", &body)?;
            let server = Uuid::from_bytes(record.server);
            if !servers.gone.contains(&server) && !servers.there.contains(&server) {
                let is_there = self.is_there(server).await?;
                let list = if is_there { &mut servers.there } else { &mut servers.gone };
                list.insert(server);
            }
            if servers.gone.contains(&server) {
                left.push(Left { work, root: record.root, place });
            }
        }
        Ok(!is_empty)
    }

    async fn list(&self, (list, slot): Place) -> Result<Vec<ListRow>> {
        let (mut all, mut behind) = (Vec::new(), (i64::MIN, String::new()));
        loop {
            let key = (list, slot, behind.0, &behind.1);
            let statement = &self.cluster.statements.listed;
            let rows: Vec<ListRow> = self.cluster.rows(statement, key).await?;
            let Some((place, key, _)) = rows.last() else { return Ok(all) };
            behind = (*place, key.clone());
            all.extend(rows);
        }
    }

    /// Takes minutes off the list: those before one by a range, which leaves less behind.
    async fn end_minutes(&self, until: Option<i64>, others: Vec<i64>) -> Result<()> {
        let statements = &self.cluster.statements;
        if let Some(until) = until {
            let range = (listing::OPEN_MINUTES, 0_i64, until);
            self.cluster.write(&statements.drop_listed_before, range).await?;
        }
        for minute in others {
            let row = (listing::OPEN_MINUTES, 0_i64, minute, "");
            self.cluster.write(&statements.drop_listing, row).await?;
        }
        Ok(())
    }
}

/// The slot in which the calls of a stage are listed.
pub fn staged_slot(stage: u64) -> (i8, i64) {
    (listing::STAGED, stage as i64)
}

/// The number of a stage in keys; never that of jobs that were not staged.
pub fn stage_key(stage: u64) -> i64 {
    let key = stage as i64;
    if key == keys::NO_STAGE { i64::MIN } else { key }
}
