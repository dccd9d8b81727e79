//! What is SQLite's own: rows that stay whoever asks, and a file that keeps them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Executor};
use trialseal_record::ids::{StreamId, TrialId};
use trialseal_seal::hash::Hash;
use trialseal_seal::time::Timestamp;
use trialseal_store::{
    Appends, CommandRow, EventRow, Events, NodeRow, SealRow, SealWrite, SealedHead, Seals, StoreError,
    StreamVersion, TimestampRow, Tokens, TreeName, WriteBatch,
};
use trialseal_store_sqlite::SqliteStore;
use uuid::Uuid;

const ORIGIN: &str = "ledger.example.org/sqlite";
const PROTECTED: [&str; 8] =
    ["event", "command", "seal", "sealed_head", "tree_node", "checkpoint", "note", "note_timestamp"];

/// One row in each protected table.
async fn filled(path: &Path) -> SqliteStore {
    let store = SqliteStore::open(path, ORIGIN).await.unwrap();
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
    let batch = WriteBatch {
        events: vec![event],
        commands: vec![CommandRow { id: [1; 32], digest: [2; 32], trial: trial.clone(), first: 0, count: 1 }],
        streams: vec![StreamVersion { trial: trial.clone(), stream, version: 1 }],
        trials: vec![(trial.clone(), 1)],
        natural_keys: vec![],
        position: 1,
        time: Timestamp::from_micros(5),
    };
    let mut tx = store.begin_append().await.unwrap();
    tx.write(&batch).await.unwrap();
    tx.commit().await.unwrap();

    let time = Timestamp::from_micros(6);
    let seal = SealRow { number: 0, entry: b"entry".to_vec(), leaf: Hash::ZERO, sealed: 1, time };
    let heads = vec![SealedHead { trial, seal: 0, size: 1, root: Hash::ZERO }];
    let nodes = vec![NodeRow { tree: TreeName::Log, level: 8, index: 0, hash: Hash::ZERO }];
    let mut tx = store.begin_seal().await.unwrap();
    tx.write(&SealWrite { seal, heads, nodes }).await.unwrap();
    tx.commit().await.unwrap();
    store.put_checkpoint(1, b"checkpoint").await.unwrap();
    store.put_note(1, b"note").await.unwrap();
    store.put_timestamp(&TimestampRow { size: 1, time, reply: b"reply".to_vec() }).await.unwrap();
    store
}

async fn connect(path: &Path, recursive_triggers: &str) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .pragma("recursive_triggers", recursive_triggers.to_owned());
    options.connect().await.unwrap()
}

async fn refused(connection: &mut SqliteConnection, sql: String, table: &str) {
    let error = connection.execute(sqlx::AssertSqlSafe(sql.clone())).await.expect_err(&sql).to_string();
    assert!(error.contains(&format!("table {table} is append-only")), "{sql}: {error}");
}

/// All rows of the protected tables, as text.
async fn dump(connection: &mut SqliteConnection) -> Vec<String> {
    let mut rows = Vec::new();
    for table in PROTECTED {
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?1)")
            .bind(table)
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        let columns: Vec<_> = columns.iter().map(|column| format!("quote({column})")).collect();
        let sql = format!("SELECT {} FROM {table}", columns.join(" || ',' || "));
        rows.extend(
            sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(sql))
                .fetch_all(&mut *connection)
                .await
                .unwrap(),
        );
    }
    assert_eq!(rows.len(), PROTECTED.len(), "one row in each table: {rows:?}");
    rows
}

/// With and without recursive triggers: a tool that somebody connects does not switch them on.
#[tokio::test]
async fn what_is_recorded_cannot_be_changed_removed_or_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite");
    let store = filled(&path).await;
    for recursive_triggers in ["ON", "OFF"] {
        let mut connection = connect(&path, recursive_triggers).await;
        let before = dump(&mut connection).await;
        for table in PROTECTED {
            refused(&mut connection, format!("UPDATE {table} SET ledger = ledger"), table).await;
            refused(&mut connection, format!("UPDATE OR IGNORE {table} SET ledger = 9"), table).await;
            refused(&mut connection, format!("UPDATE OR REPLACE {table} SET ledger = 9"), table).await;
            refused(&mut connection, format!("DELETE FROM {table}"), table).await;
            refused(&mut connection, format!("INSERT OR REPLACE INTO {table} SELECT * FROM {table}"), table)
                .await;
            refused(&mut connection, format!("REPLACE INTO {table} SELECT * FROM {table}"), table).await;
            let upsert = "WHERE true ON CONFLICT DO UPDATE SET ledger = 9";
            refused(&mut connection, format!("INSERT INTO {table} SELECT * FROM {table} {upsert}"), table)
                .await;
        }
        // Each of the other keys of a table can make a row give way too, and so can SQLite's own row number: given as one
        // that is taken, as the only one that a trigger sees where none is given, and under its other names.
        let event = "INSERT OR REPLACE INTO event (row, ledger, position, trial, trialseq, stream, streamseq, leaf, header, key, body)";
        let columns = "leaf, header, key, body FROM event";
        for values in [
            "(1 << 40) | 9, 1, 9, 'T', 0, stream, 9",
            "(1 << 40) | 9, 1, 9, 'T', 9, stream, 0",
            "row, 1, 9, 'U', 9, stream, 9",
            "row, 1, 0, 'U', 9, stream, 9",
            "-1, 1, 9, 'U', 9, stream, 9",
            "NULL, 1, 9, 'U', 9, stream, 9",
            "(1 << 40) | 10, 1, 9, 'U', 9, stream, 9",
        ] {
            refused(&mut connection, format!("{event} SELECT {values}, {columns}"), "event").await;
            let rowid = event.replace("(row,", "(rowid,");
            refused(&mut connection, format!("{rowid} SELECT {values}, {columns}"), "event").await;
        }
        let head = "INSERT OR REPLACE INTO sealed_head SELECT ledger, trial, 9, size, root FROM sealed_head";
        refused(&mut connection, head.into(), "sealed_head").await;
        assert_eq!(dump(&mut connection).await, before);
    }
    store.close().await;
}

