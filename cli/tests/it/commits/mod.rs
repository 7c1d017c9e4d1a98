//! Uploads of buffered contexts over HTTP: by streams made by hand, and by the real context.

mod broken;
mod sending;
pub mod stream;
