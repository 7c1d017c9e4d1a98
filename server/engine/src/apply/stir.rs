use jobtracker_model::{JobId, NewChange};

use crate::workspace::Workspace;

/// An operation took effect at a job. That ends silence at the job and above.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stir<'a> {
    pub id: JobId,
    /// The own change, if it was one.
    pub said: Option<Said<'a>>,
}

/// What an own change said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a> {
    /// Its number.
    pub change: u32,
    pub message: Option<&'a str>,
}

/// The change that has just been appended to a job.
pub(super) fn reported<'a>(space: &Workspace, id: JobId, change: &'a NewChange) -> Stir<'a> {
    let number = space.status(id).map_or(0, |status| status.changes.saturating_sub(1));
    Stir { id, said: Some(Said { change: number, message: change.message.as_deref() }) }
}
