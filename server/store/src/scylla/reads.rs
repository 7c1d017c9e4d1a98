//! Answers from trees: what the engine asks for before it applies a group of operations, single
//! jobs, and lists.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use jobtracker_model::{AttachmentInfo, Change, JobId, LogLine, State};

use super::{
    ScyllaStore,
    cluster::{READS_AT_ONCE, Several},
    pinned::{Known, PinnedTree, steadily},
    tail::Tail,
    trees::{Location, TreeCache},
};
use crate::{
    BlockerRow, BlockersQuery, ChangesQuery, ChildPage, ChildrenQuery, DescendantsQuery, Error,
    FollowUp, FollowUpKey, FollowUpsQuery, JobPlaces, JobRow, Jobs, Listed, Loaded, LogQuery,
    PageLimit, Result, RootKey, RootsQuery, RowsQuery, SampleQuery, ShapeQuery, Version, Wanted,
    view::{self, View},
};

/// Tries with the page size that was asked for. When the tree keeps changing, the page of each
/// further try is smaller by the factor `SMALLER`.
const LARGE_TRIES: usize = 3;
const SMALLER: usize = 4;

#[async_trait]
impl Jobs for ScyllaStore {
    async fn get_job(&self, id: JobId) -> Result<Option<JobRow>> {
        self.trees()?.job(id).await
    }

    async fn get_states(&self, ids: Vec<JobId>) -> Result<Vec<State>> {
        self.trees()?.states(ids).await
    }

    async fn get_attachment(&self, id: JobId, key: &str) -> Result<Option<String>> {
        let read = |tree: Arc<PinnedTree>| async move { tree.attachment(id, key).await };
        self.trees()?.of_job(id, read).await
    }

    async fn list_ancestors(&self, id: JobId) -> Result<Vec<JobRow>> {
        let list =
            |tree: Arc<PinnedTree>, id| async move { view::list_ancestors(&*tree, id).await };
        self.trees()?.ask(id, list).await
    }

    async fn list_children(&self, query: ChildrenQuery) -> Result<ChildPage> {
        let list = |tree: Arc<PinnedTree>, query| async move {
            view::list_children(&*tree, &query, &tree.trees.child_indexes).await
        };
        loop {
            if let Some(page) = self.trees()?.ask(query.clone(), list).await? {
                return Ok(page);
            }
        }
    }

    async fn get_places(&self, id: JobId) -> Result<JobPlaces> {
        let read = |tree: Arc<PinnedTree>, id| async move {
            view::get_path(&*tree, id, &tree.trees.child_indexes).await
        };
        loop {
            if let Some(places) = self.trees()?.ask(id, read).await? {
                return Ok(places);
            }
        }
    }

    async fn list_descendants(&self, query: DescendantsQuery) -> Result<Listed<JobRow, JobId>> {
        let list = |tree: Arc<PinnedTree>, query| async move {
            view::list_descendants(&*tree, &query).await
        };
        self.trees()?.ask(query, list).await
    }

    async fn list_blockers(&self, query: BlockersQuery) -> Result<Listed<BlockerRow, JobId>> {
        let list =
            |tree: Arc<PinnedTree>, query| async move { view::list_blockers(&*tree, &query).await };
        self.trees()?.ask(query, list).await
    }

    async fn get_shape(&self, query: ShapeQuery) -> Result<Vec<JobRow>> {
        let list =
            |tree: Arc<PinnedTree>, query| async move { view::get_shape(&*tree, &query).await };
        self.trees()?.ask(query, list).await
    }

    async fn sample_children(&self, query: SampleQuery) -> Result<Vec<JobRow>> {
        let list = |tree: Arc<PinnedTree>, query| async move {
            view::sample_children(&*tree, &query).await
        };
        self.trees()?.ask(query, list).await
    }

    async fn list_changes(&self, query: ChangesQuery) -> Result<Listed<Change, u32>> {
        let list =
            |tree: Arc<PinnedTree>, query| async move { view::list_changes(&*tree, &query).await };
        self.trees()?.ask(query, list).await
    }

    async fn list_log(&self, query: LogQuery) -> Result<Listed<LogLine, u32>> {
        let list =
            |tree: Arc<PinnedTree>, query| async move { view::list_log(&*tree, &query).await };
        self.trees()?.ask(query, list).await
    }

    async fn list_attachments(&self, id: JobId) -> Result<Vec<AttachmentInfo>> {
        let list =
            |tree: Arc<PinnedTree>, id| async move { view::list_attachments(&*tree, id).await };
        self.trees()?.ask(id, list).await
    }

    async fn list_follow_ups(
        &self,
        query: FollowUpsQuery,
    ) -> Result<Listed<(FollowUpKey, FollowUp), FollowUpKey>> {
        let list = |tree: Arc<PinnedTree>, query| async move {
            view::list_follow_ups(&*tree, &query).await
        };
        self.trees()?.ask(query, list).await
    }

    async fn list_roots(&self, query: RootsQuery) -> Result<Listed<JobRow, RootKey>> {
        self.opened()?.roots.list(query).await
    }
}

