//! Pictures of flows and of their runs, as texts in languages that others draw.

mod dot;
mod gantt;
mod mermaid;
mod picture;

use crate::{Flow, Snapshot};

use picture::{Node, Picture};

impl<In: Send + Sync + 'static, Out: Send + Sync + 'static> Flow<In, Out> {
    /// The flow in the language of Graphviz. An edge is solid for an output, dashed for an order,
    /// dotted for a settled step.
    #[must_use]
    pub fn to_dot(&self) -> String {
        dot::write(&self.picture())
    }

    /// The flow as a flow chart of Mermaid. An edge is solid for an output, thick for an order,
    /// dotted for a settled step.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        mermaid::write(&self.picture())
    }

    fn picture(&self) -> Picture<'_> {
        let steps = self.steps().iter().map(Node::of_definition).collect();
        Picture { flow: self.name(), steps }
    }
}

impl Snapshot {
    /// The run in the language of Graphviz: as [`Flow::to_dot`], and with colours for the states.
    #[must_use]
    pub fn to_dot(&self) -> String {
        dot::write(&self.picture())
    }

    /// The run as a flow chart of Mermaid: as [`Flow::to_mermaid`], and with colours for the
    /// states.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        mermaid::write(&self.picture())
    }

    /// The run as a time line of Mermaid: for each step that has begun, when it waited and when
    /// it was at work, attempt by attempt.
    #[must_use]
    pub fn to_gantt(&self) -> String {
        gantt::write(self)
    }

    fn picture(&self) -> Picture<'_> {
        let steps = self.steps.iter().map(|step| Node::of_run(step, self.started)).collect();
        Picture { flow: &self.flow, steps }
    }
}
