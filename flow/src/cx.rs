use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{Observer, Parent, RunId, RunInfo, RunOptions, StepMeta};

/// What the bodies of a run have in common.
pub(crate) struct Shared<In> {
    pub(crate) metas: Arc<[StepMeta]>,
    pub(crate) input: Arc<In>,
    pub(crate) info: RunInfo,
    pub(crate) cancel: CancellationToken,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
}

/// What a body is given besides the outputs that it needs: the input of the run, and where it
/// stands.
pub struct Cx<In> {
    shared: Arc<Shared<In>>,
    /// Of an attempt with a time-out, which is told of by a token of its own.
    token: Option<CancellationToken>,
    step: u32,
    attempt: u32,
}

impl<In> Cx<In> {
    pub(crate) fn new(
        shared: &Arc<Shared<In>>,
        token: Option<CancellationToken>,
        step: u32,
        attempt: u32,
    ) -> Self {
        Self { shared: Arc::clone(shared), token, step, attempt }
    }

    pub(crate) fn index(&self) -> u32 {
        self.step
    }

    fn token(&self) -> &CancellationToken {
        self.token.as_ref().unwrap_or(&self.shared.cancel)
    }

    /// The input of the run.
    #[must_use]
    pub fn input(&self) -> &Arc<In> {
        &self.shared.input
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.shared.info.id
    }

    /// What the definition says of the step.
    #[must_use]
    pub fn step(&self) -> &StepMeta {
        &self.shared.metas[self.step as usize]
    }

    /// The number of the attempt, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// A text that is the same for every attempt of this step in this run and in those that
    /// continue it, and for nothing else: with it, a receiver knows an effect again that it has
    /// had already.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.shared.info.first, self.step().name)
    }

    /// Whether the body should end: its run was stopped, or its time is over.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.token().is_cancelled()
    }

    /// Waits until the body should end.
    pub async fn cancelled(&self) {
        self.token().cancelled().await;
    }

    /// A token that is cancelled when the body should end, and by nothing else; not when the step
    /// has succeeded, so what hangs on it may be the step's output. Cancelling it does nothing to
    /// the run.
    #[must_use]
    pub fn cancel_token(&self) -> CancellationToken {
        self.token().child_token()
    }

    /// Options for a run of another flow inside this body: it is cancelled with it, told to the
    /// same observers, and recorded below this step.
    pub fn child(&self) -> RunOptions {
        let parent = Parent::Step { run: self.run().clone(), step: self.step };
        RunOptions {
            parent: Some(parent),
            cancel: Some(self.cancel_token()),
            observers: self.shared.observers.clone(),
            ..RunOptions::new()
        }
    }
}

impl<In> std::fmt::Debug for Cx<In> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cx")
            .field("run", self.run())
            .field("step", &self.step().name)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
