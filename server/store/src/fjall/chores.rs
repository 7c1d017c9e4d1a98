//! Work that takes many batches, and goes on between the commits.

use std::collections::VecDeque;

use super::{hot_cache::HotCache, snapshot::Snapshot, tables::Tables, writes::Writes};
use crate::Result;

/// Rows of a step that makes room: when no commit has come lately that would wait behind it, in a
/// pause of commits, and in the batch of commits, where it costs them no flush of its own.
pub const STEP_ROWS_ALONE: usize = 8_000;
pub const STEP_ROWS_AMONG_COMMITS: usize = 500;
pub const STEP_ROWS_WITH_COMMITS: usize = 40;

/// Work that is done step by step, each of them one durable batch.
pub trait Chore: Send {
    /// Plans what the next step writes, and says whether it is the last one.
    fn plan<'a>(&mut self, desk: &Desk<'a>, writes: &mut Writes<'a>) -> Result<Step>;

    /// Is called when the last step is durable and visible, or with what went wrong.
    fn end(self: Box<Self>, cache: &HotCache, done: Result<()>);

    /// Whether it is done in one step that costs no more than a commit, so that it may go with one.
    fn is_short(&self) -> bool {
        false
    }

    /// Whether it makes room on the disk in the end, so that it may go on when space is short.
    fn makes_room(&self) -> bool {
        false
    }
}

/// The basis for planning a step: the present, with all earlier steps in it.
pub struct Desk<'a> {
    pub tables: &'a Tables,
    pub cache: &'a HotCache,
    pub snapshot: &'a Snapshot,
}

/// How far a chore has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    More,
    Last,
}

/// The chores, each of which gets a step in turn.
pub type Chores = VecDeque<Box<dyn Chore>>;
