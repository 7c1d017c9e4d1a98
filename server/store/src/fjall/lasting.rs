use std::sync::Arc;

use parking_lot::Mutex;

use super::{
    gauges::{self, Gauge, Meters},
    health::Health,
    hot_cache::HotCache,
    readers::Readers,
    stages::Stages,
    tables::Tables,
};

/// The parts that stay while the engine is closed and opened again.
pub struct Lasting {
    pub cache: Arc<HotCache>,
    pub stages: Arc<Stages>,
    pub meters: Arc<Meters>,
    pub readers: Readers,
    pub health: Health,
    /// The open engine, for readers of its counters.
    pub counted: Mutex<Option<Arc<Tables>>>,
}

impl Lasting {
    /// All the numbers; empty while the engine is closed.
    pub fn gauges(&self) -> Vec<Gauge> {
        // Under the lock, so that the engine is not held when it is to be closed.
        let tables = self.counted.lock();
        let read = |tables: &Arc<Tables>| {
            let waiting = self.readers.waiting();
            gauges::read(&self.meters, &self.cache, &self.stages, tables, waiting)
        };
        tables.as_ref().map(read).unwrap_or_default()
    }
}
