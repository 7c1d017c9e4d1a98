//! The service is killed while programs register their schedules.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use jobtracker_client::schedule::{RegisterSchedule, Registration, ScheduleCode};

use super::*;
use crate::process::{ANY_PORT, Process, embedded};

const SCHEDULES: usize = 64;
/// How many the test registers in each round before it kills the service, some of them from two
/// programs at the same time.
const BEFORE: [usize; 4] = [3, 40, 90, 150];

fn name(number: usize) -> String {
    format!("own-{:03}", number % SCHEDULES)
}

/// What a program of this version brings along.
fn definition(version: u64) -> ScheduleDefinition {
    let delay = ScheduleTrigger::FixedDelay { delay_ms: 86_400_000 + version };
    ScheduleDefinition::new([delay])
}

async fn register(
    client: &JobTrackerClient,
    number: usize,
    version: u64,
) -> jobtracker_client::Result<Registration> {
    let new = RegisterSchedule { version, definition: definition(version) };
    Ok(client.register_schedule(&name(number), &new).await?.outcome)
}

/// Two programs register all schedules; what was acknowledged.
async fn register_all(
    client: &JobTrackerClient,
    version: u64,
    done: Arc<AtomicUsize>,
) -> Vec<usize> {
    let registering = stream::iter((0..2 * SCHEDULES).map(|number| {
        let done = Arc::clone(&done);
        async move {
            let registered = register(client, number, version).await;
            done.fetch_add(1, Ordering::SeqCst);
            registered.is_ok().then_some(number % SCHEDULES)
        }
    }));
    registering.buffer_unordered(16).filter_map(async |done| done).collect().await
}

/// Each schedule that is there, once, by name.
async fn all(
    client: &JobTrackerClient,
) -> BTreeMap<String, (u64, ScheduleDefinition, Option<ScheduleCode>)> {
    let (mut all, mut page) = (BTreeMap::new(), ListPage::default());
    loop {
        let listed = client.schedules(page).await.unwrap();
        for schedule in listed.items {
            let found = (schedule.version, schedule.definition, schedule.code);
            assert!(all.insert(schedule.name, found).is_none(), "it is there once");
        }
        let Some(cursor) = listed.next_cursor else { return all };
        page = ListPage { cursor: Some(cursor), ..ListPage::default() };
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_is_registered_at_its_version_or_not_at_all_when_the_service_is_killed() {
    let data = tempfile::tempdir().unwrap();
    for (version, before) in (1..).zip(BEFORE) {
        let service = Process::start(ANY_PORT, &embedded(data.path()));
        let (client, done) = (service.client(), Arc::<AtomicUsize>::default());
        let registering = tokio::spawn({
            let done = Arc::clone(&done);
            async move { register_all(&client, version, done).await }
        });
        while done.load(Ordering::SeqCst) < before.min(2 * SCHEDULES) {
            tokio::task::yield_now().await;
        }
        service.kill();
        let acknowledged = registering.await.unwrap();

        let service = Process::start(ANY_PORT, &embedded(data.path()));
        let client = service.client();
        let found = all(&client).await;
        for number in acknowledged {
            let (_, _, code) = found[&name(number)];
            assert_eq!(code.map(|code| code.version), Some(version), "it was acknowledged");
        }
        for (name, (revision, found, code)) in &found {
            let code = code.expect("a program has registered it");
            assert_eq!((*found == definition(code.version), code.changed_by_hand), (true, false));
            assert!([version - 1, version].contains(&code.version), "{name}: {code:?}");
            assert_eq!(*revision, code.version, "each version was put once");
        }
        let expected = |number: usize| match found.get(&name(number)) {
            None => Registration::Created,
            Some((_, _, code)) if code.is_some_and(|code| code.version < version) => {
                Registration::Replaced
            }
            Some(_) => Registration::Unchanged,
        };
        for number in 0..SCHEDULES {
            assert_eq!(register(&client, number, version).await.unwrap(), expected(number));
            let again = register(&client, number, version).await.unwrap();
            assert_eq!(again, Registration::Unchanged);
        }
        let repeated = all(&client).await;
        assert_eq!(repeated.len(), SCHEDULES);
        let code = Some(ScheduleCode { version, changed_by_hand: false });
        let whole = (version, definition(version), code);
        assert!(repeated.values().all(|found| *found == whole), "{repeated:?}");
        service.kill();
    }
}
