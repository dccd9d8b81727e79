//! The database of one service, and the hands of somebody who has got at it.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::runtime::Runtime;

/// The environment variable with the URL of a database on a server whose user may make databases.
const SERVER: &str = "TRIALSEAL_TEST_POSTGRES";

/// The database that a server of a test's own begins with.
const ONLY: &str = "postgres";

/// A database engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The embedded one.
    Sqlite,
    /// A server.
    Postgres,
}

/// A database that one test has for itself; dropped with it.
#[derive(Debug)]
pub struct Database(Kind);

#[derive(Debug)]
enum Kind {
    Sqlite { file: String },
    Postgres { server: Box<PgConnectOptions>, name: String },
}

impl Database {
    pub(crate) fn make(engine: Engine, dir: &Path) -> Self {
        Self(match engine {
            Engine::Sqlite => Kind::Sqlite { file: dir.join("trialseal.db").display().to_string() },
            Engine::Postgres => make_on_server(test_server()),
        })
    }

    /// What the service is told.
    pub fn url(&self) -> String {
        match &self.0 {
            Kind::Sqlite { .. } => "sqlite".to_owned(),
            Kind::Postgres { server, name } => {
                PgConnectOptions::clone(server).database(name).to_url_lossy().to_string()
            }
        }
    }

    /// A database on the server of the tests.
    pub fn on_postgres() -> Self {
        Self(make_on_server(test_server()))
    }

    /// Makes another database on a server that is a test's own, with which it goes; answers what a service is told.
    pub fn url_beside(&self, name: &str) -> String {
        let Kind::Postgres { server, .. } = &self.0 else { panic!("the embedded database has no server") };
        on_server(server, &format!("CREATE DATABASE {name}"));
        PgConnectOptions::clone(server).database(name).to_url_lossy().to_string()
    }

    /// The one database of a server that is a test's own, and goes with it.
    pub fn on(server: SocketAddr) -> Self {
        let options = PgConnectOptions::new_without_pgpass().host(&server.ip().to_string());
        let server = Box::new(options.port(server.port()).username("postgres").ssl_mode(PgSslMode::Disable));
        Self(Kind::Postgres { server, name: ONLY.to_owned() })
    }

    /// Where the server is.
    pub fn server(&self) -> SocketAddr {
        match &self.0 {
            Kind::Sqlite { .. } => panic!("the embedded database has no server"),
            Kind::Postgres { server, .. } => {
                let found = (server.get_host(), server.get_port()).to_socket_addrs();
                found.unwrap().next().expect("the server has an address")
            }
        }
    }

    /// What a service is told that reaches the server at another address.
    pub(crate) fn url_at(&self, address: SocketAddr) -> String {
        match &self.0 {
            Kind::Sqlite { .. } => panic!("the embedded database has no server"),
            Kind::Postgres { server, name } => {
                let there = PgConnectOptions::clone(server).host(&address.ip().to_string());
                let plain = there.port(address.port()).ssl_mode(PgSslMode::Disable);
                plain.database(name).to_url_lossy().to_string()
            }
        }
    }

    /// What a service is told that comes as another user of the server.
    pub fn url_of(&self, user: &str) -> String {
        self.options_of(user).to_url_lossy().to_string()
    }

    fn options_of(&self, user: &str) -> PgConnectOptions {
        match &self.0 {
            Kind::Sqlite { .. } => panic!("the embedded database has no users"),
            Kind::Postgres { server, name } => PgConnectOptions::clone(server).username(user).database(name),
        }
    }

