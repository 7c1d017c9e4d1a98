use std::sync::{Arc, atomic::Ordering::Relaxed};

use jobtracker_model::NewJob;

use crate::{
    Error, Result, Stats, WhenFull,
    budget::{Cost, Share},
    flush::detached,
    inner::Inner,
    journal::Journal,
    tree::Creation,
};

impl Inner {
    /// Room for an operation, if there is some at once.
    pub fn try_room(&self, cost: Cost) -> Result<Option<Share<'_>>> {
        if self.buffer.is_closed() {
            return Err(Error::Closed);
        }
        if let Some(journal) = self.buffer.journal() {
            journal.check()?;
            if journal.is_full() || journal.is_behind() {
                return Ok(None);
            }
        }
        Ok(self.budget.take(cost))
    }

    /// Room for an operation, by the rule for a full buffer.
    pub async fn wait_for_room(self: &Arc<Self>, cost: Cost) -> Result<Share<'_>> {
        loop {
            let room = self.budget.room.notified();
            if let Some(journal) = self.buffer.journal() {
                journal.keep_pace().await;
            }
            if let Some(share) = self.try_room(cost)? {
                return Ok(share);
            }
            if self.buffer.journal().is_some_and(Journal::is_behind) {
                // It is not full; its thread has to write first.
                continue;
            }
            let never = !self.may_ever_fit(cost);
            match self.when_full {
                _ if never => return Err(self.full()),
                WhenFull::Refuse => return Err(self.full()),
                WhenFull::Wait => room.await,
                WhenFull::Flush => detached(Arc::clone(self).flush_for_room(cost)).await?,
            }
        }
    }

    /// Whether there is room for this much when all has been sent: what was refused stays.
    fn may_ever_fit(&self, mut cost: Cost) -> bool {
        let (most, refused) = (self.budget.most, self.refused_cost());
        cost.add(refused);
        let stuck = self.buffer.journal().is_some_and(Journal::is_stuck);
        cost.operations <= most.operations && cost.bytes <= most.bytes && !stuck
    }

    fn full(&self) -> Error {
        let Cost { operations, bytes } = self.budget.pending();
        Error::Full { operations, bytes }
    }

    /// Lets the service compare a creation with the job that it has.
    pub async fn compare_there(&self, creation: Creation) -> Result<()> {
        let Creation { id, parent, definition, follow_ups, .. } = creation;
        let (actions, checks) =
            follow_ups.map(|these| (these.actions.clone(), these.checks.clone())).unzip();
        let definition = Arc::unwrap_or_clone(definition);
        let job = NewJob {
            id: Some(id),
            parent,
            name: definition.name,
            created_by: definition.created_by,
            tags: definition.tags,
            options: definition.options,
            source_link: definition.source_link,
            keep_days: definition.keep_days,
            actions: actions.unwrap_or_default(),
            checks: checks.unwrap_or_default(),
            task: None,
        };
        match self.tracker.create(job).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_conflict() => Err(Error::IdConflict(id)),
            Err(error) => Err(Error::Load { id, source: Arc::new(error) }),
        }
    }

    pub fn stats(&self) -> Stats {
        let refused = self.refused_cost().operations;
        let Cost { operations, bytes } = self.budget.pending();
        let operations = operations.saturating_sub(refused);
        let unsent = self.budget.unsent().operations;
        Stats {
            operations,
            bytes,
            in_flight: operations.saturating_sub(unsent),
            refused,
            jobs: self.buffer.len() as u64,
            uploads: self.uploads.load(Relaxed),
            failed_flushes: self.failed_flushes.load(Relaxed),
            journal_bytes: self.buffer.journal().map_or(0, Journal::size),
        }
    }
}
