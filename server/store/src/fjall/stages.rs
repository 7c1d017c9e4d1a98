use std::{collections::HashMap, sync::Arc};

use fjall::Readable;
use jobtracker_model::JobId;
use parking_lot::{Mutex, RwLock};
use roaring::RoaringTreemap;

use super::{
    failure,
    ids::{RunsRow, run_begin, run_end},
    keys,
    tables::Tables,
};
use crate::{Error, Order, Result, StageId, coding};

/// The present stages: those that calls add to, and those whose rows are being removed.
#[derive(Default)]
pub struct Stages {
    known: Mutex<HashMap<StageId, Arc<Stage>>>,
    /// Stages that the writer has not begun to remove.
    discarded: Mutex<Vec<Arc<Stage>>>,
}

/// Staged rows of one tree.
///
/// They stand where they belong. They are invisible because the ids of their jobs are in here, and
/// this is in the [`Hidden`] of the snapshot that is read at: an id comes here before the first of
/// its rows is written.
pub struct Stage {
    id: StageId,
    root: JobId,
    ids: RwLock<RoaringTreemap>,
    progress: Mutex<Progress>,
}

struct Progress {
    fate: Fate,
    /// Calls that are under way.
    calls: usize,
    /// Rows of `index` that tell the ids to the next process.
    records: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    /// A call was not done to its end: it can only be discarded.
    Broken,
    Published,
    Discarded,
    /// It was discarded, and its rows cannot be removed.
    Stuck,
}

impl Stages {
    /// Takes in what is on the disk, after the engine was opened. Stages of an earlier process, or
    /// of the engine before this one, can only be removed; a stage whose owner is still there is
    /// kept hidden until the owner discards it, since more calls may come.
    pub fn reload(&self, tables: &Tables, snapshot: &fjall::Snapshot) -> Result<()> {
        let mut known = self.known.lock();
        known.values().for_each(|stage| stage.interrupt());
        let (first, last) = keys::all_staged();
        for row in snapshot.range(&tables.index, first..=last) {
            let (key, value) = row.into_inner().map_err(failure::reading)?;
            let (id, record) = keys::staged_record(&key)?;
            let stage = known.entry(id).or_insert_with(|| Arc::new(Stage::left(id)));
            coding::decode::<RunsRow>("ids staged", &value)?.add_to(&mut stage.ids.write());
            let mut progress = stage.progress.lock();
            progress.records = progress.records.max(record + 1);
        }
        let discarded = known.values().filter(|stage| stage.is_discarded()).cloned();
        *self.discarded.lock() = discarded.collect();
        Ok(())
    }

    /// Begins a call that adds to a stage, which the first one opens.
    pub fn call(&self, id: StageId, root: JobId) -> Result<Call> {
        let mut known = self.known.lock();
        let stage = known.entry(id).or_insert_with(|| Arc::new(Stage::new(id, root)));
        let mut progress = stage.progress.lock();
        if progress.fate != Fate::Open || stage.root != root {
            return Err(not_whole(root));
        }
        progress.calls += 1;
        drop(progress);
        Ok(Call { stage: Arc::clone(stage), done: false })
    }

    /// Gives a stage to the commit that publishes it. From here on it cannot be discarded.
    pub fn publish(&self, id: StageId, root: JobId) -> Result<Arc<Stage>> {
        let mut known = self.known.lock();
        let stage = known.get(&id).cloned().ok_or_else(|| not_whole(root))?;
        let mut progress = stage.progress.lock();
        if progress.fate != Fate::Open || progress.calls > 0 || stage.root != root {
            return Err(not_whole(root));
        }
        progress.fate = Fate::Published;
        drop(progress);
        known.remove(&id);
        Ok(stage)
    }

    /// Has a stage removed, if it is there; tells whether it was.
    pub fn discard(&self, id: StageId) -> bool {
        // Held to the end, so that a reload finds the stage in the list of discarded ones once.
        let known = self.known.lock();
        let Some(stage) = known.get(&id).cloned() else { return false };
        let mut progress = stage.progress.lock();
        if matches!(progress.fate, Fate::Discarded | Fate::Published | Fate::Stuck) {
            return false;
        }
        progress.fate = Fate::Discarded;
        drop(progress);
        self.discarded.lock().push(stage);
        drop(known);
        true
    }

    /// The stages that have been discarded since the last call.
    pub fn take_discarded(&self) -> Vec<Arc<Stage>> {
        std::mem::take(&mut self.discarded.lock())
    }

    /// All present stages.
    pub fn all(&self) -> Vec<Arc<Stage>> {
        self.known.lock().values().cloned().collect()
    }

    /// A stage has been removed.
    pub fn removed(&self, stage: &Stage) {
        self.known.lock().remove(&stage.id);
    }

    /// How many there are, and how many jobs are in them.
    pub fn count(&self) -> (u64, u64) {
        let all = self.all();
        (all.len() as u64, all.iter().map(|stage| stage.ids.read().len()).sum())
    }
}

impl Stage {
    fn new(id: StageId, root: JobId) -> Self {
        let progress = Progress { fate: Fate::Open, calls: 0, records: 0 };
        Self { id, root, ids: RwLock::default(), progress: Mutex::new(progress) }
    }

    fn left(id: StageId) -> Self {
        let progress = Progress { fate: Fate::Discarded, calls: 0, records: 0 };
        // Its root does not matter any more.
        Self { id, root: JobId::MIN, ids: RwLock::default(), progress: Mutex::new(progress) }
    }

