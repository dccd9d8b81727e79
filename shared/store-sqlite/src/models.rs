//! Read models.

use async_trait::async_trait;
use sqlx::{Sqlite, Transaction};
use trialseal_record::ids::TrialId;
use trialseal_store::columns::{self, ModelColumns, signed};
use trialseal_store::{Doc, ModelRow, ModelTx, Models, Result, StoreError};

use crate::SqliteStore;
use crate::error::failed;
use crate::insert::insert;
use crate::record::page_bytes;

/// Documents of a dropped generation that are removed in one statement, so that appends get their turn in between.
const DROPPED: u32 = 2_000;

/// A page of documents, as pages of events are made; `$until` may leave out what comes after a prefix.
macro_rules! page {
    ($until:literal) => {
        concat!(
            "SELECT trial, id, key, body FROM read_model_doc
             WHERE ledger = ?1 AND model = ?2 AND generation = ?3 AND trial = ?4 AND id >= ?5 AND id IS NOT ?6 ",
            $until,
            " ORDER BY id LIMIT (SELECT count(*) FROM (
                 SELECT sum(bytes) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) - bytes AS before FROM (
                     SELECT id, length(body) AS bytes FROM read_model_doc
                     WHERE ledger = ?1 AND model = ?2 AND generation = ?3 AND trial = ?4 AND id >= ?5 AND id IS NOT ?6 ",
            $until,
            " ORDER BY id LIMIT ?7)) WHERE before < ?8)"
        )
    };
}

#[async_trait]
impl Models for SqliteStore {
    async fn generations(&self, model: &str) -> Result<Vec<ModelRow>> {
        let rows = sqlx::query_as(
            "SELECT model, generation, position, active FROM read_model
             WHERE ledger = ?1 AND model = ?2 ORDER BY generation",
        )
        .bind(self.ledger)
        .bind(model)
        .fetch_all(&self.readers)
        .await;
        rows.map_err(failed)?.into_iter().map(columns::model).collect()
    }

    async fn new_generation(&self, model: &str) -> Result<u32> {
        // Documents count too: those of a dropped generation may not have been removed yet.
        let generation = sqlx::query_scalar(
            "INSERT INTO read_model (ledger, model, generation, position, active)
             SELECT ?1, ?2,
                 1 + max((SELECT coalesce(max(generation), 0) FROM read_model WHERE ledger = ?1 AND model = ?2),
                     (SELECT coalesce(max(generation), 0) FROM read_model_doc WHERE ledger = ?1 AND model = ?2)),
                 0, NOT EXISTS (SELECT 1 FROM read_model WHERE ledger = ?1 AND model = ?2)
             RETURNING generation",
        )
        .bind(self.ledger)
        .bind(model)
        .fetch_one(&self.writer)
        .await;
        columns::number(generation.map_err(failed)?)
    }

    async fn activate(&self, model: &str, generation: u32) -> Result<bool> {
        let mut tx = self.begin().await?;
        let rows: Vec<ModelColumns> = sqlx::query_as(
            "SELECT model, generation, position, active FROM read_model WHERE ledger = ?1 AND model = ?2",
        )
        .bind(self.ledger)
        .bind(model)
        .fetch_all(&mut *tx)
        .await
        .map_err(failed)?;
        let rows = rows.into_iter().map(columns::model).collect::<Result<Vec<_>>>()?;
        if !columns::may_take_over(&rows, generation).ok_or_else(|| gone(model, generation))? {
            return Ok(false);
        }
        sqlx::query("DELETE FROM read_model WHERE ledger = ?1 AND model = ?2 AND generation <> ?3")
            .bind(self.ledger)
            .bind(model)
            .bind(generation)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        sqlx::query(
            "UPDATE read_model SET active = TRUE WHERE ledger = ?1 AND model = ?2 AND generation = ?3",
        )
        .bind(self.ledger)
        .bind(model)
        .bind(generation)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        // A crash from here on leaves documents that no generation has; the next rebuild removes them.
        self.remove_orphans(model).await?;
        Ok(true)
    }

    async fn drop_unused(&self, model: &str) -> Result<()> {
        sqlx::query("DELETE FROM read_model WHERE ledger = ?1 AND model = ?2 AND NOT active")
            .bind(self.ledger)
            .bind(model)
            .execute(&self.writer)
            .await
            .map_err(failed)?;
        self.remove_orphans(model).await
    }

