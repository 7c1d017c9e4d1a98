//! A commit in two parts: staged rows, and the commit that publishes them.

use std::collections::{BTreeMap, BTreeSet};

use jobtracker_model::{JobId, Repeat, State, StateSet};

use super::{forest::Forest, pages::WIDE, stage::Stage};
use jobtracker_store::{
    BlockersQuery, ChangesQuery, ChildrenQuery, DescendantsQuery, Error, FollowUpKey,
    FollowUpsQuery, LogQuery, Result, Row, StageId, TreeCommit, Wanted,
};

/// The staged rows of one tree, and the commit that publishes them.
#[derive(Clone)]
pub struct Staging {
    /// The stage.
    pub id: StageId,
    /// The rows that each call stages, in this order.
    pub calls: Vec<Vec<Row>>,
    /// The commit that publishes it.
    pub commit: TreeCommit,
}

impl Staging {
    /// Parts a commit: rows of new jobs are staged, this many jobs in a call, lines of their logs a
    /// call later; the rest stays in the commit, as do follow-ups in a list by time.
    pub fn new(id: u64, commit: TreeCommit, jobs: usize) -> Self {
        let created = |row: &Row| matches!(row, Row::Job { .. }).then(|| row.job()).flatten();
        let new: Vec<JobId> = commit.rows.iter().filter_map(created).collect();
        let call_of: BTreeMap<JobId, usize> =
            new.iter().enumerate().map(|(index, id)| (*id, index / jobs)).collect();
        let mut calls = vec![Vec::new(); new.len().div_ceil(jobs) + 1];
        let mut rest = Vec::new();
        for row in commit.rows {
            match (row.job().and_then(|id| call_of.get(&id)), &row) {
                (None, _) | (_, Row::Attachment { .. }) => rest.push(row),
                (_, Row::FollowUp { row: follow_up, .. }) if follow_up.entry().is_some() => {
                    rest.push(row);
                }
                (Some(call), Row::LogLine { .. }) => calls[call + 1].push(row),
                (Some(call), _) => calls[*call].push(row),
            }
        }
        let id = StageId(id);
        Self { id, calls, commit: TreeCommit { rows: rest, publishes: Some(id), ..commit } }
    }

    /// Leaves every status to the commit, as a caller does that counts to the end.
    pub fn with_statuses_last(mut self) -> Self {
        let is_status = |row: &mut Row| matches!(row, Row::Status { .. });
        for call in &mut self.calls {
            self.commit.rows.extend(call.extract_if(.., is_status));
        }
        self
    }

    /// Every job that it creates.
    pub fn ids(&self) -> BTreeSet<JobId> {
        let created = |row: &Row| matches!(row, Row::Job { .. }).then(|| row.job()).flatten();
        self.calls.iter().flatten().filter_map(created).collect()
    }
}

pub(super) fn is_stale(root: u64) -> impl Fn(&Error) -> bool {
    move |error| matches!(error, Error::Stale { root: stale } if stale.get() == root)
}

impl Stage {
    /// The one commit that a change makes, in two parts, and the forest with that change.
    pub fn parted(
        &self,
        stage: u64,
        jobs: usize,
        change: impl FnOnce(&mut Forest),
    ) -> (Staging, Forest) {
        let mut forest = self.forest.clone();
        change(&mut forest);
        let mut commits = forest.commits();
        self.same("trees in a commit of two parts", &commits.len(), &1);
        (Staging::new(stage, commits.remove(0), jobs), forest)
    }

    /// Does one call.
    pub async fn put(&self, staging: &Staging, rows: &[Row]) -> Result<()> {
        self.store.stage(staging.id, staging.commit.root, rows.to_vec()).await
    }

    /// Does all calls.
    pub async fn stage_rows(&self, staging: &Staging) {
        for rows in &staging.calls {
            let answer = self.put(staging, rows).await;
            self.ok("rows that are staged", answer);
        }
    }

