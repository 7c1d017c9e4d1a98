use std::time::Duration;

use backon::BackoffBuilder;

use crate::{StepError, StepErrorKind};

/// The pauses that are left.
pub(crate) type Delays = Box<dyn Iterator<Item = Duration> + Send + Sync>;

type Begin = Box<dyn Fn() -> Delays + Send + Sync>;
type Rule = Box<dyn Fn(&StepError) -> bool + Send + Sync>;

/// When an attempt of a step is over, and when it is followed by another one.
#[derive(Default)]
pub(crate) struct Policy {
    pub(crate) timeout: Option<Duration>,
    retry: Option<Begin>,
    retry_if: Option<Rule>,
}

impl Policy {
    pub(crate) fn set_retry(&mut self, backoff: impl BackoffBuilder + Clone + 'static) {
        self.retry = Some(Box::new(move || Box::new(backoff.clone().build())));
    }

    pub(crate) fn set_retry_if(
        &mut self,
        rule: impl Fn(&StepError) -> bool + Send + Sync + 'static,
    ) {
        self.retry_if = Some(Box::new(rule));
    }

    pub(crate) fn retries(&self) -> bool {
        self.retry.is_some()
    }

    /// The pauses of a step in a run, which are counted from its first failure.
    pub(crate) fn delays(&self) -> Option<Delays> {
        self.retry.as_ref().map(|delays| delays())
    }

    /// Whether another attempt may help. A panic is a mistake in the program, which will make it
    /// again, unless the rule of the step knows better.
    pub(crate) fn is_worth_another(&self, error: &StepError) -> bool {
        match &self.retry_if {
            Some(rule) => rule(error),
            None => !matches!(error.kind, StepErrorKind::Panicked(_)),
        }
    }
}
