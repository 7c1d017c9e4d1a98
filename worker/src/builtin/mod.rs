//! Handlers that are ready to use. A worker offers none of them unless its program adds it.

mod command;
#[cfg(feature = "http")]
mod http;
mod sharding_demo;

pub use command::Command;
#[cfg(feature = "http")]
pub use http::{Http, HttpError};
pub use sharding_demo::sharding_demo;
