//! Jobs that do not exist, and stores that are closed.

use std::fmt::Debug;

use jobtracker_model::{JobId, Repeat, State, StateSet, Timestamp};

use super::{Fixture, forest::id, pages::WIDE, stage::Stage};
use jobtracker_store::{
    BlockersQuery, ChangesQuery, ChildrenQuery, DescendantsQuery, Error, LogQuery, Order, Result,
    RootsQuery, Wanted,
};

pub(super) async fn run(fixture: &impl Fixture) {
    unknown_ids(fixture).await;
    closed(fixture).await;
}

/// Calls every method that wants an existing job, and hands on what each answers.
async fn each_list(stage: &Stage, of: JobId, check: impl Fn(&str, Result<Box<dyn Debug>>)) {
    fn boxed<T: Debug + 'static>(answer: Result<T>) -> Result<Box<dyn Debug>> {
        answer.map(|answer| Box::new(answer) as _)
    }
    let (store, limit, states, after) = (&stage.store, WIDE, StateSet::EMPTY, None);
    let (id, parent) = (of, of);
    check("ancestors", boxed(store.list_ancestors(id).await));
    let query = ChildrenQuery { states, after, limit, ..ChildrenQuery::of(parent) };
    check("children", boxed(store.list_children(query).await));
    check("places", boxed(store.get_places(id).await));
    let query = DescendantsQuery { of, states, after, limit };
    check("descendants", boxed(store.list_descendants(query).await));
    let query = DescendantsQuery { of, states, after: Some(of), limit };
    check("descendants behind a job", boxed(store.list_descendants(query).await));
    check("blockers", boxed(store.list_blockers(BlockersQuery { of, after, limit }).await));
    check("changes", boxed(store.list_changes(ChangesQuery { id, from: 0, limit }).await));
    for from in [None, Some(0), Some(7)] {
        check("log", boxed(store.list_log(LogQuery { id, from, limit }).await));
    }
    check("attachments", boxed(store.list_attachments(id).await));
}

async fn unknown_ids(fixture: &impl Fixture) {
    let mut stage = Stage::open("what is not there", fixture).await;
    // In an empty store, and in one with jobs all around.
    for filled in [false, true] {
        if filled {
            stage.forest.root(10);
            stage.forest.child(11, 10);
            stage.forest.child(30, 11);
            stage.forest.append(id(11), &["a line"]);
            stage.commit().await;
        }
        for number in [1, 12, 29, 31, JobId::MAX.get()] {
            let unknown = id(number);
            each_list(&stage, unknown, |what, answer| {
                let due = |error: &Error| matches!(error, Error::UnknownJob(id) if *id == unknown);
                stage.refused(format_args!("{what} of unknown {unknown}"), answer, due);
            })
            .await;
            let got = stage.store.get_job(unknown).await;
            stage.same("an unknown job", &stage.ok("an unknown job", got), &None);
            let got = stage.store.get_attachment(unknown, "key").await;
            stage.same("its attachment", &stage.ok("its attachment", got), &None);
            let got = stage.store.get_states(vec![unknown, unknown]).await;
            let due = vec![State::WaitingForActivation; 2];
            stage.same("its state", &stage.ok("its state", got), &due);
        }
        stage.compare_roots((Timestamp::MIN, Timestamp::MAX), WIDE).await;
        let got = stage.store.get_states(vec![]).await;
        stage.same("states of no job", &stage.ok("states of no job", got), &vec![]);
    }
    stage.finish(fixture).await;
}

async fn closed(fixture: &impl Fixture) {
    let mut stage = Stage::open("a closed store", fixture).await;
    stage.forest.root(1);
    stage.forest.child(2, 1);
    stage.commit().await;
    stage.store.close().await;
    let mut late = stage.forest.clone();
    late.child(3, 1);
    late.root(4);
    for answer in stage.store.commit(late.commits()).await {
        unavailable(&stage, "a commit", answer);
    }
    unavailable(&stage, "ids", stage.store.reserve_ids(1).await);
    unavailable(&stage, "check", stage.store.check().await);
    let wanted = Wanted { paths: [id(1)].into(), ..Wanted::default() };
    unavailable(&stage, "load", stage.store.load(wanted).await);
    unavailable(&stage, "a job", stage.store.get_job(id(1)).await);
    unavailable(&stage, "states", stage.store.get_states(vec![id(1)]).await);
    unavailable(&stage, "an attachment", stage.store.get_attachment(id(1), "key").await);
    each_list(&stage, id(1), |what, answer| unavailable(&stage, what, answer)).await;
    let (from, to, order) = (Timestamp::MIN, Timestamp::MAX, Order::Oldest);
    let query = RootsQuery { from, to, order, after: Some(root_of(&stage)), limit: WIDE };
    unavailable(&stage, "roots", stage.store.list_roots(query).await);
    let repeat = (id(1), Repeat::Change("change 1".to_owned()));
    let wanted = Wanted { repeats: [repeat].into(), ..Wanted::default() };
    unavailable(&stage, "repeats", stage.store.load(wanted).await);
    // Closing it twice is allowed.
    stage.store.close().await;
    keep(stage, fixture).await;
}

/// Everything that was committed before is there after opening again, and nothing else.
async fn keep<F: Fixture>(stage: Stage, fixture: &F) {
    if F::DURABLE {
        stage.reopen(fixture).await.finish(fixture).await;
    }
}

fn root_of(stage: &Stage) -> jobtracker_store::RootKey {
    jobtracker_store::RootKey { time: stage.forest.job(id(1)).status.create_time, id: id(1) }
}

fn unavailable<T: Debug>(stage: &Stage, what: &str, answer: Result<T>) {
    stage.refused(format_args!("{what}, after the store was closed"), answer, |error| {
        matches!(error, Error::Unavailable(_))
    });
}
