//! A group of operations that has been applied and is being committed.

use std::{collections::HashMap, sync::Arc};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use jobtracker_model::{JobId, Repeat};
use jobtracker_store::{Error as StoreError, FollowUpKey, Row, Store, TreeCommit, Version, Wanted};

use crate::{
    Result,
    apply::{self, Became, Rules},
    feed::{Feed, News, States},
    operation::{Operation, Outcome, Submitted},
    upload::{Step, UploadTree, What},
    workspace::Workspace,
};

/// Operations on their way to the store, and whom to tell when they are durable.
#[derive(Default)]
pub(crate) struct Group {
    pub applied: Vec<Applied>,
    /// The trees that change, each with the version that the change was computed from.
    pub trees: Vec<(JobId, Version)>,
    /// The jobs that are created, each with its tree.
    pub created: Vec<(JobId, JobId)>,
    /// What is to be told of the trees.
    pub news: HashMap<JobId, News>,
}

/// The trees for which a commit failed.
pub(crate) type Failed = HashMap<JobId, StoreError>;

/// An operation that has been applied but not committed.
pub(crate) struct Applied {
    pub submitted: Submitted,
    /// The tree that it belongs to, if there is one.
    pub root: Option<JobId>,
    pub outcome: Result<Outcome>,
    /// How many deliveries it did not make, because a job is at its limit of deliveries.
    pub lost: u32,
}

impl Group {
    /// Applies each operation in the order of arrival.
    pub fn apply(
        mut space: Workspace,
        group: Vec<Submitted>,
        rules: Rules,
        feed: &Feed,
    ) -> (Self, Vec<TreeCommit>) {
        let (is_heard, mut states) = (feed.has_listeners(), States::new());
        let mut became = Vec::new();
        let applied = group
            .into_iter()
            .map(|submitted| {
                let outcome = apply::apply(&mut space, &submitted.operation, rules, &mut became);
                let lost = std::mem::take(&mut space.lost);
                let subject = submitted.operation.subject();
                let found = subject.and_then(|id| space.root(id));
                // The rows of a staged tree are not in the workspace, but its root is known.
                let root = found.or_else(|| submitted.operation.own_root());
                let became = became.drain(..).map(|Became { id, state, .. }| (id, state));
                if let Some(root) = root.filter(|_| is_heard) {
                    states.entry(root).or_default().extend(became);
                }
                Applied { submitted, root, outcome, lost }
            })
            .collect();
        let commits = space.into_commits();
        let trees = commits.iter().map(|commit| (commit.root, commit.expected)).collect();
        let created = commits.iter().flat_map(created).collect();
        let news = feed.prepare(&commits, states, rules.now);
        (Self { applied, trees, created, news }, commits)
    }

    /// Commits the group. On a store that servers share, each tree comes back as soon as its own
    /// commit has ended, so that a slow commit does not delay the others.
    pub fn commit(
        self,
        store: Arc<dyn Store>,
        commits: Vec<TreeCommit>,
    ) -> BoxStream<'static, (Self, Failed)> {
        let parts = store.is_shared() && self.trees.len() > 1 && !self.depends_on_all();
        match parts {
            true => self.commit_by_tree(store, commits),
            false => stream::once(self.commit_whole(store, commits)).boxed(),
        }
    }

    async fn commit_whole(self, store: Arc<dyn Store>, commits: Vec<TreeCommit>) -> (Self, Failed) {
        let results = match commits.is_empty() {
            true => Vec::new(),
            false => store.commit(commits).await,
        };
        let answered = self.trees.iter().zip(results);
        let failed = answered.filter_map(|((root, _), result)| Some((*root, result.err()?)));
        let failed = failed.collect();
        (self, failed)
    }

    fn commit_by_tree(
        self,
        store: Arc<dyn Store>,
        commits: Vec<TreeCommit>,
    ) -> BoxStream<'static, (Self, Failed)> {
        let (unchanged, mut parts) = self.split();
        let ended = store.commit_each(commits).map(move |(tree, result)| {
            let part = std::mem::take(&mut parts[tree]);
            let root = part.trees.first().map(|(root, _)| *root);
            let failed = root.into_iter().zip(result.err()).collect();
            (part, failed)
        });
        stream::once(async { (unchanged, Failed::new()) }).chain(ended).boxed()
    }

    /// Whether an operation depends on every tree of the group: an id that conflicts may be of any
    /// of these trees, and free if that tree fails.
    fn depends_on_all(&self) -> bool {
        let conflict =
            |applied: &Applied| matches!(applied.outcome, Err(crate::Error::IdConflict(_)));
        self.applied.iter().any(conflict)
    }

    /// Divides the group into what no commit of it touches, and a part for each of its trees.
    fn split(self) -> (Self, Vec<Self>) {
        let place: HashMap<JobId, usize> =
            self.trees.iter().enumerate().map(|(place, (root, _))| (*root, place)).collect();
        let part = |tree| Self { trees: vec![tree], ..Self::default() };
        let mut parts: Vec<Self> = self.trees.into_iter().map(part).collect();
        let mut unchanged = Self::default();
        for applied in self.applied {
            let part = applied.root.and_then(|root| place.get(&root));
            part.map_or(&mut unchanged, |place| &mut parts[*place]).applied.push(applied);
        }
        for (root, news) in self.news {
            let part = place.get(&root);
            part.map_or(&mut unchanged, |place| &mut parts[*place]).news.insert(root, news);
        }
        for (id, root) in self.created {
            let part = place.get(&root);
            part.map_or(&mut unchanged, |place| &mut parts[*place]).created.push((id, root));
        }
        (unchanged, parts)
    }
}

