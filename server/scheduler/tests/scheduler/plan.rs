use std::collections::BTreeSet;

use jiff::{SignedDuration, civil::DateTime, tz::TimeZone};
use jobtracker_model::{
    Timestamp, limits,
    schedule::{DailyWindow, ScheduleDefinition, ScheduleTrigger, Weekday},
};
use jobtracker_scheduler::{Bases, Plan};
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn bases() -> Bases {
    let created = at("2026-01-01T00:00:00Z");
    Bases { created, changed: created, rested: None }
}

fn cron(pattern: &str, zone: &str) -> ScheduleTrigger {
    ScheduleTrigger::Cron { pattern: pattern.into(), zone: zone.into() }
}

fn rate(every_ms: u64, start: Option<&str>) -> ScheduleTrigger {
    ScheduleTrigger::FixedRate { every_ms, start: start.map(at) }
}

fn plan(trigger: ScheduleTrigger) -> Plan {
    Plan::new(&ScheduleDefinition::new([trigger])).unwrap()
}

/// The planned times behind one, up to another.
fn times(plan: &Plan, after: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let next = |at: &Timestamp| plan.next(*at, bases()).filter(|next| *next <= until);
    std::iter::successors(next(&after), next).collect()
}

fn next(trigger: ScheduleTrigger, after: &str, count: usize) -> Vec<String> {
    let plan = plan(trigger);
    let next = |at: &Timestamp| plan.next(*at, bases());
    let times = std::iter::successors(next(&at(after)), next).take(count);
    times.map(|time| time.to_string().replace(".000Z", "Z")).collect()
}

#[test]
fn patterns_of_cron_have_five_six_or_seven_fields() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("30 9 * * *", "2026-03-01T09:30:00Z", &["2026-03-02T09:30:00Z", "2026-03-03T09:30:00Z"]),
        (
            "*/20 30 9 * * *",
            "2026-03-01T09:30:19.999Z",
            &["2026-03-01T09:30:20Z", "2026-03-01T09:30:40Z", "2026-03-02T09:30:00Z"],
        ),
        ("0 0 12 1 1 ? 2030", "2026-03-01T00:00:00Z", &["2030-01-01T12:00:00Z"]),
        ("0 0 L * *", "2028-02-01T00:00:00Z", &["2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z"]),
        ("0 0 15W * *", "2026-08-01T00:00:00Z", &["2026-08-14T00:00:00Z"]),
        ("0 0 * * MON#2", "2026-03-01T00:00:00Z", &["2026-03-09T00:00:00Z"]),
        (
            "0 0 * JAN-FEB FRI",
            "2026-02-26T00:00:00Z",
            &["2026-02-27T00:00:00Z", "2027-01-01T00:00:00Z"],
        ),
        ("0 0 29 2 *", "2026-03-01T00:00:00Z", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
        // The day of the month or the day of the week, as cron has it.
        (
            "0 0 13 * FRI",
            "2026-02-01T00:00:00Z",
            &["2026-02-06T00:00:00Z", "2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z"],
        ),
    ];
    for (pattern, after, expected) in cases {
        assert_eq!(next(cron(pattern, "UTC"), after, expected.len()), *expected, "{pattern}");
    }
}

#[test]
fn what_plans_nothing_is_refused_by_name() {
    let bad = [
        (cron("", "UTC"), "triggers[0].pattern"),
        (cron("* * * *", "UTC"), "triggers[0].pattern"),
        (cron("60 * * * *", "UTC"), "triggers[0].pattern"),
        (cron("0 0 30 2 *", "UTC"), "triggers[0].pattern"),
        (cron("0 0 0 1 1 ? 1969", "UTC"), "triggers[0].pattern"),
        (cron("* * * * *", "Europe/Nowhere"), "triggers[0].zone"),
        (rate(limits::RATE_MS - 1, None), "triggers[0].everyMs"),
    ];
    for (trigger, field) in bad {
        let definition = ScheduleDefinition::new([trigger]);
        assert_eq!(Plan::new(&definition).unwrap_err().field, field, "{definition:?}");
    }
}

/// Checks what a cron line plans in a zone behind a time.
fn check(cases: &[(&str, &str, &str, &[&str])]) {
    for (pattern, zone, after, expected) in cases {
        assert_eq!(next(cron(pattern, zone), after, expected.len()), *expected, "{pattern} {zone}");
    }
}

