use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use jobtracker_model::{Definition, JobId, Repeat, State, rollup::Status};
use parking_lot::{Mutex, RwLock};
use quick_cache::{Weighter, sync::Cache};

use super::{
    FjallOptions,
    low_water::{Added, Least, LowWaterMarks},
    snapshot::{Present, Snapshot},
    stages::Stage,
};
use crate::{
    FollowUp, FollowUpKey, IndexId, IndexKey, JobRow, Loaded, Node, Origin, Version, Wanted, Watch,
};

/// The present of all readers, and its hot rows.
///
/// **The writer says what the present is.** It commits a group to the engine and then, under
/// the write lock, replaces the [`Snapshot`] and the rows of the group with it. Readers take rows
/// from here and use that snapshot, never one that they open themselves; so a group becomes
/// visible at one instant in the caches and behind them, after it is durable. (A snapshot that a
/// reader opens by itself would not do: while a batch goes in, the engine's own table files move
/// its visible sequence number past that batch.)
///
/// **A row in here is the row of the present.** The writer replaces those that it changes; a reader
/// puts one in only if the snapshot that it read from is still the present one.
///
/// **Nothing that is staged is in here**, and the snapshot says which jobs those are. Work on
/// stages goes on between the groups and does not replace the snapshot, since what it changes is
/// not seen.
pub struct HotCache {
    snapshot: RwLock<Snapshot>,
    /// Locked only while the lock of the snapshot is held.
    added: Mutex<Added>,
    nodes: Cache<JobId, Node, Weights>,
    definitions: Cache<JobId, Arc<Definition>, Weights>,
    versions: Cache<JobId, Version>,
    /// The watches of jobs, some of which are roots of busy trees: every step below reads them.
    watches: Cache<JobId, Watch>,
    /// Reads that were answered here, and those that had to go to a reader.
    pub answered: AtomicU64,
    pub missed: AtomicU64,
}

/// The rows that a group of commits leaves.
#[derive(Default)]
pub struct Changed {
    pub created: HashMap<JobId, Origin>,
    pub statuses: Vec<(JobId, Status)>,
    pub definitions: Vec<(JobId, Arc<Definition>)>,
    pub versions: HashMap<JobId, Version>,
    pub watches: Vec<(JobId, Watch)>,
    pub published: Vec<Arc<Stage>>,
    pub deleted: Vec<JobId>,
    pub listed: Least,
}

/// Rows that a reader has read on the way.
#[derive(Default)]
pub struct Seen {
    pub nodes: Vec<(JobId, Node)>,
    pub definitions: Vec<(JobId, Arc<Definition>)>,
    pub versions: Vec<(JobId, Version)>,
    pub watches: Vec<(JobId, Watch)>,
}

impl HotCache {
    pub fn new(options: &FjallOptions, present: Present) -> Self {
        let nodes = options.node_cache_bytes;
        let definitions = options.definition_cache_bytes;
        let items = |bytes: u64, each: u64| usize::try_from(bytes / each).unwrap_or(usize::MAX);
        // One node in sixteen is a root; a version takes about as much room as three numbers.
        let versions = items(nodes, 16 * NODE).max(64);
        Self {
            snapshot: RwLock::new(present.snapshot(0)),
            added: Mutex::default(),
            nodes: Cache::with_weighter(items(nodes, NODE), nodes, Weights),
            definitions: Cache::with_weighter(items(definitions, 512), definitions, Weights),
            versions: Cache::new(versions),
            watches: Cache::new(WATCHES),
            answered: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        }
    }

    /// The present.
    pub fn now(&self) -> Snapshot {
        self.snapshot.read().clone()
    }

    /// Memory in use: nodes, definitions.
    pub fn bytes(&self) -> (u64, u64) {
        (self.nodes.weight(), self.definitions.weight())
    }

