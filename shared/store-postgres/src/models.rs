//! Read models.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::{Postgres, Transaction};
use trialseal_record::ids::TrialId;
use trialseal_store::columns::{self, signed};
use trialseal_store::{Doc, ModelRow, ModelTx, Models, Result, StoreError};

use crate::PostgresStore;
use crate::error::failed;
use crate::record::each;

/// Documents of a dropped generation that are removed in one statement, so that none runs for long.
const DROPPED: i64 = 2_000;

#[async_trait]
impl Models for PostgresStore {
    async fn generations(&self, model: &str) -> Result<Vec<ModelRow>> {
        let rows = sqlx::query_as(
            "SELECT model, generation, position, active FROM read_model
             WHERE ledger = $1 AND model = $2 ORDER BY generation",
        )
        .bind(self.ledger)
        .bind(model)
        .fetch_all(&self.pool)
        .await;
        rows.map_err(failed)?.into_iter().map(columns::model).collect()
    }

    async fn new_generation(&self, model: &str) -> Result<u32> {
        // Documents count too: those of a dropped generation may not have been removed yet.
        let generation = sqlx::query_scalar(
            "INSERT INTO read_model (ledger, model, generation, position, active)
             SELECT $1, $2,
                 1 + greatest((SELECT coalesce(max(generation), 0) FROM read_model WHERE ledger = $1 AND model = $2),
                     (SELECT coalesce(max(generation), 0) FROM read_model_doc WHERE ledger = $1 AND model = $2)),
                 0, NOT EXISTS (SELECT 1 FROM read_model WHERE ledger = $1 AND model = $2)
             RETURNING generation",
        )
        .bind(self.ledger)
        .bind(model)
        .fetch_one(&self.pool)
        .await;
        columns::number(generation.map_err(failed)?)
    }

    async fn activate(&self, model: &str, generation: u32) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM read_model WHERE ledger = $1 AND model = $2 AND generation <> $3")
            .bind(self.ledger)
            .bind(model)
            .bind(i64::from(generation))
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        let made = sqlx::query(
            "UPDATE read_model SET active = TRUE WHERE ledger = $1 AND model = $2 AND generation = $3",
        )
        .bind(self.ledger)
        .bind(model)
        .bind(i64::from(generation))
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        if made.rows_affected() == 0 {
            return Err(gone(model, generation));
        }
        tx.commit().await.map_err(failed)?;
        // A crash from here on leaves documents that no generation has; the next activation removes them.
        self.remove_orphans(model).await
    }

    async fn docs(
        &self,
        model: &str,
        generation: u32,
        ids: &[(TrialId, String)],
    ) -> Result<Vec<Option<Doc>>> {
        let rows = sqlx::query_as(
            "SELECT trial, id, key, body FROM read_model_doc WHERE ledger = $1 AND model = $2 AND generation = $3
                 AND (trial, id) IN (SELECT * FROM UNNEST($4::TEXT[], $5::TEXT[]))",
        )
        .bind(self.ledger)
        .bind(model)
        .bind(i64::from(generation))
        .bind(each(ids, |(trial, _)| trial.as_str()))
        .bind(each(ids, |(_, id)| id.as_str()))
        .fetch_all(&self.pool)
        .await;
        let found: Result<Vec<_>> = rows.map_err(failed)?.into_iter().map(columns::doc).collect();
        Ok(columns::in_order(ids, &found?))
    }

    async fn list(
        &self,
        model: &str,
        generation: u32,
        trial: &TrialId,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Doc>> {
        let end = columns::prefix_end(prefix);
        let sql = match end {
            Some(_) => {
                "SELECT trial, id, key, body FROM read_model_doc
                 WHERE ledger = $1 AND model = $2 AND generation = $3 AND trial = $4
                     AND id >= $5 AND id IS DISTINCT FROM $6 AND id < $8 ORDER BY id LIMIT $7"
            }
            None => {
                "SELECT trial, id, key, body FROM read_model_doc
                 WHERE ledger = $1 AND model = $2 AND generation = $3 AND trial = $4
                     AND id >= $5 AND id IS DISTINCT FROM $6 ORDER BY id LIMIT $7"
            }
        };
        let mut query = sqlx::query_as(sql)
            .bind(self.ledger)
            .bind(model)
            .bind(i64::from(generation))
            .bind(trial.as_str())
            .bind(after.map_or(prefix, |after| after.max(prefix)))
            .bind(after)
            .bind(i64::from(limit));
        if let Some(end) = end {
            query = query.bind(end);
        }
        query.fetch_all(&self.pool).await.map_err(failed)?.into_iter().map(columns::doc).collect()
    }

    async fn begin_model(&self, model: &str, generation: u32, position: u64) -> Result<Box<dyn ModelTx>> {
        let mut tx = self.begin().await?;
        let stands: Option<i64> = sqlx::query_scalar(
            "SELECT position FROM read_model WHERE ledger = $1 AND model = $2 AND generation = $3 FOR UPDATE",
        )
        .bind(self.ledger)
        .bind(model)
        .bind(i64::from(generation))
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed)?;
        if stands != Some(signed(position)?) {
            return Err(gone(model, generation));
        }
        Ok(Box::new(Folding { tx, ledger: self.ledger, model: model.to_owned(), generation, whole: true }))
    }
}

