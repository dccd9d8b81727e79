//! The ports of `trialseal-store` on SQLite: the embedded database of a single machine.
//!
//! What it is not: a place for decisions. It locks, reads and inserts rows; the SQL is static, and the tables stand in
//! `migrations/sqlite/`. A table or column is added by a new migration there and one of the same number and name for
//! PostgreSQL; a port by a module here and checks in the contract suite. The key store, [`SqliteKeys`], is a file of its own,
//! with tables of its own in `migrations/keys/sqlite/`.
//!
//! One connection writes, the others only read. Thanks to the write-ahead log readers never wait for the writer, and
//! `synchronous = FULL` makes a commit durable before it is acknowledged.

mod accounts;
mod election;
mod error;
mod insert;
mod keys;
mod models;
mod record;
mod registry;
mod seals;

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, SqlSafeStr, Sqlite, Transaction};
use trialseal_store::columns::{self, HeadColumns};
use trialseal_store::{LedgerHead, Result, StoreError};
use uuid::Uuid;

use crate::error::{failed, migration_failed};

pub use keys::SqliteKeys;

/// Connections that read; each is a thread.
const READERS: u32 = 8;
/// How long a statement waits for a lock that another process holds on the file.
const BUSY: Duration = Duration::from_secs(10);
/// How long a caller waits for its turn to write, or for a free reader.
const TURN: Duration = Duration::from_secs(30);
/// To what size a log that a long reader made large is cut again, bytes.
const WAL_BYTES: &str = "67108864";

/// One ledger in a SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    origin: String,
    ledger: i64,
    /// The process whose hands this is in.
    who: Option<Uuid>,
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens the file, making it where it is missing, brings its tables up to date, and makes the ledger of this origin
    /// where it is missing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the file cannot be opened or written, [`StoreError::Refused`] where its tables
    /// are not those of this version.
    pub async fn open(path: impl AsRef<Path>, origin: &str) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            // Without it, INSERT OR REPLACE removes rows without asking the triggers that protect them.
            .pragma("recursive_triggers", "ON")
            .pragma("journal_size_limit", WAL_BYTES);
        let Pools { writer, readers } = Pools::open(options, &migrator()).await?;
        let ledger = ledger_of(&writer, origin).await?;
        Ok(Self { origin: origin.to_owned(), ledger, who: None, writer, readers })
    }

    /// Waits for what is under way and closes the file; the log is merged into it.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Takes its turn to write, and the file's write lock.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)
    }

    /// Begins a transaction on the ledger's head. The file's write lock is the head row's lock.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] where that names another holder than the process whose hands this is in.
    async fn lock(&self) -> Result<Locked> {
        let mut tx = self.begin().await?;
        let head = sqlx::query_as(
            "SELECT position, time, seal, seal_leaf, sealed, holder FROM ledger WHERE ledger = ?1",
        );
        let (position, time, seal, leaf, sealed, holder): (_, _, _, _, _, Option<Uuid>) =
            head.bind(self.ledger).fetch_one(&mut *tx).await.map_err(failed)?;
        if holder != self.who {
            return Err(StoreError::Deposed);
        }
        let head: HeadColumns = (position, time, seal, leaf, sealed);
        Ok(Locked { tx, ledger: self.ledger, head: columns::head(head)?, whole: true })
    }
}

