//! Ids that are given out.

use std::{collections::BTreeSet, sync::Arc};

use jobtracker_model::JobId;

use super::{Fixture, forest::id, stage::Stage};

pub(super) async fn run(fixture: &impl Fixture) {
    in_turn(fixture).await;
    taken(fixture).await;
    at_once(fixture).await;
}

impl Stage {
    /// Reserves a block, which has to be behind all that were given before.
    pub async fn reserve(&self, count: u32, last: &mut u64) -> u64 {
        let first = self.store.reserve_ids(count).await;
        let first = self.ok(format_args!("{count} ids"), first).get();
        self.holds(format_args!("{first}, given after {last}, is larger"), first > *last);
        let end = first + u64::from(count) - 1;
        if let Some((taken, _)) = self.forest.jobs.range(id(first)..=id(end)).next() {
            self.fail(format_args!("{count} ids from {first} include {taken}, which is taken"));
        }
        *last = end;
        first
    }
}

async fn in_turn(fixture: &impl Fixture) {
    let mut stage = Stage::open("ids in turn", fixture).await;
    let mut last = 0;
    for round in 0..4 {
        for count in [1, 1, 2, 1000, 1, 1_000_000, 3] {
            let first = stage.reserve(count, &mut last).await;
            // A root for each, so that reservations and commits come mixed.
            stage.forest.root(first + u64::from(count) / 2);
            if round % 2 == 0 {
                stage.commit().await;
            }
        }
        stage.commit().await;
        stage = stage.reopen(fixture).await;
    }
    // A million a round were used up, and a few by the other blocks; ids are meant to be small.
    stage.holds("ids are given out sparingly", last < 16_000_000);
    stage.finish(fixture).await;
}

/// Creators may choose ids that no caller has reserved.
async fn taken(fixture: &impl Fixture) {
    let mut stage = Stage::open("ids that are taken", fixture).await;
    let mut last = 0;
    stage.forest.root(1);
    for number in [2, 3, 4, 6, 7, 9, 15, 16, 40] {
        stage.forest.child(number, 1);
    }
    stage.forest.root(JobId::MAX.get());
    stage.commit().await;
    for count in [1, 1, 2, 5, 1, 10, 1] {
        stage.reserve(count, &mut last).await;
    }
    stage = stage.reopen(fixture).await;
    for step in 1..6 {
        // Straight behind the ids that were given out, and a little further on.
        for number in [last + 1, last + 2, last + 5 * step] {
            if !stage.forest.jobs.contains_key(&id(number)) {
                stage.forest.child(number, 1);
            }
        }
        stage.commit().await;
        stage.reserve(1, &mut last).await;
        stage.reserve(7, &mut last).await;
        stage = stage.reopen(fixture).await;
    }
    for number in last + 1..=last + 3000 {
        if !stage.forest.jobs.contains_key(&id(number)) {
            stage.forest.child(number, 1);
        }
    }
    stage.commit().await;
    stage.reserve(1, &mut last).await;
    stage.finish(fixture).await;
}

async fn at_once(fixture: &impl Fixture) {
    const CALLERS: usize = 8;
    let stage = Stage::open("ids for many at once", fixture).await;
    let mut tasks = Vec::new();
    for caller in 0..CALLERS {
        let store = Arc::clone(&stage.store);
        tasks.push(tokio::spawn(async move {
            let mut blocks = Vec::new();
            for round in 0..25 {
                let count = u32::try_from(1 + (caller + round) % 7).unwrap_or(1);
                blocks.push((store.reserve_ids(count).await, count));
            }
            blocks
        }));
    }
    let mut given = BTreeSet::new();
    for task in tasks {
        let blocks = task.await.unwrap_or_else(|panic| stage.fail(panic));
        let mut last = 0;
        for (first, count) in blocks {
            let first = stage.ok("ids for one of many", first).get();
            stage.holds("a caller's ids increase", first > last);
            last = first + u64::from(count) - 1;
            for number in first..=last {
                stage.holds(format_args!("id {number} is given once"), given.insert(number));
            }
        }
    }
    let mut last = given.last().copied().unwrap_or_default();
    let stage = stage.reopen(fixture).await;
    stage.reserve(1, &mut last).await;
    stage.finish(fixture).await;
}
