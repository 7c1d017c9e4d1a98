//! What a cluster gives to a program that uses the driver well: prepared statements, one row each,
//! of about the size that the service's rows have.

use std::{cell::Cell, collections::BTreeMap, num::NonZeroUsize};

use anyhow::{Context, Result, ensure};
use scylla::{
    client::{
        PoolSize, execution_profile::ExecutionProfile, session::Session,
        session_builder::SessionBuilder,
    },
    policies::load_balancing::DefaultPolicy,
    response::query_result::QueryResult,
    statement::{Consistency, SerialConsistency, prepared::PreparedStatement},
    value::{CqlValue, Row},
};
use tokio::runtime::Runtime;

use crate::{
    load::{Measured, Numbers, Until},
    nodes::Nodes,
};

/// Connections to each node: what the service takes by default.
const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(4).expect("four is not zero");
/// Calls at once, where the floor does not say otherwise.
pub const AT_ONCE: usize = 64;
/// Rows of one partition, as jobs share theirs with their neighbours.
const NEIGHBOURS: i64 = 256;
/// A row: with its key and its version some 175 bytes.
const BODY: [u8; 150] = [7; 150];
/// Rows among which one is read.
pub const READ_AMONG: u64 = 10_000;
/// No number of a statement that ran before comes near.
const STRIDE: i64 = 1 << 40;

/// Reads by table.
pub type Reads = BTreeMap<String, f64>;

pub struct Driver {
    pub session: Session,
    runtime: Runtime,
    keyspace: String,
    put: PreparedStatement,
    put_if_absent: PreparedStatement,
    advance: PreparedStatement,
    get: PreparedStatement,
    /// Runs so far, each of which has keys of its own.
    runs: Cell<i64>,
}

impl Driver {
    /// Connects, and makes a keyspace of its own.
    pub fn connect(place: &Nodes, keyspace: &str) -> Result<Self> {
        let runtime = Runtime::new()?;
        let session = runtime.block_on(session(place))?;
        let replication = format!(
            "{{'class': 'NetworkTopologyStrategy', '{}': {}}}",
            place.datacenter,
            place.copies()
        );
        for cql in [
            format!("DROP KEYSPACE IF EXISTS {keyspace}"),
            format!("CREATE KEYSPACE {keyspace} WITH replication = {replication}"),
            format!(
                "CREATE TABLE {keyspace}.row (page bigint, id bigint, ver bigint, body blob, \
                 PRIMARY KEY ((page), id))"
            ),
        ] {
            runtime.block_on(session.query_unpaged(cql, ()))?;
        }
        let row = format!("{keyspace}.row");
        let prepare = |cql: String| runtime.block_on(session.prepare(cql));
        let put = format!("INSERT INTO {row} (page, id, ver, body) VALUES (?, ?, ?, ?)");
        Ok(Self {
            put_if_absent: prepare(format!("{put} IF NOT EXISTS"))?,
            put: prepare(put)?,
            advance: prepare(format!(
                "UPDATE {row} SET ver = ?, body = ? WHERE page = ? AND id = 0 IF ver = ?"
            ))?,
            get: prepare(format!("SELECT ver, body FROM {row} WHERE page = ? AND id = ?"))?,
            session,
            runtime,
            keyspace: keyspace.to_owned(),
            runs: Cell::new(0),
        })
    }

    /// Does something that needs the session.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Removes a keyspace.
    pub fn remove(&self, keyspace: &str) -> Result<()> {
        let cql = format!("DROP KEYSPACE IF EXISTS {keyspace}");
        self.wait(self.session.query_unpaged(cql, ()))?;
        Ok(())
    }

    /// Removes what the runs so far have written.
    pub fn clear(&self) -> Result<()> {
        let cql = format!("TRUNCATE {}.row", self.keyspace);
        self.wait(self.session.query_unpaged(cql, ()))?;
        Ok(())
    }

    /// What the cluster runs, and how carefully it writes.
    pub fn about(&self) -> Result<String> {
        let release = "SELECT release_version FROM system.local";
        let answer = self.wait(self.session.query_unpaged(release, ()))?.into_rows_result()?;
        let (release,): (String,) = answer.single_row()?;
        let settings = "SELECT name, value FROM system_views.settings \
                        WHERE name IN ('commitlog_sync', 'paxos_variant')";
        // Only Cassandra has these.
        let Ok(answer) = self.wait(self.session.query_unpaged(settings, ())) else {
            return Ok(format!("Cluster of release {release}"));
        };
        let answer = answer.into_rows_result()?;
        let mut about = format!("Apache Cassandra {release}");
        for setting in answer.rows::<(String, Option<String>)>()? {
            let (name, value) = setting?;
            let value = value.unwrap_or_default();
            about += &format!(", {name} {value}");
        }
        Ok(about)
    }