/// A local time that is left out fires at the first valid instant, one that is repeated once.
#[test]
fn clocks_that_are_set_forward_or_back_neither_lose_nor_double_a_time() {
    check(&[
        // Left out: 02:30 on March 29, when clocks go from 02:00 to 03:00.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T00:00:00Z",
            &["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        ),
        // Both of the left out ones and 03:00 itself are one instant.
        (
            "0,30 2,3 * * *",
            "Europe/Berlin",
            "2026-03-29T00:00:00Z",
            &["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:00:00Z"],
        ),
        // Repeated: 02:30 on October 25.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T23:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        ),
        // A start within the second pass plans nothing more of the repeated hour.
        (
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-10-25T01:10:00Z",
            &["2026-10-25T02:00:00Z", "2026-10-25T02:30:00Z"],
        ),
        (
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-10-25T00:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z"],
        ),
        (
            "30 1 * * *",
            "America/New_York",
            "2026-11-01T00:00:00Z",
            &["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"],
        ),
        (
            "15 2 * * *",
            "America/New_York",
            "2026-03-08T00:00:00Z",
            &["2026-03-08T07:00:00Z", "2026-03-09T06:15:00Z"],
        ),
    ]);
}

#[test]
fn zones_with_changes_of_their_own_are_planned_by_the_same_rule() {
    check(&[
        // Half an hour: 02:00 becomes 02:30 on October 4, and 02:00 becomes 01:30 on April 5.
        (
            "10 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T00:00:00Z",
            &["2026-10-03T15:30:00Z", "2026-10-04T15:10:00Z"],
        ),
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T00:00:00Z",
            &["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"],
        ),
        // At midnight, when there is none.
        (
            "0 0 * * *",
            "Asia/Beirut",
            "2026-03-28T00:00:00Z",
            &["2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"],
        ),
        // Samoa left out a whole day, 2011-12-30.
        (
            "0 12 30 12 *",
            "Pacific/Apia",
            "2011-12-29T00:00:00Z",
            &["2011-12-30T10:00:00Z", "2012-12-29T22:00:00Z"],
        ),
        ("0 9 * * *", "Asia/Kathmandu", "2026-06-01T00:00:00Z", &["2026-06-01T03:15:00Z"]),
    ]);
}

/// Some of the values of a field of cron; none: any.
type Field = BTreeSet<i8>;

fn field(values: std::ops::Range<i8>) -> impl Strategy<Value = Field> {
    prop_oneof![Just(Field::new()), prop::collection::btree_set(values, 1..4)]
}

fn text(field: &Field) -> String {
    let values: Vec<_> = field.iter().map(ToString::to_string).collect();
    if values.is_empty() { "*".to_owned() } else { values.join(",") }
}

/// The same minute by minute: every local minute that matches, at the first instant at which clocks
/// show it or a later time.
fn naive([minute, hour, day, weekday]: &[Field; 4], zone: &str, from: Timestamp) -> Vec<Timestamp> {
    let zone = TimeZone::get(zone).unwrap();
    let instant = |number: i64| from.after(std::time::Duration::from_secs(number as u64 * 60));
    let local = |number: i64| -> DateTime {
        zone.to_datetime(jiff::Timestamp::from_millisecond(instant(number).millis()).unwrap())
    };
    let is = |field: &Field, value: i8| field.is_empty() || field.contains(&value);
    let (mut found, mut at) = (BTreeSet::new(), 0);
    let mut minute_of_clock = local(0);
    while at <= MINUTES {
        let now = minute_of_clock;
        while local(at) < now {
            at += 1;
        }
        let (by_day, by_weekday) =
            (is(day, now.day()), is(weekday, now.weekday().to_sunday_zero_offset()));
        let either = !day.is_empty() && !weekday.is_empty();
        let is_day = if either { by_day || by_weekday } else { by_day && by_weekday };
        if is(minute, now.minute()) && is(hour, now.hour()) && is_day && at > 0 && at <= MINUTES {
            found.insert(instant(at));
        }
        minute_of_clock = now.checked_add(SignedDuration::from_mins(1)).unwrap();
    }
    found.into_iter().collect()
}

/// How much of the calendar a case looks at: three days.
const MINUTES: i64 = 3 * 24 * 60;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn cron_plans_what_a_clock_that_is_read_each_minute_plans(
        fields in [field(0..60), field(0..24), field(1..32), field(0..7)],
        begin in prop::sample::select(vec![
            ("Europe/Berlin", "2026-03-28T00:00:00Z"),
            ("Europe/Berlin", "2026-10-24T12:00:00Z"),
            ("America/New_York", "2026-03-07T11:00:00Z"),
            ("America/New_York", "2026-10-31T11:00:00Z"),
            ("America/St_Johns", "2006-10-28T00:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-04T00:00:00Z"),
            ("Australia/Lord_Howe", "2026-10-02T20:00:00Z"),
            ("Africa/Casablanca", "2026-02-14T00:00:00Z"),
            ("Pacific/Apia", "2011-12-29T00:00:00Z"),
            ("UTC", "2028-02-28T00:00:00Z"),
        ]),
        shift in 0_i64..1_440,
    ) {
        let (zone, begin) = begin;
        let from = at(begin).after(std::time::Duration::from_secs(shift as u64 * 60));
        // Clocks that are in the second pass of an hour have shown what comes next.
        let in_second_pass = {
            let zone = TimeZone::get(zone).unwrap();
            let instant = jiff::Timestamp::from_millisecond(from.millis()).unwrap();
            zone.to_ambiguous_timestamp(zone.to_datetime(instant)).earlier().unwrap() < instant
        };
        prop_assume!(!in_second_pass);
        let [minute, hour, day, weekday] = &fields;
        let pattern =
            format!("{} {} {} * {}", text(minute), text(hour), text(day), text(weekday));
        let until = from.after(std::time::Duration::from_secs(MINUTES as u64 * 60));
        let planned = times(&plan(cron(&pattern, zone)), from, until);
        prop_assert_eq!(planned, naive(&fields, zone, from));
    }
}

