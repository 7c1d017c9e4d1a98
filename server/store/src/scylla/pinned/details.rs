//! What repeatable appends did, and other details that are found by name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::{StreamExt, TryStreamExt, stream};
use jobtracker_model::{JobId, Repeat};

use super::{Known, PinnedTree};
use crate::{
    RepeatRow, Result, coding,
    scylla::{
        cluster::{IDS, READS_AT_ONCE, Several},
        keys,
        trees::Location,
    },
};

/// Version and body.
pub type DetailRow = (Option<i64>, Option<Vec<u8>>);
pub type NamedRow = (String, Option<i64>, Option<Vec<u8>>);

type EarlyRow = (i64, Option<i64>, Option<Vec<u8>>);
/// The name of an append, with its result.
type Append = (String, RepeatRow);
/// The jobs of a bucket and a stage, and the kind of their entries.
type Group = (i64, i64, i8);

/// A repeatable append that is looked for.
struct Sought<'a> {
    id: JobId,
    job: &'a Known,
    key: &'a Repeat,
}

impl Sought<'_> {
    fn name(&self) -> &str {
        match self.key {
            Repeat::Change(name) | Repeat::Append(name) => name,
        }
    }

    /// The kind of the entries that it made.
    fn entries(&self) -> i8 {
        keys::repeat_kinds(self.key).0
    }

    fn group(&self) -> Group {
        (keys::bucket(self.id), self.job.place.stage, self.entries())
    }

    /// How many entries it may have made.
    fn count(&self) -> u32 {
        match self.key {
            // A creation cannot be repeated by a name.
            Repeat::Change(_) => self.job.status.changes.saturating_sub(1),
            Repeat::Append(_) => self.job.status.log_lines,
        }
    }

    /// Whether it may stand behind the early ones.
    fn may_be_late(&self) -> bool {
        let last = match self.key {
            Repeat::Change(_) => self.count(),
            Repeat::Append(_) => self.count().saturating_sub(1),
        };
        !keys::is_early(last)
    }
}

impl PinnedTree {
    /// The results of these repeatable appends to these jobs, for those that were done.
    pub(super) async fn appends(
        &self,
        wanted: impl IntoIterator<Item = &(JobId, Repeat)>,
        jobs: &HashMap<JobId, Known>,
    ) -> Result<HashMap<(JobId, Repeat), RepeatRow>> {
        let mut found = HashMap::new();
        let mut left = Vec::new();
        for (id, key) in wanted {
            let Some(job) = jobs.get(id) else { continue };
            let sought = Sought { id: *id, job, key };
            match self.tail.repeat(sought.id, sought.key) {
                Some(row) => drop(found.insert((sought.id, sought.key.clone()), row)),
                None if sought.count() == 0 || self.tail.is_whole_tree() => {}
                None => left.push(sought),
            }
        }
        let mut groups: BTreeMap<Group, BTreeSet<JobId>> = BTreeMap::new();
        for sought in &left {
            groups.entry(sought.group()).or_default().insert(sought.id);
        }
        let early = self.early(groups).await?;
        let mut late: Several<'_, _> = Vec::new();
        for sought in &left {
            let of_job = early.get(&(sought.id, sought.entries())).into_iter().flatten();
            let row = of_job.clone().find(|(name, _)| name == sought.name());
            match row {
                Some((_, row)) => drop(found.insert((sought.id, sought.key.clone()), *row)),
                None if sought.may_be_late() => late.push(Box::pin(self.late(sought))),
                None => {}
            }
        }
        let mut late = stream::iter(late).buffer_unordered(READS_AT_ONCE);
        while let Some(row) = late.try_next().await? {
            found.extend(row);
        }
        Ok(found)
    }

    /// The appends that stand with the entries that they made, by job and kind of entries.
    async fn early(
        &self,
        groups: BTreeMap<Group, BTreeSet<JobId>>,
    ) -> Result<HashMap<(JobId, i8), Vec<Append>>> {
        let statement = &self.cluster().statements.early_repeats;
        let mut reads: Several<'_, (i8, Vec<EarlyRow>)> = Vec::new();
        for ((bucket, stage, entries), ids) in &groups {
            let ids: Vec<i64> = ids.iter().map(|id| keys::number(*id)).collect();
            for ids in ids.chunks(IDS) {
                let key = (*bucket, *entries, ids.to_vec(), *stage);
                let read = self.cluster().rows(statement, key);
                reads.push(Box::pin(async move { Ok((*entries, read.await?)) }));
            }
        }
        let mut reads = stream::iter(reads).buffer_unordered(READS_AT_ONCE);
        let mut early: HashMap<_, Vec<Append>> = HashMap::new();
        while let Some((entries, rows)) = reads.try_next().await? {
            for (id, version, body) in rows {
                // A row that was written after the snapshot is not in it yet.
                if let (Some(id), Some(body)) = (keys::id(id), body)
                    && self.is_past(version)
                {
                    let append = coding::decode("repeat", &body)?;
                    early.entry((id, entries)).or_default().push(append);
                }
            }
        }
        Ok(early)
    }

    async fn late(&self, sought: &Sought<'_>) -> Result<Option<((JobId, Repeat), RepeatRow)>> {
        let (_, kind) = keys::repeat_kinds(sought.key);
        let row = self.detail(sought.id, sought.job.place, kind, sought.name()).await?;
        let Some((version, Some(body))) = row else { return Ok(None) };
        if !self.is_past(version) {
            return Ok(None);
        }
        let row = coding::decode("repeat", &body)?;
        Ok(Some(((sought.id, sought.key.clone()), row)))
    }

    pub(super) async fn detail(
        &self,
        id: JobId,
        place: Location,
        kind: i8,
        key: &str,
    ) -> Result<Option<DetailRow>> {
        let (cluster, key) = (self.cluster(), (keys::number(id), place.stage, kind, key));
        cluster.row(&cluster.statements.detail, key).await
    }

    /// The results of all repeatable appends to a job, by name: those of changes, then those of
    /// lines.
    pub(super) async fn all_appends(
        &self,
        id: JobId,
        place: Location,
    ) -> Result<BTreeMap<Repeat, RepeatRow>> {
        let mut all = BTreeMap::new();
        if !self.tail.is_whole_tree() {
            for key in [Repeat::Change as fn(String) -> Repeat, Repeat::Append] {
                let (entries, kind) = keys::repeat_kinds(&key(String::new()));
                let group = (keys::bucket(id), place.stage, entries);
                let early =
                    self.early([(group, [id].into())].into()).await?.into_values().flatten();
                let late = self.named(id, place, kind).await?;
                all.extend(early.chain(late).map(|(name, row)| (key(name), row)));
            }
        }
        for redo in &self.tail.redos {
            all.extend(redo.repeats(id).map(|(key, row)| (key.clone(), row)));
        }
        Ok(all)
    }

    async fn named(
        &self,
        id: JobId,
        place: Location,
        kind: i8,
    ) -> Result<Vec<(String, RepeatRow)>> {
        let cluster = self.cluster();
        let (mut all, mut behind) = (Vec::new(), String::new());
        loop {
            let key = (keys::number(id), place.stage, kind, behind.as_str());
            let rows: Vec<NamedRow> = cluster.rows(&cluster.statements.detail_bodies, key).await?;
            let Some((last, ..)) = rows.last() else { return Ok(all) };
            behind = last.clone();
            for (key, version, body) in rows {
                if let Some(body) = body
                    && self.is_past(version)
                {
                    all.push((key, coding::decode("repeat", &body)?));
                }
            }
        }
    }
}
