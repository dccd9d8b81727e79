//! The connections to one database: how sessions are set up, how long anybody waits, and which connections are of use.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnectionMetadata;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::{Connection, FromRow, PgConnection};
use tokio::runtime::Handle;
use tokio_util::context::TokioContext;
use trialseal_store::{Result, StoreError};

use crate::error::failed;
use crate::session::{Rows, Session, Statement, missing};

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
/// Every statement finds its rows one by one, by a key. The planner is kept from what would be faster only if its guess
/// of their number were right: plans are kept, and made while tables are small.
const PLANS: [(&str, &str); 3] = [("enable_seqscan", "off"), ("enable_bitmapscan", "off"), ("jit", "off")];
/// How long a connection that lies idle is taken for alive.
const FRESH: Duration = Duration::from_secs(1);
/// How long one that is asked for a sign of life may take to give it.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3);

/// Connections of one process to one database, all of one runtime: whoever asks for a connection may make it, and a
/// connection is of no use to anybody once the runtime that it was made in has ended, as those of HTTP threads do first.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    connections: PgPool,
    runtime: Handle,
    patience: Duration,
    health: Health,
}

impl Pool {
    /// Connects, in the current runtime, with at most `count` connections. `durable` is how commits are to be acknowledged.
    pub(crate) async fn connect(options: PgConnectOptions, durable: &str, count: u32) -> Result<Self> {
        let health = Health::default();
        let pool = PgPoolOptions::new().acquire_timeout(TURN).test_before_acquire(false).before_acquire({
            let health = health.clone();
            move |connection, idle| Box::pin(health.clone().admits(connection, idle))
        });
        let options = options.options(LIMITS).options(PLANS).options([("synchronous_commit", durable)]);
        let connections = pool.max_connections(count).connect_with(options).await.map_err(failed)?;
        Ok(Self { connections, runtime: Handle::current(), patience: PATIENCE, health })
    }

    /// One connection apart from the others, which has one setting of its own.
    pub(crate) fn apart(&self, setting: (&str, &str)) -> Self {
        let options = PgConnectOptions::clone(&self.connections.connect_options()).options([setting]);
        let pool = self.connections.options().clone().max_connections(1);
        Self { connections: pool.connect_lazy_with(options), ..self.clone() }
    }

    /// The same connections, giving a silent server so long in the place of 75 s.
    pub(crate) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Waits for what is under way and closes all connections.
    pub(crate) async fn close(&self) {
        self.connections.close().await;
    }

    /// A connection for several steps.
    pub(crate) async fn session(&self) -> Result<Session> {
        let connection = TokioContext::new(self.connections.acquire(), self.runtime.clone()).await;
        let connection = connection.map_err(failed)?;
        Ok(Session::new(connection, self.patience, self.health.clone()))
    }

    /// As [`Session::all`], on a connection of its own.
    pub(crate) async fn all<O>(&self, query: Rows<'_, O>) -> Result<Vec<O>>
    where
        O: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        self.session().await?.all(query).await
    }

    /// As [`Session::optional`], on a connection of its own.
    pub(crate) async fn optional<O>(&self, query: Rows<'_, O>) -> Result<Option<O>>
    where
        O: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        self.session().await?.optional(query).await
    }

    /// The row of a query that must find one.
    pub(crate) async fn one<O>(&self, query: Rows<'_, O>) -> Result<O>
    where
        O: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        self.optional(query).await?.ok_or_else(missing)
    }

    /// As [`Session::execute`], on a connection of its own.
    pub(crate) async fn execute(&self, statement: Statement<'_>) -> Result<u64> {
        self.session().await?.execute(statement).await
    }
}

/// When a connection was last found broken. Those that lie idle may have died with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health(Arc<Mutex<Option<Instant>>>);

impl Health {
    pub(crate) fn broke(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether an idle connection can be used. One that was used a moment ago is not asked, for that would cost a round
    /// trip before each statement.
    pub(crate) async fn admits(
        self,
        connection: &mut PgConnection,
        idle: PoolConnectionMetadata,
    ) -> sqlx::Result<bool> {
        let broken = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.idle_for < FRESH && broken.is_none_or(|broken| broken.elapsed() > FRESH) {
            return Ok(true);
        }
        let pinged = tokio::time::timeout(SIGN_OF_LIFE, connection.ping()).await;
        Ok(pinged.is_ok_and(|pinged| pinged.is_ok()))
    }
}

/// A session without the limits of the service: a migration may run for longer than any of its statements.
pub(crate) async fn first_session(options: &PgConnectOptions) -> Result<PgConnection> {
    let session = tokio::time::timeout(TURN, PgConnection::connect_with(options)).await;
    session.map_err(|_| StoreError::Unavailable("no answer".into()))?.map_err(failed)
}

/// Reads a URL. SQLx looks at everything in it but the scheme.
pub(crate) fn options(url: &str) -> Result<PgConnectOptions> {
    let ours = url.starts_with("postgres://") || url.starts_with("postgresql://");
    match url.parse::<PgConnectOptions>() {
        Ok(options) if ours => Ok(options.application_name("trialseal")),
        // The reason is not told: it could show the password.
        _ => Err(StoreError::Refused("this is no URL of a PostgreSQL database (postgres://…)".into())),
    }
}

/// How commits are to be acknowledged: when they are on disk, or also visible on a standby where the server asks for
/// that. Every session is held to it, so that nothing changes with a setting that is changed while the service runs.
///
/// # Errors
/// [`StoreError::Refused`] where the server, or the role, acknowledges commits before they are on disk.
pub(crate) async fn durable(session: &mut PgConnection) -> Result<&'static str> {
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
            "synchronous_commit is off: a crash of the server would lose what was acknowledged".into(),
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

    #[tokio::test(flavor = "multi_thread")]
    async fn connections_outlive_the_runtime_of_whoever_asked_for_them() {
        with_database(|url| async move {
            let pool = Pool::connect(options(&url).unwrap(), "on", 1).await.unwrap();
            let elsewhere = {
                let pool = pool.clone();
                move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(async {
                        // The one that the pool began with is given up, so that another is made here.
                        pool.connections.acquire().await.unwrap().close().await.unwrap();
                        pool.execute(sqlx::query("SELECT 1")).await.unwrap();
                        while pool.connections.num_idle() == 0 {
                            tokio::task::yield_now().await;
                        }
                    });
                }
            };
            std::thread::spawn(elsewhere).join().unwrap();
            pool.execute(sqlx::query("SELECT 1")).await.unwrap();
            pool.close().await;
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
