//! The key store in a PostgreSQL database of its own: for a ledger that several machines share.

use async_trait::async_trait;
use sqlx::{Connection as _, PgConnection, query, query_as, query_scalar};
use trialseal_record::ids::Scope;
use trialseal_store::StoreError;
use trialseal_store::columns::{self, StoredKeyColumns};
use trialseal_vault::{DataKeys, KeyStoreError, StoredKey, WrappedKey};
use uuid::Uuid;

use crate::error::failed;
use crate::pool::{Pool, durable, first_session, options};
use crate::session::Statement;
use crate::tables;

type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Connections of one process at the most. A key is asked for once and then kept at hand.
const CONNECTIONS: u32 = 4;

/// The data keys of one ledger.
///
/// What is destroyed stays in the server's files until they are cleaned up, and in its write-ahead log: that is what a new
/// master key is for.
#[derive(Debug, Clone)]
pub struct PostgresKeys {
    origin: String,
    pool: Pool,
}

impl PostgresKeys {
    /// Connects (`postgres://…`) and brings the tables up to date.
    ///
    /// # Errors
    /// As those of [`PostgresStore::connect`](crate::PostgresStore::connect); [`StoreError::Refused`] as well where a record
    /// lies in this database.
    pub async fn connect(url: &str, origin: &str) -> Result<Self> {
        let options = options(url)?;
        let mut session = first_session(&options).await?;
        prepare(&mut session).await?;
        let durable = durable(&mut session).await?;
        session.close().await.map_err(failed)?;
        Ok(Self { origin: origin.to_owned(), pool: Pool::connect(options, durable, CONNECTIONS).await? })
    }

    /// Makes the tables, or brings them up to date, as their owner: the service need not be the one who may.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn migrate(url: &str) -> Result<()> {
        let mut session = first_session(&options(url)?).await?;
        prepare(&mut session).await?;
        session.close().await.map_err(failed)
    }

    /// Waits for what is under way and closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Adds a key where its scope has none and its master key is in use. The lock on that row is held until the key is
    /// committed, so whoever takes another master key into use waits for the keys that are being added.
    fn add<'q>(&'q self, key: &'q WrappedKey) -> Statement<'q> {
        query(
            "INSERT INTO data_key (ledger, id, scope, master, wrapped)
             SELECT ledger, $2, $3, id, $5 FROM master_key WHERE ledger = $1 AND id = $4 FOR SHARE
             ON CONFLICT (ledger, scope) DO NOTHING",
        )
        .bind(&self.origin)
        .bind(key.id)
        .bind(key.scope.to_string())
        .bind(&key.master)
        .bind(key.wrapped.as_slice())
    }

    /// As [`add`](Self::add), where no master key is in use yet: this one is from now on. `false` where nothing was added.
    async fn add_as_first(&self, key: &WrappedKey) -> Result<bool> {
        let mut session = self.pool.session().await?;
        session.begin().await?;
        let first = query("INSERT INTO master_key (ledger, id) VALUES ($1, $2) ON CONFLICT DO NOTHING");
        session.execute(first.bind(&self.origin).bind(&key.master)).await?;
        if session.execute(self.add(key)).await? == 0 {
            return Ok(false);
        }
        session.commit().await.map(|()| true)
    }

    /// Replaces keys whose master key is in use; whoever takes another into use waits for it. `false` where another one is.
    async fn replace(&self, keys: &[WrappedKey]) -> Result<bool> {
        let mut session = self.pool.session().await?;
        session.begin().await?;
        let in_use = query_as("SELECT id FROM master_key WHERE ledger = $1 FOR SHARE").bind(&self.origin);
        let in_use: Option<(String,)> = session.optional(in_use).await?;
        let in_use = in_use.as_ref().map(|(id,)| id);
        if keys.iter().any(|key| Some(&key.master) != in_use) {
            return Ok(false);
        }
        let ids: Vec<_> = keys.iter().map(|key| key.id).collect();
        let masters: Vec<_> = keys.iter().map(|key| key.master.as_str()).collect();
        let wrapped: Vec<_> = keys.iter().map(|key| key.wrapped.as_slice()).collect();
        let replace = query(
            "WITH anew AS (SELECT * FROM unnest($2::UUID[], $3::TEXT[], $4::BYTEA[]) AS anew (id, master, wrapped)),
                 former AS (UPDATE former_data_key SET master = anew.master, wrapped = anew.wrapped FROM anew
                     WHERE former_data_key.ledger = $1 AND former_data_key.id = anew.id
                         AND former_data_key.wrapped IS NOT NULL)
             UPDATE data_key SET master = anew.master, wrapped = anew.wrapped FROM anew
             WHERE data_key.ledger = $1 AND data_key.id = anew.id AND data_key.wrapped IS NOT NULL",
        );
        session.execute(replace.bind(&self.origin).bind(ids).bind(masters).bind(wrapped)).await?;
        session.commit().await.map(|()| true)
    }

    /// Puts a key in the place of its scope's, which is set aside. `false` where nothing was changed: the scope has no key that
    /// is not destroyed, or a former one as well; or another master key is in use.
    async fn succeed(&self, key: &WrappedKey) -> Result<bool> {
        let mut session = self.pool.session().await?;
        session.begin().await?;
        let set_aside = query(
            "INSERT INTO former_data_key (ledger, id, scope, master, wrapped)
             SELECT k.ledger, k.id, k.scope, k.master, k.wrapped FROM master_key AS m
             JOIN data_key AS k ON k.ledger = m.ledger AND k.scope = $2 AND k.wrapped IS NOT NULL
             WHERE m.ledger = $1 AND m.id = $3 AND NOT EXISTS (
                 SELECT FROM former_data_key WHERE ledger = $1 AND scope = $2 AND wrapped IS NOT NULL)
             FOR SHARE OF m FOR UPDATE OF k",
        );
        let set_aside = set_aside.bind(&self.origin).bind(key.scope.to_string()).bind(&key.master);
        if session.execute(set_aside).await? == 0 {
            return Ok(false);
        }
        let replace =
            query("UPDATE data_key SET id = $3, master = $4, wrapped = $5 WHERE ledger = $1 AND scope = $2");
        let replace = replace.bind(&self.origin).bind(key.scope.to_string()).bind(key.id);
        session.execute(replace.bind(&key.master).bind(key.wrapped.as_slice())).await?;
        session.commit().await.map(|()| true)
    }

    async fn stored(&self, scope: &Scope) -> Result<Option<StoredKey>> {
        let row = query_as::<_, StoredKeyColumns>(
            "SELECT id, scope, master, wrapped FROM data_key WHERE ledger = $1 AND scope = $2",
        );
        let row = row.bind(&self.origin).bind(scope.to_string());
        self.pool.optional(row).await?.map(columns::stored_key).transpose()
    }
}

