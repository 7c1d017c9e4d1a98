use std::{collections::HashMap, sync::Arc};

use jobtracker_model::{JobId, NewChange, NewJob, State, testing::NaiveTree};
use proptest::prelude::*;

use crate::{
    recorded::{self, id, job},
    service::Service,
    streams::REPORTED,
};

type Steps = Vec<(prop::sample::Index, usize)>;

/// A sequence that is split by flushes of one context or another, and by direct calls, leaves the
/// service with the same jobs as the sequence at once.
async fn check(block: bool, steps: Steps) {
    let service = Service::new(block);
    let contexts = [recorded::context(&service), recorded::context(&service)];
    let mut naive = NaiveTree::default();
    let (mut count, mut at_work) = (0, 0);
    for (pick, what) in steps {
        let context = &contexts[at_work];
        let pick = (count > 0).then(|| pick.index(count as usize) as u64 + 1);
        match (pick, REPORTED.get(what)) {
            (Some(pick), Some(state)) => {
                let applies = !(block && naive.is_finished(id(pick)));
                let change = NewChange::new(*state);
                assert_eq!(context.update(id(pick), change).await.unwrap().applied, applies);
                if applies {
                    naive.append(id(pick), *state);
                }
                assert_eq!(recorded::status(context, pick).await.state, naive.job(id(pick)).state);
            }
            (Some(_), None) if what == 6 => {
                context.flush().await.unwrap();
                assert_eq!(context.stats().jobs, 0);
            }
            (Some(_), None) if what == 7 => {
                context.flush().await.unwrap();
                at_work = 1 - at_work;
            }
            (Some(pick), None) if what == 8 => {
                context.flush().await.unwrap();
                let applies = !(block && naive.is_finished(id(pick)));
                assert_eq!(service.kept().update(id(pick), State::Running, block), applies);
                if applies {
                    naive.append(id(pick), State::Running);
                }
            }
            (pick, _) => {
                let parent = pick.filter(|_| what != 9);
                count += 1;
                context.create(job(count, parent)).await.unwrap();
                naive.create(id(count), parent.map(id));
            }
        }
    }
    for context in contexts {
        assert!(context.commit_and_close().await.unwrap().is_clean());
    }
    compare(&service, &naive);
}

fn compare(service: &Arc<Service>, naive: &NaiveTree) {
    let kept = service.kept();
    assert_eq!(kept.jobs.keys().copied().collect::<Vec<_>>(), naive.ids().collect::<Vec<_>>());
    for (id, job) in &kept.jobs {
        let truth = naive.job(*id);
        assert_eq!(job.changes, truth.changes, "{id}");
        assert_eq!(job.node.status.state, truth.state, "{id}");
        assert_eq!(job.node.status.subtree.total, truth.subtree[0], "{id}");
        assert_eq!(job.node.parent, naive.parent(*id));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_split_gives_the_same_trees(
        block: bool,
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0..13usize), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(block, steps));
    }
}

/// Many tasks record in one tree while it is flushed over and over.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_record_while_others_flush() {
    let service = Service::new(true);
    let context = recorded::builder(&service).build().unwrap();
    let root = context.create(NewJob::new("root")).await.unwrap();
    let mut batch = context.batch();
    for number in 0..40u64 {
        batch.add(move |context| async move {
            for _ in 0..25 {
                let job = context.create(NewJob::new("page").under(root)).await?;
                context.update(job, NewChange::new(State::Running)).await?;
                if number % 4 == 0 {
                    context.flush().await?;
                }
                context.update(job, NewChange::new(State::RanToCompletion)).await?;
            }
            Ok::<(), jobtracker_context::Error>(())
        });
    }
    batch.parallel(8).run().await.unwrap();
    context.update(root, NewChange::new(State::RanToCompletion)).await.unwrap();
    assert!(context.commit_and_close().await.unwrap().is_clean());
    assert_eq!((context.stats().operations, context.stats().jobs), (0, 0));
    let kept = service.kept();
    let status = &kept.jobs[&root].node.status;
    assert_eq!(status.state, State::RanToCompletion);
    assert_eq!((status.subtree.total, status.children.successful), (1000, 1000));
    let whole: HashMap<JobId, usize> =
        kept.jobs.iter().map(|(id, job)| (*id, job.changes.len())).collect();
    assert!(whole.iter().all(|(id, changes)| *id == root || *changes == 3));
}