    /// Reads of each table of a keyspace so far, where a single node counts them.
    pub fn reads_of(&self, keyspace: &str, place: &Nodes) -> Option<Reads> {
        if place.nodes.len() > 1 {
            return None;
        }
        let cql = "SELECT keyspace_name, table_name, count \
                   FROM system_views.coordinator_read_latency";
        let answer = self.wait(self.session.query_unpaged(cql, ())).ok()?;
        let answer = answer.into_rows_result().ok()?;
        let rows = answer.rows::<(String, String, i64)>().ok()?.flatten();
        let own = rows.filter(|(of, _, _)| of == keyspace);
        Some(own.map(|(_, table, count)| (table, count as f64)).collect())
    }

    /// Plain inserts of single rows.
    pub fn insert(&self, until: Until<'_>) -> Result<Measured> {
        let first = self.begin();
        self.run(AT_ONCE, until, |number| self.put(first, number))
    }

    /// Conditional inserts into distinct partitions.
    pub fn insert_if_absent(&self, until: Until<'_>) -> Result<Measured> {
        let first = self.begin();
        self.run(AT_ONCE, until, async |number| {
            let row = (first + number as i64, 0_i64, 0_i64, &BODY[..]);
            let answer = self.session.execute_unpaged(&self.put_if_absent, row).await?;
            ensure!(is_applied(answer)?, "no other client inserts these rows");
            Ok(())
        })
    }

    /// Conditional updates of one row, one after another.
    pub fn update_if(&self, until: Until<'_>) -> Result<Measured> {
        let page = self.begin();
        let row = (page, 0_i64, 0_i64, &BODY[..]);
        let first = self.wait(self.session.execute_unpaged(&self.put_if_absent, row))?;
        ensure!(is_applied(first)?, "the row is new");
        self.run(1, until, async |number| {
            let version = number as i64;
            let row = (version + 1, &BODY[..], page, version);
            let answer = self.session.execute_unpaged(&self.advance, row).await?;
            ensure!(is_applied(answer)?, "no other client updates this row");
            Ok(())
        })
    }

    /// Reads of single rows by key.
    pub fn read(&self, until: Until<'_>) -> Result<Measured> {
        let first = self.begin();
        let all = Until::Requests(READ_AMONG);
        self.run(AT_ONCE, all, |number| self.put(first, number))?;
        self.run(AT_ONCE, until, async |number| {
            // A step that shares no factor with the number of rows visits them all, out of order.
            let (page, id) = key(first, (number * 7_919) % READ_AMONG);
            let answer = self.session.execute_unpaged(&self.get, (page, id)).await?;
            let (version, body): (i64, Vec<u8>) = answer.into_rows_result()?.single_row()?;
            ensure!(version == 0 && body.len() == BODY.len(), "it is what was written");
            Ok(())
        })
    }

    async fn put(&self, first: i64, number: u64) -> Result<()> {
        let (page, id) = key(first, number);
        self.session.execute_unpaged(&self.put, (page, id, 0_i64, &BODY[..])).await?;
        Ok(())
    }

    /// The first partition of a run.
    fn begin(&self) -> i64 {
        self.runs.replace(self.runs.get() + 1) * STRIDE
    }

    fn run(
        &self,
        at_once: usize,
        until: Until<'_>,
        call: impl AsyncFn(u64) -> Result<()>,
    ) -> Result<Measured> {
        self.wait(async {
            let numbers = Numbers::new(until);
            numbers.run((0..at_once).map(|_| numbers.call(&call))).await
        })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Err(error) = self.remove(&self.keyspace) {
            eprintln!("keyspace {} is left: {error}", self.keyspace);
        }
    }
}

async fn session(place: &Nodes) -> Result<Session> {
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .serial_consistency(Some(SerialConsistency::LocalSerial))
        .load_balancing_policy(
            DefaultPolicy::builder().prefer_datacenter(place.datacenter.clone()).build(),
        )
        .build();
    let builder = SessionBuilder::new()
        .known_nodes(&place.nodes)
        .pool_size(PoolSize::PerHost(CONNECTIONS))
        .default_execution_profile_handle(profile.into_handle());
    builder.build().await.context("no node of the cluster can be reached")
}

/// Partition and row of a number.
fn key(first: i64, number: u64) -> (i64, i64) {
    (first + number as i64 / NEIGHBOURS, number as i64)
}

/// Whether a condition held. What follows the first column is not the same everywhere.
fn is_applied(answer: QueryResult) -> Result<bool> {
    let row: Row = answer.into_rows_result()?.first_row()?;
    Ok(matches!(row.columns.first(), Some(Some(CqlValue::Boolean(true)))))
}
