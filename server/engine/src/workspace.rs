//! The rows that a group of operations works on: the store's rows, overlaid with the changes of the
//! operations before. So the operations of one group see each other.

mod upload;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use jobtracker_model::{
    Change, Definition, JobId, LogLine, Repeat, State, Timestamp, rollup::Status, upload::UploadId,
};
use jobtracker_store::{
    FollowUp, FollowUpKey, IndexId, Loaded, Node, Origin, RepeatRow, Row, StageId, Tombstone,
    TreeCommit, TreeResultRow, Version, Watch,
};

use crate::{Error, Result};

pub(crate) struct Workspace {
    nodes: HashMap<JobId, Node>,
    versions: HashMap<JobId, Version>,
    definitions: HashMap<JobId, Arc<Definition>>,
    repeats: HashMap<(JobId, Repeat), RepeatRow>,
    attachments: HashSet<(JobId, String)>,
    follow_ups: HashMap<(JobId, FollowUpKey), FollowUp>,
    tree_results: HashMap<(UploadId, JobId), TreeResultRow>,
    /// What is kept of deleted trees.
    tombstones: HashMap<JobId, Tombstone>,
    /// Jobs that operations of this group have deleted, with their trees.
    deleted: HashMap<JobId, JobId>,
    changed: HashMap<JobId, TreeChanges>,
    /// Deliveries that were not made, because a job is at its limit of deliveries.
    pub lost: u32,
}

/// What the operations changed in one tree.
#[derive(Default)]
struct TreeChanges {
    /// Jobs whose status has changed, with the visible state that the store has.
    statuses: BTreeMap<JobId, Option<State>>,
    created: Vec<JobId>,
    definitions: BTreeMap<JobId, Arc<Definition>>,
    attachments: BTreeMap<(JobId, String), Option<String>>,
    /// Follow-ups that are new or changed, with the index entry that the store has.
    follow_ups: BTreeMap<(JobId, FollowUpKey), Option<(IndexId, Timestamp)>>,
    /// Rows that are written once and never again.
    appended: Vec<Row>,
    publishes: Option<StageId>,
}

impl Workspace {
    pub fn new(loaded: Loaded) -> Self {
        Self {
            nodes: loaded.nodes,
            versions: loaded.versions,
            definitions: loaded.definitions,
            repeats: loaded.repeats,
            attachments: loaded.attachments,
            follow_ups: loaded.follow_ups,
            tree_results: loaded.tree_results,
            tombstones: loaded.tombstones,
            deleted: HashMap::new(),
            changed: HashMap::new(),
            lost: 0,
        }
    }

    pub fn origin(&self, id: JobId) -> Option<&Origin> {
        self.nodes.get(&id).map(|node| &node.origin)
    }

    /// The tree of a job, also of one that was deleted in this group.
    pub fn root(&self, id: JobId) -> Option<JobId> {
        let root = self.origin(id).map(|origin| origin.root);
        root.or_else(|| self.deleted.get(&id).copied())
    }

    /// A job and its ancestors, as far as the workspace has them.
    pub fn path(&self, id: JobId) -> impl Iterator<Item = JobId> {
        let known = |id: JobId| self.origin(id).map(|_| id);
        let parent = move |id: &JobId| self.origin(*id).and_then(|origin| origin.parent);
        std::iter::successors(known(id), parent)
    }

    pub fn status(&self, id: JobId) -> Option<&Status> {
        self.nodes.get(&id).map(|node| &node.status)
    }

    /// The node of a job, for a change.
    pub fn change(&mut self, id: JobId) -> Option<&mut Node> {
        let node = self.nodes.get_mut(&id)?;
        let tree = self.changed.entry(node.origin.root).or_default();
        tree.statuses.entry(id).or_insert(Some(node.status.state));
        Some(node)
    }

    pub fn create(
        &mut self,
        id: JobId,
        origin: Origin,
        definition: Arc<Definition>,
        status: Status,
    ) {
        let tree = self.changed.entry(origin.root).or_default();
        tree.statuses.insert(id, None);
        tree.created.push(id);
        self.definitions.insert(id, definition);
        self.nodes.insert(id, Node { origin, status });
    }

    pub fn definition(&self, id: JobId) -> Option<&Arc<Definition>> {
        self.definitions.get(&id)
    }

    pub fn set_definition(&mut self, id: JobId, definition: Definition) {
        let definition = Arc::new(definition);
        self.definitions.insert(id, Arc::clone(&definition));
        self.tree(id).definitions.insert(id, definition);
    }

    pub fn append_change(&mut self, id: JobId, number: u32, change: Change) {
        self.tree(id).appended.push(Row::Change { id, number, change });
    }

    pub fn append_line(&mut self, id: JobId, line: LogLine) {
        self.tree(id).appended.push(Row::LogLine { id, line });
    }

