//! The cluster, asked and written to by prepared statements.

use std::time::Duration;

use futures_util::future::BoxFuture;
use scylla::{
    client::session::Session,
    deserialize::row::DeserializeRow,
    errors::ExecutionError,
    serialize::row::SerializeRow,
    statement::{
        batch::{Batch, BatchType},
        prepared::PreparedStatement,
    },
};
use tokio::{runtime::Handle, sync::Semaphore};

use super::{
    ScyllaOptions,
    attempt::{self, Attempts},
    connect, failure, migrate,
    patience::Patience,
    statements::Statements,
};
use crate::{Error, Result};

/// Rows in one plain batch. All of one partition, so that a batch is one write of each copy.
const BATCH_ROWS: usize = 128;
/// Bytes in one plain batch, about.
const BATCH_BYTES: usize = 64 * 1024;
/// Requests that are repeated may take this many times as long as one request.
const TRIES: u32 = 2;
/// The wait before what failed is tried again, at first and at most; it doubles.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(5));

/// Reads that one call has under way at once.
pub const READS_AT_ONCE: usize = 16;
/// Reads that are made side by side.
pub type Several<'a, T> = Vec<BoxFuture<'a, Result<T>>>;
/// Ids in one statement.
pub const IDS: usize = 100;

/// A session and everything that is sent over it.
pub struct Cluster {
    pub statements: Statements,
    pub attempts: Attempts,
    session: Session,
    /// Runs background work: callers have runtimes of their own that may end.
    runtime: Handle,
    plain: Semaphore,
    patience: Duration,
    doubt: Duration,
}

impl Cluster {
    /// Connects and checks clock and tables.
    pub async fn open(options: &ScyllaOptions) -> Result<Self> {
        let session = connect::connect(options).await?;
        connect::check_clock(&session, options.max_clock_skew).await?;
        migrate::enter(&session, options).await?;
        let statements = Statements::prepare(&session).await?;
        Ok(Self {
            attempts: Attempts::new(&statements, options),
            statements,
            session,
            runtime: Handle::current(),
            plain: Semaphore::new(options.writes_in_flight.max(1)),
            patience: options.request_timeout * TRIES,
            doubt: options.resolve_timeout,
        })
    }

    /// The runtime on which the store was opened.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    /// All rows of an answer, which the statement keeps short.
    pub async fn rows<R>(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Vec<R>>
    where
        R: for<'row> DeserializeRow<'row, 'row>,
    {
        let answer = self
            .patiently(|| self.session.execute_unpaged(statement, &values))
            .await?
            .into_rows_result()
            .map_err(failure::reading)?;
        let rows = answer.rows::<R>().map_err(failure::reading)?;
        rows.map(|row| row.map_err(failure::reading)).collect()
    }

    /// The only row of an answer, if it has one.
    pub async fn row<R>(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Option<R>>
    where
        R: for<'row> DeserializeRow<'row, 'row>,
    {
        Ok(self.rows(statement, values).await?.pop())
    }

    /// Writes a row; it is on a quorum of its copies afterwards. After an error it may be there.
    pub async fn write(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<()> {
        self.patiently(|| self.session.execute_unpaged(statement, &values)).await?;
        Ok(())
    }

    /// Writes rows of one partition, given with their sizes, in as many batches as they need.
    pub async fn write_rows<T: SerializeRow>(
        &self,
        statement: &PreparedStatement,
        rows: Vec<(usize, T)>,
    ) -> Result<()> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        for (size, row) in rows {
            let full = batch.len() == BATCH_ROWS || bytes + size > BATCH_BYTES;
            if full && !batch.is_empty() {
                self.write_batch(statement, std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            bytes += size;
            batch.push(row);
        }
        if batch.is_empty() { Ok(()) } else { self.write_batch(statement, batch).await }
    }

    async fn write_batch<T: SerializeRow>(
        &self,
        statement: &PreparedStatement,
        rows: Vec<T>,
    ) -> Result<()> {
        if let [row] = &rows[..] {
            return self.write(statement, row).await;
        }
        let mut batch = Batch::new(BatchType::Unlogged);
        batch.set_is_idempotent(true);
        for _ in &rows {
            batch.append_statement(statement.clone());
        }
        self.patiently(|| self.session.batch(&batch, &rows)).await?;
        Ok(())
    }

    /// Sends a request that may be repeated until it is answered, or until it has taken too long. A
    /// request that the cluster refuses is not sent again.
    async fn patiently<T, F>(&self, send: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = std::result::Result<T, ExecutionError>>,
    {
        let mut patience = Patience::new(self.patience, PAUSE);
        loop {
            let permit = self.plain.acquire().await;
            let permit = permit.map_err(|_| Error::Unavailable("it was closed".into()))?;
            let answer = send().await;
            drop(permit);
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) if !failure::can_pass(&error) || !patience.wait().await => {
                    return Err(failure::asked(&error));
                }
                Err(_) => {}
            }
        }
    }

    /// The time in which conditional writes of unknown outcome are followed by others.
    pub fn doubt(&self) -> Patience {
        Patience::new(self.doubt, attempt::PAUSE)
    }

    /// Lets no further request begin.
    pub fn close(&self) {
        self.plain.close();
        self.attempts.close();
    }
}
