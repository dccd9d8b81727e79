//! Connections that fall silent, and callers that go away.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use trialseal_store::{Appends, Events, StoreError};
use trialseal_store_postgres::PostgresStore;
use trialseal_store_postgres::testing::with_database;

use super::{ORIGIN, batch, run};

/// How long a test waits for what must come soon.
const SOON: Duration = Duration::from_secs(15);

/// Carries bytes between a store and its server. A connection on which the store says the word falls silent: from there
/// on nothing of what it says arrives, and neither side gets to know.
#[derive(Clone, Default)]
struct Network {
    word: Arc<Mutex<Option<&'static [u8]>>>,
}

impl Network {
    /// Gives the URL by which the server is reached through the network.
    fn before(&self, url: &str) -> String {
        let server: PgConnectOptions = url.parse().unwrap();
        let address = (server.get_host().to_owned(), server.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let network = self.clone();
        std::thread::spawn(move || {
            for store in listener.incoming() {
                let (store, server) = (store.unwrap(), TcpStream::connect(&address).unwrap());
                let (to_store, to_server) = (store.try_clone().unwrap(), server.try_clone().unwrap());
                let network = network.clone();
                std::thread::spawn(move || carry(store, to_server, |said| network.is_silenced_by(said)));
                std::thread::spawn(move || carry(server, to_store, |_| false));
            }
        });
        server.host("127.0.0.1").port(port).to_url_lossy().to_string()
    }

    fn falls_silent_at(&self, word: Option<&'static [u8]>) {
        *self.word.lock().unwrap() = word;
    }

    fn is_silenced_by(&self, said: &[u8]) -> bool {
        self.word.lock().unwrap().is_some_and(|word| said.windows(word.len()).any(|part| part == word))
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, silences: impl Fn(&[u8]) -> bool) {
    let (mut bytes, mut silent) = (vec![0; 1 << 16], false);
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        silent = silent || silences(&bytes[..read]);
        if !silent && to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

async fn soon<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(SOON, what).await.expect("it waits for ever")
}

/// The one task that writes must not wait for ever, nor take what it does not know for done or undone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_not_answered_is_in_doubt() {
    with_database(|url| async move {
        let network = Network::default();
        let store = PostgresStore::connect_with(&network.before(&url), ORIGIN, 1).await.unwrap();
        let store = store.with_patience(Duration::from_secs(1));
        network.falls_silent_at(Some(b"COMMIT"));
        let mut tx = store.begin_append().await.unwrap();
        tx.write(&batch()).await.unwrap();
        let error = soon(tx.commit()).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");

        // There may be one connection, and this cannot be the silent one.
        network.falls_silent_at(None);
        let mut tx = soon(store.begin_append()).await.unwrap();
        assert_eq!(tx.head().position, 0);
        assert_eq!(tx.commands(&[[1; 32]]).await.unwrap(), []);
        tx.write(&batch()).await.unwrap();
        soon(tx.commit()).await.unwrap();
        assert_eq!(store.head().await.unwrap().position, 1);
        store.close().await;
    })
    .await;
}

/// Reading ends in time too, and an idle connection that died is found out before it is used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_connection_is_replaced() {
    with_database(|url| async move {
        let network = Network::default();
        let store = PostgresStore::connect_with(&network.before(&url), ORIGIN, 1).await.unwrap();
        let store = store.with_patience(Duration::from_secs(1));
        network.falls_silent_at(Some(b"FROM event"));
        let error = soon(store.since_position(0, 10)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert_eq!(soon(store.head()).await.unwrap().position, 0);

        // The message by which a connection is asked for a sign of life.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        network.falls_silent_at(Some(b"S\0\0\0\x04"));
        let asked = tokio::spawn(async move { store.head().await });
        tokio::time::sleep(Duration::from_millis(500)).await;
        network.falls_silent_at(None);
        assert_eq!(soon(asked).await.unwrap().unwrap().position, 0);
    })
    .await;
}

/// A server that was started anew has ended all sessions. Whoever meets the first dead connection gets to know; the
/// others are found out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_broken_connection_brings_the_others_under_suspicion() {
    with_database(|url| async move {
        let store = PostgresStore::connect_with(&url, ORIGIN, 8).await.unwrap();
        let mut session = PgConnection::connect(&url).await.unwrap();
        // Whoever waits for the head row has a connection of its own.
        let held = store.begin_append().await.unwrap();
        let waiting: Vec<_> = (0..7)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.begin_append().await.map(drop) })
            })
            .collect();
        let sessions = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
        while sqlx::query_scalar::<_, i64>(sessions).fetch_one(&mut session).await.unwrap() < 8 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(held);
        for waiting in waiting {
            soon(waiting).await.unwrap().unwrap();
        }
        let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
        run(&mut session, end).await;
        let mut failed = 0;
        for _ in 0..16 {
            failed += u32::from(soon(store.head()).await.is_err());
        }
        assert!(failed <= 1, "{failed} dead connections were used");
        store.close().await;
    })
    .await;
}

/// A caller that stops waiting for the head row takes its place in the queue along.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_waiting_does_not_hold_up_the_next() {
    with_database(|url| async move {
        let holder = PostgresStore::connect(&url, ORIGIN).await.unwrap();
        let held = holder.begin_append().await.unwrap();
        let store = PostgresStore::connect_with(&url, ORIGIN, 1).await.unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(200), store.begin_append()).await;
        assert!(waited.is_err(), "two appends hold the head row");
        let head = tokio::time::timeout(Duration::from_secs(5), store.head()).await;
        assert_eq!(head.expect("it waits behind a caller that has gone").unwrap().position, 0);
        drop(held);
        drop(soon(store.begin_append()).await.unwrap());
        store.close().await;
        holder.close().await;
    })
    .await;
}
