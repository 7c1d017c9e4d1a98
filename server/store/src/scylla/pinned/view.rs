//! A tree at one snapshot, for the lists that are made of it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use futures_util::{Stream, StreamExt, TryFutureExt, TryStreamExt, stream};
use jobtracker_model::{Change, Definition, JobId, LogLine, Repeat, limits, upload::UploadId};

use super::{Known, PinnedTree};
use crate::{
    Error, FollowUp, FollowUpKey, JobRow, Loaded, Node, Order, RepeatRow, Result, Tombstone,
    TreeResultRow, Version, Wanted,
    coding::{self, LineRow},
    scylla::{
        cluster::{READS_AT_ONCE, Several},
        keys::{self, detail, tree_result},
        trees::Location,
        uploads::KindRow,
    },
    view::{self, Child, Parent, Selection, View},
};

/// Key, version and size, and when the text was written if there is one.
type SizeRow = (String, Option<i64>, Option<i32>, Option<i64>);

impl PinnedTree {
    async fn place_of(&self, id: JobId) -> Result<Option<Location>> {
        Ok(self.find(&[id]).await?.remove(&id))
    }

    /// Where the jobs of the wanted paths are, and all jobs above them.
    async fn path_places(&self, wanted: &Wanted) -> Result<HashMap<JobId, Location>> {
        let mut places = HashMap::new();
        let mut level: Vec<JobId> = wanted.paths.iter().copied().collect();
        while !level.is_empty() {
            let found = self.find(&level).await?;
            let above = found.values().filter_map(|place| place.origin.parent);
            let above: HashSet<JobId> = above.collect();
            places.extend(found);
            level = above.into_iter().filter(|id| !places.contains_key(id)).collect();
        }
        Ok(places)
    }

    /// Jobs at this snapshot.
    async fn several(&self, ids: HashSet<JobId>) -> Result<HashMap<JobId, Known>> {
        let ids: Vec<JobId> = ids.into_iter().collect();
        let places = self.find(&ids).await?;
        let asked: Vec<_> = places.into_iter().map(|(id, place)| (id, place, false)).collect();
        self.read(&asked).await
    }
}

/// It answers [`Error::Stale`] when the tables have gone on to what came after the snapshot. Jobs
/// of other trees are not there.
impl View for PinnedTree {
    async fn version(&self, root: JobId) -> Result<Version> {
        Ok(if root == self.tail.root { self.tail.version } else { 0 })
    }

    /// A tree that is here is not deleted.
    async fn tombstone(&self, _: JobId) -> Result<Option<Tombstone>> {
        Ok(None)
    }

    async fn node(&self, id: JobId) -> Result<Option<Node>> {
        let known = self.one(id, false).await?;
        Ok(known.map(|Known { place, status, .. }| Node { origin: place.origin, status }))
    }

    async fn definition(&self, id: JobId, _: Option<JobId>) -> Result<Option<Arc<Definition>>> {
        Ok(self.one(id, true).await?.and_then(|known| known.definition))
    }

    async fn job(&self, id: JobId) -> Result<Option<JobRow>> {
        let Some(Known { place, status, definition }) = self.one(id, true).await? else {
            return Ok(None);
        };
        let missing = || Error::Corrupt(format!("job {id} has no definition"));
        let node = Node { origin: place.origin, status };
        Ok(Some(JobRow::new(id, node, definition.ok_or_else(missing)?)))
    }

    async fn repeat(&self, id: JobId, key: &Repeat) -> Result<Option<RepeatRow>> {
        let jobs = self.several([id].into()).await?;
        Ok(self.appends(&[(id, key.clone())], &jobs).await?.into_values().next())
    }

    async fn attachment(&self, id: JobId, key: &str) -> Result<Option<String>> {
        if let Some(text) = self.tail.attachment(id, key) {
            return Ok(text.map(str::to_owned));
        }
        // Nothing is kept under keys that are too long.
        if key.len() > limits::ATTACHMENT_KEY || self.tail.is_whole_tree() {
            return Ok(None);
        }
        let Some(place) = self.place_of(id).await? else { return Ok(None) };
        let row = self.detail(id, place, detail::ATTACHMENT, key).await?;
        let Some((version, body)) = row else { return Ok(None) };
        if !self.is_past(version) {
            return Err(self.stale());
        }
        body.map(|body| coding::decode_text("attachment", &body)).transpose()
    }

