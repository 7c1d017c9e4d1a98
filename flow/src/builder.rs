use std::{
    collections::HashSet,
    fmt,
    future::Future,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use backon::BackoffBuilder;
use futures_util::future::BoxFuture;

use crate::{
    Attempt, AttemptInfo, BoxError, Cx, Deps, Flow, Need, NeedKind, Step, StepError, StepId,
    StepMeta,
    body::{Around, Body, blocking, concurrent},
    plan::{Plan, Work},
    policy::Policy,
};

/// Defines a flow: its steps, each after those that it depends on.
///
/// `In` is what a run is given, and what every body sees.
pub struct FlowBuilder<In> {
    name: Arc<str>,
    flow: u64,
    metas: Vec<StepMeta>,
    work: Vec<Work<In>>,
    around: Vec<Around>,
    /// By the step that has it.
    foreign: Vec<u32>,
}

/// Flows that have been begun, so that each has a number of its own: a handle is known by it.
static FLOWS: AtomicU64 = AtomicU64::new(0);

impl<In: Send + Sync + 'static> FlowBuilder<In> {
    /// A flow without steps.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            flow: FLOWS.fetch_add(1, Ordering::Relaxed),
            metas: Vec::new(),
            work: Vec::new(),
            around: Vec::new(),
            foreign: Vec::new(),
        }
    }

    /// Begins the definition of a step: what it needs, its policies, and last its body, which
    /// answers the handle that later steps name. Names are unique in a flow, and not empty.
    pub fn step(&mut self, name: impl Into<Arc<str>>) -> StepBuilder<'_, In, ()> {
        let name = name.into();
        StepBuilder { flow: self, name, deps: (), edges: Vec::new(), policy: Policy::default() }
    }

    /// Puts something around every attempt of every step: a span of `tracing`, a task-local value,
    /// a measurement. It is given the work and answers what is polled in its place; the first one
    /// is the outermost.
    pub fn around(
        &mut self,
        around: impl Fn(&AttemptInfo, BoxFuture<'static, Attempt>) -> BoxFuture<'static, Attempt>
        + Send
        + Sync
        + 'static,
    ) -> &mut Self {
        self.around.push(Box::new(around));
        self
    }

    /// The flow, whose runs have no output of their own.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn build(self) -> Result<Flow<In>, BuildError> {
        self.finish(None)
    }

    /// The flow, whose runs have the output of this step.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn build_with<T: Send + Sync + 'static>(
        self,
        output: Step<T>,
    ) -> Result<Flow<In, T>, BuildError> {
        self.finish(Some(output.id()))
    }

    fn finish<Out>(self, output: Option<StepId>) -> Result<Flow<In, Out>, BuildError> {
        let mut mistakes = self.mistakes();
        if output.is_some_and(|step| !self.knows(step)) {
            mistakes.push(BuildMistake::ForeignOutput);
        }
        if !mistakes.is_empty() {
            return Err(BuildError { flow: self.name, mistakes });
        }
        let Self { name, flow, metas, work, around, .. } = self;
        let plan = Plan::new(name, flow, metas, work, around);
        Ok(Flow { plan: Arc::new(plan), output, out: PhantomData })
    }

    fn mistakes(&self) -> Vec<BuildMistake> {
        let mut mistakes = Vec::new();
        let mut names = HashSet::with_capacity(self.metas.len());
        for meta in &self.metas {
            if meta.name.is_empty() {
                mistakes.push(BuildMistake::EmptyName { index: meta.index });
            } else if !names.insert(&*meta.name) {
                mistakes.push(BuildMistake::DuplicateName { name: Arc::clone(&meta.name) });
            }
        }
        let foreign = self.foreign.iter().map(|&index| {
            let step = Arc::clone(&self.metas[index as usize].name);
            BuildMistake::ForeignStep { step }
        });
        mistakes.extend(foreign);
        mistakes
    }

    fn knows(&self, step: StepId) -> bool {
        step.flow == self.flow
    }
}

