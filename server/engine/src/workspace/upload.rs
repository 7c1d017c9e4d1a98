//! The operations on the workspace that only a tree of an upload needs.

use std::{collections::HashMap, sync::Arc};

use jobtracker_model::{JobId, Repeat, State, Timestamp, upload::UploadId};
use jobtracker_store::{Loaded, Node, Row, TreeResultRow};

use super::{TreeChanges, Workspace};
use crate::upload::{Step, UploadTree, What};

impl Workspace {
    /// The result of a tree of an upload, if it has been applied.
    pub fn tree_result(&self, commit: &UploadId, root: JobId) -> Option<&TreeResultRow> {
        self.tree_results.get(&(commit.clone(), root))
    }

    /// Whether the commit of this tree publishes something already.
    pub fn publishes(&self, root: JobId) -> bool {
        self.changed.get(&root).is_some_and(|tree| tree.publishes.is_some())
    }

    /// A workspace with the jobs of these steps and their ancestors, in their present state.
    pub fn fork(&self, steps: &[Step]) -> Self {
        let mut loaded = Loaded::default();
        for Step { id, what, .. } in steps {
            match what {
                What::Report { change, .. } => {
                    let key = change.change_id.clone().map(|name| (*id, Repeat::Change(name)));
                    let known = key.and_then(|key| Some((key.clone(), *self.repeats.get(&key)?)));
                    loaded.repeats.extend(known);
                }
                What::Options(_) => {
                    let known = self.definitions.get(id).map(|known| (*id, Arc::clone(known)));
                    loaded.definitions.extend(known);
                }
                What::Growth(_) | What::Line { .. } => {}
            }
            let mut next = Some(*id);
            while let Some((id, node)) = next.and_then(|id| Some((id, self.nodes.get(&id)?))) {
                if loaded.nodes.contains_key(&id) {
                    break;
                }
                next = node.origin.parent;
                loaded.nodes.insert(id, node.clone());
            }
        }
        Self::new(loaded)
    }

    /// Existing jobs whose visible state has changed.
    pub fn changed_states(&self) -> impl Iterator<Item = (JobId, State)> {
        let statuses = self.changed.values().flat_map(|tree| &tree.statuses);
        statuses.filter_map(|(id, before)| {
            let state = self.nodes[id].status.state;
            before.filter(|before| *before != state).map(|_| (*id, state))
        })
    }

    /// Takes over a fork's changes to its jobs.
    pub fn merge(&mut self, mut fork: Self) {
        for (root, tree) in std::mem::take(&mut fork.changed) {
            let TreeChanges { statuses, definitions, appended, .. } = tree;
            let own = self.changed.entry(root).or_default();
            for (id, before) in statuses {
                own.statuses.entry(id).or_insert(before);
                self.nodes.extend(fork.nodes.remove(&id).map(|node| (id, node)));
            }
            for (id, definition) in definitions {
                self.definitions.insert(id, definition.clone());
                own.definitions.insert(id, definition);
            }
            own.appended.extend(appended);
            // A fork has no follow-ups: they are computed from its result.
        }
        self.repeats.extend(fork.repeats);
    }

    /// Adds the new jobs of a tree of an upload, with the follow-ups of their states. If some of
    /// them are staged, the others are as invisible to the rest of the group as the staged ones.
    pub fn graft(&mut self, uploaded: &UploadTree, now: Timestamp) {
        let rows = uploaded.rows.iter().cloned().chain(uploaded.upcoming.rows(uploaded.root, now));
        let tree = self.changed.entry(uploaded.root).or_default();
        if let Some(stage) = &uploaded.stage {
            tree.publishes = Some(stage.id);
            tree.appended.extend(rows);
            return;
        }
        let mut born = HashMap::new();
        for row in rows {
            match row {
                Row::Job { id, origin, definition } => {
                    born.insert(id, origin);
                    tree.created.push(id);
                    self.definitions.insert(id, definition);
                }
                Row::Status { id, status, .. } => {
                    let Some(origin) = born.remove(&id) else { continue };
                    tree.statuses.insert(id, None);
                    self.nodes.insert(id, Node { origin, status });
                }
                Row::Repeat { id, key, row } => {
                    self.repeats.insert((id, key.clone()), row);
                    tree.appended.push(Row::Repeat { id, key, row });
                }
                // So that a later change to a new job in the same group knows its follow-ups.
                Row::FollowUp { id, key, before, row } => {
                    tree.follow_ups.insert((id, key), before);
                    self.follow_ups.insert((id, key), row);
                }
                other => tree.appended.push(other),
            }
        }
    }

    /// Notes the result of a tree of an upload.
    pub fn decide(&mut self, commit: &UploadId, row: TreeResultRow) {
        let root = row.tree_result.root;
        let tree = self.changed.entry(root).or_default();
        tree.appended.push(Row::TreeResult { commit: commit.clone(), row: row.clone() });
        self.tree_results.insert((commit.clone(), root), row);
    }
}