    async fn follow_up(&self, id: JobId, key: FollowUpKey) -> Result<Option<FollowUp>> {
        if let Some(row) = self.tail.follow_up(id, key) {
            return Ok(Some(row.clone()));
        }
        if self.tail.is_whole_tree() {
            return Ok(None);
        }
        let Some(place) = self.place_of(id).await? else { return Ok(None) };
        let row = match key {
            FollowUpKey::Delivery(number) => self.delivery(id, place, number).await?,
            key => {
                let (kind, name) = keys::follow_up(key);
                self.detail(id, place, kind, &name).await?
            }
        };
        let Some((version, body)) = row else { return Ok(None) };
        if !self.is_past(version) {
            return Err(self.stale());
        }
        body.map(|body| coding::decode("follow-up", &body)).transpose()
    }

    /// Only that it was applied.
    async fn tree_result(&self, upload: &UploadId, root: JobId) -> Result<Option<TreeResultRow>> {
        if let Some(row) = self.tail.tree_result(upload) {
            return Ok(Some(row.clone()));
        }
        if self.tail.is_whole_tree() {
            return Ok(None);
        }
        let cluster = self.cluster();
        let key = (upload.as_str(), keys::number(root));
        let rows: Vec<KindRow> = cluster.rows(&cluster.statements.tree_result, key).await?;
        for (kind, version, body) in rows {
            if let (tree_result::APPLIED, Some(body)) = (kind, body) {
                if !self.is_past(version) {
                    return Err(self.stale());
                }
                return coding::decode("tree result", &body).map(Some);
            }
        }
        Ok(None)
    }

    fn children(
        &self,
        parent: Parent,
        after: Option<JobId>,
        order: Order,
        selection: Selection,
    ) -> impl Stream<Item = Result<Child>> {
        self.selected_children(parent, after, order, selection)
    }

    fn child_ids(&self, parent: Parent, after: Option<JobId>) -> impl Stream<Item = Result<JobId>> {
        let children = self.selected_children(parent, after, Order::Oldest, Selection::Ids);
        children.map_ok(|child| child.id)
    }

    fn changes(&self, id: JobId, from: u32) -> impl Stream<Item = Result<(u32, Change)>> {
        let later = self.tail.redos.iter().flat_map(|redo| redo.changes(id));
        let later = later.filter(|(number, _)| *number >= from);
        let later = later.map(|(number, change)| (number, change.clone())).collect();
        let changes = (id, keys::history::CHANGE);
        self.history(
            changes,
            from,
            later,
            |status| status.changes,
            |_, body| coding::decode("change", body),
        )
    }

    fn log(&self, id: JobId, from: u32) -> impl Stream<Item = Result<LogLine>> {
        let later = self.tail.redos.iter().flat_map(|redo| redo.lines(id));
        let later = later.filter(|line| line.line >= from);
        let later = later.map(|line| (line.line, line.clone())).collect();
        let lines = (id, keys::history::LINE);
        let log = self.history(
            lines,
            from,
            later,
            |status| status.log_lines,
            |number, body| {
                let line: LineRow<'static> = coding::decode("line of a log", body)?;
                Ok(line.numbered(number))
            },
        );
        log.map_ok(|(_, line)| line)
    }

    fn repeats(&self, id: JobId) -> impl Stream<Item = Result<(Repeat, RepeatRow)>> {
        let all = async move {
            let all = match self.place_of(id).await? {
                Some(place) => self.all_appends(id, place).await?,
                None => BTreeMap::new(),
            };
            Ok(stream::iter(all.into_iter().map(Ok)))
        };
        all.try_flatten_stream()
    }