#[test]
fn a_fixed_rate_keeps_its_phase_whenever_it_is_asked() {
    let anchored = || rate(700, Some("2026-03-01T00:00:00.050Z"));
    let all = times(&plan(anchored()), at("2026-02-28T00:00:00Z"), at("2026-03-01T00:01:00Z"));
    assert_eq!(all[0], at("2026-03-01T00:00:00.050Z"));
    assert_eq!(all.len(), 86);
    for millis in 0..2_000 {
        let after = Timestamp::from_millis(all[0].millis() + millis).unwrap();
        let found = plan(anchored()).next(after, bases());
        assert_eq!(found.as_ref(), all.iter().find(|time| **time > after));
    }
    // Without a start it counts from the creation of the schedule, however often it is changed.
    let bases = Bases { changed: at("2026-02-02T02:02:02.222Z"), ..bases() };
    let found = plan(rate(1_000, None)).next(at("2026-03-01T00:00:00.999Z"), bases);
    assert_eq!(found, Some(at("2026-03-01T00:00:01Z")));
    let first = plan(rate(1_000, None)).next(bases.created, bases);
    assert_eq!(first, Some(at("2026-01-01T00:00:01Z")));
}

#[test]
fn a_delay_counts_from_the_end_of_a_run_and_a_date_comes_once() {
    let (ended, delay) =
        (at("2026-03-01T00:00:10Z"), ScheduleTrigger::FixedDelay { delay_ms: 500 });
    let open = plan(delay.clone()).next(ended, bases());
    assert_eq!(open, None, "a run is open");
    let rested = Bases { rested: Some(ended), ..bases() };
    assert_eq!(plan(delay).next(ended, rested), Some(at("2026-03-01T00:00:10.500Z")));

    let once = plan(ScheduleTrigger::Once { at: ended });
    assert_eq!(once.next(at("2026-03-01T00:00:09.999Z"), bases()), Some(ended));
    assert_eq!(once.next(ended, bases()), None);
    let delayed = plan(ScheduleTrigger::Delayed { after_ms: 60_000 });
    let due = at("2026-01-01T00:01:00Z");
    assert_eq!(delayed.next(bases().created, bases()), Some(due));
    assert_eq!(delayed.next(due, bases()), None);
}

#[test]
fn times_lie_between_start_and_end_and_within_a_window() {
    let days = vec![Weekday::Monday, Weekday::Friday];
    let window = |from: &str, to: &str, days: &[Weekday]| DailyWindow {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        days: days.to_vec(),
        zone: "Europe/Berlin".into(),
    };
    let definition = ScheduleDefinition {
        start_at: Some(at("2026-03-06T07:00:00Z")),
        end_at: Some(at("2026-03-09T10:00:00Z")),
        windows: vec![window("08:00", "09:00", &days), window("22:30", "24:00", &days)],
        ..ScheduleDefinition::new([rate(1_800_000, Some("2026-01-01T00:00:00Z"))])
    };
    let found = times(&Plan::new(&definition).unwrap(), Timestamp::MIN, Timestamp::MAX);
    let found: Vec<_> = found.iter().map(|time| time.to_string()[8..16].to_owned()).collect();
    let friday = ["06T07:00", "06T07:30", "06T21:30", "06T22:00", "06T22:30"];
    assert_eq!(found, [&friday[..], &["09T07:00", "09T07:30"]].concat());

    // A delay that ends outside goes on until a window begins.
    let waiting = ScheduleDefinition {
        windows: vec![window("08:00", "09:00", &days)],
        ..ScheduleDefinition::new([ScheduleTrigger::FixedDelay { delay_ms: 600_000 }])
    };
    let ended = at("2026-03-06T07:55:00Z");
    let found = Plan::new(&waiting).unwrap().next(ended, Bases { rested: Some(ended), ..bases() });
    assert_eq!(found, Some(at("2026-03-09T07:00:00Z")));
}

/// The search is bounded: every reader may ask for it.
#[test]
fn a_trigger_that_never_meets_its_window_plans_nothing() {
    for trigger in [cron("0 3 * * *", "UTC"), rate(86_400_000, Some("2026-01-01T03:00:00Z"))] {
        let window = DailyWindow {
            from: "08:00".parse().unwrap(),
            to: "09:00".parse().unwrap(),
            days: Vec::new(),
            zone: "UTC".into(),
        };
        let definition =
            ScheduleDefinition { windows: vec![window], ..ScheduleDefinition::new([trigger]) };
        let begun = std::time::Instant::now();
        let next = Plan::new(&definition).unwrap().next(at("2026-01-01T00:00:00Z"), bases());
        assert_eq!(next, None);
        assert!(begun.elapsed().as_secs() < 30, "it does not search for ages");
    }
}

#[test]
fn a_delay_of_nothing_is_a_time() {
    let plan = plan(ScheduleTrigger::Delayed { after_ms: 0 });
    let changed = bases().changed;
    assert!(plan.next(changed, bases()).is_some_and(|time| time > changed));
}
