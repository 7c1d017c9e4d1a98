//! ScyllaDB, or Apache Cassandra, which speaks the same protocol: for more than one machine, and
//! for more than one server.
//!
//! # A tree is a log with checkpoints
//!
//! One small partition decides everything about a tree: its *head* (version, and the name of the
//! commit that made it), and behind it the log. A commit is **one conditional batch in that
//! partition** — the head moves on if it is what the commit was computed from, and the rows of the
//! commit go into the log as one entry — so it is there whole or not at all, for every server, and
//! it costs the same however many rows and operations it has. Two servers that commit at once
//! cannot both follow the same head: one of them loads again and computes again.
//!
//! The older part of the log is brought to the other tables by a *checkpoint*: plain writes, each
//! with the version as its timestamp, so that they may be made again, by several servers, in any
//! order. Then a plain row says up to where the log has been applied, and the entries go. A small
//! tree lives in its log; a checkpoint is made when the tail is past 128 entries or 512 KiB, of its
//! older half.
//!
//! A reader refreshes the tail, which is one slice of one partition, and reads the tables, with the
//! tail's image in the place of theirs. A row of a table that is newer than the tail was brought
//! there meanwhile: the reader begins again. So every answer is of one instant. A server remembers
//! the tails and what it has read; a head refresh fetches only what is new. Usually no other server
//! writes to a tree: then the head tells that what is remembered is still all, and what was read
//! from the tables beside that refresh is right.
//!
//! # Why so
//!
//! The simplest thing would be to keep a whole tree in one partition and to write its rows in the
//! conditional batch. A million jobs would be a partition of some 300 MB and a million rows
//! (ScyllaDB warns at 1,000 MB or 100,000 rows; for Cassandra 100 MB is the advice), every job of a
//! group would be a statement of the condition's round, and a condition costs about ten plain
//! writes. Here a condition carries one packed value of some kilobytes, and no partition grows with
//! the tree: the log is bounded by its checkpoints, and jobs are kept 256 neighbours to a
//! partition.
//!
//! # Partitions, with a million children under one root
//!
//! | table | partition | rows in it | size, about |
//! |---|---|---|---|
//! | `tree` | a tree | the tail: 128 entries, at most 8 times that | 0.1 MB; at most 4 MB |
//! | `job` | 256 ids of one parent | 256 | 75 KB; 17 MB with full options |
//! | `job`, page −1 | pages of one parent | 3,907; 1M of lone ids | 0.1 MB; 30 MB |
//! | `origin` | 256 ids | 256 | 10 KB |
//! | `history` | 32 changes of 256 ids | up to 8,192 | 0.1 MB; 33 MB with full messages |
//! | `listing`, roots | one of 16 slots of a minute | 100,000 at 27,000 roots a second | 11 MB |
//! | `document`, `transient_document` | a kind | documents | 1 KB each; 256 KiB when full |
//! | `detail` | a job | attachments, later repeatable appends | 4 MB; 10 MB when full |
//!
//! # Ids
//!
//! A job's tree is found by a *reservation* of its id in the table `origin` (`reservations`). It is
//! a plain write; see there how two trees that reserve one id are kept apart without a conditional
//! write per job.
//!
//! # Stages
//!
//! Staged rows are written plainly into the tables under the stage's number, which is part of the
//! keys. The commit that publishes the stage is the same conditional batch as always, with a mark
//! for the stage in the tree's partition. A reader that meets a row of a stage asks for that mark.
//!
//! # When an answer is lost
//!
//! Only `sending` sends a conditional batch, and again only with the same name: if an earlier
//! sending came true, the head bears that name, or the log has it. An outcome that cannot be found
//! out in time is [`OutcomeUnknown`](crate::Error::OutcomeUnknown); the commit, sent again, is
//! refused as stale or done once.
//!
//! # Durability
//!
//! An answered commit is on a quorum of the copies in the data centre. Whether it survives a power
//! cut of all of them at once is for the cluster to say: with `commitlog_sync: batch` (or `group`
//! on Cassandra) it does. With `periodic`, the default of both, a node answers plain writes before
//! they are on its disk, and Cassandra conditional ones too; ScyllaDB syncs those, but a log whose
//! parts, reservations or checkpoints are lost is of little use.
//!
//! Reading order: [`ScyllaStore`] is the entry point. `commit` makes sure of the ids
//! (`reservations`) and gives the batch to `sending`, which tries it by `attempt`; `redo` is an
//! entry of a log, `tail` the part of a log that is not in the tables, `tree` and `trees` what a
//! server remembers; `checkpoint` and `writes` bring entries to the tables. `locations` finds jobs,
//! `pinned` is a tree at one instant, of which `reads` answers; `roots`, `index` and `uploads` are
//! kept by time. `documents` are rows of a table of their own. `deletions` sees to it
//! that deleted trees are removed, which `removals` does. `stages` holds staged rows, `open`
//! and `tidy` look after what a dead server has left, `fence` stops its late writes. `schema`,
//! `statements` and `keys` are the tables.

mod options;
mod store;

mod attempt;
mod commit;
mod deletions;
mod documents;
mod fence;
mod ids;
mod lease;
mod reservations;
mod sending;

mod checkpoint;
mod redo;
mod tail;
mod tree;
mod trees;
mod writes;

mod index;
mod locations;
mod pinned;
mod reads;
mod removals;
mod roots;
mod uploads;

mod open;
mod stages;
mod tidy;

mod clocks;
mod cluster;
mod connect;
mod failure;
mod keys;
mod migrate;
mod patience;
mod routing;
mod schema;
mod statements;

#[cfg(feature = "testing")]
pub mod testing;

pub use migrate::{Migrated, migrate};
pub use options::{ScyllaOptions, Tablets, Tls};
pub use store::ScyllaStore;
