//! Connections: the layer between a socket and a request.
//!
//! actix-web serves HTTP here, and this module adds what it lacks: an upgrade that no
//! route takes is ignored (`framing`), a client that stops in the middle of a head or does not read
//! its answer is dropped (`socket`), the bytes may be encrypted (`stream`), and the connections
//! that are left when the service stops are cut off (`serve`).

mod framing;
mod serve;
mod socket;
mod stream;

pub(crate) use framing::{LIVE, WORKER_SOCKET};
pub(crate) use serve::{Ends, serve};
pub(crate) use socket::{Encrypted, Streamed, Streaming};