impl PostgresStore {
    /// Removes the documents of generations that are gone.
    async fn remove_orphans(&self, model: &str) -> Result<()> {
        let orphans: Vec<i64> = sqlx::query_scalar(
            "SELECT DISTINCT generation FROM read_model_doc WHERE ledger = $1 AND model = $2
                 AND generation NOT IN (SELECT generation FROM read_model WHERE ledger = $1 AND model = $2)",
        )
        .bind(self.ledger)
        .bind(model)
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        for generation in orphans {
            while self.remove_some(model, generation).await? {}
        }
        Ok(())
    }

    /// Removes some documents of a generation that is gone, and says whether there may be more.
    async fn remove_some(&self, model: &str, generation: i64) -> Result<bool> {
        // With its documents gone the generation's number is free; a new one that takes it keeps its own.
        let removed = sqlx::query(
            "DELETE FROM read_model_doc WHERE ledger = $1 AND model = $2 AND generation = $3 AND (trial, id) IN (
                 SELECT trial, id FROM read_model_doc WHERE ledger = $1 AND model = $2 AND generation = $3 LIMIT $4)
             AND NOT EXISTS (SELECT 1 FROM read_model WHERE ledger = $1 AND model = $2 AND generation = $3)",
        )
        .bind(self.ledger)
        .bind(model)
        .bind(generation)
        .bind(DROPPED)
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        Ok(removed.rows_affected() > 0)
    }
}

fn gone(model: &str, generation: u32) -> StoreError {
    StoreError::Overtaken(format!(
        "generation {generation} of read model {model} stands elsewhere, or is gone"
    ))
}

struct Folding {
    tx: Transaction<'static, Postgres>,
    ledger: i16,
    model: String,
    generation: u32,
    /// Whether all puts so far were carried out.
    whole: bool,
}

#[async_trait]
impl ModelTx for Folding {
    async fn put(&mut self, docs: &[Doc]) -> Result<()> {
        self.whole = false;
        // One statement can write a row only once; of two documents of one id the later counts.
        let docs: HashMap<_, _> =
            docs.iter().map(|doc| ((doc.trial.as_str(), doc.id.as_str()), doc)).collect();
        let docs: Vec<_> = docs.into_values().collect();
        sqlx::query(
            "INSERT INTO read_model_doc (ledger, model, generation, trial, id, key, body)
             SELECT $1, $2, $3, * FROM UNNEST($4::TEXT[], $5::TEXT[], $6::UUID[], $7::BYTEA[])
             ON CONFLICT (ledger, model, generation, trial, id)
             DO UPDATE SET key = excluded.key, body = excluded.body",
        )
        .bind(self.ledger)
        .bind(self.model.as_str())
        .bind(i64::from(self.generation))
        .bind(each(&docs, |doc| doc.trial.as_str()))
        .bind(each(&docs, |doc| doc.id.as_str()))
        .bind(each(&docs, |doc| doc.key))
        .bind(each(&docs, |doc| doc.body.as_slice()))
        .execute(&mut *self.tx)
        .await
        .map_err(failed)?;
        self.whole = true;
        Ok(())
    }

    async fn commit(mut self: Box<Self>, position: u64) -> Result<()> {
        if !self.whole {
            return Err(StoreError::Refused("a put of this transaction failed".into()));
        }
        sqlx::query(
            "UPDATE read_model SET position = $4 WHERE ledger = $1 AND model = $2 AND generation = $3",
        )
        .bind(self.ledger)
        .bind(self.model.as_str())
        .bind(i64::from(self.generation))
        .bind(signed(position)?)
        .execute(&mut *self.tx)
        .await
        .map_err(failed)?;
        self.tx.commit().await.map_err(failed)
    }
}
