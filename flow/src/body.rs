use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    BoxError, Cx, Deps, RunId, StepErrorKind, deps::Outcomes, permit::Permit, slot::Value,
};

/// What an attempt has come to. A wrapper of attempts
/// ([`FlowBuilder::around`](crate::FlowBuilder::around)) can look at it and has to hand it on.
pub struct Attempt(pub(crate) Result<Value, BoxError>);

impl Attempt {
    /// The error of the body, if it failed.
    #[must_use]
    pub fn error(&self) -> Option<&BoxError> {
        self.0.as_ref().err()
    }
}

/// Which attempt it is that something is put around.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AttemptInfo {
    /// The run.
    pub run: RunId,
    /// The name of the step.
    pub step: Arc<str>,
    /// The number of the attempt, from 1.
    pub attempt: u32,
}

/// The body of a step without its types.
pub(crate) type Body<In> =
    Box<dyn Fn(Cx<In>, &Outcomes<'_>, Option<Permit>) -> BoxFuture<'static, Attempt> + Send + Sync>;

pub(crate) type Around = Box<
    dyn Fn(&AttemptInfo, BoxFuture<'static, Attempt>) -> BoxFuture<'static, Attempt> + Send + Sync,
>;

fn erased<T: Send + Sync + 'static>(result: Result<T, BoxError>) -> Attempt {
    Attempt(result.map(|output| Arc::new(output) as Value))
}

/// A body that waits without holding a thread.
pub(crate) fn concurrent<In, D, T, F, Fut>(deps: D, f: F) -> Body<In>
where
    In: Send + Sync + 'static,
    D: Deps,
    T: Send + Sync + 'static,
    F: Fn(Cx<In>, D::Args) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, BoxError>> + Send + 'static,
{
    Box::new(move |cx, outcomes, _| {
        let body = f(cx, deps.values(outcomes));
        Box::pin(async move { erased(body.await) })
    })
}

/// A body that holds a thread. It keeps its permit until it returns, which may be long after the
/// run has given it up.
pub(crate) fn blocking<In, D, T, F>(deps: D, f: F) -> Body<In>
where
    In: Send + Sync + 'static,
    D: Deps,
    T: Send + Sync + 'static,
    F: Fn(Cx<In>, D::Args) -> Result<T, BoxError> + Send + Sync + 'static,
{
    let f = Arc::new(f);
    Box::new(move |cx, outcomes, permit| {
        let (f, args) = (Arc::clone(&f), deps.values(outcomes));
        let work = move || {
            let _held = permit;
            f(cx, args)
        };
        Box::pin(async move {
            // One that has not begun when it is given up never begins.
            let thread = AbortOnDropHandle::new(tokio::task::spawn_blocking(work));
            match thread.await {
                Ok(result) => erased(result),
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    Err(ended) => Attempt(Err(ended.into())),
                },
            }
        })
    })
}

/// A body at work. Its panics come out as errors. One that comes when it is given up changes
/// nothing any more and goes into the log.
pub(crate) struct Guarded(Option<BoxFuture<'static, Attempt>>);

impl Guarded {
    /// Begins a body.
    pub(crate) fn begin(
        body: impl FnOnce() -> BoxFuture<'static, Attempt>,
    ) -> Result<Self, StepErrorKind> {
        caught(body).map(|body| Self(Some(body)))
    }
}

impl Future for Guarded {
    type Output = Result<Value, StepErrorKind>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(body) = &mut self.0 else { return Poll::Pending };
        match caught(|| body.as_mut().poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Attempt(result))) => Poll::Ready(result.map_err(StepErrorKind::Failed)),
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let body = self.0.take();
        if let Err(error) = caught(|| drop(body)) {
            tracing::warn!(%error, "the body of a step, when it was given up");
        }
    }
}

/// Calls what is not ours.
pub(crate) fn caught<T>(f: impl FnOnce() -> T) -> Result<T, StepErrorKind> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        StepErrorKind::Panicked(text.unwrap_or_else(|| "(without a message)".into()))
    })
}
