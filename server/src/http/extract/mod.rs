//! What handlers extract from a request. Each extractor refuses with the problem code that fits.

mod body;
mod commit;
mod if_match;
mod json;
mod lines;
mod path;
mod query;
mod text;

pub(crate) use body::ZSTD_WINDOW_LOG_MAX;
pub(crate) use commit::UploadBody;
pub(crate) use if_match::IfMatch;
pub(crate) use json::{Json, OptionalJson};
pub(crate) use path::{AttachmentPath, Commit, DeliveryPath, Id, Name, NumberPath};
pub(crate) use query::{Query, flag, limit, number, order, states, time, wait_time};
pub(crate) use text::{LogBody, Text};
