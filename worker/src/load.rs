//! How busy the machine is, from what Linux tells, nothing elsewhere; and how long the service
//! takes to answer.

use std::{fs, time::Duration};

use jobtracker_client::WorkerLoad;

/// Ticks of all processors since the start of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ticks {
    busy: u64,
    all: u64,
}

/// Measures between two signs of life.
#[derive(Debug, Default)]
pub(crate) struct LoadMeter {
    ticks: Option<Ticks>,
    round_trip_ms: Option<f64>,
}

impl LoadMeter {
    /// Notes how long a request that waits for nothing took. The mean forgets half with each: a
    /// request that had to be repeated counts for some minutes only.
    pub fn note_round_trip(&mut self, took: Duration) {
        let millis = took.as_micros() as f64 / 1_000.0;
        self.round_trip_ms = Some(self.round_trip_ms.map_or(millis, |mean| (mean + millis) / 2.0));
    }

    /// The load since the last call.
    pub fn read(&mut self) -> WorkerLoad {
        let now = fs::read_to_string("/proc/stat").ok().and_then(|stat| ticks(&stat));
        let cpu = self.ticks.zip(now).and_then(|(then, now)| share(then, now));
        self.ticks = now;
        let processors = std::thread::available_parallelism().ok();
        let processors = processors.and_then(|count| u32::try_from(count.get()).ok());
        let (free_memory, round_trip_ms) = (free_memory(), self.round_trip_ms);
        WorkerLoad { cpu, free_memory, processors, round_trip_ms }
    }
}

fn share(then: Ticks, now: Ticks) -> Option<f64> {
    let all = now.all.checked_sub(then.all).filter(|all| *all > 0)?;
    Some((now.busy.saturating_sub(then.busy) as f64 / all as f64).min(1.0))
}

/// The first line: user, nice, system, idle, iowait, irq, softirq, steal, and guests, which are
/// counted as users already.
fn ticks(stat: &str) -> Option<Ticks> {
    let numbers = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
    let numbers: Vec<u64> = numbers.map(str::parse).collect::<Result<_, _>>().ok()?;
    let all = numbers.iter().sum();
    let idle = numbers.get(3)? + numbers.get(4)?;
    Some(Ticks { busy: all - idle, all })
}

/// What the machine has left, or the container if that is less.
fn free_memory() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|info| available(&info));
    let number = |file: &str| -> Option<u64> {
        fs::read_to_string(format!("/sys/fs/cgroup/{file}")).ok()?.trim().parse().ok()
    };
    let container = number("memory.max").zip(number("memory.current"));
    let container = container.map(|(most, used)| most.saturating_sub(used));
    machine.into_iter().chain(container).min()
}

fn available(info: &str) -> Option<u64> {
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_are_smoothed() {
        let mut meter = LoadMeter::default();
        assert_eq!(meter.read().round_trip_ms, None);
        for (millis, mean) in [(8, 8.0), (2, 5.0), (1_005, 505.0), (5, 255.0)] {
            meter.note_round_trip(Duration::from_millis(millis));
            assert_eq!(meter.read().round_trip_ms, Some(mean));
        }
    }

    #[test]
    fn the_numbers_of_linux_are_read() {
        let [then, now] =
            ["cpu  10 0 10 70 10 0 0 0 5 0\ncpu0 1", "cpu  40 0 20 100 10 0 0 30 9 0"]
                .map(|stat| ticks(stat).expect("it has all numbers"));
        assert_eq!(then, Ticks { busy: 20, all: 100 });
        assert_eq!(share(then, now), Some(0.7));
        assert_eq!(share(now, now), None);
        assert_eq!(ticks("intr 1"), None);
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:   3 kB\n"), Some(3072));
    }
}
