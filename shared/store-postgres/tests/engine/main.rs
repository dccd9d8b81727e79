//! What is PostgreSQL's own: rows that stay whoever asks, sessions with limits, and errors that say what to do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod network;
mod plans;

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use trialseal_record::ids::{StreamId, TrialId};
use trialseal_seal::hash::Hash;
use trialseal_seal::time::Timestamp;
use trialseal_store::{
    Appends, CommandRow, EventRow, Events, NodeRow, SealRow, SealWrite, SealedHead, Seals, StoreError,
    StreamVersion, TimestampRow, TreeName, WriteBatch,
};
use trialseal_store_postgres::PostgresStore;
use trialseal_store_postgres::testing::with_database;
use uuid::Uuid;

const ORIGIN: &str = "ledger.example.org/postgres";
const PROTECTED: [&str; 8] =
    ["event", "command", "seal", "sealed_head", "tree_node", "checkpoint", "note", "note_timestamp"];

fn batch() -> WriteBatch {
    let trial: TrialId = "T".parse().unwrap();
    let stream = StreamId::trial(&trial);
    let event = EventRow {
        position: 0,
        trial: trial.clone(),
        trialseq: 0,
        stream,
        streamseq: 0,
        leaf: Hash::ZERO,
        header: b"header".to_vec(),
        key: Uuid::nil(),
        body: b"body".to_vec(),
    };
    WriteBatch {
        events: vec![event],
        commands: vec![CommandRow { id: [1; 32], digest: [2; 32], trial: trial.clone(), first: 0, count: 1 }],
        streams: vec![StreamVersion { trial: trial.clone(), stream, version: 1 }],
        trials: vec![(trial, 1)],
        natural_keys: vec![],
        position: 1,
        time: Timestamp::from_micros(5),
    }
}

/// One row in each protected table.
async fn filled(url: &str) -> PostgresStore {
    let store = PostgresStore::connect(url, ORIGIN).await.unwrap();
    let mut tx = store.begin_append().await.unwrap();
    tx.write(&batch()).await.unwrap();
    tx.commit().await.unwrap();

    let time = Timestamp::from_micros(6);
    let seal = SealRow { number: 0, entry: b"entry".to_vec(), leaf: Hash::ZERO, sealed: 1, time };
    let heads = vec![SealedHead { trial: "T".parse().unwrap(), seal: 0, size: 1, root: Hash::ZERO }];
    let nodes = vec![NodeRow { tree: TreeName::Log, level: 8, index: 0, hash: Hash::ZERO }];
    let mut tx = store.begin_seal().await.unwrap();
    tx.write(&SealWrite { seal, heads, nodes }).await.unwrap();
    tx.commit().await.unwrap();
    store.put_checkpoint(1, b"checkpoint").await.unwrap();
    store.put_note(1, b"note").await.unwrap();
    store.put_timestamp(&TimestampRow { size: 1, time, reply: b"reply".to_vec() }).await.unwrap();
    store
}

async fn run(session: &mut PgConnection, sql: &str) {
    session.execute(AssertSqlSafe(sql)).await.expect(sql);
}

async fn refused(session: &mut PgConnection, sql: String, table: &str) {
    let error = session.execute(AssertSqlSafe(sql.clone())).await.expect_err(&sql).to_string();
    assert!(error.contains(&format!("table {table} is append-only")), "{sql}: {error}");
}

/// All rows of the protected tables, as text.
async fn dump(session: &mut PgConnection) -> Vec<String> {
    let mut rows = Vec::new();
    for table in PROTECTED {
        let sql = format!("SELECT t::TEXT FROM {table} AS t");
        rows.extend(
            sqlx::query_scalar::<_, String>(AssertSqlSafe(sql)).fetch_all(&mut *session).await.unwrap(),
        );
    }
    assert_eq!(rows.len(), PROTECTED.len(), "one row in each table: {rows:?}");
    rows
}

