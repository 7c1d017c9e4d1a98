use jobtracker_model::{JobId, Report, State, rollup::StatusDelta};

use crate::workspace::Workspace;

/// A job's visible state became another one. Follow-ups start from this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Became {
    pub id: JobId,
    pub state: State,
    /// The own change, of this job or of one below it, that caused it.
    pub cause: Report,
}

/// Carries what happened at a job up to the root, as far as statuses change.
pub(super) fn climb(
    space: &mut Workspace,
    parent: Option<JobId>,
    delta: StatusDelta,
    became: &mut Vec<Became>,
) {
    let of = |delta: &StatusDelta| {
        let (id, cause) = (delta.source, delta.cause);
        delta.became().map(|state| Became { id, state, cause })
    };
    became.extend(of(&delta));
    let mut up = parent.zip((!delta.is_still()).then_some(delta));
    while let Some((id, delta)) = up {
        let node = space.change(id).expect("a path is loaded up to its root");
        let next = node.status.absorb(id, &delta);
        let above = node.origin.parent;
        became.extend(next.as_ref().and_then(of));
        up = above.zip(next);
    }
}
