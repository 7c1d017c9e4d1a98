//! An upload: taken out of the trees, and written as a stream as often as it has to be sent.

mod batch;
mod source;
mod stored;
mod tree;

pub(crate) use batch::{Batch, Batches};
pub(crate) use source::{Sending, written_ahead};
pub(crate) use stored::{broken, read_stream};
pub(crate) use tree::{BatchTree, Refused, Said, write_stream};
