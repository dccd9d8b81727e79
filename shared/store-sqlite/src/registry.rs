//! Jobs, tokens and wrapped data keys.

use async_trait::async_trait;
use trialseal_record::ids::Scope;
use trialseal_store::{JobRow, Jobs, Known, StoreError, TokenRow, Tokens, columns};
use trialseal_vault::{DataKeys, KeyStoreError, WrappedKey};
use uuid::Uuid;

use crate::SqliteStore;
use crate::error::failed;
use crate::record::hex;

type Result<T, E = StoreError> = std::result::Result<T, E>;

#[async_trait]
impl Jobs for SqliteStore {
    async fn put_job(&self, job: &JobRow) -> Result<()> {
        let put = sqlx::query(
            "INSERT INTO job (ledger, id, kind, trial, actor, ended, detail)
             SELECT ledger, ?2, ?3, ?4, ?5, ?6, ?7 FROM ledger WHERE ledger = ?1 AND holder IS ?8
             ON CONFLICT (ledger, id) DO UPDATE SET kind = excluded.kind, trial = excluded.trial,
                 actor = excluded.actor, ended = excluded.ended, detail = excluded.detail",
        )
        .bind(self.ledger)
        .bind(job.id)
        .bind(job.kind.as_str())
        .bind(job.trial.as_str())
        .bind(job.actor.as_str())
        .bind(job.ended)
        .bind(job.detail.as_slice())
        .bind(self.who)
        .execute(&self.writer)
        .await
        .map_err(failed)?;
        if put.rows_affected() > 0 { Ok(()) } else { Err(StoreError::Deposed) }
    }

    async fn job(&self, id: Uuid) -> Result<Option<JobRow>> {
        let row = sqlx::query_as(
            "SELECT id, kind, trial, actor, ended, detail FROM job WHERE ledger = ?1 AND id = ?2",
        )
        .bind(self.ledger)
        .bind(id)
        .fetch_optional(&self.readers)
        .await;
        row.map_err(failed)?.map(columns::job).transpose()
    }

    async fn open_jobs(&self, kind: &str) -> Result<Vec<JobRow>> {
        let rows = sqlx::query_as(
            "SELECT id, kind, trial, actor, ended, detail FROM job
             WHERE ledger = ?1 AND kind = ?2 AND NOT ended ORDER BY id",
        )
        .bind(self.ledger)
        .bind(kind)
        .fetch_all(&self.readers)
        .await;
        rows.map_err(failed)?.into_iter().map(columns::job).collect()
    }
}

#[async_trait]
impl Tokens for SqliteStore {
    async fn add_token(&self, token: &TokenRow) -> Result<()> {
        sqlx::query(
            "INSERT INTO token (ledger, hash, id, actor, role, organisation, source_system, trials, expires, revoked, known)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )
        .bind(self.ledger)
        .bind(token.hash.as_slice())
        .bind(token.id)
        .bind(token.actor.as_str())
        .bind(token.role.as_str())
        .bind(token.organisation.as_str())
        .bind(token.source_system.as_deref())
        .bind(columns::trials_column(token.trials.as_deref()))
        .bind(token.expires)
        .bind(token.revoked)
        .bind(token.known.number())
        .execute(&self.writer)
        .await
        .map_err(failed)?;
        Ok(())
    }

    async fn tokens_with(&self, hashes: &[[u8; 32]]) -> Result<Vec<TokenRow>> {
        let hashes: Vec<_> = hashes.iter().map(hex).collect();
        let rows = sqlx::query_as(
            "SELECT t.hash, t.id, t.actor, t.role, t.organisation, t.source_system, t.trials, t.expires, t.revoked, t.known
             FROM json_each(?2) AS asked
             CROSS JOIN token AS t ON t.ledger = ?1 AND t.hash = unhex(asked.value)",
        )
        .bind(self.ledger)
        .bind(serde_json::json!(hashes).to_string())
        .fetch_all(&self.readers)
        .await;
        rows.map_err(failed)?.into_iter().map(columns::token).collect()
    }

    async fn revoke_token(&self, hash: &[u8; 32]) -> Result<bool> {
        let revoked = sqlx::query("UPDATE token SET revoked = TRUE WHERE ledger = ?1 AND hash = ?2")
            .bind(self.ledger)
            .bind(hash.as_slice())
            .execute(&self.writer)
            .await;
        Ok(revoked.map_err(failed)?.rows_affected() > 0)
    }

    async fn tokens(&self) -> Result<Vec<TokenRow>> {
        let rows = sqlx::query_as(
            "SELECT hash, id, actor, role, organisation, source_system, trials, expires, revoked, known
             FROM token WHERE ledger = ?1 ORDER BY actor, hash",
        )
        .bind(self.ledger)
        .fetch_all(&self.readers)
        .await;
        rows.map_err(failed)?.into_iter().map(columns::token).collect()
    }

    async fn note_token(&self, hash: &[u8; 32], known: Known) -> Result<()> {
        sqlx::query("UPDATE token SET known = max(known, ?3) WHERE ledger = ?1 AND hash = ?2")
            .bind(self.ledger)
            .bind(hash.as_slice())
            .bind(known.number())
            .execute(&self.writer)
            .await
            .map_err(failed)?;
        Ok(())
    }
}

#[async_trait]
impl DataKeys for SqliteStore {
    async fn data_key_of(&self, scope: &Scope) -> Result<Option<WrappedKey>, KeyStoreError> {
        self.key_of(scope).await.map_err(key_store)
    }

    async fn data_key(&self, id: Uuid) -> Result<Option<WrappedKey>, KeyStoreError> {
        let row =
            sqlx::query_as("SELECT id, scope, master, wrapped FROM data_key WHERE ledger = ?1 AND id = ?2")
                .bind(self.ledger)
                .bind(id)
                .fetch_optional(&self.readers)
                .await;
        row.map_err(failed).and_then(|row| row.map(columns::data_key).transpose()).map_err(key_store)
    }

    async fn add_data_key(&self, key: &WrappedKey) -> Result<WrappedKey, KeyStoreError> {
        sqlx::query(
            "INSERT INTO data_key (ledger, id, scope, master, wrapped) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (ledger, scope) DO NOTHING",
        )
        .bind(self.ledger)
        .bind(key.id)
        .bind(key.scope.to_string())
        .bind(key.master.as_str())
        .bind(key.wrapped.as_slice())
        .execute(&self.writer)
        .await
        .map_err(|error| key_store(failed(error)))?;
        let stored = self.key_of(&key.scope).await.map_err(key_store)?;
        stored.ok_or_else(|| KeyStoreError("the key was removed as soon as it was added".into()))
    }
}

impl SqliteStore {
    async fn key_of(&self, scope: &Scope) -> Result<Option<WrappedKey>> {
        let row = sqlx::query_as(
            "SELECT id, scope, master, wrapped FROM data_key WHERE ledger = ?1 AND scope = ?2",
        )
        .bind(self.ledger)
        .bind(scope.to_string())
        .fetch_optional(&self.readers)
        .await;
        row.map_err(failed)?.map(columns::data_key).transpose()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn key_store(error: StoreError) -> KeyStoreError {
    KeyStoreError(error.to_string())
}
