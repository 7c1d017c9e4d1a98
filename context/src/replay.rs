use std::{borrow::Cow, sync::Arc};

use jobtracker_model::{Change, Definition, JobId, Timestamp, upload::UploadId};

use crate::{
    Result,
    budget::Cost,
    follow_ups::FollowUps,
    inner::Inner,
    journal::Entry,
    tree::{Creation, Planted, Recording},
    upload::{Batch, BatchTree, Said, read_stream},
};

/// Applies the entries of a journal again.
pub(crate) struct Replay<'a> {
    inner: &'a Inner,
    /// Uploads that have no outcome yet, or of which trees were refused; the oldest first.
    pub batches: Vec<Batch>,
    /// Operations that could not be placed.
    pub misplaced: u64,
    /// A refused tree of which not all parts have come.
    kept: Option<Kept>,
}

struct Kept {
    upload: UploadId,
    root: JobId,
    cost: Cost,
    stream: Vec<u8>,
}

impl<'a> Replay<'a> {
    pub fn new(inner: &'a Inner) -> Self {
        Self { inner, batches: Vec::new(), misplaced: 0, kept: None }
    }

    /// Ends the replay: there are no more entries.
    pub fn finish(mut self) -> Self {
        self.give_up_kept();
        self
    }

    pub fn take(&mut self, entry: Entry<'static>) {
        match entry {
            Entry::Base { path } => {
                if let Err(error) = self.inner.buffer.load_path(&path) {
                    tracing::warn!(%error, "a path of a journal cannot be placed");
                }
            }
            Entry::Created { id, parent, order, time, definition } => {
                let creation = creation(id, parent, definition.into_owned(), None);
                self.create(creation, time, order);
            }
            Entry::CreatedFollowed { id, parent, order, time, definition, actions, checks } => {
                let follow_ups = FollowUps::of(actions.into_owned(), checks.into_owned());
                let creation = creation(id, parent, definition.into_owned(), follow_ups);
                self.create(creation, time, order);
            }
            Entry::Changed { id, order, change } => self.change(id, order, change.into_owned()),
            Entry::Options { id, options } => {
                let cost = Cost::options(options.as_deref());
                self.record(id, cost, |at| at.set_options(options.map(Cow::into_owned), cost));
            }
            Entry::Lines { id, time, lines } => {
                let cost = Cost::lines(&lines);
                self.record(id, cost, |at| at.append(lines.into_owned(), time, cost));
            }
            Entry::Sealed { upload, root } => self.seal(upload.into_owned(), root),
            Entry::Acknowledged { upload } => self.acknowledge(&upload),
            Entry::Refused { upload, roots } => self.refuse(&upload, &roots),
            Entry::Kept { upload, root, cost, part, is_last } => {
                self.keep(upload.into_owned(), root, cost, &part);
                if is_last {
                    self.place_kept();
                }
            }
        }
    }