    /// Makes the commit that publishes it.
    pub async fn publish(&self, staging: &Staging) -> Result<()> {
        self.store.commit(vec![staging.commit.clone()]).await.remove(0)
    }

    /// Takes over a tree, and all changes to it, from another forest.
    pub fn join(&mut self, other: Forest, root: JobId) {
        let of_tree = other.jobs.into_iter().filter(|(_, job)| job.origin.root == root);
        self.forest.jobs.extend(of_tree);
        self.forest.versions.insert(root, other.versions[&root]);
    }

    /// No method that takes a job finds one of these.
    pub async fn unseen(&self, ids: &BTreeSet<JobId>) {
        for id in ids {
            self.unseen_by_lists(*id).await;
        }
        let all: Vec<JobId> = ids.iter().copied().collect();
        let states = self.store.get_states(all.clone()).await;
        let due = vec![State::WaitingForActivation; all.len()];
        self.same("states of hidden jobs", &self.ok("states", states), &due);
        let mut wanted = Wanted::default();
        for id in all {
            wanted.paths.insert(id);
            wanted.definitions.insert(id);
            wanted.follow_ups.insert((id, FollowUpKey::Watch));
            for name in ["change 1", "append 0"] {
                wanted.repeats.insert((id, Repeat::Change(name.to_owned())));
                wanted.repeats.insert((id, Repeat::Append(name.to_owned())));
            }
        }
        let loaded = self.store.load(wanted.clone()).await;
        let loaded = self.ok("a load of hidden jobs", loaded);
        self.same("what is loaded of hidden jobs", &loaded, &self.forest.loaded(&wanted));
    }

    async fn unseen_by_lists(&self, id: JobId) {
        let job = self.store.get_job(id).await;
        self.same(format_args!("hidden job {id}"), &self.ok("a hidden job", job), &None);
        let text = self.store.get_attachment(id, "a").await;
        self.same("a hidden attachment", &self.ok("a hidden attachment", text), &None);
        let unknown = |error: &Error| matches!(error, Error::UnknownJob(of) if *of == id);
        let (states, after, limit) = (StateSet::EMPTY, None, WIDE);
        let list = self.store.list_ancestors(id).await;
        self.refused("ancestors of a hidden job", list, unknown);
        let list = self.store.list_children(ChildrenQuery { limit, ..ChildrenQuery::of(id) });
        self.refused("children of a hidden job", list.await, unknown);
        let query = DescendantsQuery { of: id, states, after, limit };
        let list = self.store.list_descendants(query).await;
        self.refused("descendants of a hidden job", list, unknown);
        let list = self.store.list_blockers(BlockersQuery { of: id, after, limit }).await;
        self.refused("blockers of a hidden job", list, unknown);
        let list = self.store.list_changes(ChangesQuery { id, from: 0, limit }).await;
        self.refused("changes of a hidden job", list, unknown);
        let list = self.store.list_log(LogQuery { id, from: None, limit }).await;
        self.refused("log of a hidden job", list, unknown);
        let query = FollowUpsQuery { id, from: FollowUpKey::Watch, limit };
        let list = self.store.list_follow_ups(query).await;
        self.refused("follow-ups of a hidden job", list, unknown);
        let list = self.store.list_attachments(id).await;
        self.refused("attachments of a hidden job", list, unknown);
    }

    /// Commits a change that needs ids of a discarded stage, as soon as they are free.
    pub async fn commit_once_free(&mut self, change: impl FnOnce(&mut Forest)) {
        const TRIES: usize = 100_000;
        change(&mut self.forest);
        let commits = self.forest.commits();
        self.same("trees in a commit that waits", &commits.len(), &1);
        let root = commits[0].root;
        for _ in 0..TRIES {
            match self.store.commit(commits.clone()).await.remove(0) {
                Ok(()) => return,
                answer => self.refused("ids that are not free", answer, is_stale(root.get())),
            }
            tokio::task::yield_now().await;
        }
        self.fail("the ids of a discarded stage do not become free")
    }
}
