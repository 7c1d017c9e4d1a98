use std::{io::Read, sync::Arc};

use futures_util::{StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use jobtracker_model::JobId;
use jobtracker_store::{Row, Store};

use super::{
    BYTES_AT_ONCE, Counts, ROWS_AT_ONCE, Result, TREES_AT_ONCE,
    placing::{Placed, Stage, not_staged, place_tree, there},
    reader::{ExportReader, Item},
    rows,
    tally::Sum,
};

/// Checks and deliveries that wait, and deliveries that failed, in one tree, and their lines in
/// bytes: they are in memory until it is whole, and come with one commit.
const WAITING_AT_MOST: usize = 100_000;
const WAITING_BYTES_AT_MOST: usize = 128 * 1024 * 1024;

/// How far an import is, or what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Trees that are in the store now and were not.
    pub new: u64,
    /// Trees that were there, just as they are in the file.
    pub there: u64,
    /// Trees that are not there as they are in the file.
    pub failed: u64,
    /// What all these amount to.
    pub counts: Counts,
    /// Rows that were read.
    pub rows: u64,
}

/// What an import tells while it goes on.
#[derive(Debug)]
pub enum Step<'a> {
    /// It is so far.
    Done(&'a Imported),
    /// A tree could not be put in; the import goes on.
    Failed {
        /// The tree.
        root: JobId,
        /// Why.
        reason: &'a str,
    },
}

/// Puts the trees of a file into a store. Each is there whole or not at all, and is read back and
/// compared after it was put there.
///
/// It may be repeated, and finishes what was broken off: a tree that is there is compared with the
/// file and passed by. One that differs, or whose ids are taken, is told and counted, and the
/// others are put in. Nobody has to stop using the store meanwhile; but a tree that others change
/// before it is read back is told as one that differs.
///
/// Memory is bounded by some [thousand rows](super) and small trees.
///
/// # Errors
/// The file is not whole or not in order, or the store cannot be used. The trees before that
/// place are there.
pub async fn import(
    store: &Arc<dyn Store>,
    file: impl Read,
    name: &str,
    tell: &mut dyn FnMut(Step<'_>),
) -> Result<Imported> {
    let reader = ExportReader::new(file, name)?;
    let flying = FuturesUnordered::new();
    let done = Imported::default();
    let mut importer = Importer { store: Arc::clone(store), reader, flying, done, tell };
    let read = importer.read().await;
    // What is on its way lands in any case.
    importer.place_until(0).await?;
    read.map(|()| importer.done)
}

struct Importer<'a, R> {
    store: Arc<dyn Store>,
    reader: ExportReader<R>,
    /// Small trees on their way to the store.
    flying: FuturesUnordered<LocalBoxFuture<'static, Result<(JobId, Sum, Placed)>>>,
    done: Imported,
    tell: &'a mut dyn FnMut(Step<'_>),
}

/// The tree that is being read.
struct Coming {
    root: JobId,
    rows: Vec<Row>,
    bytes: usize,
    /// Follow-ups with a place in a list by time, which come with the commit that makes the tree
    /// visible: nobody may find them before that.
    waiting: Vec<Row>,
    waiting_bytes: usize,
    way: Way,
}

enum Way {
    /// All that came of it is in memory.
    Whole,
    /// Some of it has been staged.
    Stage(Stage),
    /// There is such a tree already; the rest is only read.
    There,
    /// It cannot be put in; the rest is only read.
    Failed(String),
}

