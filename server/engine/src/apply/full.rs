//! Jobs that are at a limit: what they still take, and what they refuse.

use std::collections::HashMap;

use jobtracker_model::{
    Definition, JobId, NewChange, NewLogLines, State, Timestamp, limits, rollup::Status,
};
use jobtracker_store::{Loaded, Node, Origin};

use super::{Rules, apply};
use crate::{
    Error, Result,
    operation::{Operation, Outcome},
    workspace::Workspace,
};

/// Applies one operation to a job that has this much already.
fn try_on(fill: impl FnOnce(&mut Status), operation: &Operation) -> Result<Outcome> {
    let (id, now) = (JobId::MIN, Timestamp::MIN);
    let (mut status, _) = Status::created(id, now);
    fill(&mut status);
    let fingerprint = Definition::default().fingerprint(None);
    let origin = Origin { parent: None, root: id, depth: 0, fingerprint };
    let nodes = HashMap::from([(id, Node { origin, status })]);
    let mut space = Workspace::new(Loaded { nodes, ..Loaded::default() });
    let rules = Rules { block_updates_after_finish: false, now };
    apply(&mut space, operation, rules, &mut Vec::new())
}

#[test]
fn a_job_with_all_its_changes_can_still_end() {
    let report = |changes: u32, state: State| {
        let update = Operation::update(JobId::MIN, NewChange::new(state)).unwrap();
        try_on(|status| status.changes = changes, &update)
    };
    let too_many = |result| matches!(result, Err(Error::TooManyChanges(_)));
    assert!(report(limits::CHANGES - 1, State::Running).is_ok());
    assert!(too_many(report(limits::CHANGES, State::Running)));
    assert!(report(limits::CHANGES, State::Faulted).is_ok());
    let all = limits::CHANGES + limits::CHANGES_TO_END;
    assert!(report(all - 1, State::RanToCompletion).is_ok());
    assert!(too_many(report(all, State::RanToCompletion)));
}

#[test]
fn a_log_takes_lines_as_long_as_all_of_them_fit() {
    let append = |there: u32, count: usize| {
        let lines = NewLogLines { lines: vec!["line".into(); count], append_id: None };
        let append = Operation::append_log(JobId::MIN, lines, None).unwrap();
        try_on(|status| status.log_lines = there, &append)
    };
    assert!(append(limits::LOG_LINES - 2, 2).is_ok());
    assert!(matches!(append(limits::LOG_LINES - 2, 3), Err(Error::LogFull(_))));
}
