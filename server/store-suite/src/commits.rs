//! The promises of a commit: versions, refusals, several trees at once.

use std::sync::Arc;

use jobtracker_model::{JobId, State};

use super::{
    Fixture,
    forest::{Forest, definition, id},
    stage::Stage,
    staged::is_stale,
};
use jobtracker_store::{Result, TreeCommit};

pub(super) async fn run(fixture: &impl Fixture) {
    versions(fixture).await;
    commits_after(fixture).await;
    creations(fixture).await;
    several_trees(fixture).await;
    rivals(fixture).await;
    dropped(fixture).await;
    options(fixture).await;
}

impl Stage {
    /// Commits one tree.
    async fn commit_one(&self, commit: TreeCommit) -> Result<()> {
        let mut answers = self.store.commit(vec![commit]).await;
        self.same("the number of answers to one commit", &answers.len(), &1);
        answers.remove(0)
    }

    /// The one commit that `change` makes, which the forest does not learn of.
    fn drafted(&self, change: impl FnOnce(&mut Forest)) -> TreeCommit {
        let mut forest = self.forest.clone();
        change(&mut forest);
        let mut commits = forest.commits();
        self.same("trees in a draft", &commits.len(), &1);
        commits.remove(0)
    }
}

async fn versions(fixture: &impl Fixture) {
    let mut stage = Stage::open("versions of a tree", fixture).await;
    stage.same("answers to no commit", &stage.store.commit(vec![]).await.len(), &0);

    let early = TreeCommit { expected: 1, ..stage.drafted(|forest| forest.root(1)) };
    stage.refused("a tree that is not there", stage.commit_one(early).await, is_stale(1));
    stage.compare().await;

    let first = stage.drafted(|forest| forest.root(1));
    stage.forest.root(1);
    stage.commit().await;
    // An answer may be lost and the commit sent again: it may not be done twice.
    stage.refused("the first commit again", stage.commit_one(first).await, is_stale(1));
    stage.compare().await;

    for number in 2..6 {
        stage.forest.child(number, 1);
        stage.commit().await;
    }
    let next = stage.drafted(|forest| {
        forest.reports(State::Running, &[1, 2]);
        forest.append(id(1), &["a line"]);
        forest.attach(id(1), "key", Some("text"));
        forest.set_options(id(1), None);
        forest.child(6, 2);
    });
    for wrong in [0, 1, next.expected - 1, next.expected + 1, u64::MAX] {
        let commit = TreeCommit { expected: wrong, ..next.clone() };
        stage.refused(format!("version {wrong}"), stage.commit_one(commit).await, is_stale(1));
    }
    stage.compare().await;
    stage = stage.reopen(fixture).await;
    stage.compare().await;

    // The versions go on where they were.
    let stale = TreeCommit { expected: next.expected - 1, ..next };
    stage.refused("a version from before", stage.commit_one(stale).await, is_stale(1));
    stage.forest.reports(State::Running, &[5]);
    stage.commit().await;
    stage.finish(fixture).await;
}

/// The store may not have kept the commits, but it never leaves one out.
async fn commits_after(fixture: &impl Fixture) {
    let mut stage = Stage::open("commits after a version", fixture).await;
    let mut made = Vec::new();
    for number in 1..=6 {
        let next = |forest: &mut Forest| match number {
            1 => forest.root(1),
            _ => forest.child(number, 1),
        };
        made.push(stage.drafted(next));
        next(&mut stage.forest);
        stage.commit().await;
    }
    let rows = |commits: &[TreeCommit]| -> Vec<_> {
        commits.iter().map(|commit| (commit.expected, commit.rows.clone())).collect()
    };
    for version in [0, 1, 5, 6, 7, u64::MAX] {
        let found = stage.store.commits_after(id(1), version).await;
        let (now, found) = stage.ok("what came after a version", found);
        stage.same("the version of the tree", &now, &6);
        let behind = made.get(usize::try_from(version).unwrap_or(usize::MAX)..).unwrap_or(&[]);
        if !found.is_empty() {
            stage.same("the commits behind a version", &rows(&found), &rows(behind));
        }
    }
    let found = stage.store.commits_after(id(2), 0).await;
    let (now, found) = stage.ok("what came after nothing", found);
    stage.same("a tree that is not there", &(now, rows(&found)), &(0, Vec::new()));
    stage.finish(fixture).await;
}

async fn creations(fixture: &impl Fixture) {
    let mut stage = Stage::open("an id names one job", fixture).await;
    stage.forest.root(1);
    stage.forest.child(2, 1);
    stage.forest.root(10);
    stage.forest.child(11, 10);
    stage.commit().await;

    // Another server may have created the job since this commit was computed.
    let mut stranger = stage.forest.clone();
    stranger.jobs.remove(&id(2));
    stranger.child(2, 10);
    stranger.child(12, 10);
    stranger.reports(State::Running, &[11]);
    for commit in stranger.commits() {
        stage.refused("a child of another tree", stage.commit_one(commit).await, is_stale(10));
    }
    let mut stranger = Forest::default();
    stranger.root(2);
    for commit in stranger.commits() {
        stage.refused("a child as a root", stage.commit_one(commit).await, is_stale(2));
    }
    let mut stranger = stage.forest.clone();
    stranger.jobs.remove(&id(2));
    stranger.child(2, 1);
    for commit in stranger.commits() {
        stage.refused("a child of the same tree", stage.commit_one(commit).await, is_stale(1));
    }
    stage.compare().await;

    // Two trees of one call want the same id: the first gets it.
    let first = stage.drafted(|forest| forest.child(20, 1));
    let second = stage.drafted(|forest| forest.child(20, 10));
    let answers = stage.store.commit(vec![first, second]).await;
    let [first, second] = <[_; 2]>::try_from(answers)
        .unwrap_or_else(|answers| stage.fail(format_args!("{answers:?} to two commits")));
    stage.ok("the first to want an id", first);
    stage.refused("the second to want an id", second, is_stale(10));
    stage.forest.child(20, 1);
    let _ = stage.forest.commits();
    stage.finish(fixture).await;
}

