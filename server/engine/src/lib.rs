//! The tree engine: takes operations, applies them to the rows of their trees, commits them in
//! groups, and answers when they are durable.
//!
//! Reading order: [`Engine`] is the door (a queue within `bounds`), `commit` takes what waits and
//! makes one durable commit of it (a `flight`; whoever has to wait for one stands in `line`),
//! `apply` is pure and knows the rules through the model, `wait` tells those who wait for a state
//! and `due` those who do what is due.
//! On a store that other servers share, `turns` keeps the race for a tree fair, and `watch` sees
//! what others have committed.
//! A commit of a buffered context comes in through a [`CommitSession`] (`flush`), which makes one
//! operation of each of its trees.
//! Nothing here knows HTTP or a database driver.

#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

mod error;
mod operation;

mod bounds;

mod handle;

mod commit;
mod due;
mod flight;
mod follow_up;
mod ids;
mod workspace;

mod homes;
mod line;

mod contest;
mod turns;

mod apply;

mod flush;

mod metrics;
mod outages;
mod wait;
mod watch;

pub use due::SOON;
pub use error::{Error, Result};
pub use flush::{Begun, CommitSession, Vet};
pub use follow_up::Tried;
pub use handle::{Engine, Options};
pub use outages::Outages;
