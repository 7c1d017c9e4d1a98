use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many tries go to one host at once. A receiver that is slow fills its own places and
/// nobody else's.
///
/// It holds hosts to which something is under way, or waits, and no others.
#[derive(Debug)]
pub struct Hosts {
    places: usize,
    waiting: usize,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A place at a host, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    hosts: Arc<Hosts>,
    host: String,
    /// Taken out before the host is looked at again.
    permit: Option<OwnedSemaphorePermit>,
}

/// Somebody who waits for a place. Whoever is the last to go takes the host away.
struct Waiting<'a> {
    hosts: &'a Hosts,
    host: &'a str,
}

impl Hosts {
    /// So many places at each host, and so many that may wait for one.
    ///
    /// # Panics
    /// There are no places.
    #[must_use]
    pub fn new(places: usize, waiting: usize) -> Arc<Self> {
        assert!(places > 0, "without a place nobody is ever served");
        Arc::new(Self { places, waiting, hosts: Mutex::default() })
    }

    /// Takes a place if there is one now.
    #[must_use]
    pub fn try_enter(self: &Arc<Self>, host: &str) -> Option<Turn> {
        let mut hosts = self.hosts.lock();
        let semaphore = self.of(&mut hosts, host);
        let permit = Arc::clone(semaphore).try_acquire_owned().ok()?;
        Some(self.turn(host, permit))
    }

    /// Waits for a place, after those who came before. None: too many wait already, and this one
    /// should come back later.
    pub async fn enter(self: &Arc<Self>, host: &str) -> Option<Turn> {
        let semaphore = {
            let mut hosts = self.hosts.lock();
            let semaphore = Arc::clone(self.of(&mut hosts, host));
            // The table has one, this call has one, and so has each permit and each that waits.
            if Arc::strong_count(&semaphore) - 2 >= self.places + self.waiting {
                return None;
            }
            semaphore
        };
        let _waiting = Waiting { hosts: self, host };
        let permit = semaphore.acquire_owned().await.ok()?;
        Some(self.turn(host, permit))
    }

    /// How many hosts something is under way to, or waits for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hosts.lock().len()
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn of<'a>(
        &self,
        hosts: &'a mut HashMap<String, Arc<Semaphore>>,
        host: &str,
    ) -> &'a mut Arc<Semaphore> {
        hosts.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.places)))
    }

    fn turn(self: &Arc<Self>, host: &str, permit: OwnedSemaphorePermit) -> Turn {
        Turn { hosts: Arc::clone(self), host: host.to_owned(), permit: Some(permit) }
    }

    /// Gives back what somebody held of a host, and forgets the host when that was the last.
    fn leave<T>(&self, host: &str, held: T) {
        let mut hosts = self.hosts.lock();
        // Under the lock: nobody can come in between.
        drop(held);
        if hosts.get(host).is_some_and(|semaphore| Arc::strong_count(semaphore) == 1) {
            hosts.remove(host);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.hosts.leave(&self.host, self.permit.take());
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.hosts.leave(self.host, ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_host_is_nobody_elses_matter() {
        let hosts = Hosts::new(2, 1);
        let first = hosts.try_enter("a").unwrap();
        let second = hosts.enter("a").await.unwrap();
        assert!(hosts.try_enter("a").is_none());
        let other = hosts.try_enter("b").unwrap();
        assert_eq!(hosts.len(), 2);
        drop((first, other));
        assert_eq!(hosts.len(), 1);
        let third = hosts.try_enter("a").unwrap();
        drop((second, third));
        assert!(hosts.is_empty());
    }

    #[tokio::test]
    async fn those_who_wait_are_served_in_turn_and_are_not_too_many() {
        let hosts = Hosts::new(1, 2);
        let turn = hosts.try_enter("a").unwrap();
        let wait = || {
            let hosts = Arc::clone(&hosts);
            tokio::spawn(async move { hosts.enter("a").await })
        };
        let (second, third) = (wait(), wait());
        tokio::task::yield_now().await;
        assert!(hosts.enter("a").await.is_none());
        drop(turn);
        let second = second.await.unwrap().unwrap();
        assert!(hosts.try_enter("a").is_none());
        // Whoever gives up leaves no trace.
        third.abort();
        assert!(third.await.unwrap_err().is_cancelled());
        drop(second);
        assert!(hosts.is_empty());
    }

    #[tokio::test]
    async fn places_are_never_more_than_there_are() {
        let hosts = Hosts::new(3, 100);
        let now = Arc::new(Mutex::new((0_usize, 0_usize)));
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let (hosts, now) = (Arc::clone(&hosts), Arc::clone(&now));
                tokio::spawn(async move {
                    let _turn = hosts.enter("a").await.unwrap();
                    {
                        let mut now = now.lock();
                        now.0 += 1;
                        now.1 = now.1.max(now.0);
                    }
                    tokio::task::yield_now().await;
                    now.lock().0 -= 1;
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*now.lock(), (0, 3));
        assert!(hosts.is_empty());
    }
}