#[tokio::test]
async fn a_file_keeps_everything_when_it_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite");
    let store = filled(&path).await;
    let (head, events) = (store.head().await.unwrap(), store.since_position(0, 10).await.unwrap());
    store.close().await;

    let other = SqliteStore::open(&path, "ledger.example.org/other").await.unwrap();
    let store = SqliteStore::open(&path, ORIGIN).await.unwrap();
    assert_eq!(store.head().await.unwrap(), head);
    assert_eq!(store.since_position(0, 10).await.unwrap(), events);
    assert_eq!(store.seals(0, 10).await.unwrap().len(), 1);
    assert_eq!(store.newest_checkpoint().await.unwrap(), Some((1, b"checkpoint".to_vec())));
    // Another origin in the same file is another, empty ledger.
    assert_eq!(other.head().await.unwrap().position, 0);
    assert_eq!(other.since_position(0, 10).await.unwrap(), []);
    assert_eq!(other.newest_note().await.unwrap(), None);
    store.close().await;
    other.close().await;
}

#[tokio::test]
async fn the_file_is_written_ahead_and_a_stranger_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite");
    let store = filled(&path).await;
    assert!(dir.path().join("ledger.sqlite-wal").exists());
    let mut connection = connect(&path, "ON").await;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut connection).await.unwrap();
    assert_eq!(mode, "wal");
    connection.close().await.unwrap();
    store.close().await;

    let stranger = dir.path().join("stranger.txt");
    std::fs::write(&stranger, "x".repeat(5_000)).unwrap();
    let error = SqliteStore::open(&stranger, ORIGIN).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
    let error = SqliteStore::open(dir.path().join("no/such/folder.sqlite"), ORIGIN).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

/// A row that was removed behind the triggers' back is damage, not the end of the record.
#[tokio::test]
async fn a_missing_or_bent_row_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite");
    let store = filled(&path).await;
    let mut connection = connect(&path, "OFF").await;
    for sql in [
        "INSERT INTO event SELECT row + 2, ledger, 2, trial, 2, stream, 2, leaf, header, key, body FROM event",
        "DROP TRIGGER event_update",
        "UPDATE event SET stream = 'nothing' WHERE position = 0",
    ] {
        connection.execute(sql).await.unwrap();
    }
    let damaged = store.since_position(0, 1).await.unwrap_err();
    assert!(matches!(&damaged, StoreError::DamagedEvent { trialseq: 0, .. }), "{damaged:?}");
    let missing = store.since_position(1, 10).await.unwrap_err().to_string();
    assert_eq!(missing, "damaged in the database: events: the row of place 1 is missing");
    assert!(store.of_trial(&"T".parse().unwrap(), 1, 10).await.is_err());
    assert!(store.leaves_from_position(1, 10).await.is_err());

    // A row that says it is another ledger's is none of this one, wherever it lies.
    connection.execute("UPDATE event SET ledger = 9 WHERE position = 0").await.unwrap();
    let missing = store.since_position(0, 10).await.unwrap_err().to_string();
    assert_eq!(missing, "damaged in the database: events: the row of place 0 is missing");
    assert!(store.leaves_from_position(0, 10).await.is_err());
    store.close().await;
}

/// Whoever holds the file's lock for too long makes others try again; meanwhile reading goes on.
#[tokio::test]
async fn another_process_can_write_in_between() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite");
    let (one, two) = (filled(&path).await, SqliteStore::open(&path, ORIGIN).await.unwrap());
    let tx = one.begin_append().await.unwrap();
    let waiting = tokio::spawn({
        let two = two.clone();
        async move { two.begin_append().await.map(|tx| tx.head()) }
    });
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    assert_eq!(two.tokens().await.unwrap(), []);
    drop(tx);
    assert_eq!(waiting.await.unwrap().unwrap().position, 1);
    one.close().await;
    two.close().await;
}
