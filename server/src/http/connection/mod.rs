//! Connections: what lies between a socket and a request.
//!
//! actix-web speaks HTTP here, and three things that it does not do are done around it: an upgrade
//! that nothing takes is ignored (`framing`), a client that stops in the middle of a head or does
//! not take its answer is given up (`socket`), and what is left of connections when the service
//! stops is cut off (`serve`).

mod framing;
mod serve;
mod socket;

pub(crate) use serve::{Ends, serve};
