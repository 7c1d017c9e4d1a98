use std::collections::{BTreeMap, BTreeSet};

use jobtracker_model::{Change, JobId, LogLine, Repeat};

use super::kept::Kept;
use jobtracker_store::{FollowUpKey, RepeatRow, Row};

/// The rows to commit in one tree, each once.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    created: BTreeSet<JobId>,
    redefined: BTreeSet<JobId>,
    touched: BTreeSet<JobId>,
    attached: BTreeSet<(JobId, String)>,
    followed: BTreeSet<(JobId, FollowUpKey)>,
    appended: Vec<Row>,
}

impl Draft {
    pub fn created(&mut self, id: JobId) {
        self.created.insert(id);
        self.touched.insert(id);
    }

    pub fn redefined(&mut self, id: JobId) {
        self.redefined.insert(id);
    }

    pub fn touched(&mut self, id: JobId) {
        self.touched.insert(id);
    }

    pub fn attached(&mut self, id: JobId, key: String) {
        self.attached.insert((id, key));
        self.touched.insert(id);
    }

    pub fn followed(&mut self, id: JobId, key: FollowUpKey) {
        self.followed.insert((id, key));
    }

    pub fn changed(&mut self, id: JobId, number: u32, change: Change, key: Repeat, row: RepeatRow) {
        self.appended.push(Row::Change { id, number, change });
        self.appended.push(Row::Repeat { id, key, row });
        self.touched.insert(id);
    }

    pub fn appended(&mut self, id: JobId, lines: Vec<LogLine>, key: Repeat, row: RepeatRow) {
        self.appended.extend(lines.into_iter().map(|line| Row::LogLine { id, line }));
        self.appended.push(Row::Repeat { id, key, row });
        self.touched.insert(id);
    }

    /// Every job whose status is written.
    pub fn all_touched(&self) -> BTreeSet<JobId> {
        self.touched.clone()
    }

    /// Every follow-up that is written.
    pub fn all_followed(&self) -> BTreeSet<(JobId, FollowUpKey)> {
        self.followed.clone()
    }

    /// The rows, with the jobs as they are now.
    pub fn into_rows(self, jobs: &BTreeMap<JobId, Kept>) -> Vec<Row> {
        let Self { created, redefined, touched, attached, followed, appended } = self;
        let mut rows = appended;
        for &id in &created {
            let Kept { origin, definition, .. } = &jobs[&id];
            rows.push(Row::Job { id, origin: *origin, definition: definition.clone() });
        }
        for &id in redefined.difference(&created) {
            let Kept { origin, definition, .. } = &jobs[&id];
            let parent = origin.parent;
            rows.push(Row::Definition { id, parent, definition: definition.clone() });
        }
        for id in touched {
            let Kept { origin, status, stored, .. } = &jobs[&id];
            let (parent, before, status) = (origin.parent, *stored, status.clone());
            rows.push(Row::Status { id, parent, before, status });
        }
        for (id, key) in attached {
            let text = jobs[&id].attachments.get(&key).cloned();
            rows.push(Row::Attachment { id, key, text });
        }
        for (id, key) in followed {
            let Kept { follow_ups, places, .. } = &jobs[&id];
            let (before, row) = (places.get(&key).copied(), follow_ups[&key].clone());
            rows.push(Row::FollowUp { id, key, before, row });
        }
        rows
    }
}
