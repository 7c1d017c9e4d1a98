//! What is sent at once: taken out of the trees, and written as a stream as often as it has to be.

mod batch;
mod source;

pub(crate) use batch::{Batch, BatchTree, Batches};
pub(crate) use source::{Sending, write_stream};
