//! What a job's creator wants checked when the time comes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    FieldError, StateSet, Target, TargetView, Timestamp, action::check_states, field::check_text,
    limits,
};

/// A check of a job when the time comes, and whom to tell of the result.
///
/// On the wire the kind and its fields stand beside the targets:
/// `{"kind": "state", "at": "2026-11-21T09:30:00Z", "states": ["RanToCompletion"],
/// "failure": {"email": {"to": ["ops@example.com"]}}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct NewCheck {
    /// What to check, and when.
    pub kind: CheckKind,
    /// Whom to tell when it is as it should be. A silence check has none.
    pub success: Option<Target>,
    /// Whom to tell when it is not.
    pub failure: Option<Target>,
}

/// What to check, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum CheckKind {
    /// Whether the visible state is one of these.
    State {
        /// When to check; at once if it is past.
        at: Timestamp,
        /// At least one, and not WaitingForActivation.
        states: StateSet,
    },
    /// Whether an expression over the job's numbers is true.
    Subtree {
        /// When to check; at once if it is past.
        at: Timestamp,
        /// In the Common Expression Language; 1 to 1024 bytes.
        expression: String,
    },
    /// Whether anything has changed at the job or below it. The clock starts again with every
    /// change and after every check, as long as the job is not finished.
    Silence {
        /// For how long nothing may change; 1,000 to 2,592,000,000.
        quiet_ms: u64,
    },
}

impl CheckKind {
    /// When to check first, if the check is created now.
    #[must_use]
    pub fn first(&self, now: Timestamp) -> Timestamp {
        match self {
            Self::State { at, .. } | Self::Subtree { at, .. } => (*at).max(now),
            Self::Silence { quiet_ms } => now.after(Duration::from_millis(*quiet_ms)),
        }
    }
}

/// The kinds of checks by name.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = CheckKindName))]
enum Name {
    State,
    Subtree,
    Silence,
}

/// A check as it is serialized, in JSON and in rows.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = NewCheck))]
struct Wire {
    /// What is checked.
    kind: Name,
    /// When to check, for `state` and `subtree`; at once if it is past.
    #[serde(default)]
    at: Option<Timestamp>,
    /// For `state`: at least one, and not WaitingForActivation.
    #[serde(default)]
    states: Option<StateSet>,
    /// For `subtree`: in the Common Expression Language; 1 to 1024 bytes.
    #[serde(default)]
    expression: Option<String>,
    /// For `silence`: for how long nothing may change; 1,000 to 2,592,000,000.
    #[serde(default)]
    quiet_ms: Option<u64>,
    /// Whom to tell when it is as it should be. A silence check has none.
    #[serde(default)]
    success: Option<Target>,
    /// Whom to tell when it is not.
    #[serde(default)]
    failure: Option<Target>,
}

/// A check that lacks what its kind needs, or has what another kind needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a check of kind {kind} has {has} and nothing more of its own")]
struct MixedKinds {
    kind: &'static str,
    has: &'static str,
}

impl TryFrom<Wire> for NewCheck {
    type Error = MixedKinds;

    fn try_from(wire: Wire) -> Result<Self, MixedKinds> {
        let Wire { kind, at, states, expression, quiet_ms, success, failure } = wire;
        let kind = match (kind, at, states, expression, quiet_ms) {
            (Name::State, Some(at), Some(states), None, None) => CheckKind::State { at, states },
            (Name::State, ..) => return Err(MixedKinds { kind: "state", has: "at and states" }),
            (Name::Subtree, Some(at), None, Some(expression), None) => {
                CheckKind::Subtree { at, expression }
            }
            (Name::Subtree, ..) => {
                return Err(MixedKinds { kind: "subtree", has: "at and expression" });
            }
            (Name::Silence, None, None, None, Some(quiet_ms)) => CheckKind::Silence { quiet_ms },
            (Name::Silence, ..) => return Err(MixedKinds { kind: "silence", has: "quietMs" }),
        };
        Ok(Self { kind, success, failure })
    }
}

impl From<NewCheck> for Wire {
    fn from(NewCheck { kind, success, failure }: NewCheck) -> Self {
        let (kind, at, states, expression, quiet_ms) = match kind {
            CheckKind::State { at, states } => (Name::State, Some(at), Some(states), None, None),
            CheckKind::Subtree { at, expression } => {
                (Name::Subtree, Some(at), None, Some(expression), None)
            }
            CheckKind::Silence { quiet_ms } => (Name::Silence, None, None, None, Some(quiet_ms)),
        };
        Self { kind, at, states, expression, quiet_ms, success, failure }
    }
}

