//! Single jobs, and what the engine asks for before it applies a group of operations.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use jobtracker_model::{Definition, JobId, Repeat, State, upload::UploadId};

use super::{
    locations::{READS_AT_ONCE, Several},
    snapshot::{Known, PinnedTree, Sought, steadily},
    tail::Tail,
    trees::{Location, Trees},
    uploads::Uploads,
};
use crate::{Error, FollowUp, FollowUpKey, JobRow, Loaded, Node, Result, Version, Wanted};

/// Reads that need no list.
pub struct Reads {
    trees: Arc<Trees>,
    tree_results: Arc<Uploads>,
}

/// The wanted rows of one tree.
#[derive(Default)]
struct Part {
    places: HashMap<JobId, Location>,
    paths: HashSet<JobId>,
    definitions: HashSet<JobId>,
    repeats: Vec<(JobId, Repeat)>,
    attachments: Vec<(JobId, String)>,
    follow_ups: Vec<(JobId, FollowUpKey)>,
    tree_results: Vec<UploadId>,
    /// Whether its root is wanted too; when the root is missing, the tree has no result.
    is_wanted: bool,
    /// A head refresh that was begun meanwhile.
    tail: Option<Arc<Tail>>,
}

impl Reads {
    pub fn new(trees: Arc<Trees>, tree_results: Arc<Uploads>) -> Self {
        Self { trees, tree_results }
    }

