//! The key store in a SQLite file of its own: for a ledger that one machine serves, whatever database its record is in.

use std::path::Path;

use async_trait::async_trait;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{Error, SqlSafeStr, Sqlite, Transaction};
use trialseal_record::ids::Scope;
use trialseal_store::StoreError;
use trialseal_store::columns::{self, StoredKeyColumns};
use trialseal_vault::{DataKeys, KeyStoreError, StoredKey, WrappedKey};
use uuid::Uuid;

use crate::Pools;
use crate::error::failed;

type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The data keys of one ledger.
///
/// What is destroyed is overwritten in the file (`secure_delete`), though not in every copy that the write-ahead log or
/// the disk may have of it: that is what a new master key is for.
#[derive(Debug, Clone)]
pub struct SqliteKeys {
    origin: String,
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteKeys {
    /// Opens the file, making it where it is missing, and brings its tables up to date.
    ///
    /// # Errors
    /// As those of [`SqliteStore::open`](crate::SqliteStore::open).
    pub async fn open(path: impl AsRef<Path>, origin: &str) -> Result<Self> {
        let options = SqliteConnectOptions::new().filename(path).pragma("secure_delete", "ON");
        let Pools { writer, readers } = Pools::open(options, &migrator()).await?;
        Ok(Self { origin: origin.to_owned(), writer, readers })
    }

    /// Waits for what is under way and closes the file; the log is merged into it.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Why no key was succeeded: what is stored, or another master key; a scope that never had one gets its first.
    async fn not_succeeded(&self, key: &WrappedKey) -> Result<StoredKey, KeyStoreError> {
        if self.master_key().await?.as_ref() != Some(&key.master) {
            return Err(KeyStoreError::OtherMasterKey);
        }
        self.add_data_key(key).await
    }

    async fn forget_former(
        &self,
        scope: &Scope,
        tx: &mut Transaction<'static, Sqlite>,
    ) -> Result<(), KeyStoreError> {
        let forget = sqlx::query(
            "UPDATE former_data_key SET master = NULL, wrapped = NULL WHERE ledger = ?1 AND scope = ?2",
        );
        let forget = forget.bind(&self.origin).bind(scope.to_string());
        forget.execute(&mut **tx).await.map(drop).map_err(unavailable)
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, KeyStoreError> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(unavailable)
    }
}

#[async_trait]
impl DataKeys for SqliteKeys {
    async fn data_key_of(&self, scope: &Scope) -> Result<Option<StoredKey>, KeyStoreError> {
        let row = sqlx::query_as(
            "SELECT id, scope, master, wrapped FROM data_key WHERE ledger = ?1 AND scope = ?2",
        );
        stored(row.bind(&self.origin).bind(scope.to_string()).fetch_optional(&self.readers).await)
    }

    async fn data_key(&self, id: Uuid) -> Result<Option<StoredKey>, KeyStoreError> {
        let row = sqlx::query_as(
            "SELECT id, scope, master, wrapped FROM data_key WHERE ledger = ?1 AND id = ?2
             UNION ALL SELECT id, scope, master, wrapped FROM former_data_key WHERE ledger = ?1 AND id = ?2",
        );
        stored(row.bind(&self.origin).bind(id).fetch_optional(&self.readers).await)
    }

    async fn add_data_key(&self, key: &WrappedKey) -> Result<StoredKey, KeyStoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query_as(
            "SELECT id, scope, master, wrapped FROM data_key WHERE ledger = ?1 AND scope = ?2",
        );
        let row = row.bind(&self.origin).bind(key.scope.to_string()).fetch_optional(&mut *tx).await;
        if let Some(first) = stored(row)? {
            return Ok(first);
        }
        sqlx::query("INSERT INTO master_key (ledger, id) VALUES (?1, ?2) ON CONFLICT (ledger) DO NOTHING")
            .bind(&self.origin)
            .bind(&key.master)
            .execute(&mut *tx)
            .await
            .map_err(unavailable)?;
        let added = sqlx::query(
            "INSERT INTO data_key (ledger, id, scope, master, wrapped)
             SELECT ledger, ?2, ?3, id, ?5 FROM master_key WHERE ledger = ?1 AND id = ?4",
        )
        .bind(&self.origin)
        .bind(key.id)
        .bind(key.scope.to_string())
        .bind(&key.master)
        .bind(key.wrapped.as_slice())
        .execute(&mut *tx)
        .await
        .map_err(unavailable)?;
        if added.rows_affected() == 0 {
            return Err(KeyStoreError::OtherMasterKey);
        }
        tx.commit().await.map_err(unavailable)?;
        Ok(StoredKey::Wrapped(key.clone()))
    }

    async fn destroy_data_key(&self, scope: &Scope) -> Result<bool, KeyStoreError> {
        let destroyed = sqlx::query(
            "INSERT INTO data_key (ledger, scope) VALUES (?1, ?2)
             ON CONFLICT (ledger, scope) DO UPDATE SET master = NULL, wrapped = NULL
             WHERE wrapped IS NOT NULL",
        );
        let mut tx = self.begin().await?;
        let destroyed = destroyed.bind(&self.origin).bind(scope.to_string()).execute(&mut *tx).await;
        let first = destroyed.map_err(unavailable)?.rows_affected() > 0;
        self.forget_former(scope, &mut tx).await?;
        tx.commit().await.map_err(unavailable)?;
        Ok(first)
    }

