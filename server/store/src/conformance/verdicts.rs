//! Verdicts on the trees of commits that were sent, and when they are forgotten.

use std::collections::BTreeMap;

use jobtracker_model::{
    JobId, State, Timestamp,
    commit::{BlockedChange, CommitId, CommitOutcome, Refusal, TreeVerdict},
};

use super::{
    Fixture,
    forest::id,
    pages::{NARROW, WIDE},
    stage::Stage,
};
use crate::{CommitRow, PageLimit, Row, VerdictRow, VerdictsQuery, Wanted};

pub(super) async fn run(fixture: &impl Fixture) {
    applied_and_refused(fixture).await;
    many(fixture).await;
    forgotten(fixture).await;
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis).expect("the suite's own times are times")
}

fn commit(name: &str) -> CommitId {
    name.parse().expect("the suite's own names are names")
}

/// A verdict with something in every field.
fn verdict(root: u64, millis: i64, refused: bool) -> VerdictRow {
    let detail = format!("tree {root} has a cycle");
    let refusal = Refusal { position: root, code: "cycle".to_owned(), detail };
    let blocked = BlockedChange { position: 7, job: id(root), state: State::Faulted };
    let verdict = TreeVerdict {
        root: id(root),
        jobs: root * 3,
        changes: 4,
        repeated: 5,
        blocked: 1,
        blocked_changes: vec![blocked],
        refusal: refused.then_some(refusal),
    };
    VerdictRow { verdict, checksum: u64::MAX - root, time: time(millis) }
}

fn concluded(name: &str, millis: i64, verdicts: &BTreeMap<JobId, VerdictRow>) -> CommitRow {
    let mut outcome = CommitOutcome::new(commit(name));
    verdicts.values().for_each(|row| outcome.add(&row.verdict));
    outcome.complete = true;
    CommitRow { outcome, time: time(millis) }
}

type Verdicts = BTreeMap<JobId, VerdictRow>;

impl Stage {
    /// Commits a new root, with the verdict that it was applied.
    async fn apply(&mut self, name: &str, row: VerdictRow) {
        self.forest.root(row.verdict.root.get());
        let mut commits = self.forest.commits();
        commits[0].rows.push(Row::Verdict { commit: commit(name), row });
        for answer in self.store.commit(commits).await {
            self.ok("a commit with a verdict", answer);
        }
    }

    async fn compare_verdicts(&self, name: &str, due: &Verdicts) {
        for limit in NARROW.into_iter().chain([WIDE]) {
            self.compare_verdict_pages(name, due, limit).await;
        }
        // One that is not there may not keep the others from being found.
        for strangers in [&[][..], &[id(999_999)]] {
            let roots = due.keys().chain(strangers);
            let verdicts = roots.map(|root| (commit(name), *root)).collect();
            let wanted = Wanted { verdicts, ..Wanted::default() };
            let loaded = self.store.load(wanted).await;
            let loaded = self.ok("a load of verdicts", loaded).verdicts;
            let applied = due.iter().filter(|(_, row)| row.verdict.is_applied());
            let place = |root: &JobId| (commit(name), *root);
            let applied = applied.map(|(root, row)| (place(root), row.clone())).collect();
            self.same(format_args!("what {name} was applied to"), &loaded, &applied);
        }
    }