impl<R: Read> Importer<'_, R> {
    async fn read(&mut self) -> Result<()> {
        let mut coming = None;
        loop {
            match self.reader.next()? {
                Item::Header(header) => rows::pass_ids(&self.store, header.id_mark).await?,
                Item::Tree(tree) => coming = Some(Coming::new(tree.root)),
                Item::Row { row, bytes } => {
                    let Some(tree) = &mut coming else { continue };
                    self.done.rows += 1;
                    tree.add(row, bytes);
                    if tree.is_full() {
                        self.stage_rows(tree).await?;
                    }
                }
                Item::TreeEnd(sum) => {
                    let Some(tree) = coming.take() else { continue };
                    self.whole(tree, sum).await?;
                }
                Item::End(end) => {
                    self.reader.finish()?;
                    return rows::pass_ids(&self.store, end.id_mark).await;
                }
            }
        }
    }

    /// Puts what came of a tree where it does not take memory.
    async fn stage_rows(&mut self, tree: &mut Coming) -> Result<()> {
        let (root, rows) = (tree.root, tree.take());
        if matches!(tree.way, Way::Whole) {
            self.place_until(0).await?;
            tree.way = match rows::root(&self.store, root).await? {
                Some(_) => Way::There,
                None => Way::Stage(Stage::open(&self.store, root)),
            };
        }
        if let Way::Stage(stage) = &tree.way
            && let Err(error) = stage.put(rows).await
        {
            tree.way = Way::Failed(not_staged(root, error)?);
        }
        (self.tell)(Step::Done(&self.done));
        Ok(())
    }

    /// All of a tree has been read.
    async fn whole(&mut self, mut tree: Coming, sum: Sum) -> Result<()> {
        let (root, mut rows) = (tree.root, tree.take());
        let waiting = std::mem::take(&mut tree.waiting);
        let placed = match tree.way {
            Way::Whole => {
                rows.extend(waiting);
                let store = Arc::clone(&self.store);
                self.flying.push(Box::pin(async move {
                    place_tree(&store, root, rows, None, sum)
                        .await
                        .map(|placed| (root, sum, placed))
                }));
                return self.place_until(TREES_AT_ONCE - 1).await;
            }
            Way::Stage(stage) => match stage.put(rows).await {
                Ok(()) => place_tree(&self.store, root, waiting, Some(stage.id), sum).await?,
                Err(error) => Placed::Failed(not_staged(root, error)?),
            },
            Way::There => {
                let found = there(&self.store, root, sum).await?;
                found.unwrap_or_else(|| Placed::Failed("it has gone meanwhile".into()))
            }
            Way::Failed(reason) => Placed::Failed(reason),
        };
        self.note(root, sum, &placed);
        Ok(())
    }

    /// Waits until no more than so many small trees are on their way.
    async fn place_until(&mut self, most: usize) -> Result<()> {
        while self.flying.len() > most {
            let Some(placed) = self.flying.next().await else { break };
            let (root, sum, placed) = placed?;
            self.note(root, sum, &placed);
        }
        Ok(())
    }

    fn note(&mut self, root: JobId, sum: Sum, placed: &Placed) {
        match placed {
            Placed::New => self.done.new += 1,
            Placed::There => self.done.there += 1,
            Placed::Failed(reason) => {
                self.done.failed += 1;
                (self.tell)(Step::Failed { root, reason });
            }
        }
        self.done.counts += sum.counts;
        (self.tell)(Step::Done(&self.done));
    }
}

impl Coming {
    fn new(root: JobId) -> Self {
        let (rows, waiting) = (Vec::new(), Vec::new());
        Self { root, rows, bytes: 0, waiting, waiting_bytes: 0, way: Way::Whole }
    }

    fn add(&mut self, row: Row, bytes: usize) {
        match &row {
            Row::FollowUp { row: follow_up, .. } if follow_up.place().is_some() => {
                if matches!(self.way, Way::There | Way::Failed(_)) {
                    return;
                }
                self.waiting_bytes += bytes;
                if self.waiting.len() >= WAITING_AT_MOST
                    || self.waiting_bytes > WAITING_BYTES_AT_MOST
                {
                    self.way = Way::Failed(format!(
                        "it has more checks and deliveries that wait or failed than a tree may \
                         bring along: {WAITING_AT_MOST}, of {WAITING_BYTES_AT_MOST} bytes"
                    ));
                } else {
                    self.waiting.push(row);
                }
            }
            _ => {
                self.rows.push(row);
                self.bytes += bytes;
            }
        }
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= ROWS_AT_ONCE || self.bytes >= BYTES_AT_ONCE
    }

    fn take(&mut self) -> Vec<Row> {
        self.bytes = 0;
        std::mem::take(&mut self.rows)
    }
}
