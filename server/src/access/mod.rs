//! Who a caller is and what the caller may do: tokens, sessions of browsers, roles, failed tries,
//! the audit list. No HTTP.
//!
//! A [`Principal`] is found by what the caller sends ([`Access::known`], [`Access::session`]); the
//! extractors of `http::right` compare its role with the one that a handler needs.

mod principal;
mod refused;
mod token;
mod tries;

mod known;
mod tokens;

mod logins;
mod session;
mod sessions;

mod shares;

mod callers;

mod audit;

pub(crate) use audit::Audit;
pub(crate) use callers::Access;
pub(crate) use principal::{Admitted, Principal};
pub(crate) use refused::{AuditError, Refused, SessionError, TokenError};
pub(crate) use shares::{NoPlace, Share, Shares};
pub(crate) use tokens::Tokens;
