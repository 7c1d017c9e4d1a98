use std::collections::BTreeSet;

use jobtracker_model::{Category, JobId, State, Timestamp, rollup::Status};

use super::rows::{Place, Rows};
use crate::{
    Error, FollowUp, FollowUpKey, IndexId, IndexKey, Result, RootKey, Row, Tombstone, TreeCommit,
};

impl Rows {
    /// Does one commit, or refuses it and does nothing.
    pub(super) fn commit(&mut self, commit: TreeCommit) -> Result<()> {
        let TreeCommit { root, expected, rows, publishes } = commit;
        let version = self.versions.get(&root).copied().unwrap_or(0);
        // A job whose id was taken meanwhile, perhaps in another tree, may not exist twice.
        let taken = |row: &Row| matches!(row, Row::Job { id, .. } if self.is_taken(*id));
        if version != expected || rows.iter().any(taken) {
            return Err(Error::Stale { root });
        }
        let published = publishes.map(|stage| self.publish(stage, root)).transpose()?;
        self.versions.insert(root, version + 1);
        let published = published.unwrap_or_default();
        published.into_iter().chain(rows).for_each(|row| self.put(row));
        Ok(())
    }

    fn put(&mut self, row: Row) {
        match row {
            Row::Job { id, origin, definition } => {
                self.origins.insert(id, origin);
                self.definitions.insert((origin.parent, id), definition);
            }
            Row::Definition { id, parent, definition } => {
                self.definitions.insert((parent, id), definition);
            }
            Row::Status { id, parent, before, status } => {
                self.put_status((parent, id), before, status);
            }
            Row::Change { id, number, change } => {
                self.changes.insert((id, number), change);
            }
            Row::LogLine { id, line } => {
                self.log.insert((id, line.line), line);
            }
            Row::Repeat { id, key, row } => {
                self.repeats.entry(id).or_default().insert(key, row);
            }
            Row::Attachment { id, key, text } => self.put_attachment(id, key, text),
            Row::TreeResult { commit, row } => self.put_tree_result(commit, row),
            Row::FollowUp { id, key, before, row } => self.put_follow_up(id, key, before, row),
            Row::Deleted { root, tombstone, .. } => self.delete(root, tombstone),
        }
    }

    /// Removes a tree. Its version stays, and its ids are never given out again.
    fn delete(&mut self, root: JobId, tombstone: Tombstone) {
        let of_tree = self.origins.iter().filter(|(_, origin)| origin.root == root);
        let ids: BTreeSet<JobId> = of_tree.map(|(id, _)| *id).collect();
        let stays = |id: &JobId| !ids.contains(id);
        self.origins.retain(|id, _| stays(id));
        self.statuses.retain(|(_, id), _| stays(id));
        self.definitions.retain(|(_, id), _| stays(id));
        self.pending.retain(|(_, id)| stays(id));
        self.failed.retain(|(_, id)| stays(id));
        self.roots.retain(|key| stays(&key.id));
        self.changes.retain(|(id, _), _| stays(id));
        self.log.retain(|(id, _), _| stays(id));
        self.repeats.retain(|id, _| stays(id));
        self.attachments.retain(|id, _| stays(id));
        self.follow_ups.retain(|(id, _), _| stays(id));
        self.index.retain(|(_, entry)| stays(&entry.id));
        self.deleted_ids.extend(ids);
        self.tombstones.insert(root, tombstone);
    }

    /// Forgets the oldest tombstones.
    pub(super) fn forget_tombstones(&mut self, now: Timestamp, limit: usize) -> usize {
        let mut due: Vec<(Timestamp, JobId)> =
            self.tombstones.iter().map(|(root, tombstone)| (tombstone.until, *root)).collect();
        due.retain(|(until, _)| *until < now);
        due.sort_unstable();
        due.truncate(limit);
        for (_, root) in &due {
            self.tombstones.remove(root);
            self.versions.remove(root);
        }
        due.len()
    }

    /// Puts a status and updates the indexes.
    fn put_status(&mut self, place: Place, before: Option<State>, status: Status) {
        match place {
            (Some(_), _) => {
                let (before, after) = (before.and_then(State::category), status.category());
                if before != after {
                    self.index(before).map(|index| index.remove(&place));
                    self.index(after).map(|index| index.insert(place));
                }
            }
            (None, id) => {
                self.roots.insert(RootKey { time: status.create_time, id });
            }
        }
        self.statuses.insert(place, status);
    }

    /// The index in which children of this category are.
    fn index(&mut self, category: Option<Category>) -> Option<&mut BTreeSet<Place>> {
        match category? {
            Category::Pending => Some(&mut self.pending),
            Category::Failed => Some(&mut self.failed),
            Category::Successful => None,
        }
    }

    /// Puts a follow-up and updates the lists by time.
    fn put_follow_up(
        &mut self,
        id: JobId,
        key: FollowUpKey,
        before: Option<(IndexId, Timestamp)>,
        row: FollowUp,
    ) {
        let place = |(index, time)| (index, IndexKey { time, id, key });
        if let Some(before) = before {
            self.index.remove(&place(before));
        }
        self.index.extend(row.entry().map(place));
        self.follow_ups.insert((id, key), row);
    }

    fn put_attachment(&mut self, id: JobId, key: String, text: Option<String>) {
        let texts = self.attachments.entry(id).or_default();
        match text {
            Some(text) => {
                texts.insert(key, text);
            }
            None => {
                texts.remove(&key);
            }
        }
    }
}
