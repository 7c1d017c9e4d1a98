//! Names of the jobs between two jobs of a tree.

use std::{collections::HashMap, iter::successors};

use jobtracker_model::{JobId, PathStep};
use jobtracker_store::{Result, Store, Wanted};

/// The jobs between the top and each of these, by name. Neither names nor places in a tree change,
/// so they need not be read at the instant of the list.
pub(crate) async fn paths_to(
    store: &dyn Store,
    of: JobId,
    ids: Vec<JobId>,
) -> Result<HashMap<JobId, Vec<PathStep>>> {
    let wanted = Wanted { paths: ids.iter().copied().collect(), ..Wanted::default() };
    let nodes = store.look_up(wanted).await?.nodes;
    let parent = |id: &JobId| nodes.get(id).and_then(|node| node.origin.parent);
    let between = |id: JobId| {
        let above = successors(parent(&id), |id| parent(id)).take_while(move |id| *id != of);
        above.filter(move |_| id != of)
    };
    let definitions = ids.iter().flat_map(|id| between(*id)).collect();
    let definitions = store.look_up(Wanted { definitions, ..Wanted::default() }).await?.definitions;
    let name = |id: JobId| {
        let definition = definitions.get(&id)?;
        Some(PathStep { id, name: definition.name.clone() })
    };
    let path = |id: JobId| {
        let mut path: Vec<PathStep> = between(id).filter_map(name).collect();
        path.reverse();
        (id, path)
    };
    Ok(ids.into_iter().map(path).collect())
}
