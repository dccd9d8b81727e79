//! Databases for tests: each test has its own, and drops it. Not part of the service.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot have its database fails")]

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

/// The environment variable with the URL of a database on a server whose user may create databases.
pub const SERVER: &str = "TRIALSEAL_TEST_POSTGRES";

/// Makes a new database, runs a test with its URL, and drops it, also where the test failed.
///
/// Its text is sorted as American English sorts it, so that whoever forgets to ask for the order of bytes finds out.
///
/// # Panics
/// Where the environment names no server, where the server does not do as it is told, and where the test panics.
pub async fn with_database<F: Future>(test: impl FnOnce(String) -> F) -> F::Output {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let server = server();
    let name = format!("trialseal_test_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let remove = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    let make = format!(
        "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'
         LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
    );
    // A test that was killed may have left a database to a process of the same number.
    run(&server, &remove).await;
    run(&server, &make).await;
    let url = server.clone().database(&name).to_url_lossy().to_string();
    let outcome = AssertUnwindSafe(async { test(url).await }).catch_unwind().await;
    run(&server, &remove).await;
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

#[expect(clippy::disallowed_methods, reason = "settings are the service's; this is the tests' own")]
fn server() -> PgConnectOptions {
    let Ok(url) = std::env::var(SERVER) else {
        panic!("{SERVER} is not set: run the tests by ./test, which starts a PostgreSQL server for them");
    };
    url.parse().expect("TRIALSEAL_TEST_POSTGRES is no URL of a PostgreSQL database")
}

async fn run(server: &PgConnectOptions, sql: &str) {
    let mut session = PgConnection::connect_with(server).await.expect("the test server cannot be reached");
    // Made of constants and numbers alone.
    session.execute(AssertSqlSafe(sql)).await.expect("the test server refuses to make or drop a database");
    session.close().await.expect("the test server broke the connection");
}
