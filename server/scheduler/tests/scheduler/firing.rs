use std::sync::Arc;

use jobtracker_engine::Claim;
use jobtracker_model::{
    NewChange, NewTask, Payload, State, TaskReport, TaskReportState, limits,
    schedule::{
        AlarmAction, Concurrency, FiringCause, FiringOutcome, Misfire, MisfirePolicy, RunEnding,
        ScheduleAlarm, ScheduleDefinition, ScheduleTrigger, Sharding, TriggerSchedule,
    },
};
use jobtracker_scheduler::Error;
use jobtracker_store::{FollowUpKey, FollowUpsQuery, PageLimit, memory::MemoryStore};

use crate::world::{ANY, BEGIN, World, clock, every, since};

fn world(clock: crate::world::Clock) -> World {
    World::new(clock, Arc::new(MemoryStore::new()))
}

/// T6, and the first half of T2.
#[tokio::test]
async fn a_fixed_rate_fires_at_each_of_its_times_and_keeps_its_phase_over_a_restart() {
    let mut world = world(clock!());
    let quick = ScheduleTrigger::FixedRate { every_ms: 200, start: None };
    let definition = ScheduleDefinition { concurrency: ANY, ..ScheduleDefinition::new([quick]) };
    world.create("quick", definition).await;
    world.go_to(10_000, 70).await;
    let times: Vec<_> = world.outcomes("quick").into_iter().map(|(time, _)| time).collect();
    assert_eq!(times, (1..=50).map(|number| number * 200).collect::<Vec<_>>());
    assert!(world.outcomes("quick").iter().all(|(_, outcome)| *outcome == "started"));

    let mut world = world.restart().await;
    world.go_to(10_950, 130).await;
    let times: Vec<_> = world.outcomes("quick").into_iter().map(|(time, _)| time).collect();
    assert_eq!(times[50..], [10_200, 10_400, 10_600, 10_800]);
    assert_eq!(world.scheduler.get("quick").await.unwrap().statistics.runs, 54);
}

#[tokio::test]
async fn a_fixed_delay_begins_when_the_run_has_ended() {
    let mut world = world(clock!());
    let pause = ScheduleTrigger::FixedDelay { delay_ms: 1_000 };
    world.create("rest", ScheduleDefinition::new([pause])).await;
    world.go_to(4_500, 100).await;
    assert_eq!(world.outcomes("rest"), [(1_000, "started")], "a run is open");
    assert_eq!(world.scheduler.get("rest").await.unwrap().next, None);
    world.end("rest", State::RanToCompletion).await;
    world.go_to(5_400, 100).await;
    assert_eq!(world.outcomes("rest").len(), 1);
    world.go_to(5_500, 100).await;
    assert_eq!(world.outcomes("rest")[1], (5_500, "started"));
    // The end that no server saw counts from its own time.
    let run = world.running("rest").await[0];
    world.engine.update(run, NewChange::new(State::Faulted)).await.unwrap();
    let mut world = world.restart().await;
    world.go_to(6_600, 1_100).await;
    assert_eq!(world.outcomes("rest")[2], (6_500, "started"));
}

