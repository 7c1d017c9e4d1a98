//! An upload: what a buffered context sends, jobs and changes for any number of trees, as a stream
//! of records.
//!
//! # The stream, version 1
//! The stream begins with the eight bytes `JOBTREES` and one byte, the version: 1. Then come
//! records: a length, and that many bytes, at most [`limits::COMMIT_RECORD`], or
//! [`FOLLOWED_RECORD`] for kind 9. The bytes are a kind and the fields of that kind, in order. Its
//! media type is [`MEDIA_TYPE`].
//!
//! Lengths, kinds, and all other whole numbers without a sign are LEB128: seven bits a byte, the
//! lowest first, the highest bit set on all bytes but the last. Signed numbers (times, in
//! milliseconds since 1970) are zigzag-coded first: 0, −1, 1, −2 become 0, 1, 2, 3. A checksum is
//! such a number too. A text is its length in bytes and its UTF-8; an optional value is a byte 0,
//! or a byte 1 and the value; a list is its length and its items; a truth value is a byte, 0 or 1.
//! (This is the format "postcard"; see its specification for more.) A state is its number: 1
//! WaitingToRun, 2 Faulted, 3 RanToCompletion, 4 Running, 5 WaitingForChildrenToComplete, 7
//! Warning; WaitingForActivation cannot be reported.
//!
//! | kind | record | fields |
//! |---|---|---|
//! | 0 | header | the rule for updates to finished jobs: truth value |
//! | 1 | tree | root |
//! | 2 | job | id, parent*, order, time, name, created by, list of tags, options*, source link* |
//! | 3 | existing job | id |
//! | 4 | change | order, state, time, message*, reason code*, change id* |
//! | 5 | options | text* |
//! | 6 | line of the log | time, text |
//! | 7 | end of a tree | number of jobs, number of changes, checksum |
//! | 8 | end | number of trees |
//! | 9 | job with actions or checks | those of *job*, list of actions, list of checks |
//!
//! \* optional
//!
//! Of a root that says how many days its tree is kept, a byte stands in the place of *source link*
//! that is 2, and the number of days behind it; or 3, and then the link and the days.
//!
//! Of a job with actions or checks (kind 9), everything holds that is said of a *job* (kind 2). A
//! job that has neither may be told in either way. The fields of its parts are, in order:
//!
//! | part | fields |
//! |---|---|
//! | action | states, request*, e-mail* |
//! | check | kind, time*, states*, expression*, milliseconds of silence*, success*, failure* |
//! | success, failure | request*, e-mail* |
//! | request | address, list of headers, payload*, proxy*, secret* |
//! | header | name, value |
//! | proxy | address, user*, password* |
//! | e-mail | list of addresses, list of addresses for copies, subject* |
//!
//! States are a byte with the bit of the number of each: 12 for RanToCompletion and Faulted. The
//! kind of a check is 0 for a check of the state, which has a time and states; 1 for one of the
//! numbers of the subtree, which has a time and an expression; 2 for silence, which has its
//! milliseconds and no success. A payload is a text of JSON without blanks between its parts.
//!
//! The header comes first and once. Then one tree after the other, each with its end, each root
//! once. Within a tree, *job* creates a job and *existing job* speaks of one that the service has;
//! changes, options and lines that follow belong to it. The existing jobs come first, each once, as
//! far as there is anything to say of them. A new job comes before its children, and its whole
//! subtree before any job that is not below it, as in a walk down the tree: so a job's parent is
//! the job before it, or one above that, or a job that the service has. Other options of a new job
//! directly follow its creation. *End* comes last.
//!
//! **order** is the place of a creation or change among all of its tree, in the order in which they
//! were recorded: larger for what came later, each number once. The changes of a job follow in that
//! order, and a child has a larger one than its parent. The creation of a job counts as its first
//! change and is not told again. The **checksum** is XXH3 (64 bits, seed 0) over all bytes from the
//! length of the tree record, that included, up to the length of the end-of-tree record, that not
//! included.
//!
//! A new job's changes are taken as they were recorded; the sender keeps the rules when it records
//! them, and says in the header whether updates to finished jobs were blocked. A change id may
//! stand once on a job. A change to an existing job is subject to the rules at the time of the
//! upload. The creation of a job that the service has with the same definition is passed over, and
//! the records that follow are about the existing job; these may be changes alone until a new
//! branch below an existing job is complete.
//!
//! The body may be compressed (`Content-Encoding: zstd` or `gzip`). The limits are in [`limits`]:
//! of texts and depth as everywhere, and those whose names begin with `COMMIT_`. How much may
//! follow from the states of new jobs is in [`TREE_UPCOMING`] and [`TREE_UPCOMING_BYTES`].
//!
//! # An example
//! A tree with the root 300, named "n", that failed at its first change:
//!
//! ```text
//! 4a4f425452454553 01                    JOBTREES, version 1
//! 02 00 01                               header: updates to finished jobs are blocked
//! 03 01 ac02                             tree 300
//! 0c 02 ac02 00 01 0a 01 6e 00 00 00 00  job 300, no parent, order 1, time 5, "n", nothing else
//! 07 04 02 02 0e 00 00 00                change: order 2, Faulted, time 7, nothing else
//! ```
//!
//! and then the end of the tree with the checksum of its three records, and the end (`02 08 01`).

mod id;
mod outcome;
mod reader;
mod record;
mod writer;

pub use id::{InvalidUploadId, UploadId};
pub use outcome::{BlockedChange, Refusal, TreeResult, UploadOutcome};
pub use reader::{Item, Reader, StreamError};
pub use record::Record;
pub use writer::Writer;

use crate::limits;

/// The content type of an upload.
pub const MEDIA_TYPE: &str = "application/vnd.jobtracker.commit";

/// What a stream begins with: a name and a version.
const PREAMBLE: [u8; 9] = *b"JOBTREES\x01";

/// The longest length of a record, as it stands before it.
const LENGTH_BYTES: usize = 4;

/// A record of a job with actions or checks, in bytes; the others are shorter
/// ([`limits::COMMIT_RECORD`]).
///
/// A target with the most of everything has 38,000 bytes: two addresses of 2 KiB, 8 KiB of headers,
/// a payload of 16 KiB, a login of 512 bytes, a secret of 94, 32 addresses for e-mail of 254, a
/// subject of 256, and their lengths. 16 actions have one target, and 16 checks two: 1,824,000
/// bytes. With 16 expressions of 1 KiB and a definition of 70,000 bytes that makes 1,911,000.
pub const FOLLOWED_RECORD: usize = 2 * 1024 * 1024;

/// Checks that wait, and deliveries, of the new jobs of one tree in an upload. A delivery is made
/// for each request and each e-mail of an action that names the state in which its job becomes
/// visible. The service holds them in memory until the tree is complete.
pub const TREE_UPCOMING: usize = 50_000;

/// The texts of these checks, in bytes: those of some 40,000 with one address and one recipient.
pub const TREE_UPCOMING_BYTES: usize = 8 * 1024 * 1024;

/// The kind of [`Record::FollowedJob`].
const FOLLOWED_JOB: u8 = 9;

/// How long a record of this kind may be.
fn most_bytes(kind: u8) -> usize {
    if kind == FOLLOWED_JOB { FOLLOWED_RECORD } else { limits::COMMIT_RECORD }
}

const _: () = assert!(limits::COMMIT_RECORD < FOLLOWED_RECORD);
const _: () = assert!(FOLLOWED_RECORD < 1 << (7 * LENGTH_BYTES));
