//! What the database reads to answer, whatever it believes about the sizes of tables.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use trialseal_record::ids::{ParticipantId, StreamId, TrialId};
use trialseal_seal::hash::Hash;
use trialseal_store::{Appends, Doc, Events, Models, NaturalKeyRow, SealRow, SealWrite, SealedHead, Seals};
use trialseal_store_postgres::PostgresStore;
use trialseal_store_postgres::testing::with_database;
use uuid::Uuid;

use super::{ORIGIN, batch, run};

/// Rows of each large table, and what is asked for at once.
const ROWS: i64 = 20_000;
const ASKED: u32 = 100;
/// What may be read of a table: a few rows for each that was asked for, and far from all.
const FEW: i64 = 3_000;

/// Every statement finds its rows by a key, also by a plan that is kept from when the tables had one row each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_reads_a_whole_table() {
    with_database(|url| async move {
        let mut session = PgConnection::connect(&url).await.unwrap();
        let name: String =
            sqlx::query_scalar("SELECT current_database()").fetch_one(&mut session).await.unwrap();
        run(&mut session, &format!("ALTER DATABASE {name} SET plan_cache_mode = force_generic_plan")).await;
        // With one connection it is always the same plans.
        let store = PostgresStore::connect_with(&url, ORIGIN, 1).await.unwrap();
        for table in LARGE {
            run(&mut session, &format!("ALTER TABLE {table} SET (autovacuum_enabled = off)")).await;
        }
        one_row_each(&store).await;
        run(&mut session, "ANALYZE").await;
        ask(&store).await;

        let mut other = PgConnection::connect(&url).await.unwrap();
        for grow in GROW {
            sqlx::query(grow).bind(ROWS).execute(&mut other).await.unwrap();
        }
        other.close().await.unwrap();
        let before = rows_read(&mut session, 1).await;
        ask(&store).await;
        // A generation is dropped; the one that stays has as many documents as ever.
        assert_eq!(store.new_generation("m").await.unwrap(), 2);
        store.activate("m", 1).await.unwrap();
        store.close().await;
        let after = rows_read(&mut session, 0).await;
        for table in LARGE {
            let read = after[table] - before[table];
            assert!((1..FEW).contains(&read), "{read} rows of {table} were read: {ROWS} are there");
        }
    })
    .await;
}

const LARGE: [&str; 7] =
    ["event", "command", "trial", "stream", "natural_key", "sealed_head", "read_model_doc"];

/// Ledger 1 gets many rows of the kinds that `ask` asks for.
const GROW: [&str; 7] = [
    "INSERT INTO event SELECT ledger, n, trial, n, stream, n, leaf, header, key, body
     FROM event, generate_series(1, $1) AS n",
    "INSERT INTO command SELECT ledger, sha256(n::TEXT::BYTEA), digest, trial, first, count
     FROM command, generate_series(1, $1) AS n",
    "INSERT INTO trial SELECT ledger, 'T' || n, size FROM trial, generate_series(1, $1) AS n",
    "INSERT INTO stream SELECT ledger, trial, 'participant/' || gen_random_uuid(), 1
     FROM stream, generate_series(1, $1) AS n",
    "INSERT INTO natural_key SELECT ledger, trial, sha256(n::TEXT::BYTEA), stream
     FROM natural_key, generate_series(1, $1) AS n",
    "INSERT INTO sealed_head SELECT ledger, trial, n, n + 1, root
     FROM sealed_head, generate_series(1, $1) AS n",
    "INSERT INTO read_model_doc SELECT ledger, model, generation, trial, 'a/' || n, key, body
     FROM read_model_doc, generate_series(1, $1) AS n",
];

