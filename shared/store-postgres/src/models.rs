//! Read models.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::{query, query_as};
use trialseal_record::ids::TrialId;
use trialseal_store::columns::{self, ModelColumns, signed};
use trialseal_store::{Doc, ModelRow, ModelTx, Models, Result, StoreError};

use crate::PostgresStore;
use crate::record::{each, page_bytes};
use crate::session::Session;

/// Documents of a dropped generation that are removed in one statement, so that none runs for long.
const DROPPED: i64 = 2_000;

/// Documents that are put by one statement: its arguments are copied several times on their way.
const PUT: usize = 500;

/// A page of documents, as pages of events are made; `$until` may leave out what comes after a prefix.
macro_rules! page {
    ($until:literal) => {
        concat!(
            "SELECT trial, id, key, body FROM (
                 SELECT trial, id, key, body,
                     sum(octet_length(body)) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) - octet_length(body) AS before
                 FROM read_model_doc
                 WHERE ledger = $1 AND model = $2 AND generation = $3 AND trial = $4
                     AND id >= $5 AND id IS DISTINCT FROM $6 ",
            $until,
            " ORDER BY id LIMIT $7) AS page WHERE before < $8 ORDER BY id"
        )
    };
}

#[async_trait]
impl Models for PostgresStore {
    async fn generations(&self, model: &str) -> Result<Vec<ModelRow>> {
        let generations = query_as(
            "SELECT model, generation, position, active FROM read_model
             WHERE ledger = $1 AND model = $2 ORDER BY generation",
        )
        .bind(self.ledger)
        .bind(model);
        self.pool.all(generations).await?.into_iter().map(columns::model).collect()
    }

    async fn new_generation(&self, model: &str) -> Result<u32> {
        // Documents count too: those of a dropped generation may not have been removed yet.
        let made = query_as(
            "INSERT INTO read_model (ledger, model, generation, position, active)
             SELECT $1, $2, 1 + greatest(0,
                     (SELECT max(generation) FROM read_model WHERE ledger = $1 AND model = $2),
                     (SELECT generation FROM read_model_doc WHERE ledger = $1 AND model = $2
                      ORDER BY generation DESC LIMIT 1)),
                 0, NOT EXISTS (SELECT 1 FROM read_model WHERE ledger = $1 AND model = $2)
             RETURNING generation",
        )
        .bind(self.ledger)
        .bind(model);
        let (generation,) = self.pool.one(made).await?;
        columns::number(generation)
    }

    async fn activate(&self, model: &str, generation: u32) -> Result<bool> {
        let mut session = self.pool.session().await?;
        session.begin().await?;
        // Whoever folds waits for these locks, and then stands where this reads that they stand.
        let rows = query_as(
            "SELECT model, generation, position, active FROM read_model WHERE ledger = $1 AND model = $2
             ORDER BY generation FOR UPDATE",
        )
        .bind(self.ledger)
        .bind(model);
        let rows: Vec<ModelColumns> = session.all(rows).await?;
        let rows = rows.into_iter().map(columns::model).collect::<Result<Vec<_>>>()?;
        if !columns::may_take_over(&rows, generation).ok_or_else(|| gone(model, generation))? {
            return Ok(false);
        }
        let drop = query("DELETE FROM read_model WHERE ledger = $1 AND model = $2 AND generation <> $3")
            .bind(self.ledger)
            .bind(model)
            .bind(i64::from(generation));
        session.execute(drop).await?;
        let activate =
            query("UPDATE read_model SET active = TRUE WHERE ledger = $1 AND model = $2 AND generation = $3")
                .bind(self.ledger)
                .bind(model)
                .bind(i64::from(generation));
        session.execute(activate).await?;
        session.commit().await?;
        // A crash from here on leaves documents that no generation has; the next rebuild removes them.
        self.remove_orphans(model).await?;
        Ok(true)
    }

    async fn drop_unused(&self, model: &str) -> Result<()> {
        let drop = query("DELETE FROM read_model WHERE ledger = $1 AND model = $2 AND NOT active")
            .bind(self.ledger)
            .bind(model);
        self.pool.execute(drop).await?;
        self.remove_orphans(model).await
    }

