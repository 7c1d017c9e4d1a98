use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use jobtracker_model::{
    JobId, Problem, Timestamp, limits,
    upload::{Item, Record, Refusal, TreeResult, UploadOutcome},
};
use jobtracker_store::{
    Error as StoreError, Loaded, Result as StoreResult, Store, TreeResultRow, UploadRow, Wanted,
};
use roaring::RoaringTreemap;

use super::{
    Stage, UploadTree,
    assembly::{Assembled, Assembly, There},
    follow_ups::Validate,
    receiving::Receiving,
};
use crate::{
    Engine, Error, Result,
    operation::{Operation, Outcome},
};

/// How often a look-up is tried, and the pause after a try for which the store had no room: a
/// second in all.
const LOOK_UPS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);
/// The size in bytes, about, from which on a tree's rows are staged, in parts of this size; a
/// smaller tree is one operation.
const SMALL_TREE: usize = 1024 * 1024;
/// Records whose jobs are looked up at once.
const LOOKED_UP: usize = 512;
/// How many trees of one upload are in the engine at once, and their bytes, about.
const TREES_AT_ONCE: usize = 256;
const BYTES_AT_ONCE: usize = 8 * 1024 * 1024;
/// The number of bits by which ids of one range differ.
const ID_RANGE_BITS: u32 = 16;
/// How long a tree waits for room in the engine's queue, and how often it tries.
const ROOM_WAITED_FOR: Duration = Duration::from_secs(30);
const ROOM_LOOKED_FOR: Duration = Duration::from_millis(50);

/// An upload that comes in, record by record.
///
/// Trees are committed as they come; each becomes visible as a whole, and stays so if the rest of
/// the upload never comes. Dropping the session discards the records of a tree that is not
/// complete. The upload may be sent again when the engine has answered for its complete trees,
/// which [`put_away`](Self::put_away) waits for.
pub struct UploadSession {
    engine: Engine,
    store: Arc<dyn Store>,
    block_updates_after_finish: bool,
    received: Timestamp,
    most_jobs: u64,
    validate: Option<Validate>,
    /// Trees that were applied when the upload was sent before.
    applied: HashMap<JobId, TreeResultRow>,
    roots: HashSet<JobId>,
    /// The new jobs, and how many there are.
    seen: RoaringTreemap,
    jobs: u64,
    /// The ranges to which the ids of the new jobs belong.
    ranges: RoaringTreemap,
    tree: Option<Tree>,
    flying: FuturesUnordered<BoxFuture<'static, Answered>>,
    flying_bytes: usize,
    outcome: UploadOutcome,
    refused: Vec<TreeResultRow>,
    /// Dropped last: a client that sends the upload again does not meet rows that were staged of
    /// it.
    receiving: Arc<Receiving>,
}

impl UploadSession {
    pub(super) fn new(
        engine: Engine,
        receiving: Arc<Receiving>,
        applied: HashMap<JobId, TreeResultRow>,
    ) -> Self {
        let options = engine.options();
        Self {
            store: engine.store(),
            outcome: UploadOutcome::new(receiving.id.clone()),
            engine,
            receiving,
            block_updates_after_finish: options.block_updates_after_finish,
            received: (options.clock)(),
            most_jobs: options.commit_jobs,
            validate: None,
            applied,
            roots: HashSet::new(),
            seen: RoaringTreemap::new(),
            jobs: 0,
            ranges: RoaringTreemap::new(),
            tree: None,
            flying: FuturesUnordered::new(),
            flying_bytes: 0,
            refused: Vec::new(),
        }
    }

    /// Refuses trees with jobs whose actions or checks do not pass. `validate` is called where the
    /// records are taken, and may take its time.
    #[must_use]
    pub fn validating(mut self, validate: Validate) -> Self {
        self.validate = Some(validate);
        self
    }

    /// Takes records that follow those before.
    ///
    /// # Errors
    /// The upload cannot go on: it is too large, was recorded under other rules, or the store does
    /// not answer. Trees that were complete before may have been applied. An error in one tree is
    /// no error here; that tree is refused.
    pub async fn take(&mut self, items: Vec<Item>) -> Result<()> {
        let mut items = items.into_iter().peekable();
        while items.peek().is_some() {
            let batch: Vec<Item> = items.by_ref().take(LOOKED_UP).collect();
            let there = self.look_up(&batch).await?;
            for item in batch {
                let position = item.position;
                self.take_one(item, &there).await.map_err(|error| error.at(position))?;
            }
        }
        Ok(())
    }

    /// The stream has ended: waits for the trees that are under way.
    ///
    /// # Errors
    /// The store does not answer; the upload may be sent again.
    pub async fn finish(mut self) -> Result<UploadOutcome> {
        let done = self.complete_upload().await;
        if done.is_err() {
            self.put_away().await;
        }
        done
    }

    /// Ends without a completion. The upload may be sent again from here on: none of its trees is
    /// under way any more.
    pub async fn put_away(mut self) {
        // Their results are found when they are sent again.
        while self.flying.next().await.is_some() {}
    }

