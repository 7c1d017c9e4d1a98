//! Children of a job, page by page.

use std::collections::{BTreeMap, VecDeque};

use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use jobtracker_model::JobId;

use super::{Found, Known, PinnedTree, Which, walk::Walk};
use crate::{
    Order, Result,
    scylla::{
        cluster::{READS_AT_ONCE, Several},
        keys,
    },
    view::{Child, Parent, Selection},
};

/// Pages that are read at once at most; a walk begins with one and doubles.
const WIDTH: usize = 8;
/// After more bytes of options than this in one read, the walk goes on by single pages.
const OPTION_BYTES: usize = 1024 * 1024;
/// Pages in one answer of the directory.
const LISTED: usize = 256;

impl Walk {
    /// Reads until there are some children, or no more.
    async fn fill(&mut self, tree: &PinnedTree) -> Result<()> {
        while self.ready.is_empty() && !self.is_over && self.left != Some(0) {
            let mut children = self.read(tree).await?;
            if let Some(index) = self.selection.index() {
                children.retain(|_, known| index.has(&known.status));
            }
            self.define(tree, &mut children).await?;
            self.left = self.left.map(|left| left.saturating_sub(children.len() as u64));
            if self.selection.asks_for_more() {
                tree.see(children.iter().map(|(id, known)| (*id, known)));
            }
            let children = children.into_iter().map(|(id, known)| {
                let Known { place, status, definition } = known;
                Child { id, status, definition, origin: Some(place.origin) }
            });
            match self.order {
                Order::Oldest => self.ready.extend(children),
                Order::Newest => self.ready.extend(children.rev()),
            }
        }
        Ok(())
    }

    /// Reads the definitions that are missing and shown.
    async fn define(&self, tree: &PinnedTree, children: &mut BTreeMap<JobId, Known>) -> Result<()> {
        let missing = children
            .iter()
            .filter(|(_, known)| known.definition.is_none() && self.selection.shows(&known.status));
        let asked: Vec<_> = missing.map(|(id, known)| (*id, known.place, true)).collect();
        if !asked.is_empty() {
            children.extend(tree.read(&asked).await?);
        }
        Ok(())
    }

    /// The next children, of which none may be selected.
    async fn read(&mut self, tree: &PinnedTree) -> Result<BTreeMap<JobId, Known>> {
        self.list(tree).await?;
        let pages: Vec<i64> = self.listed.drain(..self.width.min(self.listed.len())).collect();
        self.is_over = self.listed.is_empty() && self.unlisted.is_none();
        // The tail may have children in pages that are not in the directory yet.
        let last = pages.last().filter(|_| !self.is_over).copied();
        let mut children = self.read_pages(tree, pages).await?;
        let bytes: usize = children.values().map(Known::option_bytes).sum();
        self.width = if bytes > OPTION_BYTES { 1 } else { (self.width * 2).min(WIDTH) };
        for id in self.born_up_to(last) {
            if let Some(born) = tree.born(id) {
                children.entry(id).or_insert(born);
            }
        }
        Ok(children)
    }

    /// Goes on in the directory when the list of named pages is empty.
    async fn list(&mut self, tree: &PinnedTree) -> Result<()> {
        let Some(from) = self.unlisted.filter(|_| self.listed.is_empty()) else { return Ok(()) };
        let (cluster, parent) = (tree.cluster(), keys::number(self.parent));
        let (statement, step) = match self.order {
            Order::Oldest => (&cluster.statements.pages, 1),
            Order::Newest => (&cluster.statements.pages_back, -1),
        };
        let pages: Vec<(i64,)> = cluster.rows(statement, (parent, from)).await?;
        let last = pages.last().filter(|_| pages.len() >= LISTED);
        self.unlisted = last.map(|(page,)| page + step).filter(|page| *page >= 0);
        self.listed.extend(pages.into_iter().map(|(page,)| page));
        Ok(())
    }

    async fn read_pages(
        &self,
        tree: &PinnedTree,
        pages: Vec<i64>,
    ) -> Result<BTreeMap<JobId, Known>> {
        let (parent, definitions) = (keys::number(self.parent), self.definitions);
        let after = self.after.filter(|_| self.order == Order::Oldest);
        let before = self.after.filter(|_| self.order == Order::Newest);
        let mut reads: Several<'_, Vec<Found>> = Vec::new();
        for page in pages {
            reads.push(Box::pin(tree.rows(((parent, page), definitions), Which::Behind(after))));
        }
        let mut reads = stream::iter(reads).buffer_unordered(WIDTH);
        let mut children = BTreeMap::new();
        while let Some(rows) = reads.try_next().await? {
            for found in rows {
                let id = found.id;
                if before.is_some_and(|before| id >= before) {
                    continue;
                }
                if let Some(known) = tree.known(found, definitions)? {
                    children.insert(id, known);
                }
            }
        }
        Ok(children)
    }
}

impl Known {
    fn option_bytes(&self) -> usize {
        let options = self.definition.as_ref().and_then(|definition| definition.options.as_ref());
        options.map_or(0, String::len)
    }
}

impl PinnedTree {
    /// A job that was created within the tail.
    fn born(&self, id: JobId) -> Option<Known> {
        let (place, status) = (self.place(id)?, self.tail.status(id)?.clone());
        Some(Known { place, status, definition: self.tail.definition(id).cloned() })
    }

    pub(super) fn selected_children(
        &self,
        parent: Parent,
        after: Option<JobId>,
        order: Order,
        selection: Selection,
    ) -> impl Stream<Item = Result<Child>> {
        let is_first = after.is_none() && order == Order::Oldest;
        let ahead = if is_first { self.ahead.lock().remove(&parent.id) } else { None };
        let begin =
            || Walk::new(&self.tail, (parent.id, &parent.children), (after, order), selection);
        stream::try_unfold(ahead.unwrap_or_else(begin), move |mut walk| async move {
            walk.fill(self).await?;
            self.read_ahead(&walk.ready, selection).await?;
            let child = walk.ready.pop_front();
            Ok(child.map(|child| (child, walk)))
        })
    }

    /// When the list is about to go below the first of these siblings, reads the first children of
    /// several of them at once.
    async fn read_ahead(&self, siblings: &VecDeque<Child>, selection: Selection) -> Result<()> {
        let goes_below = |child: &&Child| selection.goes_below(&child.status);
        let Some(first) = siblings.front().filter(goes_below) else { return Ok(()) };
        if self.tail.is_whole_tree() || self.ahead.lock().contains_key(&first.id) {
            return Ok(());
        }
        let mut reads: Several<'_, (JobId, Walk)> = Vec::new();
        for child in siblings.iter().filter(goes_below).take(READS_AT_ONCE) {
            let id = child.id;
            let first = (None, Order::Oldest);
            let mut walk = Walk::new(&self.tail, (id, &child.status.children), first, selection);
            reads.push(Box::pin(async move {
                walk.fill(self).await?;
                Ok((id, walk))
            }));
        }
        let mut reads = stream::iter(reads).buffer_unordered(READS_AT_ONCE);
        while let Some((id, walk)) = reads.try_next().await? {
            self.ahead.lock().insert(id, walk);
        }
        Ok(())
    }
}