/// A step that is being defined. Its last call is [`run`](Self::run) or
/// [`run_blocking`](Self::run_blocking).
///
/// What does not fit does not compile: outputs of another type,
/// ```compile_fail
/// # let mut flow = jobtracker_flow::FlowBuilder::<()>::new("wrong");
/// # use std::sync::Arc;
/// let number = flow.step("number").run(|_, ()| async { Ok(1_u64) });
/// flow.step("text").needs(number).run(|_, text: Arc<String>| async move { Ok(text.len()) });
/// ```
/// bodies that must stay on their thread,
/// ```compile_fail
/// # let mut flow = jobtracker_flow::FlowBuilder::<()>::new("wrong");
/// flow.step("local").run(|_, ()| async {
///     let local = std::rc::Rc::new(1);
///     tokio::task::yield_now().await;
///     Ok(*local)
/// });
/// ```
/// and circles, since there is no handle of a step before the step.
/// ```compile_fail
/// # let mut flow = jobtracker_flow::FlowBuilder::<()>::new("wrong");
/// flow.step("early").needs(late).run(|_, number| async move { Ok(*number) });
/// let late = flow.step("late").run(|_, ()| async { Ok(1_u64) });
/// ```
#[must_use = "a step is there when its body is: call run"]
pub struct StepBuilder<'b, In, D> {
    flow: &'b mut FlowBuilder<In>,
    name: Arc<str>,
    deps: D,
    edges: Vec<(StepId, NeedKind)>,
    policy: Policy,
}

impl<'b, In> StepBuilder<'b, In, ()> {
    /// The steps whose outputs the body is given; see [`Deps`] for the shapes. The step begins when
    /// all of them have succeeded.
    pub fn needs<D: Deps>(self, deps: D) -> StepBuilder<'b, In, D> {
        let Self { flow, name, deps: (), mut edges, policy } = self;
        deps.each(&mut |step, kind| edges.push((step, kind)));
        StepBuilder { flow, name, deps, edges, policy }
    }
}

impl<In: Send + Sync + 'static, D: Deps> StepBuilder<'_, In, D> {
    /// Steps that have to succeed before, and whose outputs the body does not need. Of a
    /// [settled](Step::settled) one it is only the end that is waited for.
    #[expect(clippy::needless_pass_by_value, reason = "handles are copied, and given as to needs")]
    pub fn after(mut self, deps: impl Deps) -> Self {
        deps.each(&mut |step, kind| self.edges.push((step, kind.min(NeedKind::Order))));
        self
    }

    /// Attempts that fail are followed by others, after the pauses that this has, as long as it has
    /// some: those of [`ConstantBuilder`](crate::ConstantBuilder) and its like. With
    /// `with_max_times(3)` there are up to four attempts.
    ///
    /// During a pause the step takes no room in the limit of the run, and is told of a
    /// cancellation at once.
    pub fn retry(mut self, backoff: impl BackoffBuilder + Clone + 'static) -> Self {
        self.policy.set_retry(backoff);
        self
    }

    /// Which errors are worth another attempt: all but panics, if this is not said. What was
    /// cancelled is never tried again.
    pub fn retry_if(mut self, rule: impl Fn(&StepError) -> bool + Send + Sync + 'static) -> Self {
        self.policy.set_retry_if(rule);
        self
    }

    /// How long an attempt may take. Then its token is cancelled, and when the grace of the run is
    /// over, its future is dropped; it counts as a failed attempt.
    pub fn timeout(mut self, per_attempt: Duration) -> Self {
        self.policy.timeout = Some(per_attempt);
        self
    }

    /// The body. It is called once for each attempt, and answers what the step comes to. It must
    /// not hold its thread: work that does belongs in [`run_blocking`](Self::run_blocking).
    pub fn run<T, F, Fut>(mut self, body: F) -> Step<T>
    where
        T: Send + Sync + 'static,
        F: Fn(Cx<In>, D::Args) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, BoxError>> + Send + 'static,
    {
        let edges = std::mem::take(&mut self.edges);
        let body = concurrent(self.deps, body);
        self.flow.add(self.name, edges, self.policy, body)
    }

