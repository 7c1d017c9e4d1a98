use std::{
    borrow::Cow,
    collections::HashSet,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use jobtracker_model::{JobId, limits, upload::UploadId};
use parking_lot::MutexGuard;

use super::{BatchTree, Said};
use crate::{
    budget::Cost,
    buffer::Buffer,
    journal::Entry,
    tree::{Tree, TreeState},
};

/// The content of one upload. It does not change any more.
pub(crate) struct Batch {
    pub id: UploadId,
    pub block_updates_after_finish: bool,
    pub trees: Vec<Arc<BatchTree>>,
    pub cost: Cost,
    new_jobs: u64,
    /// Whether it may have reached the service.
    pub in_doubt: AtomicBool,
}

/// Jobs that leave the buffer under one lock; in between, other tasks get the tree.
const LEAVING: usize = 4096;

impl Batch {
    pub fn new(id: UploadId, block_updates_after_finish: bool) -> Self {
        Self {
            id,
            block_updates_after_finish,
            trees: Vec::new(),
            cost: Cost::default(),
            new_jobs: 0,
            in_doubt: AtomicBool::new(false),
        }
    }

    /// Takes what a tree has into this batch.
    fn freeze(&mut self, buffer: &Buffer, tree: &Arc<Tree>, mut state: MutexGuard<'_, TreeState>) {
        state.is_listed = false;
        let Some(frozen) = state.freeze() else { return };
        if let Some(journal) = buffer.journal() {
            let upload = Cow::Borrowed(&self.id);
            journal.append(&[Entry::Sealed { upload, root: tree.root }], 0);
        }
        drop(state);
        let cost = frozen.cost;
        self.cost.add(cost);
        self.new_jobs += frozen.new_jobs;
        let (jobs, log) = frozen.into_walk();
        let said = Said::Frozen { tree: Arc::clone(tree), jobs, log };
        self.trees.push(Arc::new(BatchTree { root: tree.root, said, cost }));
    }

    /// Takes what a tree has into this batch, at any size.
    pub fn take(&mut self, buffer: &Buffer, tree: &Arc<Tree>) {
        self.freeze(buffer, tree, tree.lock());
    }

    /// Whether this much more still goes into one upload. What it takes in memory is more than
    /// what it takes on the way.
    fn has_room_for(&self, new_jobs: u64, cost: Cost) -> bool {
        self.trees.is_empty()
            || (self.new_jobs + new_jobs <= limits::COMMIT_JOBS
                && self.cost.bytes + cost.bytes <= limits::COMMIT_BYTES
                && (self.trees.len() as u64) < limits::COMMIT_TREES)
    }

    /// Notes that it has an outcome: its jobs without newer notes leave the buffer.
    pub fn settle(&self, buffer: &Buffer) {
        buffer.begin_departure();
        for said in self.trees.iter().map(|tree| &tree.said) {
            let Said::Frozen { tree, jobs, .. } = said else { continue };
            // Children leave before their parents, which wait for them.
            for jobs in jobs.rchunks(LEAVING) {
                tree.lock().settle(buffer, jobs.iter().rev());
            }
        }
    }

    /// Notes that it had an outcome before the process died, and that only these refused trees of
    /// it are left. Says what the others take.
    ///
    /// # Errors
    /// A tree cannot be written as it was sent.
    pub fn settle_but(&mut self, buffer: &Buffer, refused: &HashSet<JobId>) -> io::Result<Cost> {
        self.settle(buffer);
        let mut gone = std::mem::take(&mut self.cost);
        let rule = self.block_updates_after_finish;
        let left = self.trees.drain(..).filter(|tree| refused.contains(&tree.root));
        self.trees = left.map(|tree| tree.written(rule).map(Arc::new)).collect::<Result<_, _>>()?;
        self.trees.iter().for_each(|tree| self.cost.add(tree.cost));
        gone.take(self.cost);
        Ok(gone)
    }

    /// Takes a tree that was refused before the process died.
    pub fn take_refused(&mut self, tree: BatchTree) {
        self.cost.add(tree.cost);
        self.trees.push(Arc::new(tree));
    }

    pub fn is_in_doubt(&self) -> bool {
        self.in_doubt.load(SeqCst)
    }
}

/// Batches that are being put together, none larger than an upload may be.
pub(crate) struct Batches<'a> {
    buffer: &'a Buffer,
    done: Vec<Batch>,
}

impl<'a> Batches<'a> {
    pub fn new(buffer: &'a Buffer) -> Self {
        Self { buffer, done: Vec::new() }
    }

    /// Takes what a tree has.
    pub fn take(&mut self, tree: &Arc<Tree>) {
        let state = tree.lock();
        let (new_jobs, cost) = state.waiting();
        if !self.done.last().is_some_and(|batch| batch.has_room_for(new_jobs, cost)) {
            self.done.push(Batch::new(new_id(), self.buffer.block_updates_after_finish));
        }
        if let Some(batch) = self.done.last_mut() {
            batch.freeze(self.buffer, tree, state);
        }
    }

    pub fn finish(mut self) -> Vec<Batch> {
        self.done.retain(|batch| !batch.trees.is_empty());
        self.done
    }
}

/// A name that no other upload has: 128 random bits do not come twice.
fn new_id() -> UploadId {
    let id = format!("{:032x}", rand::random::<u128>());
    id.parse().expect("hexadecimal digits can name an upload")
}
