use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use jobtracker_model::{ExportCounts, ExportPosition, ExportedRoot, JobId, Timestamp, limits};
use jobtracker_store::{
    After, DocumentKind, DocumentsQuery, Error as StoreError, Held, Listed, Order, PageLimit,
    RootKey, RootsQuery, Row, Store,
};
use parking_lot::Mutex;
use tokio_util::task::AbortOnDropHandle;
use xxhash_rust::xxh3::Xxh3Default;

use super::{
    BYTES_AT_ONCE, MovingError, ROWS_AT_ONCE, Result, Selection, TREES_AT_ONCE, Target,
    frames::FrameWriter,
    record::{BEGIN, DocumentsEnd, End, FORMAT, Header, Record, TreeEnd, TreeRecord, VERSION},
    resume::Begun,
    rows::{self, patiently},
    tally::Tally,
    target::{Outlet, Sink},
};

/// How often a tree is read that changes meanwhile.
const TRIES: usize = 5;
/// How long an instant of a store is held: that keeps the room of what is replaced meanwhile, in
/// memory too.
const HELD: Duration = Duration::from_secs(120);
/// Bytes of lines after which they are passed on, also within a page.
const LINES_AT_ONCE: usize = 1024 * 1024;

/// Exports trees of a store to a file, newest root first.
///
/// The store may be in use: each tree is written as it is at one instant, but not all at the same
/// one, and trees with newer roots than the first are left out. A tree that takes several pages is
/// read of an instant that the store holds; where it holds none, it is read again if it has changed
/// meanwhile, a few times. A tree that is deleted before it is read is left out.
///
/// Documents come along, unless trees are chosen by their roots; two of them may be of two
/// instants.
///
/// Memory is bounded by a few pages of rows; a page may hold one job that is larger.
pub struct Export {
    /// The source.
    pub store: Arc<dyn Store>,
    /// The name of the source in the file.
    pub kind: String,
    /// Which trees; `None`: all, or the selection with which the file was begun.
    pub selection: Option<Selection>,
    /// The time now.
    pub now: Timestamp,
}

/// The progress or the result of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exported {
    /// Trees that are in the file.
    pub trees: u64,
    /// How many of them were in the file before the export was resumed.
    pub kept: u64,
    /// The sums of these trees.
    pub counts: ExportCounts,
    /// Documents that are in the file.
    pub documents: u64,
    /// The size of the file.
    pub bytes: u64,
    /// Roots were created meanwhile that the file lacks; another export can begin with the creation
    /// time of the newest root in it.
    pub has_newer: bool,
}

/// Is told the progress.
type Tell<'a> = &'a mut (dyn FnMut(&Exported) + Send);

impl Export {
    /// Writes the file, and `tell`s the progress after each page of rows.
    ///
    /// # Errors
    /// The complete part of the file stays valid, and the export can be resumed.
    pub async fn run(self, target: Target, tell: Tell<'_>) -> Result<Exported> {
        let mut selection = self.selection.clone();
        if let Some(Selection::Roots(roots)) = &mut selection {
            roots.sort_unstable();
            roots.dedup();
            // One that was deleted since the export began is left out, or in it already.
            if !matches!(&target, Target::Client(Outlet { after: Some(_), .. })) {
                self.check(roots).await?;
            }
        }
        let (sink, begun) = Sink::open(target, selection.as_ref())?;
        let mut writing = Writing {
            frames: FrameWriter::new().map_err(|error| sink.failed(error))?,
            sink,
            done: Exported::default(),
            store: Arc::clone(&self.store),
            line: Vec::new(),
            lines: 0,
            tell,
        };
        let ExportPosition { first, last, .. } = match begun {
            Some(begun) => {
                let Begun { position, selection: with, .. } = begun;
                writing.done.counts = position.counts;
                (writing.done.trees, writing.done.kept) = (position.trees, position.trees);
                writing.done.bytes = writing.sink.position();
                if begun.is_complete {
                    writing.done.documents = begun.documents;
                    return Ok(writing.done);
                }
                selection = Some(with);
                position
            }
            None => {
                let selection = selection.get_or_insert(Selection::ALL);
                writing.header(&self, selection.clone()).await?;
                ExportPosition::default()
            }
        };
        writing.pass_on(true).await?;
        let (first, last) = (first.map(root_key), last.map(root_key));
        match selection.unwrap_or(Selection::ALL) {
            Selection::Roots(roots) => {
                writing.chosen(roots, last).await?;
                writing.end(None).await
            }
            Selection::Created { from, until } => {
                let span = (from.unwrap_or(Timestamp::MIN), until.unwrap_or(Timestamp::MAX));
                writing.created(span, first, last).await?;
                let documents = writing.documents().await?;
                writing.end(documents).await
            }
        }
    }

