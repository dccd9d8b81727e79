//! The contract suite on SQLite.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use trialseal_store::Store;
use trialseal_store_sqlite::SqliteStore;

async fn with_store<F: Future<Output = ()>>(check: impl FnOnce(Arc<dyn Store>) -> F) {
    let dir = tempfile::tempdir().unwrap();
    let store =
        SqliteStore::open(dir.path().join("ledger.sqlite"), "ledger.example.org/sqlite").await.unwrap();
    check(Arc::new(store.clone())).await;
    store.close().await;
}

trialseal_store::contract_tests!(with_store);
