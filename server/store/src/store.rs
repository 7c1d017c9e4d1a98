use crate::{Documents, Health, Indexes, Jobs, Servers, Trees, Uploads};

/// A store of job trees.
///
/// **Atomic unit**: one [`TreeCommit`](crate::TreeCommit). Every reader, in every method, sees it
/// whole or not at all; an answer with several rows of one tree shows them at one instant.
///
/// **Durable before the reply**: when [`commit`](Trees::commit) or
/// [`reserve_ids`](Servers::reserve_ids) answers `Ok`, what it did survives the end of the process
/// and of the machine (a backend that keeps nothing says so in its own words).
///
/// **Read your writes**: a read that begins after a commit was answered sees it.
///
/// **Time-outs**: [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown) is the only error after
/// which a commit may have been done; sending the same commit again is then refused as stale or
/// done once, never twice.
///
/// A dropped future may or may not have done its work; it is never done by half. (Staging rows is
/// the exception: a stage whose call was dropped can only be discarded.)
///
/// It is the sum of one trait for each family of tables; a caller may take one of them alone.
pub trait Store: Trees + Jobs + Indexes + Documents + Uploads + Servers + Health {}

impl<T: Trees + Jobs + Indexes + Documents + Uploads + Servers + Health> Store for T {}
