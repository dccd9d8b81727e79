//! The ports of `trialseal-store` on PostgreSQL: a ledger that several machines share.
//!
//! What it is not: a place for decisions. It locks, reads and inserts rows; the SQL is static, and the tables stand in
//! `migrations/postgres/`. A table or column is added by a new migration there and one of the same number and name for
//! SQLite; a port by a module here and checks in the contract suite.
//!
//! Transactions are READ COMMITTED and begin by locking the ledger's head row; whatever they rest on is read in later
//! statements, which see all that was committed before the lock was had. Many rows are inserted by one statement, and
//! looked up by one that walks the list of their keys (LATERAL), so that its cost does not depend on a table's size.

mod accounts;
mod election;
mod error;
mod models;
mod record;
mod registry;
mod seals;
mod session;
mod tables;
#[cfg(feature = "testing")]
pub mod testing;

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use trialseal_store::columns::{self, HeadColumns};
use trialseal_store::{LedgerHead, Result, StoreError};
use uuid::Uuid;

use crate::error::failed;
use crate::session::{Health, Session};

/// Connections of one process at the most.
const CONNECTIONS: u32 = 16;
/// How long a caller waits for a free connection.
const TURN: Duration = Duration::from_secs(10);
/// How long the server may be silent. `LIMITS` end a statement before that; this ends what the server does not get to
/// know of, because the network swallows it.
const PATIENCE: Duration = Duration::from_secs(75);
/// What bounds each session: how long it waits for a lock, how long a statement runs, and how long a transaction that
/// nobody goes on with holds its locks.
const LIMITS: [(&str, &str); 4] = [
    ("default_transaction_isolation", "read committed"),
    ("lock_timeout", "10s"),
    ("statement_timeout", "60s"),
    ("idle_in_transaction_session_timeout", "30s"),
];
/// How long an election waits for the head row: it is held again in a second, and an append that finds it waiting in front
/// waits for a lock twice.
const ELECTION: (&str, &str) = ("lock_timeout", "1s");
/// Every statement finds its rows one by one, by a key. The planner is kept from what would be faster only if its guess
/// of their number were right: plans are kept, and made while tables are small.
const PLANS: [(&str, &str); 3] = [("enable_seqscan", "off"), ("enable_bitmapscan", "off"), ("jit", "off")];
/// How often a new ledger's number is tried for, when others make ledgers at the same moment.
const TRIES: u32 = 20;

/// One ledger in a PostgreSQL database.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    origin: String,
    ledger: i16,
    /// The process whose hands this is in.
    who: Option<Uuid>,
    pool: PgPool,
    /// One connection apart, so that a term is not lost for want of a free one.
    election: PgPool,
    patience: Duration,
    health: Health,
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
        tables::bring_up_to_date(&mut session).await?;
        let ledger = ledger_of(&mut session, origin).await?;
        let durable = ("synchronous_commit", durable(&mut session).await?);
        session.close().await.map_err(failed)?;

        let health = Health::default();
        let pool = PgPoolOptions::new().acquire_timeout(TURN).test_before_acquire(false).before_acquire({
            let health = health.clone();
            move |connection, idle| Box::pin(health.clone().admits(connection, idle))
        });
        let options = options.options(LIMITS).options(PLANS).options([durable]);
        let election = pool.clone().max_connections(1).connect_lazy_with(options.clone().options([ELECTION]));
        let pool = pool.max_connections(connections).connect_with(options).await.map_err(failed)?;
        let (origin, who, patience) = (origin.to_owned(), None, PATIENCE);
        Ok(Self { origin, ledger, who, pool, election, patience, health })
    }

    /// Makes the tables, or brings them up to date, as their owner: the service need not be the one who may.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn migrate(url: &str) -> Result<()> {
        let mut session = first_session(&options(url)?).await?;
        tables::bring_up_to_date(&mut session).await?;
        session.close().await.map_err(failed)
    }

    /// The same store, giving a silent server so long in the place of 75 s. For tests.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
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
        let mut session = self.session().await?;
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

/// A session without the limits of the service: a migration may run for longer than any of its statements.
async fn first_session(options: &PgConnectOptions) -> Result<PgConnection> {
    let session = tokio::time::timeout(TURN, PgConnection::connect_with(options)).await;
    session.map_err(|_| StoreError::Unavailable("no answer".into()))?.map_err(failed)
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

/// How commits are to be acknowledged: when they are on disk, or also visible on a standby where the server asks for
/// that. Every session is held to it, so that nothing changes with a setting that is changed while the service runs.
///
/// # Errors
/// [`StoreError::Refused`] where the server, or the role, acknowledges commits before they are on disk.
async fn durable(session: &mut PgConnection) -> Result<&'static str> {
    let (commit, fsync, pages): (String, String, String) = sqlx::query_as(
        "SELECT current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes')",
    )
    .fetch_one(session)
    .await
    .map_err(failed)?;
    if let Some(lost) = lost_in_a_crash(&fsync, &pages) {
        tracing::warn!("{lost}");
    }
    match commit.as_str() {
        "off" => Err(StoreError::Refused(
            "synchronous_commit is off: a crash of the server would lose events that were acknowledged"
                .into(),
        )),
        "remote_apply" => Ok("remote_apply"),
        // Weaker ones wait for the own disk, but not for that of a synchronous standby.
        _ => Ok("on"),
    }
}

/// What a server that was set up to be thrown away has to be warned of.
fn lost_in_a_crash(fsync: &str, full_page_writes: &str) -> Option<&'static str> {
    match (fsync, full_page_writes) {
        ("off", _) => Some("the server runs with fsync off: a crash of its machine can destroy the ledger"),
        (_, "off") => {
            Some("the server runs with full_page_writes off: a crash of its machine can damage the ledger")
        }
        _ => None,
    }
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
            let mut first = store.session().await.unwrap();
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
            let mut second = store.session().await.unwrap();
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
                let mut used = store.session().await.unwrap();
                assert_eq!(setting(&mut used, "synchronous_commit").await, session, "{server}");
                drop(used);
                store.close().await;
            }
        })
        .await;
    }

    #[test]
    fn a_server_that_does_not_wait_for_its_disk_is_warned_of() {
        assert_eq!(lost_in_a_crash("on", "on"), None);
        assert!(lost_in_a_crash("off", "on").is_some_and(|lost| lost.contains("fsync")));
        assert!(lost_in_a_crash("on", "off").is_some_and(|lost| lost.contains("full_page_writes")));
    }
}