/// Not even by the tables' owner, a superuser, with ordinary triggers switched off for his session.
#[tokio::test]
async fn what_is_recorded_cannot_be_changed_removed_or_replaced() {
    with_database(|url| async move {
        let store = filled(&url).await;
        let mut session = PgConnection::connect(&url).await.unwrap();
        let before = dump(&mut session).await;
        for role in ["origin", "replica"] {
            session.execute(AssertSqlSafe(format!("SET session_replication_role = {role}"))).await.unwrap();
            for table in PROTECTED {
                refused(&mut session, format!("UPDATE {table} SET ledger = ledger"), table).await;
                refused(&mut session, format!("UPDATE {table} SET ledger = ledger WHERE false"), table).await;
                refused(&mut session, format!("DELETE FROM {table}"), table).await;
                refused(&mut session, format!("TRUNCATE {table}"), table).await;
                refused(&mut session, format!("TRUNCATE {table} CASCADE"), table).await;
                let merge = format!("MERGE INTO {table} AS t USING {table} AS s ON t.ledger = s.ledger");
                refused(&mut session, format!("{merge} WHEN MATCHED THEN DELETE"), table).await;
                let upsert = format!("ON CONFLICT ON CONSTRAINT {table}_pkey DO UPDATE SET ledger = 9");
                refused(&mut session, format!("INSERT INTO {table} SELECT * FROM {table} {upsert}"), table)
                    .await;
            }
        }
        assert_eq!(dump(&mut session).await, before);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_database_holds_several_ledgers() {
    with_database(|url| async move {
        let made: Vec<_> = (0..6)
            .map(|n| {
                let (url, origin) = (url.clone(), format!("ledger.example.org/{}", n % 3));
                tokio::spawn(async move { PostgresStore::connect(&url, &origin).await })
            })
            .collect();
        let mut stores = Vec::new();
        for store in made {
            stores.push(store.await.unwrap().unwrap());
        }
        for store in &stores[..3] {
            let mut tx = store.begin_append().await.unwrap();
            tx.write(&batch()).await.unwrap();
            tx.commit().await.unwrap();
        }
        for (store, again) in stores[..3].iter().zip(&stores[3..]) {
            assert_eq!(store.origin(), again.origin());
            assert_eq!(again.since_position(0, 10).await.unwrap(), batch().events);
        }
        // The head of one ledger does not hold up the others.
        let held = stores[0].begin_append().await.unwrap();
        drop(tokio::time::timeout(Duration::from_secs(5), stores[1].begin_append()).await.unwrap().unwrap());
        drop(held);
        for store in stores {
            store.close().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_forgets_commits_is_refused() {
    with_database(|url| async move {
        let mut session = PgConnection::connect(&url).await.unwrap();
        let name: String =
            sqlx::query_scalar("SELECT current_database()").fetch_one(&mut session).await.unwrap();
        run(&mut session, &format!("ALTER DATABASE {name} SET synchronous_commit = off")).await;
        let error = PostgresStore::connect(&url, ORIGIN).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Refused(says) if says.contains("synchronous_commit")),
            "{error:?}"
        );
    })
    .await;
}

/// The database ends the session between write and commit: the outcome is open, and here nothing was stored.
#[tokio::test]
async fn a_broken_connection_is_told_apart_from_a_refusal() {
    with_database(|url| async move {
        let store = PostgresStore::connect(&url, ORIGIN).await.unwrap();
        let mut tx = store.begin_append().await.unwrap();
        tx.write(&batch()).await.unwrap();
        let mut session = PgConnection::connect(&url).await.unwrap();
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND state = 'idle in transaction'";
        session.execute(end).await.unwrap();
        let error = tx.commit().await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert_eq!(store.command(&[1; 32]).await.unwrap(), None);
        let tx = store.begin_append().await.unwrap();
        assert_eq!(tx.head().position, 0);
        drop(tx);
        store.close().await;

        let error = PostgresStore::connect("postgres://127.0.0.1:1/nothing", ORIGIN).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        let error = PostgresStore::connect("mysql://127.0.0.1/nothing", ORIGIN).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
    })
    .await;
}

/// A row that was removed behind the triggers' back is damage, not the end of the record.
#[tokio::test]
async fn a_missing_row_is_damage() {
    with_database(|url| async move {
        let store = filled(&url).await;
        let mut session = PgConnection::connect(&url).await.unwrap();
        let skip =
            "INSERT INTO event SELECT ledger, 2, trial, 2, stream, 2, leaf, header, key, body FROM event";
        session.execute(skip).await.unwrap();
        let missing = store.since_position(0, 10).await.unwrap_err().to_string();
        assert_eq!(missing, "damaged in the database: events: the row of place 1 is missing");
        assert!(store.of_trial(&"T".parse().unwrap(), 1, 10).await.is_err());
        assert!(store.leaves_from_position(1, 10).await.is_err());
        store.close().await;
    })
    .await;
}
