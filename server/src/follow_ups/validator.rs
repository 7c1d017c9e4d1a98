use std::sync::Arc;

use jobtracker_guard::Guard;
use jobtracker_model::{Action, CheckKind, FieldError, NewCheck, NewJob, Target};

use crate::{
    expression::{Expression, Invalid},
    outbox::check_receiver,
};

/// Why a follow-up is refused here.
#[derive(Debug)]
pub(crate) enum Unfit {
    Field(FieldError),
    /// The expression in this field is invalid.
    Expression(String, Invalid),
}

/// Validates follow-ups beyond the model's limits: requests only to allowed receivers, e-mails only
/// if an SMTP server is configured, and only valid expressions.
#[derive(Debug, Clone)]
pub(crate) struct Validator {
    pub guard: Arc<Guard>,
    pub has_mailer: bool,
}

type Validated = Result<(), Unfit>;

impl Validator {
    /// Whether the validation takes more processor time than other requests should wait for.
    pub fn is_slow(job: &NewJob) -> bool {
        job.checks.iter().any(|check| matches!(check.kind, CheckKind::Subtree { .. }))
    }

    /// Validates actions and checks that are within their limits.
    pub fn all(&self, actions: &[Action], checks: &[NewCheck]) -> Validated {
        for (index, action) in actions.iter().enumerate() {
            self.target(&format!("actions[{index}]"), &action.target)?;
        }
        let mut checks = checks.iter().enumerate();
        checks.try_for_each(|(index, check)| self.check(&format!("checks[{index}]"), check))
    }

    /// Validates a check that is within its limits.
    pub fn check(&self, field: &str, check: &NewCheck) -> Validated {
        for (side, target) in [("success", &check.success), ("failure", &check.failure)] {
            if let Some(target) = target {
                self.target(&format!("{field}.{side}"), target)?;
            }
        }
        match &check.kind {
            CheckKind::Subtree { expression, .. } => Expression::compile(expression)
                .map(drop)
                .map_err(|invalid| Unfit::Expression(format!("{field}.expression"), invalid)),
            CheckKind::State { .. } | CheckKind::Silence { .. } => Ok(()),
        }
    }

    /// Validates a target that is within its limits.
    pub fn target(&self, field: &str, target: &Target) -> Validated {
        if let Some(http) = &target.http
            && let Err(forbidden) = check_receiver(&self.guard, http)
        {
            let reason = format!("may not be called: {forbidden}");
            return Err(FieldError::new(format!("{field}.http.url"), reason).into());
        }
        if target.email.is_none() || self.has_mailer {
            return Ok(());
        }
        let reason = "cannot be sent: no SMTP server is configured (section smtp)";
        Err(FieldError::new(format!("{field}.email"), reason).into())
    }
}

impl Unfit {
    /// The same of a field within another.
    pub fn within(self, prefix: &str) -> Self {
        let within = |field: String| format!("{prefix}{field}");
        match self {
            Self::Field(FieldError { field, reason }) => {
                Self::Field(FieldError::new(within(field), reason))
            }
            Self::Expression(field, invalid) => Self::Expression(within(field), invalid),
        }
    }
}

impl From<FieldError> for Unfit {
    fn from(error: FieldError) -> Self {
        Self::Field(error)
    }
}

impl From<Unfit> for FieldError {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Field(error) => error,
            Unfit::Expression(field, invalid) => Self::new(field, format!("is no use: {invalid}")),
        }
    }
}
