use std::{collections::HashSet, sync::Arc};

use jobtracker_model::{AttachmentInfo, JobId, Repeat, State, StateSet};

use super::{
    forest::Forest,
    pages::{ALWAYS, NARROW, WIDE, filters},
    stage::Stage,
};
use jobtracker_store::{FollowUpKey, Store, Wanted};

/// Compares everything that can be read of these trees; the store may have others.
///
/// # Panics
/// The store answers otherwise than the forest.
pub async fn compare_trees(store: Arc<dyn Store>, forest: &Forest) {
    let mut stage = Stage::with("trees of a test", store);
    stage.forest = forest.clone();
    stage.compare_trees().await;
}

/// Compares the list of all roots.
///
/// # Panics
/// The store lists otherwise than the forest.
pub async fn compare_roots(store: Arc<dyn Store>, forest: &Forest) {
    let mut stage = Stage::with("roots of a test", store);
    stage.forest = forest.clone();
    stage.compare_roots(ALWAYS, WIDE).await;
}

impl Stage {
    /// Compares everything that can be read, in wide pages. Of very many jobs only a part is read
    /// one by one; the lists of their ancestors show the others.
    pub async fn compare(&self) {
        self.compare_trees().await;
        self.compare_roots(ALWAYS, WIDE).await;
        self.compare_indexes(ALWAYS, WIDE).await;
        let check = self.store.check().await;
        self.ok("check", check);
    }

    async fn compare_trees(&self) {
        const ONE_BY_ONE: usize = 500;
        let ids: Vec<JobId> = self.forest.jobs.keys().copied().collect();
        let some: Vec<JobId> = ids.iter().copied().step_by(ids.len() / ONE_BY_ONE + 1).collect();
        for &id in &some {
            self.compare_job(id).await;
            self.compare_lists(id, &[StateSet::EMPTY], WIDE).await;
        }
        for (id, _) in self.forest.jobs.iter().filter(|(_, job)| job.origin.parent.is_none()) {
            self.compare_lists(*id, &[StateSet::EMPTY], WIDE).await;
            self.compare_rows(*id, WIDE).await;
        }
        self.compare_states(&ids).await;
        self.compare_loads(&some).await;
    }

    /// Compares every list of every job, with every filter and every kind of pages.
    pub async fn compare_pages(&self) {
        let filters = filters();
        for limit in NARROW.into_iter().chain([WIDE]) {
            for id in self.forest.jobs.keys() {
                self.compare_lists(*id, &filters, limit).await;
            }
            for (id, _) in self.forest.jobs.iter().filter(|(_, job)| job.origin.parent.is_none()) {
                self.compare_rows(*id, limit).await;
            }
            self.compare_roots(ALWAYS, limit).await;
            self.compare_indexes(ALWAYS, limit).await;
        }
        for (id, _) in self.forest.jobs.iter().filter(|(_, job)| !job.children.is_empty()) {
            self.compare_shapes(*id).await;
        }
    }

    async fn compare_job(&self, id: JobId) {
        let job = self.forest.job(id);
        let got = self.store.get_job(id).await;
        let got = self.ok(format_args!("job {id}"), got);
        self.same(format_args!("job {id}"), &got, &Some(self.forest.row(id)));
        let got = self.store.list_ancestors(id).await;
        let got = self.ok(format_args!("ancestors of {id}"), got);
        self.same_jobs(format_args!("ancestors of {id}"), &got, &self.forest.ancestors(id));

        let got = self.store.list_attachments(id).await;
        let got = self.ok(format_args!("attachments of {id}"), got);
        let info = |(key, text): (&String, &String)| AttachmentInfo {
            key: key.clone(),
            size: u32::try_from(text.len()).expect("the suite attaches small texts"),
        };
        let due: Vec<AttachmentInfo> = job.attachments.iter().map(info).collect();
        self.same(format_args!("attachments of {id}"), &got, &due);
        for (key, text) in &job.attachments {
            let got = self.store.get_attachment(id, key).await;
            let got = self.ok(format_args!("attachment {key} of {id}"), got);
            self.same(format_args!("attachment {key} of {id}"), &got.as_ref(), &Some(text));
        }
        self.compare_follow_ups(id, WIDE).await;
        self.compare_places(id).await;
    }

    async fn compare_states(&self, ids: &[JobId]) {
        for ids in ids.chunks(1000) {
            // An id that names no job stands among them.
            let stranger = self.stranger();
            let asked: Vec<JobId> = ids.iter().copied().rev().chain([stranger, ids[0]]).collect();
            let due: Vec<State> = asked.iter().map(|id| self.forest.state(*id)).collect();
            let got = self.store.get_states(asked).await;
            self.same("states", &self.ok("states", got), &due);
        }
    }

    /// Loads jobs one by one and all at once, with all that belongs to them and some rows that do
    /// not exist.
    async fn compare_loads(&self, ids: &[JobId]) {
        let mut all = Wanted::default();
        for &id in ids.iter().chain([&self.stranger()]) {
            let mut one = Wanted::default();
            one.paths.insert(id);
            one.definitions.insert(id);
            one.repeats.insert((id, Repeat::Change("never sent".to_owned())));
            one.repeats.insert((id, Repeat::Append("never sent".to_owned())));
            one.attachments.insert((id, "never-put".to_owned()));
            one.follow_ups.insert((id, FollowUpKey::Check(u32::MAX)));
            one.changes.extend([(id, 1), (id, u32::MAX)]);
            if let Some(job) = self.forest.jobs.get(&id) {
                one.repeats.extend(job.repeats.keys().map(|key| (id, key.clone())));
                one.attachments.extend(job.attachments.keys().map(|key| (id, key.clone())));
                one.follow_ups.extend(job.follow_ups.keys().map(|key| (id, *key)));
                one.changes.extend((1..=job.changes.len() as u32).map(|number| (id, number)));
            }
            self.compare_load(&one).await;
            all.paths.extend(one.paths);
            all.definitions.extend(one.definitions);
            all.repeats.extend(one.repeats);
            all.attachments.extend(one.attachments);
            all.follow_ups.extend(one.follow_ups);
            all.changes.extend(one.changes);
        }
        self.compare_load(&all).await;
        // Each kind of wish is independent: a definition wants no path.
        self.compare_load(&Wanted { paths: HashSet::new(), ..all }).await;
        self.compare_load(&Wanted::default()).await;
    }

    async fn compare_load(&self, wanted: &Wanted) {
        let got = self.store.load(wanted.clone()).await;
        let (got, due) = (self.ok("load", got), self.forest.loaded(wanted));
        self.same("loaded versions", &got.versions, &due.versions);
        self.same("loaded nodes", &got.nodes, &due.nodes);
        self.same("loaded definitions", &got.definitions, &due.definitions);
        self.same("loaded repeats", &got.repeats, &due.repeats);
        self.same("loaded attachments", &got.attachments, &due.attachments);
        self.same("loaded follow-ups", &got.follow_ups, &due.follow_ups);
        self.same("loaded changes", &got.changes, &due.changes);
    }

    /// An id that names no job.
    pub fn stranger(&self) -> JobId {
        let numbers = (1_000_000_007..).filter_map(JobId::new);
        numbers
            .into_iter()
            .find(|id| !self.forest.jobs.contains_key(id))
            .expect("the suite does not use up all ids")
    }
}
