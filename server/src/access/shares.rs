use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::Principal;

/// Places that callers share so that none of them has all.
pub(crate) struct Shares {
    each: usize,
    all: usize,
    taken: Mutex<HashMap<String, usize>>,
}

/// A place; dropping it gives it back.
pub(crate) struct Share {
    shares: Arc<Shares>,
    name: String,
}

/// Why there is no place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// The caller has this many, and may not have more.
    ForCaller(usize),
    /// All are taken.
    AtAll,
}

impl Shares {
    /// This many places, of which a caller with a name has `each` at most.
    pub fn new(all: usize, each: usize) -> Arc<Self> {
        Arc::new(Self { each, all, taken: Mutex::default() })
    }

    /// A place for a caller. Many people may have the token of the configuration, or need none:
    /// they have all places together.
    pub fn take(self: &Arc<Self>, caller: &Principal) -> Result<Share, NoPlace> {
        let mut taken = self.taken.lock();
        let own = taken.get(caller.name()).copied().unwrap_or(0);
        if matches!(caller, Principal::Named(_)) && own >= self.each {
            return Err(NoPlace::ForCaller(self.each));
        }
        if taken.values().sum::<usize>() >= self.all {
            return Err(NoPlace::AtAll);
        }
        let name = caller.name().to_owned();
        taken.insert(name.clone(), own + 1);
        Ok(Share { shares: Arc::clone(self), name })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.shares.taken.lock();
        if let Some(own) = taken.get_mut(&self.name) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jobtracker_model::Role;

    use super::{super::Admitted, *};

    #[test]
    fn no_caller_has_all_places() {
        let shares = Shares::new(5, 2);
        let [anna, ben] = ["anna", "ben"].map(|name| Admitted::by_proxy(name, Role::Reader));
        let mut held: Vec<_> = (0..2).map(|_| shares.take(&anna.principal).ok()).collect();
        assert_eq!(shares.take(&anna.principal).err(), Some(NoPlace::ForCaller(2)));
        held.extend((0..3).map(|_| shares.take(&Principal::Configuration).ok()));
        assert!(held.iter().all(Option::is_some));
        assert_eq!(shares.take(&ben.principal).err(), Some(NoPlace::AtAll));
        held.remove(0);
        assert!(shares.take(&anna.principal).is_ok(), "and is given back at once");
        assert!(shares.take(&ben.principal).is_ok());
        held.clear();
        assert!(shares.taken.lock().is_empty());
    }
}
