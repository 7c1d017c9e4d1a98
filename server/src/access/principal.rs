use std::sync::Arc;

use jobtracker_model::{Authentication, Role, Timestamp};

/// A caller that is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub principal: Principal,
    pub how: Authentication,
    /// When what it has sent ends to be accepted, if that is known.
    pub end_time: Option<Timestamp>,
}

impl Admitted {
    pub const ANONYMOUS: Self =
        Self { principal: Principal::Anonymous, how: Authentication::Open, end_time: None };
    pub const CONFIGURATION: Self = Self::by_token(Principal::Configuration);

    pub const fn by_token(principal: Principal) -> Self {
        Self { principal, how: Authentication::Token, end_time: None }
    }

    /// The same caller, let in by a session that was begun with its token.
    pub fn by_session(self, end: Timestamp) -> Self {
        let end_time = self.end_time.map_or(end, |token| token.min(end));
        Self { how: Authentication::Session, end_time: Some(end_time), ..self }
    }
}

/// Who a caller is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    /// Any caller of a server that requires no token, which serves each of them as an admin.
    Anonymous,
    /// A caller with the token of the configuration, which is an admin.
    Configuration,
    /// A caller with a name and a role of its own.
    Named(Arc<Identity>),
}

/// The name and the role of a caller.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub name: String,
    pub role: Role,
}

impl Principal {
    pub fn name(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Configuration => "configuration",
            Self::Named(identity) => &identity.name,
        }
    }

    /// The name that a change is shown with which was reported by hand: operators and admins with
    /// a token of their own do that, services report with the role of a writer.
    pub fn by_hand(&self) -> Option<Box<str>> {
        match self {
            Self::Named(identity) if identity.role >= Role::Operator => {
                Some(identity.name.as_str().into())
            }
            _ => None,
        }
    }

    pub fn role(&self) -> Role {
        match self {
            Self::Anonymous | Self::Configuration => Role::Admin,
            Self::Named(identity) => identity.role,
        }
    }
}
