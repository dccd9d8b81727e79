//! Opening the key store and the vault on it; and moving the keys of ledgers that had them beside their record.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use trialseal_record::ids::Scope;
use trialseal_runtime::settings::Database;
use trialseal_store::Store;
use trialseal_store_postgres::PostgresKeys;
use trialseal_store_sqlite::SqliteKeys;
use trialseal_vault::{DataKeys, KeyManagement, StoredKey, Vault};

/// How many of the newest events are looked at, for keys that are not there.
const NEWEST: u64 = 1_000;
/// Events that are read at once.
const PAGE: u32 = 200;

/// Opens the key store. Makes no file for a ledger that has events: it would be one without their keys.
pub(crate) async fn open(place: &Database, store: &dyn Store) -> Result<Arc<dyn DataKeys>> {
    match place {
        Database::Sqlite(file) => {
            if !file.exists() && is_in_want_of_keys(store).await? {
                bail!(
                    "the key store {} is missing, and without it the record cannot be read: put back the newest copy, or \
                     set TRIALSEAL_KEY_DATABASE_URL to where the keys of this ledger are",
                    file.display()
                );
            }
            let opened = SqliteKeys::open(file, store.origin()).await;
            Ok(Arc::new(opened.with_context(|| cannot_open(file))?))
        }
        // The address may hold a password, so it is not repeated.
        Database::Postgres(url) => {
            let opened = PostgresKeys::connect(url, store.origin()).await;
            Ok(Arc::new(opened.context("cannot open the key database (TRIALSEAL_KEY_DATABASE_URL)")?))
        }
    }
}

fn cannot_open(file: &Path) -> String {
    format!("cannot open the key store {}", file.display())
}

/// Whether all keys have to be in the key store already.
async fn is_in_want_of_keys(store: &dyn Store) -> Result<bool> {
    Ok(store.head().await?.position > 0 && store.former_data_keys().await?.is_empty())
}

/// Opens the vault, after keys that still lie beside the record have been moved. To be called by nobody else than the
/// process that serves: another one could still use them.
pub(crate) async fn open_vault(
    store: &dyn Store,
    keys: Arc<dyn DataKeys>,
    master: Arc<dyn KeyManagement>,
) -> Result<Vault> {
    if keys.master_key().await?.is_none() && is_in_want_of_keys(store).await? {
        bail!(
            "the key store has no keys of this ledger, and without them the record cannot be read: put back the newest \
             copy, or set TRIALSEAL_KEY_DATABASE_URL to where they are"
        );
    }
    let former = store.former_data_keys().await?;
    for key in &former {
        // What is there already, or was destroyed since, was moved before: the record is from an older backup.
        if let StoredKey::Wrapped(stored) = keys.add_data_key(key).await?
            && stored.id != key.id
        {
            bail!(
                "the record's database has another data key of {} than the key store: put back the newest copies of both",
                key.scope
            );
        }
    }
    if let Some(scope) = missing(store, keys.as_ref()).await? {
        bail!(
            "the key store has no key of {scope}, and is older than the record: put back its newest copy, or set \
             TRIALSEAL_KEY_DATABASE_URL to where that is"
        );
    }
    let vault = Vault::open(store.origin(), keys, master).await?;
    if !former.is_empty() {
        // Backups of the database have these keys, too: they are of no use once another master key wraps them.
        let count = vault.renew_master_key().await?;
        store.forget_former_data_keys().await?;
        tracing::info!(count, "server.keys.moved");
    }
    Ok(vault)
}

/// Whose key the key store lacks though the record has something of theirs; `None` where it is as new as the record, as far as
/// the newest events tell. In a copy from before, such as a file on another machine, those who came since would be given other
/// keys.
async fn missing(store: &dyn Store, keys: &dyn DataKeys) -> Result<Option<Scope>> {
    let (mut from, mut seen) = (store.head().await?.position.saturating_sub(NEWEST), HashSet::new());
    // What is damaged is the matter of those who read it for its own sake.
    while let Ok(page) = store.since_position(from, PAGE).await
        && let Some(last) = page.last()
    {
        from = last.position + 1;
        for event in page.iter().filter(|event| event.checked_header().is_ok()) {
            let scope = Scope::of(&event.trial, event.stream);
            if seen.insert(scope.clone()) && keys.data_key_of(&scope).await?.is_none() {
                return Ok(Some(scope));
            }
        }
    }
    Ok(None)
}
