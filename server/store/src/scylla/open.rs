//! Work that takes several writes and is listed before it begins, so that what a server leaves
//! behind when it dies is found and tidied up by another.

use std::{collections::HashSet, sync::Arc, time::Duration};

use jobtracker_model::JobId;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    cluster::Cluster,
    keys::{self, listing},
};
use crate::{Result, coding};

/// How long a server counts as there after it last said so. It decides only who is in the way of
/// whom; whatever it has begun can be stopped by a condition at any time.
const ALIVE_SECONDS: i32 = 10;
/// How often it says so.
pub const BEAT: Duration = Duration::from_secs(3);

/// What is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Work {
    /// Rows are being put aside.
    Stage(u64),
    /// A large entry of a log is being written in parts.
    Parts(Uuid),
}

/// Who has it open, and where.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    server: [u8; 16],
    pub root: JobId,
}

/// The list of what is open.
pub struct Open {
    cluster: Arc<Cluster>,
    /// This server, or rather this run of it.
    pub server: Uuid,
    /// What this server has open.
    mine: Mutex<HashSet<Work>>,
    /// When it last said that it is there.
    beat: Mutex<Option<Instant>>,
}

impl Work {
    fn key(self) -> (i64, String) {
        match self {
            Self::Stage(stage) => (0, format!("{stage:020}")),
            Self::Parts(cid) => (1, cid.to_string()),
        }
    }

    fn of(place: i64, key: &str) -> Option<Self> {
        match place {
            0 => key.parse().ok().map(Self::Stage),
            1 => key.parse().ok().map(Self::Parts),
            _ => None,
        }
    }
}

impl Open {
    pub fn new(cluster: Arc<Cluster>) -> Self {
        let (mine, beat) = (Mutex::default(), Mutex::default());
        Self { cluster, server: Uuid::new_v4(), mine, beat }
    }

    /// Lists work that begins.
    pub async fn begin(&self, work: Work, root: JobId) -> Result<()> {
        self.mine.lock().insert(work);
        let record = Record { server: *self.server.as_bytes(), root };
        let mut body = Vec::new();
        coding::encode(&record, &mut body)?;
        let (place, key) = work.key();
        self.beat().await?;
        let row = (listing::OPEN, 0_i64, place, key, Some(body));
        self.cluster.write(&self.cluster.statements.put_listing, row).await
    }

    /// Takes work off the list, whoever began it.
    pub async fn end(&self, work: Work) -> Result<()> {
        let (place, key) = work.key();
        let row = (listing::OPEN, 0_i64, place, key);
        self.cluster.write(&self.cluster.statements.drop_listing, row).await?;
        self.mine.lock().remove(&work);
        Ok(())
    }

    /// Says that this server is there, if it has something open and has not said so just now.
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

    /// Whether the server that has this open is there.
    pub async fn is_alive(&self, work: Work) -> Result<bool> {
        let (place, key) = work.key();
        let statement = &self.cluster.statements.listed_at;
        let row: Option<(Option<Vec<u8>>,)> =
            self.cluster.row(statement, (listing::OPEN, 0_i64, place, key)).await?;
        let Some((Some(body),)) = row else { return Ok(false) };
        let record: Record = coding::decode("open work", &body)?;
        self.is_there(&Uuid::from_bytes(record.server).to_string()).await
    }

    async fn is_there(&self, server: &str) -> Result<bool> {
        let statement = &self.cluster.statements.listed_at;
        let row: Option<(Option<Vec<u8>>,)> =
            self.cluster.row(statement, (listing::SERVERS, 0_i64, 0_i64, server)).await?;
        Ok(row.is_some())
    }

    /// What servers that have gone left open.
    pub async fn left(&self) -> Result<Vec<(Work, Record)>> {
        let mut found = Vec::new();
        let (mut gone, mut there) = (HashSet::new(), HashSet::from([self.server.to_string()]));
        let mut behind = (i64::MIN, String::new());
        loop {
            let key = (listing::OPEN, 0_i64, behind.0, &behind.1);
            let rows: Vec<(i64, String, Option<Vec<u8>>)> =
                self.cluster.rows(&self.cluster.statements.listed, key).await?;
            let Some((place, key, _)) = rows.last() else { return Ok(found) };
            behind = (*place, key.clone());
            for (place, key, body) in rows {
                let (Some(work), Some(body)) = (Work::of(place, &key), body) else { continue };
                let record: Record = coding::decode("open work", &body)?;
                let server = Uuid::from_bytes(record.server).to_string();
                if !gone.contains(&server) && !there.contains(&server) {
                    let list = if self.is_there(&server).await? { &mut there } else { &mut gone };
                    list.insert(server.clone());
                }
                if gone.contains(&server) {
                    found.push((work, record));
                }
            }
        }
    }
}

/// The slot in which the calls of a stage are listed.
pub fn staged_slot(stage: u64) -> (i8, i64) {
    (listing::STAGED, stage as i64)
}

/// The number of a stage in keys; never that of jobs that were not put aside.
pub fn stage_key(stage: u64) -> i64 {
    let key = stage as i64;
    if key == keys::NO_STAGE { i64::MIN } else { key }
}
