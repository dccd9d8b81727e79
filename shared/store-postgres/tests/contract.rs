//! The contract suite on PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use trialseal_store::Store;
use trialseal_store_postgres::PostgresStore;
use trialseal_store_postgres::testing::with_database;

async fn with_store<F: Future<Output = ()>>(check: impl FnOnce(Arc<dyn Store>) -> F) {
    with_database(|url| async move {
        let store = PostgresStore::connect(&url, "ledger.example.org/postgres").await.unwrap();
        check(Arc::new(store.clone())).await;
        store.close().await;
    })
    .await;
}

trialseal_store::contract_tests!(with_store);