    /// Makes a group of commits the present. Only the writer calls this, after the group is
    /// durable, with a snapshot that has it.
    pub fn advance(&self, rows: fjall::Snapshot, changed: Changed) {
        let Changed { created, statuses, definitions, versions, watches, .. } = changed;
        let Changed { published, deleted, listed, .. } = changed;
        let rows = Arc::new(rows);
        let mut new_nodes = Vec::with_capacity(created.len());
        let mut new_definitions = Vec::with_capacity(created.len());
        let passed = {
            let mut snapshot = self.snapshot.write();
            let newest = created.keys().map(|id| id.get()).max().unwrap_or(0);
            snapshot.epoch += 1;
            snapshot.max_id = snapshot.max_id.max(newest);
            snapshot.low_water.add(listed);
            self.added.lock().add(snapshot.epoch, listed);
            snapshot.gone = snapshot.gone.with(&deleted);
            if !published.is_empty() {
                let newest = published.iter().map(|stage| stage.newest()).max().unwrap_or(0);
                snapshot.max_id = snapshot.max_id.max(newest);
                snapshot.hidden = snapshot.hidden.without(&published);
            }
            for (id, status) in statuses {
                if let Some(origin) = created.get(&id) {
                    new_nodes.push((id, Node { origin: *origin, status }));
                } else if let Some(node) = self.nodes.peek(&id) {
                    self.nodes.insert(id, Node { origin: node.origin, status });
                }
            }
            for (id, definition) in definitions {
                if created.contains_key(&id) {
                    new_definitions.push((id, definition));
                } else {
                    self.definitions.insert(id, definition);
                }
            }
            for (root, version) in versions {
                self.versions.insert(root, version);
            }
            for (id, watch) in watches {
                self.watches.insert(id, watch);
            }
            std::mem::replace(&mut snapshot.rows, rows)
        };
        drop(passed);
        // New jobs have no old rows in here that a reader could mistake for the present, and until
        // the writer comes back nothing changes them: they need no lock.
        for (id, node) in new_nodes {
            self.nodes.insert(id, node);
        }
        for (id, definition) in new_definitions {
            self.definitions.insert(id, definition);
        }
    }

    /// Begins anew from what is on the disk, after the engine was opened again. A commit whose
    /// outcome was not known may be among it, so no row stays.
    pub fn restart(&self, present: Present) {
        let mut snapshot = self.snapshot.write();
        let epoch = snapshot.epoch + 1;
        self.added.lock().forget(epoch);
        self.nodes.clear();
        self.definitions.clear();
        self.versions.clear();
        self.watches.clear();
        let passed = std::mem::replace(&mut *snapshot, present.snapshot(epoch));
        drop(snapshot);
        drop(passed);
    }

    /// Takes a newer snapshot after a batch that changed nothing a reader sees. A snapshot that
    /// stays keeps the engine from letting go of write buffers and tables.
    pub fn refresh(&self, rows: fjall::Snapshot) {
        let rows = Arc::new(rows);
        let passed = std::mem::replace(&mut self.snapshot.write().rows, rows);
        drop(passed);
    }

    /// Hides the jobs of a stage, present and future ones.
    pub fn hide(&self, stage: &Arc<Stage>) {
        let mut snapshot = self.snapshot.write();
        snapshot.hidden = snapshot.hidden.with(stage);
    }

    /// Ends the hiding; no row of these jobs is left.
    pub fn uncover(&self, stage: &Arc<Stage>) {
        let mut snapshot = self.snapshot.write();
        snapshot.hidden = snapshot.hidden.without(std::slice::from_ref(stage));
    }

    /// Forgets a job of a deleted tree, which no reader finds here any more.
    pub fn evict(&self, id: JobId) {
        self.nodes.remove(&id);
        self.definitions.remove(&id);
        self.watches.remove(&id);
    }

    /// Forgets the version of a deleted tree that is forgotten.
    pub fn forget_version(&self, root: JobId) {
        self.versions.remove(&root);
    }

    /// No row of a deleted tree is left.
    pub fn removed(&self, root: JobId) {
        let mut snapshot = self.snapshot.write();
        snapshot.gone = snapshot.gone.without(root);
    }

