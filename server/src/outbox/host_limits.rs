use std::{collections::HashMap, sync::Arc};

use jobtracker_model::Host;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many deliveries wait for one host: enough that a fast receiver has no pause until the index
/// is read again.
const QUEUE: usize = 1_000;
/// From this many deliveries for all hosts on, no more wait for a host than may be sent to it at
/// once: then the number of hosts bounds the memory.
const CROWDED: usize = 20_000;

/// Limits the tries that go to one host at once. A slow receiver fills its own limit and its own
/// queue, and no other.
///
/// It holds only hosts that have deliveries.
#[derive(Debug)]
pub struct HostLimits {
    places: usize,
    /// Permits for the tries to all hosts together.
    room: Semaphore,
    hosts: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    hosts: HashMap<Host, OfHost>,
    /// Deliveries of all hosts.
    deliveries: usize,
}

/// The state of one host.
#[derive(Debug)]
struct OfHost {
    /// Deliveries that are queued for it or being sent to it.
    deliveries: usize,
    places: Arc<Semaphore>,
}

/// A delivery in the queue of a host, until it is dropped.
#[derive(Debug)]
pub struct Queued {
    hosts: Arc<HostLimits>,
    host: Host,
    places: Arc<Semaphore>,
}

/// Permission to send, until it is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    _place: Option<SemaphorePermit<'a>>,
    _room: Option<SemaphorePermit<'a>>,
}

impl HostLimits {
    /// Permits per host, and permits in all.
    #[must_use]
    pub fn new(places: usize, altogether: usize) -> Arc<Self> {
        let room = Semaphore::new(altogether);
        Arc::new(Self { places, room, hosts: Mutex::default() })
    }

    /// Enters the queue of a host; `None` if the queue is full.
    #[must_use]
    pub fn enqueue(self: &Arc<Self>, host: Host) -> Option<Queued> {
        let Taken { hosts, deliveries } = &mut *self.hosts.lock();
        let queue = if *deliveries < CROWDED { QUEUE } else { self.places };
        let places = || Arc::new(Semaphore::new(self.places));
        let of_host =
            hosts.entry(host).or_insert_with(|| OfHost { deliveries: 0, places: places() });
        if of_host.deliveries >= self.places + queue {
            return None;
        }
        *deliveries += 1;
        of_host.deliveries += 1;
        let places = Arc::clone(&of_host.places);
        Some(Queued { hosts: Arc::clone(self), host, places })
    }
}

impl Queued {
    /// Waits for a permit of the host, and then for one of all hosts together: a delivery that
    /// waits for its host takes no permit from other hosts. First come, first served.
    pub async fn turn(&self) -> Turn<'_> {
        // Neither semaphore is ever closed.
        let place = self.places.acquire().await.ok();
        Turn { _place: place, _room: self.hosts.room.acquire().await.ok() }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        let Taken { hosts, deliveries } = &mut *self.hosts.hosts.lock();
        *deliveries -= 1;
        match hosts.get_mut(&self.host) {
            Some(of_host) if of_host.deliveries > 1 => of_host.deliveries -= 1,
            _ => drop(hosts.remove(&self.host)),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use jobtracker_model::{HttpAction, Target, Ways};

    use super::*;

    fn to_host(url: &str) -> Host {
        Ways::from(&Target::from(HttpAction::new(url))).each().next().unwrap().host
    }

    #[test]
    fn a_full_host_holds_up_no_other() {
        let (a, b) = (to_host("http://a"), to_host("http://b"));
        let hosts = HostLimits::new(2, 100);
        let queued: Vec<_> = (0..2 + QUEUE).map(|_| hosts.enqueue(a).unwrap()).collect();
        assert!(hosts.enqueue(a).is_none());
        let turns: Vec<_> = queued.iter().filter_map(|one| one.turn().now_or_never()).collect();
        assert_eq!(turns.len(), 2);
        let other = hosts.enqueue(b).unwrap();
        assert!(other.turn().now_or_never().is_some());
        drop(turns);
        assert!(queued[2].turn().now_or_never().is_some());
        drop((queued, other));
        let taken = hosts.hosts.lock();
        assert!(taken.hosts.is_empty() && taken.deliveries == 0);
    }

    #[test]
    fn all_of_them_share_the_room() {
        let hosts = HostLimits::new(2, 1);
        let (a, b) = (hosts.enqueue(to_host("http://a")), hosts.enqueue(to_host("http://b")));
        let (a, b) = (a.unwrap(), b.unwrap());
        let turn = a.turn().now_or_never();
        assert!(turn.is_some() && b.turn().now_or_never().is_none());
        drop(turn);
        assert!(b.turn().now_or_never().is_some());
    }

    #[test]
    fn queues_are_short_when_there_are_many() {
        let hosts = HostLimits::new(2, 100);
        let mut held = Vec::new();
        for host in 0..CROWDED / (QUEUE + 2) + 1 {
            let host = to_host(&format!("http://host-{host}"));
            held.extend(std::iter::from_fn(|| hosts.enqueue(host)));
        }
        assert!(held.len() >= CROWDED);
        let late = to_host("http://late");
        let late: Vec<_> = std::iter::from_fn(|| hosts.enqueue(late)).collect();
        assert_eq!(late.len(), 4);
    }
}
