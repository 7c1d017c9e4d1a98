use std::collections::hash_map::Entry;

use jobtracker_model::{JobId, State};

use super::View;
use crate::{Error, Loaded, Node, Result, Wanted};

/// The rows that a group of operations needs.
///
/// # Errors
/// The rows cannot be read.
pub(crate) async fn load<V: View>(view: &V, wanted: &Wanted) -> Result<Loaded> {
    let mut loaded = Loaded::default();
    view.load_jobs(wanted, &mut loaded).await?;
    for node in loaded.nodes.values() {
        let Node { origin, .. } = node;
        if let Some(parent) = origin.parent.filter(|parent| !loaded.nodes.contains_key(parent)) {
            return Err(Error::Corrupt(format!("job {parent} has children and is not there")));
        }
        if let Entry::Vacant(version) = loaded.versions.entry(origin.root) {
            version.insert(view.version(origin.root).await?);
        }
    }
    view.load_details(wanted, &mut loaded).await?;
    for (upload, root) in &wanted.tree_results {
        // An upload cannot have been applied to a tree that is not there.
        if wanted.paths.contains(root) && !loaded.nodes.contains_key(root) {
            continue;
        }
        if let Some(row) = view.tree_result(upload, *root).await?
            && row.tree_result.is_applied()
        {
            loaded.tree_results.insert((upload.clone(), *root), row);
        }
    }
    for root in &wanted.tombstones {
        if let Some(tombstone) = view.tombstone(*root).await? {
            loaded.tombstones.insert(*root, tombstone);
        }
    }
    Ok(loaded)
}

/// Visible states, in the order of the ids; `WaitingForActivation` for unknown ones.
///
/// # Errors
/// The rows cannot be read.
pub(crate) async fn get_states<V: View>(view: &V, ids: &[JobId]) -> Result<Vec<State>> {
    let mut states = Vec::with_capacity(ids.len());
    for &id in ids {
        let node = view.node(id).await?;
        states.push(node.map_or(State::WaitingForActivation, |node| node.status.state));
    }
    Ok(states)
}

/// The node of the job that a list is asked of.
pub(super) async fn subject<V: View>(view: &V, id: JobId) -> Result<Node> {
    view.node(id).await?.ok_or(Error::UnknownJob(id))
}
