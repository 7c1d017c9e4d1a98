//! Lists of follow-ups, of a job and by time.

use std::{collections::BTreeMap, sync::Arc};

use jobtracker_model::{JobId, Timestamp};

use super::{forest::Forest, pages::ALWAYS, stage::Stage};
use jobtracker_store::{
    FollowUp, FollowUpKey, FollowUpsQuery, IndexId, IndexKey, IndexQuery, Listed, PageLimit, Store,
};

/// The first of each kind.
pub(super) const KINDS: [FollowUpKey; 5] = [
    FollowUpKey::Watch,
    FollowUpKey::Action(0),
    FollowUpKey::Check(0),
    FollowUpKey::Delivery(0),
    FollowUpKey::Task,
];

/// Compares the lists by time of a store that has nothing else, with one kind of pages.
///
/// # Panics
/// The store lists otherwise than the forest.
pub async fn compare_indexes(store: Arc<dyn Store>, forest: &Forest, limit: PageLimit) {
    let mut stage = Stage::with("follow-ups of a test", store);
    stage.forest = forest.clone();
    stage.compare_indexes(ALWAYS, limit).await;
}

/// The follow-up behind this one, if its kind goes on.
fn next_of(key: FollowUpKey) -> Option<FollowUpKey> {
    let (kind, number) = key.parts();
    FollowUpKey::of(kind, number.checked_add(1)?)
}

impl Stage {
    /// Compares the follow-ups of a job, kind by kind.
    pub async fn compare_follow_ups(&self, id: JobId, limit: PageLimit) {
        let is_followed = self.forest.job(id).status.flags.followed;
        for from in if is_followed { &KINDS[..] } else { &KINDS[3..] } {
            self.compare_follow_ups_from(id, *from, limit).await;
        }
    }

    /// Compares the follow-ups of a job from one on.
    pub async fn compare_follow_ups_from(&self, id: JobId, from: FollowUpKey, limit: PageLimit) {
        let what = format!("follow-ups of {id} from {from:?} with {limit:?}");
        let due = self.forest.follow_ups(id, from);
        let (mut got, mut next) = (Vec::new(), Some(from));
        while let Some(from) = next {
            let page = self.store.list_follow_ups(FollowUpsQuery { id, from, limit }).await;
            let Listed { items, next: last } = self.ok(&what, page);
            self.page_is_small(&what, items.len(), limit);
            self.holds(format_args!("{what} get on"), last.is_none_or(|last| last >= from));
            got.extend(items);
            next = last.and_then(next_of);
        }
        self.same(what, &got, &due);
    }

    #[track_caller]
    fn page_is_small(&self, what: &str, items: usize, limit: PageLimit) {
        let most = if limit.bytes == 1 { 1 } else { limit.items.min(limit.scan) };
        self.holds(format_args!("{what}: {items} on a page"), items <= most);
    }

    /// A list by time, all parts of it page by page.
    pub async fn index_pages(
        &self,
        index: IndexId,
        span: (Timestamp, Timestamp),
        limit: PageLimit,
    ) -> Vec<(IndexKey, FollowUp)> {
        let (mut all, mut part_of) = (Vec::new(), BTreeMap::new());
        for part in 0..self.store.index_parts() {
            let found = self.index_part(part, index, span, limit).await;
            for (key, _) in &found {
                let of_tree = self.forest.jobs.get(&key.id).map(|job| job.origin.root);
                let first = of_tree.map(|root| *part_of.entry(root).or_insert(part));
                let is_one = first.is_none_or(|first| first == part);
                self.holds(format_args!("the tree of {} is in one part", key.id), is_one);
            }
            all.extend(found);
        }
        all.sort_by_key(|(key, _)| *key);
        all
    }

    async fn index_part(
        &self,
        part: u32,
        index: IndexId,
        (from, until): (Timestamp, Timestamp),
        limit: PageLimit,
    ) -> Vec<(IndexKey, FollowUp)> {
        let what = format!("{index:?} of part {part} from {from} until {until} with {limit:?}");
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let query = IndexQuery { index, part, from, until, after, limit };
            let Listed { items, next } = self.ok(&what, self.store.list_index(query).await);
            self.page_is_small(&what, items.len(), limit);
            let keys = || items.iter().map(|(key, _)| *key);
            let is_behind = keys().all(|key| after.is_none_or(|after| key > after));
            self.holds(format_args!("{what}: in order"), is_behind && keys().is_sorted());
            let gets_on = next.is_none_or(|next| after < Some(next));
            let has_all = next.is_none_or(|next| keys().all(|key| key <= next));
            self.holds(format_args!("{what}: gets on"), gets_on && has_all);
            found.extend(items);
            after = next;
            if after.is_none() {
                return found;
            }
        }
    }

    /// Compares both lists by time, between two times.
    pub async fn compare_indexes(&self, span: (Timestamp, Timestamp), limit: PageLimit) {
        for index in IndexId::ALL {
            let (from, until) = span;
            let what = format!("{index:?} from {from} until {until} with {limit:?}");
            let got = self.index_pages(index, span, limit).await;
            let due = self.forest.index(index, span);
            let keys = |rows: &[(IndexKey, FollowUp)]| {
                rows.iter().map(|(key, _)| *key).collect::<Vec<_>>()
            };
            self.same(format_args!("entries of {what}"), &keys(&got), &keys(&due));
            self.same(what, &got, &due);
        }
    }
}