    async fn complete_upload(&mut self) -> Result<UploadOutcome> {
        while !self.flying.is_empty() {
            self.land_one().await?;
        }
        // A tree that was applied before and not sent again is part of the upload all the same.
        for row in std::mem::take(&mut self.applied).into_values() {
            self.outcome.add(&row.tree_result);
        }
        self.outcome.complete = true;
        let row = UploadRow { outcome: self.outcome.clone(), time: self.received };
        self.store.complete_upload(row, std::mem::take(&mut self.refused)).await?;
        Ok(self.outcome.clone())
    }

    /// Finds the origins of the jobs that a batch names, as far as the store has the jobs.
    async fn look_up(&self, batch: &[Item]) -> Result<There> {
        let mut wanted = Wanted::default();
        for item in batch {
            match &item.record {
                Record::Job { id, parent, .. } | Record::FollowedJob { id, parent, .. } => {
                    wanted.paths.insert(*id);
                    wanted.paths.extend(parent.filter(|id| !self.seen.contains(id.get())));
                }
                Record::Existing { id } => drop(wanted.paths.insert(*id)),
                _ => {}
            }
        }
        if wanted.paths.is_empty() {
            return Ok(There::new());
        }
        let loaded = look_up(&*self.store, wanted).await?;
        Ok(loaded.nodes.into_iter().map(|(id, node)| (id, node.origin)).collect())
    }

    async fn take_one(&mut self, item: Item, there: &There) -> Result<()> {
        match &item.record {
            Record::Header { block_updates_after_finish } => {
                let same = *block_updates_after_finish == self.block_updates_after_finish;
                if same { Ok(()) } else { Err(Error::OtherRules) }
            }
            Record::Tree { root } => self.begin_tree(*root, item.position),
            Record::TreeEnd { checksum, .. } => self.end_tree(*checksum).await,
            Record::End { .. } => Ok(()),
            _ => self.take_within_tree(item, there).await,
        }
    }

    fn begin_tree(&mut self, root: JobId, begin: u64) -> Result<()> {
        if self.roots.len() as u64 >= limits::COMMIT_TREES {
            let most = limits::COMMIT_TREES;
            return Err(Error::CommitTooLarge(format!("an upload may have {most} trees")));
        }
        if !self.roots.insert(root) {
            return Err(Error::DuplicateId(root));
        }
        self.tree = Some(match self.applied.remove(&root) {
            Some(row) => Tree::Applied { begin, row: Box::new(row) },
            None => {
                let assembly = Box::new(Assembly::new(root, begin, self.received));
                Tree::Receiving { assembly, stage: None }
            }
        });
        Ok(())
    }

    async fn take_within_tree(&mut self, item: Item, there: &There) -> Result<()> {
        if let Record::Job { id, .. } | Record::FollowedJob { id, .. } = &item.record
            && matches!(self.tree, Some(Tree::Receiving { .. }))
        {
            self.count(*id)?;
        }
        let Some(Tree::Receiving { assembly, stage }) = &mut self.tree else { return Ok(()) };
        let validate = self.validate.as_ref();
        if let Err(error) = assembly.take(item, &mut self.seen, there, validate) {
            let (root, begin) = (assembly.root, assembly.begin);
            self.tree = Some(Tree::Refused { root, begin, error });
            return Ok(());
        }
        if assembly.row_bytes() >= SMALL_TREE {
            let root = assembly.root;
            let stage = stage.get_or_insert_with(|| Stage::open(&self.store, root));
            stage.put(assembly.take_rows()).await.map_err(in_the_way)?;
        }
        Ok(())
    }

    /// Counts a new job. Ids that lie far apart take more memory than consecutive ids, so their
    /// ranges are bounded too.
    fn count(&mut self, id: JobId) -> Result<()> {
        self.jobs += 1;
        if self.jobs > self.most_jobs {
            let most = self.most_jobs;
            return Err(Error::CommitTooLarge(format!("an upload may have {most} new jobs")));
        }
        let new = self.ranges.insert(id.get() >> ID_RANGE_BITS);
        if new
            && self.jobs > limits::COMMIT_ID_RANGES
            && self.ranges.len() > limits::COMMIT_ID_RANGES
        {
            let most = limits::COMMIT_ID_RANGES;
            return Err(Error::CommitTooLarge(format!(
                "the new jobs of an upload may have ids from {most} ranges of 65,536 numbers"
            )));
        }
        Ok(())
    }

