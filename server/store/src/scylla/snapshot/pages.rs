//! Children of a job, page by page.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures_util::{StreamExt, TryStreamExt, stream};
use jobtracker_model::{Category, Children, JobId, rollup::Status};

use super::{
    Held, Snapshot,
    pinned::{Found, Known, PinnedTree, Which},
};
use crate::{
    Error, Result,
    scylla::{
        keys,
        locations::{READS_AT_ONCE, Several},
        trees::Location,
    },
    view::{Child, ChildIndex, Visit},
};

/// Pages that are read at once at most; a walk begins with one and doubles.
const WIDTH: usize = 8;
/// After more bytes of options than this in one read, the walk goes on by single pages.
const OPTION_BYTES: usize = 1024 * 1024;
/// Pages in one answer of the directory.
const LISTED: usize = 256;
/// If one in this many siblings has to be read, the definitions of all of them are.
const WORTH_ALL: u64 = 4;

/// A walk over the children of one job.
struct Walk {
    parent: JobId,
    after: Option<JobId>,
    /// Whether definitions are read too.
    definitions: bool,
    /// Children that the tail has and the tables may not have.
    born: BTreeSet<JobId>,
    /// Pages that the directory has named.
    listed: VecDeque<i64>,
    /// Where the directory goes on, if it may.
    unlisted: Option<i64>,
    width: usize,
    is_over: bool,
}

/// Children that were read before the list asked for them.
pub struct Ahead {
    walk: Walk,
    first: Option<BTreeMap<JobId, Held>>,
}

impl Walk {
    fn new(pinned: &PinnedTree, parent: JobId, after: Option<JobId>, definitions: bool) -> Self {
        let born = pinned.tail.children(parent, after);
        let unlisted = (!pinned.is_in_tail()).then(|| after.map_or(0, keys::bucket));
        let listed = VecDeque::new();
        Self { parent, after, definitions, born, listed, unlisted, width: 1, is_over: false }
    }

    /// The next children; none at the end.
    async fn next(&mut self, pinned: &PinnedTree) -> Result<Option<BTreeMap<JobId, Held>>> {
        if self.is_over {
            return Ok(None);
        }
        self.list(pinned).await?;
        let pages: Vec<i64> = self.listed.drain(..self.width.min(self.listed.len())).collect();
        self.is_over = self.listed.is_empty() && self.unlisted.is_none();
        // The tail may have children in pages that are not in the directory yet.
        let last = pages.last().filter(|_| !self.is_over).map(|page| keys::bucket_end(*page));
        let mut children = self.read(pinned, pages).await?;
        let bytes: usize = children.values().map(Held::option_bytes).sum();
        self.width = if bytes > OPTION_BYTES { 1 } else { (self.width * 2).min(WIDTH) };
        while let Some(&id) = self.born.first()
            && last.is_none_or(|last| keys::number(id) <= last)
        {
            self.born.pop_first();
            if let Some(held) = born(pinned, id) {
                children.entry(id).or_insert(held);
            }
        }
        Ok(Some(children))
    }

    /// Goes on in the directory when the list of named pages is empty.
    async fn list(&mut self, pinned: &PinnedTree) -> Result<()> {
        let Some(from) = self.unlisted.filter(|_| self.listed.is_empty()) else { return Ok(()) };
        let (cluster, parent) = (pinned.cluster(), keys::number(self.parent));
        let pages: Vec<(i64,)> = cluster.rows(&cluster.statements.pages, (parent, from)).await?;
        let last = pages.last().filter(|_| pages.len() >= LISTED);
        self.unlisted = last.map(|(page,)| page + 1);
        self.listed.extend(pages.into_iter().map(|(page,)| page));
        Ok(())
    }

    async fn read(&self, pinned: &PinnedTree, pages: Vec<i64>) -> Result<BTreeMap<JobId, Held>> {
        let (parent, after, definitions) =
            (keys::number(self.parent), self.after, self.definitions);
        let mut reads: Several<'_, Vec<Found>> = Vec::new();
        for page in pages {
            reads.push(Box::pin(pinned.rows(((parent, page), definitions), Which::Behind(after))));
        }
        let mut reads = stream::iter(reads).buffer_unordered(WIDTH);
        let mut children = BTreeMap::new();
        while let Some(rows) = reads.try_next().await? {
            for found in rows {
                let (id, place) = (found.id, Location { origin: found.origin, stage: found.stage });
                if let Some(Known { status, definition }) = pinned.known(found, definitions)? {
                    children.insert(id, Held { place, status, definition });
                }
            }
        }
        Ok(children)
    }
}

impl Held {
    fn option_bytes(&self) -> usize {
        let options = self.definition.as_ref().and_then(|definition| definition.options.as_ref());
        options.map_or(0, String::len)
    }
}

fn born(pinned: &PinnedTree, id: JobId) -> Option<Held> {
    let (place, status) = (pinned.place(id)?, pinned.tail.status(id)?.clone());
    Some(Held { place, status, definition: pinned.tail.definition(id).cloned() })
}

fn counts(index: ChildIndex, status: &Status) -> bool {
    let category = match index {
        ChildIndex::Pending => Category::Pending,
        ChildIndex::Failed => Category::Failed,
    };
    status.category() == Some(category)
}

