use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{Category, Children, JobId, State, Subtree, live::JobSummary};

/// A part of a tree that stands for the whole, at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Shape {
    /// The job at the top, then level by level the children that tell most: failed ones, then
    /// unfinished ones, then the others, each by id.
    pub items: Vec<ShapeJob>,
}

/// A job of a shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ShapeJob {
    /// The job.
    pub job: JobSummary,
    /// What is below the job and not in the shape; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<Rest>,
}

/// Jobs that a shape does not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rest {
    /// Children of the job that are not in the shape.
    pub children: Children,
    /// These children and all jobs below them.
    pub subtree: Subtree,
}

/// A job and children of it that stand for all, at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Timeline {
    /// The job.
    pub job: JobSummary,
    /// Children of it, by id.
    pub items: Vec<JobSummary>,
    /// Whether there are children that are not in the list. Then it has the first failed ones, and
    /// of all an even sample by id.
    pub sampled: bool,
}

impl Shape {
    /// The shape with these jobs, as they were at one instant: the numbers of each are those that
    /// it has itself without those of its children that are here.
    #[must_use]
    pub fn new(jobs: Vec<JobSummary>) -> Self {
        let mut shown: HashMap<JobId, Rest> = HashMap::new();
        let parents = jobs.iter().skip(1).filter_map(|job| {
            let parent = job.definition.as_ref()?.parent?;
            Some((parent, job))
        });
        for (parent, job) in parents {
            shown.entry(parent).or_default().count(job);
        }
        let rest = |job: &JobSummary| {
            let all = Rest { children: job.children, subtree: job.subtree };
            let rest = shown.get(&job.id).map_or(all, |shown| all.without(shown));
            Some(rest).filter(|rest| rest.subtree.total > 0)
        };
        let item = |job| ShapeJob { rest: rest(&job), job };
        Self { items: jobs.into_iter().map(item).collect() }
    }
}

impl Rest {
    /// Adds a child and what is below it.
    fn count(&mut self, job: &JobSummary) {
        let Self { children, subtree } = self;
        match job.state.category() {
            Some(Category::Pending) => children.pending += 1,
            Some(Category::Successful) => children.successful += 1,
            Some(Category::Failed) => children.failed += 1,
            None => {}
        }
        let below = &job.subtree;
        let is = |states: &[State]| u64::from(states.contains(&job.state));
        subtree.total += below.total + 1;
        subtree.waiting += below.waiting + is(&[State::WaitingToRun]);
        subtree.running += below.running + is(&[State::Running, State::Warning]);
        subtree.waiting_for_children +=
            below.waiting_for_children + is(&[State::WaitingForChildrenToComplete]);
        subtree.successful += below.successful + is(&[State::RanToCompletion]);
        subtree.failed += below.failed + is(&[State::Faulted]);
    }

    /// What is left without some of it.
    fn without(self, other: &Self) -> Self {
        let Self { children, subtree } = self;
        let (shown, below) = (other.children, other.subtree);
        let waiting_for_children =
            subtree.waiting_for_children.saturating_sub(below.waiting_for_children);
        Self {
            children: Children {
                pending: children.pending.saturating_sub(shown.pending),
                successful: children.successful.saturating_sub(shown.successful),
                failed: children.failed.saturating_sub(shown.failed),
            },
            subtree: Subtree {
                total: subtree.total.saturating_sub(below.total),
                waiting: subtree.waiting.saturating_sub(below.waiting),
                running: subtree.running.saturating_sub(below.running),
                waiting_for_children,
                successful: subtree.successful.saturating_sub(below.successful),
                failed: subtree.failed.saturating_sub(below.failed),
            },
        }
    }
}