/// T3.
#[tokio::test]
async fn by_hand_it_answers_the_run_and_with_the_same_key_the_same_run() {
    let mut world = world(clock!());
    world.create("hand", ScheduleDefinition::new([])).await;
    let request = |key: &str, delay_ms| TriggerSchedule {
        params: Some(Payload::parse(r#"{"of": 7}"#).unwrap()),
        delay_ms,
        idempotency_key: Some(key.to_owned()),
    };
    let now = world.clock.now();
    let first = world.scheduler.trigger("hand", &request("a", None), "otto", now).await.unwrap();
    let run = first.run.unwrap();
    assert_eq!(first.outcome, Some(FiringOutcome::Started { run }));
    let again = world.scheduler.trigger("hand", &request("a", None), "otto", now).await.unwrap();
    assert_eq!(again, first);
    let root = world.store.get_job(run).await.unwrap().unwrap();
    assert_eq!(root.definition.name, "hand");
    assert_eq!(root.definition.created_by, "schedule:hand");
    assert_eq!(root.definition.options.as_deref(), Some(r#"{"of":7}"#));
    let firing = &world.scheduler.firings("hand").await.unwrap()[0];
    assert_eq!(firing.cause, FiringCause::Manual { by: "otto".into() });

    // Later: the answer names the run before it is made, and a restart does not lose it.
    world.end("hand", State::RanToCompletion).await;
    let later = request("b", Some(2_000));
    let planned = world.scheduler.trigger("hand", &later, "otto", now).await.unwrap();
    assert_eq!((since(planned.planned), planned.outcome), (2_000, None));
    assert_eq!(world.scheduler.trigger("hand", &later, "otto", now).await.unwrap(), planned);
    let mut world = world.restart().await;
    world.go_to(1_900, 100).await;
    assert_eq!(world.roots().await, [run]);
    world.go_to(2_000, 100).await;
    assert_eq!(world.roots().await, [run, planned.run.unwrap()]);

    for _ in 0..limits::PLANNED_BY_HAND {
        let request = TriggerSchedule { delay_ms: Some(9_000), ..TriggerSchedule::default() };
        world.scheduler.trigger("hand", &request, "otto", now).await.unwrap();
    }
    let more = request("d", Some(9_000));
    let refused = world.scheduler.trigger("hand", &more, "otto", world.clock.now()).await;
    assert!(matches!(refused, Err(Error::TooManyPlanned(_))), "{refused:?}");
}

/// T4.
#[tokio::test]
async fn one_schedule_follows_another_by_the_outcome_of_its_run() {
    let mut world = world(clock!());
    let mut first = ScheduleDefinition::new([]);
    first.sharding = Sharding::Fixed { total: 8 };
    world.create("first", first).await;
    for on in [RunEnding::Success, RunEnding::Failure, RunEnding::Finish] {
        let after = ScheduleTrigger::After { schedule: "first".into(), on };
        let name = format!("{on:?}");
        let definition =
            ScheduleDefinition { concurrency: ANY, ..ScheduleDefinition::new([after]) };
        world.create(&name, definition).await;
    }
    for (number, faulted) in [(1_u64, None), (2, Some(5))] {
        let now = world.clock.now();
        let request = TriggerSchedule::default();
        let fired = world.scheduler.trigger("first", &request, "o", now).await.unwrap();
        let root = fired.run.unwrap().get();
        for shard in 1..=8 {
            assert_eq!(world.outcomes("Finish").len() as u64, number - 1, "shards are open");
            let state =
                if faulted == Some(shard) { State::Faulted } else { State::RanToCompletion };
            let id = jobtracker_model::JobId::new(root + shard).unwrap();
            world.engine.update(id, NewChange::new(state)).await.unwrap();
            world.tick().await;
        }
        world.go_to(number as i64 * 1_000, 1_000).await;
    }
    let fired = |name: &str| world.outcomes(name).len();
    assert_eq!((fired("Success"), fired("Failure"), fired("Finish")), (1, 1, 2));
    assert_eq!(world.outcomes("Failure"), [(1_000, "started")]);
    // Neither a restart nor a new look fires once more.
    let mut world = world.restart().await;
    world.go_to(9_000, 1_000).await;
    assert_eq!(world.outcomes("Finish").len(), 2);
}

/// M2.
#[tokio::test]
async fn what_was_missed_is_seen_and_fires_by_the_policy() {
    let policies = [
        ("once", Misfire::FireOnce, MisfirePolicy::FireOnce, 1),
        ("none", Misfire::Skip, MisfirePolicy::Skip, 0),
        ("three", Misfire::FireAll { limit: 3 }, MisfirePolicy::FireAll, 3),
        ("all", Misfire::FireAll { limit: 100 }, MisfirePolicy::FireAll, 5),
    ];
    let mut world = world(clock!());
    for (name, misfire, ..) in policies {
        let minutely = ScheduleTrigger::Cron { pattern: "* * * * *".into(), zone: "UTC".into() };
        let definition =
            ScheduleDefinition { misfire, concurrency: ANY, ..ScheduleDefinition::new([minutely]) };
        world.create(name, definition).await;
    }
    // For 5 minutes no server looks, and for one less than the grace.
    world.go_to(330_000, 330_000).await;
    world.go_to(364_900, 34_900).await;
    for (name, _, policy, runs) in policies {
        let mut missed = Vec::new();
        for ((of, _), firing) in &world.seen {
            let until = firing.until.unwrap_or(firing.planned);
            let times = (since(firing.planned)..=since(until)).step_by(60_000);
            assert_eq!(times.clone().count() as u32, firing.count);
            if *of == name {
                missed.extend(times.map(|time| (time, firing.outcome)));
            }
        }
        let (misfired, fired) = missed.split_at(5 - runs);
        let planned: Vec<_> = missed.iter().map(|(time, _)| time / 60_000).collect();
        assert_eq!(planned, [1, 2, 3, 4, 5, 6], "{name}");
        let is_policy = |(_, outcome): &(i64, _)| *outcome == FiringOutcome::Misfired { policy };
        assert!(misfired.iter().all(is_policy), "{name}: {misfired:?}");
        assert!(fired.iter().all(|(_, outcome)| matches!(outcome, FiringOutcome::Started { .. })));
        let statistics = world.scheduler.get(name).await.unwrap().statistics;
        assert_eq!(statistics.runs as usize, runs + 1);
        assert_eq!(statistics.misfired as usize, 5 - runs);
    }
}

#[tokio::test]
async fn a_long_absence_costs_few_firings() {
    let mut world = world(clock!());
    let definition =
        ScheduleDefinition { misfire: Misfire::FireAll { limit: 2 }, ..every(100, ANY) };
    world.create("quick", definition).await;
    let day = 86_400_000;
    world.go_to(day, day).await;
    let statistics = world.scheduler.get("quick").await.unwrap().statistics;
    // Those within the grace fire, and two of the late ones.
    assert_eq!(statistics.misfired + statistics.runs + statistics.skipped, 864_000);
    assert_eq!(statistics.misfired, 864_000 - 51 - 2);
    assert!(world.seen.len() < 200);
}

/// C1, C2, C5.
#[tokio::test]
async fn while_a_run_is_open_firings_wait_or_are_skipped() {
    let mut world = world(clock!());
    world.create("queue", every(1_000, Concurrency::Queue { limit: 2 })).await;
    world.create("discard", every(1_000, Concurrency::DiscardNew)).await;
    world.create("two", every(1_000, Concurrency::Allow { max: 2 })).await;
    world.go_to(4_000, 500).await;
    let outcomes = |world: &World, name: &str| -> Vec<_> {
        world.outcomes(name).into_iter().map(|(_, outcome)| outcome).collect()
    };
    assert_eq!(outcomes(&world, "queue"), ["started", "queued", "queued", "full"]);
    assert_eq!(outcomes(&world, "discard"), ["started", "running", "running", "running"]);
    assert_eq!(outcomes(&world, "two"), ["started", "started", "running", "running"]);
    assert_eq!(world.scheduler.get("queue").await.unwrap().queued, 2);
    assert_eq!(world.roots().await.len(), 4, "a firing that waits or is skipped has no tree");

    // First in, first out, and never two at once.
    let mut runs = Vec::new();
    for _ in 0..3 {
        assert_eq!(world.running("queue").await.len(), 1);
        runs.push(world.end("queue", State::RanToCompletion).await);
    }
    let fired: Vec<_> = world.seen.iter().filter(|((of, _), _)| of == "queue").collect();
    let named: Vec<_> = fired.iter().filter_map(|(_, firing)| firing.run()).collect();
    assert_eq!(named, runs);
    let done = fired[1].1;
    assert_eq!(done.state, Some(State::RanToCompletion));
    assert!(done.start_time.is_some() && done.end_time.is_some());
    assert!(world.running("queue").await.is_empty());
}

/// C3.
#[tokio::test]
async fn a_new_run_takes_the_place_of_the_old_one_when_that_has_ended() {
    let mut world = world(clock!());
    world.create("newest", every(1_000, Concurrency::ReplaceRunning)).await;
    world.go_to(1_000, 1_000).await;
    let old = world.running("newest").await[0];
    world.go_to(2_000, 1_000).await;
    // The end of the old run comes by the feed, in the same tick or the next one.
    world.tick().await;
    let job = world.store.get_job(old).await.unwrap().unwrap();
    assert_eq!(job.status.state, State::Faulted);
    let new = world.running("newest").await;
    assert!(new.len() == 1 && new[0] != old);
    let schedule = world.scheduler.get("newest").await.unwrap();
    assert_eq!((schedule.statistics.failed, schedule.queued), (1, 0));
}

/// More shards than are ended in one step.
#[tokio::test]
async fn a_run_with_many_shards_is_replaced_step_by_step() {
    let mut world = world(clock!());
    let mut definition = every(1_000, Concurrency::ReplaceRunning);
    definition.sharding = Sharding::Fixed { total: 600 };
    definition.run.task = Some(NewTask::new("a/b"));
    world.create("wide", definition).await;
    world.go_to(1_000, 1_000).await;
    let old = world.running("wide").await[0];
    world.go_to(2_000, 1_000).await;
    let faulted = async |world: &World| {
        let root = world.store.get_job(old).await.unwrap().unwrap();
        root.status.subtree.failed
    };
    let first = faulted(&world).await;
    assert!((1..600).contains(&first), "{first} in the first round");
    world.go_to(2_100, 10).await;
    assert_eq!(faulted(&world).await, 600);
    let new = world.running("wide").await;
    assert!(new.len() == 1 && new[0] != old);
}

/// X3, and the checks for runs that are overdue.
#[tokio::test]
async fn an_alarm_tells_of_runs_by_threshold_and_silence() {
    let mut world = world(clock!());
    let mut definition = every(60_000, Concurrency::default());
    let mut alarm = ScheduleAlarm::to(AlarmAction::Http { url: "https://example.com/".into() });
    (alarm.threshold, alarm.silence_ms) = (2, Some(300_000));
    (alarm.not_started_ms, alarm.long_percent) = (Some(30_000), Some(200));
    definition.alarm = Some(alarm);
    world.create("watched", definition).await;
    use State::{Faulted, RanToCompletion};
    // Each with the actions that its run has: it is the second failure in a row, or a later one.
    let ends = [
        (Faulted, 0),
        (Faulted, 1),
        (Faulted, 0),
        (Faulted, 0),
        (RanToCompletion, 0),
        (Faulted, 0),
        (Faulted, 1),
        (Faulted, 0),
    ];
    for (minute, (state, armed)) in ends.into_iter().enumerate() {
        world.go_to((minute as i64 + 1) * 60_000, 60_000).await;
        let (id, limit) = (world.running("watched").await[0], PageLimit::items(9));
        let mut counts = [0; 2];
        for (count, from) in counts.iter_mut().zip([FollowUpKey::Action(0), FollowUpKey::Check(0)])
        {
            let query = FollowUpsQuery { id, from, limit };
            *count = world.store.list_follow_ups(query).await.unwrap().items.len();
        }
        // A mean is known from the second run on.
        assert_eq!(counts, [armed, if minute == 0 { 1 } else { 2 }], "minute {minute}");
        world.end("watched", state).await;
    }
}

/// O4, O5.
#[tokio::test]
async fn numbers_add_up_and_a_disabled_schedule_plans_nothing() {
    let mut world = world(clock!());
    world.create("hourly", every(3_600_000, Concurrency::default())).await;
    for (hour, minutes, state) in [(1, 10, State::RanToCompletion), (2, 20, State::Faulted)] {
        world.go_to(hour * 3_600_000, 3_600_000).await;
        let run = world.running("hourly").await[0];
        world.engine.update(run, NewChange::new(State::Running)).await.unwrap();
        world.go_to(hour * 3_600_000 + minutes * 60_000, 600_000).await;
        world.end("hourly", state).await;
    }
    let schedule = world.scheduler.get("hourly").await.unwrap();
    let statistics = schedule.statistics;
    assert_eq!((statistics.runs, statistics.succeeded, statistics.failed), (2, 1, 1));
    assert_eq!((statistics.mean_ms, statistics.last_ms), (Some(900_000), Some(1_200_000)));
    assert_eq!(statistics.last_state, Some(State::Faulted));
    assert_eq!(schedule.next.map(since), Some(3 * 3_600_000));
    let next = world.scheduler.next_fires("hourly", 2).await.unwrap();
    assert_eq!(next.into_iter().map(since).collect::<Vec<_>>(), [10_800_000, 14_400_000]);

    let off = world.scheduler.enable("hourly", false, world.clock.now()).await.unwrap();
    assert_eq!((off.next, off.enabled), (None, false));
    world.go_to(12 * 3_600_000, 3_600_000).await;
    let on = world.scheduler.enable("hourly", true, world.clock.now()).await.unwrap();
    assert_eq!(on.next.map(since), Some(13 * 3_600_000), "what was to come meanwhile is not late");
    world.tick().await;
    assert_eq!(world.outcomes("hourly").len(), 2);
}

/// A2, and what a definition that changes does.
#[tokio::test]
async fn a_definition_is_replaced_at_the_version_that_its_writer_saw() {
    let mut world = world(clock!());
    let created = world.create("one", every(1_000, ANY)).await;
    assert_eq!(created.version, 1);
    assert_eq!(world.create("one", every(1_000, ANY)).await, created, "safe to repeat");
    let now = world.clock.now();
    let other = jobtracker_model::schedule::NewSchedule::new("one", every(2_000, ANY));
    let taken = world.scheduler.create(other, "b", now).await;
    assert!(matches!(taken, Err(Error::Exists(_))));

    world.go_to(1_000, 1_000).await;
    let now = world.clock.now();
    let put = |expected| world.scheduler.replace("one", every(3_000, ANY), expected, "berta", now);
    assert!(matches!(put(Some(7)).await, Err(Error::OtherVersion { version: 1, .. })));
    let replaced = put(Some(1)).await.unwrap();
    assert_eq!((replaced.version, replaced.changed_by.as_str()), (2, "berta"));
    assert_eq!(replaced.next.map(since), Some(3_000));
    assert!(matches!(put(Some(1)).await, Err(Error::OtherVersion { version: 2, .. })));
    world.go_to(6_000, 500).await;
    assert_eq!(world.outcomes("one"), [(1_000, "started"), (3_000, "started"), (6_000, "started")]);

    let refused = world.scheduler.delete("one", Some(1)).await;
    assert!(matches!(refused, Err(Error::OtherVersion { .. })));
    world.scheduler.delete("one", Some(2)).await.unwrap();
    assert!(matches!(world.scheduler.get("one").await, Err(Error::NotFound(_))));
    world.go_to(20_000, 500).await;
    assert_eq!(world.roots().await.len(), 3);
}

/// T5: what a task leaves for the next run.
#[tokio::test]
async fn a_task_names_the_next_time_and_leaves_data_for_the_next_run() {
    let mut world = world(clock!());
    let mut definition = every(60_000, Concurrency::default());
    definition.run.task = Some(NewTask::new("reports/daily"));
    world.create("daily", definition).await;
    // It runs at the first minute, and wants to run again half a minute later; at the second time,
    // after three more minutes; at the third time, at once.
    for (planned, data, next_at) in [
        (60_000, None, Some(90_000)),
        (90_000, Some("1"), Some(270_000)),
        (270_000, Some("2"), Some(1_000)),
        (270_000, Some("3"), None),
        // That was in the place of the fifth minute.
        (360_000, Some("4"), None),
    ] {
        world.go_to(planned, 10_000).await;
        let run = world.running("daily").await[0];
        let until = world.clock.now().after(std::time::Duration::from_secs(30));
        let claim = Claim { epoch: 0, worker: "w".into(), until };
        let claimed = world.engine.claim_task(run, claim).await.unwrap();
        assert!(claimed.done);
        let given = claimed.task.task.data.as_ref().map(|data| data.as_str().to_owned());
        assert_eq!(given.as_deref(), data);
        let runs = world.outcomes("daily").len();
        let mut report = TaskReport::new("w", claimed.task.epoch, TaskReportState::Succeeded);
        report.data = Some(Payload::parse(&runs.to_string()).unwrap());
        report.next_at =
            next_at.map(|millis| jobtracker_model::Timestamp::from_millis(BEGIN + millis).unwrap());
        world.engine.report_task(run, report).await.unwrap();
        world.tick().await;
        if planned == 60_000 {
            // What it has named comes in the place of the second minute.
            let next = world.scheduler.next_fires("daily", 3).await.unwrap();
            assert_eq!(next.into_iter().map(since).collect::<Vec<_>>(), [90_000, 180_000, 240_000]);
        }
    }
    let times: Vec<_> = world.outcomes("daily").into_iter().map(|(time, _)| time).collect();
    assert_eq!(times, [60_000, 90_000, 270_000, 270_000, 360_000]);
}
