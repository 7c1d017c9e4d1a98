//! A root with children, and the rows that the store should have of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jobtracker_model::{
    Change, Definition, JobId, LogLine, NewChange, State, Timestamp, rollup::Status,
};
use jobtracker_store::{
    ChangesQuery, FollowUp, FollowUpKey, JobRow, Node, Origin, PageLimit, Row, Store, TreeCommit,
    Watch,
};

pub fn id(number: u64) -> JobId {
    JobId::new(number).unwrap()
}

#[derive(Clone)]
pub struct Tree {
    pub root: JobId,
    pub version: u64,
    jobs: BTreeMap<JobId, Status>,
    /// The states that the last commit left.
    stored: BTreeMap<JobId, State>,
    touched: BTreeSet<JobId>,
    rows: Vec<Row>,
}

impl Tree {
    pub fn new(root: u64) -> Self {
        let root = id(root);
        let (jobs, stored, touched) = Default::default();
        let mut tree = Self { root, version: 0, jobs, stored, touched, rows: Vec::new() };
        tree.create(root);
        tree
    }

    pub fn with_children(root: u64, children: impl IntoIterator<Item = u64>) -> Self {
        let mut tree = Self::new(root);
        for child in children {
            tree.create(id(child));
        }
        tree
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + self.version.cast_signed()).unwrap()
    }

    fn parent(&self, id: JobId) -> Option<JobId> {
        (id != self.root).then_some(self.root)
    }

    fn definition(id: JobId) -> Arc<Definition> {
        let options = Some("o".repeat(id.get() as usize % 300));
        Arc::new(Definition { name: format!("job-{id}"), options, ..Definition::default() })
    }

    fn origin(&self, id: JobId) -> Origin {
        let parent = self.parent(id);
        let fingerprint = Self::definition(id).fingerprint(parent);
        Origin { parent, root: self.root, depth: u32::from(parent.is_some()), fingerprint }
    }

    pub fn create(&mut self, id: JobId) {
        let (status, ripple) = Status::created(id, self.now());
        self.jobs.insert(id, status);
        self.touched.insert(id);
        let (origin, definition) = (self.origin(id), Self::definition(id));
        self.rows.push(Row::Job { id, origin, definition });
        if id != self.root {
            self.absorb(&ripple);
        }
    }

    pub fn report(&mut self, id: JobId, state: State) {
        let time = self.now();
        let status = self.jobs.get_mut(&id).unwrap();
        let number = status.changes;
        let ripple = status.report(id, state, time);
        let change = Change::recorded(NewChange::new(state).message("m".repeat(40)), time);
        self.rows.push(Row::Change { id, number, change });
        self.touched.insert(id);
        if id != self.root {
            self.absorb(&ripple);
        }
    }

    fn absorb(&mut self, ripple: &jobtracker_model::rollup::StatusDelta) {
        self.jobs.get_mut(&self.root).unwrap().absorb(self.root, ripple);
        self.touched.insert(self.root);
    }

    /// Appends a line to the root's log.
    pub fn log(&mut self, text: &str) {
        let (root, time) = (self.root, self.now());
        let status = self.jobs.get_mut(&root).unwrap();
        let line = LogLine { line: status.log_lines, time, attempt: None, text: text.into() };
        status.log_lines += 1;
        self.rows.push(Row::LogLine { id: root, line });
        self.touched.insert(root);
    }

    /// Notes the watch of the root: here, how many deliveries it has.
    pub fn watch(&mut self, deliveries: u32) {
        let id = self.root;
        self.jobs.get_mut(&id).unwrap().flags.followed = true;
        let row = FollowUp::Watch(Watch { deliveries, ..Watch::default() });
        self.rows.push(Row::FollowUp { id, key: FollowUpKey::Watch, before: None, row });
        self.touched.insert(id);
    }

    pub fn commit(&mut self) -> TreeCommit {
        let mut rows = std::mem::take(&mut self.rows);
        for id in std::mem::take(&mut self.touched) {
            let status = self.jobs[&id].clone();
            let before = self.stored.insert(id, status.state);
            rows.push(Row::Status { id, parent: self.parent(id), before, status });
        }
        self.version += 1;
        TreeCommit { root: self.root, expected: self.version - 1, rows, publishes: None }
    }

    pub async fn commit_to(&mut self, store: &dyn Store) -> jobtracker_store::Result<()> {
        store.commit(vec![self.commit()]).await.remove(0)
    }

    pub fn job(&self, id: JobId) -> JobRow {
        let (origin, definition) = (self.origin(id), Self::definition(id));
        JobRow::new(id, Node { origin, status: self.jobs[&id].clone() }, definition)
    }

    /// Everything that was committed is there; says what is not.
    pub async fn compare(&self, store: &dyn Store) -> Result<(), String> {
        for (&id, status) in &self.jobs {
            let job = store.get_job(id).await.map_err(|error| error.to_string())?;
            if job.as_ref() != Some(&self.job(id)) {
                return Err(format!("got {job:?}\ndue {:?}", self.job(id)));
            }
            let limit = PageLimit::items(1000);
            let changes = store.list_changes(ChangesQuery { id, from: 0, limit }).await;
            let changes = changes.map_err(|error| error.to_string())?.items.len();
            if changes != status.changes as usize {
                return Err(format!("{id} has {changes} changes instead of {}", status.changes));
            }
        }
        Ok(())
    }
}
