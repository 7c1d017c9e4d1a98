//! Lists made of a consistent view of the rows, shared by all backends.

mod ancestors;
mod blockers;
mod children;
mod descend;
mod descendants;
mod follow_ups;
mod history;
mod load;
pub(crate) mod page;
mod path;
mod roots;
mod rows;
mod sample;
mod selection;
mod shape;
mod sparse;
mod tree_results;
mod waiting;

pub(crate) use ancestors::list_ancestors;
pub(crate) use blockers::list_blockers;
pub(crate) use children::list_children;
pub(crate) use descendants::list_descendants;
pub(crate) use follow_ups::{list_follow_ups, list_index};
pub(crate) use history::{list_attachments, list_changes, list_log};
pub(crate) use load::{get_states, load};
pub(crate) use path::get_path;
pub(crate) use roots::list_roots;
pub(crate) use rows::list_rows;
pub(crate) use sample::sample_children;
pub(crate) use selection::{ChildIndex, Selection};
pub(crate) use shape::get_shape;
pub(crate) use sparse::SparseIndexes;
pub(crate) use tree_results::list_tree_results;
pub(crate) use waiting::list_waiting;

use std::{collections::hash_map::Entry, pin::pin, sync::Arc};

use futures_util::{FutureExt, Stream, TryStreamExt};
use jobtracker_model::{
    Change, Children, Definition, JobId, LogLine, Repeat, Timestamp, rollup::Status,
    upload::UploadId,
};

use crate::{
    Error, FollowUp, FollowUpKey, IndexId, IndexKey, JobRow, Loaded, Node, Order, Origin,
    RepeatRow, Result, RootKey, Tombstone, TreeResultRow, Version, Wanted,
};

/// A child as a list comes to it.
#[derive(Debug, Clone)]
pub(crate) struct Child {
    /// The child.
    pub id: JobId,
    /// Everything that changes.
    pub status: Status,
    /// What its creator said, where the list shows the child.
    pub definition: Option<Arc<Definition>>,
    /// Its position in the tree, where the list asks for it.
    pub origin: Option<Origin>,
}

/// A parent as its children need it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parent {
    /// The parent.
    pub id: JobId,
    /// The numbers of its children.
    pub children: Children,
    /// The root of its tree.
    pub root: JobId,
    depth: u32,
}

impl Parent {
    pub fn new(id: JobId, node: &Node) -> Self {
        let (root, depth) = (node.origin.root, node.origin.depth);
        Self { id, children: node.status.children, root, depth }
    }

    /// A job that has been read as a parent.
    pub fn of_job(job: &JobRow) -> Self {
        let JobRow { id, root, depth, ref status, .. } = *job;
        Self { id, children: status.children, root, depth }
    }

    /// One of its children as a parent.
    fn of(self, child: &Child) -> Self {
        let depth = self.depth + 1;
        Self { id: child.id, children: child.status.children, depth, ..self }
    }

    /// The whole job of one of its children that the list shows.
    pub fn job(self, child: Child) -> Result<JobRow> {
        let Child { id, definition, status, .. } = child;
        let missing = || Error::Corrupt(format!("job {id} has no definition"));
        let definition = definition.ok_or_else(missing)?;
        let (root, depth) = (self.root, self.depth + 1);
        Ok(JobRow { id, parent: Some(self.id), root, depth, definition, status })
    }
}

/// The rows of trees at one instant. The lists are the same whether rows are in this process or
/// have to be waited for; a caller whose rows are here takes the answer by [`at_once`].
///
/// Staged rows are in none of the answers.
pub(crate) trait View {
    /// The version of a tree; 0 when it is not there.
    async fn version(&self, root: JobId) -> Result<Version>;
    /// What is kept of a tree, if it was deleted.
    async fn tombstone(&self, root: JobId) -> Result<Option<Tombstone>>;
    /// What the roll-up needs of a job.
    async fn node(&self, id: JobId) -> Result<Option<Node>>;
    /// The definition of a job with this parent.
    async fn definition(&self, id: JobId, parent: Option<JobId>)
    -> Result<Option<Arc<Definition>>>;
    /// The result of a repeatable append.
    async fn repeat(&self, id: JobId, key: &Repeat) -> Result<Option<RepeatRow>>;
    /// The text of an attachment.
    async fn attachment(&self, id: JobId, key: &str) -> Result<Option<String>>;
    /// A follow-up of a job.
    async fn follow_up(&self, id: JobId, key: FollowUpKey) -> Result<Option<FollowUp>>;
    /// The result that a tree of an upload was applied, or where refusals are kept beside it, any.
    async fn tree_result(&self, upload: &UploadId, root: JobId) -> Result<Option<TreeResultRow>>;

