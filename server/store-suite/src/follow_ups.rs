//! Follow-ups of jobs, and their lists by time.

use jobtracker_model::{JobId, Progress, State, Timestamp};

use super::{
    Fixture,
    followed::{leased, time},
    forest::{Forest, id},
    indexes::KINDS,
    pages::{ALWAYS, NARROW, WIDE},
    stage::Stage,
    staged::{Staging, is_stale},
};
use jobtracker_store::{
    Error, FollowUpKey, FollowUpsQuery, IndexId, IndexKey, IndexQuery, PageLimit, Row, TaskPhase,
    TreeCommit, Wanted,
};

pub(super) async fn run(fixture: &impl Fixture) {
    of_jobs(fixture).await;
    loads(fixture).await;
    by_time(fixture).await;
    moves(fixture).await;
    quick_moves(fixture).await;
    refused(fixture).await;
    stage_rows(fixture).await;
}

async fn of_jobs(fixture: &impl Fixture) {
    let mut stage = Stage::open("follow-ups of jobs", fixture).await;
    // Neighbours whose rows stand before and behind those of the job in the middle.
    for root in [5, 6, 7, 8] {
        stage.forest.root(root);
    }
    stage.commit().await;
    // Some stores keep this many deliveries in several partitions.
    for number in 0..100 {
        for root in [7, 5, 6] {
            let at = time(i64::from(number % 7));
            stage.forest.deliver(id(root), number, Progress::Waiting(at));
            if number % 3 == 0 {
                stage.forest.check(id(root), number / 3, at);
            }
            if number % 10 == 0 {
                stage.forest.action(id(root), number / 10);
            }
        }
        if number % 4 == 0 {
            stage.commit().await;
        }
    }
    stage.commit().await;
    stage.forest.task(id(6), TaskPhase::Waiting(time(4)));
    stage.forest.task(id(5), TaskPhase::Ended(time(4)));
    stage.commit().await;
    // Some of them change later.
    for number in [3, 33, 63, 95] {
        stage.forest.deliver(id(6), number, Progress::Delivered(time(9)));
        stage.commit().await;
    }
    for _ in 0..2 {
        for limit in NARROW.into_iter().chain([WIDE]) {
            stage.compare_follow_ups(id(6), limit).await;
        }
        for number in [0, 1, 2, 9, 10, 31, 32, 33, 64, 99, 100, u32::MAX] {
            let kinds = [FollowUpKey::Action, FollowUpKey::Check, FollowUpKey::Delivery];
            for from in kinds.map(|kind| kind(number)) {
                stage.compare_follow_ups_from(id(6), from, NARROW[2]).await;
            }
        }
        stage = stage.reopen(fixture).await;
    }
    for from in KINDS {
        // A job that is not followed has none, and a job that does not exist is not known.
        stage.compare_follow_ups_from(id(8), from, WIDE).await;
        let stranger = stage.stranger();
        let query = FollowUpsQuery { id: stranger, from, limit: WIDE };
        let answer = stage.store.list_follow_ups(query).await;
        let unknown = |error: &Error| matches!(error, Error::UnknownJob(of) if *of == stranger);
        stage.refused("follow-ups of a job that is not there", answer, unknown);
    }
    stage.finish(fixture).await;
}