    async fn docs(
        &self,
        model: &str,
        generation: u32,
        ids: &[(TrialId, String)],
    ) -> Result<Vec<Option<Doc>>> {
        let asked: Vec<_> = ids.iter().map(|(trial, id)| [trial.as_str(), id]).collect();
        let rows = sqlx::query_as(
            "SELECT d.trial, d.id, d.key, d.body FROM json_each(?4) AS asked
             CROSS JOIN read_model_doc AS d ON d.ledger = ?1 AND d.model = ?2 AND d.generation = ?3
                 AND d.trial = asked.value ->> 0 AND d.id = asked.value ->> 1",
        )
        .bind(self.ledger)
        .bind(model)
        .bind(generation)
        .bind(serde_json::json!(asked).to_string())
        .fetch_all(&self.readers)
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
        let page = if end.is_some() { page!("AND id < ?9") } else { page!("") };
        let mut query = sqlx::query_as(page)
            .bind(self.ledger)
            .bind(model)
            .bind(generation)
            .bind(trial.as_str())
            .bind(after.map_or(prefix, |after| after.max(prefix)))
            .bind(after)
            .bind(limit)
            .bind(page_bytes());
        if let Some(end) = end {
            query = query.bind(end);
        }
        query.fetch_all(&self.readers).await.map_err(failed)?.into_iter().map(columns::doc).collect()
    }

    async fn begin_model(&self, model: &str, generation: u32, position: u64) -> Result<Box<dyn ModelTx>> {
        let mut tx = self.begin().await?;
        let stands: Option<i64> = sqlx::query_scalar(
            "SELECT position FROM read_model WHERE ledger = ?1 AND model = ?2 AND generation = ?3",
        )
        .bind(self.ledger)
        .bind(model)
        .bind(generation)
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed)?;
        if stands != Some(signed(position)?) {
            return Err(gone(model, generation));
        }
        Ok(Box::new(Folding { tx, ledger: self.ledger, model: model.to_owned(), generation, whole: true }))
    }
}

impl SqliteStore {
    /// Removes the documents of generations that are gone.
    async fn remove_orphans(&self, model: &str) -> Result<()> {
        let mut before = 0;
        while let Some(generation) = self.generation_after(model, before).await? {
            while self.remove_some(model, generation).await? {}
            before = generation;
        }
        Ok(())
    }

    /// The next generation that has documents: one step through the index, however many they are.
    async fn generation_after(&self, model: &str, before: i64) -> Result<Option<i64>> {
        let next = sqlx::query_scalar(
            "SELECT generation FROM read_model_doc WHERE ledger = ?1 AND model = ?2 AND generation > ?3
             ORDER BY generation LIMIT 1",
        );
        next.bind(self.ledger).bind(model).bind(before).fetch_optional(&self.readers).await.map_err(failed)
    }

    /// Removes some documents of a generation, provided that it is gone, and says whether there may be more.
    async fn remove_some(&self, model: &str, generation: i64) -> Result<bool> {
        // With its documents gone the generation's number is free; a new one that takes it keeps its own.
        let removed = sqlx::query(
            "DELETE FROM read_model_doc WHERE rowid IN (
                 SELECT rowid FROM read_model_doc WHERE ledger = ?1 AND model = ?2 AND generation = ?3 LIMIT ?4)
             AND NOT EXISTS (SELECT 1 FROM read_model WHERE ledger = ?1 AND model = ?2 AND generation = ?3)",
        )
        .bind(self.ledger)
        .bind(model)
        .bind(generation)
        .bind(DROPPED)
        .execute(&self.writer)
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
    tx: Transaction<'static, Sqlite>,
    ledger: i64,
    model: String,
    generation: u32,
    /// Whether all puts so far were carried out.
    whole: bool,
}

#[async_trait]
impl ModelTx for Folding {
    async fn put(&mut self, docs: &[Doc]) -> Result<()> {
        self.whole = false;
        let (ledger, model, generation) = (self.ledger, self.model.as_str(), self.generation);
        let into = "INSERT INTO read_model_doc (ledger, model, generation, trial, id, key, body)";
        let replaced = "ON CONFLICT (ledger, model, generation, trial, id)
            DO UPDATE SET key = excluded.key, body = excluded.body";
        insert(&mut self.tx, (into, "(?, ?, ?, ?, ?, ?, ?)", replaced), docs, |statement, doc| {
            let statement = statement.bind(ledger).bind(model.to_owned()).bind(generation);
            Ok(statement
                .bind(doc.trial.as_str())
                .bind(doc.id.as_str())
                .bind(doc.key)
                .bind(doc.body.as_slice()))
        })
        .await?;
        self.whole = true;
        Ok(())
    }

    async fn commit(mut self: Box<Self>, position: u64) -> Result<()> {
        if !self.whole {
            return Err(StoreError::Refused("a put of this transaction failed".into()));
        }
        sqlx::query(
            "UPDATE read_model SET position = ?4 WHERE ledger = ?1 AND model = ?2 AND generation = ?3",
        )
        .bind(self.ledger)
        .bind(self.model.as_str())
        .bind(self.generation)
        .bind(signed(position)?)
        .execute(&mut *self.tx)
        .await
        .map_err(failed)?;
        self.tx.commit().await.map_err(failed)
    }
}
