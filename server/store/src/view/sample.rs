use std::{
    collections::{BTreeMap, BinaryHeap},
    pin::pin,
};

use futures_util::TryStreamExt;
use jobtracker_model::{JobId, StateSet};

use super::{Child, ChildIndex, Parent, Selection, View};
use crate::{Error, JobRow, Order, Result, SampleQuery};

/// Seeks for each job of a sample. The ids of children may lie far apart, and then some seeks find
/// only that there is nothing between two of them.
const SEEKS_PER_JOB: usize = 4;

/// A job, and children of it that stand for all: every child where the query has room for them,
/// else the first failed ones, and of all an even sample by id, in the order of ids.
///
/// # Errors
/// There is no such job, or the rows cannot be read.
pub(crate) async fn sample_children<V: View>(view: &V, query: &SampleQuery) -> Result<Vec<JobRow>> {
    let top = view.job(query.parent).await?.ok_or(Error::UnknownJob(query.parent))?;
    let parent = Parent::of_job(&top);
    let mut sample = Sample { view, parent, found: BTreeMap::new() };
    let children = &parent.children;
    if children.total() <= query.jobs as u64 {
        sample.take(None, query.jobs).await?;
    } else {
        if children.failed > 0 {
            sample.take(Some(ChildIndex::Failed), query.failed.min(query.jobs)).await?;
        }
        sample.spread(query.jobs).await?;
    }
    Ok([top].into_iter().chain(sample.found.into_values()).collect())
}

struct Sample<'a, V> {
    view: &'a V,
    parent: Parent,
    found: BTreeMap<JobId, JobRow>,
}

/// Ids between two children, in which there may be more: the widest is searched first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Gap {
    width: u64,
    from: u64,
}

impl<V: View> Sample<'_, V> {
    fn children(
        &self,
        after: Option<JobId>,
        index: Option<ChildIndex>,
    ) -> impl futures_util::Stream<Item = Result<Child>> {
        let selection = Selection::Children(StateSet::EMPTY, index);
        self.view.children(self.parent, after, Order::Oldest, selection)
    }

    /// Takes the first children.
    async fn take(&mut self, index: Option<ChildIndex>, count: usize) -> Result<()> {
        let mut taken = Vec::new();
        {
            let mut children = pin!(self.children(None, index));
            while taken.len() < count
                && let Some(child) = children.try_next().await?
            {
                taken.push(child);
            }
        }
        taken.into_iter().try_for_each(|child| self.add(child))
    }

    /// Takes children with ids spread as evenly as they are, until there are this many: splits the
    /// widest gap between two of them again and again.
    async fn spread(&mut self, count: usize) -> Result<()> {
        if self.found.len() >= count {
            return Ok(());
        }
        let Some(first) = self.first_from(JobId::MIN.get()).await? else { return Ok(()) };
        let from = first.id.get();
        self.add(first)?;
        let last = self.last(from).await?;
        let mut gaps = BinaryHeap::from([Gap { width: last - from, from }]);
        let mut seeks = count.saturating_mul(SEEKS_PER_JOB);
        while self.found.len() < count
            && seeks > 0
            && let Some(Gap { width, from }) = gaps.pop()
        {
            seeks -= 1;
            let half = width / 2;
            if width <= 1 {
                continue;
            }
            let middle = from + half;
            let behind = self.first_from(middle).await?;
            let Some(child) = behind.filter(|child| child.id.get() <= from + width) else {
                gaps.push(Gap { width: half, from });
                continue;
            };
            let id = child.id.get();
            self.add(child)?;
            gaps.push(Gap { width: half, from });
            gaps.push(Gap { width: from + width - id, from: id });
        }
        Ok(())
    }

    /// The id of the last child, found by halving what may be behind the first.
    async fn last(&self, first: u64) -> Result<u64> {
        let (mut low, mut high) = (first, JobId::MAX.get());
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            match self.first_from(middle).await? {
                Some(child) => low = child.id.get(),
                None => high = middle - 1,
            }
        }
        Ok(low)
    }

    /// The first child with this id or a larger one.
    async fn first_from(&self, id: u64) -> Result<Option<Child>> {
        let after = id.checked_sub(1).and_then(JobId::new);
        pin!(self.children(after, None)).try_next().await
    }

    fn add(&mut self, child: Child) -> Result<()> {
        self.found.insert(child.id, self.parent.job(child)?);
        Ok(())
    }
}