/// The watches come with a path, and the rest when it is asked for.
async fn loads(fixture: &impl Fixture) {
    let mut stage = Stage::open("follow-ups that are loaded", fixture).await;
    stage.forest.root(1);
    for (child, parent) in [(2, 1), (3, 2), (4, 3), (5, 3)] {
        stage.forest.child(child, parent);
    }
    stage.forest.root(9);
    stage.commit().await;
    for number in [1, 3, 5, 9] {
        stage.forest.check(id(number), 0, time(7));
        stage.forest.deliver(id(number), 3, Progress::Delivered(time(8)));
        stage.forest.deliver(id(number), 40, Progress::Failed(time(8)));
    }
    stage.forest.task(id(3), leased(time(8)));
    stage.commit().await;
    stage.forest.reports(State::Running, &[4]);
    stage.commit().await;
    for _ in 0..2 {
        for (path, watched) in [(4, 2), (2, 1), (5, 3), (9, 1)] {
            let wanted = Wanted { paths: [id(path)].into(), ..Wanted::default() };
            stage.loads_follow_ups(&wanted, watched).await;
        }
        let (check, delivery) = (FollowUpKey::Check(0), FollowUpKey::Delivery(3));
        let asked = [
            (id(3), delivery),
            (id(3), FollowUpKey::Delivery(40)),
            (id(5), check),
            (id(9), FollowUpKey::Watch),
            (id(3), FollowUpKey::Task),
            // These do not exist.
            (id(5), FollowUpKey::Task),
            (id(3), FollowUpKey::Delivery(0)),
            (id(2), FollowUpKey::Watch),
            (id(4), check),
            (stage.stranger(), FollowUpKey::Watch),
        ];
        let follow_ups = asked.into_iter().collect();
        let wanted = Wanted { follow_ups, ..Wanted::default() };
        stage.loads_follow_ups(&wanted, 5).await;
        let wanted = Wanted { paths: [id(4)].into(), ..wanted };
        stage.loads_follow_ups(&wanted, 7).await;
        stage = stage.reopen(fixture).await;
    }
    stage.finish(fixture).await;
}

impl Stage {
    async fn loads_follow_ups(&self, wanted: &Wanted, count: usize) {
        let loaded = self.store.load(wanted.clone()).await;
        let loaded = self.ok("a load of follow-ups", loaded);
        let found = loaded.follow_ups.len();
        self.same(format_args!("how many follow-ups are loaded for {wanted:?}"), &found, &count);
        self.same(
            format_args!("what is loaded for {wanted:?}"),
            &loaded,
            &self.forest.loaded(wanted),
        );
    }
}

/// Past and future times, many of one time, in several trees, in no order.
async fn by_time(fixture: &impl Fixture) {
    let mut stage = Stage::open("follow-ups by time", fixture).await;
    let times = [
        time(90_000_000),
        time(0),
        Timestamp::MIN,
        time(60_000),
        time(1),
        Timestamp::MAX,
        time(59_999),
        time(3_000_000_000_000),
        time(-7_200_000),
    ];
    for root in [40, 3, 21, 1 << 40] {
        stage.forest.root(root);
        stage.forest.child(root + 1, root);
        for (number, at) in (0..).zip(times) {
            stage.forest.check(id(root + 1), number, at);
            stage.forest.deliver(id(root), number, Progress::Waiting(at));
            stage.forest.deliver(id(root + 1), 10 + number, Progress::Failed(at));
            stage.forest.deliver(id(root), 20 + number, Progress::Cancelled(at));
        }
        stage.commit().await;
    }
    for (root, at) in [40, 3, 21].into_iter().zip(times) {
        stage.forest.task(id(root), TaskPhase::Waiting(at));
        stage.forest.task(id(root + 1), leased(at));
    }
    stage.commit().await;
    // Later commits come between those of one time.
    for number in 0..20 {
        stage.forest.deliver(id(21), 40 - number, Progress::Waiting(time(1)));
        stage.forest.check(id(4), 10 + number, time(1));
        if number % 5 == 0 {
            stage.commit().await;
        }
    }
    stage.commit().await;
    for _ in 0..2 {
        for limit in NARROW.into_iter().chain([WIDE]) {
            stage.compare_indexes(ALWAYS, limit).await;
        }
        stage = stage.reopen(fixture).await;
    }
    for from in times {
        for until in times.into_iter().step_by(2) {
            stage.compare_indexes((from, until), NARROW[2]).await;
        }
    }
    behind_places(&stage, &times[2..6]).await;
    stage.finish(fixture).await;
}

