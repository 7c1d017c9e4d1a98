//! HTTP: one file per resource, one middleware around them all.
//!
//! A handler extracts what it needs from the request, makes one call of the engine (to change data)
//! or of the store (to read), and converts the answer. `problem` is the only place that knows which
//! problem code an error becomes.

mod app;
mod problem;

mod admission;
mod compress;
mod connection;
mod cookie;
mod loops;
mod middleware;
mod proxy;
mod request_id;
mod right;
mod site_guard;
mod unread;
mod web_socket;

mod cursor;
mod exports;
mod extract;
mod fields;
mod filtered;
mod reply;

mod actions;
mod attachments;
mod audit;
mod backup;
mod changes;
mod checks;
mod children;
mod commits;
mod deliveries;
mod events;
mod ids;
mod jobs;
mod live;
mod log;
mod operation;
mod page;
mod queue;
mod retention;
mod roots;
mod roots_filter;
mod roots_histogram;
mod roots_scan;
mod rows;
mod schedules;
mod session;
mod shape;
mod tasks;
mod tokens;
mod topics;
mod tree;
mod validate;
mod wait;
mod worker_socket;
mod workers;

mod endpoint;
mod gone;
pub(crate) mod openapi;
mod routes;

pub(crate) use app::App;
pub(crate) use backup::EXPORTS_AT_ONCE;
pub(crate) use connection::{Ends, serve};
pub(crate) use exports::AT_ONCE as FILES_AT_ONCE;
pub(crate) use proxy::Proxy;
pub(crate) use request_id::RequestIds;
pub(crate) use roots_histogram::Histograms;
use routes::endpoints;
pub(crate) use site_guard::SiteGuard;
