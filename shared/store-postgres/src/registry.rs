//! Jobs and tokens; and the data keys of before they had a store of their own.

use async_trait::async_trait;
use sqlx::{query, query_as};
use trialseal_store::{FormerKeys, JobRow, Jobs, Known, StoreError, TokenRow, Tokens, columns};
use trialseal_vault::WrappedKey;
use uuid::Uuid;

use crate::PostgresStore;
use crate::record::each;

type Result<T, E = StoreError> = std::result::Result<T, E>;

#[async_trait]
impl Jobs for PostgresStore {
    async fn put_job(&self, job: &JobRow) -> Result<()> {
        let put = query(
            "INSERT INTO job (ledger, id, kind, trial, actor, ended, detail)
             SELECT ledger, $2, $3, $4, $5, $6, $7 FROM ledger WHERE ledger = $1 AND holder IS NOT DISTINCT FROM $8
             FOR SHARE
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
        .bind(self.who);
        if self.pool.execute(put).await? > 0 { Ok(()) } else { Err(StoreError::Deposed) }
    }

    async fn job(&self, id: Uuid) -> Result<Option<JobRow>> {
        let row =
            query_as("SELECT id, kind, trial, actor, ended, detail FROM job WHERE ledger = $1 AND id = $2")
                .bind(self.ledger)
                .bind(id);
        self.pool.optional(row).await?.map(columns::job).transpose()
    }

    async fn open_jobs(&self, kind: &str) -> Result<Vec<JobRow>> {
        let rows = query_as(
            "SELECT id, kind, trial, actor, ended, detail FROM job
             WHERE ledger = $1 AND kind = $2 AND NOT ended ORDER BY id",
        )
        .bind(self.ledger)
        .bind(kind);
        self.pool.all(rows).await?.into_iter().map(columns::job).collect()
    }
}

#[async_trait]
impl Tokens for PostgresStore {
    async fn add_token(&self, token: &TokenRow) -> Result<()> {
        let add = query(
            "INSERT INTO token (ledger, hash, id, actor, role, organisation, source_system, trials, expires, revoked, known,
                 participant)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
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
        .bind(token.participant.map(|participant| participant.0));
        self.pool.execute(add).await.map(|_| ())
    }

    async fn tokens_with(&self, hashes: &[[u8; 32]]) -> Result<Vec<TokenRow>> {
        let rows = query_as(
            "SELECT x.* FROM UNNEST($2::BYTEA[]) AS a (hash) CROSS JOIN LATERAL (
                 SELECT hash, id, actor, role, organisation, source_system, trials, expires, revoked, known, participant
                 FROM token
                 WHERE ledger = $1 AND hash = a.hash LIMIT 1) AS x",
        )
        .bind(self.ledger)
        .bind(each(hashes, <[u8; 32]>::as_slice));
        self.pool.all(rows).await?.into_iter().map(columns::token).collect()
    }

    async fn revoke_token(&self, hash: &[u8; 32]) -> Result<bool> {
        let revoke = query("UPDATE token SET revoked = TRUE WHERE ledger = $1 AND hash = $2")
            .bind(self.ledger)
            .bind(hash.as_slice());
        Ok(self.pool.execute(revoke).await? > 0)
    }

    async fn tokens(&self) -> Result<Vec<TokenRow>> {
        let rows = query_as(
            "SELECT hash, id, actor, role, organisation, source_system, trials, expires, revoked, known, participant
             FROM token WHERE ledger = $1 ORDER BY actor, hash",
        )
        .bind(self.ledger);
        self.pool.all(rows).await?.into_iter().map(columns::token).collect()
    }

    async fn note_token(&self, hash: &[u8; 32], known: Known) -> Result<()> {
        let note = query("UPDATE token SET known = greatest(known, $3) WHERE ledger = $1 AND hash = $2")
            .bind(self.ledger)
            .bind(hash.as_slice())
            .bind(known.number());
        self.pool.execute(note).await.map(|_| ())
    }
}

#[async_trait]
impl FormerKeys for PostgresStore {
    async fn former_data_keys(&self) -> Result<Vec<WrappedKey>> {
        let rows = query_as("SELECT id, scope, master, wrapped FROM data_key WHERE ledger = $1");
        self.pool.all(rows.bind(self.ledger)).await?.into_iter().map(columns::data_key).collect()
    }

    async fn forget_former_data_keys(&self) -> Result<()> {
        let forget = query("DELETE FROM data_key WHERE ledger = $1").bind(self.ledger);
        self.pool.execute(forget).await.map(|_| ())
    }
}
