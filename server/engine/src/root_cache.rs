use std::collections::HashMap;

use jobtracker_model::JobId;

/// Jobs that are cached; up to twice as many for a while.
const JOBS: usize = 32_768;

/// The trees of jobs that were in recent commits. A job never moves, so a cached tree stays right;
/// the tree of any other job has to be loaded.
#[derive(Debug, Default)]
pub(crate) struct RootCache {
    young: HashMap<JobId, JobId>,
    old: HashMap<JobId, JobId>,
}

impl RootCache {
    pub fn get(&self, id: JobId) -> Option<JobId> {
        self.young.get(&id).or_else(|| self.old.get(&id)).copied()
    }

    pub fn learn(&mut self, id: JobId, root: JobId) {
        if self.young.contains_key(&id) {
            return;
        }
        if self.young.len() >= JOBS {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, root);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let ids = (1..).map_while(JobId::new);
        let mut root_cache = RootCache::default();
        for id in ids.clone().take(10 * JOBS) {
            root_cache.learn(id, JobId::MIN);
            root_cache.learn(JobId::MAX, JobId::MIN);
        }
        assert!(root_cache.young.len() + root_cache.old.len() <= 2 * JOBS);
        assert_eq!(root_cache.get(JobId::MAX), Some(JobId::MIN));
        let known = ids.take(10 * JOBS).filter(|id| root_cache.get(*id).is_some()).count();
        assert!(known >= JOBS, "{known}");
    }
}
