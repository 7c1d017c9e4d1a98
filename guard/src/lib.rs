//! Requests to addresses that others have chosen: the receivers of deliveries, and what the tasks
//! of a worker call.
//!
//! [`Guard`] says which addresses may be reached. A client that [`Clients`] builds resolves the
//! name of its one host and checks the addresses in one step, so that a name cannot change its
//! meaning between the check and the connection. [`Unsent`] says why a request was not sent, and
//! [`without_secrets`] takes out of an answer what was sent in confidence.

#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

mod answer;
mod client;
mod guard;
mod resolve;
mod trust;

pub use answer::{begin_of, without_secrets};
pub use client::{Clients, Unsent};
pub use guard::{Forbidden, Guard, InvalidRule, Reach, Rule, Rules};
pub use resolve::{Resolver, SystemResolver};
pub use trust::{TrustError, client_config};
