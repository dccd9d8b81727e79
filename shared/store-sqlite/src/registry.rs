//! Jobs and tokens; and the data keys of before they had a store of their own.

use async_trait::async_trait;
use trialseal_store::{FormerKeys, JobRow, Jobs, Known, StoreError, TokenRow, Tokens, columns};
use trialseal_vault::WrappedKey;
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
            "INSERT INTO token (ledger, hash, id, actor, role, organisation, source_system, trials, expires, revoked, known,
                 participant)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
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
        .bind(token.participant.map(|participant| participant.0))
        .execute(&self.writer)
        .await
        .map_err(failed)?;
        Ok(())
    }

    async fn tokens_with(&self, hashes: &[[u8; 32]]) -> Result<Vec<TokenRow>> {
        let hashes: Vec<_> = hashes.iter().map(hex).collect();
        let rows = sqlx::query_as(
            "SELECT t.hash, t.id, t.actor, t.role, t.organisation, t.source_system, t.trials, t.expires, t.revoked, t.known,
                    t.participant
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
            "SELECT hash, id, actor, role, organisation, source_system, trials, expires, revoked, known, participant
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
impl FormerKeys for SqliteStore {
    async fn former_data_keys(&self) -> Result<Vec<WrappedKey>> {
        let rows = sqlx::query_as("SELECT id, scope, master, wrapped FROM data_key WHERE ledger = ?1");
        let rows = rows.bind(self.ledger).fetch_all(&self.readers).await;
        rows.map_err(failed)?.into_iter().map(columns::data_key).collect()
    }

    async fn forget_former_data_keys(&self) -> Result<()> {
        let forget = sqlx::query("DELETE FROM data_key WHERE ledger = ?1").bind(self.ledger);
        forget.execute(&self.writer).await.map_err(failed)?;
        Ok(())
    }
}
