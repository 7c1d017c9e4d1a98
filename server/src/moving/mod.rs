//! Moving house: trees go from one store into a file, and from there into another store, of the
//! same kind or another, without losing history.
//!
//! [`Export`] reads trees out, [`import`] puts them in; `jobtracker export` and `jobtracker import`
//! call these two.
//!
//! # What moves
//! Everything of a tree: each job with its definition (and the fingerprint by which a repeated
//! creation is known), its status, changes, log and attachments, and the names of repeatable
//! appends, so that a change that is sent again after the move is known to have been applied; its
//! actions, checks and deliveries, **with their secrets**: every reader of the file has them. What
//! is due is done by any service that has the tree, so stop the old one before the move. One tree
//! can bring along 100,000 checks and deliveries that wait or failed, of 128 MiB. The mark up to
//! which ids were given out moves too: no id is given out twice.
//!
//! [Documents](jobtracker_store::Documents) move with their versions, except to a file of chosen
//! roots.
//!
//! What does not move: **the outcomes of uploads** of buffered contexts (an upload that is sent
//! again after the move is applied again, except its creations: let contexts flush before), rows
//! that are staged and not published, and the versions of trees, which begin again at 1.
//!
//! # The file, version 8
//! Frames of zstd, one after the other; unpacked, lines of JSON in UTF-8, one object each, ended by
//! one line feed. An object has one member, whose name tells what the line is (`zstd -dc FILE | jq`
//! shows them). The first frame has the header, then come the trees with a frame each, and the last
//! frame has the documents and the end; so a file that breaks off is good up to its last whole
//! frame. A reader need not look at where frames begin.
//!
//! - `header`: `format`, which is "jobtracker-export"; `version`: 8; `program`: the version of the
//!   writer; `time`: when it began; `store`: the kind of the source; `idMark`: every id below it
//!   may have been given out; `selection`: `{"created": {"from": …, "until": …}}` (times or null:
//!   from this one on, and before that one) or `{"roots": [ids]}`
//! - `tree`: `root`, `createTime`, `jobs`: how many it has
//! - `job`: `id`, `parent` (null for the root), `fingerprint`: 32 hex digits, `name`, `createdBy`,
//!   `tags`, `options`\*, `sourceLink`\*, and since version 7 `keepDays`, where the root has it
//! - `status`: `id` and what moves: the visible `state`, the `last` own one, `everFaulted`,
//!   `createTime`, `startTime`\*, `endTime`\*, `children`, `subtree`, `treeStart`\*, `treeEnd`\*,
//!   `changes` (the creation included), `logLines`, `attachments`, and since version 2 `followed`:
//!   true, where the job has follow-ups, and since version 3 `firstFault`: `time`, `job` and
//!   `change` (its number), or null; absent where it is not known
//! - `change`: `id`, `number`, `state`, `time`, `message`\*, `reasonCode`\*, `changeId`\*
//! - `logLine`: `id`, `line`, `time`, since version 8 `attempt`, where one of the task has said it,
//!   and `text`
//! - `attachment`: `id`, `key`, `text`
//! - `repeat`: `id`, `of`: "change" or "append", `name`, `first`: the number of the change or of
//!   the first line, `count`, `fingerprint`: 16 hex digits
//! - `followUp`, since version 2: `id`, `key`: which of the job's, and `row`: all that is kept of
//!   it
//! - `treeEnd`: `root`, how many lines of each kind there were (`jobs`, `changes`, `logLines`,
//!   `attachments`, `repeats`, and `followUps` where there are any), `checksum`: 16 hex digits
//! - `document`, since version 5: `kind`, `key`, `version`: 32 hex digits, `bytes`: in base64 (RFC
//!   4648, with padding)
//! - `end`: `trees`, the sums of these numbers, `idMark` as of the end, and where there are
//!   documents `documents`: their `count` and the `checksum` of their lines, like that of a tree
//!
//! \* may be null. Times, states, `children` and `subtree` are spelt as in the API; ids are
//! numbers up to 2^63 − 1.
//!
//! Trees come newest root first, by creation time and id (or, chosen by root, by id). Within a
//! tree, each job stands before its children, and siblings by id; a job's lines stand together, in
//! this order, each kind in its own: changes from number 1 (the creation, number 0, is what the
//! status tells), lines from 0, attachments by key, follow-ups by key. The **checksum** is XXH3 (64
//! bits, seed 0) over the bytes of all lines between `tree` and `treeEnd`, line feeds included.
//!
//! Documents come behind the trees, by kind (in the order token, schedule, workflow, worker,
//! retentionRule) and by the bytes of their keys.
//!
//! A line has at most 1 MiB. A reader refuses a version that it does not know; every addition to a
//! line gets a new version.
//!
//! # How it is read
//! `frames` packs and unpacks lines, `record` says what a line is, `shape` checks that lines make
//! up a tree, `tally` counts them and sums them up; `reader` does all of that for a file. `rows`
//! reads trees out of a store, `target` is where an export goes, and `resume` finds the part of it
//! that exists already; `fetched` is a file that takes what another service exports; `placing`
//! makes a tree visible and compares it.

mod error;

mod frames;
mod record;
mod shape;
mod tally;

mod reader;
mod rows;

mod export;
mod fetched;
mod resume;
mod target;

mod import;
mod placing;

pub use crate::clock::now;
pub use error::{Location, MovingError};
pub use export::{Export, Exported};
pub use fetched::Fetched;
pub use import::{Imported, ImportedDocuments, Step, import};
pub use record::Selection;
pub use target::{Outlet, Target};

/// The result of a step of a move.
pub type Result<T> = std::result::Result<T, MovingError>;

/// About how many rows and bytes are read from a store or written to it at once.
const ROWS_AT_ONCE: usize = 4_000;
const BYTES_AT_ONCE: usize = 1024 * 1024;
/// Small trees under way to or from a store at once.
const TREES_AT_ONCE: usize = 32;
