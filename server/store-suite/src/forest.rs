use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jobtracker_model::{
    Change, Definition, JobId, LogLine, NewChange, Repeat, State, Timestamp,
    rollup::{Status, StatusDelta},
};

use super::{draft::Draft, kept::Kept};
use jobtracker_store::{Origin, RepeatRow, TreeCommit, Version};

/// The rows that should be in the store, in plain maps, and those that are still to be committed.
#[derive(Debug, Clone, Default)]
pub struct Forest {
    pub(super) jobs: BTreeMap<JobId, Kept>,
    pub(super) versions: BTreeMap<JobId, Version>,
    drafts: BTreeMap<JobId, Draft>,
    ticks: i64,
}

/// A valid id, from a number that the suite knows to be one.
pub(super) fn id(number: u64) -> JobId {
    JobId::new(number).expect("the suite's own numbers are ids")
}

/// A definition with something in every field; the days are those of a root alone.
pub(super) fn definition(name: &str) -> Definition {
    Definition {
        name: name.to_owned(),
        created_by: format!("creator of {name}"),
        tags: vec!["conformance".to_owned(), name.to_owned()],
        options: Some(format!("options of {name}")),
        source_link: Some(format!("https://jobs.example/{name}")),
        keep_days: Some(30),
    }
}

impl Forest {
    /// The next time. Two in a row are the same one, since jobs of one millisecond are common.
    pub(super) fn tick(&mut self) -> Timestamp {
        /// Some day in 2023.
        const START: i64 = 1_700_000_000_000;
        self.ticks += 1;
        Timestamp::from_millis(START + self.ticks / 2).expect("the suite does not run for ages")
    }

    pub(super) fn job(&self, id: JobId) -> &Kept {
        self.jobs.get(&id).expect("the suite speaks of its own jobs")
    }

    /// The ids of all jobs.
    pub fn ids(&self) -> impl Iterator<Item = JobId> {
        self.jobs.keys().copied()
    }

    /// Every tree with the version that it should have.
    pub fn versions(&self) -> impl Iterator<Item = (JobId, Version)> {
        self.versions.iter().map(|(root, version)| (*root, *version))
    }

    /// Takes over the jobs that it does not have.
    pub fn join(&mut self, other: Self) {
        self.jobs.extend(other.jobs);
        self.versions.extend(other.versions);
    }

    pub(super) fn job_mut(&mut self, id: JobId) -> &mut Kept {
        self.jobs.get_mut(&id).expect("the suite speaks of its own jobs")
    }

    /// The draft of the next commit in the tree of a job.
    pub(super) fn draft(&mut self, id: JobId) -> &mut Draft {
        let root = self.job(id).origin.root;
        self.drafts.entry(root).or_default()
    }

    /// Creates a job; without a parent it is a root.
    pub fn create(&mut self, id: JobId, parent: Option<JobId>, mut definition: Definition) {
        definition.keep_days = definition.keep_days.filter(|_| parent.is_none());
        let (status, ripple) = Status::created(id, self.tick());
        let fingerprint = definition.fingerprint(parent);
        let above = parent.map(|parent| self.job(parent).origin);
        let origin = Origin {
            parent,
            root: above.map_or(id, |above| above.root),
            depth: above.map_or(0, |above| above.depth + 1),
            fingerprint,
        };
        let kept = Kept {
            origin,
            definition: Arc::new(definition),
            changes: vec![Change::creation(status.create_time)],
            status,
            stored: None,
            children: BTreeSet::new(),
            log: Vec::new(),
            repeats: BTreeMap::new(),
            attachments: BTreeMap::new(),
            follow_ups: BTreeMap::new(),
            places: BTreeMap::new(),
        };
        assert!(self.jobs.insert(id, kept).is_none(), "the suite creates job {id} twice");
        if let Some(parent) = parent {
            self.job_mut(parent).children.insert(id);
        }
        self.draft(id).created(id);
        self.rise(parent, ripple);
    }

    /// A small named child.
    pub fn child(&mut self, number: u64, parent: u64) {
        self.create(id(number), Some(id(parent)), definition(&format!("child-{number}")));
    }

    /// A small named root.
    pub fn root(&mut self, number: u64) {
        self.create(id(number), None, definition(&format!("root-{number}")));
    }

