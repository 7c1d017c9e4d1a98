use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jobtracker_model::{
    FieldError, NewWorker, Timestamp, WorkerFilter, WorkerLoad, WorkerState, WorkerView, limits,
};
use jobtracker_store::{
    Document, DocumentChange, DocumentId, DocumentKey, DocumentKind, DocumentVersion,
    DocumentsQuery, Error as StoreError, Listed, PageLimit, Store,
};
use serde::{Deserialize, Serialize};

/// What is kept of a worker, for all servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WorkerDocument {
    pub worker: Arc<NewWorker>,
    pub registered: Timestamp,
    /// When it was heard of, some seconds ago at most.
    pub heard: Timestamp,
    pub running: u32,
    pub load: Option<WorkerLoad>,
    pub draining: bool,
    /// Set of a worker that was kicked: until when no worker of its name may register.
    pub banned_until: Option<Timestamp>,
    /// By handler: what it was given by rules.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub uses: BTreeMap<String, Use>,
}

/// What a worker was given of the tasks of a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Use {
    /// When the count began; it begins anew each day.
    pub since: Timestamp,
    pub count: u64,
    /// Grows with each task that a worker is given.
    pub last: u64,
}

impl Use {
    const DAY: Duration = Duration::from_secs(24 * 3_600);

    /// How many there were within the day.
    pub fn within_day(&self, now: Timestamp) -> u64 {
        if self.since.after(Self::DAY) > now { self.count } else { 0 }
    }

    /// One more.
    pub fn note(&mut self, now: Timestamp, last: u64) {
        if self.since.after(Self::DAY) <= now {
            (self.since, self.count) = (now, 0);
        }
        (self.count, self.last) = (self.count + 1, last);
    }

    /// What another server knows of it.
    fn merge(&mut self, other: Self) {
        if (other.since, other.count) > (self.since, self.count) {
            (self.since, self.count) = (other.since, other.count);
        }
        self.last = self.last.max(other.last);
    }
}

impl WorkerDocument {
    pub fn new(worker: NewWorker, now: Timestamp) -> Self {
        Self {
            worker: Arc::new(worker),
            registered: now,
            heard: now,
            running: 0,
            load: None,
            draining: false,
            banned_until: None,
            uses: BTreeMap::new(),
        }
    }

    /// Takes over what another server knows of what it was given.
    pub fn merge_uses(&mut self, other: &BTreeMap<String, Use>) {
        for (handler, known) in other {
            self.uses.entry(handler.clone()).or_insert(*known).merge(*known);
        }
    }

    /// The document, if it can be read by this version.
    pub fn read(document: &Document) -> Option<Self> {
        let read = serde_json::from_slice(&document.bytes);
        let unreadable = |error: &serde_json::Error| {
            tracing::warn!(worker = %document.id, %error, "a worker cannot be read");
        };
        read.inspect_err(unreadable).ok()
    }

    /// Replaces the document of that version by this one.
    pub fn put(
        &self,
        id: &str,
        (expected, version): (Option<DocumentVersion>, DocumentVersion),
    ) -> Result<DocumentChange, FieldError> {
        let bytes = serde_json::to_vec(self).expect("texts and numbers can be written as JSON");
        DocumentChange::put(Document { id: document_id(id)?, version, bytes }, expected)
    }

    pub fn state(&self, lease: Duration, now: Timestamp) -> WorkerState {
        if self.banned_until.is_some() {
            WorkerState::Kicked
        } else if self.heard.after(lease) <= now {
            WorkerState::Offline
        } else if self.draining {
            WorkerState::Draining
        } else {
            WorkerState::Online
        }
    }

    /// Whether it may claim tasks for this handler that ask for this.
    pub fn may_run(&self, id: &str, handler: &str, filter: &WorkerFilter) -> bool {
        let NewWorker { handlers, tags, labels, .. } = &*self.worker;
        handlers.iter().any(|offered| offered.name == handler) && filter.passes(id, tags, labels)
    }

    pub fn view(&self, id: &str, lease: Duration, now: Timestamp) -> WorkerView {
        WorkerView {
            id: id.to_owned(),
            worker: (*self.worker).clone(),
            state: self.state(lease, now),
            registered: self.registered,
            heard: self.heard,
            running: self.running,
            load: self.load,
            banned_until: self.banned_until,
        }
    }
}

pub(super) fn document_id(id: &str) -> Result<DocumentId, FieldError> {
    Ok(DocumentId { kind: DocumentKind::Worker, key: DocumentKey::new(id)? })
}

/// The documents of all workers, or of those whose ids begin like this, by id.
pub(super) async fn list_documents(
    store: &dyn Store,
    prefix: Option<DocumentKey>,
) -> Result<Vec<(Document, WorkerDocument)>, StoreError> {
    let (kind, limit) = (DocumentKind::Worker, PageLimit::items(limits::PAGE));
    let mut query = DocumentsQuery { kind, prefix, after: None, limit };
    let mut found = Vec::new();
    loop {
        let Listed { items, next } = store.list_documents(query.clone()).await?;
        found.extend(items.into_iter().filter_map(|document| {
            let worker = WorkerDocument::read(&document)?;
            Some((document, worker))
        }));
        query.after = next;
        if query.after.is_none() {
            return Ok(found);
        }
    }
}
