//! Results on the trees of uploads, and when they are forgotten.

use std::collections::BTreeMap;

use jobtracker_model::{
    JobId, State, Timestamp,
    upload::{BlockedChange, Refusal, TreeResult, UploadId, UploadOutcome},
};

use super::{
    Fixture,
    forest::id,
    pages::{NARROW, WIDE},
    stage::Stage,
};
use jobtracker_store::{PageLimit, Row, TreeResultRow, TreeResultsQuery, UploadRow, Wanted};

pub(super) async fn run(fixture: &impl Fixture) {
    applied_and_refused(fixture).await;
    among_many_rows(fixture).await;
    many(fixture).await;
    forgotten(fixture).await;
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis).expect("the suite's own times are times")
}

fn commit(name: &str) -> UploadId {
    name.parse().expect("the suite's own names are names")
}

/// A result with something in every field.
fn tree_result(root: u64, millis: i64, refused: bool) -> TreeResultRow {
    let detail = format!("tree {root} has a cycle");
    let refusal = Refusal { position: root, code: "cycle".to_owned(), detail };
    let blocked = BlockedChange { position: 7, job: id(root), state: State::Faulted };
    let tree_result = TreeResult {
        root: id(root),
        jobs: root * 3,
        changes: 4,
        repeated: 5,
        blocked: 1,
        blocked_changes: vec![blocked],
        refusal: refused.then_some(refusal),
    };
    TreeResultRow { tree_result, checksum: u64::MAX - root, time: time(millis) }
}

fn completed(name: &str, millis: i64, tree_results: &BTreeMap<JobId, TreeResultRow>) -> UploadRow {
    let mut outcome = UploadOutcome::new(commit(name));
    tree_results.values().for_each(|row| outcome.add(&row.tree_result));
    outcome.complete = true;
    UploadRow { outcome, time: time(millis) }
}

type Uploads = BTreeMap<JobId, TreeResultRow>;

impl Stage {
    /// Uploads a new root, with the result that it was applied.
    async fn apply(&mut self, name: &str, row: TreeResultRow) {
        self.forest.root(row.tree_result.root.get());
        let mut commits = self.forest.commits();
        commits[0].rows.push(Row::TreeResult { commit: commit(name), row });
        for answer in self.store.commit(commits).await {
            self.ok("a commit with a tree result", answer);
        }
    }

    async fn compare_tree_results(&self, name: &str, due: &Uploads) {
        for limit in NARROW.into_iter().chain([WIDE]) {
            self.compare_tree_result_pages(name, due, limit).await;
        }
        // A result that does not exist may not keep the others from being found.
        for strangers in [&[][..], &[id(999_999)]] {
            let roots = due.keys().chain(strangers);
            let tree_results = roots.map(|root| (commit(name), *root)).collect();
            let wanted = Wanted { tree_results, ..Wanted::default() };
            let loaded = self.store.load(wanted).await;
            let loaded = self.ok("a load of tree results", loaded).tree_results;
            let applied = due.iter().filter(|(_, row)| row.tree_result.is_applied());
            let place = |root: &JobId| (commit(name), *root);
            let applied = applied.map(|(root, row)| (place(root), row.clone())).collect();
            self.same(format_args!("what {name} was applied to"), &loaded, &applied);
        }
    }