    fn attachments(&self, id: JobId) -> impl Stream<Item = Result<(String, usize)>> {
        let all = async move {
            let mut all: BTreeMap<String, Option<usize>> = BTreeMap::new();
            if !self.tail.is_whole_tree()
                && let Some(place) = self.place_of(id).await?
            {
                let (cluster, kind) = (self.cluster(), detail::ATTACHMENT);
                let key = (keys::number(id), place.stage, kind);
                let rows: Vec<SizeRow> = cluster.rows(&cluster.statements.details, key).await?;
                for (key, version, size, written) in rows {
                    if !self.is_past(version) && self.tail.attachment(id, &key).is_none() {
                        return Err(self.stale());
                    }
                    let size = usize::try_from(size.unwrap_or(0)).unwrap_or(0);
                    all.insert(key, written.map(|_| size));
                }
            }
            for redo in &self.tail.redos {
                let changed = redo.attachments(id);
                all.extend(changed.map(|(key, text)| (key.to_owned(), text.map(str::len))));
            }
            let there = all.into_iter().filter_map(|(key, size)| Some(Ok((key, size?))));
            Ok(stream::iter(there))
        };
        all.try_flatten_stream()
    }

    fn follow_ups(
        &self,
        id: JobId,
        from: FollowUpKey,
    ) -> impl Stream<Item = Result<(FollowUpKey, FollowUp)>> {
        self.walk_follow_ups(id, from)
    }

    /// With all rows of a partition in one read.
    async fn load_jobs(&self, wanted: &Wanted, loaded: &mut Loaded) -> Result<()> {
        let mut places = self.path_places(wanted).await?;
        let on_paths: HashSet<JobId> = places.keys().copied().collect();
        let others: Vec<JobId> = wanted.definitions.difference(&on_paths).copied().collect();
        places.extend(self.find(&others).await?);
        let wants = |id: &JobId| wanted.definitions.contains(id);
        let asked: Vec<_> = places.iter().map(|(id, place)| (*id, *place, wants(id))).collect();
        for (id, Known { place, status, definition }) in self.read(&asked).await? {
            loaded.definitions.extend(definition.filter(|_| wants(&id)).map(|known| (id, known)));
            if on_paths.contains(&id) {
                loaded.nodes.insert(id, Node { origin: place.origin, status });
            }
        }
        Ok(())
    }

    /// With several reads at once.
    async fn load_details(&self, wanted: &Wanted, loaded: &mut Loaded) -> Result<()> {
        let follow_ups = view::wanted_follow_ups(wanted, loaded);
        let ids = wanted.repeats.iter().map(|(id, _)| *id);
        let ids = ids.chain(wanted.attachments.iter().map(|(id, _)| *id));
        let ids = ids.chain(follow_ups.iter().map(|(id, _)| *id)).collect();
        let jobs = self.several(ids).await?;
        loaded.repeats = self.appends(&wanted.repeats, &jobs).await?;
        let mut reads: Several<'_, _> = Vec::new();
        for (id, key) in &wanted.attachments {
            if jobs.get(id).is_some_and(|job| job.status.attachments > 0) {
                reads.push(Box::pin(async move {
                    let text = self.attachment(*id, key).await?;
                    Ok(text.map(|_| (*id, key.clone())))
                }));
            }
        }
        let mut reads = stream::iter(reads).buffer_unordered(READS_AT_ONCE);
        while let Some(attachment) = reads.try_next().await? {
            loaded.attachments.extend(attachment);
        }
        let mut reads: Several<'_, _> = Vec::new();
        for (id, key) in follow_ups {
            if jobs.get(&id).is_some_and(|job| job.status.flags.followed) {
                reads.push(Box::pin(async move {
                    let row = self.follow_up(id, key).await?;
                    Ok(row.map(|row| ((id, key), row)))
                }));
            }
        }
        let mut reads = stream::iter(reads).buffer_unordered(READS_AT_ONCE);
        while let Some(row) = reads.try_next().await? {
            loaded.follow_ups.extend(row);
        }
        let mut reads: Several<'_, _> = Vec::new();
        for &(id, number) in &wanted.changes {
            reads.push(Box::pin(async move {
                let change = self.change(id, number).await?;
                Ok(change.map(|change| ((id, number), change)))
            }));
        }
        let mut reads = stream::iter(reads).buffer_unordered(READS_AT_ONCE);
        while let Some(change) = reads.try_next().await? {
            loaded.changes.extend(change);
        }
        Ok(())
    }
}
