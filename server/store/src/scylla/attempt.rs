//! Conditional writes: each is sent once; the driver never repeats it on its own.

use std::{sync::Arc, time::Duration};

use scylla::{
    client::session::Session,
    errors::{ExecutionError, RequestAttemptError},
    frame::response::result::ColumnSpec,
    policies::{load_balancing::LoadBalancingPolicy, retry::FallthroughRetryPolicy},
    response::query_result::QueryResult,
    serialize::{batch::BatchValues, row::SerializeRow},
    statement::{
        batch::{Batch, BatchType},
        prepared::PreparedStatement,
    },
    value::{CqlValue, Row as Values},
};
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use super::{ScyllaOptions, failure, routing::OneCoordinator, statements::Statements};
use crate::{Error, Result, Version};

/// The wait before a conditional write of unknown outcome is made anew, at first and at most; it
/// doubles.
pub const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// The outcome of one sending of a conditional write.
#[derive(Debug)]
pub enum Attempt {
    /// Its condition held and it was written.
    Applied,
    /// Its condition did not hold: nothing was written by this sending.
    Lost(Seen),
    /// The request was never sent: nothing was written by this sending.
    NotSent(Error),
    /// The outcome is not known yet.
    Unknown(String),
}

/// What stood in the row that the condition was checked against.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub version: Option<Version>,
    pub cid: Option<Uuid>,
}

/// Sends conditional writes.
pub struct Attempts {
    route: Arc<OneCoordinator>,
    room: Semaphore,
    /// The first commit of a tree, and the others; each without and with a mark.
    pub first: [Batch; 2],
    pub next: [Batch; 2],
    /// Gives the head another name, so that no commit that was computed from it can follow it.
    pub fence_absent: PreparedStatement,
    pub fence: PreparedStatement,
    /// The same, with a mark that a stage may not be published.
    pub revoke_absent: Batch,
    pub revoke: Batch,
}

impl Attempts {
    pub fn new(statements: &Statements, options: &ScyllaOptions) -> Self {
        let route = OneCoordinator::new(&options.datacenter);
        let batch = |of: &[&PreparedStatement]| {
            let mut batch = Batch::new(BatchType::Unlogged);
            batch.set_is_idempotent(false);
            batch.set_retry_policy(Some(Arc::new(FallthroughRetryPolicy::new())));
            let policy: Arc<dyn LoadBalancingPolicy> = route.clone();
            batch.set_load_balancing_policy(Some(policy));
            // The statement with the condition comes first: it decides the route.
            of.iter().for_each(|statement| batch.append_statement((*statement).clone()));
            batch
        };
        let Statements { first_head, next_head, add_redo, add_mark, .. } = statements;
        Self {
            first: [batch(&[first_head, add_redo]), batch(&[first_head, add_redo, add_mark])],
            next: [batch(&[next_head, add_redo]), batch(&[next_head, add_redo, add_mark])],
            fence_absent: once(first_head, &route),
            fence: once(next_head, &route),
            revoke_absent: batch(&[first_head, add_mark]),
            revoke: batch(&[next_head, add_mark]),
            room: Semaphore::new(options.commits_in_flight.max(1)),
            route,
        }
    }

    pub fn close(&self) {
        self.room.close();
    }

    async fn place(&self) -> Result<SemaphorePermit<'_>> {
        self.room.acquire().await.map_err(|_| Error::Unavailable("it was closed".into()))
    }

    /// Sends a conditional batch once.
    pub async fn batch(
        &self,
        session: &Session,
        batch: &Batch,
        values: impl BatchValues,
    ) -> Result<Attempt> {
        let _place = self.place().await?;
        let sent = session.batch(batch, values);
        Ok(judge(self.route.watched(sent, is_silent).await))
    }

    /// Sends a conditional statement once.
    pub async fn one(
        &self,
        session: &Session,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Attempt> {
        let _place = self.place().await?;
        let sent = session.execute_unpaged(statement, values);
        Ok(judge(self.route.watched(sent, is_silent).await))
    }

    /// A statement made ready for [`one`](Self::one).
    pub fn ready(&self, statement: &PreparedStatement) -> PreparedStatement {
        once(statement, &self.route)
    }
}

fn once(statement: &PreparedStatement, route: &Arc<OneCoordinator>) -> PreparedStatement {
    let mut statement = statement.clone();
    statement.set_is_idempotent(false);
    statement.set_retry_policy(Some(Arc::new(FallthroughRetryPolicy::new())));
    let policy: Arc<dyn LoadBalancingPolicy> = route.clone();
    statement.set_load_balancing_policy(Some(policy));
    statement
}

/// Whether the node that was asked said nothing at all.
fn is_silent(answer: &std::result::Result<QueryResult, ExecutionError>) -> bool {
    matches!(
        answer,
        Err(ExecutionError::RequestTimeout(_)
            | ExecutionError::ConnectionPoolError(_)
            | ExecutionError::LastAttemptError(RequestAttemptError::BrokenConnectionError(_)))
    )
}

fn judge(answer: std::result::Result<QueryResult, ExecutionError>) -> Attempt {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if failure::was_not_sent(&error) => {
            return Attempt::NotSent(failure::asked(&error));
        }
        Err(error) => return Attempt::Unknown(error.to_string()),
    };
    read(answer).unwrap_or_else(|error| Attempt::Unknown(error.to_string()))
}

/// ScyllaDB answers a batch with a row for each statement, Cassandra with one; whether it was
/// applied stands in the first column of each, what was seen only where the condition was.
fn read(answer: QueryResult) -> Result<Attempt> {
    let answer = answer.into_rows_result().map_err(failure::reading)?;
    let names: Vec<&str> = answer.column_specs().iter().map(ColumnSpec::name).collect();
    let mut seen = Seen::default();
    let mut applied = None;
    for row in answer.rows::<Values>().map_err(failure::reading)? {
        let row = row.map_err(failure::reading)?;
        for (name, value) in names.iter().zip(row.columns) {
            match (*name, value) {
                ("[applied]", Some(CqlValue::Boolean(was))) => applied = applied.or(Some(was)),
                ("version" | "value", Some(CqlValue::BigInt(version))) => {
                    seen.version = seen.version.or(u64::try_from(version).ok());
                }
                ("cid" | "owner" | "version", Some(CqlValue::Uuid(cid))) => {
                    seen.cid = seen.cid.or(Some(cid));
                }
                _ => {}
            }
        }
    }
    match applied {
        Some(true) => Ok(Attempt::Applied),
        Some(false) => Ok(Attempt::Lost(seen)),
        None => Err(failure::reading("nothing says whether it was applied")),
    }
}
