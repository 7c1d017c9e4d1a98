use std::{
    net::{IpAddr, Ipv6Addr},
    sync::atomic::{AtomicI64, Ordering::Relaxed},
};

use jobtracker_model::Timestamp;
use parking_lot::Mutex;
use quick_cache::unsync::Cache;

/// How long failed tries count together, from the first of them on.
const WINDOW_MS: i64 = 60_000;
/// Addresses whose failed tries are remembered; more displace those that were not seen lately.
const ADDRESSES: usize = 10_000;

/// Counts failed tries by address.
pub(super) struct FailedTries {
    limit: u32,
    /// When the last address that has to wait may try again, in milliseconds. Nearly always that is
    /// in the past, and no request takes the lock.
    waits_end: AtomicI64,
    recent: Mutex<Cache<IpAddr, Failures>>,
}

#[derive(Clone, Copy)]
struct Failures {
    since: Timestamp,
    count: u32,
}

impl FailedTries {
    /// `limit`: failed tries of an address in a minute that are answered as such.
    pub fn new(limit: u32) -> Self {
        Self {
            limit,
            waits_end: AtomicI64::new(i64::MIN),
            recent: Mutex::new(Cache::new(ADDRESSES)),
        }
    }

    /// How long an address has to wait that has had all its tries, in milliseconds.
    pub fn wait_ms(&self, from: IpAddr, now: Timestamp) -> Option<u64> {
        if now.millis() >= self.waits_end.load(Relaxed) {
            return None;
        }
        let failures = self.recent.lock().get(&network(from)).copied()?;
        let over = now.millis() - failures.since.millis();
        let left = WINDOW_MS - over;
        // A clock that was set back ends a wait.
        let is_now = (1..=WINDOW_MS).contains(&left);
        (is_now && failures.count >= self.limit).then_some(left as u64)
    }

    /// Counts a failed try, unless the address has had all its tries; then this says how long it
    /// has to wait.
    pub fn fail(&self, from: IpAddr, now: Timestamp) -> Result<(), u64> {
        if let Some(wait) = self.wait_ms(from, now) {
            return Err(wait);
        }
        let from = network(from);
        let mut recent = self.recent.lock();
        let before = recent.get(&from).copied();
        let is_now = |failures: &Failures| {
            (0..WINDOW_MS).contains(&(now.millis() - failures.since.millis()))
        };
        let mut failures = before.filter(is_now).unwrap_or(Failures { since: now, count: 0 });
        failures.count += 1;
        recent.insert(from, failures);
        if failures.count == self.limit {
            let (tries, end) = (self.limit, failures.since.millis() + WINDOW_MS);
            self.waits_end.fetch_max(end, Relaxed);
            tracing::warn!(%from, tries, "wrong tokens; the address has to wait");
        }
        Ok(())
    }
}

/// What stands for an address: of IPv6 the network, because one client has all addresses of it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_waits_after_its_tries_and_no_other_does() {
        let tries = FailedTries::new(3);
        let at = |millis: i64| Timestamp::from_millis(1_000_000 + millis).unwrap();
        let [one, other, same] =
            ["2001:db8::1", "192.0.2.7", "2001:db8::2:3"].map(|ip| ip.parse().unwrap());
        for millis in [0, 100, 59_000] {
            assert_eq!(tries.wait_ms(one, at(millis)), None);
            assert_eq!(tries.fail(one, at(millis)), Ok(()));
        }
        for address in [one, same] {
            assert_eq!(tries.wait_ms(address, at(59_001)), Some(999));
            assert_eq!(tries.fail(address, at(59_001)), Err(999));
        }
        assert_eq!(tries.fail(other, at(59_001)), Ok(()));
        assert_eq!(tries.wait_ms(other, at(59_001)), None);
        assert_eq!(tries.wait_ms(one, at(60_000)), None);
        // A new minute begins, and a clock that was set back is no trap.
        assert_eq!(tries.fail(one, at(60_000)), Ok(()));
        assert_eq!(tries.fail(one, at(-500_000)), Ok(()));
        assert_eq!(tries.wait_ms(one, at(-500_000)), None);
    }

    #[test]
    fn the_memory_for_addresses_has_a_bound() {
        let tries = FailedTries::new(1);
        for number in 0..3 * ADDRESSES as u32 {
            let _ = tries.fail(IpAddr::V4(number.into()), Timestamp::MIN);
        }
        assert!(tries.recent.lock().len() <= ADDRESSES);
    }
}
