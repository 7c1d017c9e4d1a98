//! Who a caller is and what the caller may do: tokens, roles, failed tries, the audit list. No
//! HTTP.
//!
//! A [`Principal`] is found by what the caller sends ([`Access::known`], [`Access::find`]); the
//! extractors of `http::right` compare its role with the one that a handler needs.

mod principal;
mod refused;
mod token;
mod tries;

mod known;
mod tokens;

mod audit;

pub(crate) use audit::Audit;
pub(crate) use principal::Principal;
pub(crate) use refused::{AuditError, Refused, TokenError};
pub(crate) use tokens::Access;
