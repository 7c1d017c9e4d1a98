//! The jobtracker service: HTTP on top of the engine and a store.
//!
//! Reading order: [`Config`] has the settings, [`Server`] starts and stops everything, `http` has
//! one file per resource. The binary parses the command line and picks the backend; no code here
//! knows which one it is.

#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

mod access;
mod clock;
mod config;
mod telemetry;
mod tls;

mod expression;
mod metrics;

mod follow_ups;
mod live;
mod outbox;
mod overview;
mod paths;
mod retention;
mod tasks;

#[expect(unused_qualifications, reason = "the macros that write the OpenAPI document use them")]
mod http;
mod server;
mod sweep;

pub mod moving;

pub use config::{
    AccessConfig, AuthConfig, CallbacksConfig, Config, ConfigError, EngineConfig, ExportConfig,
    InvalidListen, JobsConfig, Listen, LiveConfig, LogConfig, LogFormat, Overrides, ProxyConfig,
    RetentionConfig, ScyllaConfig, Secret, ServerConfig, SmtpConfig, SmtpTls, StoreConfig,
    StoreKind, TabletsChoice, UploadsConfig, WorkersConfig,
};
pub use http::openapi::document as openapi_document;
pub use server::{RunningServer, Server, StartError};
pub use tasks::{RoutedWorker, Router, Routers};
pub use telemetry::Telemetry;