/// The wanted rows of one tree.
#[derive(Default)]
struct Part {
    wanted: Wanted,
    /// A head refresh that was begun meanwhile.
    tail: Option<Arc<Tail>>,
}

impl TreeCache {
    /// Loads what a group of operations needs, each tree at one snapshot; but for tombstones, which
    /// are those of trees that are not there.
    pub async fn load(self: &Arc<Self>, wanted: Wanted) -> Result<Loaded> {
        let parts = self.parts(wanted).await?;
        let mut reads: Several<'_, Option<Loaded>> = Vec::new();
        for (root, mut part) in parts {
            reads.push(Box::pin(async move {
                let first = part.tail.take();
                let wanted = &part.wanted;
                let load =
                    |tree: Arc<PinnedTree>, _| async move { view::load(&*tree, wanted).await };
                steadily(self, root, first, load).await
            }));
        }
        let mut reads = stream::iter(reads).buffer_unordered(READS_AT_ONCE);
        let mut loaded = Loaded::default();
        while let Some(part) = reads.try_next().await? {
            let Some(part) = part else { continue };
            let Loaded { nodes, versions, definitions, repeats, attachments, .. } = part;
            loaded.nodes.extend(nodes);
            loaded.versions.extend(versions);
            loaded.definitions.extend(definitions);
            loaded.repeats.extend(repeats);
            loaded.attachments.extend(attachments);
            loaded.follow_ups.extend(part.follow_ups);
            loaded.changes.extend(part.changes);
            loaded.tree_results.extend(part.tree_results);
        }
        Ok(loaded)
    }

    /// The wanted rows, by tree. The trees that are known already do not wait while the others are
    /// searched for: their heads are refreshed meanwhile.
    async fn parts(self: &Arc<Self>, wanted: Wanted) -> Result<BTreeMap<JobId, Part>> {
        let Wanted { paths, definitions, repeats, attachments, follow_ups, .. } = wanted;
        let Wanted { changes, tree_results, .. } = wanted;
        let mut ids: HashSet<JobId> = paths.union(&definitions).copied().collect();
        ids.extend(repeats.iter().map(|(id, _)| *id));
        ids.extend(attachments.iter().map(|(id, _)| *id));
        ids.extend(follow_ups.iter().map(|(id, _)| *id));
        ids.extend(changes.iter().map(|(id, _)| *id));
        let ids: Vec<JobId> = ids.into_iter().collect();
        let known = ids.iter().filter_map(|id| self.place(*id));
        let known: Vec<JobId> = known.map(|place| place.origin.root).collect();
        // Where nothing has to be searched for, no refresh is begun early.
        let roots: HashSet<JobId> =
            if known.len() < ids.len() { known.into_iter().collect() } else { HashSet::new() };
        let (places, mut tails) =
            futures_util::try_join!(self.find(&ids), self.refresh_all(roots))?;
        let mut parts: BTreeMap<JobId, Part> = BTreeMap::new();
        for (id, place) in &places {
            let root = place.origin.root;
            let part = parts.entry(root).or_default();
            part.tail = part.tail.take().or_else(|| tails.remove(&root));
            part.wanted.paths.extend(paths.get(id));
            part.wanted.definitions.extend(definitions.get(id));
        }
        let root_of = |id: &JobId| places.get(id).map(|place| place.origin.root);
        for (id, key) in repeats {
            if let Some(root) = root_of(&id) {
                parts.entry(root).or_default().wanted.repeats.insert((id, key));
            }
        }
        for (id, key) in attachments {
            if let Some(root) = root_of(&id) {
                parts.entry(root).or_default().wanted.attachments.insert((id, key));
            }
        }
        for (id, key) in follow_ups {
            if let Some(root) = root_of(&id) {
                parts.entry(root).or_default().wanted.follow_ups.insert((id, key));
            }
        }
        for (id, number) in changes {
            if let Some(root) = root_of(&id) {
                parts.entry(root).or_default().wanted.changes.insert((id, number));
            }
        }
        for (upload, root) in tree_results {
            // An upload cannot have been applied to a tree that is not there.
            if !paths.contains(&root) || places.contains_key(&root) {
                parts.entry(root).or_default().wanted.tree_results.insert((upload, root));
            }
        }
        Ok(parts)
    }

    async fn refresh_all(
        self: &Arc<Self>,
        roots: HashSet<JobId>,
    ) -> Result<HashMap<JobId, Arc<Tail>>> {
        let mut refreshes: Several<'_, Option<Arc<Tail>>> = Vec::new();
        for root in roots {
            refreshes.push(Box::pin(async move { self.refresh(&self.tree(root)).await }));
        }
        let mut refreshes = stream::iter(refreshes).buffer_unordered(READS_AT_ONCE);
        let mut tails = HashMap::new();
        while let Some(tail) = refreshes.try_next().await? {
            tails.extend(tail.map(|tail| (tail.root, tail)));
        }
        Ok(tails)
    }

    /// One job.
    pub async fn job(self: &Arc<Self>, id: JobId) -> Result<Option<JobRow>> {
        self.of_job(id, |tree| async move { tree.job(id).await }).await
    }

