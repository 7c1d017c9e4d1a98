use std::{sync::Arc, time::Duration};

use jobtracker_model::Timestamp;

/// The spans in which no server was up, oldest first. No report could arrive then, so such a span
/// is no silence of a job.
#[derive(Debug, Clone, Default)]
pub struct Outages(Arc<[(Timestamp, Timestamp)]>);

impl Outages {
    /// These spans, by their begin.
    #[must_use]
    pub fn new(spans: &[(Timestamp, Timestamp)]) -> Self {
        Self(spans.into())
    }

    /// The time when `time` has passed since `from`, not counting outages.
    #[must_use]
    pub fn after(&self, from: Timestamp, time: Duration) -> Timestamp {
        let mut end = from.after(time);
        for (begin, over) in self.0.iter() {
            let begin = (*begin).max(from);
            let length = u64::try_from(over.millis() - begin.millis()).unwrap_or(0);
            if begin < end {
                end = end.after(Duration::from_millis(length));
            }
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_do_not_count() {
        let at = |millis: i64| Timestamp::from_millis(millis).unwrap();
        let outages = Outages::new(&[(at(10), at(20)), (at(30), at(35)), (at(100), at(200))]);
        for (from, millis, due) in [
            (0, 5, 5),
            // When an outage begins at the end of the wait, the wait ends there, not after the
            // outage.
            (0, 10, 10),
            (0, 11, 21),
            (0, 20, 30),
            (0, 21, 36),
            (15, 5, 25),
            (20, 10, 30),
            (36, 60, 96),
            (36, 65, 201),
            (150, 1, 201),
            (300, 5, 305),
        ] {
            let found = outages.after(at(from), Duration::from_millis(millis));
            assert_eq!(found, at(due), "{millis} from {from}");
        }
    }
}
