//! The clock of a real service is set forward and back.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use jobtracker_client::schedule::Firing;

use super::*;
use crate::process::{ANY_PORT, BINARY, Process, embedded};

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

/// The clock of a process: what it adds to the time, in seconds. Times that only pass (timers) are
/// as they are.
struct Clock(PathBuf);

impl Clock {
    fn new(directory: &Path) -> Self {
        let clock = Self(directory.join("clock"));
        clock.set(0);
        clock
    }

    fn set(&self, seconds: i64) {
        let next = self.0.with_extension("next");
        fs::write(&next, format!("{seconds:+}\n")).unwrap();
        // At no instant it is half written.
        fs::rename(&next, &self.0).unwrap();
    }

    /// The service with this clock.
    fn command(&self) -> Command {
        let mut asks = Command::new("faketime");
        asks.args(["-m", "-f", "+0s", "printenv", "LD_PRELOAD"]);
        let library = asks.output().expect("dev/setup installs faketime").stdout;
        let mut command = Command::new(BINARY);
        command
            .env("LD_PRELOAD", String::from_utf8(library).unwrap().trim())
            .env("FAKETIME_TIMESTAMP_FILE", &self.0)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command
    }
}

fn each_second() -> ScheduleDefinition {
    let cron = ScheduleTrigger::Cron { pattern: "* * * * * *".into(), zone: "UTC".into() };
    // Its one run stays open, and each later firing says that it was skipped.
    let concurrency = Concurrency::DiscardNew;
    ScheduleDefinition { concurrency, ..ScheduleDefinition::new([cron]) }
}

/// All firings of a schedule that were seen, by number.
struct Seen {
    name: &'static str,
    firings: BTreeMap<u64, Firing>,
}

impl Seen {
    async fn begin(client: &JobTrackerClient, name: &'static str) -> Self {
        client.create_schedule(&NewSchedule::new(name, each_second())).await.unwrap();
        Self { name, firings: BTreeMap::new() }
    }

    async fn look(&mut self, client: &JobTrackerClient) {
        for firing in client.firings(self.name).await.unwrap() {
            let known = self.firings.entry(firing.number).or_insert_with(|| firing.clone());
            assert_eq!(known.planned, firing.planned, "what was decided stays");
        }
    }

    /// Looks until there are `more` firings of times behind this one.
    async fn until(&mut self, client: &JobTrackerClient, time: Timestamp, more: usize) {
        let looking = async {
            while self.firings.values().filter(|firing| firing.planned > time).count() < more {
                self.look(client).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), looking).await.expect("it comes to that");
    }

    fn last(&self) -> Timestamp {
        let (_, firing) = self.firings.last_key_value().unwrap();
        firing.until.unwrap_or(firing.planned)
    }

    /// Each second has one firing, and no number is missing: answers how many misfired.
    fn check(&self) -> u32 {
        let (mut number, first) = (1, self.firings[&1].planned.millis());
        for firing in self.firings.values() {
            assert_eq!(firing.number, number, "one is missing");
            let planned = first + i64::try_from(number - 1).unwrap() * 1_000;
            assert_eq!(firing.planned.millis(), planned, "a second is missing or doubled");
            number += u64::from(firing.count);
        }
        let misfired = |firing: &&Firing| matches!(firing.outcome, FiringOutcome::Misfired { .. });
        self.firings.values().filter(misfired).map(|firing| firing.count).sum()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_second_fires_once_while_the_clock_of_the_service_is_set() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::new(directory.path());
    let data = directory.path().join("data");
    let service = Process::spawn(clock.command(), ANY_PORT, &embedded(&data));
    let client = service.client();
    let mut seen = Seen::begin(&client, "before").await;
    seen.until(&client, Timestamp::MIN, 3).await;
    let begin = seen.last();

    clock.set(DAY);
    let tomorrow = begin.after(Duration::from_secs(DAY as u64));
    seen.until(&client, tomorrow, 3).await;
    let misfired = i64::from(seen.check());
    assert!((DAY - 10..=DAY).contains(&misfired), "{misfired} have come too late");
    let runs = client.schedule(seen.name).await.unwrap().statistics.runs;
    assert_eq!(runs, 1, "late ones do not all fire");

    clock.set(DAY - HOUR);
    let last = seen.last();
    let mut new = Seen::begin(&client, "new").await;
    new.until(&client, Timestamp::MIN, 3).await;
    seen.look(&client).await;
    // What was on its way when the clock was set.
    assert!(seen.last().millis() - last.millis() <= 1_000, "nothing is decided again");

    clock.set(DAY);
    let (before, later) = (seen.last(), new.last());
    seen.until(&client, before, 3).await;
    new.until(&client, later.after(Duration::from_secs(HOUR as u64)), 1).await;
    let misfired = i64::from(seen.check()) - misfired;
    assert!(misfired <= 10, "{misfired} have come too late in the hour that was already over");
    new.check();
    service.kill();
}
