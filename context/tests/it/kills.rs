use std::{collections::BTreeMap, path::Path, sync::Arc};

use jobtracker_context::{Fsync, JobTrackerContext};
use jobtracker_model::{NewChange, State, testing::NaiveTree};
use proptest::prelude::*;
use tokio::{runtime::Builder, sync::Semaphore, task::yield_now};

use crate::{
    recorded::{self, id, job},
    service::{Fault, Service},
    streams::REPORTED,
};

type Steps = Vec<(prop::sample::Index, usize)>;

/// The roots that the service refuses have ids from here on.
const REFUSED: u64 = 1_000_000;

/// What has to be recovered from a journal.
#[derive(Default)]
struct Truth {
    naive: NaiveTree,
    lines: BTreeMap<u64, usize>,
    /// How many trees are refused and not taken.
    refused: u64,
}

/// Records, and flushes with every kind of outcome, until it is killed.
async fn record(service: &Arc<Service>, path: &Path, steps: Steps) -> Truth {
    let gate = || service.gate.as_ref().unwrap();
    let builder = recorded::builder(service).journal(path).fsync(Fsync::OnCall);
    let context = builder.build().unwrap();
    let Truth { mut naive, mut lines, mut refused } = Truth::default();
    let mut count = 0;
    let mut next_refused = REFUSED;
    for (pick, what) in steps {
        let pick = (count > 0).then(|| pick.index(count as usize) as u64 + 1);
        match (pick, REPORTED.get(what)) {
            (Some(pick), Some(state)) => {
                let change = NewChange::new(*state);
                if context.update(id(pick), change).await.unwrap().applied {
                    naive.append(id(pick), *state);
                }
            }
            (Some(_), None) if what <= 9 => {
                service.faults.lock().unwrap().extend(match what {
                    6 => Some(Fault::LostReply),
                    7 => Some(Fault::Unreachable),
                    _ => None,
                });
                gate().add_permits(10);
                // It may well fail.
                let _ = context.flush().await;
            }
            // A flush that does not end while the next operations are recorded.
            (Some(_), None) if what == 10 && context.stats().in_flight == 0 => {
                while let Ok(permit) = gate().try_acquire() {
                    permit.forget();
                }
                let flush = tokio::spawn({
                    let context = context.clone();
                    async move { context.flush().await }
                });
                while !flush.is_finished() && context.stats().in_flight == 0 {
                    yield_now().await;
                }
            }
            (_, None) if what == 14 => {
                next_refused += 1;
                refused += 1;
                service.kept().refuse.insert(id(next_refused));
                context.create(job(next_refused, None)).await.unwrap();
                recorded::report(&context, next_refused, State::Running).await;
            }
            (_, None) if what == 15 => {
                if let Some(tree) = context.refused().first() {
                    refused -= 1;
                    assert!(context.drop_refused(tree.root) > 0);
                }
            }
            // Enough that it pays to begin the journal anew.
            (Some(pick), None) if what == 16 => {
                *lines.entry(pick).or_default() += 9;
                context.append_log(id(pick), vec!["x".repeat(8_000); 9]).await.unwrap();
            }
            (pick, _) => {
                let parent = pick.filter(|_| what != 11);
                count += 1;
                context.create(job(count, parent)).await.unwrap();
                naive.create(id(count), parent.map(id));
            }
        }
    }
    context.sync().await.unwrap();
    Truth { naive, lines, refused }
}

/// Recovers the journal: its content is sent, and every job and line is there once.
async fn check(service: &Arc<Service>, path: &Path, truth: &Truth) {
    let Truth { naive, lines, refused } = truth;
    service.faults.lock().unwrap().clear();
    service.gate.as_ref().unwrap().add_permits(100);
    let report = JobTrackerContext::recover(Arc::clone(service) as _, path).await.unwrap();
    assert_eq!((report.misplaced, report.torn_bytes), (0, 0));
    assert_eq!(report.flushed.refused, *refused);
    assert_eq!(report.flushed.blocked, 0);
    let kept = service.kept();
    assert_eq!(kept.jobs.len(), naive.ids().count());
    for (id, job) in &kept.jobs {
        let truth = naive.job(*id);
        assert_eq!((&job.changes, job.node.status.state), (&truth.changes, truth.state), "{id}");
        assert_eq!(job.lines.len(), lines.get(&id.get()).copied().unwrap_or(0), "{id}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_was_recorded_arrives_once(
        block: bool,
        is_mute: bool,
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0..17usize), 1..50),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let gate = Some(Semaphore::new(0));
        let service = Arc::new(Service { block, is_mute, gate, ..Service::default() });
        let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
        // What runs there ends with its runtime, wherever it is.
        let truth = runtime().block_on(record(&service, &path, steps));
        runtime().block_on(check(&service, &path, &truth));
    }
}