    /// The selected children behind `after`, by rising id or by falling id.
    fn children(
        &self,
        parent: Parent,
        after: Option<JobId>,
        order: Order,
        selection: Selection,
    ) -> impl Stream<Item = Result<Child>>;
    /// The ids of all children behind `after`, rising: as cheaply as they can be had.
    fn child_ids(&self, parent: Parent, after: Option<JobId>) -> impl Stream<Item = Result<JobId>>;
    /// Own changes from a number on. The creation (number 0) is not among the rows.
    fn changes(&self, id: JobId, from: u32) -> impl Stream<Item = Result<(u32, Change)>>;
    /// Lines of the log from a number on.
    fn log(&self, id: JobId, from: u32) -> impl Stream<Item = Result<LogLine>>;
    /// The results of repeatable appends, by name: those of changes, then those of lines.
    fn repeats(&self, id: JobId) -> impl Stream<Item = Result<(Repeat, RepeatRow)>>;
    /// Keys and sizes of the attachments, by key.
    fn attachments(&self, id: JobId) -> impl Stream<Item = Result<(String, usize)>>;
    /// Follow-ups of a job from one on, through all kinds that come later.
    fn follow_ups(
        &self,
        id: JobId,
        from: FollowUpKey,
    ) -> impl Stream<Item = Result<(FollowUpKey, FollowUp)>>;

    /// One job.
    async fn job(&self, id: JobId) -> Result<Option<JobRow>> {
        let Some(node) = self.node(id).await? else { return Ok(None) };
        let definition = self.definition(id, node.origin.parent).await?;
        let missing = || Error::Corrupt(format!("job {id} has no definition"));
        Ok(Some(JobRow::new(id, node, definition.ok_or_else(missing)?)))
    }

    /// One own change.
    async fn change(&self, id: JobId, number: u32) -> Result<Option<Change>> {
        let mut changes = pin!(self.changes(id, number));
        let first = changes.try_next().await?.filter(|(first, _)| *first == number);
        Ok(first.map(|(_, change)| change))
    }

    /// Loads the nodes on the wanted paths, and the wanted definitions.
    async fn load_jobs(&self, wanted: &Wanted, loaded: &mut Loaded) -> Result<()> {
        for &id in &wanted.paths {
            let mut next = Some(id);
            while let Some(id) = next {
                let Entry::Vacant(place) = loaded.nodes.entry(id) else { break };
                let Some(node) = self.node(id).await? else { break };
                next = place.insert(node).origin.parent;
            }
        }
        for &id in &wanted.definitions {
            let parent = match loaded.nodes.get(&id) {
                Some(node) => Some(node.origin.parent),
                None => self.node(id).await?.map(|node| node.origin.parent),
            };
            let Some(parent) = parent else { continue };
            if let Some(definition) = self.definition(id, parent).await? {
                loaded.definitions.insert(id, definition);
            }
        }
        Ok(())
    }

    /// Loads the wanted appends, attachments, follow-ups and changes of jobs whose nodes were
    /// loaded before.
    async fn load_details(&self, wanted: &Wanted, loaded: &mut Loaded) -> Result<()> {
        for (id, key) in &wanted.repeats {
            if let Some(row) = self.repeat(*id, key).await? {
                loaded.repeats.insert((*id, key.clone()), row);
            }
        }
        for (id, key) in &wanted.attachments {
            if self.attachment(*id, key).await?.is_some() {
                loaded.attachments.insert((*id, key.clone()));
            }
        }
        for (id, key) in wanted_follow_ups(wanted, loaded) {
            if let Some(row) = self.follow_up(id, key).await? {
                loaded.follow_ups.insert((id, key), row);
            }
        }
        for &(id, number) in &wanted.changes {
            let change = self.change(id, number).await?;
            loaded.changes.extend(change.map(|change| ((id, number), change)));
        }
        Ok(())
    }
}

/// What is kept beside the trees, at the same instant. On a cluster these lists are not of one
/// instant, and their readers tidy them up, so it has code of its own for them.
pub(crate) trait Lists: View {
    /// Roots created in `from..to` behind `after`, by time and then by id, both rising or both
    /// falling.
    fn roots(
        &self,
        from: Timestamp,
        to: Timestamp,
        order: Order,
        after: Option<RootKey>,
    ) -> impl Stream<Item = Result<RootKey>>;
    /// Entries of a list by time, from one on.
    fn index(&self, index: IndexId, from: IndexKey) -> impl Stream<Item = Result<IndexKey>>;
    /// The results on the trees of an upload by root, behind `after`.
    fn tree_results(
        &self,
        upload: &UploadId,
        after: Option<JobId>,
    ) -> impl Stream<Item = Result<TreeResultRow>>;
}

/// The follow-ups to load: those that are wanted, and the watches of the jobs on the paths. A job
/// that is not followed has none.
pub(crate) fn wanted_follow_ups(wanted: &Wanted, loaded: &Loaded) -> Vec<(JobId, FollowUpKey)> {
    let followed = loaded.nodes.iter().filter(|(_, node)| node.status.flags.followed);
    let watches = followed.map(|(id, _)| (*id, FollowUpKey::Watch));
    let named = wanted.follow_ups.iter().copied().filter(|(id, key)| {
        let node = loaded.nodes.get(id);
        node.is_none_or(|node| node.status.flags.followed && *key != FollowUpKey::Watch)
    });
    watches.chain(named).collect()
}

/// The answer of a view whose rows are all in this process.
pub(crate) fn at_once<T>(answer: impl Future<Output = T>) -> T {
    answer.now_or_never().expect("a view of rows that are here waits for nothing")
}
