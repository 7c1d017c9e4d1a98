//! The settings, their sources, and the errors that stop a start.
//!
//! `config.default.toml` is compiled in; it is both the defaults and the reference.

mod error;

mod callbacks;
mod check;
mod environment;
mod kind;
mod layers;
mod listen;
mod load;
mod proxy;
mod scylla;
mod sections;
mod smtp;

pub use callbacks::CallbacksConfig;
pub use error::ConfigError;
pub use jobtracker_model::Secret;
pub use listen::{InvalidListen, Listen};
pub use load::Overrides;
pub use proxy::ProxyConfig;
pub use scylla::{ScyllaConfig, TabletsChoice};
pub use sections::{
    AccessConfig, AuthConfig, Config, EngineConfig, ExportConfig, JobsConfig, LiveConfig,
    LogConfig, LogFormat, RetentionConfig, ServerConfig, StoreConfig, StoreKind, UploadsConfig,
    WorkersConfig,
};
pub use smtp::{SmtpConfig, SmtpTls};
