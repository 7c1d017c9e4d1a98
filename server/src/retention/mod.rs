//! Deletion of trees: by hand, and by rules.
//!
//! A `deletion` looks whether a tree may go, and has the engine delete it as it was seen; the store
//! removes what it has occupied. Of some trees a `summary` is kept. `rules` are documents; the
//! `rounds` look through all roots for trees that a `rule` means, page by page, so that they never
//! have much under way.

mod deletion;
mod metrics;
mod rule;
mod rules;
mod summary;

mod rounds;

pub(crate) use deletion::{DeletionError, Deletions};
pub(crate) use rounds::Rounds;
pub(crate) use rule::{Rule, previewed};
pub(crate) use rules::{RuleError, Rules};
