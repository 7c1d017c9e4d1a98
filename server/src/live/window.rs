use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, OnceLock},
};

use jobtracker_engine::{Error, Result};
use jobtracker_model::{
    FieldError, JobId,
    live::{Frame, JobSummary, Snapshot, SummaryDefinition},
};
use jobtracker_store::{Node, Store, Version, Wanted};

use super::frame::{Text, write};

/// What never changes of rows that were read before, so that it need not be read again.
pub(super) type Definitions = HashMap<JobId, SummaryDefinition>;

/// The present rows of some jobs of a tree, at one version of it.
///
/// # Errors
/// There is no such root; the rows cannot be read.
pub(crate) async fn read_rows(store: &dyn Store, root: JobId, ids: &[JobId]) -> Result<Snapshot> {
    read(store, root, ids, &Definitions::new()).await
}

/// The same with what is known of the rows.
pub(super) async fn read(
    store: &dyn Store,
    root: JobId,
    ids: &[JobId],
    known: &Definitions,
) -> Result<Snapshot> {
    let paths: HashSet<_> = ids.iter().copied().chain([root]).collect();
    let definitions = ids.iter().copied().filter(|id| !known.contains_key(id)).collect();
    let wanted = Wanted { paths, definitions, ..Wanted::default() };
    let mut loaded = store.look_up(wanted).await?;
    let version = version_of(root, loaded.nodes.get(&root), loaded.versions.get(&root))?;
    let (mut rows, mut missing) = (BTreeMap::new(), Vec::new());
    for &id in ids {
        let node = loaded.nodes.remove(&id).filter(|node| node.origin.root == root);
        let definition = |node: &Node| match known.get(&id) {
            Some(known) => Some(known.clone()),
            None => Some(SummaryDefinition::new(
                node.origin.parent,
                node.origin.depth,
                loaded.definitions.get(&id)?,
                node.status.create_time,
            )),
        };
        match node.and_then(|node| Some((definition(&node)?, node))) {
            Some((definition, node)) => {
                rows.insert(id, JobSummary::new(id, definition, &node.status));
            }
            None if rows.contains_key(&id) => {}
            None => missing.push(id),
        }
    }
    Ok(Snapshot { root, version, from: None, rows: rows.into_values().collect(), missing })
}

/// The present version of a tree.
///
/// # Errors
/// There is no such root; it cannot be read.
pub(crate) async fn version(store: &dyn Store, root: JobId) -> Result<Version> {
    let wanted = Wanted { paths: HashSet::from([root]), ..Wanted::default() };
    let loaded = store.look_up(wanted).await?;
    version_of(root, loaded.nodes.get(&root), loaded.versions.get(&root))
}

fn version_of(root: JobId, node: Option<&Node>, version: Option<&Version>) -> Result<Version> {
    match (node, version) {
        (Some(node), Some(version)) if node.origin.parent.is_none() => Ok(*version),
        (Some(_), _) => {
            Err(Error::Field(FieldError::new("root", format!("job {root} is not a root"))))
        }
        _ => Err(Error::JobNotFound(root)),
    }
}

/// The rows of several windows, read at once.
pub(super) struct Rows {
    root: JobId,
    pub version: Version,
    rows: HashMap<JobId, JobSummary>,
    /// Rows without their definitions as JSON, each written once for all windows.
    texts: HashMap<JobId, String>,
}

impl Rows {
    pub fn new(snapshot: Snapshot) -> Self {
        let Snapshot { root, version, rows, .. } = snapshot;
        let rows = rows.into_iter().map(|row| (row.id, row)).collect();
        Self { root, version, rows, texts: HashMap::new() }
    }

    /// Those of one window.
    pub fn window(&self, ids: &[JobId]) -> Snapshot {
        let (mut rows, mut missing) = (Vec::new(), Vec::new());
        for id in ids {
            match self.rows.get(id) {
                Some(row) => rows.push(row.clone()),
                None => missing.push(*id),
            }
        }
        Snapshot { root: self.root, version: self.version, from: None, rows, missing }
    }

    /// The frame with what differs from a version before; whole rows have a definition.
    fn change(&mut self, from: Version, differs: &[(JobId, bool)]) -> Text {
        let (root, version) = (self.root, self.version);
        let (rows, missing) = Default::default();
        let frame = Frame::Snap(Snapshot { root, version, from: Some(from), rows, missing });
        let mut rows = Vec::new();
        for (id, is_whole) in differs {
            let Some(row) = self.rows.get(id) else { continue };
            rows.push(match is_whole {
                true => write(row),
                false => {
                    let without = || write(&JobSummary { definition: None, ..row.clone() });
                    self.texts.entry(*id).or_insert_with(without).clone()
                }
            });
        }
        Text::with_rows(&frame, &rows)
    }
}

/// A snapshot as its viewers get it; each form is written once for all of them.
#[derive(Debug)]
pub(super) struct Tick {
    pub snapshot: Snapshot,
    /// The version of the tick before, and what differs from it.
    change: Option<(Version, Text)>,
    whole: OnceLock<Text>,
}

impl Tick {
    /// The tick that follows another one; `None` if the rows are as they were, unless a viewer
    /// waits for a later version of them, or if they are older.
    pub fn after(
        before: Option<&Self>,
        rows: &mut Rows,
        ids: &[JobId],
        is_awaited: bool,
    ) -> Option<Self> {
        let snapshot = rows.window(ids);
        let Some(Self { snapshot: before, .. }) = before else {
            return Some(Self { snapshot, change: None, whole: OnceLock::new() });
        };
        let is_same = before.rows == snapshot.rows && before.missing == snapshot.missing;
        let is_told = is_same && (!is_awaited || before.version == snapshot.version);
        if is_told || before.version > snapshot.version {
            return None;
        }
        let known: BTreeMap<JobId, &JobSummary> =
            before.rows.iter().map(|row| (row.id, row)).collect();
        let differs = snapshot.rows.iter().filter(|row| known.get(&row.id) != Some(row));
        let differs: Vec<_> = differs.map(|row| (row.id, !known.contains_key(&row.id))).collect();
        let change = Some((before.version, rows.change(before.version, &differs)));
        Some(Self { snapshot, change, whole: OnceLock::new() })
    }

    pub fn version(&self) -> Version {
        self.snapshot.version
    }

    /// What a viewer is told that has the tick of this version.
    pub fn text(&self, has: Option<Version>) -> Text {
        match &self.change {
            Some((from, change)) if has == Some(*from) => change.clone(),
            _ => {
                let whole = || Text::of(&Frame::Snap(self.snapshot.clone()));
                self.whole.get_or_init(whole).clone()
            }
        }
    }
}

/// Rows that are shown: sorted ids, each once.
pub(super) fn window_of(mut ids: Vec<JobId>) -> Arc<[JobId]> {
    ids.sort_unstable();
    ids.dedup();
    ids.into()
}
