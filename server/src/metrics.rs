use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_web::http::{Method, StatusCode};
use jobtracker_engine::Engine;
use jobtracker_store::Store;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::{follow_ups::FollowUpMetrics, retention::Deletions, telemetry};

/// The metrics page: requests by route, the metrics of the engine and of the store.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    in_flight: Gauge,
    /// Requests that have ended.
    ended: AtomicU64,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    method: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
    method: &'static str,
}

impl Metrics {
    pub fn new(
        engine: &Engine,
        store: Arc<dyn Store>,
        follow_ups: &FollowUpMetrics,
        deletions: &Deletions,
    ) -> Arc<Self> {
        let mut registry = Registry::default();
        let requests = Family::default();
        let seconds: Family<_, _, fn() -> Histogram> = Family::new_with_constructor(latencies);
        let http = registry.sub_registry_with_prefix("jobtracker_http");
        http.register("requests", "Requests answered", requests.clone());
        let in_flight = Gauge::default();
        let help = "Requests that came in and are not answered yet";
        http.register("requests_in_flight", help, in_flight.clone());
        let help = "Time from the head of a request to its reply";
        http.register_with_unit("request", help, Unit::Seconds, seconds.clone());
        engine.register_metrics(&mut registry);
        follow_ups.register(&mut registry);
        deletions.register_metrics(&mut registry);
        let of_store = registry.sub_registry_with_prefix("jobtracker");
        of_store.register_collector(Box::new(StoreGauges(store)));
        of_store.register_collector(Box::new(LogCounter));
        Arc::new(Self { registry, in_flight, ended: AtomicU64::new(0), requests, seconds })
    }

    /// Counts a request as in flight until the answer is dropped.
    pub fn enter(&self) -> InFlight<'_> {
        self.in_flight.inc();
        InFlight(self)
    }

    /// Requests that are not answered yet.
    pub fn in_flight(&self) -> i64 {
        self.in_flight.get()
    }

    /// Requests that have ended since the start.
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// The page in the OpenMetrics text format.
    pub fn page(&self) -> Result<String, fmt::Error> {
        let mut page = String::with_capacity(16 * 1024);
        text::encode(&mut page, &self.registry)?;
        Ok(page)
    }
}

/// A request that is not answered yet. Its end is counted whether it is answered or cut off.
pub(crate) struct InFlight<'a>(&'a Metrics);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.dec();
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// 0.1 ms to 52 s.
fn latencies() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 2.0, 20))
}

/// The metrics of one route. The metrics of a method are made on first use, so that counting a
/// request takes no lock of a family and no allocation.
#[derive(Debug)]
pub(crate) struct RouteMetrics {
    route: &'static str,
    metrics: Arc<Metrics>,
    methods: [OnceLock<MethodMetrics>; METHODS.len()],
}

#[derive(Debug)]
struct MethodMetrics {
    /// By status class: 2xx, 3xx, 4xx, 5xx.
    requests: [Counter; CLASSES.len()],
    seconds: Histogram,
}

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "DELETE", "other"];
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

impl RouteMetrics {
    pub fn new(route: &'static str, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { route, metrics, methods: Default::default() })
    }

    pub fn count(&self, method: &Method, status: StatusCode, took: Duration) {
        let index = METHODS.iter().position(|known| *known == method.as_str());
        let index = index.unwrap_or(METHODS.len() - 1);
        let of_method = self.methods[index].get_or_init(|| self.of_method(METHODS[index]));
        let class = usize::from(status.as_u16() / 100).saturating_sub(2).min(CLASSES.len() - 1);
        of_method.requests[class].inc();
        of_method.seconds.observe(took.as_secs_f64());
    }

    fn of_method(&self, method: &'static str) -> MethodMetrics {
        let route = self.route;
        let counter = |status| {
            self.metrics.requests.get_or_create_owned(&RequestLabels { route, method, status })
        };
        let seconds = self.metrics.seconds.get_or_create_owned(&RouteLabels { route, method });
        MethodMetrics { requests: CLASSES.map(counter), seconds }
    }
}

/// Reads the store's metrics when the page is requested.
struct StoreGauges(Arc<dyn Store>);

impl fmt::Debug for StoreGauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreGauges")
    }
}

impl Collector for StoreGauges {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for (name, help, value) in self.0.gauges() {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

/// Lines of the log that were never written.
#[derive(Debug)]
struct LogCounter;

impl Collector for LogCounter {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let counter = ConstCounter::new(telemetry::dropped_lines());
        let help = "Lines of the log that were dropped";
        let name = "log_lines_dropped";
        counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
    }
}
