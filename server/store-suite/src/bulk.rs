//! More rows than fit into a small write buffer or on a page.

use jobtracker_model::{JobId, State, StateSet};

use super::{
    Fixture,
    forest::{definition, id},
    pages::WIDE,
    stage::Stage,
};
use jobtracker_store::{ChildrenQuery, Order, PageLimit};

/// The ids of its children are behind this.
const BASE: u64 = 1_000_000;

pub(super) async fn run<F: Fixture>(fixture: &F) {
    let mut stage = Stage::open("bulk", fixture).await;
    stage.forest.root(1);
    grow(&mut stage, F::BULK).await;
    stage = stage.reopen(fixture).await;
    finish_some(&mut stage, F::BULK).await;
    stage.compare().await;
    filtered(&stage, F::BULK).await;
    stage = stage.reopen(fixture).await;
    filtered(&stage, F::BULK).await;
    stage.finish(fixture).await;
}

async fn grow(stage: &mut Stage, children: u64) {
    // About as many rows as a bulk creation brings in one commit.
    let numbers: Vec<u64> = (1..=children).collect();
    for block in numbers.chunks(children as usize / 3) {
        for number in block {
            let mut definition = definition(&format!("file-{number}"));
            definition.options = Some(format!("{number:0>200}"));
            stage.forest.create(id(BASE + number), Some(id(1)), definition);
        }
        stage.commit().await;
    }
    let lines: Vec<String> = (0..children).map(|line| format!("line {line:0>90}")).collect();
    for block in lines.chunks(1_000) {
        let block: Vec<&str> = block.iter().map(String::as_str).collect();
        stage.forest.append(id(1), &block);
        stage.commit().await;
    }
}

/// One child in three succeeds, one in a hundred fails, and some of both open again.
async fn finish_some(stage: &mut Stage, children: u64) {
    for number in 1..=children {
        let child = id(BASE + number);
        if number % 100 == 7 {
            stage.forest.report(child, State::Faulted, Some("could not be read".to_owned()));
        } else if number % 3 == 0 {
            stage.forest.report(child, State::RanToCompletion, None);
        }
        if number % 600 == 300 || number % 500 == 7 {
            stage.forest.report(child, State::Running, None);
        }
        if number % (children / 4) == 0 {
            stage.commit().await;
        }
    }
    stage.commit().await;
}

async fn filtered(stage: &Stage, children: u64) {
    for name in ["Faulted", "Running", "Running,Warning", "RanToCompletion,Faulted"] {
        let states: StateSet = name.parse().expect("the suite's own states are states");
        let due = stage.forest.children(id(1), states);
        stage.holds(format_args!("there are children in {name}"), !due.is_empty());
        let got = stage.children_pages(id(1), states, Order::Oldest, WIDE).await;
        stage.same_jobs(format_args!("children in {name}"), &got, &due);
        let got = stage.descendants_pages(id(1), states, WIDE).await;
        stage.same_jobs(format_args!("descendants in {name}"), &got, &due);
    }
    let failed = StateSet::from_iter([State::Faulted]);
    let due = stage.forest.children(id(1), failed);
    let limit = PageLimit { scan: 10, ..WIDE };
    let query = ChildrenQuery { states: failed, limit, ..ChildrenQuery::of(id(1)) };
    let page = stage.store.list_children(query).await;
    let page = stage.ok("failed children among many", page);
    // Their siblings are not read: each row that counts against the scan limit is a failed child.
    stage.same_jobs("the first failed children", &page.items, &due[..10]);
    stage.same("where they go on", &page.next, &due.get(9).map(|job| job.id));

    let pending = stage.blockers_pages(id(1), PageLimit { items: 700, ..WIDE }).await;
    let ids: Vec<JobId> = pending.iter().map(|blocker| blocker.job.id).collect();
    let unfinished = |number: &u64| !stage.forest.state(id(BASE + number)).is_finished();
    let due: Vec<JobId> = (1..=children).filter(unfinished).map(|n| id(BASE + n)).collect();
    stage.same("unfinished children among many", &ids, &due);
}
