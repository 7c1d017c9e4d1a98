//! Descriptors: how many files and sockets the process may have open, and who gets them.
//!
//! A connection that is not accepted waits; a table file that cannot be opened ends writing for a
//! while. So connections get what everything else leaves.

use jobtracker_server::Config;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the process has open by itself: standard streams, what listens, what wakes its threads, and
/// what a request opens for a moment.
const PROCESS: usize = 24;
const PER_WORKER: usize = 4;
/// No worker has fewer connections, however few descriptors there are.
const CONNECTIONS: usize = 2;
/// So few connections are worth a warning in any case.
const FEW_CONNECTIONS: usize = 1000;
/// The part of all descriptors that deliveries may need, so that on a small limit they do not take
/// what connections need. A delivery without one is tried again later.
const PART_OF_DELIVERIES: usize = 16;
/// The part that files may take that the store keeps open to read them sooner.
const PART_OF_CACHED_FILES: usize = 8;

/// Raises the limit as far as this process may.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where that is refused, the process lives with what it has.
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).ok();
}

fn limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// How many files the store may keep open to read them sooner, if it wants so many.
pub fn cached_files(wanted: usize) -> usize {
    wanted.min(limit() / PART_OF_CACHED_FILES)
}

/// Leaves the store its descriptors: fewer connections are accepted than are configured if there
/// would not be enough.
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
    // The default is as many as a worker can bear, and not a wish.
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
