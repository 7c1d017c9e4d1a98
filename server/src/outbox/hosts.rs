use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

/// How many tries go to one host at once. A receiver that is slow fills its own places and
/// nobody else's.
///
/// It holds hosts to which something is under way, and no others.
#[derive(Debug)]
pub struct Hosts {
    places: usize,
    taken: Mutex<HashMap<String, usize>>,
}

/// A place at a host, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    hosts: Arc<Hosts>,
    host: String,
}

impl Hosts {
    /// So many places at each host.
    #[must_use]
    pub fn new(places: usize) -> Arc<Self> {
        Arc::new(Self { places, taken: Mutex::default() })
    }

    /// Takes a place if there is one now.
    #[must_use]
    pub fn try_enter(self: &Arc<Self>, host: &str) -> Option<Turn> {
        let mut taken = self.taken.lock();
        let of_host = taken.get(host).copied().unwrap_or(0);
        if of_host >= self.places {
            return None;
        }
        taken.insert(host.to_owned(), of_host + 1);
        Some(Turn { hosts: Arc::clone(self), host: host.to_owned() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut taken = self.hosts.taken.lock();
        match taken.get_mut(&self.host) {
            Some(others) if *others > 1 => *others -= 1,
            _ => drop(taken.remove(&self.host)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_host_is_nobody_elses_matter() {
        let hosts = Hosts::new(2);
        let first = hosts.try_enter("a").unwrap();
        let second = hosts.try_enter("a").unwrap();
        assert!(hosts.try_enter("a").is_none());
        let other = hosts.try_enter("b").unwrap();
        assert_eq!(hosts.taken.lock().len(), 2);
        drop((first, other));
        assert_eq!(hosts.taken.lock().len(), 1);
        let third = hosts.try_enter("a").unwrap();
        assert!(hosts.try_enter("a").is_none());
        drop((second, third));
        assert!(hosts.taken.lock().is_empty());
    }
}