    /// How many deleted trees have rows left.
    pub fn removals(&self) -> usize {
        self.snapshot.read().gone.len()
    }

    /// Whether an id is hidden only until a stage that was discarded is gone.
    pub fn is_leaving(&self, id: JobId) -> bool {
        self.snapshot.read().hidden.is_leaving(id)
    }

    /// Keeps rows that a reader saw at `epoch`, unless that is past.
    pub fn keep(&self, epoch: u64, seen: Seen) {
        let snapshot = self.snapshot.read();
        if snapshot.epoch != epoch {
            return;
        }
        for (id, node) in seen.nodes {
            self.nodes.insert(id, node);
        }
        for (id, definition) in seen.definitions {
            self.definitions.insert(id, definition);
        }
        for (root, version) in seen.versions {
            self.versions.insert(root, version);
        }
        for (id, watch) in seen.watches {
            self.watches.insert(id, watch);
        }
    }

    /// Keeps the first entry of a list that a reader saw at `epoch` and that has read the list from
    /// its begin.
    pub fn keep_first(&self, epoch: u64, index: IndexId, read: Option<IndexKey>) {
        let mut snapshot = self.snapshot.write();
        let added = self.added.lock();
        let Some(later) = added.since(epoch) else { return };
        let mut first = LowWaterMarks::default();
        first.learn(index, read);
        later.for_each(|least| first.add(least));
        snapshot.low_water.learn(index, Some(first.of(index)));
    }

    /// A node at `epoch`, if that is the present and the node is here.
    pub fn node_at(&self, epoch: u64, id: JobId) -> Option<Node> {
        let snapshot = self.snapshot.read();
        if snapshot.epoch == epoch { self.nodes.get(&id) } else { None }
    }

    /// A definition at `epoch`, likewise.
    pub fn definition_at(&self, epoch: u64, id: JobId) -> Option<Arc<Definition>> {
        let snapshot = self.snapshot.read();
        if snapshot.epoch == epoch { self.definitions.get(&id) } else { None }
    }

    /// The version of a tree at `epoch`, likewise.
    pub fn version_at(&self, epoch: u64, root: JobId) -> Option<Version> {
        let snapshot = self.snapshot.read();
        if snapshot.epoch == epoch { self.versions.get(&root) } else { None }
    }

    /// The watch of a job at `epoch`, likewise.
    pub fn watch_at(&self, epoch: u64, id: JobId) -> Option<Watch> {
        let snapshot = self.snapshot.read();
        if snapshot.epoch == epoch { self.watches.get(&id) } else { None }
    }

    /// A job, if that can be told without reading. The outer `None`: it cannot.
    pub fn job(&self, id: JobId) -> Option<Option<JobRow>> {
        let snapshot = self.snapshot.read();
        self.counted(if id.get() > snapshot.max_id {
            Some(None)
        } else {
            self.nodes.get(&id).zip(self.definitions.get(&id)).map(|(node, definition)| {
                let is_gone = snapshot.gone.has(node.origin.root);
                (!is_gone).then(|| JobRow::new(id, node, definition))
            })
        })
    }

    /// Visible states, if all of them can be told without reading.
    pub fn states(&self, ids: &[JobId]) -> Option<Vec<State>> {
        let snapshot = self.snapshot.read();
        let state = |id: &JobId| match self.nodes.get(id) {
            Some(node) if snapshot.gone.has(node.origin.root) => Some(State::WaitingForActivation),
            Some(node) => Some(node.status.state),
            None if id.get() > snapshot.max_id => Some(State::WaitingForActivation),
            None => None,
        };
        self.counted(ids.iter().map(state).collect())
    }

    /// The rows that a group of operations needs, if all of them can be told without reading.
    pub fn load(&self, wanted: &Wanted) -> Option<Loaded> {
        let snapshot = self.snapshot.read();
        self.counted(self.load_at(&snapshot, wanted))
    }

