use std::collections::{BTreeMap, HashSet};

use jobtracker_model::{
    Change, JobId, NewChange, State, Timestamp, limits,
    rollup::{Grown, Growth, GrowthStep, Milestones},
};

use super::{Step, What};
use crate::{Error, Result};

/// What a tree of an upload does to existing jobs.
///
/// Their own reports come first in the stream. The reports divide what was recorded in the tree
/// into spans, and the new branches below these jobs are summed up by span: so a million branches
/// under one old job take no more room than one.
#[derive(Default)]
pub(super) struct Existing {
    ids: HashSet<JobId>,
    reports: Vec<(u64, Step)>,
    /// The orders of the reports, sorted, once the last report has come.
    ends: Option<Vec<u64>>,
    growth: BTreeMap<(usize, JobId), Growth>,
    rest: Vec<Step>,
    bytes: usize,
}

/// About how much memory a step takes besides its texts, and how much a growth takes.
const STEP: usize = 200;
const GROWTH: usize = 500;

impl Existing {
    /// The next records are about this job.
    pub fn job(&mut self, id: JobId) -> Result<()> {
        if !self.ids.insert(id) {
            return Err(Error::DuplicateId(id));
        }
        self.check()
    }

    /// The next records are about this job, whose creation repeats an existing job exactly.
    pub fn repeated(&mut self, id: JobId) -> Result<()> {
        self.ids.insert(id);
        self.check()
    }

    /// Whether reports may still come, so that the spans between them are not fixed yet.
    pub fn takes_reports(&self) -> bool {
        self.ends.is_none()
    }

    /// The job reported a state.
    pub fn report(&mut self, position: u64, id: JobId, order: u64, change: Change) -> Result<()> {
        if change.state == State::WaitingForActivation {
            return Err(Error::StateNotAllowed(change.state));
        }
        let change = change.shortened();
        change.check()?;
        let Change { state, time, message, reason_code, change_id, by } = change;
        self.bytes += STEP + message.as_ref().map_or(0, String::len);
        let what = What::Report {
            change: NewChange { state, message, reason_code, change_id, expect: None, by },
            time,
        };
        self.reports.push((order, Step { position, id, what }));
        self.check()
    }

    /// The job has new options.
    pub fn options(&mut self, position: u64, id: JobId, options: Option<String>) -> Result<()> {
        self.bytes += STEP + options.as_ref().map_or(0, String::len);
        self.rest.push(Step { position, id, what: What::Options(options) });
        self.check()
    }

    /// The job has a new line in its log.
    pub fn line(&mut self, position: u64, id: JobId, time: Timestamp, text: String) -> Result<()> {
        self.bytes += STEP + text.len();
        self.rest.push(Step { position, id, what: What::Line { time, text } });
        self.check()
    }

    /// The job has a new branch below it.
    pub fn grow(&mut self, parent: JobId, child: &Grown) -> Result<()> {
        self.ids.insert(parent);
        self.sort_reports()?;
        let Milestones { born, started, faulted, ended } = child.milestones();
        self.span(born, parent).birth(child);
        if let Some(started) = started {
            self.span(started, parent).start(child);
        }
        if let Some(faulted) = faulted {
            self.span(faulted, parent).fault(child);
        }
        self.span(ended, parent).end(child);
        self.check()
    }

    /// Whether there is nothing to apply.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// About how much memory the steps take.
    pub fn bytes(&self) -> usize {
        self.bytes + self.growth.len() * GROWTH
    }

    /// All steps in the order in which they take effect.
    pub fn into_steps(mut self, begin: u64) -> Result<Vec<Step>> {
        self.sort_reports()?;
        let mut spans: BTreeMap<usize, Vec<(GrowthStep, JobId)>> = BTreeMap::new();
        for ((span, parent), growth) in self.growth {
            spans.entry(span).or_default().extend(growth.steps().map(|step| (step, parent)));
        }
        let mut steps = Vec::with_capacity(self.reports.len() + self.rest.len() + spans.len());
        let mut grow = |span: usize, steps: &mut Vec<Step>| {
            let mut grown = spans.remove(&span).unwrap_or_default();
            grown.sort_unstable();
            steps.extend(grown.into_iter().map(|(step, id)| Step {
                position: begin,
                id,
                what: What::Growth(step),
            }));
        };
        for (span, (_, report)) in self.reports.into_iter().enumerate() {
            grow(span, &mut steps);
            steps.push(report);
        }
        let last = self.ends.map_or(0, |ends| ends.len());
        grow(last, &mut steps);
        steps.extend(self.rest);
        Ok(steps)
    }

    fn span(&mut self, order: u64, parent: JobId) -> &mut Growth {
        let ends = self.ends.as_deref().unwrap_or_default();
        let span = ends.partition_point(|end| *end < order);
        self.growth.entry((span, parent)).or_default()
    }

    /// Sorts the reports; no two of them may have the same order.
    fn sort_reports(&mut self) -> Result<()> {
        if self.ends.is_some() {
            return Ok(());
        }
        self.reports.sort_by_key(|(order, _)| *order);
        if let Some(two) = self.reports.windows(2).find(|two| two[0].0 == two[1].0) {
            let Step { position, id, .. } = two[1].1;
            return Err(Error::OutOfOrder(id).at(position));
        }
        self.ends = Some(self.reports.iter().map(|(order, _)| *order).collect());
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let (jobs, bytes) = (limits::COMMIT_EXISTING, limits::COMMIT_EXISTING_BYTES);
        if self.ids.len() > jobs || self.bytes() > bytes {
            return Err(Error::CommitTooLarge(format!(
                "one tree may change {jobs} jobs that are there already, with {bytes} bytes"
            )));
        }
        Ok(())
    }
}