async fn one_row_each(store: &PostgresStore) {
    let trial: TrialId = "T".parse().unwrap();
    let mut written = batch();
    written.natural_keys =
        vec![NaturalKeyRow { trial: trial.clone(), key: [3; 32], stream: written.events[0].stream }];
    let mut tx = store.begin_append().await.unwrap();
    tx.write(&written).await.unwrap();
    tx.commit().await.unwrap();
    let seal =
        SealRow { number: 0, entry: b"entry".to_vec(), leaf: Hash::ZERO, sealed: 1, time: written.time };
    let heads = vec![SealedHead { trial: trial.clone(), seal: 0, size: 1, root: Hash::ZERO }];
    let mut tx = store.begin_seal().await.unwrap();
    tx.write(&SealWrite { seal, heads, nodes: vec![] }).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.new_generation("m").await.unwrap(), 1);
    let mut tx = store.begin_model("m", 1, 0).await.unwrap();
    tx.put(&[Doc { trial, id: "a/0".into(), key: Uuid::nil(), body: b"body".to_vec() }]).await.unwrap();
    tx.commit(1).await.unwrap();
}

/// Every look-up and every page there is, each for something that exists.
async fn ask(store: &PostgresStore) {
    let trial: TrialId = "T".parse().unwrap();
    let stream = StreamId::trial(&trial);
    let mut tx = store.begin_append().await.unwrap();
    let hashes = |first: u8| (0..ASKED).map(move |n| [u8::try_from(n).unwrap().wrapping_add(first); 32]);
    assert_eq!(tx.commands(&hashes(1).collect::<Vec<_>>()).await.unwrap().len(), 1);
    let mut trials: Vec<TrialId> = (1..ASKED).map(|n| format!("U{n}").parse().unwrap()).collect();
    trials.push(trial.clone());
    assert_eq!(tx.trial_sizes(&trials).await.unwrap().len(), 1);
    let mut streams: Vec<_> = (1..ASKED)
        .map(|n| (trial.clone(), StreamId::participant(ParticipantId(Uuid::from_u128(n.into())))))
        .collect();
    streams.push((trial.clone(), stream));
    assert_eq!(tx.stream_versions(&streams).await.unwrap().len(), 1);
    let keys: Vec<_> = hashes(3).map(|key| (trial.clone(), key)).collect();
    assert_eq!(tx.taken(&keys).await.unwrap().len(), 1);
    drop(tx);

    assert!(!store.since_position(0, ASKED).await.unwrap().is_empty());
    assert!(!store.of_trial(&trial, 0, ASKED).await.unwrap().is_empty());
    assert!(!store.of_stream(&trial, &stream, 0, ASKED).await.unwrap().is_empty());
    assert!(!store.leaves_from_position(0, ASKED).await.unwrap().is_empty());
    assert!(!store.leaves_of_trial(&trial, 0, ASKED).await.unwrap().is_empty());
    let parts = [(trial.clone(), 0..1), (trial.clone(), 0..1)];
    assert!(store.parts(0, &parts).await.unwrap().iter().all(|leaves| leaves.len() == 1));
    assert!(!store.trials(None, ASKED).await.unwrap().is_empty());
    assert!(store.command(&[1; 32]).await.unwrap().is_some());
    assert!(store.stream_of(&trial, &[3; 32]).await.unwrap().is_some());
    assert!(store.sealed_head(&trial, 0).await.unwrap().is_some());
    assert!(store.seal_covering(&trial, 0).await.unwrap().is_some());

    let ids: Vec<_> = (0..ASKED).map(|n| (trial.clone(), format!("a/{n}"))).collect();
    assert!(store.docs("m", 1, &ids).await.unwrap()[0].is_some());
    assert!(!store.list("m", 1, &trial, "a/", None, ASKED).await.unwrap().is_empty());
    assert!(!store.list("m", 1, &trial, "", None, ASKED).await.unwrap().is_empty());
}

/// What was read of each table since it was made, rows and index entries. Sessions tell when they end: waits until so
/// many others are left.
async fn rows_read(session: &mut PgConnection, left: i64) -> BTreeMap<String, i64> {
    let others = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    while sqlx::query_scalar::<_, i64>(others).fetch_one(&mut *session).await.unwrap() > left {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let read = "SELECT t.relname::TEXT, (t.seq_tup_read + (
            SELECT coalesce(sum(i.idx_tup_read), 0) FROM pg_stat_user_indexes AS i WHERE i.relid = t.relid))::BIGINT
        FROM pg_stat_user_tables AS t";
    sqlx::query_as(read).fetch_all(session).await.unwrap().into_iter().collect()
}
