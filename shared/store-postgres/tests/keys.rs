//! What every key store must do, on PostgreSQL; and what is PostgreSQL's own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection};
use trialseal_record::ids::{ParticipantId, Scope};
use trialseal_store::StoreError;
use trialseal_store_postgres::testing::with_database;
use trialseal_store_postgres::{PostgresKeys, PostgresStore};
use trialseal_vault::{DataKeys, KeyStoreError, StoredKey, WrappedKey};
use uuid::Uuid;

const ORIGIN: &str = "ledger.example.org/keys";

async fn with_keys<F: Future<Output = ()>>(check: impl FnOnce(Arc<dyn DataKeys>) -> F) {
    with_database(|url| async move {
        let keys = PostgresKeys::connect(&url, ORIGIN).await.unwrap();
        check(Arc::new(keys.clone())).await;
        keys.close().await;
    })
    .await;
}

trialseal_vault::key_store_tests!(with_keys);

fn key(number: u128, master: &str) -> WrappedKey {
    let scope = Scope::Participant("T".parse().unwrap(), ParticipantId(Uuid::from_u128(number)));
    WrappedKey { id: Uuid::from_u128(number), scope, master: master.into(), wrapped: vec![1, 2, 3] }
}

/// Lets whoever can go on do so, and holds that somebody cannot.
async fn waits<T>(task: &tokio::task::JoinHandle<T>) {
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!task.is_finished());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_master_key_waits_for_keys_that_are_being_added() {
    with_database(|url| async move {
        let keys = PostgresKeys::connect(&url, ORIGIN).await.unwrap();
        keys.add_data_key(&key(1, "a")).await.unwrap();
        let mut adding = PgConnection::connect(&url).await.unwrap();
        adding.execute("BEGIN; SELECT id FROM master_key FOR SHARE").await.unwrap();
        let renewing = keys.clone();
        let renewing = tokio::spawn(async move { renewing.use_master_key("b", "a").await });
        waits(&renewing).await;
        adding.execute("COMMIT").await.unwrap();
        renewing.await.unwrap().unwrap();
        keys.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_added_waits_for_a_new_master_key_and_is_refused() {
    with_database(|url| async move {
        let keys = PostgresKeys::connect(&url, ORIGIN).await.unwrap();
        keys.add_data_key(&key(1, "a")).await.unwrap();
        let mut renewing = PgConnection::connect(&url).await.unwrap();
        renewing.execute("BEGIN; UPDATE master_key SET id = 'b'").await.unwrap();
        let adding = keys.clone();
        let adding = tokio::spawn(async move { adding.add_data_key(&key(2, "a")).await });
        waits(&adding).await;
        renewing.execute("COMMIT").await.unwrap();
        assert_eq!(adding.await.unwrap(), Err(KeyStoreError::OtherMasterKey));
        keys.close().await;
    })
    .await;
}

#[tokio::test]
async fn ledgers_in_one_database_have_keys_of_their_own() {
    with_database(|url| async move {
        let one = PostgresKeys::connect(&url, "a.example.org/x").await.unwrap();
        let two = PostgresKeys::connect(&url, "b.example.org/x").await.unwrap();
        one.add_data_key(&key(1, "a")).await.unwrap();
        assert_eq!(two.data_key_of(&key(1, "a").scope).await.unwrap(), None);
        assert_eq!(two.add_data_key(&key(1, "b")).await.unwrap(), StoredKey::Wrapped(key(1, "b")));
        one.destroy_data_key(&key(1, "a").scope).await.unwrap();
        assert_eq!(two.data_key(Uuid::from_u128(1)).await.unwrap(), Some(StoredKey::Wrapped(key(1, "b"))));
        assert_eq!(two.wrapped_by_others("a", 10).await.unwrap(), [key(1, "b")]);
        one.close().await;
        two.close().await;
    })
    .await;
}

/// However the database is addressed.
#[tokio::test]
async fn keys_are_not_put_where_a_record_is() {
    with_database(|url| async move {
        PostgresStore::migrate(&url).await.unwrap();
        let elsewhere =
            format!("{url}{}options=-csearch_path%3Delsewhere", if url.contains('?') { '&' } else { '?' });
        for url in [&url, &elsewhere] {
            for refused in
                [PostgresKeys::connect(url, ORIGIN).await.map(|_| ()), PostgresKeys::migrate(url).await]
            {
                let StoreError::Refused(says) = refused.unwrap_err() else { panic!("another error") };
                assert!(says.contains("a record lies in this database"), "{says}");
            }
        }
    })
    .await;
}
