use std::{marker::PhantomData, sync::Arc, time::Duration};

use serde::Serialize;

/// A step of a flow, by the type of its output. It is what [`StepBuilder::run`] answers, and there
/// is no other way to get one, so a step can only depend on steps that were there before it: a
/// flow has no cycles.
///
/// [`StepBuilder::run`]: crate::StepBuilder::run
pub struct Step<T> {
    pub(crate) id: StepId,
    pub(crate) output: PhantomData<fn() -> T>,
}

/// A step, whatever its output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StepId {
    pub(crate) flow: u64,
    pub(crate) index: u32,
}

/// A dependency on the end of a step rather than on its success: see [`Step::settled`].
#[derive(Debug)]
pub struct Settled<T>(pub(crate) Step<T>);

impl<T> Step<T> {
    /// As a dependency: the dependant runs however this step ends, and is given an
    /// `Arc` of its output or of its error.
    ///
    /// This is for clean-up, fallbacks and reports. A step that was cancelled with its whole run is
    /// no end that anything waits for: nothing starts any more then.
    #[must_use]
    pub fn settled(self) -> Settled<T> {
        Settled(self)
    }

    /// The step without the type of its output.
    #[must_use]
    pub fn id(self) -> StepId {
        self.id
    }
}

impl<T> Clone for Step<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Step<T> {}

impl<T> std::fmt::Debug for Step<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Step({})", self.id.index)
    }
}

impl<T> Clone for Settled<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Settled<T> {}

impl<T> From<Step<T>> for StepId {
    fn from(step: Step<T>) -> Self {
        step.id
    }
}

/// What the definition says of a step.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StepMeta {
    /// Where it stands in the order of definition, from 0.
    pub index: u32,
    /// Its name.
    pub name: Arc<str>,
    /// The name of the type of its output.
    pub output: &'static str,
    /// What it depends on, each step once, in the order in which they were named.
    pub needs: Vec<Need>,
    /// How long an attempt may take.
    pub timeout: Option<Duration>,
    /// Whether a failed attempt may be followed by another one.
    pub retries: bool,
}

/// An edge of the graph, from the side of the dependant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Need {
    /// The index of the step that is depended on.
    pub step: u32,
    /// What is wanted of it.
    pub kind: NeedKind,
}

/// What a step wants of one that it depends on. The greater one counts where a step is named more
/// than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum NeedKind {
    /// That it has ended.
    Settled,
    /// That it has succeeded.
    Order,
    /// Its output.
    Data,
}