    async fn compare_verdict_pages(&self, name: &str, due: &Verdicts, limit: PageLimit) {
        let (mut rows, mut after) = (Vec::new(), None);
        for _ in 0..=due.len() + 1 {
            let query = VerdictsQuery { commit: commit(name), after, limit };
            let page = self.store.list_verdicts(query).await;
            let page = self.ok("verdicts", page);
            self.holds("a page keeps its limit", page.items.len() <= limit.items);
            rows.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let due: Vec<VerdictRow> = due.values().cloned().collect();
        self.same(format_args!("verdicts of {name} with {limit:?}"), &rows, &due);
        self.same(format_args!("the end of the verdicts of {name}"), &after, &None);
    }

    async fn compare_conclusion(&self, name: &str, due: Option<&CommitRow>) {
        let got = self.store.get_commit(&commit(name)).await;
        let got = self.ok("a concluded commit", got);
        self.same(format_args!("the conclusion of {name}"), &got.as_ref(), &due);
    }
}

async fn applied_and_refused(fixture: &impl Fixture) {
    let mut stage = Stage::open("verdicts", fixture).await;
    let mut due = Verdicts::new();
    // Names that begin alike.
    let names = ["a", "a.", "a-b", "ab", "A"];
    for name in names {
        stage.compare_verdicts(name, &due).await;
        stage.compare_conclusion(name, None).await;
    }
    for root in [3, 1, 2, 300] {
        stage.apply("a", verdict(root, 5, false)).await;
        due.insert(id(root), verdict(root, 5, false));
        stage.compare_verdicts("a", &due).await;
    }
    for name in &names[1..] {
        stage.compare_verdicts(name, &Verdicts::new()).await;
    }
    stage.compare_conclusion("a", None).await;

    // What was applied by then stays applied.
    let refused: Vec<VerdictRow> = (2..5).map(|root| verdict(root, 6, true)).collect();
    due.insert(id(4), verdict(4, 6, true));
    for _ in 0..2 {
        let row = concluded("a", 6, &due);
        let answer = stage.store.conclude(row.clone(), refused.clone()).await;
        stage.ok("a conclusion", answer);
        stage.compare_verdicts("a", &due).await;
        stage.compare_conclusion("a", Some(&row)).await;
        stage = stage.reopen(fixture).await;
    }
    // Sent again: what was refused is applied, and another tree is refused for another reason.
    stage.apply("a", verdict(4, 9, false)).await;
    due.insert(id(4), verdict(4, 9, false));
    due.insert(id(5), verdict(5, 9, true));
    let row = concluded("a", 9, &due);
    let answer = stage.store.conclude(row.clone(), vec![verdict(5, 9, true)]).await;
    stage.ok("another conclusion", answer);
    stage = stage.reopen(fixture).await;
    stage.compare_verdicts("a", &due).await;
    stage.compare_conclusion("a", Some(&row)).await;
    for name in &names[1..] {
        stage.compare_verdicts(name, &Verdicts::new()).await;
        stage.compare_conclusion(name, None).await;
    }
    stage.finish(fixture).await;
}

async fn many(fixture: &impl Fixture) {
    const TREES: u64 = 12_000;
    let mut stage = Stage::open("many verdicts", fixture).await;
    stage.apply("large", verdict(TREES, 1, false)).await;
    let refused: Vec<VerdictRow> = (1..=TREES).map(|root| verdict(root, 1, true)).collect();
    let mut due: Verdicts = refused.iter().map(|row| (row.verdict.root, row.clone())).collect();
    due.insert(id(TREES), verdict(TREES, 1, false));
    let row = concluded("large", 1, &due);
    let answer = stage.store.conclude(row.clone(), refused).await;
    stage.ok("a large conclusion", answer);
    stage = stage.reopen(fixture).await;
    stage.compare_verdict_pages("large", &due, WIDE).await;
    stage.compare_conclusion("large", Some(&row)).await;
    let count = stage.store.forget_commits(time(2), 10).await;
    stage.same("large sendings that were forgotten", &stage.ok("forgetting", count), &1);
    stage.compare_verdict_pages("large", &Verdicts::new(), WIDE).await;
    stage.compare_conclusion("large", None).await;
    stage.finish(fixture).await;
}

async fn forgotten(fixture: &impl Fixture) {
    let mut stage = Stage::open("commits that are forgotten", fixture).await;
    let mut due: BTreeMap<&str, Verdicts> = BTreeMap::new();
    // The second one is sent again later, with one more tree; the last one is never concluded.
    for (name, root, millis) in
        [("one", 1, 10), ("two", 2, 20), ("two", 3, 50), ("three", 4, 30), ("four", 5, 40)]
    {
        stage.apply(name, verdict(root, millis, false)).await;
        let verdicts = due.entry(name).or_default();
        verdicts.insert(id(root), verdict(root, millis, false));
        verdicts.insert(id(root + 100), verdict(root + 100, millis, true));
        let refused = vec![verdict(root + 100, millis, true)];
        let answer = stage.store.conclude(concluded(name, millis, verdicts), refused).await;
        stage.ok("a conclusion", answer);
    }
    let forget = async |stage: &Stage, before: i64, limit: usize| {
        let count = stage.store.forget_commits(time(before), limit).await;
        stage.ok("forgetting", count)
    };
    stage.same("nothing is old", &forget(&stage, 10, 9).await, &0);
    stage.same("none are to be forgotten", &forget(&stage, 99, 0).await, &0);
    stage.same("the oldest", &forget(&stage, 31, 1).await, &1);
    due.remove("one");
    stage.same("two more", &forget(&stage, 31, 9).await, &2);
    due.remove("three");
    due.entry("two").or_default().retain(|_, row| row.time > time(20));
    for round in 0..2 {
        for name in ["one", "two", "three", "four"] {
            let verdicts = due.get(name).cloned().unwrap_or_default();
            stage.compare_verdicts(name, &verdicts).await;
        }
        stage.compare_conclusion("one", None).await;
        stage.compare_conclusion("three", None).await;
        for name in ["two", "four"] {
            let found = stage.store.get_commit(&commit(name)).await;
            stage.holds("it is there", stage.ok("a conclusion", found).is_some());
        }
        if round == 0 {
            stage = stage.reopen(fixture).await;
        }
    }
    stage.same("the rest", &forget(&stage, 1_000, 9).await, &2);
    stage.same("nothing is left", &forget(&stage, 1_000, 9).await, &0);
    for name in ["two", "four"] {
        stage.compare_verdicts(name, &Verdicts::new()).await;
        stage.compare_conclusion(name, None).await;
    }
    stage.finish(fixture).await;
}
