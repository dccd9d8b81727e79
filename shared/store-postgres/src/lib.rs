//! The ports of `trialseal-store` on PostgreSQL: a ledger that several machines share.
//!
//! What it is not: a place for decisions. It locks, reads and inserts rows; the SQL is static, and the tables stand in
//! `migrations/postgres/`. A table or column is added by a new migration there and one of the same number and name for
//! SQLite; a port by a module here and checks in the contract suite. The key store, [`PostgresKeys`], is a database of its
//! own, with tables of its own in `migrations/keys/postgres/`.
//!
//! Transactions are READ COMMITTED and begin by locking the ledger's head row; whatever they rest on is read in later
//! statements, which see all that was committed before the lock was had. Many rows are inserted by one statement, and
//! looked up by one that walks the list of their keys (LATERAL), so that its cost does not depend on a table's size.

mod accounts;
mod election;
mod error;
mod keys;
mod models;
mod pool;
mod record;
mod registry;
mod seals;
mod session;
mod tables;
#[cfg(feature = "testing")]
pub mod testing;

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use trialseal_store::columns::{self, HeadColumns};
use trialseal_store::{LedgerHead, Result, StoreError};
use uuid::Uuid;

use crate::error::failed;
use crate::pool::{Pool, durable, first_session, options};
use crate::session::Session;

pub use keys::PostgresKeys;

/// Connections of one process at the most.
const CONNECTIONS: u32 = 16;
/// How long an election waits for the head row: it is held again in a second, and an append that finds it waiting in front
/// waits for a lock twice.
const ELECTION: (&str, &str) = ("lock_timeout", "1s");
/// How often a new ledger's number is tried for, when others make ledgers at the same moment.
const TRIES: u32 = 20;

/// One ledger in a PostgreSQL database.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    origin: String,
    ledger: i16,
    /// The process whose hands this is in.
    who: Option<Uuid>,
    pool: Pool,
    /// One connection apart, so that a term is not lost for want of a free one.
    election: Pool,
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
        let mut session = first_session(&options).await?;
        tables::bring_up_to_date(&mut session, tables::RECORD).await?;
        let ledger = ledger_of(&mut session, origin).await?;
        let durable = durable(&mut session).await?;
        session.close().await.map_err(failed)?;
        let pool = Pool::connect(options, durable, connections).await?;
        let election = pool.apart(ELECTION);
        Ok(Self { origin: origin.to_owned(), ledger, who: None, pool, election })
    }

    /// Makes the tables, or brings them up to date, as their owner: the service need not be the one who may.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn migrate(url: &str) -> Result<()> {
        let mut session = first_session(&options(url)?).await?;
        tables::bring_up_to_date(&mut session, tables::RECORD).await?;
        session.close().await.map_err(failed)
    }

    /// The same store, giving a silent server so long in the place of 75 s. For tests.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        let (pool, election) = (self.pool.with_patience(patience), self.election.with_patience(patience));
        Self { pool, election, ..self }
    }

    /// Waits for what is under way and closes all connections.
    pub async fn close(&self) {
        self.election.close().await;
        self.pool.close().await;
    }

    /// Begins a transaction and locks the ledger's head row.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] where that names another holder than the process whose hands this is in.
    async fn lock(&self) -> Result<Locked> {
        let mut session = self.pool.session().await?;
        // Made of a number and of this text alone.
        let lock = AssertSqlSafe(format!(
            "BEGIN; SELECT position, time, seal, seal_leaf, sealed, holder FROM ledger WHERE ledger = {} FOR UPDATE",
            self.ledger
        ));
        let (position, time, seal, leaf, sealed, holder): (_, _, _, _, _, Option<Uuid>) =
            session.begin_with(lock).await?;
        if holder != self.who {
            return Err(StoreError::Deposed);
        }
        let head: HeadColumns = (position, time, seal, leaf, sealed);
        Ok(Locked { session, ledger: self.ledger, head: columns::head(head)?, whole: true })
    }
}

/// A transaction that holds the head row's lock, an append's or a seal's. Dropped before its commit it is rolled back.
struct Locked {
    session: Session,
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
        self.session.commit().await
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::with_database;

    const ORIGIN: &str = "ledger.example.org/x";

    async fn setting(session: &mut Session, name: &str) -> String {
        let value = sqlx::query_as("SELECT current_setting($1)").bind(name);
        session.optional::<(String,)>(value).await.unwrap().unwrap().0
    }

    async fn sets(url: &str, synchronous_commit: &str) {
        let mut session = PgConnection::connect(url).await.unwrap();
        let sql = format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = {synchronous_commit}',
                 current_database()); END $$"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut session).await.unwrap();
    }

    /// What the durability of an acknowledged append rests on, on every connection that is in use.
    #[tokio::test]
    async fn every_session_is_set_up_as_promised() {
        with_database(|url| async move {
            let store = PostgresStore::connect(&url, ORIGIN).await.unwrap();
            let mut first = store.pool.session().await.unwrap();
            for (name, value) in [
                ("synchronous_commit", "on"),
                ("default_transaction_isolation", "read committed"),
                ("lock_timeout", "10s"),
                ("statement_timeout", "1min"),
                ("idle_in_transaction_session_timeout", "30s"),
                ("enable_seqscan", "off"),
                ("enable_bitmapscan", "off"),
            ] {
                assert_eq!(setting(&mut first, name).await, value, "{name}");
            }
            // The first is still out: this connection is made after the setting was changed.
            sets(&url, "off").await;
            let mut second = store.pool.session().await.unwrap();
            assert_eq!(setting(&mut second, "synchronous_commit").await, "on");
            drop((first, second));
            store.close().await;
        })
        .await;
    }

    #[tokio::test]
    async fn commits_wait_for_the_disk_or_for_more() {
        with_database(|url| async move {
            for (server, session) in
                [("local", "on"), ("remote_write", "on"), ("on", "on"), ("remote_apply", "remote_apply")]
            {
                sets(&url, server).await;
                let store = PostgresStore::connect(&url, ORIGIN).await.unwrap();
                let mut used = store.pool.session().await.unwrap();
                assert_eq!(setting(&mut used, "synchronous_commit").await, session, "{server}");
                drop(used);
                store.close().await;
            }
        })
        .await;
    }
}
