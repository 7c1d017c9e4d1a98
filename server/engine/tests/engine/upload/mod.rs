//! Uploads, record by record, over the memory store and the embedded one.

mod again;
mod faults;
mod firing;
pub mod follow_ups;
pub mod recording;
mod refused;
mod splits;
pub mod trees;
