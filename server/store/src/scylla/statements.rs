//! Every statement, prepared once.

use scylla::{client::session::Session, statement::prepared::PreparedStatement};

use super::failure;
use crate::Result;

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident: $cql:expr;)*) => {
        /// The statements by name. Those whose name begins with `put` write rows of which the one
        /// with the highest timestamp stays; the comment of every other write says what it does.
        pub struct Statements {
            $($(#[$doc])* pub $name: PreparedStatement,)*
        }

        impl Statements {
            /// Prepares all of them.
            pub async fn prepare(session: &Session) -> Result<Self> {
                Ok(Self { $($name: prepare(session, $cql).await?,)* })
            }
        }
    };
}

async fn prepare(session: &Session, cql: &str) -> Result<PreparedStatement> {
    let mut statement = session.prepare(cql).await.map_err(failure::asking)?;
    // The conditional ones are sent by `attempt`, which takes the flag away.
    statement.set_is_idempotent(true);
    Ok(statement)
}

statements! {
    // The log of a tree.
    head: "SELECT version, cid FROM tree WHERE root = ? AND kind = 2 AND id = 0";
    applied: "SELECT version FROM tree WHERE root = ? AND kind = 3 AND id = 0";
    tail: "SELECT kind, id, version, cid, stamp, body, parts FROM tree \
           WHERE root = ? AND (kind, id) > (1, ?)";
    redo: "SELECT cid FROM tree WHERE root = ? AND kind = 1 AND id = ?";
    mark: "SELECT version FROM tree WHERE root = ? AND kind = 0 AND id = ?";
    /// Conditional.
    first_head: "INSERT INTO tree (root, kind, id, version, cid) VALUES (?, 2, 0, ?, ?) \
                 IF NOT EXISTS";
    /// Conditional.
    next_head: "UPDATE tree SET version = ?, cid = ? WHERE root = ? AND kind = 2 AND id = 0 \
                IF version = ? AND cid = ?";
    /// Only beside one of the two above.
    add_redo: "INSERT INTO tree (root, kind, id, cid, stamp, body, parts) \
               VALUES (?, 1, ?, ?, ?, ?, ?)";
    /// Only beside one of the two above.
    add_mark: "INSERT INTO tree (root, kind, id, version) VALUES (?, 0, ?, ?)";
    put_applied: "INSERT INTO tree (root, kind, id, version) VALUES (?, 3, 0, ?) \
                  USING TIMESTAMP ?";
    /// Rows that were applied: they are never written again.
    drop_redos: "DELETE FROM tree USING TIMESTAMP ? WHERE root = ? AND kind = 1 AND id <= ?";
    /// A tree of which nothing else is left.
    drop_tree: "DELETE FROM tree USING TIMESTAMP ? WHERE root = ?";
    part: "SELECT body FROM part WHERE cid = ? AND part = ?";
    put_part: "INSERT INTO part (cid, part, body) VALUES (?, ?, ?)";
    drop_parts: "DELETE FROM part WHERE cid = ?";

    // Reservations.
    put_origin: "INSERT INTO origin (bucket, id, root, stage, parent) VALUES (?, ?, ?, ?, ?) \
                 USING TIMESTAMP 1";
    drop_origin: "DELETE FROM origin USING TIMESTAMP 1 \
                  WHERE bucket = ? AND id = ? AND root = ? AND stage = ? AND parent = ?";
    /// Keeps the id of a deleted job from being used again.
    put_deleted_origin: "INSERT INTO origin (bucket, id, root, stage, parent) \
                         VALUES (?, ?, ?, ?, ?) USING TIMESTAMP 1 AND TTL ?";
    origins: "SELECT id, root, stage, parent FROM origin WHERE bucket = ? AND id IN ?";

    // Jobs.
    put_job: "INSERT INTO job (parent, page, id, stage, ver, origin, definition, status) \
              VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";
    put_page: "INSERT INTO job (parent, page, id, stage) VALUES (?, -1, ?, 0) USING TIMESTAMP 1";
    drop_job: "DELETE FROM job USING TIMESTAMP 1 \
               WHERE parent = ? AND page = ? AND id = ? AND stage = ?";
    /// Of all stages.
    remove_job: "DELETE FROM job USING TIMESTAMP ? WHERE parent = ? AND page = ? AND id = ?";
    remove_page: "DELETE FROM job USING TIMESTAMP ? WHERE parent = ? AND page = ?";
    jobs: "SELECT id, stage, ver, origin, definition, status FROM job \
           WHERE parent = ? AND page = ? AND id IN ? AND stage = ?";
    nodes: "SELECT id, stage, ver, origin, status FROM job \
            WHERE parent = ? AND page = ? AND id IN ? AND stage = ?";
    children: "SELECT id, stage, ver, origin, definition, status FROM job \
               WHERE parent = ? AND page = ? AND id > ?";
    child_nodes: "SELECT id, stage, ver, origin, status FROM job \
                  WHERE parent = ? AND page = ? AND id > ?";
    pages: "SELECT id FROM job WHERE parent = ? AND page = -1 AND id >= ? LIMIT 256";
    pages_back: "SELECT id FROM job WHERE parent = ? AND page = -1 AND id <= ? \
                 ORDER BY id DESC LIMIT 256";

    // History and details.
    put_history: "INSERT INTO history \
                  (bucket, kind, part, id, stage, number, ver, body, repeat) \
                  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";
    drop_history: "DELETE FROM history USING TIMESTAMP 1 \
                   WHERE bucket = ? AND kind = ? AND part = ? AND id = ? AND stage = ?";
    /// Of all stages.
    remove_history: "DELETE FROM history USING TIMESTAMP ? \
                     WHERE bucket = ? AND kind = ? AND part = ? AND id = ?";
    history: "SELECT number, ver, body FROM history WHERE bucket = ? AND kind = ? AND part = ? \
              AND id = ? AND stage = ? AND number >= ?";
    entry: "SELECT ver, body FROM history WHERE bucket = ? AND kind = ? AND part = ? \
            AND id = ? AND stage = ? AND number = ?";
    early_repeats: "SELECT id, ver, repeat FROM history \
                    WHERE bucket = ? AND kind = ? AND part = 0 AND id IN ? AND stage = ?";
    put_detail: "INSERT INTO detail (id, stage, kind, key, ver, size, body) \
                 VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";
    drop_details: "DELETE FROM detail USING TIMESTAMP 1 WHERE id = ? AND stage = ?";
    /// Of all stages.
    remove_details: "DELETE FROM detail USING TIMESTAMP ? WHERE id = ?";
    detail: "SELECT ver, body FROM detail WHERE id = ? AND stage = ? AND kind = ? AND key = ?";
    /// Without the texts.
    details: "SELECT key, ver, size, WRITETIME(body) FROM detail \
              WHERE id = ? AND stage = ? AND kind = ?";
    detail_bodies: "SELECT key, ver, body FROM detail \
                    WHERE id = ? AND stage = ? AND kind = ? AND key > ? LIMIT 500";

    // Lists.
    put_listing: "INSERT INTO listing (list, slot, place, key, body) VALUES (?, ?, ?, ?, ?)";
    put_entry: "INSERT INTO listing (list, slot, place, key) VALUES (?, ?, ?, ?)";
    put_listing_for: "INSERT INTO listing (list, slot, place, key, body) VALUES (?, ?, ?, ?, ?) \
                      USING TTL ?";
    drop_listing: "DELETE FROM listing WHERE list = ? AND slot = ? AND place = ? AND key = ?";
    drop_listed_before: "DELETE FROM listing WHERE list = ? AND slot = ? AND place < ?";
    drop_slot: "DELETE FROM listing WHERE list = ? AND slot = ?";
    listed: "SELECT place, key, body FROM listing \
             WHERE list = ? AND slot = ? AND (place, key) > (?, ?) LIMIT 500";
    listed_between: "SELECT place, key, body FROM listing \
                     WHERE list = ? AND slot = ? AND (place, key) > (?, ?) \
                     AND (place, key) < (?, ?) LIMIT 500";
    listed_back: "SELECT place, key, body FROM listing \
                  WHERE list = ? AND slot = ? AND (place, key) < (?, ?) \
                  ORDER BY place DESC, key DESC LIMIT ?";
    listed_ahead: "SELECT place, key, body FROM listing \
                   WHERE list = ? AND slot = ? AND (place, key) > (?, ?) LIMIT ?";
    listed_at: "SELECT body FROM listing WHERE list = ? AND slot = ? AND place = ? AND key = ?";

    // Uploads.
    put_tree_result: "INSERT INTO verdict (sent, root, kind, ver, body) VALUES (?, ?, ?, ?, ?) \
                  USING TIMESTAMP ?";
    note_upload: "INSERT INTO verdict (sent, root, kind, ver) VALUES (?, ?, 0, 0) \
                    USING TIMESTAMP ?";
    upload_noted: "SELECT WRITETIME(ver) FROM verdict \
                      WHERE sent = ? AND root = ? AND kind = 0";
    drop_tree_result: "DELETE FROM verdict WHERE sent = ? AND root = ? AND kind = ?";
    tree_result: "SELECT kind, ver, body FROM verdict WHERE sent = ? AND root = ?";
    tree_results: "SELECT root, kind, ver, body FROM verdict WHERE sent = ? AND root > ? LIMIT 500";

    // Documents.
    document: "SELECT version, body FROM document WHERE kind = ? AND key = ?";
    documents: "SELECT key, version, body FROM document WHERE kind = ? AND key >= ? LIMIT ?";
    /// Conditional.
    change_document: "UPDATE document SET version = ?, body = ? WHERE kind = ? AND key = ? \
                      IF version = ?";
    /// Conditional.
    drop_document: "UPDATE document USING TTL ? SET version = ?, body = null \
                    WHERE kind = ? AND key = ? IF version = ?";

    // The same, of those that come and go.
    transient_document: "SELECT version, body FROM transient_document WHERE kind = ? AND key = ?";
    transient_documents: "SELECT key, version, body FROM transient_document \
                          WHERE kind = ? AND key >= ? LIMIT ?";
    /// Conditional.
    change_transient_document: "UPDATE transient_document SET version = ?, body = ? \
                                WHERE kind = ? AND key = ? IF version = ?";
    /// Conditional.
    drop_transient_document: "UPDATE transient_document USING TTL ? SET version = ?, body = null \
                              WHERE kind = ? AND key = ? IF version = ?";

    // Registers.
    register: "SELECT value FROM register WHERE name = ?";
    /// Conditional.
    first_register: "INSERT INTO register (name, value) VALUES (?, ?) IF NOT EXISTS";
    /// Conditional.
    next_register: "UPDATE register SET value = ? WHERE name = ? IF value = ?";
    lease_owner: "SELECT owner FROM register WHERE name = ?";
    /// Conditional.
    take_lease: "INSERT INTO register (name, owner) VALUES (?, ?) IF NOT EXISTS USING TTL ?";
    /// Conditional.
    keep_lease: "UPDATE register USING TTL ? SET owner = ? WHERE name = ? IF owner = ?";
    /// Conditional.
    drop_lease: "DELETE FROM register WHERE name = ? IF owner = ?";
}
