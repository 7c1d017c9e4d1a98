//! Creates the keyspace and the tables, or brings them to the newest version.

use std::time::Duration;

use scylla::{
    client::session::Session,
    errors::{DbError, ExecutionError, RequestAttemptError, UseKeyspaceError},
    statement::Statement,
};
use uuid::Uuid;

use super::{
    ScyllaOptions,
    connect::{Engine, connect, engine},
    failure,
    options::Tablets,
    patience::Patience,
    schema::{MIGRATIONS, VERSION},
};
use crate::{Error, Result};

/// A change of the tables takes longer than other requests, and may have this time at least.
const CHANGE: Duration = Duration::from_secs(60);
/// The wait before a step that was not ready yet is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// The result of [`migrate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The version that was found; 0: there were no tables.
    pub from: i64,
    /// The version that is there now.
    pub to: i64,
}

/// Creates the keyspace and the tables, or brings them to the newest version. May be repeated, and
/// does nothing if they are up to date.
///
/// # Errors
/// The cluster cannot be reached or refuses, or the tables are of a newer program.
pub async fn migrate(options: &ScyllaOptions) -> Result<Migrated> {
    let session = connect(options).await?;
    create_keyspace(&session, options).await?;
    run(&session, options).await
}

async fn create_keyspace(session: &Session, options: &ScyllaOptions) -> Result<()> {
    if enter_keyspace(session, options).await? {
        return Ok(());
    }
    let ScyllaOptions { keyspace, datacenter, replication_factor, .. } = options;
    let tablets = match (options.tablets, engine(session).await) {
        (_, Engine::Cassandra) => "",
        (Tablets::On, _) => " AND tablets = {'enabled': true}",
        (Tablets::Off, _) => " AND tablets = {'enabled': false}",
        // Before tablets, and since conditional writes work with them.
        (
            Tablets::Auto,
            Engine::Scylla(..6, _) | Engine::Scylla(2025, 4..) | Engine::Scylla(2026.., _),
        ) => "",
        (Tablets::Auto, _) => " AND tablets = {'enabled': false}",
    };
    let datacenter = datacenter.replace('\'', "''");
    let cql = format!(
        "CREATE KEYSPACE IF NOT EXISTS \"{keyspace}\" WITH replication = \
         {{'class': 'NetworkTopologyStrategy', '{datacenter}': {replication_factor}}}{tablets}"
    );
    change(session, options, &cql).await
}

/// Enters the keyspace; says whether it is there. A keyspace that another server is creating is
/// listed a little before it can be used.
async fn enter_keyspace(session: &Session, options: &ScyllaOptions) -> Result<bool> {
    let cql = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
    let keyspace = options.keyspace.as_str();
    let found = session.query_unpaged(cql, (keyspace,)).await.map_err(failure::asking)?;
    let is_there = found.into_rows_result().map_err(failure::reading)?.rows_num() > 0;
    let mut patience = Patience::new(options.request_timeout, (PAUSE, PAUSE));
    while is_there && let Err(error) = session.use_keyspace(keyspace, true).await {
        if is_forbidden(&error) {
            return Err(refused(options, error));
        }
        if !patience.wait().await {
            return Err(failure::asking(error));
        }
    }
    Ok(is_there)
}

fn is_forbidden(error: &UseKeyspaceError) -> bool {
    use RequestAttemptError::DbError as Told;

    matches!(error, UseKeyspaceError::RequestError(Told(DbError::Unauthorized, _)))
}

async fn run(session: &Session, options: &ScyllaOptions) -> Result<Migrated> {
    if !enter_keyspace(session, options).await? {
        return Err(refused(options, "the keyspace that was created cannot be used"));
    }
    let from = version(session).await?.unwrap_or(0);
    if from > VERSION {
        return Err(newer(from));
    }
    for migration in MIGRATIONS.iter().filter(|migration| migration.to > from) {
        for statement in migration.statements {
            change(session, options, statement).await?;
        }
        for kind in migration.moves {
            let moved = move_documents(session, kind.number().cast_signed()).await;
            moved.map_err(|error| refused(options, error))?;
        }
        set_version(session, migration.to).await?;
    }
    Ok(Migrated { from, to: VERSION })
}

async fn change(session: &Session, options: &ScyllaOptions, cql: &str) -> Result<()> {
    let mut statement = Statement::new(cql);
    statement.set_request_timeout(Some(options.request_timeout.max(CHANGE)));
    session.query_unpaged(statement, ()).await.map_err(|error| refused(options, error))?;
    session.await_schema_agreement().await.map_err(|error| refused(options, error))?;
    Ok(())
}

