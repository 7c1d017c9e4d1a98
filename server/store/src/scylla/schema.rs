//! The tables, and how they are brought to the newest version.

use crate::DocumentKind;

/// The version of the tables that this program reads and writes.
pub const VERSION: i64 = 11;

/// One step from a version of the tables to the next. Each statement may be run again.
pub struct Migration {
    /// The version after it.
    pub to: i64,
    /// Its statements, in order.
    pub statements: &'static [&'static str],
    /// Kinds whose documents move behind them to the table of those that come and go.
    pub moves: &'static [DocumentKind],
}

impl Migration {
    const fn new(to: i64, statements: &'static [&'static str]) -> Self {
        Self { to, statements, moves: &[] }
    }
}

/// The documents that come and go by themselves. One that is back after its removal says how old it
/// is, and goes again; so the cluster need not remember removals until the next repair.
pub const TRANSIENT: [DocumentKind; 2] = [DocumentKind::Worker, DocumentKind::Audit];

/// All steps, in order. What was released is never changed, only added to.
pub const MIGRATIONS: &[Migration] = &[
    FIRST,
    FOLLOW_UPS,
    SPREAD_LISTS,
    FIRST_FAULTS,
    KNOWN_FAULTS,
    DOCUMENTS,
    DELETIONS,
    TASKS,
    KEPT,
    TRANSIENT_DOCUMENTS,
    FAILURES_KEPT,
];

const FIRST: Migration = Migration::new(
    1,
    &[
        // The log of a tree: its head decides. Written by conditional batches alone, but for the
        // row that says how far it was applied, and the removal of what was.
        "CREATE TABLE IF NOT EXISTS tree (root bigint, kind tinyint, id bigint, \
         version bigint, cid uuid, stamp bigint, body blob, parts int, \
         PRIMARY KEY ((root), kind, id)) \
         WITH compaction = {'class': 'LeveledCompactionStrategy'}",
        // Bodies of the log that are too large for a conditional batch.
        "CREATE TABLE IF NOT EXISTS part (cid uuid, part int, body blob, \
         PRIMARY KEY ((cid), part))",
        // Reservations: which tree has a job, if that job is visible there.
        "CREATE TABLE IF NOT EXISTS origin (bucket bigint, id bigint, root bigint, stage bigint, \
         parent bigint, PRIMARY KEY ((bucket), id, root, stage, parent)) \
         WITH compaction = {'class': 'LeveledCompactionStrategy'}",
        // Jobs by parent, 256 neighbours to a partition; page -1 is the list of the pages.
        "CREATE TABLE IF NOT EXISTS job (parent bigint, page bigint, id bigint, stage bigint, \
         ver bigint, origin blob, definition blob, status blob, \
         PRIMARY KEY ((parent, page), id, stage)) \
         WITH compaction = {'class': 'LeveledCompactionStrategy'}",
        // Changes, lines of logs and deliveries; the first changes and lines with what the append
        // did that made them.
        "CREATE TABLE IF NOT EXISTS history (bucket bigint, kind tinyint, part int, id bigint, \
         stage bigint, number int, ver bigint, \
         body blob, repeat blob, PRIMARY KEY ((bucket, kind, part), id, stage, number))",
        // Attachments, follow-ups but for deliveries, and what later repeatable appends did. An
        // attachment that was taken away stays as a row without a text.
        "CREATE TABLE IF NOT EXISTS detail (id bigint, stage bigint, kind tinyint, key text, \
         ver bigint, size int, body blob, PRIMARY KEY ((id), stage, kind, key))",
        // Lists by time or number.
        "CREATE TABLE IF NOT EXISTS listing (list tinyint, slot bigint, place bigint, key text, \
         body blob, PRIMARY KEY ((list, slot), place, key))",
        // Uploads and the results on their trees.
        "CREATE TABLE IF NOT EXISTS verdict (sent text, root bigint, kind tinyint, ver bigint, \
         body blob, PRIMARY KEY ((sent), root, kind))",
        // Single values that servers agree on. Written by conditions alone.
        "CREATE TABLE IF NOT EXISTS register (name text PRIMARY KEY, value bigint, owner uuid)",
    ],
);

/// Rows of follow-ups go into the existing tables. An older program can read neither them nor the
/// jobs that have some, so it has to leave these tables alone.
const FOLLOW_UPS: Migration = Migration::new(2, &[]);

/// New roots are listed in slots of their minutes, and open work by minutes. Older entries stay
/// where they are and are read there; an older program would not find the new ones.
const SPREAD_LISTS: Migration = Migration::new(3, &[]);

/// Jobs that failed, or have failed jobs below, say which report was the first; an older program
/// cannot read them.
const FIRST_FAULTS: Migration = Migration::new(4, &[]);

/// Jobs say whether it is known that nothing has failed, and checks when they told of silence; an
/// older program cannot read them.
const KNOWN_FAULTS: Migration = Migration::new(5, &[]);

/// Documents by kind. An older program does not know them, so that it must not begin to work on
/// these tables, where it would ignore them; one that is at work goes on.
const DOCUMENTS: Migration = Migration::new(
    6,
    &[
        // Written by conditions alone.
        "CREATE TABLE IF NOT EXISTS document (kind tinyint, key text, version uuid, body blob, \
         PRIMARY KEY ((kind), key)) \
         WITH compaction = {'class': 'LeveledCompactionStrategy'}",
    ],
);

/// The log of a deleted tree says so in a row that an older program cannot read, and would show
/// what is left of it.
const DELETIONS: Migration = Migration::new(7, &[]);

/// Jobs may have tasks. An older program cannot read them.
const TASKS: Migration = Migration::new(8, &[]);

/// Roots may say how many days their trees are kept, and only the summary of a tree may be left. An
/// older program can read neither.
const KEPT: Migration = Migration::new(9, &[]);

/// Documents that come and go have a table of their own, which forgets removals after three hours:
/// for as long the nodes keep hints for one that is down. An older program would not find them.
const TRANSIENT_DOCUMENTS: Migration = Migration {
    to: 10,
    statements: &[
        // Written by conditions alone, but for those that moved here.
        "CREATE TABLE IF NOT EXISTS transient_document (kind tinyint, key text, version uuid, \
         body blob, PRIMARY KEY ((kind), key)) \
         WITH compaction = {'class': 'LeveledCompactionStrategy'} AND gc_grace_seconds = 10800",
    ],
    moves: &TRANSIENT,
};

/// Summaries of trees keep their first failures, which an older program cannot read.
const FAILURES_KEPT: Migration = Migration::new(11, &[]);

/// The tables, for tests that empty them.
#[cfg(feature = "testing")]
pub const TABLES: [&str; 11] = [
    "tree",
    "part",
    "origin",
    "job",
    "history",
    "detail",
    "listing",
    "verdict",
    "register",
    "document",
    "transient_document",
];
