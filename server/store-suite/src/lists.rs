//! Lists and their pages.

use jobtracker_model::{JobId, State, StateSet, Timestamp};

use super::{
    Fixture,
    forest::{Forest, id},
    pages::{ALWAYS, NARROW, ORDERS, WIDE},
    stage::Stage,
};
use jobtracker_store::{
    BlockersQuery, ChangesQuery, ChildrenQuery, DescendantsQuery, Error, LogQuery, Order,
    PageLimit, RootKey, RootsQuery,
};

pub(super) async fn run(fixture: &impl Fixture) {
    pages(fixture).await;
    order_of_ids(fixture).await;
    deep(fixture).await;
    growing(fixture).await;
    places(fixture).await;
    roots(fixture).await;
}

/// Three trees: broad, mixed, and a root alone. Jobs of each state are everywhere.
fn garden() -> Forest {
    let mut forest = Forest::default();
    for root in [1000, 2000, 3000] {
        forest.root(root);
    }
    for number in 1001..1020 {
        forest.child(number, 1000);
    }
    for (child, parent) in
        [(2500, 2000), (2100, 2000), (2300, 2100), (2200, 2100), (2050, 2200), (2400, 2500)]
    {
        forest.child(child, parent);
    }
    forest.reports(State::Running, &[1000, 1003, 1004, 1007, 2100, 2300, 2050]);
    forest.reports(State::Warning, &[1004, 2500]);
    forest.reports(State::Faulted, &[1005, 1006, 1018, 2050, 2400]);
    forest.reports(State::RanToCompletion, &[1008, 1009, 1010, 1019, 2200, 2500]);
    for number in [1000, 2200, 2050] {
        forest.append(id(number), &["first", "", "third"]);
        forest.append(id(number), &["4", "5", "6", "7", "8"]);
        forest.attach(id(number), "report.txt", Some("all is well"));
    }
    forest
}

async fn pages(fixture: &impl Fixture) {
    let mut stage = Stage::open("pages of lists", fixture).await;
    stage.forest = garden();
    stage.commit().await;
    stage.compare_pages().await;
    stage = stage.reopen(fixture).await;
    stage.compare_pages().await;
    stage.finish(fixture).await;
}

/// Ids are ordered as numbers, through all their bytes.
async fn order_of_ids(fixture: &impl Fixture) {
    let mut stage = Stage::open("the order of ids", fixture).await;
    let max = JobId::MAX.get();
    stage.forest.root(700);
    for parent in [700, max] {
        for shift in [8, 16, 31, 32, 48, 62] {
            for number in [(1 << shift) - 1, 1 << shift, (1 << shift) + 1] {
                let number = if parent == max { number + (1 << 20) } else { number };
                stage.forest.child(number, parent);
            }
        }
        if parent == 700 {
            stage.forest.child(max, parent);
            stage.forest.child(1, parent);
        }
    }
    stage.commit().await;
    for limit in [WIDE, NARROW[1]] {
        for parent in [id(700), JobId::MAX] {
            stage.compare_lists(parent, &[StateSet::EMPTY, StateSet::FINISHED], limit).await;
        }
    }
    stage.finish(fixture).await;
}

/// As deep as a tree may be.
async fn deep(fixture: &impl Fixture) {
    let mut stage = Stage::open("a deep tree", fixture).await;
    stage.forest.root(1);
    let depth = u64::from(jobtracker_model::limits::DEPTH);
    for number in 2..=depth + 1 {
        stage.forest.child(number, number - 1);
        stage.forest.child(number + 1000, number - 1);
    }
    stage.commit().await;
    stage.forest.reports(State::RanToCompletion, &(1..=depth).collect::<Vec<_>>());
    stage.forest.reports(State::Running, &[depth + 1]);
    stage.commit().await;
    let running = StateSet::from_iter([State::Running]);
    for limit in [WIDE, NARROW[1], NARROW[5]] {
        for of in [1, 2, depth / 2, depth, depth + 1] {
            stage.compare_lists(id(of), &[StateSet::EMPTY, running], limit).await;
        }
    }
    stage.finish(fixture).await;
}

/// A walk goes on behind its last job although the tree has grown around it.
async fn growing(fixture: &impl Fixture) {
    let mut stage = Stage::open("a list that grows while it is read", fixture).await;
    stage.forest = garden();
    stage.commit().await;
    let of = id(2000);
    let places = stage.forest.below(of);
    for (round, place) in (0..).zip(places) {
        // Jobs before and behind the last job, below it and beside it.
        let number = 2001 + round * 2;
        stage.forest.child(number, 2000);
        stage.forest.child(number + 400, 2100);
        stage.forest.child(number + 600, place.get());
        stage.forest.child(number + 100, 2500);
        stage.commit().await;
        for limit in [WIDE, NARROW[1], NARROW[4]] {
            expect_rest(&stage, of, place, limit).await;
        }
    }
    stage.finish(fixture).await;
}