/// Moves documents of a kind to the table of those that come and go. May be repeated, also by
/// several programs at once: no row that is newer is replaced.
async fn move_documents(session: &Session, kind: i8) -> Result<()> {
    let select = "SELECT key, version, body FROM document WHERE kind = ? AND key > ? LIMIT 500";
    // An insertion would leave a row behind that has no cells when its document is deleted.
    let put = "UPDATE transient_document USING TIMESTAMP 1 SET version = ?, body = ? \
               WHERE kind = ? AND key = ?";
    let put = session.prepare(put).await.map_err(failure::asking)?;
    let mut behind = String::new();
    loop {
        let found = session.query_unpaged(select, (kind, behind.as_str())).await;
        let found = found.map_err(|error| failure::asked(&error))?;
        let found = found.into_rows_result().map_err(failure::reading)?;
        let rows = found.rows::<(String, Option<Uuid>, Option<Vec<u8>>)>();
        let rows = rows.map_err(failure::reading)?.collect::<std::result::Result<Vec<_>, _>>();
        let rows = rows.map_err(failure::reading)?;
        let Some((last, ..)) = rows.last() else { break };
        behind = last.clone();
        for (key, version, body) in rows.iter().filter(|(.., body)| body.is_some()) {
            let moved = session.execute_unpaged(&put, (version, body, kind, key)).await;
            moved.map_err(|error| failure::asked(&error))?;
        }
    }
    let removed = session.query_unpaged("DELETE FROM document WHERE kind = ?", (kind,)).await;
    removed.map(drop).map_err(|error| failure::asked(&error))
}

fn refused(options: &ScyllaOptions, reason: impl std::fmt::Display) -> Error {
    let reason = format!("its tables cannot be made: {reason}");
    Error::Unusable { place: format!("keyspace {}", options.keyspace), reason }
}

fn newer(found: i64) -> Error {
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    Error::NewerFormat { found, known: VERSION as u32 }
}

/// The version of the tables; none when there are none.
async fn version(session: &Session) -> Result<Option<i64>> {
    let keyspace = session.get_keyspace();
    let keyspace = keyspace.as_ref().map_or("", |keyspace| keyspace.as_str());
    let tables = "SELECT table_name FROM system_schema.tables \
                  WHERE keyspace_name = ? AND table_name = 'register'";
    let found = session.query_unpaged(tables, (keyspace,)).await.map_err(failure::asking)?;
    let found = found.into_rows_result().map_err(failure::reading)?;
    if found.rows_num() == 0 {
        return Ok(None);
    }
    let cql = "SELECT value FROM register WHERE name = 'schema'";
    let answer = session.query_unpaged(cql, ()).await.map_err(failure::asking)?;
    let rows = answer.into_rows_result().map_err(failure::reading)?;
    let row = rows.maybe_first_row::<(Option<i64>,)>().map_err(failure::reading)?;
    Ok(row.and_then(|(version,)| version))
}

/// Also makes the first conditional write after the tables were created, which takes longer: a
/// busy node may not have done it in time at first. Either statement may be repeated.
async fn set_version(session: &Session, version: i64) -> Result<()> {
    let owner = Uuid::new_v4();
    let insert = "INSERT INTO register (name, value, owner) VALUES ('schema', ?, ?) IF NOT EXISTS";
    let update = "UPDATE register SET value = ? WHERE name = 'schema' IF value < ?";
    let mut patience = Patience::new(CHANGE, (PAUSE, PAUSE));
    loop {
        let set = async {
            session.query_unpaged(insert, (version, owner)).await?;
            session.query_unpaged(update, (version, version)).await
        };
        let set: std::result::Result<_, ExecutionError> = set.await;
        match set {
            Ok(_) => return Ok(()),
            Err(error) if !failure::can_pass(&error) || !patience.wait().await => {
                return Err(failure::asked(&error));
            }
            Err(_) => {}
        }
    }
}

/// Enters the keyspace and checks that its tables are those that this program knows.
pub async fn enter(session: &Session, options: &ScyllaOptions) -> Result<()> {
    if options.migrate {
        create_keyspace(session, options).await?;
        run(session, options).await?;
        return Ok(());
    }
    let missing = |what: &str| Error::Unusable {
        place: format!("keyspace {}", options.keyspace),
        reason: format!("{what}; run `jobtracker migrate`, or set store.scylla.migrate"),
    };
    if !enter_keyspace(session, options).await? {
        return Err(missing("it is not there"));
    }
    match version(session).await? {
        Some(VERSION) => Ok(()),
        Some(found) if found > VERSION => Err(newer(found)),
        Some(found) => Err(missing(&format!("its tables have version {found}, not {VERSION}"))),
        None => Err(missing("it has no tables")),
    }
}
