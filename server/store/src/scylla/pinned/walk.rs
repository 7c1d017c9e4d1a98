//! Where a walk over the children of a job stands: a value, apart from what reads the tree.

use std::collections::{BTreeSet, VecDeque};

use jobtracker_model::{Children, JobId};

use crate::{
    Order,
    scylla::{keys, tail::Tail},
    view::{Child, Selection},
};

/// If one in this many siblings has to be read, the definitions of all of them are.
const WORTH_ALL: u64 = 4;

/// A walk over the selected children of one job.
pub struct Walk {
    pub parent: JobId,
    pub after: Option<JobId>,
    pub order: Order,
    pub selection: Selection,
    /// Whether pages are read with definitions.
    pub definitions: bool,
    /// How many are left, where the numbers tell: staged jobs behind them are not read.
    pub left: Option<u64>,
    /// Children that the tail has and the tables may not have.
    pub born: BTreeSet<JobId>,
    /// Pages that the directory has named.
    pub listed: VecDeque<i64>,
    /// Where the directory goes on, if it may.
    pub unlisted: Option<i64>,
    pub width: usize,
    pub is_over: bool,
    /// Children that have been read.
    pub ready: VecDeque<Child>,
}

impl Walk {
    pub fn new(
        tail: &Tail,
        (parent, numbers): (JobId, &Children),
        (after, order): (Option<JobId>, Order),
        selection: Selection,
    ) -> Self {
        let total = numbers.total();
        let most = selection.index().map_or(total, |index| index.count(numbers));
        let first = match order {
            Order::Oldest => 0,
            Order::Newest => keys::bucket(JobId::MAX),
        };
        let mut born = tail.children(parent, after.filter(|_| order == Order::Oldest));
        if let (Order::Newest, Some(after)) = (order, after) {
            born.retain(|id| *id < after);
        }
        Self {
            parent,
            after,
            order,
            selection,
            definitions: selection.shows_some() && most * WORTH_ALL >= total,
            left: after.is_none().then_some(most),
            born,
            listed: VecDeque::new(),
            unlisted: (!tail.is_whole_tree()).then(|| after.map_or(first, keys::bucket)),
            width: 1,
            is_over: false,
            ready: VecDeque::new(),
        }
    }

    /// Takes the children of the tail that stand up to the end of a page; all, without a page.
    pub fn born_up_to(&mut self, page: Option<i64>) -> BTreeSet<JobId> {
        let Some(page) = page else { return std::mem::take(&mut self.born) };
        match self.order {
            Order::Oldest => {
                let is_behind = |id: &JobId| keys::number(*id) > keys::bucket_end(page);
                let behind = self.born.iter().copied().find(is_behind);
                let behind = behind.map(|id| self.born.split_off(&id)).unwrap_or_default();
                std::mem::replace(&mut self.born, behind)
            }
            Order::Newest => match keys::id(keys::bucket_begin(page)) {
                Some(begin) => self.born.split_off(&begin),
                None => std::mem::take(&mut self.born),
            },
        }
    }
}
