use std::time::Duration;

use jobtracker_model::{Channel, Progress, Timestamp};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// The metrics of deliveries and checks.
#[derive(Debug, Clone)]
pub(crate) struct FollowUpMetrics {
    waiting: Family<PartLabels, Gauge>,
    under_way: Gauge,
    tries: Family<TryLabels, Counter>,
    unnoted: Counter,
    checks: Counter,
    late: Family<LateLabels, Histogram, fn() -> Histogram>,
}

const CHANNELS: [&str; 2] = ["http", "email"];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TryLabels {
    channel: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LateLabels {
    what: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartLabels {
    part: u32,
}

/// A delivery or check under way, until it is dropped.
pub(crate) struct UnderWay(Gauge);

impl Default for FollowUpMetrics {
    fn default() -> Self {
        Self {
            waiting: Family::default(),
            under_way: Gauge::default(),
            tries: Family::default(),
            unnoted: Counter::default(),
            checks: Counter::default(),
            late: Family::new_with_constructor(lateness),
        }
    }
}

impl FollowUpMetrics {
    /// Adds the metrics to a registry.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("jobtracker_follow_ups");
        let help = "Due and not done, by the part of the list that this server reads";
        registry.register("waiting", help, self.waiting.clone());
        let help = "Deliveries and checks that are being done";
        registry.register("under_way", help, self.under_way.clone());
        let help = "Tries to deliver by what came of them; those that wait will be tried again";
        registry.register("tries", help, self.tries.clone());
        let help = "Tries of which it cannot be noted what came of them";
        registry.register("unnoted", help, self.unnoted.clone());
        registry.register("checks", "Checks that were made", self.checks.clone());
        let help = "From the time at which something was due to when it began";
        registry.register_with_unit("late", help, Unit::Seconds, self.late.clone());
    }

    pub fn enter(&self) -> UnderWay {
        self.under_way.inc();
        UnderWay(self.under_way.clone())
    }

    /// How many follow-ups are due and not done in the parts that this server reads, as it last
    /// read them, and how many are being done.
    pub fn load(&self, parts: u32) -> (u64, u64) {
        let waiting = |part| self.waiting.get(&PartLabels { part }).map_or(0, |it| it.get());
        let waiting: i64 = (0..parts).map(waiting).sum();
        let number = |number| u64::try_from(number).unwrap_or(0);
        (number(waiting), number(self.under_way.get()))
    }

    /// Deliveries since the start of this server that have arrived, and that have failed for good.
    pub fn ended(&self) -> (u64, u64) {
        let count = |outcome| {
            let of = |channel| self.tries.get(&TryLabels { channel, outcome });
            CHANNELS.into_iter().filter_map(of).map(|tries| tries.get()).sum()
        };
        (count("delivered"), count("failed"))
    }

    /// This many entries of a part are due and not done.
    pub fn waiting(&self, part: u32, count: usize) {
        self.waiting.get_or_create(&PartLabels { part }).set(count as i64);
    }

    pub fn tried(&self, channel: Channel, progress: Progress) {
        let channel = match channel {
            Channel::Http => CHANNELS[0],
            Channel::Email => CHANNELS[1],
        };
        let outcome = match progress {
            Progress::Delivered(_) => "delivered",
            Progress::Failed(_) => "failed",
            Progress::Waiting(_) | Progress::Cancelled(_) => "waits",
        };
        self.tries.get_or_create(&TryLabels { channel, outcome }).inc();
    }

    pub fn not_noted(&self) {
        self.unnoted.inc();
    }

    pub fn checked(&self) {
        self.checks.inc();
    }

    pub fn began(&self, what: &'static str, due: Timestamp, now: Timestamp) {
        let millis = u64::try_from(now.millis() - due.millis()).unwrap_or(0);
        let late = Duration::from_millis(millis).as_secs_f64();
        self.late.get_or_create(&LateLabels { what }).observe(late);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// 1 ms to 9 hours.
fn lateness() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 25))
}