    fn load_at(&self, snapshot: &Snapshot, wanted: &Wanted) -> Option<Loaded> {
        // What is asked for by name or number is asked for too rarely to be kept here.
        let by_name = !wanted.follow_ups.is_empty() || !wanted.changes.is_empty();
        if by_name || !wanted.tombstones.is_empty() {
            return None;
        }
        let mut loaded = Loaded::default();
        for id in &wanted.paths {
            self.load_path(snapshot, *id, &mut loaded)?;
        }
        for id in &wanted.definitions {
            if !snapshot.gone.is_empty() {
                let node = self.nodes.get(id).or_else(|| loaded.nodes.get(id).cloned())?;
                if snapshot.gone.has(node.origin.root) {
                    continue;
                }
            }
            match self.definitions.get(id) {
                Some(definition) => drop(loaded.definitions.insert(*id, definition)),
                None if id.get() > snapshot.max_id => {}
                None => return None,
            }
        }
        for (id, repeat) in &wanted.repeats {
            self.has_none(snapshot, *id, &loaded, |status| match repeat {
                // The creation is a change, but not one that could be repeated.
                Repeat::Change(_) => status.changes <= 1,
                Repeat::Append(_) => status.log_lines == 0,
            })?;
        }
        for (id, _) in &wanted.attachments {
            self.has_none(snapshot, *id, &loaded, |status| status.attachments == 0)?;
        }
        // An upload cannot have been applied to a tree that is not there.
        if wanted.tree_results.iter().any(|(_, root)| root.get() <= snapshot.max_id) {
            return None;
        }
        Some(loaded)
    }

    fn load_path(&self, snapshot: &Snapshot, id: JobId, loaded: &mut Loaded) -> Option<()> {
        let mut next = Some(id);
        while let Some(id) = next {
            if loaded.nodes.contains_key(&id) {
                break;
            }
            if id.get() > snapshot.max_id {
                break;
            }
            let node = self.nodes.get(&id)?;
            if snapshot.gone.has(node.origin.root) {
                break;
            }
            if node.status.flags.followed {
                let watch = FollowUp::Watch(self.watches.get(&id)?);
                loaded.follow_ups.insert((id, FollowUpKey::Watch), watch);
            }
            next = node.origin.parent;
            if next.is_none() {
                loaded.versions.insert(id, self.versions.get(&id)?);
            }
            loaded.nodes.insert(id, node);
        }
        Some(())
    }

    /// Whether a job certainly has no row of some kind.
    fn has_none(
        &self,
        snapshot: &Snapshot,
        id: JobId,
        loaded: &Loaded,
        none: impl FnOnce(&Status) -> bool,
    ) -> Option<()> {
        if id.get() > snapshot.max_id {
            return Some(());
        }
        let known = match loaded.nodes.get(&id) {
            Some(node) => none(&node.status),
            None => none(&self.nodes.get(&id)?.status),
        };
        known.then_some(())
    }

    fn counted<T>(&self, answer: Option<T>) -> Option<T> {
        let counter = if answer.is_some() { &self.answered } else { &self.missed };
        counter.fetch_add(1, Relaxed);
        answer
    }
}

/// About what a node takes in memory, with its slot in the cache.
const NODE: u64 = size_of::<Node>() as u64 + 64;

/// Jobs whose watches are kept: at most about 10 MB, with 16 actions each.
const WATCHES: usize = 16_384;

/// How much memory a row takes.
#[derive(Clone)]
struct Weights;

impl Weighter<JobId, Node> for Weights {
    fn weight(&self, _: &JobId, _: &Node) -> u64 {
        NODE
    }
}

impl Weighter<JobId, Arc<Definition>> for Weights {
    fn weight(&self, _: &JobId, definition: &Arc<Definition>) -> u64 {
        let Definition { name, created_by, tags, options, source_link, .. } = &**definition;
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let tags: usize = tags.iter().map(|tag| tag.len() + size_of::<String>() + 8).sum();
        let texts = name.len() + created_by.len() + text(options) + text(source_link);
        (texts + tags + size_of::<Definition>() + 128) as u64
    }
}