/// The connections to a file: one that writes, and some that only read.
struct Pools {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Pools {
    /// Opens the file, making it where it is missing, and brings its tables up to date.
    async fn open(options: SqliteConnectOptions, migrator: &Migrator) -> Result<Self> {
        let options = options.busy_timeout(BUSY).synchronous(SqliteSynchronous::Full);
        let pool = || SqlitePoolOptions::new().acquire_timeout(TURN).idle_timeout(None).max_lifetime(None);
        let writing = options.clone().create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
        let writer = pool()
            .max_connections(1)
            // Where a write failed, as on a full disk, SQLite has ended the transaction by itself. SQLx then cannot roll
            // it back and holds it to be open for good: such a connection is replaced, or nothing would be written again.
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .connect_with(writing)
            .await
            .map_err(failed)?;
        migrator.run(&writer).await.map_err(migration_failed)?;
        let readers =
            pool().max_connections(READERS).connect_with(options.read_only(true)).await.map_err(failed)?;
        Ok(Self { writer, readers })
    }
}

/// A transaction on the ledger's head, an append's or a seal's. Dropped before its commit it is rolled back: SQLx sends
/// the rollback down the connection's queue of commands, behind whatever a cancelled call left there.
struct Locked {
    tx: Transaction<'static, Sqlite>,
    ledger: i64,
    head: LedgerHead,
    /// Whether all writes so far were carried out: SQLite would commit the first half of one that failed.
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

fn migrator() -> Migrator {
    let migrations = [
        ("ledger", include_str!("../../../migrations/sqlite/0001_ledger.sql")),
        ("election", include_str!("../../../migrations/sqlite/0002_election.sql")),
        ("identity", include_str!("../../../migrations/sqlite/0003_identity.sql")),
        ("timestamps", include_str!("../../../migrations/sqlite/0004_timestamps.sql")),
        ("claims", include_str!("../../../migrations/sqlite/0005_claims.sql")),
        ("reseals", include_str!("../../../migrations/sqlite/0006_reseals.sql")),
        ("participants", include_str!("../../../migrations/sqlite/0007_participants.sql")),
        ("passkeys", include_str!("../../../migrations/sqlite/0008_passkeys.sql")),
    ];
    let migration = |(number, (name, sql)): (i64, (&'static str, &'static str))| {
        Migration::new(number, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations((1..).zip(migrations).map(migration).collect())
}

/// The number of the ledger of this origin, which is made where it is missing.
async fn ledger_of(writer: &SqlitePool, origin: &str) -> Result<i64> {
    sqlx::query(
        "INSERT INTO ledger (ledger, origin)
         SELECT (SELECT coalesce(max(ledger), 0) + 1 FROM ledger), ?1
         WHERE NOT EXISTS (SELECT 1 FROM ledger WHERE origin = ?1)",
    )
    .bind(origin)
    .execute(writer)
    .await
    .map_err(failed)?;
    let found = sqlx::query_scalar("SELECT ledger FROM ledger WHERE origin = ?1").bind(origin);
    found.fetch_one(writer).await.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the durability of an acknowledged append rests on, on the connections that are in use.
    #[tokio::test]
    async fn every_connection_is_set_up_as_promised() {
        let dir = tempfile::tempdir().unwrap();
        let store =
            SqliteStore::open(dir.path().join("ledger.sqlite"), "ledger.example.org/x").await.unwrap();
        for pool in [&store.writer, &store.readers] {
            let pragma =
                async |sql: &'static str| -> i64 { sqlx::query_scalar(sql).fetch_one(pool).await.unwrap() };
            let full = 2;
            assert_eq!(pragma("PRAGMA synchronous").await, full);
            assert_eq!(pragma("PRAGMA recursive_triggers").await, 1);
            assert_eq!(pragma("PRAGMA busy_timeout").await, 10_000);
            let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(pool).await.unwrap();
            assert_eq!(mode, "wal");
        }
        let write = sqlx::query("DELETE FROM trial").execute(&store.readers).await.unwrap_err();
        assert!(write.to_string().contains("readonly"), "{write}");
        assert_eq!(store.writer.options().get_max_connections(), 1);
        store.close().await;
    }

    #[tokio::test]
    async fn a_transaction_that_sqlite_ended_by_itself_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let store =
            SqliteStore::open(dir.path().join("ledger.sqlite"), "ledger.example.org/x").await.unwrap();
        for _ in 0..2 {
            let mut tx = store.begin().await.unwrap();
            // As it does where the disk is full.
            sqlx::query("ROLLBACK").execute(&mut *tx).await.unwrap();
            drop(tx);
        }
        store.begin().await.unwrap().commit().await.unwrap();
        store.close().await;
    }
}