    /// A body that computes for long or waits on its thread. It runs on the threads that the
    /// runtime keeps for that. It cannot be stopped, only told ([`Cx::is_cancelled`]): when a run
    /// gives it up, its result is dropped, and the place that it takes in the limit of the run is
    /// free when it returns.
    pub fn run_blocking<T, F>(mut self, body: F) -> Step<T>
    where
        T: Send + Sync + 'static,
        F: Fn(Cx<In>, D::Args) -> Result<T, BoxError> + Send + Sync + 'static,
    {
        let edges = std::mem::take(&mut self.edges);
        let body = blocking(self.deps, body);
        self.flow.add(self.name, edges, self.policy, body)
    }
}

impl<In: Send + Sync + 'static> FlowBuilder<In> {
    fn add<T>(
        &mut self,
        name: Arc<str>,
        edges: Vec<(StepId, NeedKind)>,
        policy: Policy,
        body: Body<In>,
    ) -> Step<T> {
        let index = u32::try_from(self.metas.len()).expect("that many steps fill the memory");
        if edges.iter().any(|(step, _)| !self.knows(*step)) {
            self.foreign.push(index);
        }
        self.metas.push(StepMeta {
            index,
            name,
            output: std::any::type_name::<T>(),
            needs: each_once(edges),
            timeout: policy.timeout,
            retries: policy.retries(),
        });
        self.work.push(Work { policy, body });
        Step { id: StepId { flow: self.flow, index }, output: PhantomData }
    }
}

/// Each step that is depended on once, where it was named first, for the most that is wanted of it.
fn each_once(edges: Vec<(StepId, NeedKind)>) -> Vec<Need> {
    let mut needs: Vec<Need> =
        edges.into_iter().map(|(step, kind)| Need { step: step.index, kind }).collect();
    // For the usual few, looking is quicker than a table.
    if needs.len() > 1 {
        let order = needs.clone();
        needs.sort_by_key(|need| (need.step, std::cmp::Reverse(need.kind)));
        needs.dedup_by_key(|need| need.step);
        if needs.len() == order.len() {
            return order;
        }
        let mut at = std::collections::HashMap::new();
        for (place, need) in order.iter().enumerate() {
            at.entry(need.step).or_insert(place);
        }
        needs.sort_by_key(|need| at[&need.step]);
    }
    needs
}

/// What is wrong with the definition of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildError {
    /// The name of the flow.
    pub flow: Arc<str>,
    /// Everything that was found.
    pub mistakes: Vec<BuildMistake>,
}

/// One thing that is wrong with the definition of a flow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildMistake {
    /// Two steps have the same name.
    #[error("there are two steps named {name:?}")]
    DuplicateName {
        /// The name.
        name: Arc<str>,
    },
    /// A step has no name.
    #[error("step {index} has an empty name")]
    EmptyName {
        /// Where it stands in the order of definition, from 0.
        index: u32,
    },
    /// A step depends on a step of another flow.
    #[error("step {step:?} depends on a step of another flow")]
    ForeignStep {
        /// The step that does.
        step: Arc<str>,
    },
    /// The output of the flow is that of a step of another flow.
    #[error("the output of the flow is a step of another flow")]
    ForeignOutput,
}

impl BuildMistake {
    /// A stable word for it: `duplicate_name`, `empty_name` or `foreign_step`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::DuplicateName { .. } => "duplicate_name",
            Self::EmptyName { .. } => "empty_name",
            Self::ForeignStep { .. } | Self::ForeignOutput => "foreign_step",
        }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flow {:?} cannot be built", self.flow)?;
        for (index, mistake) in self.mistakes.iter().enumerate() {
            write!(f, "{} {mistake}", if index == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl std::error::Error for BuildError {}
