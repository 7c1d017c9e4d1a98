use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use jobtracker_context::JobTrackerContext;
use jobtracker_model::{
    JobId, NewChange, State, Timestamp,
    rollup::{Branch, Grown, Recorded, Status},
    testing::NaiveTree,
    upload::{Item, Record},
};
use proptest::prelude::*;

use crate::{
    recorded::{id, job},
    service::{Service, read},
};

pub const REPORTED: [State; 6] = [
    State::WaitingToRun,
    State::Running,
    State::Warning,
    State::WaitingForChildrenToComplete,
    State::RanToCompletion,
    State::Faulted,
];

/// The final statuses of all jobs in a stream that creates them all, as a service folds them that
/// keeps nothing but the path it is on.
fn fold(items: &[Item]) -> Vec<(JobId, Status)> {
    let mut folded = Vec::new();
    let mut path: Vec<Branch> = Vec::new();
    let mut close = |path: &mut Vec<Branch>| {
        let grown: Grown = path.pop().unwrap().grown();
        if let Some(above) = path.last_mut() {
            above.absorb(&grown);
        }
        folded.push((grown.id, grown.status));
    };
    for item in items {
        match &item.record {
            Record::Job { id, parent, order, time, .. } => {
                while path.last().is_some_and(|above| Some(above.id()) != *parent) {
                    close(&mut path);
                }
                assert_eq!(path.last().map(Branch::id), *parent, "a job before its parent");
                assert!(path.last().is_none_or(|above| above.born() < *order));
                path.push(Branch::created(*id, Recorded { order: *order, time: *time }));
            }
            Record::Change { order, change } => {
                let branch = path.last_mut().unwrap();
                assert!(branch.last() < *order);
                branch.report(change.state, Recorded { order: *order, time: change.time });
            }
            Record::LogLine { .. } => path.last_mut().unwrap().append_line(),
            Record::TreeEnd { .. } => {
                while !path.is_empty() {
                    close(&mut path);
                }
            }
            _ => {}
        }
    }
    folded
}

type Steps = Vec<(prop::sample::Index, usize, u8)>;

fn steps() -> impl Strategy<Value = Steps> {
    prop::collection::vec((any::<prop::sample::Index>(), 0..12usize, 0..4u8), 1..60)
}

/// A context with a clock that jumps back and forth among four times.
fn jumping(service: &Arc<Service>, clock: &Arc<AtomicI64>) -> JobTrackerContext {
    let clock = Arc::clone(clock);
    JobTrackerContext::builder(Arc::clone(service) as _)
        .block_updates_after_finish(service.block)
        .clock(move || Timestamp::from_millis(clock.load(Ordering::Relaxed)).unwrap())
        .build()
        .unwrap()
}

async fn check(block: bool, steps: Steps) {
    let service = Service::new(block);
    let clock = Arc::new(AtomicI64::new(0));
    let context = jumping(&service, &clock);
    let mut naive = NaiveTree::default();
    let mut count = 0;
    for (pick, what, millis) in steps {
        clock.store(millis.into(), Ordering::Relaxed);
        let pick = (count > 0).then(|| pick.index(count as usize) as u64 + 1);
        match (pick, REPORTED.get(what)) {
            (Some(pick), Some(state)) => {
                let applies = !(block && naive.is_finished(id(pick)));
                let change = NewChange::new(*state).message("m".repeat(millis.into()));
                assert_eq!(context.update(id(pick), change).await.unwrap().applied, applies);
                if applies {
                    naive.append(id(pick), *state);
                }
            }
            (Some(pick), None) if what == 6 => {
                context.append_log(id(pick), vec!["a line".into()]).await.unwrap();
            }
            (pick, _) => {
                let parent = pick.filter(|_| what != 7);
                count += 1;
                context.create(job(count, parent)).await.unwrap();
                naive.create(id(count), parent.map(id));
            }
        }
    }
    let mut statuses = Vec::new();
    for number in 1..=count {
        let job = context.get(id(number)).await.unwrap().unwrap();
        let truth = naive.job(id(number));
        let below = &job.node.status.subtree;
        assert_eq!(job.node.status.state, truth.state);
        assert_eq!(below.total, truth.subtree[0]);
        assert_eq!([below.successful, below.failed], truth.subtree[4..6]);
        statuses.push((id(number), job.node.status));
    }
    assert!(context.commit_and_close().await.unwrap().is_clean());
    let kept = service.kept();
    let mut folded = fold(&read(&kept.streams[&kept.sent[0]]));
    folded.sort_by_key(|(id, _)| *id);
    assert_eq!(folded, statuses);
    // The service that took it step by step has the same.
    let stored: Vec<_> = kept.jobs.iter().map(|(id, job)| (*id, job.node.status.clone())).collect();
    assert_eq!(stored, statuses);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// For any recording, under either rule, with a clock that goes back: the buffer has what the
    /// naive model has, and the stream folds to the same statuses.
    #[test]
    fn a_stream_folds_to_what_the_buffer_has(block: bool, steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(block, steps));
    }
}