    pub fn repeat(&self, id: JobId, key: &Repeat) -> Option<&RepeatRow> {
        self.repeats.get(&(id, key.clone()))
    }

    pub fn remember(&mut self, id: JobId, key: Repeat, row: RepeatRow) {
        self.tree(id).appended.push(Row::Repeat { id, key: key.clone(), row });
        self.repeats.insert((id, key), row);
    }

    pub fn has_attachment(&self, id: JobId, key: &str) -> bool {
        self.attachments.contains(&(id, key.to_owned()))
    }

    pub fn set_attachment(&mut self, id: JobId, key: &str, text: Option<String>) {
        let at = (id, key.to_owned());
        if text.is_some() {
            self.attachments.insert(at.clone());
        } else {
            self.attachments.remove(&at);
        }
        self.tree(id).attachments.insert(at, text);
    }

    /// The version of a tree that the store has.
    pub fn version(&self, root: JobId) -> Version {
        self.versions.get(&root).copied().unwrap_or(0)
    }

    /// Whether an operation of this group has changed a tree.
    pub fn is_changed(&self, root: JobId) -> bool {
        self.changed.contains_key(&root)
    }

    /// Deletes a tree that has not been changed: the operations behind this one do not find it.
    pub fn delete(&mut self, root: JobId, created: Timestamp, tombstone: Tombstone) {
        let of_tree = self.nodes.extract_if(|_, node| node.origin.root == root);
        self.deleted.extend(of_tree.map(|(id, _)| (id, root)));
        let row = Row::Deleted { root, created, tombstone: tombstone.clone() };
        self.changed.entry(root).or_default().appended.push(row);
        self.tombstones.insert(root, tombstone);
    }

    /// Refuses to create what was deleted.
    pub fn check_not_deleted(&self, root: JobId) -> Result<()> {
        match self.tombstones.get(&root) {
            Some(Tombstone { time, by, .. }) => {
                Err(Error::Gone { root, time: *time, by: by.clone() })
            }
            None => Ok(()),
        }
    }

    /// One commit per tree that has changed.
    pub fn into_commits(mut self) -> Vec<TreeCommit> {
        let changed = std::mem::take(&mut self.changed);
        changed
            .into_iter()
            .map(|(root, tree)| {
                let expected = self.version(root);
                let publishes = tree.publishes;
                TreeCommit { root, expected, rows: self.rows(tree), publishes }
            })
            .collect()
    }

    fn rows(&mut self, tree: TreeChanges) -> Vec<Row> {
        let TreeChanges { statuses, created, mut definitions, attachments, .. } = tree;
        let TreeChanges { follow_ups, appended, .. } = tree;
        let mut rows = appended;
        rows.reserve(statuses.len() + created.len() + definitions.len() + attachments.len());
        for id in created {
            definitions.remove(&id);
            let origin = self.nodes[&id].origin;
            let definition = Arc::clone(&self.definitions[&id]);
            rows.push(Row::Job { id, origin, definition });
        }
        for (id, definition) in definitions {
            let parent = self.nodes[&id].origin.parent;
            rows.push(Row::Definition { id, parent, definition });
        }
        for ((id, key), text) in attachments {
            rows.push(Row::Attachment { id, key, text });
        }
        for ((id, key), before) in follow_ups {
            let Some(row) = self.follow_ups.remove(&(id, key)) else { continue };
            rows.push(Row::FollowUp { id, key, before, row });
        }
        for (id, before) in statuses {
            let Some(Node { origin, status }) = self.nodes.remove(&id) else { continue };
            rows.push(Row::Status { id, parent: origin.parent, before, status });
        }
        rows
    }

    fn tree(&mut self, id: JobId) -> &mut TreeChanges {
        self.changed.entry(self.nodes[&id].origin.root).or_default()
    }

    pub fn follow_up(&self, id: JobId, key: FollowUpKey) -> Option<&FollowUp> {
        self.follow_ups.get(&(id, key))
    }

    /// What has to be known of a job's follow-ups, if it has any.
    pub fn watch(&self, id: JobId) -> Option<&Watch> {
        match self.follow_up(id, FollowUpKey::Watch) {
            Some(FollowUp::Watch(watch)) => Some(watch),
            _ => None,
        }
    }

    /// Notes that a job has follow-ups from now on; answers what is known of them.
    pub fn begin_watch(&mut self, id: JobId) -> Watch {
        if let Some(watch) = self.watch(id) {
            return watch.clone();
        }
        if let Some(node) = self.change(id) {
            node.status.flags.followed = true;
        }
        Watch::default()
    }

    /// Puts a follow-up of an existing job. The workspace knows the store's row of it.
    pub fn set_follow_up(&mut self, id: JobId, key: FollowUpKey, row: FollowUp) {
        let before = self.follow_up(id, key).and_then(FollowUp::entry);
        self.tree(id).follow_ups.entry((id, key)).or_insert(before);
        self.follow_ups.insert((id, key), row);
    }
}
