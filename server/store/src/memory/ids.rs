use jobtracker_model::JobId;

use super::rows::Rows;
use crate::{Error, Result};

/// The ids that have not been given out.
#[derive(Debug)]
pub(super) struct Ids {
    /// The smallest of them; one past the largest id when none is left.
    next: u64,
}

impl Default for Ids {
    fn default() -> Self {
        Self { next: JobId::MIN.get() }
    }
}

impl Ids {
    /// Gives out the first `count` consecutive ids that name no job.
    pub fn reserve(&mut self, count: u32, rows: &Rows) -> Result<JobId> {
        let exhausted = Error::IdsExhausted(count);
        // A call for zero ids is rare; it gets one.
        let more = u64::from(count.max(1)) - 1;
        let mut first = self.next;
        loop {
            let block = JobId::new(first).zip(JobId::new(first.saturating_add(more)));
            let Some((start, end)) = block else { return Err(exhausted) };
            match rows.last_taken(start, end) {
                Some(taken) => first = taken.get() + 1,
                None => {
                    self.next = end.get() + 1;
                    return Ok(start);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ids_are_given_out_and_none_after_them() {
        let mut ids = Ids { next: JobId::MAX.get() - 2 };
        let rows = Rows::default();
        assert!(matches!(ids.reserve(4, &rows), Err(Error::IdsExhausted(4))));
        assert_eq!(ids.reserve(3, &rows).unwrap().get(), JobId::MAX.get() - 2);
        assert!(matches!(ids.reserve(1, &rows), Err(Error::IdsExhausted(1))));
        assert!(matches!(ids.reserve(u32::MAX, &rows), Err(Error::IdsExhausted(_))));
    }
}