    async fn end_tree(&mut self, checksum: u64) -> Result<()> {
        match self.tree.take() {
            None => {}
            Some(Tree::Applied { begin, row }) if row.checksum != checksum => {
                let error = Error::CommitConflict(self.receiving.id.clone());
                self.refuse(row.tree_result.root, begin, checksum, &error).await?;
            }
            Some(Tree::Applied { row, .. }) => self.outcome.add(&row.tree_result),
            Some(Tree::Refused { root, begin, error }) => {
                self.refuse(root, begin, checksum, &error).await?;
            }
            Some(Tree::Receiving { assembly, mut stage }) => {
                if let Some(stage) = &mut stage {
                    stage.settle().await.map_err(in_the_way)?;
                }
                let (root, begin) = (assembly.root, assembly.begin);
                let (jobs, changes, bytes) = (assembly.jobs, assembly.changes, assembly.bytes());
                let Assembled { rows, steps, upcoming } = match assembly.finish() {
                    Ok(finished) => finished,
                    Err(error) => {
                        self.refuse(root, begin, checksum, &error).await?;
                        return Ok(());
                    }
                };
                let received = self.received;
                let tree = UploadTree {
                    receiving: Arc::clone(&self.receiving),
                    root,
                    checksum,
                    received,
                    jobs,
                    changes,
                    rows,
                    upcoming,
                    stage,
                    steps,
                    bytes,
                };
                self.launch(begin, tree).await?;
            }
        }
        Ok(())
    }

    /// Submits a tree, once there is room for it.
    async fn launch(&mut self, begin: u64, tree: UploadTree) -> Result<()> {
        let (root, checksum, bytes) = (tree.root, tree.checksum, tree.bytes);
        let operation = Operation::UploadTree(Box::new(tree));
        let full = |session: &Self| {
            session.flying.len() >= TREES_AT_ONCE || session.flying_bytes + bytes > BYTES_AT_ONCE
        };
        while !self.flying.is_empty() && full(self) {
            self.land_one().await?;
        }
        self.engine.until_free(&operation).await;
        let mut patience = ROOM_WAITED_FOR;
        let share = loop {
            match self.engine.room_for(&operation) {
                Ok(share) => break share,
                Err(_) if !self.flying.is_empty() => self.land_one().await?,
                Err(error) if patience.is_zero() => return Err(error),
                Err(_) => {
                    // Other callers have filled the queue. After an error the whole upload has to
                    // be sent again.
                    patience = patience.saturating_sub(ROOM_LOOKED_FOR);
                    tokio::time::sleep(ROOM_LOOKED_FOR).await;
                }
            }
        };
        self.flying_bytes += bytes;
        let answer = self.engine.submit_with(operation, share)?;
        self.flying.push(Box::pin(async move {
            let done = answer.await.map(Outcome::into_tree_result);
            Answered { root, begin, checksum, bytes, done }
        }));
        Ok(())
    }

    async fn land_one(&mut self) -> Result<()> {
        let Some(answered) = self.flying.next().await else { return Ok(()) };
        let Answered { root, begin, checksum, bytes, done } = answered;
        self.flying_bytes -= bytes;
        match done {
            Ok(tree_result) => self.outcome.add(&tree_result),
            Err(error) if error.is_refusal() => {
                self.refuse(root, begin, checksum, &error).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Notes that a tree is refused, unless another server has applied it for the same upload.
    async fn refuse(
        &mut self,
        root: JobId,
        begin: u64,
        checksum: u64,
        error: &Error,
    ) -> Result<()> {
        let tree_results = HashSet::from([(self.receiving.id.clone(), root)]);
        let wanted = Wanted { tree_results, ..Wanted::default() };
        let loaded = look_up(&*self.store, wanted).await?;
        let applied = loaded.tree_results.into_values().find(|row| row.checksum == checksum);
        if let Some(row) = applied {
            self.outcome.add(&row.tree_result);
            return Ok(());
        }
        let Problem { code, detail, .. } = Problem::new(error.code(), error.sentence());
        let position = error.position().unwrap_or(begin);
        let refusal = Some(Refusal { position, code, detail });
        let tree_result = TreeResult { refusal, ..TreeResult::new(root) };
        self.outcome.add(&tree_result);
        self.refused.push(TreeResultRow { tree_result, checksum, time: self.received });
        Ok(())
    }
}

/// The jobs that conflict with staged rows are not visible: another upload is bringing them, or
/// their rows remain from an upload that broke off.
fn in_the_way(error: StoreError) -> Error {
    match error {
        StoreError::Stale { root } => Error::Contention(root),
        other => other.into(),
    }
}

/// The tree whose records are coming in.
enum Tree {
    Receiving {
        assembly: Box<Assembly>,
        stage: Option<Stage>,
    },
    /// The tree was applied when the upload was sent before.
    Applied {
        begin: u64,
        row: Box<TreeResultRow>,
    },
    /// The tree is refused; the rest of it is only read.
    Refused {
        root: JobId,
        begin: u64,
        error: Error,
    },
}

/// A tree that the engine has answered for.
struct Answered {
    root: JobId,
    begin: u64,
    checksum: u64,
    bytes: usize,
    done: Result<TreeResult>,
}

/// Reads for an upload, behind all other reads that wait. An upload can wait, and does not fail
/// because many lists are being read.
async fn look_up(store: &dyn Store, wanted: Wanted) -> StoreResult<Loaded> {
    for _ in 1..LOOK_UPS {
        match store.look_up(wanted.clone()).await {
            Err(StoreError::Unavailable(_)) => tokio::time::sleep(PAUSE).await,
            done => return done,
        }
    }
    store.look_up(wanted).await
}

impl std::fmt::Debug for UploadSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UploadSession").field("id", &self.receiving.id).finish_non_exhaustive()
    }
}