    /// Carries out statements as another user of the server.
    pub fn execute_as(&self, user: &str, sql: &str) -> Result<(), String> {
        let options = self.options_of(user);
        let done = wait(async {
            let mut session = PgConnection::connect_with(&options).await?;
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut session).await?;
            session.close().await
        });
        done.map_err(|error| error.to_string())
    }

    /// Which engine it is.
    pub fn engine(&self) -> Engine {
        match &self.0 {
            Kind::Sqlite { .. } => Engine::Sqlite,
            Kind::Postgres { .. } => Engine::Postgres,
        }
    }

    /// Carries out statements, past the service; answers what the database said against them.
    pub fn execute(&self, sql: &str) -> Result<(), String> {
        let done = match &self.0 {
            Kind::Sqlite { file } => wait(async {
                let mut session = sqlite(file).await?;
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut session).await?;
                session.close().await
            }),
            Kind::Postgres { server, name } => wait(async {
                let mut session =
                    PgConnection::connect_with(&PgConnectOptions::clone(server).database(name)).await?;
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut session).await?;
                session.close().await
            }),
        };
        done.map_err(|error| error.to_string())
    }

    /// The one text column of a query, a text a row.
    pub fn texts(&self, sql: &str) -> Vec<String> {
        let found = match &self.0 {
            Kind::Sqlite { file } => wait(async {
                let mut session = sqlite(file).await?;
                let rows = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut session).await?;
                session.close().await?;
                Ok::<_, sqlx::Error>(rows)
            }),
            Kind::Postgres { server, name } => wait(async {
                let mut session =
                    PgConnection::connect_with(&PgConnectOptions::clone(server).database(name)).await?;
                let rows = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut session).await?;
                session.close().await?;
                Ok(rows)
            }),
        };
        found.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Somebody else's session on PostgreSQL, which stays open.
    pub fn session(&self) -> Session {
        match &self.0 {
            Kind::Sqlite { .. } => panic!("the embedded database has no sessions"),
            Kind::Postgres { server, name } => {
                let runtime = runtime();
                let options = PgConnectOptions::clone(server).database(name);
                let session = runtime.block_on(PgConnection::connect_with(&options)).unwrap();
                Session { runtime, session }
            }
        }
    }

    /// Copies the database of a service that does not run, as a backup does.
    pub fn back_up(&self, to: &str) {
        match &self.0 {
            Kind::Sqlite { file } => copy_files(file, &format!("{file}.{to}")),
            Kind::Postgres { server, name } => copy_database(server, name, &format!("{name}_{to}")),
        }
    }

    /// Puts a copy in the place of the database of a service that does not run.
    pub fn restore(&self, from: &str) {
        match &self.0 {
            Kind::Sqlite { file } => copy_files(&format!("{file}.{from}"), file),
            Kind::Postgres { server, name } => copy_database(server, &format!("{name}_{from}"), name),
        }
    }

    /// Removes a copy.
    pub fn remove_copy(&self, copy: &str) {
        if let Kind::Postgres { server, name } = &self.0 {
            on_server(server, &format!("DROP DATABASE {name}_{copy}"));
        }
    }

    /// Everything that is stored, as text with bytes in hex: what somebody with a dump of the database has. Of SQLite the
    /// file is the dump.
    pub fn dump(&self) -> String {
        let mut dump = String::new();
        if self.engine() == Engine::Postgres {
            for table in self.texts("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'") {
                for row in self.texts(&format!("SELECT t::text FROM {table} t")) {
                    writeln!(dump, "{table} {row}").unwrap();
                }
            }
        }
        dump
    }
}

/// A session that stays open, with whatever it has begun.
#[derive(Debug)]
pub struct Session {
    runtime: Runtime,
    session: PgConnection,
}

impl Session {
    /// Carries out statements.
    pub fn execute(&mut self, sql: &str) {
        self.runtime.block_on(sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.session)).unwrap();
    }

    /// The one text column of a query, a text a row.
    pub fn texts(&mut self, sql: &str) -> Vec<String> {
        let found = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut self.session);
        self.runtime.block_on(found).unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // That one goes with its server.
        if let Kind::Postgres { server, name } = &self.0
            && name != ONLY
        {
            // A test that failed leaves connections of its service.
            on_server(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

async fn sqlite(file: &str) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(std::time::Duration::from_secs(10));
    SqliteConnection::connect_with(&options).await
}

/// The embedded database is three files.
fn copy_files(from: &str, to: &str) {
    for ending in ["", "-wal", "-shm"] {
        let (from, to) = (format!("{from}{ending}"), format!("{to}{ending}"));
        if fs::exists(&from).unwrap() {
            fs::copy(from, to).unwrap();
        } else if fs::exists(&to).unwrap() {
            fs::remove_file(to).unwrap();
        }
    }
}

fn copy_database(server: &PgConnectOptions, from: &str, to: &str) {
    on_server(server, &format!("DROP DATABASE IF EXISTS {to} WITH (FORCE)"));
    on_server(server, &format!("CREATE DATABASE {to} TEMPLATE {from}"));
}

fn test_server() -> PgConnectOptions {
    #[expect(clippy::disallowed_methods, reason = "settings are the service's; this is the tests' own")]
    let Ok(url) = std::env::var(SERVER) else {
        panic!(
            "{SERVER} is not set: run ./test, or xtask/with-postgres before the command, which start a server"
        );
    };
    url.parse().expect("TRIALSEAL_TEST_POSTGRES is the URL of a PostgreSQL database")
}

fn make_on_server(server: PgConnectOptions) -> Kind {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let name = format!("trialseal_e2e_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    // A run that was killed may have left a database to a process of the same number.
    on_server(&server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
    on_server(&server, &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"));
    Kind::Postgres { server: Box::new(server), name }
}

fn on_server(server: &PgConnectOptions, sql: &str) {
    let done = wait(async {
        let mut session = PgConnection::connect_with(server).await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut session).await?;
        session.close().await
    });
    if let Err(error) = done {
        eprintln!("{sql}: {error}");
    }
}

fn wait<F: Future>(what: F) -> F::Output {
    runtime().block_on(what)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
