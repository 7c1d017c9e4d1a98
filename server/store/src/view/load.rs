use std::collections::hash_map::Entry;

use jobtracker_model::{JobId, State};

use super::{Child, View};
use crate::{Error, FollowUpKey, JobRow, Loaded, Node, Origin, Result, Wanted};

/// The rows that a group of operations needs.
///
/// # Errors
/// The rows cannot be read.
pub fn load(view: &dyn View, wanted: &Wanted) -> Result<Loaded> {
    let mut loaded = Loaded::default();
    for &id in &wanted.paths {
        load_path(view, id, &mut loaded)?;
    }
    for &id in &wanted.definitions {
        let origin = match loaded.nodes.get(&id) {
            Some(node) => Some(node.origin),
            None => view.origin(id)?,
        };
        let Some(origin) = origin else { continue };
        if let Some(definition) = view.definition(id, origin.parent)? {
            loaded.definitions.insert(id, definition);
        }
    }
    for (id, key) in &wanted.repeats {
        if let Some(row) = view.repeat(*id, key)? {
            loaded.repeats.insert((*id, key.clone()), row);
        }
    }
    for (id, key) in &wanted.attachments {
        if view.attachment(*id, key)?.is_some() {
            loaded.attachments.insert((*id, key.clone()));
        }
    }
    let followed = loaded.nodes.iter().filter(|(_, node)| node.status.flags.followed);
    let mut follow_ups = wanted.follow_ups.clone();
    follow_ups.extend(followed.map(|(id, _)| (*id, FollowUpKey::Watch)));
    for (id, key) in follow_ups {
        if let Some(row) = view.follow_up(id, key)? {
            loaded.follow_ups.insert((id, key), row);
        }
    }
    for (commit, root) in &wanted.tree_results {
        // An upload cannot have been applied to a tree that is not there.
        if wanted.paths.contains(root) && !loaded.nodes.contains_key(root) {
            continue;
        }
        if let Some(row) = view.tree_result(commit, *root)?
            && row.tree_result.is_applied()
        {
            loaded.tree_results.insert((commit.clone(), *root), row);
        }
    }
    Ok(loaded)
}

/// Loads a job and its ancestors, as far as they are not loaded yet.
fn load_path(view: &dyn View, id: JobId, loaded: &mut Loaded) -> Result<()> {
    if loaded.nodes.contains_key(&id) {
        return Ok(());
    }
    let Some(node) = view.node(id)? else { return Ok(()) };
    let Origin { root, mut parent, .. } = node.origin;
    loaded.nodes.insert(id, node);
    while let Some(above) = parent {
        if loaded.nodes.contains_key(&above) {
            break;
        }
        let node = must_be_there(view, above)?;
        parent = node.origin.parent;
        loaded.nodes.insert(above, node);
    }
    if let Entry::Vacant(version) = loaded.versions.entry(root) {
        version.insert(view.version(root)?);
    }
    Ok(())
}

/// One job.
///
/// # Errors
/// The rows cannot be read.
pub fn get_job(view: &dyn View, id: JobId) -> Result<Option<JobRow>> {
    view.node(id)?.map(|node| job_of(view, id, node)).transpose()
}

/// Visible states, in the order of the ids; `WaitingForActivation` for unknown ones.
///
/// # Errors
/// The rows cannot be read.
pub fn get_states(view: &dyn View, ids: &[JobId]) -> Result<Vec<State>> {
    let state = |id: &JobId| {
        let node = view.node(*id)?;
        Ok(node.map_or(State::WaitingForActivation, |node| node.status.state))
    };
    ids.iter().map(state).collect()
}

/// The node of the job that a list is asked of.
pub(super) fn subject(view: &dyn View, id: JobId) -> Result<Node> {
    view.node(id)?.ok_or(Error::UnknownJob(id))
}

/// The node of a job that another row names.
pub(super) fn must_be_there(view: &dyn View, id: JobId) -> Result<Node> {
    view.node(id)?.ok_or_else(|| Error::Corrupt(format!("job {id} is spoken of and not there")))
}

/// The whole job that belongs to a node.
pub(super) fn job_of(view: &dyn View, id: JobId, node: Node) -> Result<JobRow> {
    let definition = view
        .definition(id, node.origin.parent)?
        .ok_or_else(|| Error::Corrupt(format!("job {id} has no definition")))?;
    Ok(JobRow::new(id, node, definition))
}

/// The part of a parent that its children need to become whole jobs.
#[derive(Clone, Copy)]
pub(super) struct Parent {
    pub id: JobId,
    root: JobId,
    depth: u32,
}

impl Parent {
    pub fn new(id: JobId, origin: &Origin) -> Self {
        Self { id, root: origin.root, depth: origin.depth }
    }

    /// One of its children as a parent.
    pub fn of(self, child: JobId) -> Self {
        Self { id: child, depth: self.depth + 1, ..self }
    }

    /// The whole job of one of its children.
    pub fn job(self, child: Child) -> JobRow {
        let Child { id, definition, status } = child;
        let (root, depth) = (self.root, self.depth + 1);
        JobRow { id, parent: Some(self.id), root, depth, definition, status }
    }
}
