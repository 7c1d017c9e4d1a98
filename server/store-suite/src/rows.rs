//! Trees read out row by row, and put into another store.

use std::collections::BTreeSet;

use jobtracker_model::{JobId, Progress, State};

use super::{
    Fixture,
    followed::time,
    forest::{Forest, definition, id},
    pages::{NARROW, WIDE},
    stage::Stage,
};
use jobtracker_store::{Error, Listed, PageLimit, Row, RowsQuery, StageId, TreeCommit};

pub(super) async fn run(fixture: &impl Fixture) {
    pages(fixture).await;
    places(fixture).await;
    moved(fixture).await;
    held(fixture).await;
}

/// Two trees with everything that a job can have, and a root alone.
fn garden() -> Forest {
    let mut forest = Forest::default();
    for root in [500, 700, 900] {
        forest.root(root);
    }
    for (child, parent) in
        [(10, 500), (800, 500), (20, 10), (5, 10), (600, 20), (30, 500), (701, 700), (702, 700)]
    {
        forest.child(child, parent);
    }
    for number in [500, 5, 600, 702] {
        forest.reports(State::Running, &[number, number]);
        forest.append(id(number), &["first", "", "größer, 大きい"]);
        forest.append(id(number), &["4"]);
        forest.attach(id(number), "b", Some("text"));
        forest.attach(id(number), "a", Some(""));
        forest.attach(id(number), "gone", Some("text"));
        forest.attach(id(number), "gone", None);
        forest.set_options(id(number), Some("other options".to_owned()));
    }
    forest.reports(State::RanToCompletion, &[5, 702]);
    forest.reports(State::Faulted, &[600, 30]);
    forest.append(id(20), &["alone"]);
    for number in [500, 600, 702] {
        forest.check(id(number), 1, time(number as i64));
        forest.check(id(number), 0, time(number as i64 + 1));
        forest.deliver(id(number), 0, Progress::Delivered(time(3)));
        forest.deliver(id(number), 1, Progress::Failed(time(number as i64)));
        forest.action(id(number), 0);
    }
    forest
}

impl Stage {
    /// Compares all rows of a tree.
    pub async fn compare_rows(&self, root: JobId, limit: PageLimit) {
        let what = format!("rows of {root} with {limit:?}");
        let due = self.forest.rows(root);
        let (mut got, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.list_rows(RowsQuery { root, after, limit }).await;
            let Listed { items, next } = self.ok(&what, page);
            self.holds(format_args!("{what} get on"), next.is_none() || next != after);
            self.whole_jobs(&what, &items, next, limit);
            got.extend(items);
            self.holds(format_args!("{what} end"), got.len() <= due.len());
            after = next;
            if after.is_none() {
                break;
            }
        }
        self.same(format_args!("how many {what}"), &got.len(), &due.len());
        for (got, due) in got.iter().zip(&due) {
            self.same(&what, got, due);
        }
    }

    /// A page ends with the job that reaches the limit, and `next` names it.
    fn whole_jobs(&self, what: &str, items: &[Row], next: Option<JobId>, limit: PageLimit) {
        let last = items.last().and_then(Row::job);
        if next.is_some() {
            self.same(format_args!("{what}: next"), &next, &last);
        }
        let before = items.iter().take_while(|row| row.job() != last);
        self.holds(format_args!("{what}: no job too many"), before.count() < limit.items);
        let jobs = items.iter().filter(|row| matches!(row, Row::Job { .. })).count();
        let most = if limit.bytes == 1 { 1 } else { limit.scan };
        self.holds(format_args!("{what}: {jobs} jobs on a page"), jobs <= most);
    }
}

async fn pages(fixture: &impl Fixture) {
    let mut stage = Stage::open("rows of trees", fixture).await;
    stage.forest = garden();
    stage.commit().await;
    for _ in 0..2 {
        for root in [500, 700, 900] {
            for limit in NARROW.into_iter().chain([WIDE]) {
                stage.compare_rows(id(root), limit).await;
            }
        }
        stage = stage.reopen(fixture).await;
    }
    // Staged rows are not among the rows until they are published.
    let (staging, forest) = stage.parted(1, 2, |forest| {
        for number in 1_000..1_010 {
            forest.child(number, 20 + 480 * (number % 2));
            forest.append(id(number), &["staging"]);
        }
    });
    stage.stage_rows(&staging).await;
    stage.compare_rows(id(500), WIDE).await;
    let published = stage.publish(&staging).await;
    stage.ok("a commit of two parts", published);
    stage.forest = forest;
    stage.compare_rows(id(500), NARROW[2]).await;
    stage.finish(fixture).await;
}