    /// A follow-up of a job, and the version of its tree at which it was read; `None` if there is
    /// no such job.
    pub async fn follow_up(
        self: &Arc<Self>,
        id: JobId,
        key: FollowUpKey,
    ) -> Result<Option<(Version, Option<FollowUp>)>> {
        let read = |tree: Arc<PinnedTree>| async move {
            let row = tree.follow_up(id, key).await?;
            Ok(Some((tree.tail.version, row)))
        };
        self.of_job(id, read).await
    }

    /// Finds a job and reads something of it, both at one snapshot of its tree.
    async fn of_job<T, F>(
        self: &Arc<Self>,
        id: JobId,
        read: impl Fn(Arc<PinnedTree>) -> F,
    ) -> Result<Option<T>>
    where
        F: Future<Output = Result<Option<T>>>,
    {
        let reservations = match self.place(id) {
            Some(place) => vec![place.reservation(id)],
            None => self.reservations(&[id]).await?,
        };
        for reservation in reservations {
            let read = |tree: Arc<PinnedTree>, _| {
                let read = &read;
                async move {
                    match tree.places(&[reservation]).await?.is_empty() {
                        true => Ok(None),
                        false => read(tree).await,
                    }
                }
            };
            let found = steadily(self, reservation.root, None, read).await?.flatten();
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Visible states, in the order of the ids; those of one tree at one snapshot.
    async fn states(self: &Arc<Self>, ids: Vec<JobId>) -> Result<Vec<State>> {
        let mut trees: BTreeMap<JobId, Vec<(JobId, Location, bool)>> = BTreeMap::new();
        for (id, place) in self.find(&ids).await? {
            trees.entry(place.origin.root).or_default().push((id, place, false));
        }
        let mut reads: Several<'_, Option<HashMap<JobId, Known>>> = Vec::new();
        for (root, asked) in trees {
            reads.push(Box::pin(async move {
                let asked = &asked;
                let read = |tree: Arc<PinnedTree>, _| async move { tree.read(asked).await };
                steadily(self, root, None, read).await
            }));
        }
        let mut reads = stream::iter(reads).buffer_unordered(READS_AT_ONCE);
        let mut states = HashMap::new();
        while let Some(known) = reads.try_next().await? {
            let known = known.into_iter().flatten();
            states.extend(known.map(|(id, known)| (id, known.status.state)));
        }
        let state = |id| states.get(id).copied().unwrap_or(State::WaitingForActivation);
        Ok(ids.iter().map(state).collect())
    }

    /// Answers from the tree of the job that is asked about; with a smaller page if the tree keeps
    /// changing.
    pub async fn ask<Q: Question, T, F>(
        self: &Arc<Self>,
        question: Q,
        answer: impl Fn(Arc<PinnedTree>, Q) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let subject = question.subject();
        let place = self.find(&[subject]).await?.remove(&subject);
        let root = place.ok_or(Error::UnknownJob(subject))?.origin.root;
        // A list takes too long to be made beside the head refresh that may refute it.
        let tail = self.refresh(&self.tree(root)).await?;
        let tail = tail.ok_or(Error::UnknownJob(subject))?;
        // The future is boxed: the compiler computes layouts of nested futures to a depth only.
        let answer = |tree, tries| Box::pin(answer(tree, question.after(tries)));
        let made = steadily(self, root, Some(tail), answer).await?;
        made.ok_or(Error::UnknownJob(subject))
    }
}

/// What is asked of the tree of one job.
pub trait Question {
    /// The job.
    fn subject(&self) -> JobId;
    /// The same after some tries.
    fn after(&self, tries: usize) -> Self;
}

impl Question for JobId {
    fn subject(&self) -> JobId {
        *self
    }

    fn after(&self, _: usize) -> Self {
        *self
    }
}

macro_rules! questions {
    ($($query:ident.$subject:ident: $size:ident by $smaller:ident),*) => {$(
        impl Question for $query {
            fn subject(&self) -> JobId {
                self.$subject
            }

            fn after(&self, tries: usize) -> Self {
                Self { $size: $smaller(self.$size, tries), ..self.clone() }
            }
        }
    )*};
}

questions!(
    BlockersQuery.of: limit by smaller,
    ChangesQuery.id: limit by smaller,
    ChildrenQuery.parent: limit by smaller,
    DescendantsQuery.of: limit by smaller,
    FollowUpsQuery.id: limit by smaller,
    LogQuery.id: limit by smaller,
    RowsQuery.root: limit by smaller,
    SampleQuery.parent: jobs by fewer,
    ShapeQuery.of: jobs by fewer
);

/// The limit of a page after some tries.
fn smaller(limit: PageLimit, tries: usize) -> PageLimit {
    let PageLimit { items, bytes, scan } = limit;
    PageLimit { items: fewer(items, tries), bytes, scan: fewer(scan, tries) }
}

/// How many rows are read after some tries.
fn fewer(rows: usize, tries: usize) -> usize {
    let factor = SMALLER.pow((tries + 1).saturating_sub(LARGE_TRIES) as u32);
    (rows / factor).max(1)
}
