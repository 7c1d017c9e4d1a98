//! Live views: what clients are told of trees while they change. No HTTP.
//!
//! The [`Hub`] has the trees that are watched. Each [`tree`] listens to the engine's feed once, for
//! all of its viewers: it keeps the events in a [`ring`], from which subscriptions read at their
//! own pace, and it reads the rows that are shown ([`window`]) a few times a second. Nothing is
//! queued for a viewer; a [`state`] of the whole service is looked at once a second for all of
//! them: a [`Connection`] is asked for the next frame when there is room to send it,
//! so one that reads slowly gets newer rows, and gaps where events have left the ring.

mod connection;
mod events;
mod frame;
mod hub;
mod list;
mod pace;
mod ring;
mod state;
mod subscription;
mod tree;
mod window;

pub(crate) use connection::{Connection, Told};
pub(crate) use hub::Hub;
pub(crate) use state::{Source, State};
pub(crate) use window::{read_rows, version};