/// The jobs behind one in the order of the walk, from every ancestor of that job.
async fn expect_rest(stage: &Stage, of: JobId, place: JobId, limit: PageLimit) {
    let order = stage.forest.below(of);
    let position = order.iter().position(|id| *id == place);
    let due = &order[position.map_or(0, |position| position + 1)..];
    let (mut got, mut after) = (Vec::new(), Some(place));
    while after.is_some() {
        let query = DescendantsQuery { of, states: StateSet::EMPTY, after, limit };
        let page = stage.store.list_descendants(query).await;
        let page = stage.ok("the rest of a list", page);
        got.extend(page.items.iter().map(|job| job.id));
        stage.holds("a list gets on", page.next != after && got.len() <= due.len());
        after = page.next;
    }
    stage.same(format_args!("descendants of {of} behind {place}"), &got, &due.to_vec());
}

/// Where lists may and may not go on.
async fn places(fixture: &impl Fixture) {
    let mut stage = Stage::open("positions in lists", fixture).await;
    stage.forest = garden();
    stage.commit().await;
    let (of, limit) = (id(2100), WIDE);
    for after in [id(2100), id(2000), id(2500), id(1001), id(3000), stage.stranger()] {
        let bad = |error: &Error| {
            matches!(error, Error::BadCursor { of: top, after: place }
            if (*top, *place) == (of, after))
        };
        let query = DescendantsQuery { of, states: StateSet::EMPTY, after: Some(after), limit };
        let answer = stage.store.list_descendants(query).await;
        stage.refused(format_args!("descendants of {of} behind {after}"), answer, bad);
        let answer =
            stage.store.list_blockers(BlockersQuery { of, after: Some(after), limit }).await;
        stage.refused(format_args!("blockers of {of} behind {after}"), answer, bad);
    }
    // A child that does not exist has a position among those that do.
    for after in [1, 1000, 1004, 1018, 1019, 5000, JobId::MAX.get()].map(id) {
        for states in ["", "Faulted", "WaitingToRun", "RanToCompletion,Faulted"] {
            let states = states.parse().expect("the suite's own states are states");
            let parent = id(1000);
            let query =
                ChildrenQuery { states, after: Some(after), limit, ..ChildrenQuery::of(parent) };
            let page = stage.store.list_children(query).await;
            let page = stage.ok("children behind a position", page);
            let mut due = stage.forest.children(parent, states);
            due.retain(|child| child.id > after);
            stage.same_jobs(format_args!("{states:?} behind {after}"), &page.items, &due);
            stage.same("next of the whole list", &page.next, &None);
        }
    }
    for from in [0, 1, 7, 8, 9, u32::MAX] {
        let page = stage.store.list_log(LogQuery { id: id(2050), from: Some(from), limit }).await;
        let page = stage.ok("lines from a number", page);
        let lines = stage.forest.job(id(2050)).log.iter();
        let due: Vec<_> = lines.filter(|line| line.line >= from).cloned().collect();
        stage.same(format_args!("lines from {from}"), &page.items, &due);
        let page = stage.store.list_changes(ChangesQuery { id: id(2050), from, limit }).await;
        let page = stage.ok("changes from a number", page);
        let changes = &stage.forest.job(id(2050)).changes;
        let due = changes.get(from as usize..).unwrap_or_default();
        stage.same(format_args!("changes from {from}"), &page.items.as_slice(), &due);
    }
    stage.finish(fixture).await;
}

async fn roots(fixture: &impl Fixture) {
    let mut stage = Stage::open("roots", fixture).await;
    // Ids that do not follow the times, and pairs of one time.
    for number in [50, 20, 40, 30, 90, 10, 80, 60, 70] {
        stage.forest.root(number);
        stage.commit().await;
    }
    stage.forest.child(100, 50);
    stage.forest.reports(State::Running, &[50, 20, 100]);
    stage.commit().await;
    let rows = stage.forest.roots(ALWAYS.0, ALWAYS.1, Order::Newest);
    let mut times: Vec<Timestamp> = rows.iter().map(|row| row.status.create_time).collect();
    times.extend([Timestamp::MIN, Timestamp::MAX]);
    for &from in &times {
        for &to in &times {
            for limit in [WIDE, NARROW[1], NARROW[3], NARROW[4]] {
                stage.compare_roots((from, to), limit).await;
            }
        }
        // A key that no root has: either all roots of that time are behind it, or no root is.
        for (number, order) in
            [JobId::MIN, JobId::MAX].into_iter().flat_map(|id| ORDERS.map(|order| (id, order)))
        {
            let after = RootKey { time: from, id: number };
            let (from, to) = ALWAYS;
            let query = RootsQuery { from, to, order, after: Some(after), limit: WIDE };
            let page = stage.store.list_roots(query).await;
            let page = stage.ok("roots behind a key", page);
            let mut due = stage.forest.roots(ALWAYS.0, ALWAYS.1, order);
            due.retain(|row| {
                let key = RootKey { time: row.status.create_time, id: row.id };
                if order == Order::Oldest { key > after } else { key < after }
            });
            stage.same_jobs(format_args!("roots behind {after:?}, {order:?}"), &page.items, &due);
        }
    }
    stage.finish(fixture).await;
}