    /// Loads what a group of operations needs, each tree at one snapshot.
    pub async fn load(&self, wanted: Wanted) -> Result<Loaded> {
        let parts = self.parts(wanted).await?;
        let mut reads: Several<'_, Option<Loaded>> = Vec::new();
        for (root, mut part) in parts {
            reads.push(Box::pin(async move {
                let first = part.tail.take();
                let (tree_results, part) = (&self.tree_results, &part);
                let load =
                    |pinned: Arc<PinnedTree>| async move { part.load(&pinned, tree_results).await };
                steadily(&self.trees, root, first, load).await
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
            loaded.tree_results.extend(part.tree_results);
        }
        Ok(loaded)
    }

    /// The wanted rows, by tree. The trees that are known already do not wait while the others are
    /// searched for: their heads are refreshed meanwhile.
    async fn parts(&self, wanted: Wanted) -> Result<BTreeMap<JobId, Part>> {
        let Wanted { paths, definitions, repeats, attachments, follow_ups, tree_results } = wanted;
        let mut ids: HashSet<JobId> = paths.union(&definitions).copied().collect();
        ids.extend(repeats.iter().map(|(id, _)| *id));
        ids.extend(attachments.iter().map(|(id, _)| *id));
        ids.extend(follow_ups.iter().map(|(id, _)| *id));
        let ids: Vec<JobId> = ids.into_iter().collect();
        let known = ids.iter().filter_map(|id| self.trees.place(*id));
        let known: Vec<JobId> = known.map(|place| place.origin.root).collect();
        // Where nothing has to be searched for, no refresh is begun early.
        let roots: HashSet<JobId> =
            if known.len() < ids.len() { known.into_iter().collect() } else { HashSet::new() };
        let (places, mut tails) =
            futures_util::try_join!(self.trees.find(&ids), self.looks(roots))?;
        let mut parts: BTreeMap<JobId, Part> = BTreeMap::new();
        let root_of = |id: &JobId| places.get(id).map(|place| place.origin.root);
        for (id, place) in &places {
            let root = place.origin.root;
            let part = parts.entry(root).or_default();
            part.places.insert(*id, *place);
            part.tail = part.tail.take().or_else(|| tails.remove(&root));
            if paths.contains(id) {
                part.paths.insert(*id);
            }
            if definitions.contains(id) {
                part.definitions.insert(*id);
            }
        }
        for (id, key) in repeats {
            if let Some(part) = root_of(&id).and_then(|root| parts.get_mut(&root)) {
                part.repeats.push((id, key));
            }
        }
        for (id, key) in attachments {
            if let Some(part) = root_of(&id).and_then(|root| parts.get_mut(&root)) {
                part.attachments.push((id, key));
            }
        }
        for (id, key) in follow_ups {
            if let Some(part) = root_of(&id).and_then(|root| parts.get_mut(&root)) {
                part.follow_ups.push((id, key));
            }
        }
        for (commit, root) in tree_results {
            let is_wanted = paths.contains(&root);
            // An upload cannot have been applied to a tree that is not there.
            if is_wanted && !places.contains_key(&root) {
                continue;
            }
            let part = parts.entry(root).or_default();
            part.is_wanted = is_wanted;
            part.tree_results.push(commit);
        }
        Ok(parts)
    }

    async fn looks(&self, roots: HashSet<JobId>) -> Result<HashMap<JobId, Arc<Tail>>> {
        let mut looks: Several<'_, Option<Arc<Tail>>> = Vec::new();
        for root in roots {
            looks.push(Box::pin(async move { self.trees.refresh(&self.trees.tree(root)).await }));
        }
        let mut looks = stream::iter(looks).buffer_unordered(READS_AT_ONCE);
        let mut tails = HashMap::new();
        while let Some(tail) = looks.try_next().await? {
            tails.extend(tail.map(|tail| (tail.root, tail)));
        }
        Ok(tails)
    }

    /// One job.
    pub async fn get_job(&self, id: JobId) -> Result<Option<JobRow>> {
        Ok(self.job(id).await?.map(|(node, definition)| JobRow::new(id, node, definition)))
    }

    /// The node and the definition of one job.
    pub async fn job(&self, id: JobId) -> Result<Option<(Node, Arc<Definition>)>> {
        let read = |pinned: Arc<PinnedTree>, place: Location| async move {
            let known = pinned.read(&[(id, place, true)]).await?.remove(&id);
            Ok(known.map(|known| (place.origin, known)))
        };
        let Some((origin, known)) = self.of_job(id, read).await? else { return Ok(None) };
        let Known { status, definition } = known;
        let missing = || Error::Corrupt(format!("job {id} has no definition"));
        Ok(Some((Node { origin, status }, definition.ok_or_else(missing)?)))
    }

    /// A follow-up of a job, and the version of its tree at which it was read; `None` if there is
    /// no such job.
    pub async fn follow_up(
        &self,
        id: JobId,
        key: FollowUpKey,
    ) -> Result<Option<(Version, Option<FollowUp>)>> {
        let read = |pinned: Arc<PinnedTree>, place: Location| async move {
            let row = pinned.follow_up(id, place, key).await?;
            Ok(Some((pinned.tail.version, row)))
        };
        self.of_job(id, read).await
    }

    /// Finds a job and reads something of it, both at one snapshot of its tree.
    async fn of_job<T, F>(
        &self,
        id: JobId,
        read: impl Fn(Arc<PinnedTree>, Location) -> F,
    ) -> Result<Option<T>>
    where
        F: Future<Output = Result<Option<T>>>,
    {
        let reservations = match self.trees.place(id) {
            Some(place) => vec![place.reservation(id)],
            None => self.trees.reservations(&[id]).await?,
        };
        for reservation in reservations {
            let read = |pinned: Arc<PinnedTree>| {
                let read = &read;
                async move {
                    match pinned.places(&[reservation]).await?.pop() {
                        Some((_, place)) => read(pinned, place).await,
                        None => Ok(None),
                    }
                }
            };
            let found = steadily(&self.trees, reservation.root, None, read).await?.flatten();
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Visible states, in the order of the ids; those of one tree at one snapshot.
    pub async fn get_states(&self, ids: Vec<JobId>) -> Result<Vec<State>> {
        let mut trees: BTreeMap<JobId, Vec<(JobId, Location, bool)>> = BTreeMap::new();
        for (id, place) in self.trees.find(&ids).await? {
            trees.entry(place.origin.root).or_default().push((id, place, false));
        }
        let mut reads: Several<'_, Option<HashMap<JobId, Known>>> = Vec::new();
        for (root, asked) in trees {
            reads.push(Box::pin(async move {
                let asked = &asked;
                let read = |pinned: Arc<PinnedTree>| async move { pinned.read(asked).await };
                steadily(&self.trees, root, None, read).await
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

    /// The text of an attachment.
    pub async fn get_attachment(&self, id: JobId, key: &str) -> Result<Option<String>> {
        let read = |pinned: Arc<PinnedTree>, place: Location| async move {
            pinned.attachment(id, place, key).await
        };
        self.of_job(id, read).await
    }
}

impl Part {
    async fn load(&self, pinned: &PinnedTree, tree_results: &Uploads) -> Result<Loaded> {
        let places = self.with_ancestors(pinned).await?;
        let wants = |id: &JobId| self.definitions.contains(id);
        let asked: Vec<_> = places.iter().map(|(id, place)| (*id, *place, wants(id))).collect();
        let known = pinned.read(&asked).await?;
        let mut loaded = Loaded::default();
        for id in &self.paths {
            self.load_path(*id, &places, &known, &mut loaded)?;
        }
        if !loaded.nodes.is_empty() {
            loaded.versions.insert(pinned.tail.root, pinned.tail.version);
        }
        for id in &self.definitions {
            let definition = known.get(id).and_then(|known| known.definition.clone());
            loaded.definitions.extend(definition.map(|definition| (*id, definition)));
        }
        self.load_appends(pinned, &known, &mut loaded).await?;
        self.load_follow_ups(pinned, &places, &known, &mut loaded).await?;
        if !self.is_wanted || loaded.nodes.contains_key(&pinned.tail.root) {
            let root = pinned.tail.root;
            for commit in &self.tree_results {
                let row = tree_results.applied(pinned, commit).await?;
                loaded.tree_results.extend(row.map(|row| ((commit.clone(), root), row)));
            }
        }
        Ok(loaded)
    }

    /// The locations of everything that is wanted, and of the jobs above the paths.
    async fn with_ancestors(&self, pinned: &PinnedTree) -> Result<HashMap<JobId, Location>> {
        let mut places = self.places.clone();
        let mut level: HashSet<JobId> = self.paths.clone();
        loop {
            let parents = level.iter().filter_map(|id| places.get(id)?.origin.parent);
            let parents: HashSet<JobId> = parents.collect();
            let next: Vec<JobId> =
                parents.iter().copied().filter(|id| !places.contains_key(id)).collect();
            // A parent that was wanted itself is a path, or its own ancestors are still to come.
            level = parents.into_iter().filter(|id| !self.paths.contains(id)).collect();
            if level.is_empty() {
                return Ok(places);
            }
            places.extend(pinned.find(&next).await?);
        }
    }

    /// Puts a job and its ancestors into the answer, if it is there at this snapshot.
    fn load_path(
        &self,
        id: JobId,
        places: &HashMap<JobId, Location>,
        known: &HashMap<JobId, Known>,
        loaded: &mut Loaded,
    ) -> Result<()> {
        let mut next = known.contains_key(&id).then_some(id);
        while let Some(id) = next {
            let (Some(place), Some(known)) = (places.get(&id), known.get(&id)) else {
                return Err(Error::Corrupt(format!("job {id} is spoken of and not there")));
            };
            let node = Node { origin: place.origin, status: known.status.clone() };
            if loaded.nodes.insert(id, node).is_some() {
                break;
            }
            next = place.origin.parent;
        }
        Ok(())
    }

    /// Follow-ups that are wanted, and what is to be watched at the jobs of the paths.
    async fn load_follow_ups(
        &self,
        pinned: &PinnedTree,
        places: &HashMap<JobId, Location>,
        known: &HashMap<JobId, Known>,
        loaded: &mut Loaded,
    ) -> Result<()> {
        let followed = |id: &JobId| known.get(id).is_some_and(|job| job.status.flags.followed);
        let watched = loaded.nodes.keys().map(|id| (*id, FollowUpKey::Watch));
        let wanted: HashSet<_> = self.follow_ups.iter().copied().chain(watched).collect();
        let mut reads: Several<'_, _> = Vec::new();
        for (id, key) in wanted.into_iter().filter(|(id, _)| followed(id)) {
            let Some(place) = places.get(&id).copied() else { continue };
            reads.push(Box::pin(async move {
                let row = pinned.follow_up(id, place, key).await?;
                Ok(row.map(|row| ((id, key), row)))
            }));
        }
        let mut reads = stream::iter(reads).buffer_unordered(READS_AT_ONCE);
        while let Some(row) = reads.try_next().await? {
            loaded.follow_ups.extend(row);
        }
        Ok(())
    }

    /// Appends that were done before, and attachments.
    async fn load_appends(
        &self,
        pinned: &PinnedTree,
        known: &HashMap<JobId, Known>,
        loaded: &mut Loaded,
    ) -> Result<()> {
        let of = |id: &JobId| Some((*self.places.get(id)?, &known.get(id)?.status));
        let mut sought = Vec::with_capacity(self.repeats.len());
        for (id, key) in &self.repeats {
            let Some((place, status)) = of(id) else { continue };
            sought.push(Sought { id: *id, place, status, key });
        }
        loaded.repeats = pinned.appends(&sought).await?;
        let mut reads: Several<'_, _> = Vec::new();
        for (id, key) in &self.attachments {
            let Some((place, status)) = of(id) else { continue };
            if status.attachments > 0 {
                reads.push(Box::pin(async move {
                    let text = pinned.attachment(*id, place, key).await?;
                    Ok(text.map(|_| (*id, key.clone())))
                }));
            }
        }
        let mut reads = stream::iter(reads).buffer_unordered(READS_AT_ONCE);
        while let Some(attachment) = reads.try_next().await? {
            loaded.attachments.extend(attachment);
        }
        Ok(())
    }
}
