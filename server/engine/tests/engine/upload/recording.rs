//! The records that a context would send, made by hand.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use jobtracker_engine::{Begun, Engine, Error, Result, UploadSession};
use jobtracker_model::{
    Action, Change, Definition, JobId, NewChange, NewCheck, State, Timestamp,
    upload::{Item, Record, UploadId, UploadOutcome},
};

/// Creations and changes in the order in which they were recorded.
#[derive(Default)]
pub struct Recording {
    order: u64,
    new: BTreeMap<JobId, (Option<JobId>, u64, Timestamp)>,
    children: BTreeMap<JobId, Vec<JobId>>,
    changes: BTreeMap<JobId, Vec<(u64, Change)>>,
    follow_ups: BTreeMap<JobId, (Vec<Action>, Vec<NewCheck>)>,
    /// Trees by root, with the jobs of each that have records.
    trees: BTreeMap<JobId, BTreeSet<JobId>>,
}

pub fn named(id: JobId) -> Definition {
    Definition { name: format!("job {id}"), ..Definition::default() }
}

impl Recording {
    pub fn create(&mut self, id: JobId, parent: Option<JobId>, root: JobId, time: Timestamp) {
        self.order += 1;
        self.new.insert(id, (parent, self.order, time));
        if let Some(parent) = parent {
            self.children.entry(parent).or_default().push(id);
        }
        self.trees.entry(root).or_default().insert(id);
    }

    /// Gives a new job actions and checks.
    pub fn follow(&mut self, id: JobId, actions: Vec<Action>, checks: Vec<NewCheck>) {
        self.follow_ups.insert(id, (actions, checks));
    }

    pub fn update(&mut self, id: JobId, root: JobId, state: State, time: Timestamp) {
        self.order += 1;
        let change = Change::recorded(NewChange::new(state), time);
        self.changes.entry(id).or_default().push((self.order, change));
        self.trees.entry(root).or_default().insert(id);
    }

    /// The same with a message.
    pub fn say(&mut self, id: JobId, root: JobId, state: State, message: &str) {
        self.update(id, root, state, Timestamp::MIN);
        if let Some((_, change)) = self.changes.get_mut(&id).and_then(|changes| changes.last_mut())
        {
            change.message = Some(message.into());
        }
    }

    /// The whole stream, without its header and end.
    pub fn records(&self) -> Vec<Record<'static>> {
        let mut records = Vec::new();
        for (root, jobs) in &self.trees {
            let begin = records.len();
            records.push(Record::Tree { root: *root });
            let is_new = |id: &&JobId| self.new.contains_key(id);
            for id in jobs.iter().filter(|id| !is_new(id)) {
                records.push(Record::Existing { id: *id });
                self.changes_of(*id, &mut records);
            }
            let is_top = |id: &&JobId| {
                is_new(id) && self.new[id].0.is_none_or(|parent| !self.new.contains_key(&parent))
            };
            for id in jobs.iter().filter(is_top) {
                self.job(*id, &mut records);
            }
            let tree = &records[begin..];
            let count = |what: fn(&Record<'_>) -> bool| {
                tree.iter().filter(|record| what(record)).count() as u64
            };
            let is_job = |record: &Record<'_>| {
                matches!(record, Record::Job { .. } | Record::FollowedJob { .. })
            };
            let new = count(is_job);
            let changes = count(|record| matches!(record, Record::Change { .. }));
            records.push(Record::TreeEnd { jobs: new, changes, checksum: new + 7 * changes });
        }
        records
    }

    fn job(&self, id: JobId, records: &mut Vec<Record<'static>>) {
        let (parent, order, time) = self.new[&id];
        let definition = Cow::Owned(named(id));
        records.push(match self.follow_ups.get(&id).cloned() {
            None => Record::Job { id, parent, order, time, definition },
            Some((actions, checks)) => {
                let (actions, checks) = (Cow::Owned(actions), Cow::Owned(checks));
                Record::FollowedJob { id, parent, order, time, definition, actions, checks }
            }
        });
        self.changes_of(id, records);
        for child in self.children.get(&id).into_iter().flatten() {
            self.job(*child, records);
        }
    }

    fn changes_of(&self, id: JobId, records: &mut Vec<Record<'static>>) {
        for (order, change) in self.changes.get(&id).into_iter().flatten() {
            records.push(Record::Change { order: *order, change: Cow::Owned(change.clone()) });
        }
    }
}

/// Sends records as one upload.
pub async fn send(
    engine: &Engine,
    name: &str,
    records: Vec<Record<'static>>,
) -> Result<UploadOutcome> {
    let Some(mut session) = session(engine, name).await? else {
        let id = name.parse().unwrap();
        let Begun::Completed(outcome) = engine.begin_upload(id).await? else {
            panic!("it was completed");
        };
        return Ok(outcome);
    };
    let items = records.into_iter().zip(0..).map(|(record, position)| Item { position, record });
    session.take(items.collect()).await?;
    session.finish().await
}

/// Begins an upload, as soon as the trees sent before have ended; none if the upload is complete.
pub async fn session(engine: &Engine, name: &str) -> Result<Option<Box<UploadSession>>> {
    let id: UploadId = name.parse().unwrap();
    loop {
        match engine.begin_upload(id.clone()).await {
            Ok(Begun::Session(session)) => return Ok(Some(session)),
            Ok(Begun::Completed(_)) => return Ok(None),
            Err(Error::CommitInProgress(_)) => tokio::task::yield_now().await,
            Err(error) => return Err(error),
        }
    }
}
