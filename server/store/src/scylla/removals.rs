//! Deleted trees: what they have occupied is removed, each job after those below it, so that what a
//! dead server leaves is found from the root by another.
//!
//! The entry of the log that deletes a tree hides it for all readers. Everything before it is
//! brought to the tables first, unless no checkpoint has been made yet: then the log itself tells
//! the jobs. Rows are removed with the timestamp of that entry, so that a checkpoint of another
//! server which is still under way writes nothing that stays. The ids stay reserved for a while:
//! rows of a job that was created under one of them again would be taken for older than the
//! removal.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use jobtracker_model::{JobId, Timestamp, rollup::Status};

use super::{
    checkpoint::Checkpoints,
    cluster::{Cluster, Several},
    connect::now_millis,
    keys::{self, DELETED, NO_PARENT, NO_STAGE, history, listing},
    roots::Roots,
    tail::Tail,
    tree::Tree,
    trees::TreeCache,
    writes::stamp_of,
};
use crate::{FollowUp, FollowUpKey, Result, StageId, Tombstone, coding};

/// Partitions that are written at once for a tree.
const AT_ONCE: usize = 16;
/// How long the ids of deleted jobs stay reserved at least. A cluster forgets removals after ten
/// days, unless its tables say otherwise.
const IDS_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// The longest time to live that the engines take, 20 years, and the latest end of one that
/// Cassandra takes in its usual storage mode, 2038-01-19: a row with more is refused.
const LONGEST_TTL: i64 = 20 * 365 * 24 * 3_600;
const LATEST_END: i64 = i32::MAX as i64 - 1;
/// Clocks of servers may differ, by much less than this.
const CLOCKS_MILLIS: i64 = 3_600_000;
/// Bytes that a reservation takes, about.
const RESERVATION_BYTES: usize = 60;

pub struct Removals {
    pub cluster: Arc<Cluster>,
    pub trees: Arc<TreeCache>,
    checkpoints: Arc<Checkpoints>,
    roots: Arc<Roots>,
}

/// A tree that is being removed.
struct Removal {
    root: JobId,
    /// The timestamp of the removal.
    stamp: i64,
    /// How long the ids stay reserved, if a row may live as long.
    ids_kept_seconds: u64,
}

/// A job that is removed.
struct Job {
    id: JobId,
    parent: i64,
    stage: i64,
    status: Status,
    deliveries: u32,
}

/// A job whose children are being removed.
struct Level {
    id: JobId,
    /// Pages from this one on are still to be read.
    from: i64,
    /// The page that was read, to be removed after what is below its jobs.
    page: Option<(i64, Vec<Job>)>,
    /// Its jobs that have children.
    deep: Vec<JobId>,
}

type NodeCells = (i64, i64, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>);

impl Removals {
    pub fn new(checkpoints: &Arc<Checkpoints>, roots: &Arc<Roots>) -> Self {
        Self {
            cluster: Arc::clone(&roots.cluster),
            trees: Arc::clone(&roots.trees),
            checkpoints: Arc::clone(checkpoints),
            roots: Arc::clone(roots),
        }
    }

    /// Removes a tree if it was deleted. May be repeated, also by several servers at once.
    pub async fn remove(&self, root: JobId) -> Result<()> {
        let tree = self.trees.tree(root);
        let Some(tail) = self.trees.refresh_log(&tree).await? else { return Ok(()) };
        let Some((tombstone, created)) = tail.deletion() else { return Ok(()) };
        let kept_seconds = seconds_until(tombstone.until);
        let ids_kept_seconds = IDS_KEPT.as_secs().max(kept_seconds.unwrap_or(0));
        let removal = Removal { root, stamp: stamp_of(tail.version), ids_kept_seconds };
        // A checkpoint of this server that is under way ends first.
        let held = tree.checkpoint.acquire().await;
        let is_in_log = tail.begin() == 0 && tail.redos.iter().all(|redo| redo.publishes.is_none());
        if is_in_log {
            self.remove_jobs_of_log(&removal, &tail).await?;
        } else {
            self.checkpoints.whole(&tree).await?;
            self.remove_jobs_of_tables(&removal).await?;
        }
        drop(held);
        self.roots.forget(root, created).await?;
        if let Some(seconds) = kept_seconds {
            self.keep_tombstone(root, tombstone, seconds).await?;
        }
        // Later than anything that was written there, by any clock.
        let stamp = (now_millis() + CLOCKS_MILLIS) * 1_000;
        let drop_tree = &self.cluster.statements.drop_tree;
        self.cluster.write(drop_tree, (stamp, keys::number(root))).await?;
        tree.forget();
        Ok(())
    }

    /// What is kept of a deleted tree.
    pub async fn tombstone(&self, root: JobId) -> Result<Option<Tombstone>> {
        if let Some(tombstone) = self.kept_tombstone(root).await? {
            return Ok(Some(tombstone));
        }
        // Of an id that was never used no tree is remembered.
        if self.trees.reservations(&[root]).await?.is_empty() {
            return Ok(None);
        }
        if let Some(tail) = self.trees.refresh_log(&self.trees.tree(root)).await? {
            return Ok(tail.deletion().map(|(tombstone, _)| tombstone.clone()));
        }
        // The log goes after the tombstone was put here.
        self.kept_tombstone(root).await
    }