    /// Checks that the requested roots exist.
    async fn check(&self, roots: &[JobId]) -> Result<()> {
        for id in roots {
            let found = rows::root(&self.store, *id).await?;
            if found.is_none_or(|(node, _)| node.origin.parent.is_some()) {
                return Err(MovingError::UnknownRoot(*id));
            }
        }
        Ok(())
    }
}

fn root_key(ExportedRoot { id, create_time: time }: ExportedRoot) -> RootKey {
    RootKey { time, id }
}

/// `None` for a tree that was deleted meanwhile: the file is left without it.
fn unless_deleted<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Err(MovingError::UnknownRoot(_)) => Ok(None),
        read => read.map(Some),
    }
}

/// A file while it is written.
struct Writing<'a> {
    store: Arc<dyn Store>,
    sink: Sink,
    frames: FrameWriter,
    done: Exported,
    line: Vec<u8>,
    /// Bytes of lines that were written since the last were passed on.
    lines: usize,
    tell: Tell<'a>,
}

impl Writing<'_> {
    async fn header(&mut self, export: &Export, selection: Selection) -> Result<()> {
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            time: export.now,
            store: export.kind.clone(),
            id_mark: rows::id_mark(&self.store).await?,
            selection,
        };
        Record::Header(header).write(&mut self.line);
        self.lines += self.line.len();
        let (begin, rest) = self.line.split_at(BEGIN.len());
        let written = self
            .frames
            .write(begin, &mut self.sink)
            // A piece of a long header is known by it.
            .and_then(|()| self.frames.flush(&mut self.sink))
            .and_then(|()| self.frames.write(rest, &mut self.sink));
        written.map_err(|error| self.sink.failed(error))?;
        self.end_frame()
    }

    /// Writes all documents, into the frame of the end.
    async fn documents(&mut self) -> Result<Option<DocumentsEnd>> {
        let store = Arc::clone(&self.store);
        let limit = PageLimit { items: ROWS_AT_ONCE, bytes: BYTES_AT_ONCE, scan: ROWS_AT_ONCE };
        let mut hasher = Xxh3Default::new();
        for kind in DocumentKind::ALL.into_iter().filter(|kind| kind.is_exported()) {
            let mut query = DocumentsQuery { kind, prefix: None, after: None, limit };
            loop {
                let ask = || store.list_documents(query.clone());
                let Listed { items, next } = patiently(ask).await?;
                for document in items {
                    self.line(&Record::Document(document.into()))?;
                    hasher.update(&self.line);
                    self.done.documents += 1;
                }
                self.pass_on(false).await?;
                query.after = next;
                if query.after.is_none() {
                    break;
                }
            }
        }
        let (count, checksum) = (self.done.documents, hasher.digest());
        Ok((count > 0).then_some(DocumentsEnd { count, checksum }))
    }

    async fn end(mut self, documents: Option<DocumentsEnd>) -> Result<Exported> {
        let Exported { trees, counts, .. } = self.done;
        let id_mark = rows::id_mark(&self.store).await?;
        self.line(&Record::End(End { trees, counts, id_mark, documents }))?;
        self.end_frame()?;
        self.pass_on(true).await?;
        self.sink.sync()?;
        Ok(self.done)
    }

    /// The trees of the chosen roots, after the last one that the file has.
    async fn chosen(&mut self, mut roots: Vec<JobId>, last: Option<RootKey>) -> Result<()> {
        roots.retain(|id| last.is_none_or(|last| *id > last.id));
        self.trees(roots).await
    }

    /// The trees whose roots were created in a span of time, after (older than) the last one that
    /// the file has.
    async fn created(
        &mut self,
        (from, to): (Timestamp, Timestamp),
        mut first: Option<RootKey>,
        last: Option<RootKey>,
    ) -> Result<()> {
        let store = Arc::clone(&self.store);
        let list = async |after, items| {
            let limit = PageLimit::items(items);
            let query = RootsQuery { from, to, order: Order::Newest, after, limit };
            patiently(|| store.list_roots(query.clone())).await
        };
        let key =
            |row: &jobtracker_store::JobRow| RootKey { time: row.status.create_time, id: row.id };
        let mut after = last;
        loop {
            let Listed { items, next } = list(after, limits::PAGE).await?;
            first = first.or(items.first().map(key));
            self.trees(items.iter().map(|root| root.id).collect()).await?;
            after = next;
            if after.is_none() {
                break;
            }
        }
        self.done.has_newer = list(None, 1).await?.items.first().map(key) > first;
        Ok(())
    }

    /// Writes trees in this order. Small ones are read several at a time.
    ///
    /// Each read is a task of its own and goes on while a large tree is written: a future that is
    /// not polled meanwhile would keep its place in the queues of the store, and the reads of the
    /// large tree could wait for that place for ever.
    async fn trees(&mut self, roots: Vec<JobId>) -> Result<()> {
        let store = Arc::clone(&self.store);
        let read = |root| {
            let store = Arc::clone(&store);
            let read = async move { rows::page(&store, root, None).await.map(|page| (root, page)) };
            AbortOnDropHandle::new(tokio::spawn(read))
        };
        let mut pages = stream::iter(roots).map(read).buffered(TREES_AT_ONCE);
        while let Some(page) = pages.next().await {
            let page = page.expect("a read neither panics nor is cancelled");
            let Some((root, page)) = unless_deleted(page)? else { continue };
            match page.next {
                // One page is of one instant.
                None => {
                    let mut tally = Tally::default();
                    let tree = self.begin(root, &page.items)?;
                    self.rows(page.items, &mut tally).await?;
                    self.end_tree(tree, &tally)?;
                }
                Some(_) => self.large(root).await?,
            }
            self.pass_on(false).await?;
        }
        Ok(())
    }

    /// Writes a tree of several pages: of one instant that the store holds, or several times if it
    /// changes.
    async fn large(&mut self, root: JobId) -> Result<()> {
        let store = Arc::clone(&self.store);
        let version = async || {
            let found = rows::root(&store, root).await?;
            Ok::<_, MovingError>(found.map(|(_, version)| version))
        };
        for _ in 0..TRIES {
            let begin = self.sink.position();
            let before = version().await?;
            let mut source = Source::new(&store, HELD).await?;
            let written = unless_deleted(self.pages(root, &mut source).await)?;
            let after = version().await?;
            if let Some((tree, tally)) = &written
                && (source.is_one_instant || after == before)
            {
                return self.end_tree(*tree, tally);
            }
            self.frames.abandon().map_err(|error| self.sink.failed(error))?;
            if !self.sink.cut(begin)? {
                return Err(MovingError::ChangedInPipe(root));
            }
            if after.is_none() {
                return Ok(());
            }
        }
        Err(MovingError::KeepsChanging(root))
    }

    /// Writes all pages of a tree.
    async fn pages(&mut self, root: JobId, source: &mut Source) -> Result<(TreeRecord, Tally)> {
        let mut tally = Tally::default();
        let mut page = source.page(root, None).await?;
        let tree = self.begin(root, &page.items)?;
        loop {
            self.rows(page.items, &mut tally).await?;
            self.pass_on(false).await?;
            if page.next.is_none() {
                return Ok((tree, tally));
            }
            page = source.page(root, page.next).await?;
        }
    }

    /// Begins a tree, given its first rows.
    fn begin(&mut self, root: JobId, rows: &[Row]) -> Result<TreeRecord> {
        let [Row::Job { .. }, Row::Status { status, .. }, ..] = rows else {
            let source = StoreError::Corrupt("its rows do not begin with its root".into());
            return Err(MovingError::Tree { root, source });
        };
        let (create_time, jobs) = (status.create_time, status.subtree.total.saturating_add(1));
        let tree = TreeRecord { root, create_time, jobs };
        self.line(&Record::Tree(tree))?;
        Ok(tree)
    }

    async fn rows(&mut self, rows: Vec<Row>, tally: &mut Tally) -> Result<()> {
        for row in rows {
            let root = row.job().unwrap_or(JobId::MIN);
            let record = Record::of(row).map_err(MovingError::tree(root))?;
            let line = tally.add(&record);
            self.lines += line.len();
            let written = self.frames.write(line, &mut self.sink);
            written.map_err(|error| self.sink.failed(error))?;
            if self.lines >= LINES_AT_ONCE {
                self.pass_on(false).await?;
            }
        }
        self.done.bytes = self.sink.position();
        (self.tell)(&self.done);
        Ok(())
    }

    fn end_tree(&mut self, tree: TreeRecord, tally: &Tally) -> Result<()> {
        let TreeRecord { root, jobs, .. } = tree;
        let sum = tally.sum();
        if sum.counts.jobs != jobs {
            let what = format!("it has {} jobs, and its root says {jobs}", sum.counts.jobs);
            return Err(MovingError::Tree { root, source: StoreError::Corrupt(what) });
        }
        let end = TreeEnd { root, counts: sum.counts, checksum: sum.checksum };
        self.line(&Record::TreeEnd(end))?;
        self.end_frame()?;
        self.done.trees += 1;
        self.done.counts += sum.counts;
        (self.tell)(&self.done);
        Ok(())
    }

    fn line(&mut self, record: &Record) -> Result<()> {
        record.write(&mut self.line);
        self.lines += self.line.len();
        let written = self.frames.write(&self.line, &mut self.sink);
        written.map_err(|error| self.sink.failed(error))
    }

    async fn pass_on(&mut self, last: bool) -> Result<()> {
        let is_quiet = self.sink.is_quiet();
        if is_quiet {
            let flushed = self.frames.flush(&mut self.sink);
            flushed.map_err(|error| self.sink.failed(error))?;
        }
        let last = last || is_quiet;
        self.sink.pass_on(std::mem::take(&mut self.lines), last).await
    }

    fn end_frame(&mut self) -> Result<()> {
        let ended = self.frames.end(&mut self.sink);
        ended.map_err(|error| self.sink.failed(error))?;
        self.done.bytes = self.sink.position();
        Ok(())
    }
}