fn number(index: ChildIndex, children: &Children) -> u64 {
    match index {
        ChildIndex::Pending => children.pending,
        ChildIndex::Failed => children.failed,
    }
}

fn total(children: &Children) -> u64 {
    children.pending + children.successful + children.failed
}

impl Snapshot {
    pub(super) fn walk_children(
        &self,
        parent: JobId,
        after: Option<JobId>,
        visit: Visit<Child>,
    ) -> Result<()> {
        // Where the numbers tell how many children there are, staged ones behind them are not read.
        let first = after.is_none().then(|| self.known_status(parent)).flatten();
        let most = first.map(|status| total(&status.children));
        let mut seen = 0;
        let mut walk = self.begin(parent, after, true);
        while Some(seen) != most
            && let Some(children) = self.next(&mut walk)?
        {
            let children: Vec<(JobId, Held)> = children.into_iter().collect();
            for (index, (id, held)) in children.iter().enumerate() {
                self.read_ahead(&children[index..], None)?;
                let flow = self.show(*id, held, |held| {
                    let missing = || Error::Corrupt(format!("job {id} has no definition"));
                    let definition = held.definition.clone().ok_or_else(missing)?;
                    Ok(visit(Child { id: *id, definition, status: held.status.clone() }))
                })?;
                seen += 1;
                if flow.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    pub(super) fn walk_index(
        &self,
        parent: JobId,
        index: ChildIndex,
        after: Option<JobId>,
        visit: Visit<JobId>,
    ) -> Result<()> {
        let numbers = self.known_status(parent).map(|status| status.children);
        let most = numbers.filter(|_| after.is_none()).map(|numbers| number(index, &numbers));
        let definitions = numbers.is_some_and(|numbers| is_worth_all(index, &numbers));
        let mut seen = 0;
        let mut walk = self.begin(parent, after, definitions);
        while Some(seen) != most
            && let Some(children) = self.next(&mut walk)?
        {
            let is_asked = |(_, held): &(JobId, Held)| counts(index, &held.status);
            let mut children: Vec<(JobId, Held)> = children.into_iter().filter(is_asked).collect();
            self.define(&mut children)?;
            for (place, (id, held)) in children.iter().enumerate() {
                self.read_ahead(&children[place..], Some(index))?;
                seen += 1;
                if self.show(*id, held, |_| Ok(visit(*id)))?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Reads the definitions that are missing, except of jobs that are only passed through.
    fn define(&self, children: &mut [(JobId, Held)]) -> Result<()> {
        let goes_below = |held: &Held| {
            self.goes_below.as_ref().is_some_and(|goes_below| goes_below(&held.status))
        };
        let missing = children.iter().filter(|(_, held)| held.definition.is_none());
        let missing = missing.filter(|(_, held)| !goes_below(held));
        let asked: Vec<_> = missing.map(|(id, held)| (*id, held.place, true)).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let mut read = self.wait(self.pinned.read(&asked))?;
        for (id, held) in children {
            if let Some(known) = read.remove(id) {
                held.definition = known.definition;
            }
        }
        Ok(())
    }

    fn begin(&self, parent: JobId, after: Option<JobId>, definitions: bool) -> Ahead {
        let ahead = self.ahead.borrow_mut().remove(&parent);
        match ahead {
            Some(ahead) if after.is_none() && ahead.walk.definitions >= definitions => ahead,
            _ => Ahead { walk: Walk::new(&self.pinned, parent, after, definitions), first: None },
        }
    }

    fn next(&self, ahead: &mut Ahead) -> Result<Option<BTreeMap<JobId, Held>>> {
        match ahead.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.wait(ahead.walk.next(&self.pinned)),
        }
    }

    /// When the list is about to go below the first of these siblings, reads the first children of
    /// several of them at once.
    fn read_ahead(&self, siblings: &[(JobId, Held)], index: Option<ChildIndex>) -> Result<()> {
        let (Some(goes_below), [(first, held), ..]) = (&self.goes_below, siblings) else {
            return Ok(());
        };
        let is_read = self.ahead.borrow().contains_key(first);
        if is_read || self.pinned.is_in_tail() || !goes_below(&held.status) {
            return Ok(());
        }
        let below = siblings.iter().filter(|(_, held)| goes_below(&held.status));
        let mut walks: Vec<Walk> = Vec::new();
        for (id, held) in below.take(READS_AT_ONCE) {
            let numbers = &held.status.children;
            let definitions = index.is_none_or(|index| is_worth_all(index, numbers));
            walks.push(Walk::new(&self.pinned, *id, None, definitions));
        }
        let mut reads: Several<'_, Ahead> = Vec::new();
        let pinned = &self.pinned;
        for mut walk in walks {
            reads.push(Box::pin(async move {
                let first = walk.next(pinned).await?;
                Ok(Ahead { walk, first })
            }));
        }
        let read = stream::iter(reads).buffer_unordered(READS_AT_ONCE).try_collect();
        let read: Vec<Ahead> = self.wait(read)?;
        let mut all = self.ahead.borrow_mut();
        all.extend(read.into_iter().map(|ahead| (ahead.walk.parent, ahead)));
        Ok(())
    }
}

/// Whether enough of the siblings are asked for to read the definitions of all.
fn is_worth_all(index: ChildIndex, children: &Children) -> bool {
    number(index, children) * WORTH_ALL >= total(children)
}