    /// The tombstone of a tree of which nothing else is left.
    async fn kept_tombstone(&self, root: JobId) -> Result<Option<Tombstone>> {
        let slot = keys::number(root);
        let statement = &self.cluster.statements.listed_at;
        let row: Option<(Option<Vec<u8>>,)> =
            self.cluster.row(statement, (listing::TOMBSTONES, slot, 0_i64, "")).await?;
        let body = row.and_then(|(body,)| body);
        body.map(|body| coding::decode("tombstone", &body)).transpose()
    }

    async fn keep_tombstone(&self, root: JobId, tombstone: &Tombstone, seconds: u64) -> Result<()> {
        let mut body = Vec::new();
        coding::encode(tombstone, &mut body)?;
        let seconds = time_to_live(seconds);
        let row = (listing::TOMBSTONES, keys::number(root), 0_i64, "", Some(body), seconds);
        self.cluster.write(&self.cluster.statements.put_listing_for, row).await
    }

    /// Removes the jobs of a tree of which no checkpoint was made, or none to its end.
    async fn remove_jobs_of_log(&self, removal: &Removal, tail: &Tail) -> Result<()> {
        let born = tail.redos.iter().flat_map(|redo| redo.all_born());
        let jobs = born.filter_map(|(id, born)| {
            let status = tail.status(id)?.clone();
            let deliveries = match tail.follow_up(id, FollowUpKey::Watch) {
                Some(FollowUp::Watch(watch)) => watch.deliveries,
                _ => 0,
            };
            let parent = keys::parent(born.origin.parent);
            Some(Job { id, parent, stage: NO_STAGE, status, deliveries })
        });
        let mut removals: Several<'_, ()> = Vec::new();
        for job in jobs {
            removals.push(Box::pin(async move {
                if job.status.subtree.total > 0 {
                    self.remove_directory(removal, job.id).await?;
                }
                self.remove_one(removal, job).await
            }));
        }
        stream::iter(removals).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn remove_jobs_of_tables(&self, removal: &Removal) -> Result<()> {
        let root = removal.root;
        let tree = self.trees.tree(root);
        let place = (NO_PARENT, keys::bucket(root));
        let mut tops = self.page(&tree, place).await?;
        tops.retain(|job| job.id == root);
        let mut levels = vec![Level::new(root)];
        while let Some(level) = levels.last_mut() {
            if let Some(below) = level.deep.pop() {
                levels.push(Level::new(below));
            } else if let Some((page, jobs)) = level.page.take() {
                self.remove_page(removal, (keys::number(level.id), page), jobs).await?;
            } else if !self.read_page(&tree, level).await? {
                self.remove_directory(removal, level.id).await?;
                levels.pop();
            }
        }
        for job in tops {
            self.remove_one(removal, job).await?;
        }
        Ok(())
    }

    /// Reads the next page of a level; false when there is none.
    async fn read_page(&self, tree: &Tree, level: &mut Level) -> Result<bool> {
        let statement = &self.cluster.statements.pages;
        let parent = keys::number(level.id);
        let pages: Vec<(i64,)> = self.cluster.rows(statement, (parent, level.from)).await?;
        let Some((page,)) = pages.first().copied() else { return Ok(false) };
        let jobs = self.page(tree, (parent, page)).await?;
        level.from = page + 1;
        level.deep =
            jobs.iter().filter(|job| job.status.subtree.total > 0).map(|job| job.id).collect();
        level.page = Some((page, jobs));
        Ok(true)
    }

    /// The jobs of a page. Those of a stage that was not published are left to it: it removes what
    /// they have elsewhere.
    async fn page(&self, tree: &Tree, (parent, page): (i64, i64)) -> Result<Vec<Job>> {
        let statement = &self.cluster.statements.child_nodes;
        let rows: Vec<NodeCells> = self.cluster.rows(statement, (parent, page, 0_i64)).await?;
        let mut jobs = Vec::with_capacity(rows.len());
        for (id, stage, _, _, status) in rows {
            let (Some(id), Some(status)) = (keys::id(id), status) else { continue };
            let is_published = stage == NO_STAGE
                || self.trees.published(tree, StageId(stage as u64)).await?.is_some();
            if !is_published {
                continue;
            }
            let status: Status = coding::decode("status", &status)?;
            let deliveries = match status.flags.followed {
                true => self.deliveries(id, stage).await?,
                false => 0,
            };
            jobs.push(Job { id, parent, stage, status, deliveries });
        }
        Ok(jobs)
    }

    /// How many deliveries a job has.
    async fn deliveries(&self, id: JobId, stage: i64) -> Result<u32> {
        let (kind, name) = keys::follow_up(FollowUpKey::Watch);
        let statement = &self.cluster.statements.detail;
        let key = (keys::number(id), stage, kind, name);
        let row: Option<(Option<i64>, Option<Vec<u8>>)> = self.cluster.row(statement, key).await?;
        let Some((_, Some(body))) = row else { return Ok(0) };
        match coding::decode("follow-up", &body)? {
            FollowUp::Watch(watch) => Ok(watch.deliveries),
            _ => Ok(0),
        }
    }

    /// Removes a page after everything else that its jobs have.
    async fn remove_page(
        &self,
        removal: &Removal,
        (parent, page): (i64, i64),
        jobs: Vec<Job>,
    ) -> Result<()> {
        let mut details: Several<'_, ()> = Vec::new();
        for job in &jobs {
            details.push(Box::pin(self.remove_details(removal, job)));
        }
        stream::iter(details).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        self.remove_origins(removal, page, &jobs).await?;
        let statement = &self.cluster.statements.remove_page;
        self.cluster.write(statement, (removal.stamp, parent, page)).await
    }

    /// Removes one job.
    async fn remove_one(&self, removal: &Removal, job: Job) -> Result<()> {
        self.remove_details(removal, &job).await?;
        let (id, page, parent) = (keys::number(job.id), keys::bucket(job.id), job.parent);
        self.remove_origins(removal, page, &[job]).await?;
        let statement = &self.cluster.statements.remove_job;
        self.cluster.write(statement, (removal.stamp, parent, page, id)).await
    }

    /// Removes what a job has besides its own row.
    async fn remove_details(&self, removal: &Removal, job: &Job) -> Result<()> {
        let Status { changes, log_lines, attachments, flags, .. } = &job.status;
        let (id, bucket) = (keys::number(job.id), keys::bucket(job.id));
        let statements = &self.cluster.statements;
        // The creation is no row of its own, and has the number 0.
        let kinds = [
            (history::CHANGE, if *changes > 1 { *changes } else { 0 }),
            (history::LINE, *log_lines),
            (history::DELIVERY, job.deliveries),
        ];
        for (kind, count) in kinds {
            let Some(last) = count.checked_sub(1) else { continue };
            for part in 0..=keys::part(last) {
                let key = (removal.stamp, bucket, kind, part, id);
                self.cluster.write(&statements.remove_history, key).await?;
            }
        }
        if *changes > 1 || *log_lines > 0 || *attachments > 0 || flags.followed {
            self.cluster.write(&statements.remove_details, (removal.stamp, id)).await?;
        }
        Ok(())
    }

    /// Says of ids of one bucket that their jobs were deleted, instead of where they are.
    async fn remove_origins(&self, removal: &Removal, bucket: i64, jobs: &[Job]) -> Result<()> {
        let statements = &self.cluster.statements;
        let root = keys::number(removal.root);
        // The removal of a large tree takes long, and the latest end of a row stays where it is.
        let seconds = time_to_live(removal.ids_kept_seconds);
        let deleted = |job: &Job| {
            let row = (bucket, keys::number(job.id), root, DELETED, NO_PARENT, seconds);
            (RESERVATION_BYTES, row)
        };
        let before = |job: &Job| {
            let row = (bucket, keys::number(job.id), root, job.stage, job.parent);
            (RESERVATION_BYTES, row)
        };
        let put = &statements.put_deleted_origin;
        self.cluster.write_rows(put, jobs.iter().map(deleted).collect()).await?;
        let removed = &statements.drop_origin;
        self.cluster.write_rows(removed, jobs.iter().map(before).collect()).await
    }

    /// Removes the list of a job's pages.
    async fn remove_directory(&self, removal: &Removal, id: JobId) -> Result<()> {
        let statement = &self.cluster.statements.remove_page;
        let key = (removal.stamp, keys::number(id), keys::DIRECTORY);
        self.cluster.write(statement, key).await
    }
}

impl Level {
    fn new(id: JobId) -> Self {
        Self { id, from: 0, page: None, deep: Vec::new() }
    }
}

/// For how long a row is written; a longer time than the engines take is cut, so that it is taken
/// also by a node whose clock is ahead, or which gets the row late.
fn time_to_live(seconds: u64) -> i32 {
    let latest_end = LATEST_END - CLOCKS_MILLIS / 1_000;
    let most = LONGEST_TTL.min(latest_end - now_millis() / 1_000).max(1);
    let seconds = i64::try_from(seconds).map_or(most, |seconds| seconds.min(most));
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

/// The seconds up to a time; `None` when it is over.
fn seconds_until(time: Timestamp) -> Option<u64> {
    let seconds = (time.millis() - now_millis()) / 1_000;
    u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_kept_for_long_may_be_written_late() {
        let end = i64::from(time_to_live(u64::MAX)) + now_millis() / 1_000;
        assert!(end <= LATEST_END - 3_000, "{end} leaves less than an hour before {LATEST_END}");
        assert_eq!(time_to_live(60), 60);
    }
}
