use std::{io::Read, sync::Arc};

use futures_util::{StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use jobtracker_model::{ExportCounts, JobId};
use jobtracker_store::{Document, DocumentId, Row, Store};

use super::{
    BYTES_AT_ONCE, ROWS_AT_ONCE, Result, TREES_AT_ONCE,
    placing::{Placed, Stage, not_staged, place_document, place_tree, there},
    reader::{ExportReader, Item},
    rows,
    tally::Sum,
};

/// Waiting checks and deliveries, and failed deliveries, in one tree, and their lines in bytes:
/// they are in memory until the tree is complete, and come with one commit.
const WAITING_AT_MOST: usize = 100_000;
const WAITING_BYTES_AT_MOST: usize = 128 * 1024 * 1024;

/// The progress or the result of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Trees that the import added to the store.
    pub new: u64,
    /// Trees that the store had before, the same as in the file.
    pub there: u64,
    /// Trees that the store does not have as they are in the file.
    pub failed: u64,
    /// The sums of all these trees.
    pub counts: ExportCounts,
    /// Rows that were read.
    pub rows: u64,
    /// What became of the documents.
    pub documents: ImportedDocuments,
}

/// What became of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportedDocuments {
    /// Documents that the import added to the store.
    pub new: u64,
    /// Documents that the store had before, with the same content.
    pub there: u64,
    /// Documents that the store has with another content, which it keeps.
    pub failed: u64,
}

/// What an import reports while it runs.
#[derive(Debug)]
pub enum Step<'a> {
    /// Its progress.
    Done(&'a Imported),
    /// A tree could not be imported; the import goes on.
    Failed {
        /// The tree.
        root: JobId,
        /// Why.
        reason: &'a str,
    },
    /// A document could not be imported; the import goes on.
    DocumentFailed {
        /// The document.
        id: &'a DocumentId,
        /// Why.
        reason: &'a str,
    },
}

/// Imports the trees and documents of a file into a store. Each tree is in the store as a whole or
/// not at all, and is read back and compared after that.
///
/// A document keeps its version. One that the store has already is not changed, whatever its
/// version; if it has another content, it is reported and counted.
///
/// An import may be repeated, and finishes one that was broken off: a tree that exists is compared
/// with the file and skipped. A tree that differs, or whose ids are taken, is reported and counted,
/// and the others are imported. The store may be in use meanwhile; but a tree that other clients
/// change before it is read back is reported as one that differs.
///
/// Memory is bounded by some [thousand rows](super) and small trees.
///
/// # Errors
/// The file is incomplete or not in order, or the store cannot be used. The trees before that
/// position are in the store.
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
    // Trees under way are finished in any case.
    importer.place_until(0).await?;
    read.map(|()| importer.done)
}

struct Importer<'a, R> {
    store: Arc<dyn Store>,
    reader: ExportReader<R>,
    /// Small trees under way to the store. Only [`place_until`](Self::place_until) polls them, and
    /// what they hold of the store they hold until then: no other call of the store is made before
    /// all have ended.
    flying: FuturesUnordered<LocalBoxFuture<'static, Result<(JobId, Sum, Placed)>>>,
    done: Imported,
    tell: &'a mut dyn FnMut(Step<'_>),
}

/// The tree that is being read.
struct Coming {
    root: JobId,
    rows: Vec<Row>,
    bytes: usize,
    /// Follow-ups with an index entry, which come with the commit that makes the tree visible: no
    /// reader may find them before that.
    waiting: Vec<Row>,
    waiting_bytes: usize,
    way: Way,
}

enum Way {
    /// All its rows are in memory.
    Whole,
    /// Some of its rows are staged.
    Stage(Stage),
    /// The store has this tree already; the rest is only read.
    There,
    /// It cannot be imported; the rest is only read.
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
                Item::Document(document) => {
                    self.place_until(0).await?;
                    self.document(document).await?;
                }
                Item::End(end) => {
                    self.reader.finish()?;
                    self.place_until(0).await?;
                    return rows::pass_ids(&self.store, end.id_mark).await;
                }
            }
        }
    }

    /// Stages the rows of a tree that have come, so that they take no memory.
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

    /// Places a tree that has been read completely.
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

    async fn document(&mut self, document: Document) -> Result<()> {
        let documents = &mut self.done.documents;
        match place_document(&self.store, &document).await? {
            Placed::New => documents.new += 1,
            Placed::There => documents.there += 1,
            Placed::Failed(reason) => {
                documents.failed += 1;
                (self.tell)(Step::DocumentFailed { id: &document.id, reason: &reason });
            }
        }
        Ok(())
    }

    /// Waits until at most this many small trees are under way.
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
            Row::FollowUp { row: follow_up, .. } if follow_up.entry().is_some() => {
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
