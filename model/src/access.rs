use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{FieldError, Timestamp, field::check_name};

/// What a caller may do. Each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Role {
    /// Reads everything but secrets.
    Reader,
    /// Creates jobs, reports their states, replaces their options, appends to logs, attaches texts,
    /// sends what a buffered context has recorded.
    Writer,
    /// Acts on what others made: replays and cancels, adds actions and checks to any job.
    Operator,
    /// Makes and revokes tokens, reads the audit list, deletes.
    Admin,
}

impl Role {
    /// Every role, each before those that include it.
    pub const ALL: [Self; 4] = [Self::Reader, Self::Writer, Self::Operator, Self::Admin];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a role is one of reader, writer, operator, admin")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or(UnknownRole)
    }
}

/// How the service knows who a caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Authentication {
    /// By a bearer token.
    Token,
    /// By the cookie of a session, which a browser got for a token.
    Session,
    /// Not at all: the server requires no token.
    Open,
    /// By what a proxy says whom the service trusts.
    Proxy,
}

/// Who the caller is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Session {
    /// The name of the token; `configuration` for the one of the configuration, `anonymous` on a
    /// server that requires none, the user whom a proxy names.
    pub name: String,
    /// The role.
    pub role: Role,
    /// Whether the server requires a token. One that does not serves every caller as an admin.
    pub token_required: bool,
    /// How the service knows.
    pub how: Authentication,
    /// When the token or the session ends to be accepted; absent: it has no end. A session ends
    /// later if it is asked for again before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
}

/// What a browser begins a session with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewSession {
    /// A token.
    pub token: String,
}

impl fmt::Debug for NewSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSession").finish_non_exhaustive()
    }
}

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewToken {
    /// Who or what will use it: 1 to 64 of `A-Z a-z 0-9 . _ -`, not only dots.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// When it ends to be accepted; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_time: Option<Timestamp>,
}

/// Names that callers without a token of their own are shown by.
const RESERVED: [&str; 2] = ["anonymous", "configuration"];
/// The beginning of the names by which retention rules are shown.
const RULE: &str = "retention:";

/// Whether a name stands for callers without a token of their own, or for a retention rule.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    let is_rule = name.get(..RULE.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(RULE));
    is_rule || RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name))
}

impl NewToken {
    /// Checks the name.
    ///
    /// # Errors
    /// The name has other characters, is too long, or is one that stands for other callers.
    pub fn check(&self) -> Result<(), FieldError> {
        check_name(&self.name)?;
        if is_reserved(&self.name) {
            return Err(FieldError::new("name", "stands for callers without a token of their own"));
        }
        Ok(())
    }
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Token {
    /// Who or what uses it.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// When it was made.
    pub create_time: Timestamp,
    /// The name of the admin who made it.
    pub created_by: String,
    /// When it ends to be accepted; absent: never.
    pub expire_time: Option<Timestamp>,
    /// When it was used last, as far as that was written down: at most once an hour.
    pub last_use_time: Option<Timestamp>,
    /// When it was revoked.
    pub revoke_time: Option<Timestamp>,
}

/// A token that was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedToken {
    /// What to send as `Authorization: Bearer …`. The service keeps a hash only, so this is the one
    /// time that it can be read.
    pub secret: String,
    /// What the service keeps of it.
    pub token: Token,
}

impl fmt::Debug for CreatedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedToken").field("token", &self.token).finish_non_exhaustive()
    }
}

/// Something that a caller did by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// When it was asked for.
    pub time: Timestamp,
    /// Who did it: the name of the token, or of the user whom a proxy names.
    pub name: String,
    /// The role of that one.
    pub role: Role,
    /// How the service knew; absent in entries of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<Authentication>,
    /// What was done: the operation, as the OpenAPI document names it.
    pub act: String,
    /// With what: a token, a delivery, a job.
    pub subject: String,
    /// The address that the request came from.
    pub from: Option<String>,
    /// The request, as the service's logs name it.
    pub request_id: String,
    /// The code of the problem, if it was refused, has failed or was cut off; a part of it may have
    /// been done.
    pub failed: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    #[test]
    fn roles_have_their_order_and_their_names() {
        assert!(Role::ALL.is_sorted());
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
        assert!("Admin".parse::<Role>().is_err());
    }

    #[test]
    fn a_name_can_stand_in_a_path_and_names_one_caller() {
        let named = |name: &str| {
            NewToken { name: name.to_owned(), role: Role::Reader, expire_time: None }.check()
        };
        let longest = "x".repeat(limits::TOKEN_NAME);
        for good in ["a", "nightly-build", "anna.b", "..a", &longest] {
            assert_eq!(named(good), Ok(()), "{good}");
        }
        let long = format!("{longest}x");
        for bad in ["", ".", "..", "a b", "a/b", "ü", "anonymous", "Configuration", &long] {
            assert_eq!(named(bad).unwrap_err().field, "name", "{bad}");
        }
    }
}
