use std::{collections::BTreeMap, fmt, time::Instant};

use jobtracker_client::{Change, JobId, JobTrackerClient, ListPage};

use super::Shared;
use crate::{
    inventory::Inventory,
    linear::{self, Failure, Operation, Sight, What},
};

/// An operation, and what its client knows about it.
pub struct Record {
    pub operation: Operation,
    pub fate: Fate,
    /// The change id of an update.
    pub change_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It has been applied, or it was a read.
    Acknowledged,
    /// The answer was lost, or said that the outcome is unknown.
    InDoubt,
    /// Every answer said that nothing was applied.
    Denied,
}

/// All operations on one tree, with none left in doubt.
pub struct History {
    pub root: JobId,
    pub operations: Vec<Operation>,
    pub summary: Summary,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Summary {
    pub acknowledged: usize,
    pub in_doubt: usize,
    /// How many of those in doubt were applied.
    pub found: usize,
    pub denied: usize,
    /// Requests that failed.
    pub failures: u64,
}

impl Record {
    pub fn of(operation: Operation) -> Self {
        Self { operation, fate: Fate::Acknowledged, change_id: None }
    }
}

/// Adds what one client has recorded.
pub fn append(records: &mut Vec<Record>, more: Vec<Record>) {
    let before = records.len();
    records.extend(more.into_iter().map(|mut record| {
        record.operation.after = record.operation.after.map(|place| place + before);
        record
    }));
}

/// Searches for the writes in doubt. Those that are found have happened before now.
pub(super) async fn resolve(records: &mut [Record], reader: &JobTrackerClient, shared: &Shared) {
    let open =
        |record: &&mut Record| record.fate == Fate::InDoubt && record.operation.end.is_none();
    for record in records.iter_mut().filter(open) {
        let is_there = match (&mut record.operation.what, &record.change_id) {
            (What::Update { job, number, .. }, Some(change_id)) => {
                let page = ListPage { limit: Some(1000), ..ListPage::default() };
                let changes = reader.changes_stream(*job, page);
                let changes: Vec<Change> =
                    futures_util::TryStreamExt::try_collect(changes).await.unwrap();
                let is_it = |change: &Change| change.change_id.as_ref() == Some(change_id);
                *number = changes.iter().position(is_it).map(|place| place as u64);
                number.is_some()
            }
            (What::Create { job, .. }, _) => reader.get(*job).await.unwrap().is_some(),
            _ => unreachable!("a read is not in doubt"),
        };
        if is_there {
            record.operation.end = Some(shared.now());
        }
    }
}

impl History {
    /// Reads all jobs, and compares every record with them: an acknowledged write is there once; a
    /// denied one is not; and one in doubt is there once or not.
    pub(super) async fn read(
        root: JobId,
        records: Vec<Record>,
        reader: &JobTrackerClient,
        shared: &Shared,
        failures: u64,
    ) -> Self {
        let begin = shared.now();
        let inventory = Inventory::read(reader, &[root]).await;
        let end = shared.now();
        let mut summary = Summary { failures, ..Summary::default() };
        let mut moved = BTreeMap::new();
        let mut operations = Vec::new();
        let mut jobs = 1;
        for (place, mut record) in records.into_iter().enumerate() {
            let is_there = find(&mut record, &inventory);
            let is_write = !record.operation.what.is_still();
            match record.fate {
                Fate::Acknowledged => {
                    assert!(is_there, "lost: {:?}", record.operation);
                    summary.acknowledged += usize::from(is_write);
                }
                Fate::InDoubt => {
                    summary.in_doubt += 1;
                    summary.found += usize::from(is_there);
                    record.operation.end = record.operation.end.or(Some(end));
                }
                Fate::Denied => {
                    assert!(!is_there, "denied, but done: {:?}", record.operation);
                    summary.denied += 1;
                }
            }
            if is_there {
                jobs += usize::from(matches!(record.operation.what, What::Create { .. }));
                moved.insert(place, operations.len());
                operations.push(record.operation);
            }
        }
        assert_eq!(inventory.jobs.len(), jobs, "jobs that no client has created");
        for operation in &mut operations {
            operation.after = operation.after.map(|before| moved[&before]);
        }
        for job in &inventory.jobs {
            let look = What::Look(vec![(job.id, Sight::whole(job))]);
            operations.push(Operation::answered(usize::MAX, [begin, end], look));
        }
        Self { root, operations, summary }
    }

    /// Searches for an order, and prints the result.
    pub fn check(&self, name: &str) {
        let start = Instant::now();
        let report = match linear::check(self.root, &self.operations) {
            Ok(report) => report,
            Err(Failure::NotLinearizable(why)) => panic!("{name}: {why}"),
            Err(Failure::TooHard(report)) => panic!("{name}: no order was found in {report:?}"),
        };
        let time = start.elapsed();
        println!("{name}: {}; linearizable, {report:?} in {time:?}", self.summary);
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, in_doubt, found, denied, failures } = self;
        write!(f, "{acknowledged} acknowledged writes, none lost, none doubled; ")?;
        write!(
            f,
            "{in_doubt} in doubt, of which {found} were done; {denied} refused, none done; "
        )?;
        write!(f, "{failures} requests failed")
    }
}

/// Whether a write was applied, and at which index.
fn find(record: &mut Record, inventory: &Inventory) -> bool {
    match (&mut record.operation.what, &record.change_id) {
        (What::Create { job, .. }, _) => inventory.changes.contains_key(job),
        (What::Update { job, number, .. }, Some(change_id)) => {
            let places = inventory.places(*job, change_id);
            assert!(places.len() <= 1, "done {} times: {:?}", places.len(), record.operation);
            *number = places.first().map(|place| *place as u64);
            !places.is_empty()
        }
        _ => true,
    }
}
