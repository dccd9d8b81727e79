//! What every key store must do, on SQLite.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use trialseal_record::ids::{ParticipantId, Scope};
use trialseal_store_sqlite::SqliteKeys;
use trialseal_vault::{DataKeys, StoredKey, WrappedKey};
use uuid::Uuid;

async fn with_keys<F: Future<Output = ()>>(check: impl FnOnce(Arc<dyn DataKeys>) -> F) {
    let dir = tempfile::tempdir().unwrap();
    let keys = SqliteKeys::open(dir.path().join("keys.sqlite"), "ledger.example.org/keys").await.unwrap();
    check(Arc::new(keys.clone())).await;
    keys.close().await;
}

trialseal_vault::key_store_tests!(with_keys);

/// What is wrapped is bytes that stand nowhere else, so that they are found wherever they are in the file.
#[tokio::test]
async fn a_destroyed_key_is_overwritten_in_the_file_and_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.sqlite");
    let key = |number: u128| WrappedKey {
        id: Uuid::from_u128(number),
        scope: Scope::Participant("T".parse().unwrap(), ParticipantId(Uuid::from_u128(number))),
        master: "master-1".into(),
        wrapped: format!("wrapped key of {number:04} and not of another").into_bytes(),
    };
    let keys = SqliteKeys::open(&path, "ledger.example.org/one").await.unwrap();
    for number in 0..200 {
        keys.add_data_key(&key(number)).await.unwrap();
    }
    keys.destroy_data_key(&key(77).scope).await.unwrap();
    keys.close().await;
    let bytes = std::fs::read(&path).unwrap();
    let has = |number: u128| bytes.windows(key(number).wrapped.len()).any(|part| part == key(number).wrapped);
    assert!(!has(77) && has(76) && has(78));

    let keys = SqliteKeys::open(&path, "ledger.example.org/one").await.unwrap();
    assert_eq!(keys.data_key(Uuid::from_u128(77)).await.unwrap(), Some(StoredKey::Destroyed));
    assert_eq!(keys.data_key(Uuid::from_u128(78)).await.unwrap(), Some(StoredKey::Wrapped(key(78))));
    keys.close().await;
}

#[tokio::test]
async fn ledgers_in_one_file_have_keys_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let open = |origin| SqliteKeys::open(dir.path().join("keys.sqlite"), origin);
    let (one, two) = (open("a.example.org/x").await.unwrap(), open("b.example.org/x").await.unwrap());
    let scope = Scope::Trial("T".parse().unwrap());
    let key = |master: &str| WrappedKey {
        id: Uuid::from_u128(1),
        scope: scope.clone(),
        master: master.into(),
        wrapped: vec![1],
    };
    one.add_data_key(&key("a")).await.unwrap();
    assert_eq!(two.data_key_of(&scope).await.unwrap(), None);
    assert_eq!(two.add_data_key(&key("b")).await.unwrap(), StoredKey::Wrapped(key("b")));
    one.destroy_data_key(&scope).await.unwrap();
    assert_eq!(two.data_key(Uuid::from_u128(1)).await.unwrap(), Some(StoredKey::Wrapped(key("b"))));
    assert_eq!(two.wrapped_by_others("a", 10).await.unwrap(), [key("b")]);
}
