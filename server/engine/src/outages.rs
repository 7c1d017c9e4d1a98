use std::{sync::Arc, time::Duration};

use jobtracker_model::Timestamp;

/// When no server was up, oldest first. Nothing could be reported then, so that is no silence of
/// the jobs'.
#[derive(Debug, Clone, Default)]
pub struct Outages(Arc<[(Timestamp, Timestamp)]>);

impl Outages {
    /// These spans, by their begin.
    #[must_use]
    pub fn new(spans: &[(Timestamp, Timestamp)]) -> Self {
        Self(spans.into())
    }

    /// The moment at which `time` has passed since `from`, not counting what is in an outage.
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
            // One that begins at the end is waited for at that end, not before.
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
