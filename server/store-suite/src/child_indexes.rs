//! Jobs that finish and open again are found where they are now.

use jobtracker_model::{JobId, State, StateSet};

use jobtracker_store::{Order, PageLimit};

use super::{
    Fixture,
    forest::id,
    pages::{WIDE, filters},
    stage::Stage,
};

pub(super) async fn run(fixture: &impl Fixture) {
    moves(fixture).await;
    blockers(fixture).await;
}

/// Every state after every other one, at a leaf, read from each ancestor.
async fn moves(fixture: &impl Fixture) {
    let mut stage = Stage::open("moves between states", fixture).await;
    stage.forest.root(1);
    for (child, parent) in [(2, 1), (3, 2), (4, 3), (5, 3), (6, 2), (7, 1)] {
        stage.forest.child(child, parent);
    }
    // Own work is over everywhere but at the leaf, so that its category decides up to the root.
    stage.forest.reports(State::RanToCompletion, &[1, 2, 3, 5, 6, 7]);
    stage.commit().await;
    let told = [
        State::Running,
        State::RanToCompletion,
        State::Warning,
        State::WaitingForChildrenToComplete,
        State::WaitingToRun,
    ];
    for first in told {
        for second in told {
            for state in [first, second] {
                stage.forest.reports(state, &[4]);
                stage.commit().await;
                compare_filtered(&stage).await;
            }
        }
    }
    stage = stage.reopen(fixture).await;
    // Once it has failed it never becomes successful again, but it may be at work.
    for state in [State::Faulted, State::Running, State::RanToCompletion, State::Warning] {
        stage.forest.reports(state, &[4]);
        stage.commit().await;
        compare_filtered(&stage).await;
    }
    // Several moves in one commit are one move to the store.
    stage.forest.reports(State::Faulted, &[4]);
    stage.forest.reports(State::Running, &[4]);
    stage.forest.reports(State::Faulted, &[4, 5]);
    stage.commit().await;
    // A child of a finished job opens it, and all above.
    stage.forest.child(8, 5);
    stage.commit().await;
    compare_filtered(&stage).await;
    stage.finish(fixture).await;
}

async fn compare_filtered(stage: &Stage) {
    let filters = filters();
    for id in stage.forest.jobs.keys() {
        stage.compare_lists(*id, &filters, WIDE).await;
    }
}

/// Blockers, as the API defines them.
async fn blockers(fixture: &impl Fixture) {
    let mut stage = Stage::open("blockers", fixture).await;
    stage.forest.root(1);
    for (child, parent) in [(2, 1), (3, 2), (4, 2), (5, 1), (6, 5), (7, 1)] {
        stage.forest.child(child, parent);
    }
    stage.forest.reports(State::Running, &[1, 2, 3]);
    stage.commit().await;
    expect_blockers(&stage, 1, &[3, 4, 6, 7]).await;
    expect_blockers(&stage, 5, &[6]).await;
    expect_blockers(&stage, 3, &[]).await;

    stage.forest.report(id(3), State::Faulted, Some("out of paper".to_owned()));
    stage.forest.reports(State::RanToCompletion, &[4, 7]);
    stage.commit().await;
    // 2 still runs, and waits only for its own report.
    expect_blockers(&stage, 1, &[2, 6]).await;
    expect_blockers(&stage, 2, &[]).await;
    // It failed by itself.
    expect_blockers(&stage, 3, &[3]).await;

    // What it reports after its failure is not why it failed.
    stage.forest.report(id(3), State::RanToCompletion, Some("put away".to_owned()));
    stage.forest.reports(State::RanToCompletion, &[1, 2, 5, 6]);
    stage.commit().await;
    stage.same("the state of the root", &stage.forest.state(id(1)), &State::Faulted);
    expect_blockers(&stage, 1, &[3]).await;
    expect_blockers(&stage, 2, &[3]).await;
    expect_blockers(&stage, 5, &[]).await;
    expect_blockers(&stage, 7, &[]).await;
    let reason = stage.blockers_pages(id(1), WIDE).await.remove(0).last_change.message;
    stage.same("why it failed", &reason.as_deref(), &Some("out of paper"));

    // A parent that failed itself is a reason like its child, and comes before it.
    stage.forest.child(9, 5);
    stage.forest.report(id(5), State::Faulted, Some("no ink".to_owned()));
    stage.forest.reports(State::Faulted, &[9]);
    stage.commit().await;
    expect_blockers(&stage, 1, &[3, 5, 9]).await;
    expect_blockers(&stage, 5, &[5, 9]).await;
    let narrow = PageLimit::items(1);
    let pages = stage.blockers_pages(id(5), narrow).await;
    let reasons: Vec<_> = pages.into_iter().map(|one| one.last_change.message).collect();
    stage.same("why it failed by itself", &reasons[0].as_deref(), &Some("no ink"));
    stage.same("failures one by one", &reasons.len(), &2);

    stage.forest.child(8, 6);
    stage.commit().await;
    expect_blockers(&stage, 1, &[8]).await;
    let failed = StateSet::from_iter([State::Faulted]);
    let failed = stage.children_pages(id(1), failed, Order::Oldest, WIDE).await;
    stage.same_jobs("failed children of an open root", &failed, &[stage.forest.row(id(2))]);
    stage.finish(fixture).await;
}

async fn expect_blockers(stage: &Stage, of: u64, due: &[u64]) {
    let got = stage.blockers_pages(id(of), WIDE).await;
    let got: Vec<JobId> = got.iter().map(|blocker| blocker.job.id).collect();
    let due: Vec<JobId> = due.iter().map(|number| id(*number)).collect();
    stage.same(format_args!("blockers of {of}"), &got, &due);
    let brute: Vec<JobId> = stage.forest.blockers(id(of)).iter().map(|one| one.job.id).collect();
    stage.same(format_args!("blockers of {of} found by looking at all"), &brute, &due);
}