/// A list goes on behind any key, with or without an entry there.
async fn behind_places(stage: &Stage, times: &[Timestamp]) {
    let (from, until, limit) = (time(0), time(90_000_000), WIDE);
    let all = stage.forest.index(IndexId::Due, (from, until));
    let keys = [FollowUpKey::Check(4), FollowUpKey::Delivery(30)];
    let ids = [JobId::MIN, id(4), JobId::MAX];
    for time in times {
        for id in ids {
            for key in keys {
                let after = IndexKey { time: *time, id, key };
                let mut got = Vec::new();
                for part in 0..stage.store.index_parts() {
                    let (index, after) = (IndexId::Due, Some(after));
                    let query = IndexQuery { index, part, from, until, after, limit };
                    let page = stage.store.list_index(query).await;
                    got.extend(stage.ok("a list by time behind a key", page).items);
                }
                got.sort_by_key(|(key, _)| *key);
                let mut due = all.clone();
                due.retain(|(key, _)| *key > after);
                stage.same(format_args!("what is due behind {after:?}"), &got, &due);
            }
        }
    }
}

/// All the progress that a delivery and a check may make, one step after the other.
async fn moves(fixture: &impl Fixture) {
    let mut stage = Stage::open("follow-ups that move", fixture).await;
    stage.forest.root(1);
    stage.forest.child(2, 1);
    stage.forest.check(id(1), 0, time(5));
    stage.commit().await;
    let steps = [
        Progress::Waiting(time(7)),
        // It keeps its entry, and is another row.
        Progress::Waiting(time(7)),
        Progress::Waiting(time(500_000)),
        Progress::Waiting(time(3)),
        Progress::Failed(time(3)),
        Progress::Failed(time(9)),
        Progress::Waiting(time(9)),
        Progress::Delivered(time(9)),
        Progress::Waiting(time(7)),
        Progress::Cancelled(time(7)),
        Progress::Waiting(time(7)),
    ];
    for (round, progress) in steps.into_iter().enumerate() {
        stage.forest.deliver(id(2), 0, progress);
        match round % 3 {
            0 => stage.forest.check(id(1), 0, time(round as i64)),
            1 => stage.forest.check_made(id(1), 0, time(round as i64)),
            _ => {}
        }
        let phase = match round % 4 {
            0 => TaskPhase::Waiting(time(round as i64)),
            1 => leased(time(round as i64)),
            2 => leased(time(30_000)),
            _ => TaskPhase::Paused(time(round as i64)),
        };
        stage.forest.task(id(1), phase);
        stage.commit().await;
        stage.compare_indexes(ALWAYS, WIDE).await;
        stage.compare_follow_ups(id(2), WIDE).await;
        if round % 5 == 2 {
            stage = stage.reopen(fixture).await;
            stage.compare().await;
        }
    }
    stage.finish(fixture).await;
}

/// Many commits of several trees, and a comparison only now and then.
async fn quick_moves(fixture: &impl Fixture) {
    let mut stage = Stage::open("follow-ups that move quickly", fixture).await;
    for root in 1..=4 {
        stage.forest.root(root);
    }
    for round in 0..60_i64 {
        for root in 1..=4_u64 {
            let number = (round % 3) as u32;
            let at = time((round * 37 + root as i64) % 11 * 30_000);
            stage.forest.deliver(
                id(root),
                number,
                match round % 7 {
                    0..3 => Progress::Waiting(at),
                    3 | 4 => Progress::Failed(at),
                    5 => Progress::Delivered(at),
                    _ => Progress::Waiting(time(1)),
                },
            );
            stage.forest.check(id(root), 0, at);
        }
        stage.commit().await;
        if round % 20 == 19 {
            stage.compare_indexes(ALWAYS, NARROW[2]).await;
        }
    }
    stage.finish(fixture).await;
}

