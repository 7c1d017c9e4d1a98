//! Descriptors: how many files and sockets the process may have open, and what they are used for.
//!
//! A connection that is not accepted waits; a table file that cannot be opened stops the writer for
//! a while. So connections get the descriptors that are left.

use jobtracker_server::Config;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors of the process itself: standard streams, listeners, wakers of its threads, and files
/// that a request opens for a short time.
const PROCESS: usize = 24;
const PER_WORKER: usize = 4;
/// The fewest connections of a worker, for any number of descriptors.
const CONNECTIONS: usize = 2;
/// Fewer connections than this are worth a warning in any case.
const FEW_CONNECTIONS: usize = 1000;
/// The part of all descriptors that deliveries may use, so that on a small limit they leave some
/// for connections. A delivery without a descriptor is tried again later.
const PART_OF_DELIVERIES: usize = 16;
/// The part that files may use which the store keeps open for faster reads.
const PART_OF_CACHED_FILES: usize = 8;

/// Raises the limit to the maximum of this process.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    // If that is refused, the process keeps its limit.
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).ok();
}

fn limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// How many files the store may keep open for faster reads, up to `wanted`.
pub fn cached_files(wanted: usize) -> usize {
    wanted.min(limit() / PART_OF_CACHED_FILES)
}

/// Reserves the store's descriptors: fewer connections are accepted than configured if the limit is
/// too low.
pub fn keep_for_store(config: Config, store: usize) -> Config {
    keep(config, limit(), store)
}

fn keep(mut config: Config, limit: usize, store: usize) -> Config {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let workers = match config.server.workers {
        0 => cores(),
        workers => workers,
    };
    let per_worker = connections_per_worker(workers, limit, store, config.callbacks.at_once);
    let wanted = config.server.connections_per_worker;
    if per_worker >= wanted {
        return config;
    }
    // The default is the most that a worker can take, and not a request of the operator.
    let is_wish = wanted != Config::defaults().server.connections_per_worker;
    if is_wish || per_worker * workers < FEW_CONNECTIONS {
        tracing::warn!(
            descriptors = limit,
            for_the_store = store,
            connections = per_worker * workers,
            configured = wanted * workers,
            "fewer connections are accepted than are configured, since this process may not have \
             more descriptors; raise its limit (ulimit -n, LimitNOFILE)"
        );
    }
    config.server.connections_per_worker = per_worker;
    config
}

fn connections_per_worker(workers: usize, limit: usize, store: usize, deliveries: usize) -> usize {
    let deliveries = deliveries.min(limit / PART_OF_DELIVERIES);
    let others = PROCESS + PER_WORKER * workers + store + deliveries;
    (limit.saturating_sub(others) / workers).max(CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_get_what_is_left() {
        assert_eq!(connections_per_worker(2, 1024, 300, 512), (1024 - 24 - 8 - 300 - 64) / 2);
        assert_eq!(connections_per_worker(2, 64, 40, 512), CONNECTIONS);
        assert_eq!(connections_per_worker(4, 100_000, 300, 512), (100_000 - 24 - 16 - 812) / 4);
        assert_eq!(keep(Config::defaults(), 1 << 24, 300), Config::defaults());
        assert!(keep(Config::defaults(), 1024, 300).server.connections_per_worker < 512);
    }

    #[test]
    fn the_limit_is_as_high_as_it_may_be() {
        raise_limit();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
