//! Pauses in the merges of one thread.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Instant,
};

use fjall::compaction::filter::{
    CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor,
};
use lsm_tree::compaction::Verdict;

/// After this many rows of a merge the thread pauses, this many times as long as they took.
const ROWS: u32 = 2_000;
const PAUSES_OF_ROWS: u32 = 3;

thread_local! {
    /// Set on the thread of the merges that are asked for: those of the engine do not pause.
    static PACED: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// Has the merges of this thread pause until the store is to be closed.
pub fn pace_this_thread(is_closing: Arc<AtomicBool>) {
    PACED.set(Some(is_closing));
}

/// Has merges pause. (To the engine it is a filter of rows; it keeps them all.)
pub struct Pacing;

impl Factory for Pacing {
    fn name(&self) -> &str {
        "pacing"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        let is_closing = PACED.with(|paced| paced.borrow().clone());
        Box::new(Paced { is_closing, rows: 0, since: Instant::now() })
    }
}

/// One merge.
struct Paced {
    /// None on a thread whose merges do not pause.
    is_closing: Option<Arc<AtomicBool>>,
    rows: u32,
    since: Instant,
}

impl CompactionFilter for Paced {
    fn filter_item(&mut self, _: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        let Some(is_closing) = &self.is_closing else { return Ok(Verdict::Keep) };
        self.rows += 1;
        if self.rows >= ROWS {
            // A store that is to be closed waits for the merge.
            if !is_closing.load(SeqCst) {
                std::thread::sleep(self.since.elapsed() * PAUSES_OF_ROWS);
            }
            (self.rows, self.since) = (0, Instant::now());
        }
        Ok(Verdict::Keep)
    }
}