/// Follow-ups that were not committed are in no list.
async fn refused(fixture: &impl Fixture) {
    let mut stage = Stage::open("follow-ups of stale commits", fixture).await;
    stage.forest.root(1);
    stage.forest.check(id(1), 0, time(5));
    stage.forest.root(2);
    stage.commit().await;
    for round in 0..3_u64 {
        let mut vain = stage.forest.clone();
        vain.check(id(1), 0, time(6));
        vain.deliver(id(1), 0, Progress::Waiting(time(2)));
        vain.deliver(id(1), 1, Progress::Failed(time(2)));
        vain.child(10, 1);
        vain.check(id(10), 0, time(1));
        for commit in vain.commits() {
            let expected = [0, commit.expected + 1, commit.expected + 9][round as usize];
            let answer = stage.store.commit(vec![TreeCommit { expected, ..commit }]).await;
            for answer in answer {
                stage.refused("a commit of another version", answer, is_stale(1));
            }
        }
        // A tree that is never created.
        let mut vain = Forest::default();
        vain.root(30);
        vain.check(id(30), 0, time(1));
        for commit in vain.commits() {
            let answer = stage.store.commit(vec![TreeCommit { expected: 4, ..commit }]).await;
            for answer in answer {
                stage.refused("the second commit of no tree", answer, is_stale(30));
            }
        }
        stage.compare_indexes(ALWAYS, WIDE).await;
        stage.forest.check(id(1), 0, time(round as i64));
        stage.forest.deliver(id(2), 0, Progress::Waiting(time(4)));
        stage.commit().await;
        stage.compare_indexes(ALWAYS, WIDE).await;
    }
    stage.finish(fixture).await;
}

/// Calls that may stage nothing: rows that are in lists by time, with their jobs or without.
fn listed_rows(staging: &Staging) -> Vec<Vec<Row>> {
    let listed = staging.commit.rows.iter().filter(|row| row.entry().is_some()).cloned();
    let with_jobs = listed.clone().map(|row| [&staging.calls[0][..], &[row]].concat());
    with_jobs.chain(listed.map(|row| vec![row])).collect()
}

/// Follow-ups of staged jobs are hidden until the commit that publishes them, which brings those
/// that are in a list by time.
async fn stage_rows(fixture: &impl Fixture) {
    let mut stage = Stage::open("follow-ups that are staged", fixture).await;
    stage.forest.root(1);
    stage.forest.check(id(1), 0, time(4));
    stage.commit().await;
    let (staging, forest) = stage.parted(1, 3, |forest| {
        for number in 10..20 {
            forest.child(number, if number < 15 { 1 } else { number - 5 });
            forest.action(id(number), 0);
            forest.check_made(id(number), 0, time(3));
            forest.deliver(id(number), 0, Progress::Waiting(time(2)));
            forest.deliver(id(number), 1, Progress::Failed(time(1)));
            forest.deliver(id(number), 33, Progress::Delivered(time(1)));
            forest.append(id(number), &["a line"]);
        }
        forest.check(id(1), 0, time(1));
    });
    let (vain, _) = stage.parted(2, 3, |forest| {
        forest.child(30, 1);
        forest.check_made(id(30), 0, time(1));
        forest.action(id(30), 0);
        forest.deliver(id(30), 0, Progress::Delivered(time(1)));
        forest.deliver(id(30), 70, Progress::Cancelled(time(1)));
        forest.check(id(30), 1, time(1));
    });
    for staging in [&staging, &vain] {
        let is_not_staged = |error: &Error| matches!(error, Error::NotStaged(_));
        for rows in listed_rows(staging) {
            let refused = stage.put(staging, &rows).await;
            stage.refused("rows of lists by time that are staged", refused, is_not_staged);
        }
        stage.stage_rows(staging).await;
        stage.unseen(&staging.ids()).await;
    }
    stage.compare_indexes(ALWAYS, WIDE).await;
    let mut stale = staging.clone();
    stale.commit.expected += 1;
    stage.refused("a stale publication", stage.publish(&stale).await, is_stale(1));
    stage.compare_indexes(ALWAYS, WIDE).await;
    stage.ok("a publication", stage.publish(&staging).await);
    stage.forest = forest;
    stage.compare().await;
    stage.store.discard(vain.id);
    // As soon as the id is free, it has no follow-ups of what was discarded.
    stage.commit_once_free(|forest| forest.child(30, 1)).await;
    stage.forest.deliver(id(12), 1, Progress::Waiting(time(9)));
    stage.forest.deliver(id(13), 0, Progress::Delivered(time(9)));
    stage.forest.check(id(30), 1, time(9));
    stage.commit().await;
    let limit = PageLimit { items: 3, ..WIDE };
    stage.compare_indexes(ALWAYS, limit).await;
    stage.finish(fixture).await;
}