async fn places(fixture: &impl Fixture) {
    let mut stage = Stage::open("positions in rows of trees", fixture).await;
    stage.forest = garden();
    stage.commit().await;
    let limit = WIDE;
    for root in [id(10), id(701), stage.stranger()] {
        let answer = stage.store.list_rows(RowsQuery { root, after: None, limit }).await;
        let unknown = |error: &Error| matches!(error, Error::UnknownJob(of) if *of == root);
        stage.refused(format_args!("rows of {root}, which is no root"), answer, unknown);
    }
    let root = id(500);
    for after in [id(700), id(702), stage.stranger()] {
        let answer = stage.store.list_rows(RowsQuery { root, after: Some(after), limit }).await;
        let bad = |error: &Error| {
            matches!(error, Error::BadCursor { of, after: place }
            if (*of, *place) == (root, after))
        };
        stage.refused(format_args!("rows of {root} behind {after}"), answer, bad);
    }
    // They go on behind any job, and beside jobs that were added meanwhile.
    stage.forest.child(15, 10);
    stage.forest.child(2_000, 500);
    stage.commit().await;
    let all = stage.forest.rows(root);
    let jobs: BTreeSet<JobId> = all.iter().filter_map(Row::job).collect();
    for after in jobs {
        let page = stage.store.list_rows(RowsQuery { root, after: Some(after), limit }).await;
        let page = stage.ok("rows behind a job", page);
        let last = all.iter().rposition(|row| row.job() == Some(after)).unwrap_or(0);
        stage.same(format_args!("rows behind {after}"), &page.items, &all[last + 1..].to_vec());
        stage.same("next of all rows", &page.next, &None);
    }
    stage.finish(fixture).await;
}

/// Pages of an instant that is held are of that instant, whatever is committed between them.
async fn held(fixture: &impl Fixture) {
    let mut stage = Stage::open("trees that are held", fixture).await;
    stage.forest = garden();
    stage.commit().await;
    let held = stage.store.hold().await;
    let Some(held) = stage.ok("to hold the present", held) else {
        return stage.finish(fixture).await;
    };
    let root = id(500);
    let due = stage.forest.rows(root);
    let (mut got, mut after) = (Vec::new(), None);
    for number in 3_000.. {
        let page = held.list_rows(RowsQuery { root, after, limit: NARROW[0] }).await;
        let page = stage.ok("rows that are held", page);
        got.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
        // Before and behind what was read.
        stage.forest.child(number, 20);
        stage.forest.reports(State::Running, &[5, 800, number]);
        stage.forest.append(id(800), &["later"]);
        stage.commit().await;
    }
    stage.same("rows that are held", &got, &due);
    drop(held);
    stage.compare_rows(root, WIDE).await;
    stage.finish(fixture).await;
}

/// Rows that were read out of one store make the same tree in another: in one commit, or all of
/// them staged and published by a commit without rows.
async fn moved(fixture: &impl Fixture) {
    let mut from = Stage::open("trees to be moved", fixture).await;
    from.forest = garden();
    from.commit().await;
    // The version of a tree does not move with it.
    from.forest.reports(State::Running, &[500, 600, 702]);
    from.forest.create(id(4_000), Some(id(600)), definition("late"));
    from.commit().await;
    for calls in [0, 1, 5] {
        let mut to = Stage::open("trees that were moved", fixture).await;
        to.forest = from.forest.clone();
        for root in [id(500), id(700), id(900)] {
            let query = RowsQuery { root, after: None, limit: WIDE };
            let page = from.store.list_rows(query).await;
            let rows = from.ok("rows to be moved", page).items;
            to.take_tree(root, rows, calls).await;
        }
        to.compare_pages().await;
        // It is a tree like any other.
        to.forest.reports(State::RanToCompletion, &[4_000, 500]);
        to.forest.child(4_001, 702);
        to.commit().await;
        to.finish(fixture).await;
    }
    from.finish(fixture).await;
}

impl Stage {
    async fn take_tree(&mut self, root: JobId, mut rows: Vec<Row>, calls: usize) {
        let publishes = (calls > 0).then(|| StageId(self.next_stage()));
        // Follow-ups that are in a list by time come with the commit.
        let is_placed =
            |row: &mut Row| matches!(row, Row::FollowUp { row, .. } if row.entry().is_some());
        let placed: Vec<Row> = rows.extract_if(.., is_placed).collect();
        if let Some(stage) = publishes {
            for rows in rows.chunks(rows.len().div_ceil(calls)) {
                let answer = self.store.stage(stage, root, rows.to_vec()).await;
                self.ok("rows that are staged", answer);
            }
            rows.clear();
        }
        rows.extend(placed);
        let commit = TreeCommit { root, expected: 0, rows, publishes };
        let answer = self.store.commit(vec![commit]).await.remove(0);
        self.ok("the commit of a moved tree", answer);
        self.forest.versions.insert(root, 1);
    }
}
