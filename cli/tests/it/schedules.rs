//! Schedules over HTTP.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use jobtracker_client::{
    JobTrackerClient, ListPage, NewChange, NewJob, ProblemCode, RootsQuery, State, Timestamp,
    schedule::{
        Concurrency, FiringOutcome, NewSchedule, NextFires, ScheduleDefinition, ScheduleTrigger,
        TriggerSchedule,
    },
};
use jobtracker_server::StoreKind;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Harness, Reply, STORES};

mod clock;
mod killed;

fn rate(every_ms: u64) -> ScheduleDefinition {
    let rate = ScheduleTrigger::FixedRate { every_ms, start: None };
    let concurrency = Concurrency::Allow { max: 100 };
    ScheduleDefinition { concurrency, ..ScheduleDefinition::new([rate]) }
}

/// Waits until a schedule is as it has to be: the test ends by its own limit otherwise.
async fn until(
    harness: &Harness,
    name: &str,
    is: impl Fn(&jobtracker_client::schedule::Schedule) -> bool,
) -> jobtracker_client::schedule::Schedule {
    let client = harness.client();
    let looking = async {
        loop {
            let schedule = client.schedule(name).await.unwrap();
            if is(&schedule) {
                return schedule;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), looking).await.expect("it comes to that")
}

#[tokio::test]
async fn a_schedule_fires_by_itself_and_by_hand_and_goes_on_after_a_restart() {
    for kind in STORES {
        let harness = Harness::start(kind, |_| {}).await;
        let client = harness.client();
        client.create_schedule(&NewSchedule::new("quick", rate(100))).await.unwrap();
        until(&harness, "quick", |schedule| schedule.statistics.runs >= 3).await;
        let firings = client.firings("quick").await.unwrap();
        for (new, old) in firings.iter().zip(&firings[1..]) {
            assert_eq!(new.planned.millis() - old.planned.millis(), 100);
            assert_eq!(new.number, old.number + 1);
        }
        let off = client.enable_schedule("quick", false).await.unwrap();
        assert_eq!((off.enabled, off.next), (false, None));

        let hand = ScheduleDefinition::new([ScheduleTrigger::FixedDelay { delay_ms: 86_400_000 }]);
        client.create_schedule(&NewSchedule::new("hand", hand)).await.unwrap();
        let request = TriggerSchedule { idempotency_key: Some("k".into()), ..Default::default() };
        let fired = client.trigger_schedule("hand", &request).await.unwrap();
        let run = fired.run.unwrap();
        assert_eq!(fired.outcome, Some(FiringOutcome::Started { run }));
        assert_eq!(client.trigger_schedule("hand", &request).await.unwrap(), fired);
        let root = client.get(run).await.unwrap().unwrap();
        assert_eq!((root.name.as_str(), root.created_by.as_str()), ("hand", "schedule:hand"));
        // The end of the run is heard, and the delay counts from it.
        client.update(run, NewChange::new(State::RanToCompletion)).await.unwrap();
        let ended = until(&harness, "hand", |schedule| schedule.running.is_empty()).await;
        assert_eq!((ended.statistics.runs, ended.statistics.succeeded), (1, 1));
        let end = ended.statistics.last_end.unwrap();
        assert_eq!(ended.next.unwrap().millis() - end.millis(), 86_400_000);

        if kind == StoreKind::Fjall {
            let directory = harness.stop().await.unwrap();
            let harness = Harness::restart(directory, |_| {}).await;
            let client = harness.client();
            assert_eq!(client.schedule("hand").await.unwrap(), ended);
            let runs = client.enable_schedule("quick", true).await.unwrap().statistics.runs;
            until(&harness, "quick", |schedule| schedule.statistics.runs > runs).await;
            harness.stop().await;
        } else {
            harness.stop().await;
        }
    }
}

#[tokio::test]
async fn a_definition_is_replaced_at_its_version_and_acts_by_hand_are_noted() {
    let harness = Harness::start(STORES[0], |_| {}).await;
    let client = harness.client();
    let cron = |pattern: &str| {
        let (pattern, zone) = (pattern.to_owned(), "Europe/Berlin".to_owned());
        ScheduleDefinition::new([ScheduleTrigger::Cron { pattern, zone }])
    };
    let created = client.create_schedule(&NewSchedule::new("n", cron("0 3 * * *"))).await.unwrap();
    assert_eq!(created.version, 1);
    let shown = harness.get("/api/v1/schedules/n").await;
    assert_eq!(shown.header("etag"), Some("\"1\""));
    let stale = client.replace_schedule("n", &cron("0 4 * * *"), Some(9)).await.unwrap_err();
    assert_eq!(stale.code(), Some(ProblemCode::OtherVersion));
    let replaced = client.replace_schedule("n", &cron("0 4 * * *"), Some(1)).await.unwrap();
    assert_eq!(replaced.version, 2);
    let taken = client.create_schedule(&NewSchedule::new("n", cron("1 1 * * *"))).await;
    assert!(taken.unwrap_err().is_conflict());
    let bad = harness.request(Method::PUT, "/api/v1/schedules/n").header("if-match", "x");
    Reply::of(bad.json(&cron("0 5 * * *"))).await.assert_problem("invalid_query");

    let next = client.next_fires("n", 3).await.unwrap();
    assert_eq!(next[0], replaced.next.unwrap());
    let after = Some("2026-03-28T12:00:00Z".parse().unwrap());
    let request = NextFires { definition: cron("30 2 * * *"), after, count: Some(2) };
    let planned = client.preview_schedule(&request).await.unwrap();
    let planned: Vec<_> = planned.iter().map(ToString::to_string).collect();
    assert_eq!(planned, ["2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"]);
    let unknown = json!({"definition":
        {"triggers": [{"kind": "cron", "pattern": "0 3 * * *", "zone": "Europe/Nowhere"}]}});
    let refused = harness.post("/api/v1/planned-times", &unknown).await;
    refused.assert_problem("invalid_field");
    assert_eq!(refused.json()["field"], "definition.triggers[0].zone");

    let page = client.schedules(ListPage::default()).await.unwrap();
    assert_eq!(page.items, [client.schedule("n").await.unwrap()]);
    let none = harness.get("/api/v1/schedules?namePrefix=m").await.json();
    assert_eq!(none["items"], json!([]));
    client.delete_schedule("n", Some(2)).await.unwrap();
    assert!(client.schedule("n").await.unwrap_err().is_not_found());
    let audit = harness.get("/api/v1/audit").await.json();
    let acts: Vec<_> =
        audit["items"].as_array().unwrap().iter().map(|entry| entry["act"].clone()).collect();
    // A request that cannot be understood is no act.
    let replaced = ["replaceSchedule", "replaceSchedule"];
    assert_eq!(
        acts,
        [&["deleteSchedule", "createSchedule"][..], &replaced, &["createSchedule"]].concat()
    );
    harness.stop().await;
}

/// Creates as many schedules, with these names and a number behind; answers when the last one was
/// created.
async fn create_many(
    client: &JobTrackerClient,
    (prefix, count): (&str, usize),
    definition: &ScheduleDefinition,
) -> Timestamp {
    let create = |number: usize| async move {
        let schedule = NewSchedule::new(format!("{prefix}{number}"), definition.clone());
        client.create_schedule(&schedule).await.unwrap().create_time
    };
    let creating = stream::iter((0..count).map(create)).buffer_unordered(32);
    creating.fold(Timestamp::MIN, async |last, time| last.max(time)).await
}

/// All fire once, and others are answered meanwhile. How late the last one is, is told.
/// `JOBTRACKER_LONG` makes it 10,000.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_schedules_fire_in_the_same_second() {
    let count = if std::env::var_os("JOBTRACKER_LONG").is_some() { 10_000 } else { 1_000 };
    let harness = Harness::start(StoreKind::Fjall, |_| {}).await;
    let client = &harness.client();
    // How long it takes to create a tenth of them says when all will be there; if the machine
    // becomes slower than that meanwhile, again with more time.
    let begun = Instant::now();
    let hand = ScheduleDefinition::new([]);
    let mut now = create_many(client, ("hand", count / 10), &hand).await;
    let mut time = begun.elapsed() * 30 + Duration::from_secs(2);
    let (prefix, at) = loop {
        let (prefix, at) = (format!("s{}-", time.as_millis()), now.after(time));
        let once = ScheduleDefinition::new([ScheduleTrigger::Once { at }]);
        now = create_many(client, (&prefix, count), &once).await;
        if now < at {
            break (prefix, at);
        }
        time *= 3;
    };

    let fired = || async {
        let query =
            RootsQuery { name_prefix: Some(prefix.clone()), total: true, ..Default::default() };
        client.roots(RootsQuery { limit: Some(1), ..query }).await.unwrap().total
    };
    let (mut during, mut longest) = (0, Duration::ZERO);
    loop {
        let begun = Instant::now();
        client.create(NewJob::new("meanwhile")).await.unwrap();
        longest = longest.max(begun.elapsed());
        match usize::try_from(fired().await).unwrap() {
            0 => {}
            fired if fired == count => break,
            _ => during += 1,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(during > 0, "others are answered while schedules fire");
    let (mut after, mut late) = (None, 0);
    loop {
        let page = client.schedules(ListPage { limit: Some(1_000), cursor: after }).await.unwrap();
        for schedule in page.items.iter().filter(|one| one.name.starts_with(&prefix)) {
            assert_eq!(schedule.statistics.runs, 1, "{}", schedule.name);
            let firing = schedule.last_firing.as_ref().unwrap();
            assert_eq!((firing.number, firing.count, firing.planned), (1, 1, at));
            late = late.max(firing.time.millis() - at.millis());
        }
        after = page.next_cursor;
        if after.is_none() {
            break;
        }
    }
    println!("the last of {count} fires {late} ms late");
    println!("{during} requests meanwhile took up to {longest:?}");
    harness.stop().await;
}