fn created(commit: &TreeCommit) -> impl Iterator<Item = (JobId, JobId)> {
    commit.rows.iter().filter_map(|row| match row {
        Row::Job { id, .. } => Some((*id, commit.root)),
        _ => None,
    })
}

/// All rows that applying the group may read.
pub(crate) fn wanted(group: &[Submitted]) -> Wanted {
    let mut wanted = Wanted::default();
    for submitted in group {
        wanted.paths.extend(submitted.operation.subject());
        // The first attempt to create a tree that was deleted is refused as stale.
        if submitted.attempts > 0 {
            wanted.tombstones.extend(submitted.operation.own_root());
        }
        match &submitted.operation {
            Operation::ReserveIds { .. } | Operation::Delete(_) => {}
            Operation::Create { jobs, parent, holder } => {
                wanted.paths.extend(jobs.iter().filter_map(|job| job.id));
                let parent = parent.filter(|_| holder.is_some());
                wanted.follow_ups.extend(parent.map(|id| (id, FollowUpKey::Task)));
            }
            Operation::Update { id, change } => {
                let repeat = change.change_id.clone().map(Repeat::Change);
                wanted.repeats.extend(repeat.map(|key| (*id, key)));
            }
            Operation::SetOptions { id, .. } => {
                wanted.definitions.insert(*id);
            }
            Operation::Task { id, .. } => {
                wanted.follow_ups.insert((*id, FollowUpKey::Task));
            }
            Operation::AppendLog { id, lines, holder } => {
                wanted.follow_ups.extend(holder.iter().map(|_| (*id, FollowUpKey::Task)));
                let repeat = lines.append_id.clone().map(Repeat::Append);
                wanted.repeats.extend(repeat.map(|key| (*id, key)));
            }
            Operation::PutAttachment { id, key, .. } | Operation::DeleteAttachment { id, key } => {
                wanted.attachments.insert((*id, key.clone()));
            }
            Operation::FollowUp { id, change } => {
                wanted.follow_ups.extend(change.wanted().into_iter().map(|key| (*id, key)));
            }
            Operation::UploadTree(tree) => want_tree(&mut wanted, tree, submitted.attempts),
        }
    }
    wanted
}

fn want_tree(wanted: &mut Wanted, tree: &UploadTree, attempts: u32) {
    wanted.tree_results.insert((tree.commit().clone(), tree.root));
    if attempts > 0 {
        // When the tree came in, its new jobs did not exist. If one of them exists by now, the
        // store has refused the first attempt, and this one finds out which.
        wanted.paths.extend(tree.created());
    }
    for Step { id, what, .. } in &tree.steps {
        wanted.paths.insert(*id);
        match what {
            What::Report { change, .. } => {
                let repeat = change.change_id.clone().map(Repeat::Change);
                wanted.repeats.extend(repeat.map(|key| (*id, key)));
            }
            What::Options(_) => drop(wanted.definitions.insert(*id)),
            What::Growth(_) | What::Line { .. } => {}
        }
    }
}