#[async_trait]
impl DataKeys for PostgresKeys {
    async fn data_key_of(&self, scope: &Scope) -> Result<Option<StoredKey>, KeyStoreError> {
        self.stored(scope).await.map_err(unavailable)
    }

    async fn data_key(&self, id: Uuid) -> Result<Option<StoredKey>, KeyStoreError> {
        let row = query_as::<_, StoredKeyColumns>(
            "SELECT id, scope, master, wrapped FROM data_key WHERE ledger = $1 AND id = $2
             UNION ALL SELECT id, scope, master, wrapped FROM former_data_key WHERE ledger = $1 AND id = $2",
        );
        let row = self.pool.optional(row.bind(&self.origin).bind(id)).await.map_err(unavailable)?;
        row.map(columns::stored_key).transpose().map_err(unavailable)
    }

    async fn add_data_key(&self, key: &WrappedKey) -> Result<StoredKey, KeyStoreError> {
        let added = self.pool.execute(self.add(key)).await.map_err(unavailable)? > 0;
        if added {
            return Ok(StoredKey::Wrapped(key.clone()));
        }
        if let Some(first) = self.stored(&key.scope).await.map_err(unavailable)? {
            return Ok(first);
        }
        if self.add_as_first(key).await.map_err(unavailable)? {
            return Ok(StoredKey::Wrapped(key.clone()));
        }
        // Somebody may have been faster.
        self.stored(&key.scope).await.map_err(unavailable)?.ok_or(KeyStoreError::OtherMasterKey)
    }

    async fn destroy_data_key(&self, scope: &Scope) -> Result<bool, KeyStoreError> {
        let destroyed = query(
            "INSERT INTO data_key (ledger, scope) VALUES ($1, $2)
             ON CONFLICT (ledger, scope) DO UPDATE SET master = NULL, wrapped = NULL
             WHERE data_key.wrapped IS NOT NULL",
        );
        let destroyed = destroyed.bind(&self.origin).bind(scope.to_string());
        // First the former one, so that whoever sees that the scope's key is destroyed knows of both.
        self.destroy_former_data_key(scope).await?;
        Ok(self.pool.execute(destroyed).await.map_err(unavailable)? > 0)
    }

