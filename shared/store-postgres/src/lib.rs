//! The ports of `trialseal-store` on PostgreSQL: a ledger that several machines share.
//!
//! What it is not: a place for decisions. It locks, reads and inserts rows; the SQL is static, and the tables stand in
//! `migrations/postgres/`. A table or column is added by a new migration there and one of the same number and name for
//! SQLite; a port by a module here and checks in the contract suite.
//!
//! Transactions are READ COMMITTED and begin by locking the ledger's head row; whatever they rest on is read in later
//! statements, which see all that was committed before the lock was had. Many rows are inserted by one statement.

mod error;
mod models;
mod record;
mod registry;
mod seals;
#[cfg(feature = "testing")]
pub mod testing;

use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection, Postgres, SqlSafeStr, Transaction};
use trialseal_store::{LedgerHead, Result, StoreError, columns};

use crate::error::{failed, migration_failed};

/// Connections of one process at the most.
const CONNECTIONS: u32 = 16;
/// How long a caller waits for a free connection.
const TURN: Duration = Duration::from_secs(10);
/// What bounds each session: how long it waits for a lock, how long a statement runs, and how long a transaction that
/// nobody goes on with holds its locks.
const LIMITS: [(&str, &str); 4] = [
    ("default_transaction_isolation", "read committed"),
    ("lock_timeout", "10s"),
    ("statement_timeout", "60s"),
    ("idle_in_transaction_session_timeout", "30s"),
];
/// How often a new ledger's number is tried for, when others make ledgers at the same moment.
const TRIES: u32 = 20;

/// One ledger in a PostgreSQL database.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    origin: String,
    ledger: i16,
    pool: PgPool,
}

impl PostgresStore {
    /// Connects (`postgres://…`), brings the tables up to date, and makes the ledger of this origin where it is missing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the server cannot be reached; [`StoreError::Refused`] where the URL is none,
    /// the tables are not those of this version, or the server would acknowledge commits before they are durable.
    pub async fn connect(url: &str, origin: &str) -> Result<Self> {
        Self::connect_with(url, origin, CONNECTIONS).await
    }

    /// As [`connect`](Self::connect), with at most so many connections in the place of 16.
    pub async fn connect_with(url: &str, origin: &str, connections: u32) -> Result<Self> {
        let options = options(url)?;
        // A migration may run for longer than any statement of the service may.
        let mut session = PgConnection::connect_with(&options).await.map_err(failed)?;
        migrator().run_direct(None, &mut session, false).await.map_err(migration_failed)?;
        let ledger = ledger_of(&mut session, origin).await?;
        session.close().await.map_err(failed)?;

        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(TURN)
            .connect_with(options.options(LIMITS))
            .await
            .map_err(failed)?;
        durable(&pool).await?;
        Ok(Self { origin: origin.to_owned(), ledger, pool })
    }

    /// Waits for what is under way and closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Begins a transaction.
    ///
    /// In a task of its own: were a caller to go away just here, the connection would return to the pool with a
    /// transaction begun that SQLx knows nothing of, and the next one's writes would be lost with it. The task goes on
    /// to its end and drops the transaction in good order.
    async fn begin(&self) -> Result<Transaction<'static, Postgres>> {
        let pool = self.pool.clone();
        let begun = tokio::spawn(async move { pool.begin().await.map_err(failed) });
        begun.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the process is shutting down".into())))
    }

    /// Begins a transaction and locks the ledger's head row.
    async fn lock(&self) -> Result<Locked> {
        let mut tx = self.begin().await?;
        let head = sqlx::query_as(
            "SELECT position, time, seal, seal_leaf, sealed FROM ledger WHERE ledger = $1 FOR UPDATE",
        )
        .bind(self.ledger)
        .fetch_one(&mut *tx)
        .await
        .map_err(failed)?;
        Ok(Locked { tx, ledger: self.ledger, head: columns::head(head)?, whole: true })
    }
}

/// A transaction that holds the head row's lock, an append's or a seal's. Dropped before its commit it is rolled back:
/// SQLx queues the rollback on the connection, before anybody else gets it.
struct Locked {
    tx: Transaction<'static, Postgres>,
    ledger: i16,
    head: LedgerHead,
    /// Whether all writes so far were carried out: PostgreSQL answers the commit of a failed transaction with a rollback
    /// that looks like success.
    whole: bool,
}

impl Locked {
    async fn commit(self) -> Result<()> {
        if !self.whole {
            return Err(StoreError::Refused("a write of this transaction failed".into()));
        }
        self.tx.commit().await.map_err(failed)
    }
}

/// Reads a URL. SQLx looks at everything in it but the scheme.
fn options(url: &str) -> Result<PgConnectOptions> {
    let ours = url.starts_with("postgres://") || url.starts_with("postgresql://");
    match url.parse::<PgConnectOptions>() {
        Ok(options) if ours => Ok(options.application_name("trialseal")),
        // The reason is not told: it could show the password.
        _ => Err(StoreError::Refused("this is no URL of a PostgreSQL database (postgres://…)".into())),
    }
}

fn migrator() -> Migrator {
    let ledger = include_str!("../../../migrations/postgres/0001_ledger.sql");
    Migrator::with_migrations(vec![Migration::new(
        1,
        "ledger".into(),
        MigrationType::Simple,
        ledger.into_sql_str(),
        false,
    )])
}

/// The number of the ledger of this origin, which is made where it is missing.
async fn ledger_of(session: &mut PgConnection, origin: &str) -> Result<i16> {
    for _ in 0..TRIES {
        let found = sqlx::query_scalar("SELECT ledger FROM ledger WHERE origin = $1").bind(origin);
        if let Some(ledger) = found.fetch_optional(&mut *session).await.map_err(failed)? {
            return Ok(ledger);
        }
        // Where another process takes the number or makes the ledger first, this does nothing.
        sqlx::query(
            "INSERT INTO ledger (ledger, origin) SELECT coalesce(max(ledger), 0::SMALLINT) + 1::SMALLINT, $1 FROM ledger
             ON CONFLICT DO NOTHING",
        )
        .bind(origin)
        .execute(&mut *session)
        .await
        .map_err(failed)?;
    }
    Err(StoreError::TryAgain("other ledgers are being made in this database".into()))
}

/// Refuses a server, or a role, that acknowledges commits before they are on disk.
async fn durable(pool: &PgPool) -> Result<()> {
    let setting: String = sqlx::query_scalar("SELECT current_setting('synchronous_commit')")
        .fetch_one(pool)
        .await
        .map_err(failed)?;
    if setting == "off" {
        let says =
            "synchronous_commit is off: a crash of the server would lose events that were acknowledged";
        return Err(StoreError::Refused(says.into()));
    }
    Ok(())
}