    async fn docs(
        &self,
        model: &str,
        generation: u32,
        ids: &[(TrialId, String)],
    ) -> Result<Vec<Option<Doc>>> {
        let docs = query_as(
            "SELECT x.* FROM UNNEST($4::TEXT[], $5::TEXT[]) AS a (trial, id) CROSS JOIN LATERAL (
                 SELECT trial, id, key, body FROM read_model_doc
                 WHERE ledger = $1 AND model = $2 AND generation = $3 AND trial = a.trial AND id = a.id LIMIT 1) AS x",
        )
        .bind(self.ledger)
        .bind(model)
        .bind(i64::from(generation))
        .bind(each(ids, |(trial, _)| trial.as_str()))
        .bind(each(ids, |(_, id)| id.as_str()));
        let found: Result<Vec<_>> = self.pool.all(docs).await?.into_iter().map(columns::doc).collect();
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
        let page = if end.is_some() { page!("AND id < $9") } else { page!("") };
        let mut docs = query_as(page)
            .bind(self.ledger)
            .bind(model)
            .bind(i64::from(generation))
            .bind(trial.as_str())
            .bind(after.map_or(prefix, |after| after.max(prefix)))
            .bind(after)
            .bind(i64::from(limit))
            .bind(page_bytes());
        if let Some(end) = end {
            docs = docs.bind(end);
        }
        self.pool.all(docs).await?.into_iter().map(columns::doc).collect()
    }

    async fn begin_model(&self, model: &str, generation: u32, position: u64) -> Result<Box<dyn ModelTx>> {
        let mut session = self.pool.session().await?;
        session.begin_of_derived().await?;
        let stands = query_as(
            "SELECT position FROM read_model WHERE ledger = $1 AND model = $2 AND generation = $3 FOR UPDATE",
        )
        .bind(self.ledger)
        .bind(model)
        .bind(i64::from(generation));
        if session.optional(stands).await? != Some((signed(position)?,)) {
            return Err(gone(model, generation));
        }
        Ok(Box::new(Folding {
            session,
            ledger: self.ledger,
            model: model.to_owned(),
            generation,
            whole: true,
        }))
    }
}

impl PostgresStore {
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
        let next = query_as(
            "SELECT generation FROM read_model_doc WHERE ledger = $1 AND model = $2 AND generation > $3
             ORDER BY generation LIMIT 1",
        )
        .bind(self.ledger)
        .bind(model)
        .bind(before);
        Ok(self.pool.optional(next).await?.map(|(generation,)| generation))
    }

    /// Removes some documents of a generation, provided that it is gone, and says whether there may be more.
    async fn remove_some(&self, model: &str, generation: i64) -> Result<bool> {
        // With its documents gone the generation's number is free; a new one that takes it keeps its own.
        let remove = query(
            "DELETE FROM read_model_doc WHERE ctid = ANY (ARRAY (
                 SELECT ctid FROM read_model_doc WHERE ledger = $1 AND model = $2 AND generation = $3 LIMIT $4))
             AND NOT EXISTS (SELECT 1 FROM read_model WHERE ledger = $1 AND model = $2 AND generation = $3)",
        )
        .bind(self.ledger)
        .bind(model)
        .bind(generation)
        .bind(DROPPED);
        Ok(self.pool.execute(remove).await? > 0)
    }
}

fn gone(model: &str, generation: u32) -> StoreError {
    StoreError::Overtaken(format!(
        "generation {generation} of read model {model} stands elsewhere, or is gone"
    ))
}

struct Folding {
    session: Session,
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
        for docs in docs.chunks(PUT) {
            self.put_some(docs).await?;
        }
        self.whole = true;
        Ok(())
    }

    async fn commit(mut self: Box<Self>, position: u64) -> Result<()> {
        if !self.whole {
            return Err(StoreError::Refused("a put of this transaction failed".into()));
        }
        let moved =
            query("UPDATE read_model SET position = $4 WHERE ledger = $1 AND model = $2 AND generation = $3")
                .bind(self.ledger)
                .bind(self.model.as_str())
                .bind(i64::from(self.generation))
                .bind(signed(position)?);
        self.session.execute(moved).await?;
        self.session.commit().await
    }
}

impl Folding {
    async fn put_some(&mut self, docs: &[Doc]) -> Result<()> {
        // One statement can write a row only once; of two documents of one id the later counts.
        let docs: HashMap<_, _> =
            docs.iter().map(|doc| ((doc.trial.as_str(), doc.id.as_str()), doc)).collect();
        let docs: Vec<_> = docs.into_values().collect();
        let put = query(
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
        .bind(each(&docs, |doc| doc.body.as_slice()));
        self.session.execute(put).await.map(|_| ())
    }
}