    async fn succeed_data_key(&self, key: &WrappedKey) -> Result<StoredKey, KeyStoreError> {
        let mut tx = self.begin().await?;
        let set_aside = sqlx::query(
            "INSERT INTO former_data_key (ledger, id, scope, master, wrapped)
             SELECT k.ledger, k.id, k.scope, k.master, k.wrapped FROM master_key AS m
             JOIN data_key AS k ON k.ledger = m.ledger AND k.scope = ?2 AND k.wrapped IS NOT NULL
             WHERE m.ledger = ?1 AND m.id = ?3 AND NOT EXISTS (
                 SELECT 1 FROM former_data_key WHERE ledger = ?1 AND scope = ?2 AND wrapped IS NOT NULL)",
        );
        let set_aside = set_aside.bind(&self.origin).bind(key.scope.to_string()).bind(&key.master);
        if set_aside.execute(&mut *tx).await.map_err(unavailable)?.rows_affected() == 0 {
            drop(tx);
            return self.not_succeeded(key).await;
        }
        sqlx::query(
            "UPDATE data_key SET id = ?3, master = ?4, wrapped = ?5 WHERE ledger = ?1 AND scope = ?2",
        )
        .bind(&self.origin)
        .bind(key.scope.to_string())
        .bind(key.id)
        .bind(&key.master)
        .bind(key.wrapped.as_slice())
        .execute(&mut *tx)
        .await
        .map_err(unavailable)?;
        tx.commit().await.map_err(unavailable)?;
        Ok(StoredKey::Wrapped(key.clone()))
    }

    async fn former_data_key_of(&self, scope: &Scope) -> Result<Option<Uuid>, KeyStoreError> {
        let id = sqlx::query_scalar(
            "SELECT id FROM former_data_key WHERE ledger = ?1 AND scope = ?2 AND wrapped IS NOT NULL",
        );
        let id = id.bind(&self.origin).bind(scope.to_string());
        id.fetch_optional(&self.readers).await.map_err(unavailable)
    }

    async fn destroy_former_data_key(&self, scope: &Scope) -> Result<(), KeyStoreError> {
        let mut tx = self.begin().await?;
        self.forget_former(scope, &mut tx).await?;
        tx.commit().await.map_err(unavailable)
    }

    async fn master_key(&self) -> Result<Option<String>, KeyStoreError> {
        let id = sqlx::query_scalar("SELECT id FROM master_key WHERE ledger = ?1");
        id.bind(&self.origin).fetch_optional(&self.readers).await.map_err(unavailable)
    }

    async fn use_master_key(&self, master: &str, former: &str) -> Result<(), KeyStoreError> {
        let taken = sqlx::query(
            "INSERT INTO master_key (ledger, id) VALUES (?1, ?2)
             ON CONFLICT (ledger) DO UPDATE SET id = excluded.id WHERE master_key.id IN (?2, ?3)",
        )
        .bind(&self.origin)
        .bind(master)
        .bind(former)
        .execute(&self.writer)
        .await
        .map_err(unavailable)?;
        if taken.rows_affected() == 0 { Err(KeyStoreError::OtherMasterKey) } else { Ok(()) }
    }

    async fn wrapped_by_others(&self, master: &str, limit: u32) -> Result<Vec<WrappedKey>, KeyStoreError> {
        // Two ranges of the index; that of the destroyed ones lies before both.
        let rows = sqlx::query_as(
            "SELECT id, scope, master, wrapped FROM data_key WHERE ledger = ?1 AND (master < ?2 OR master > ?2)
             UNION ALL SELECT id, scope, master, wrapped FROM former_data_key WHERE ledger = ?1 AND master <> ?2
             LIMIT ?3",
        );
        let rows = rows.bind(&self.origin).bind(master).bind(limit).fetch_all(&self.readers).await;
        let rows = rows.map_err(unavailable)?;
        rows.into_iter().map(columns::data_key).collect::<Result<_>>().map_err(damaged)
    }

    async fn replace_data_keys(&self, keys: &[WrappedKey]) -> Result<(), KeyStoreError> {
        let mut tx = self.begin().await?;
        let in_use = sqlx::query_scalar("SELECT id FROM master_key WHERE ledger = ?1").bind(&self.origin);
        let in_use: Option<String> = in_use.fetch_optional(&mut *tx).await.map_err(unavailable)?;
        if keys.iter().any(|key| Some(&key.master) != in_use.as_ref()) {
            return Err(KeyStoreError::OtherMasterKey);
        }
        for key in keys {
            for replace in [
                "UPDATE data_key SET master = ?3, wrapped = ?4
                 WHERE ledger = ?1 AND id = ?2 AND wrapped IS NOT NULL",
                "UPDATE former_data_key SET master = ?3, wrapped = ?4
                 WHERE ledger = ?1 AND id = ?2 AND wrapped IS NOT NULL",
            ] {
                let replace = sqlx::query(replace).bind(&self.origin).bind(key.id).bind(&key.master);
                replace.bind(key.wrapped.as_slice()).execute(&mut *tx).await.map_err(unavailable)?;
            }
        }
        tx.commit().await.map_err(unavailable)
    }
}

fn stored(row: Result<Option<StoredKeyColumns>, Error>) -> Result<Option<StoredKey>, KeyStoreError> {
    row.map_err(unavailable)?.map(columns::stored_key).transpose().map_err(damaged)
}

fn unavailable(error: Error) -> KeyStoreError {
    damaged(failed(error))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn damaged(error: StoreError) -> KeyStoreError {
    KeyStoreError::Unavailable(error.to_string())
}

fn migrator() -> Migrator {
    let migrations = [
        ("keys", include_str!("../../../migrations/keys/sqlite/0001_keys.sql")),
        ("former_keys", include_str!("../../../migrations/keys/sqlite/0002_former_keys.sql")),
    ];
    let migration = |(number, (name, sql)): (i64, (&'static str, &'static str))| {
        Migration::new(number, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations((1..).zip(migrations).map(migration).collect())
}
