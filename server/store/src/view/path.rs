use super::{Parent, SparseIndexes, View, list_ancestors};
use crate::{JobPlaces, Place, Result};
use jobtracker_model::JobId;

/// A job's ancestors, and where it and they stand among their siblings. `None`: to be asked again,
/// of a later view.
///
/// # Errors
/// There is no such job, or the rows cannot be read.
pub(crate) async fn get_path<V: View>(
    view: &V,
    id: JobId,
    indexes: &SparseIndexes,
) -> Result<Option<JobPlaces>> {
    let ancestors = list_ancestors(view, id).await?;
    let root = ancestors.last().map_or(id, |root| root.id);
    let version = view.version(root).await?;
    let mut places = Vec::new();
    let mut child = id;
    for job in &ancestors {
        let parent = Parent::of_job(job);
        let Some(index) = indexes.places(view, parent).await? else { return Ok(None) };
        let (number, siblings) = (index.number(child).await?, parent.children.total());
        places.push(Place { id: child, number, siblings });
        child = job.id;
    }
    Ok(Some(JobPlaces { ancestors, places, version }))
}
