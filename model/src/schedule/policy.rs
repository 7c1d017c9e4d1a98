use serde::{Deserialize, Serialize};

use crate::{FieldError, WorkerFilter, limits};

/// What becomes of a planned time that is late by more than the grace, since no server ran then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Misfire {
    /// Of all late times, the last one fires.
    #[default]
    FireOnce,
    /// None fires.
    Skip,
    /// The last ones fire, up to a number.
    FireAll {
        /// How many; 1 to 100.
        limit: u32,
    },
}

/// The policy that kept a late time from firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum MisfirePolicy {
    /// [`Misfire::FireOnce`]: a later one of the late times fired.
    FireOnce,
    /// [`Misfire::Skip`].
    Skip,
    /// [`Misfire::FireAll`]: it was not among the last ones.
    FireAll,
}

impl Misfire {
    /// How many of the late times fire.
    #[must_use]
    pub fn fires(self) -> usize {
        match self {
            Self::FireOnce => 1,
            Self::Skip => 0,
            Self::FireAll { limit } => limit as usize,
        }
    }

    /// Its name on a firing.
    #[must_use]
    pub fn policy(self) -> MisfirePolicy {
        match self {
            Self::FireOnce => MisfirePolicy::FireOnce,
            Self::Skip => MisfirePolicy::Skip,
            Self::FireAll { .. } => MisfirePolicy::FireAll,
        }
    }

    pub(super) fn check(self) -> Result<(), FieldError> {
        match self {
            Self::FireAll { limit } => at_most("misfire", limit, limits::MISFIRES),
            Self::FireOnce | Self::Skip => Ok(()),
        }
    }
}

/// What becomes of a firing while a run of its schedule is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Concurrency {
    /// It waits; runs are made one after another in the order of the firings.
    Queue {
        /// How many may wait, 1 to 100; a firing past that is skipped.
        #[serde(default = "queue_limit")]
        limit: u32,
    },
    /// It is skipped.
    DiscardNew,
    /// The open run is ended as Faulted with reason `replaced`, firings that wait are skipped, and
    /// the new run is made when the old one has ended.
    ReplaceRunning,
    /// Its run is made, if fewer than this many are open; otherwise it is skipped.
    Allow {
        /// How many may be open; 1 to 100.
        max: u32,
    },
}

impl Default for Concurrency {
    fn default() -> Self {
        Self::Queue { limit: limits::QUEUED_FIRINGS }
    }
}

fn queue_limit() -> u32 {
    limits::QUEUED_FIRINGS
}

impl Concurrency {
    /// How many runs may be open at once.
    #[must_use]
    pub fn open(self) -> usize {
        match self {
            Self::Allow { max } => max as usize,
            Self::Queue { .. } | Self::DiscardNew | Self::ReplaceRunning => 1,
        }
    }

    pub(super) fn check(self) -> Result<(), FieldError> {
        match self {
            Self::Queue { limit } => at_most("concurrency", limit, limits::QUEUED_FIRINGS),
            Self::Allow { max } => at_most("concurrency", max, limits::OPEN_RUNS),
            Self::DiscardNew | Self::ReplaceRunning => Ok(()),
        }
    }
}

/// Where the runs of a schedule are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ConcurrencyScope {
    /// All together.
    #[default]
    Schedule,
    /// On each worker: as many runs may be open as `concurrency` says times the number of workers
    /// that are online and may claim the task, 100 at most, and on one worker as many tasks of the
    /// schedule as it says. Runs without a task are counted all together.
    Worker,
}

impl ConcurrencyScope {
    pub(super) fn is_schedule(&self) -> bool {
        *self == Self::Schedule
    }
}

/// How a run is divided.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Sharding {
    /// The run is the work.
    #[default]
    One,
    /// The run has a child for each shard, and ends with the last of them.
    Fixed {
        /// How many; 1 to 10,000.
        total: u32,
    },
    /// The run has a child for each worker that is online when it starts and may claim the task,
    /// which that worker alone may claim. If there is none, or no task, the run fails.
    All,
    /// Likewise, for the workers that this filter passes too.
    Filter {
        /// Which workers.
        filter: WorkerFilter,
    },
}

impl Sharding {
    /// How many children a run has for its shards, if that does not depend on the workers.
    #[must_use]
    pub fn children(&self) -> u32 {
        match self {
            Self::Fixed { total } => *total,
            Self::One | Self::All | Self::Filter { .. } => 0,
        }
    }

    /// Which workers have a shard each, if shards are for workers.
    #[must_use]
    pub fn workers(&self) -> Option<WorkerFilter> {
        match self {
            Self::All => Some(WorkerFilter::default()),
            Self::Filter { filter } => Some(filter.clone()),
            Self::One | Self::Fixed { .. } => None,
        }
    }

    pub(super) fn check(&self) -> Result<(), FieldError> {
        match self {
            Self::Fixed { total } => at_most("sharding", *total, limits::SHARDS),
            // The shards are those of the workers that there are, whatever they have to do.
            Self::Filter { filter } if filter.per_worker.is_some() => {
                let reason = "may not be given here; use run.task.filter.perWorker";
                Err(FieldError::new("sharding.filter.perWorker", reason))
            }
            Self::Filter { filter } => filter.check().map_err(|error| error.within("sharding")),
            Self::One | Self::All => Ok(()),
        }
    }
}

fn at_most(field: &str, number: u32, most: u32) -> Result<(), FieldError> {
    if (1..=most).contains(&number) {
        return Ok(());
    }
    Err(FieldError::new(field, format!("must have a number from 1 to {most}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PerWorker;

    #[test]
    fn shards_do_not_depend_on_what_workers_have_to_do() {
        let per_worker = |max| PerWorker { key: "k".into(), max };
        let sharding = |per_worker| Sharding::Filter {
            filter: WorkerFilter { per_worker, ..WorkerFilter::default() },
        };
        assert_eq!(sharding(None).check(), Ok(()));
        let error = sharding(Some(per_worker(1))).check().unwrap_err();
        assert_eq!(error.field, "sharding.filter.perWorker");
    }
}
