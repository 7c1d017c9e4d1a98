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

    /// A user whom a trusted proxy names.
    pub fn by_proxy(name: &str, role: Role) -> Self {
        let principal = Principal::Named(Arc::new(Identity { name: name.to_owned(), role }));
        Self { principal, how: Authentication::Proxy, end_time: None }
    }

    /// The name that a change is shown with which was made by hand: in a browser, or with a token
    /// of an operator or an admin. Services have the role of a writer.
    pub fn by_hand(&self) -> Option<&str> {
        let is_by_hand = match self.how {
            Authentication::Session | Authentication::Proxy => true,
            Authentication::Token => self.principal.role() >= Role::Operator,
            Authentication::Open => false,
        };
        is_by_hand.then(|| self.principal.name())
    }

    /// Whether the audit list has what services do too. With the token of the configuration the
    /// services of a small installation do it, all the time.
    pub fn is_noted(&self) -> bool {
        let is_configured = self.principal == Principal::Configuration;
        let is_service = is_configured && self.how == Authentication::Token;
        self.by_hand().is_some() && !is_service
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

    pub fn role(&self) -> Role {
        match self {
            Self::Anonymous | Self::Configuration => Role::Admin,
            Self::Named(identity) => identity.role,
        }
    }
}
