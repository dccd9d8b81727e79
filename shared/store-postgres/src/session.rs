//! A connection on loan from the pool. Each step on it ends in time, and a connection that may not be in order does not
//! go back.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgDatabaseError, PgRow, PgSeverity};
use sqlx::query::{Query, QueryAs};
use sqlx::{Error, FromRow, PgConnection, Postgres, SqlSafeStr};
use trialseal_store::{Result, StoreError};

use crate::error::failed;
use crate::pool::Health;

pub(crate) type Statement<'q> = Query<'q, Postgres, PgArguments>;
pub(crate) type Rows<'q, O> = QueryAs<'q, Postgres, O, PgArguments>;

/// A connection, and what is under way on it.
pub(crate) struct Session {
    /// `None` only while it is being dropped.
    connection: Option<PoolConnection<Postgres>>,
    state: State,
    patience: Duration,
    health: Health,
}

#[derive(Clone, Copy)]
enum State {
    /// Nothing is under way.
    Idle,
    /// A transaction has begun.
    Open,
    /// A step has begun. Whoever goes away now leaves a connection behind of which nobody knows what it is up to.
    Busy,
}

/// What a step needs to know to come to its end.
#[derive(Clone, Copy)]
struct Step {
    before: State,
    patience: Duration,
}

impl Session {
    /// Nothing is under way on the connection.
    pub(crate) fn new(connection: PoolConnection<Postgres>, patience: Duration, health: Health) -> Self {
        Self { connection: Some(connection), state: State::Idle, patience, health }
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&mut self) -> Result<()> {
        self.begin_by("BEGIN").await
    }

    /// Begins a transaction of what can be made again: its commit does not wait for the disk. A crash of the server may
    /// undo it whole, though never in part, and never what was committed before it.
    pub(crate) async fn begin_of_derived(&mut self) -> Result<()> {
        self.begin_by("BEGIN; SET LOCAL synchronous_commit = off").await
    }

    async fn begin_by(&mut self, statements: &'static str) -> Result<()> {
        let (connection, step) = self.step()?;
        let begun = step.bound(sqlx::raw_sql(statements).execute(connection)).await;
        self.ended(State::Open, begun).map(|_| ())
    }

    /// Begins a transaction by two statements, BEGIN and one that must find a row, and gives that row.
    ///
    /// They travel together, and therefore without parameters, which saves a round trip before every batch.
    pub(crate) async fn begin_with<O>(&mut self, statements: impl SqlSafeStr) -> Result<O>
    where
        O: for<'r> FromRow<'r, PgRow>,
    {
        let (connection, step) = self.step()?;
        let row = step.bound(sqlx::raw_sql(statements).fetch_optional(connection)).await;
        // Also where the second statement fails there is a transaction, to be rolled back.
        let row = self.ended(State::Open, row)?.ok_or_else(missing)?;
        O::from_row(&row).map_err(failed)
    }

    /// Commits the transaction. Where the connection breaks here, or is silent, it remains open whether it was.
    pub(crate) async fn commit(self) -> Result<()> {
        self.end("COMMIT").await
    }

    async fn end(mut self, statement: &'static str) -> Result<()> {
        let (connection, step) = self.step()?;
        let done = step.bound(sqlx::raw_sql(statement).execute(connection)).await;
        self.ended(State::Idle, done).map(|_| ())
    }

    /// All rows of a query.
    pub(crate) async fn all<O>(&mut self, query: Rows<'_, O>) -> Result<Vec<O>>
    where
        O: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        let (connection, step) = self.step()?;
        let rows = step.bound(query.fetch_all(connection)).await;
        self.ended(step.before, rows)
    }

    /// The row of a query that finds at most one.
    pub(crate) async fn optional<O>(&mut self, query: Rows<'_, O>) -> Result<Option<O>>
    where
        O: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        let (connection, step) = self.step()?;
        let row = step.bound(query.fetch_optional(connection)).await;
        self.ended(step.before, row)
    }

    /// Carries a statement out, and gives the number of rows that it touched.
    pub(crate) async fn execute(&mut self, statement: Statement<'_>) -> Result<u64> {
        let (connection, step) = self.step()?;
        let done = step.bound(statement.execute(connection)).await;
        self.ended(step.before, done).map(|done| done.rows_affected())
    }

    fn step(&mut self) -> Result<(&mut PgConnection, Step)> {
        let step = Step { before: self.state, patience: self.patience };
        self.state = State::Busy;
        match &mut self.connection {
            Some(connection) => Ok((connection, step)),
            None => Err(StoreError::Unavailable("the connection is closed".into())),
        }
    }

    /// Ends a step, after which the connection is in `state` unless it is broken.
    fn ended<T>(&mut self, state: State, done: sqlx::Result<T>) -> Result<T> {
        if done.as_ref().err().is_none_or(goes_on_after) {
            self.state = state;
        } else {
            self.health.broke();
        }
        done.map_err(failed)
    }
}

impl Step {
    async fn bound<T>(self, work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
        let done = tokio::time::timeout(self.patience, work).await;
        done.unwrap_or_else(|_| Err(Error::Io(ErrorKind::TimedOut.into())))
    }
}

pub(crate) fn missing() -> StoreError {
    failed(Error::RowNotFound)
}

/// Whether a connection is in order after an error. A server that only reads is none to stay with: after a failover
/// another one writes.
fn goes_on_after(error: &Error) -> bool {
    let Error::Database(error) = error else { return false };
    let error = error.try_downcast_ref::<PgDatabaseError>();
    error.is_some_and(|error| error.severity() == PgSeverity::Error && error.code() != "25006")
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        match self.state {
            // Returns to the pool.
            State::Idle => {}
            State::Open => {
                let (connection, health) = (Some(connection), self.health.clone());
                // Busy already, so that it is closed, to the same effect, should the runtime be about to end.
                let session = Self { connection, state: State::Busy, patience: self.patience, health };
                tokio::spawn(session.end("ROLLBACK"));
            }
            State::Busy => connection.close_on_drop(),
        }
    }
}