    /// The engine was closed: it is not known how much of the stage is on the disk.
    fn interrupt(&self) {
        let mut progress = self.progress.lock();
        progress.records = 0;
        progress.fate = match progress.fate {
            Fate::Open | Fate::Broken => Fate::Broken,
            Fate::Discarded | Fate::Stuck | Fate::Published => Fate::Discarded,
        };
    }

    pub fn id(&self) -> StageId {
        self.id
    }

    pub fn root(&self) -> JobId {
        self.root
    }

    /// Whether calls may add to it.
    pub fn is_open(&self) -> bool {
        self.progress.lock().fate == Fate::Open
    }

    /// Its rows cannot be removed: no caller is to wait for that.
    pub fn give_up(&self) {
        self.progress.lock().fate = Fate::Stuck;
    }

    fn is_discarded(&self) -> bool {
        self.progress.lock().fate == Fate::Discarded
    }

    pub fn has(&self, id: JobId) -> bool {
        self.ids.read().contains(id.get())
    }

    /// Whether all of these ids are in it or in `new`.
    pub fn has_all(&self, mut ids: impl Iterator<Item = JobId>, new: &[JobId]) -> bool {
        let held = self.ids.read();
        ids.all(|id| new.binary_search(&id).is_ok() || held.contains(id.get()))
    }

    /// Takes ids in, which hides their rows once it is in the present's [`Hidden`].
    pub fn add(&self, ids: &[JobId]) {
        let mut held = self.ids.write();
        for id in ids {
            held.insert(id.get());
        }
    }

    /// The largest id.
    pub fn newest(&self) -> u64 {
        self.ids.read().max().unwrap_or(0)
    }

    /// Some ids from a number on, in order.
    pub fn from(&self, first: u64, count: usize) -> Vec<JobId> {
        let held = self.ids.read();
        let mut ids = held.iter();
        ids.advance_to(first);
        ids.take(count).filter_map(JobId::new).collect()
    }

    /// The last of the consecutive ids from this one on, in this order; `None` if it is not in
    /// here.
    fn run_end(&self, id: u64, order: Order) -> Option<u64> {
        let held = self.ids.read();
        held.contains(id).then(|| match order {
            Order::Oldest => run_end(&held, id),
            Order::Newest => run_begin(&held, id),
        })
    }

    /// The number of the next record.
    pub fn next_record(&self) -> u64 {
        let mut progress = self.progress.lock();
        progress.records += 1;
        progress.records - 1
    }

    /// How many records there are.
    pub fn records(&self) -> u64 {
        self.progress.lock().records
    }
}

/// A call that adds to a stage. Unless it is done to its end, the stage is not whole.
pub struct Call {
    stage: Arc<Stage>,
    done: bool,
}

impl Call {
    pub fn stage(&self) -> &Arc<Stage> {
        &self.stage
    }

    /// All its rows have been written.
    pub fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut progress = self.stage.progress.lock();
        progress.calls -= 1;
        if !self.done && progress.fate == Fate::Open {
            progress.fate = Fate::Broken;
        }
    }
}

/// The stages whose jobs are hidden.
#[derive(Clone, Default)]
pub struct Hidden(Option<Arc<[Arc<Stage>]>>);

impl Hidden {
    pub fn new(stages: Vec<Arc<Stage>>) -> Self {
        Self((!stages.is_empty()).then(|| stages.into()))
    }

    fn stages(&self) -> &[Arc<Stage>] {
        self.0.as_deref().unwrap_or_default()
    }

    pub fn has(&self, id: JobId) -> bool {
        self.stages().iter().any(|stage| stage.has(id))
    }

    /// Whether an id is hidden only until a stage that was discarded is gone.
    pub fn is_leaving(&self, id: JobId) -> bool {
        self.stages().iter().any(|stage| stage.is_discarded() && stage.has(id))
    }

    /// If an id is hidden: one behind it in this order, or itself, up to which all are hidden.
    pub fn run_end(&self, id: JobId, order: Order) -> Option<JobId> {
        let ends = self.stages().iter().filter_map(|stage| stage.run_end(id.get(), order));
        let end = match order {
            Order::Oldest => ends.max(),
            Order::Newest => ends.min(),
        };
        end.and_then(JobId::new)
    }

    /// The first number from `first` on with `count` numbers that are not hidden.
    pub fn gap(&self, first: u64, count: u64) -> u64 {
        let mut free = first;
        loop {
            let taken = self.stages().iter().filter_map(|stage| stage.from(free, 1).pop());
            let Some(taken) = taken.min().filter(|id| id.get() < free.saturating_add(count)) else {
                return free;
            };
            free = self.run_end(taken, Order::Oldest).unwrap_or(taken).get() + 1;
        }
    }

    /// With one more.
    pub fn with(&self, stage: &Arc<Stage>) -> Self {
        if self.stages().iter().any(|held| Arc::ptr_eq(held, stage)) {
            return self.clone();
        }
        Self::new(self.stages().iter().chain([stage]).cloned().collect())
    }

    /// Without some.
    pub fn without(&self, stages: &[Arc<Stage>]) -> Self {
        let stays = |held: &&Arc<Stage>| !stages.iter().any(|stage| Arc::ptr_eq(held, stage));
        Self::new(self.stages().iter().filter(stays).cloned().collect())
    }
}

fn not_whole(root: JobId) -> Error {
    let what = "what was staged for tree";
    Error::Unavailable(format!("{what} {root} is not there, or not whole; stage it again"))
}