    fn create(&mut self, creation: Creation, time: Timestamp, order: u64) {
        let (id, cost) = (creation.id, creation.cost);
        let share = self.inner.budget.take_anyway(cost);
        let planted = match creation.parent {
            None => self.inner.buffer.plant(creation, time).ok(),
            Some(parent) => {
                let create = |at: &mut Recording<'_>| {
                    at.resume_at(order);
                    at.create_below(creation, time)
                };
                self.inner.buffer.at(parent, create).ok().and_then(Result::ok)
            }
        };
        let is_placed = match planted {
            Some(Planted::New) => true,
            Some(Planted::Taken(creation)) => self.create_again(creation, order),
            None => false,
        };
        if is_placed {
            share.keep();
        } else {
            drop(share);
            self.misplace(id, cost);
        }
    }

    /// A job that had been sent and had left the buffer was created once more, before the journal
    /// knew that it was sent. False: that is not the case.
    fn create_again(&self, creation: Creation, order: u64) -> bool {
        let id = creation.id;
        let again = |at: &mut Recording<'_>| {
            let is_sent = at.is_sent();
            if is_sent {
                at.create_again(creation, order);
            }
            Ok(is_sent)
        };
        matches!(self.inner.buffer.at(id, again), Ok(Ok(true)))
    }

    fn change(&mut self, id: JobId, order: u64, change: Change) {
        let cost = Cost::change([&change.message, &change.reason_code, &change.change_id]);
        self.record(id, cost, |at| {
            at.resume_at(order);
            at.report(change, cost);
            Ok(())
        });
    }

    fn record(&mut self, id: JobId, cost: Cost, op: impl FnOnce(&mut Recording<'_>) -> Result<()>) {
        let share = self.inner.budget.take_anyway(cost);
        if let Ok(Ok(())) = self.inner.buffer.at(id, op) {
            share.keep();
        } else {
            drop(share);
            self.misplace(id, cost);
        }
    }

    fn misplace(&mut self, id: JobId, cost: Cost) {
        tracing::error!(job = %id, "an entry of a journal is about a job that it does not have");
        self.misplaced += cost.operations;
    }

    fn seal(&mut self, upload: UploadId, root: JobId) {
        let Some(tree) = self.inner.buffer.tree(root) else { return };
        let buffer = &self.inner.buffer;
        self.batch(upload).take(buffer, &tree);
    }

    fn batch(&mut self, upload: UploadId) -> &mut Batch {
        let at = self.batches.iter().position(|batch| batch.id == upload);
        let at = at.unwrap_or_else(|| {
            let rule = self.inner.buffer.block_updates_after_finish;
            self.batches.push(Batch::new(upload, rule));
            self.batches.len() - 1
        });
        &mut self.batches[at]
    }

    fn acknowledge(&mut self, upload: &UploadId) {
        if let Some(at) = self.batches.iter().position(|batch| batch.id == *upload) {
            let batch = self.batches.remove(at);
            batch.settle(&self.inner.buffer);
            self.inner.budget.give_back(batch.cost);
        }
    }

    fn refuse(&mut self, upload: &UploadId, roots: &[JobId]) {
        let Some(batch) = self.batches.iter_mut().find(|batch| batch.id == *upload) else { return };
        let all = batch.cost;
        let gone = batch.settle_but(&self.inner.buffer, &roots.iter().copied().collect());
        let gone = gone.unwrap_or_else(|error| {
            tracing::error!(%upload, %error, "trees that were refused cannot be written");
            self.misplaced += all.operations;
            all
        });
        self.inner.budget.give_back(gone);
    }

    /// Takes a part of a tree, the parts of which follow each other.
    fn keep(&mut self, upload: UploadId, root: JobId, cost: Cost, part: &[u8]) {
        match &mut self.kept {
            Some(kept) if kept.root == root && kept.upload == upload => {
                kept.stream.extend_from_slice(part);
            }
            _ => {
                self.give_up_kept();
                self.kept = Some(Kept { upload, root, cost, stream: part.to_vec() });
            }
        }
    }

    /// All parts of a tree have come, unless the journal is damaged.
    fn place_kept(&mut self) {
        let Some(Kept { upload, root, cost, stream }) = self.kept.take() else { return };
        if let Err(error) = read_stream(&*stream, |_| Ok(())) {
            tracing::error!(%upload, %root, %error, "a tree that was refused is damaged");
            self.misplaced += cost.operations;
            return;
        }
        self.inner.budget.take_anyway(cost).keep();
        self.batch(upload).take_refused(BatchTree { root, said: Said::Written(stream), cost });
    }

    fn give_up_kept(&mut self) {
        if let Some(kept) = self.kept.take() {
            tracing::error!(root = %kept.root, "a tree that was refused is not there as a whole");
            self.misplaced += kept.cost.operations;
        }
    }
}

fn creation(
    id: JobId,
    parent: Option<JobId>,
    definition: Definition,
    follow_ups: Option<Arc<FollowUps>>,
) -> Creation {
    let cost = Cost::creation(&definition, follow_ups.as_deref());
    Creation { id, parent, definition: Arc::new(definition), follow_ups, cost }
}
