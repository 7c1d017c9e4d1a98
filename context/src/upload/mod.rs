//! An upload: taken out of the trees, and written as a stream as often as it has to be sent.

mod batch;
mod source;
mod stored;

pub(crate) use batch::{Batch, BatchTree, Batches, Said};
pub(crate) use source::{Sending, write_stream, written_ahead};
pub(crate) use stored::{broken, read_stream};