impl CheckKind {
    /// The kind as the wire spells it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::State { .. } => "state",
            Self::Subtree { .. } => "subtree",
            Self::Silence { .. } => "silence",
        }
    }

    /// When to check, if that does not depend on what happens meanwhile.
    #[must_use]
    pub const fn at(&self) -> Option<Timestamp> {
        match self {
            Self::State { at, .. } | Self::Subtree { at, .. } => Some(*at),
            Self::Silence { .. } => None,
        }
    }
}

impl NewCheck {
    /// A check that has no receiver yet.
    #[must_use]
    pub fn new(kind: CheckKind) -> Self {
        Self { kind, success: None, failure: None }
    }

    /// Tells this target when it is as it should be.
    #[must_use]
    pub fn on_success(mut self, target: impl Into<Target>) -> Self {
        self.success = Some(target.into());
        self
    }

    /// Tells this target when it is not.
    #[must_use]
    pub fn on_failure(mut self, target: impl Into<Target>) -> Self {
        self.failure = Some(target.into());
        self
    }

    /// Checks everything against its limits; `field` is what the wire calls this check. Whether
    /// an expression is valid is not checked here.
    ///
    /// # Errors
    /// The first field that is past its limit or malformed.
    pub fn check(&self, field: &str) -> Result<(), FieldError> {
        match &self.kind {
            CheckKind::State { states, .. } => check_states(&format!("{field}.states"), *states)?,
            CheckKind::Subtree { expression, .. } => {
                check_text(&format!("{field}.expression"), expression, 1, limits::EXPRESSION)?;
            }
            CheckKind::Silence { quiet_ms } => {
                let (min, max) = (limits::QUIET_MIN_MS, limits::QUIET_MS);
                if *quiet_ms < min || *quiet_ms > max {
                    let reason = format!("is {quiet_ms}; it must be {min} to {max}");
                    return Err(FieldError::new(format!("{field}.quietMs"), reason));
                }
                if self.success.is_some() {
                    let reason = "is not for a silence check: nothing ends it well but the job";
                    return Err(FieldError::new(format!("{field}.success"), reason));
                }
            }
        }
        if self.success.is_none() && self.failure.is_none() {
            return Err(FieldError::new(field, "has no receiver; give success or failure or both"));
        }
        for (name, target) in [("success", &self.success), ("failure", &self.failure)] {
            if let Some(target) = target {
                target.check(&format!("{field}.{name}"))?;
            }
        }
        Ok(())
    }

    /// About how much memory its texts take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let expression = match &self.kind {
            CheckKind::Subtree { expression, .. } => expression.len(),
            CheckKind::State { .. } | CheckKind::Silence { .. } => 0,
        };
        let targets = [&self.success, &self.failure].into_iter().flatten();
        expression + targets.map(Target::bytes).sum::<usize>()
    }

    /// Checks all state checks of a job.
    ///
    /// # Errors
    /// There are too many, or the first field that is past its limit or malformed.
    pub fn check_all(checks: &[Self]) -> Result<(), FieldError> {
        if checks.len() > limits::CHECKS {
            let reason = format!("has {} checks; at most {}", checks.len(), limits::CHECKS);
            return Err(FieldError::new("checks", reason));
        }
        let mut all = checks.iter().enumerate();
        all.try_for_each(|(index, check)| check.check(&format!("checks[{index}]")))
    }
}

/// A check as the service shows it: without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckView {
    /// What to check, and when.
    #[serde(flatten)]
    pub kind: CheckKind,
    /// Who is told when it is as it should be.
    pub success: Option<TargetView>,
    /// Who is told when it is not.
    pub failure: Option<TargetView>,
}

impl From<&NewCheck> for CheckView {
    fn from(NewCheck { kind, success, failure }: &NewCheck) -> Self {
        Self {
            kind: kind.clone(),
            success: success.as_ref().map(TargetView::from),
            failure: failure.as_ref().map(TargetView::from),
        }
    }
}

#[cfg(feature = "openapi")]
mod openapi {
    use utoipa::openapi::{RefOr, schema::Schema};

    impl utoipa::ToSchema for super::NewCheck {
        fn name() -> std::borrow::Cow<'static, str> {
            super::Wire::name()
        }

        fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
            super::Wire::schemas(schemas);
        }
    }

    impl utoipa::PartialSchema for super::NewCheck {
        fn schema() -> RefOr<Schema> {
            super::Wire::schema()
        }
    }
}

#[cfg(test)]
mod tests;