    /// Appends an own change.
    pub fn report(&mut self, id: JobId, state: State, message: Option<String>) {
        let time = self.tick();
        let job = self.job_mut(id);
        let number = job.status.changes;
        let ripple = job.status.report(id, state, time);
        let parent = job.origin.parent;
        let change_id = format!("change {number}");
        let key = Repeat::Change(change_id.clone());
        let row = RepeatRow { first: number, count: 1, fingerprint: u64::from(number) << 40 };
        let new = NewChange { message, ..NewChange::new(state) };
        let change = Change::recorded(new.reason_code("because").change_id(change_id), time);
        job.changes.push(change.clone());
        job.repeats.insert(key.clone(), row);
        self.draft(id).changed(id, number, change, key, row);
        self.rise(parent, ripple);
    }

    /// Appends several changes without messages, one job after the other.
    pub fn reports(&mut self, state: State, numbers: &[u64]) {
        for number in numbers {
            self.report(id(*number), state, None);
        }
    }

    /// Hands a status delta up to the root.
    fn rise(&mut self, mut parent: Option<JobId>, mut ripple: StatusDelta) {
        while let Some(id) = parent {
            let job = self.job_mut(id);
            let risen = job.status.absorb(id, &ripple);
            parent = job.origin.parent;
            self.draft(id).touched(id);
            match risen {
                Some(risen) => ripple = risen,
                None => break,
            }
        }
    }

    /// Appends lines to a log.
    pub fn append(&mut self, id: JobId, texts: &[&str]) {
        let time = self.tick();
        let job = self.job_mut(id);
        let first = job.status.log_lines;
        let key = Repeat::Append(format!("append {first}"));
        let count = u32::try_from(texts.len()).expect("the suite appends few lines");
        let row = RepeatRow { first, count, fingerprint: u64::MAX - u64::from(first) };
        job.status.log_lines += count;
        job.repeats.insert(key.clone(), row);
        let lines = (first..).zip(texts).map(|(line, text)| LogLine {
            line,
            time,
            // Every other line is one of an attempt.
            attempt: (line % 2 == 1).then_some(line),
            text: (*text).to_owned(),
        });
        let lines: Vec<LogLine> = lines.collect();
        job.log.extend(lines.iter().cloned());
        self.draft(id).appended(id, lines, key, row);
    }

    /// Puts an attachment, or removes it.
    pub fn attach(&mut self, id: JobId, key: &str, text: Option<&str>) {
        let job = self.job_mut(id);
        match text {
            Some(text) => job.attachments.insert(key.to_owned(), text.to_owned()),
            None => job.attachments.remove(key),
        };
        job.status.attachments =
            u32::try_from(job.attachments.len()).expect("the suite attaches little");
        self.draft(id).attached(id, key.to_owned());
    }

    /// Replaces the options. The fingerprint stays that of the creation.
    pub fn set_options(&mut self, id: JobId, options: Option<String>) {
        let job = self.job_mut(id);
        job.definition = Arc::new(Definition { options, ..(*job.definition).clone() });
        self.draft(id).redefined(id);
    }

    /// The commits to make, tree by tree. The forest is then as it is after they were done.
    pub fn commits(&mut self) -> Vec<TreeCommit> {
        let drafts = std::mem::take(&mut self.drafts);
        drafts.into_iter().map(|(root, draft)| self.commit(root, draft)).collect()
    }

    fn commit(&mut self, root: JobId, draft: Draft) -> TreeCommit {
        let (touched, followed) = (draft.all_touched(), draft.all_followed());
        let version = self.versions.entry(root).or_insert(0);
        let expected = *version;
        *version += 1;
        let mut rows = draft.into_rows(&self.jobs);
        for id in touched {
            let job = self.job_mut(id);
            job.stored = Some(job.status.state);
        }
        for (id, key) in followed {
            let job = self.job_mut(id);
            match job.follow_ups[&key].entry() {
                Some(place) => job.places.insert(key, place),
                None => job.places.remove(&key),
            };
        }
        // The rows of a commit have no order among themselves.
        if expected % 2 == 1 {
            rows.reverse();
        }
        TreeCommit { root, expected, rows, publishes: None }
    }
}