    async fn succeed_data_key(&self, key: &WrappedKey) -> Result<StoredKey, KeyStoreError> {
        if self.succeed(key).await.map_err(unavailable)? {
            return Ok(StoredKey::Wrapped(key.clone()));
        }
        if self.master_key().await?.as_ref() != Some(&key.master) {
            return Err(KeyStoreError::OtherMasterKey);
        }
        // What is stored; a scope that never had a key gets its first.
        self.add_data_key(key).await
    }

    async fn former_data_key_of(&self, scope: &Scope) -> Result<Option<Uuid>, KeyStoreError> {
        let id = query_as(
            "SELECT id FROM former_data_key WHERE ledger = $1 AND scope = $2 AND wrapped IS NOT NULL",
        );
        let id = id.bind(&self.origin).bind(scope.to_string());
        let id: Option<(Uuid,)> = self.pool.optional(id).await.map_err(unavailable)?;
        Ok(id.map(|(id,)| id))
    }

    async fn destroy_former_data_key(&self, scope: &Scope) -> Result<(), KeyStoreError> {
        let forget = query(
            "UPDATE former_data_key SET master = NULL, wrapped = NULL WHERE ledger = $1 AND scope = $2",
        );
        let forget = forget.bind(&self.origin).bind(scope.to_string());
        self.pool.execute(forget).await.map(|_| ()).map_err(unavailable)
    }

    async fn master_key(&self) -> Result<Option<String>, KeyStoreError> {
        let id = query_as("SELECT id FROM master_key WHERE ledger = $1").bind(&self.origin);
        let id: Option<(String,)> = self.pool.optional(id).await.map_err(unavailable)?;
        Ok(id.map(|(id,)| id))
    }

    async fn use_master_key(&self, master: &str, former: &str) -> Result<(), KeyStoreError> {
        let take = query(
            "INSERT INTO master_key (ledger, id) VALUES ($1, $2)
             ON CONFLICT (ledger) DO UPDATE SET id = excluded.id WHERE master_key.id IN ($2, $3)",
        );
        let take = take.bind(&self.origin).bind(master).bind(former);
        let taken = self.pool.execute(take).await.map_err(unavailable)?;
        if taken == 0 { Err(KeyStoreError::OtherMasterKey) } else { Ok(()) }
    }

    async fn wrapped_by_others(&self, master: &str, limit: u32) -> Result<Vec<WrappedKey>, KeyStoreError> {
        // Two ranges of the index; that of the destroyed ones lies behind both.
        let rows = query_as(
            "SELECT id, scope, master, wrapped FROM data_key WHERE ledger = $1 AND master < $2
             UNION ALL SELECT id, scope, master, wrapped FROM data_key WHERE ledger = $1 AND master > $2
             UNION ALL SELECT id, scope, master, wrapped FROM former_data_key WHERE ledger = $1 AND master <> $2
             LIMIT $3",
        );
        let rows = rows.bind(&self.origin).bind(master).bind(i64::from(limit));
        let rows = self.pool.all(rows).await.map_err(unavailable)?;
        rows.into_iter().map(columns::data_key).collect::<Result<_>>().map_err(unavailable)
    }

    async fn replace_data_keys(&self, keys: &[WrappedKey]) -> Result<(), KeyStoreError> {
        if self.replace(keys).await.map_err(unavailable)? {
            Ok(())
        } else {
            Err(KeyStoreError::OtherMasterKey)
        }
    }
}

/// Brings the tables up to date, in a database of their own: however it is addressed, it is none if a record lies in it.
async fn prepare(session: &mut PgConnection) -> Result<()> {
    let holds_record = query_scalar(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = 'sealed_head' AND relkind IN ('r', 'p'))",
    );
    if holds_record.fetch_one(&mut *session).await.map_err(failed)? {
        return Err(StoreError::Refused(
            "a record lies in this database, and every backup of it would have the data keys too: make another \
             database for them (createdb) and name that one"
                .into(),
        ));
    }
    tables::bring_up_to_date(session, tables::KEYS).await
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unavailable(error: StoreError) -> KeyStoreError {
    KeyStoreError::Unavailable(error.to_string())
}