    async fn compare_tree_result_pages(&self, name: &str, due: &Uploads, limit: PageLimit) {
        let (mut rows, mut after) = (Vec::new(), None);
        for _ in 0..=due.len() + 1 {
            let query = TreeResultsQuery { upload: commit(name), after, limit };
            let page = self.store.list_tree_results(query).await;
            let page = self.ok("tree results", page);
            self.holds("a page keeps its limit", page.items.len() <= limit.items);
            rows.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let due: Vec<TreeResultRow> = due.values().cloned().collect();
        self.same(format_args!("tree results of {name} with {limit:?}"), &rows, &due);
        self.same(format_args!("the end of the results of {name}"), &after, &None);
    }

    async fn compare_conclusion(&self, name: &str, due: Option<&UploadRow>) {
        let got = self.store.get_upload(&commit(name)).await;
        let got = self.ok("a completed commit", got);
        self.same(format_args!("the completion of {name}"), &got.as_ref(), &due);
    }
}

/// A completion that comes with more rows of other calls than one step of work has.
async fn among_many_rows(fixture: &impl Fixture) {
    let mut stage = Stage::open("completions among many rows", fixture).await;
    for round in 0..4 {
        // The first keeps the store busy, and what comes meanwhile is written at once.
        let [first, second] = [0, 1].map(|tree| {
            let root = 1_000_000 * (1 + 2 * round + tree);
            stage.forest.root(root);
            (1..2_000).for_each(|child| stage.forest.child(root + child, root));
            stage.forest.commits()
        });
        let name = format!("many-{round}");
        let row = completed(&name, 6, &Uploads::new());
        let complete = stage.store.complete_upload(row.clone(), Vec::new());
        let (first, second, answer) =
            tokio::join!(stage.store.commit(first), stage.store.commit(second), complete);
        for answer in first.into_iter().chain(second) {
            stage.ok("a large tree", answer);
        }
        stage.ok("a completion", answer);
        stage.compare_conclusion(&name, Some(&row)).await;
    }
}

async fn applied_and_refused(fixture: &impl Fixture) {
    let mut stage = Stage::open("tree results", fixture).await;
    let mut due = Uploads::new();
    // Names that begin alike.
    let names = ["a", "a.", "a-b", "ab", "A"];
    for name in names {
        stage.compare_tree_results(name, &due).await;
        stage.compare_conclusion(name, None).await;
    }
    for root in [3, 1, 2, 300] {
        stage.apply("a", tree_result(root, 5, false)).await;
        due.insert(id(root), tree_result(root, 5, false));
        stage.compare_tree_results("a", &due).await;
    }
    for name in &names[1..] {
        stage.compare_tree_results(name, &Uploads::new()).await;
    }
    stage.compare_conclusion("a", None).await;

    // Trees that were applied by then stay applied.
    let refused: Vec<TreeResultRow> = (2..5).map(|root| tree_result(root, 6, true)).collect();
    due.insert(id(4), tree_result(4, 6, true));
    for _ in 0..2 {
        let row = completed("a", 6, &due);
        let answer = stage.store.complete_upload(row.clone(), refused.clone()).await;
        stage.ok("a completion", answer);
        stage.compare_tree_results("a", &due).await;
        stage.compare_conclusion("a", Some(&row)).await;
        stage = stage.reopen(fixture).await;
    }
    // Sent again: a refused tree is applied, and another tree is refused for another reason.
    stage.apply("a", tree_result(4, 9, false)).await;
    due.insert(id(4), tree_result(4, 9, false));
    due.insert(id(5), tree_result(5, 9, true));
    let row = completed("a", 9, &due);
    let answer = stage.store.complete_upload(row.clone(), vec![tree_result(5, 9, true)]).await;
    stage.ok("another completion", answer);
    stage = stage.reopen(fixture).await;
    stage.compare_tree_results("a", &due).await;
    stage.compare_conclusion("a", Some(&row)).await;
    for name in &names[1..] {
        stage.compare_tree_results(name, &Uploads::new()).await;
        stage.compare_conclusion(name, None).await;
    }
    stage.finish(fixture).await;
}

async fn many(fixture: &impl Fixture) {
    const TREES: u64 = 12_000;
    let mut stage = Stage::open("many tree results", fixture).await;
    stage.apply("large", tree_result(TREES, 1, false)).await;
    let refused: Vec<TreeResultRow> = (1..=TREES).map(|root| tree_result(root, 1, true)).collect();
    let mut due: Uploads = refused.iter().map(|row| (row.tree_result.root, row.clone())).collect();
    due.insert(id(TREES), tree_result(TREES, 1, false));
    let row = completed("large", 1, &due);
    let answer = stage.store.complete_upload(row.clone(), refused).await;
    stage.ok("a large completion", answer);
    stage = stage.reopen(fixture).await;
    stage.compare_tree_result_pages("large", &due, WIDE).await;
    stage.compare_conclusion("large", Some(&row)).await;
    let count = stage.store.forget_uploads(time(2), 10).await;
    stage.same("large sendings that were forgotten", &stage.ok("forgetting", count), &1);
    stage.compare_tree_result_pages("large", &Uploads::new(), WIDE).await;
    stage.compare_conclusion("large", None).await;
    stage.finish(fixture).await;
}

async fn forgotten(fixture: &impl Fixture) {
    let mut stage = Stage::open("commits that are forgotten", fixture).await;
    let mut due: BTreeMap<&str, Uploads> = BTreeMap::new();
    // The second one is sent again later, with one more tree; the last one is never completed.
    for (name, root, millis) in
        [("one", 1, 10), ("two", 2, 20), ("two", 3, 50), ("three", 4, 30), ("four", 5, 40)]
    {
        stage.apply(name, tree_result(root, millis, false)).await;
        let tree_results = due.entry(name).or_default();
        tree_results.insert(id(root), tree_result(root, millis, false));
        tree_results.insert(id(root + 100), tree_result(root + 100, millis, true));
        let refused = vec![tree_result(root + 100, millis, true)];
        let answer =
            stage.store.complete_upload(completed(name, millis, tree_results), refused).await;
        stage.ok("a completion", answer);
    }
    let forget = async |stage: &Stage, before: i64, limit: usize| {
        let count = stage.store.forget_uploads(time(before), limit).await;
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
            let tree_results = due.get(name).cloned().unwrap_or_default();
            stage.compare_tree_results(name, &tree_results).await;
        }
        stage.compare_conclusion("one", None).await;
        stage.compare_conclusion("three", None).await;
        for name in ["two", "four"] {
            let found = stage.store.get_upload(&commit(name)).await;
            stage.holds("it is there", stage.ok("a completion", found).is_some());
        }
        if round == 0 {
            stage = stage.reopen(fixture).await;
        }
    }
    stage.same("the rest", &forget(&stage, 1_000, 9).await, &2);
    stage.same("nothing is left", &forget(&stage, 1_000, 9).await, &0);
    for name in ["two", "four"] {
        stage.compare_tree_results(name, &Uploads::new()).await;
        stage.compare_conclusion(name, None).await;
    }
    stage.finish(fixture).await;
}
