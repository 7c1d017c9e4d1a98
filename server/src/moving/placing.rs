use std::sync::Arc;

use jobtracker_model::JobId;
use jobtracker_store::{
    Document, DocumentChange, Error as StoreError, Result as StoreResult, Row, StageId, Store,
    TreeCommit,
};

use super::{
    MovingError, Result,
    rows::{self, patiently},
    tally::Sum,
};

/// The result of one tree or document.
pub(super) enum Placed {
    /// It is new in the store.
    New,
    /// The store had the same before.
    There,
    /// The store does not have it, or has it with differences.
    Failed(String),
}

/// How a tree in a store compares with what it should be.
enum Found {
    Nothing,
    Same,
    Other(String),
}

/// Makes a new tree visible, and reads it back.
///
/// # Errors
/// The store cannot be used.
pub(super) async fn place_tree(
    store: &Arc<dyn Store>,
    root: JobId,
    rows: Vec<Row>,
    publishes: Option<StageId>,
    sum: Sum,
) -> Result<Placed> {
    // An existing tree is not changed.
    if publishes.is_none()
        && let Some(placed) = there(store, root, sum).await?
    {
        return Ok(placed);
    }
    let commit = TreeCommit { root, expected: 0, rows, publishes };
    let ask = || async { store.commit(vec![commit.clone()]).await.remove(0) };
    match patiently(ask).await {
        Ok(()) => Ok(match look(store, root, sum).await? {
            Found::Same => Placed::New,
            Found::Nothing => Placed::Failed("it was put in, and is not there".into()),
            Found::Other(what) => Placed::Failed(format!("it was put in, and now {what}")),
        }),
        // A try with an unknown outcome may have committed the tree.
        Err(StoreError::Stale { .. }) => {
            let placed = there(store, root, sum).await?;
            Ok(placed.unwrap_or_else(|| Placed::Failed(IDS_ARE_TAKEN.into())))
        }
        Err(source) => Err(MovingError::Tree { root, source }),
    }
}

/// The result for a tree that exists already; `None` if it does not.
///
/// # Errors
/// The store cannot be used.
pub(super) async fn there(store: &Arc<dyn Store>, root: JobId, sum: Sum) -> Result<Option<Placed>> {
    Ok(match look(store, root, sum).await? {
        Found::Nothing => None,
        Found::Same => Some(Placed::There),
        Found::Other(what) => Some(Placed::Failed(format!("it is there already, and {what}"))),
    })
}

async fn look(store: &Arc<dyn Store>, root: JobId, sum: Sum) -> Result<Found> {
    let Some((node, _)) = rows::root(store, root).await? else { return Ok(Found::Nothing) };
    if node.origin.parent.is_some() {
        return Ok(Found::Other("is part of another tree".into()));
    }
    // The root shows at once that a tree has another size; all other differences take reading it.
    let (jobs, due) = (node.status.subtree.total.saturating_add(1), sum.counts.jobs);
    if jobs != due {
        return Ok(Found::Other(format!("has {jobs} jobs instead of {due}")));
    }
    let found = rows::sum(store, root).await?;
    Ok(if found.has_come_from(&sum) {
        Found::Same
    } else if found.counts == sum.counts {
        Found::Other("has as many rows, but other ones".into())
    } else {
        Found::Other(format!("has {:?} instead of {:?}", found.counts, sum.counts))
    })
}

/// Creates a document, unless there is one, which is kept as it is.
///
/// # Errors
/// The store cannot be used.
pub(super) async fn place_document(store: &Arc<dyn Store>, document: &Document) -> Result<Placed> {
    let change = match DocumentChange::put(document.clone(), None) {
        Ok(change) => change,
        Err(error) => return Ok(Placed::Failed(error.to_string())),
    };
    let get = || store.get_document(&document.id);
    if let Some(found) = patiently(get).await? {
        return Ok(found_document(document, &found));
    }
    match patiently(|| store.change_document(change.clone())).await {
        Ok(()) => Ok(Placed::New),
        // Another client was faster.
        Err(StoreError::StaleDocument(_)) => Ok(match patiently(get).await? {
            Some(found) => found_document(document, &found),
            None => Placed::Failed("others change it meanwhile".into()),
        }),
        Err(error) => Err(error.into()),
    }
}

fn found_document(due: &Document, found: &Document) -> Placed {
    if found.bytes == due.bytes {
        return Placed::There;
    }
    Placed::Failed("it is there already with another content, which is kept".into())
}

const IDS_ARE_TAKEN: &str = "ids of its jobs are taken by other trees";

/// Rows of one tree that are staged; discarded unless they are published.
pub(super) struct Stage {
    store: Arc<dyn Store>,
    pub id: StageId,
    root: JobId,
}

impl Stage {
    /// Opens a stage under an id that no other stage has.
    pub fn open(store: &Arc<dyn Store>, root: JobId) -> Self {
        Self { store: Arc::clone(store), id: StageId(rand::random()), root }
    }

    pub async fn put(&self, rows: Vec<Row>) -> StoreResult<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.store.stage(self.id, self.root, rows).await
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.store.discard(self.id);
    }
}

/// What an error of staging means for the tree: it is not in the store, but the trees after it in
/// the file may still be imported.
///
/// # Errors
/// The store cannot be used.
pub(super) fn not_staged(root: JobId, error: StoreError) -> Result<String> {
    match error {
        StoreError::Stale { .. } => Ok(IDS_ARE_TAKEN.into()),
        StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_) => {
            Ok(format!("{error}; import the file again"))
        }
        source => Err(MovingError::Tree { root, source }),
    }
}
