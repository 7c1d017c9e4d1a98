//! Uploads and the results on their trees.
//!
//! That a tree was applied is a row of its upload, so it is in the log of the tree first. A
//! reservation in the table of results, written before, says in which logs to search. Refusals are
//! plain rows beside them, and count only where the tree was not applied.

mod forget;
mod standing;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jobtracker_model::{JobId, Timestamp, upload::UploadId};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;

use super::{
    checkpoint::Checkpoints,
    cluster::Cluster,
    connect,
    keys::{self, listing, tree_result},
    trees::Trees,
};
use crate::{Result, TreeResultRow, UploadRow, coding};

/// How long a server relies on it that a minute is listed. When a minute is forgotten, any server
/// takes it off the list.
const NOTED: Duration = Duration::from_secs(60);
/// Minutes that are remembered.
const MINUTES: usize = 1_000;
/// The root number of the completion.
const NO_ROOT: i64 = 0;
/// Bytes that a row takes beyond its body, about.
const ROW_BYTES: usize = 120;

/// Uploads.
pub struct Uploads {
    cluster: Arc<Cluster>,
    trees: Arc<Trees>,
    checkpoints: Arc<Checkpoints>,
    /// Minutes of sendings, and when they were listed.
    noted: Mutex<HashMap<i64, Instant>>,
    /// The timestamp of the last row that was written here.
    stamp: AtomicI64,
}

/// Kind, version and body.
pub type KindRow = (i8, Option<i64>, Option<Vec<u8>>);

impl Uploads {
    pub fn new(cluster: Arc<Cluster>, trees: Arc<Trees>, checkpoints: Arc<Checkpoints>) -> Self {
        let (noted, stamp) = (Mutex::default(), AtomicI64::new(0));
        Self { cluster, trees, checkpoints, noted, stamp }
    }

    /// Lists a sending, by the time of which it is forgotten.
    pub async fn note_sending(&self, upload: &UploadId, time: Timestamp) -> Result<()> {
        let (put, minute) = (&self.cluster.statements.put_entry, keys::minute(time));
        let is_noted = self.noted.lock().get(&minute).is_some_and(|at| at.elapsed() < NOTED);
        if !is_noted {
            let now = Instant::now();
            let (hour, name) = (keys::hour(minute), forget::name(minute));
            self.cluster.write(put, (listing::SENDING_HOURS, 0_i64, hour, name)).await?;
            let mut noted = self.noted.lock();
            if noted.len() >= MINUTES {
                noted.clear();
            }
            noted.insert(minute, now);
        }
        let entry = (listing::SENDINGS, minute, time.millis(), upload.as_str());
        self.cluster.write(put, entry).await
    }

    /// Says that a tree may be about to be applied, so that its log has the result.
    pub async fn note_applied(&self, upload: &UploadId, root: JobId) -> Result<()> {
        // Not above the stamp of the log's entry: the row that a checkpoint makes of it stays.
        let stamp = connect::now_millis() * 1_000;
        let row = (upload.as_str(), keys::number(root), stamp);
        self.cluster.write(&self.cluster.statements.note_upload, row).await
    }

    /// The next timestamp, so that of two rows of this server the later stays.
    fn stamp(&self) -> i64 {
        let now = connect::now_millis() * 1_000;
        let last = self
            .stamp
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)));
        now.max(last.unwrap_or_else(|last| last) + 1)
    }

    /// Writes results on refused trees, then that the upload is complete.
    pub async fn complete_upload(&self, row: UploadRow, refused: Vec<TreeResultRow>) -> Result<()> {
        let upload = &row.outcome.id;
        let times: BTreeSet<Timestamp> =
            refused.iter().map(|row| row.time).chain([row.time]).collect();
        for time in times {
            self.note_sending(upload, time).await?;
        }
        let (put, sent) = (&self.cluster.statements.put_tree_result, upload.as_str());
        let stamp = self.stamp();
        let mut rows = Vec::with_capacity(refused.len());
        for row in &refused {
            let (root, body) = (keys::number(row.tree_result.root), encoded(row)?);
            rows.push((
                body.len() + ROW_BYTES,
                (sent, root, tree_result::REFUSED, 0_i64, body, stamp),
            ));
        }
        self.cluster.write_rows(put, rows).await?;
        let body = encoded(&row)?;
        let stamp = self.stamp();
        self.cluster.write(put, (sent, NO_ROOT, tree_result::COMPLETED, 0_i64, body, stamp)).await
    }

    /// An upload, if it is complete.
    pub async fn get_upload(&self, upload: &UploadId) -> Result<Option<UploadRow>> {
        let rows = self.rows(upload, NO_ROOT).await?;
        let body = rows.into_iter().find_map(|(kind, _, body)| match kind {
            tree_result::COMPLETED => body,
            _ => None,
        });
        body.map(|body| coding::decode("completed upload", &body)).transpose()
    }

    async fn rows(&self, upload: &UploadId, root: i64) -> Result<Vec<KindRow>> {
        self.cluster.rows(&self.cluster.statements.tree_result, (upload.as_str(), root)).await
    }
}

fn encoded<T: Serialize>(row: &T) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    coding::encode(row, &mut bytes)?;
    Ok(bytes)
}