/// Where the pages of a large tree come from.
struct Source {
    store: Arc<dyn Store>,
    held: Option<Holding>,
    /// All pages so far are of the instant that is held.
    is_one_instant: bool,
}

/// An instant that a store holds, for some time at most, whatever its reader does meanwhile.
struct Holding {
    held: Arc<Mutex<Option<Arc<dyn Held>>>>,
    _end: AbortOnDropHandle<()>,
}

impl Source {
    /// Holds an instant, for this time at most.
    async fn new(store: &Arc<dyn Store>, time: Duration) -> Result<Self> {
        let held = patiently(|| store.hold()).await?;
        let held = held.map(|held| Holding::new(held, time));
        Ok(Self { store: Arc::clone(store), held, is_one_instant: true })
    }

    /// A page of the instant that is held, or of the present: after some time the instant is let
    /// go, and the tree has to stay as it is until it is read.
    async fn page(&mut self, root: JobId, after: After) -> Result<Listed<Row, JobId>> {
        match self.held.as_ref().and_then(|holding| holding.held.lock().clone()) {
            Some(held) => rows::page_of(|query| held.list_rows(query), root, after).await,
            None => {
                self.is_one_instant = false;
                rows::page(&self.store, root, after).await
            }
        }
    }
}

impl Holding {
    fn new(held: Arc<dyn Held>, time: Duration) -> Self {
        let held = Arc::new(Mutex::new(Some(held)));
        let ends = Arc::clone(&held);
        let end = AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::time::sleep(time).await;
            ends.lock().take();
        }));
        Self { held, _end: end }
    }
}

#[cfg(test)]
mod tests {
    use jobtracker_store::fjall::{FjallOptions, FjallStore};

    use super::*;

    /// A client that takes a few bytes now and then does not make the store keep what is replaced.
    #[tokio::test]
    async fn an_instant_is_let_go_though_no_page_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = FjallStore::open(&FjallOptions::new(folder.path())).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let source = Source::new(&store, Duration::from_millis(1)).await.unwrap();
        let held = source.held.as_ref().unwrap();
        let is_let_go = async {
            while held.held.lock().is_some() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), is_let_go).await.unwrap();
        drop(source);
        store.close().await;
    }
}
