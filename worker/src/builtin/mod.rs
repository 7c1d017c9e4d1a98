//! Handlers that are ready to use. A worker offers none of them unless its program adds it.

mod command;
mod sharding_demo;

pub use command::Command;
pub use sharding_demo::sharding_demo;