async fn several_trees(fixture: &impl Fixture) {
    let mut stage = Stage::open("several trees in one call", fixture).await;
    for root in [100, 200, 300] {
        stage.forest.root(root);
        stage.forest.child(root + 1, root);
    }
    stage.commit().await;
    stage.compare().await;

    let before = stage.forest.clone();
    let work = |forest: &mut Forest, root: u64| {
        forest.child(root + 2, root + 1);
        forest.reports(State::Running, &[root + 1]);
        forest.reports(State::Faulted, &[root + 2]);
        forest.append(id(root), &["one", "two"]);
    };
    for root in [300, 100] {
        work(&mut stage.forest, root);
    }
    let mut commits = stage.forest.commits();
    let mut other = before;
    work(&mut other, 200);
    let stale = other.commits().remove(0);
    commits.insert(1, TreeCommit { expected: stale.expected + 1, ..stale });
    // The answers follow the commits, in any order of their roots.
    commits.reverse();
    let due: Vec<JobId> = commits.iter().map(|commit| commit.root).collect();
    let answers = stage.store.commit(commits).await;
    stage.same("the number of answers", &answers.len(), &due.len());
    for (root, answer) in due.into_iter().zip(answers) {
        if root == id(200) {
            stage.refused("the stale tree of three", answer, is_stale(200));
        } else {
            stage.ok(format_args!("tree {root} beside a stale one"), answer);
        }
    }
    stage.finish(fixture).await;
}

/// Many callers commit the same version at the same time: one of them succeeds.
async fn rivals(fixture: &impl Fixture) {
    const RIVALS: u64 = 8;
    let mut stage = Stage::open("rivals for a version", fixture).await;
    stage.forest.root(1);
    stage.commit().await;
    for round in 0..10 {
        let drafts: Vec<Forest> = (0..RIVALS)
            .map(|rival| {
                let mut forest = stage.forest.clone();
                forest.child(100 + round * RIVALS + rival, 1);
                forest.append(id(1), &["who was it?"]);
                forest
            })
            .collect();
        let mut tasks = Vec::new();
        for mut draft in drafts {
            let store = Arc::clone(&stage.store);
            tasks.push(tokio::spawn(async move {
                let answers = store.commit(draft.commits()).await;
                (draft, answers)
            }));
        }
        let mut winners = Vec::new();
        for task in tasks {
            match task.await {
                Ok((draft, answers)) if matches!(answers[..], [Ok(())]) => winners.push(draft),
                Ok((_, answers)) => {
                    for answer in answers {
                        stage.refused("a rival", answer, is_stale(1));
                    }
                }
                Err(panic) => stage.fail(panic),
            }
        }
        stage.same("rivals who got through", &winners.len(), &1);
        stage.forest = winners.remove(0);
    }
    stage.finish(fixture).await;
}

/// Callers that do not wait for the answer may send the same commit again, and it is done once.
async fn dropped(fixture: &impl Fixture) {
    let mut stage = Stage::open("callers who give up", fixture).await;
    for root in [1, 2] {
        stage.forest.root(root);
    }
    stage.commit().await;
    for round in 0..40 {
        for root in [1, 2] {
            stage.forest.child(100 + 2 * round + root, root);
            stage.forest.append(id(root), &["said once"]);
        }
        let commits = stage.forest.commits();
        let roots: Vec<u64> = commits.iter().map(|commit| commit.root.get()).collect();
        tokio::select! {
            biased;
            _ = stage.store.commit(commits.clone()) => {}
            () = async { for _ in 0..round % 4 { tokio::task::yield_now().await } } => {}
        }
        let answers = stage.store.commit(commits).await;
        stage.same("answers to what is sent again", &answers.len(), &roots.len());
        for (root, answer) in roots.into_iter().zip(answers) {
            if answer.is_err() {
                stage.refused("what was done before", answer, is_stale(root));
            }
        }
        if round % 8 == 0 {
            stage.compare().await;
        }
    }
    stage.finish(fixture).await;
}

async fn options(fixture: &impl Fixture) {
    let mut stage = Stage::open("options", fixture).await;
    stage.forest.root(1);
    stage.forest.child(2, 1);
    // Created and changed in one commit: what was said at the creation is remembered as a hash.
    stage.forest.set_options(id(2), Some("at once".to_owned()));
    stage.commit().await;
    stage.compare().await;
    for options in [Some("other options"), Some(""), None, Some("options at last")] {
        for number in [1, 2] {
            stage.forest.set_options(id(number), options.map(str::to_owned));
        }
        stage.commit().await;
        stage.compare().await;
    }
    let plain = jobtracker_model::Definition { name: "plain".to_owned(), ..Default::default() };
    stage.forest.create(id(3), Some(id(2)), plain);
    let odd = "größer, 大きい, \u{0}\u{7f}\u{10ffff} \"quoted\" \\ \n";
    stage.forest.create(id(4), Some(id(2)), definition(odd));
    stage.commit().await;
    stage.finish(fixture).await;
}
