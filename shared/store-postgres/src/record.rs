//! Events, commands and natural keys.

use async_trait::async_trait;
use sqlx::{query, query_as};
use trialseal_record::ids::{StreamId, StreamKind, TrialId};
use trialseal_seal::hash::Hash;
use trialseal_store::columns::{self, EventColumns, LeafColumns, gap_free, signed};
use trialseal_store::{
    AppendTx, Appends, CommandId, CommandRow, EventRow, Events, LeafRow, LedgerHead, PAGE_BYTES,
    ResealedBody, Reseals, Result, StoreError, StreamVersion, Streams, WriteBatch,
};

use crate::{Locked, PostgresStore};

/// A page of events: those of `$of` in the order of `$place`, from place `$2` on, up to `$3`, until their bodies have `$4`
/// bytes; of each the newest body that it has. The server counts them, so that what is not handed out is not read from where
/// long bodies lie. What was encrypted again is joined to the page alone: for most trials there is nothing to join.
macro_rules! page {
    ($of:literal, $place:literal) => {
        concat!(
            "SELECT position, trial, trialseq, stream, streamseq, leaf, header, key, body FROM (
                 SELECT position, trial, trialseq, stream, streamseq, leaf, header, coalesce(data_key, key) AS key,
                     coalesce(sealed, body) AS body, sum(coalesce(octet_length(sealed), octet_length(body)))
                         OVER (ORDER BY ",
            $place,
            " ROWS UNBOUNDED PRECEDING) - coalesce(octet_length(sealed), octet_length(body)) AS before
                 FROM (SELECT position, trial, trialseq, stream, streamseq, leaf, header, key, body
                     FROM event WHERE ledger = $1 AND ",
            $of,
            " AND ",
            $place,
            " >= $2 ORDER BY ",
            $place,
            " LIMIT $3) AS rows
                 LEFT JOIN resealed_body ON of_ledger = $1 AND of_position = position
             ) AS page WHERE before < $4 ORDER BY ",
            $place
        )
    };
}

#[async_trait]
impl Events for PostgresStore {
    fn origin(&self) -> &str {
        &self.origin
    }

    async fn head(&self) -> Result<LedgerHead> {
        let head = query_as("SELECT position, time, seal, seal_leaf, sealed FROM ledger WHERE ledger = $1")
            .bind(self.ledger);
        columns::head(self.pool.one(head).await?)
    }

    async fn trial_size(&self, trial: &TrialId) -> Result<Option<u64>> {
        let size = query_as("SELECT size FROM trial WHERE ledger = $1 AND trial = $2")
            .bind(self.ledger)
            .bind(trial.as_str());
        self.pool.optional(size).await?.map(|(size,)| columns::number(size)).transpose()
    }

    async fn trials(&self, after: Option<&TrialId>, limit: u32) -> Result<Vec<(TrialId, u64)>> {
        let trials = query_as(
            "SELECT trial, size FROM trial WHERE ledger = $1 AND trial > $2 ORDER BY trial LIMIT $3",
        )
        .bind(self.ledger)
        .bind(after.map_or("", TrialId::as_str))
        .bind(i64::from(limit));
        self.pool.all(trials).await?.into_iter().map(columns::trial_size).collect()
    }

    async fn since_position(&self, from: u64, limit: u32) -> Result<Vec<EventRow>> {
        let page = query_as(page!("TRUE", "position"))
            .bind(self.ledger)
            .bind(signed(from)?)
            .bind(i64::from(limit))
            .bind(page_bytes());
        events("events", from, self.pool.all(page).await?, |event| event.position)
    }

    async fn of_trial(&self, trial: &TrialId, from: u64, limit: u32) -> Result<Vec<EventRow>> {
        let page = query_as(page!("trial = $5", "trialseq"))
            .bind(self.ledger)
            .bind(signed(from)?)
            .bind(i64::from(limit))
            .bind(page_bytes())
            .bind(trial.as_str());
        let what = format!("events of trial {trial}");
        events(&what, from, self.pool.all(page).await?, |event| event.trialseq)
    }

    async fn of_stream(
        &self,
        trial: &TrialId,
        stream: &StreamId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<EventRow>> {
        let page = query_as(page!("trial = $5 AND stream = $6", "streamseq"))
            .bind(self.ledger)
            .bind(signed(from)?)
            .bind(i64::from(limit))
            .bind(page_bytes())
            .bind(trial.as_str())
            .bind(stream.to_string());
        let what = format!("events of {stream} of trial {trial}");
        events(&what, from, self.pool.all(page).await?, |event| event.streamseq)
    }

    async fn leaves_from_position(&self, from: u64, limit: u32) -> Result<Vec<LeafRow>> {
        let rows = query_as(LEAVES).bind(self.ledger).bind(signed(from)?).bind(i64::from(limit));
        leaves(from, self.pool.all(rows).await?)
    }

    async fn leaves_of_trial(&self, trial: &TrialId, from: u64, limit: u32) -> Result<Vec<Hash>> {
        let rows = query_as(
            "SELECT position, trial, trialseq, leaf FROM event
             WHERE ledger = $1 AND trial = $2 AND trialseq >= $3 ORDER BY trialseq LIMIT $4",
        )
        .bind(self.ledger)
        .bind(trial.as_str())
        .bind(signed(from)?)
        .bind(i64::from(limit));
        let rows: Result<_> = self.pool.all(rows).await?.into_iter().map(columns::leaf).collect();
        let rows = gap_free(&format!("events of trial {trial}"), from, rows?, |row: &LeafRow| row.trialseq)?;
        Ok(rows.into_iter().map(|row| row.leaf).collect())
    }

    async fn stream_of(&self, trial: &TrialId, key: &[u8; 32]) -> Result<Option<StreamId>> {
        let stream = query_as("SELECT stream FROM natural_key WHERE ledger = $1 AND trial = $2 AND key = $3")
            .bind(self.ledger)
            .bind(trial.as_str())
            .bind(key.as_slice());
        let stream: Option<(String,)> = self.pool.optional(stream).await?;
        stream.map(|(stream,)| columns::stream(&stream)).transpose()
    }
}

#[async_trait]
impl Reseals for PostgresStore {
    async fn reseal(&self, bodies: &[ResealedBody]) -> Result<()> {
        if bodies.is_empty() {
            return Ok(());
        }
        let put = query(
            "INSERT INTO resealed_body (of_ledger, of_position, data_key, sealed)
             SELECT l.ledger, a.position, a.key, a.body FROM ledger AS l
             CROSS JOIN UNNEST($3::BIGINT[], $4::UUID[], $5::BYTEA[]) AS a (position, key, body)
             WHERE l.ledger = $1 AND l.holder IS NOT DISTINCT FROM $2
             FOR SHARE OF l
             ON CONFLICT (of_ledger, of_position) DO UPDATE SET data_key = excluded.data_key, sealed = excluded.sealed",
        )
        .bind(self.ledger)
        .bind(self.who)
        .bind(all(bodies, |row| signed(row.position))?)
        .bind(each(bodies, |row| row.key))
        .bind(each(bodies, |row| row.body.as_slice()));
        if self.pool.execute(put).await? > 0 { Ok(()) } else { Err(StoreError::Deposed) }
    }
}

pub(crate) const LEAVES: &str = "SELECT position, trial, trialseq, leaf FROM event
    WHERE ledger = $1 AND position >= $2 ORDER BY position LIMIT $3";

pub(crate) fn leaves(from: u64, rows: Vec<LeafColumns>) -> Result<Vec<LeafRow>> {
    let rows: Result<_> = rows.into_iter().map(columns::leaf).collect();
    gap_free("events", from, rows?, |row: &LeafRow| row.position)
}

fn events(
    what: &str,
    from: u64,
    rows: Vec<EventColumns>,
    place: impl Fn(&EventRow) -> u64,
) -> Result<Vec<EventRow>> {
    let rows: Result<_> = rows.into_iter().map(columns::event).collect();
    gap_free(what, from, rows?, place)
}

/// [`PAGE_BYTES`] as a statement takes it.
pub(crate) fn page_bytes() -> i64 {
    i64::try_from(PAGE_BYTES).unwrap_or(i64::MAX)
}

#[async_trait]
impl Streams for PostgresStore {
    async fn streams(
        &self,
        trial: &TrialId,
        kind: StreamKind,
        after: Option<StreamId>,
        limit: u32,
    ) -> Result<Vec<StreamVersion>> {
        let prefix = kind.as_str();
        let after = after.map_or_else(|| format!("{prefix}/"), |after| after.to_string());
        let rows = query_as(
            "SELECT trial, stream, version FROM stream
             WHERE ledger = $1 AND trial = $2 AND stream > $3 AND stream < $4 ORDER BY stream LIMIT $5",
        )
        .bind(self.ledger)
        .bind(trial.as_str())
        .bind(after)
        // The character after the slash.
        .bind(format!("{prefix}0"))
        .bind(i64::from(limit));
        self.pool.all(rows).await?.into_iter().map(columns::stream_version).collect()
    }

    async fn stream_version(&self, trial: &TrialId, stream: &StreamId) -> Result<u64> {
        let version: Option<(i64,)> = self
            .pool
            .optional(
                query_as("SELECT version FROM stream WHERE ledger = $1 AND trial = $2 AND stream = $3")
                    .bind(self.ledger)
                    .bind(trial.as_str())
                    .bind(stream.to_string()),
            )
            .await?;
        version.map_or(Ok(0), |(version,)| columns::number(version))
    }
}

#[async_trait]
impl Appends for PostgresStore {
    async fn begin_append(&self) -> Result<Box<dyn AppendTx>> {
        Ok(Box::new(self.lock().await?))
    }

    async fn command(&self, id: &CommandId) -> Result<Option<CommandRow>> {
        let command =
            query_as("SELECT id, digest, trial, first, count FROM command WHERE ledger = $1 AND id = $2")
                .bind(self.ledger)
                .bind(id.as_slice());
        self.pool.optional(command).await?.map(columns::command).transpose()
    }
}

#[async_trait]
impl AppendTx for Locked {
    fn head(&self) -> LedgerHead {
        self.head
    }

    async fn commands(&mut self, ids: &[CommandId]) -> Result<Vec<CommandRow>> {
        let commands = query_as(
            "SELECT x.* FROM UNNEST($2::BYTEA[]) AS a (id) CROSS JOIN LATERAL (
                 SELECT id, digest, trial, first, count FROM command
                 WHERE ledger = $1 AND id = a.id LIMIT 1) AS x",
        )
        .bind(self.ledger)
        .bind(each(ids, <[u8; 32]>::as_slice));
        self.session.all(commands).await?.into_iter().map(columns::command).collect()
    }

    async fn trial_sizes(&mut self, trials: &[TrialId]) -> Result<Vec<(TrialId, u64)>> {
        let sizes = query_as(
            "SELECT x.* FROM UNNEST($2::TEXT[]) AS a (trial) CROSS JOIN LATERAL (
                 SELECT trial, size FROM trial WHERE ledger = $1 AND trial = a.trial LIMIT 1) AS x",
        )
        .bind(self.ledger)
        .bind(each(trials, TrialId::as_str));
        self.session.all(sizes).await?.into_iter().map(columns::trial_size).collect()
    }

    async fn stream_versions(&mut self, streams: &[(TrialId, StreamId)]) -> Result<Vec<StreamVersion>> {
        let versions = query_as(
            "SELECT x.* FROM UNNEST($2::TEXT[], $3::TEXT[]) AS a (trial, stream) CROSS JOIN LATERAL (
                 SELECT trial, stream, version FROM stream
                 WHERE ledger = $1 AND trial = a.trial AND stream = a.stream LIMIT 1) AS x",
        )
        .bind(self.ledger)
        .bind(each(streams, |(trial, _)| trial.as_str()))
        .bind(each(streams, |(_, stream)| stream.to_string()));
        self.session.all(versions).await?.into_iter().map(columns::stream_version).collect()
    }

    async fn taken(&mut self, keys: &[(TrialId, [u8; 32])]) -> Result<Vec<(TrialId, [u8; 32])>> {
        let taken = query_as(
            "SELECT x.* FROM UNNEST($2::TEXT[], $3::BYTEA[]) AS a (trial, key) CROSS JOIN LATERAL (
                 SELECT trial, key FROM natural_key
                 WHERE ledger = $1 AND trial = a.trial AND key = a.key LIMIT 1) AS x",
        )
        .bind(self.ledger)
        .bind(each(keys, |(trial, _)| trial.as_str()))
        .bind(each(keys, |(_, key)| key.as_slice()));
        let taken: Vec<(String, Vec<u8>)> = self.session.all(taken).await?;
        taken.into_iter().map(|(trial, key)| Ok((columns::trial(trial)?, columns::bytes(&key)?))).collect()
    }

    async fn write(&mut self, batch: &WriteBatch) -> Result<()> {
        self.whole = false;
        let WriteBatch { events, commands, streams, trials, natural_keys, .. } = batch;
        let write = query(WRITE)
            .bind(self.ledger)
            .bind(all(events, |row| signed(row.position))?)
            .bind(each(events, |row| row.trial.as_str()))
            .bind(all(events, |row| signed(row.trialseq))?)
            .bind(each(events, |row| row.stream.to_string()))
            .bind(all(events, |row| signed(row.streamseq))?)
            .bind(each(events, |row| row.leaf.as_bytes().as_slice()))
            .bind(each(events, |row| row.header.as_slice()))
            .bind(each(events, |row| row.key))
            .bind(each(events, |row| row.body.as_slice()))
            .bind(each(commands, |row| row.id.as_slice()))
            .bind(each(commands, |row| row.digest.as_slice()))
            .bind(each(commands, |row| row.trial.as_str()))
            .bind(all(commands, |row| signed(row.first))?)
            .bind(each(commands, |row| i64::from(row.count)))
            .bind(each(trials, |(trial, _)| trial.as_str()))
            .bind(all(trials, |(_, size)| signed(*size))?)
            .bind(each(streams, |row| row.trial.as_str()))
            .bind(each(streams, |row| row.stream.to_string()))
            .bind(all(streams, |row| signed(row.version))?)
            .bind(each(natural_keys, |row| row.trial.as_str()))
            .bind(each(natural_keys, |row| row.key.as_slice()))
            .bind(each(natural_keys, |row| row.stream.to_string()))
            .bind(signed(batch.position)?)
            .bind(batch.time.micros());
        self.session.execute(write).await?;
        self.whole = true;
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        Self::commit(*self).await
    }
}

/// A batch in one statement, since each one is a round trip in which the head row is locked. Its parts do not see each
/// other's rows, and need not.
const WRITE: &str = "WITH events AS (
    INSERT INTO event (ledger, position, trial, trialseq, stream, streamseq, leaf, header, key, body)
    SELECT $1, * FROM UNNEST($2::BIGINT[], $3::TEXT[], $4::BIGINT[], $5::TEXT[], $6::BIGINT[], $7::BYTEA[], $8::BYTEA[],
        $9::UUID[], $10::BYTEA[])
), commands AS (
    INSERT INTO command (ledger, id, digest, trial, first, count)
    SELECT $1, * FROM UNNEST($11::BYTEA[], $12::BYTEA[], $13::TEXT[], $14::BIGINT[], $15::BIGINT[])
), trials AS (
    INSERT INTO trial (ledger, trial, size) SELECT $1, * FROM UNNEST($16::TEXT[], $17::BIGINT[])
    ON CONFLICT (ledger, trial) DO UPDATE SET size = excluded.size
), streams AS (
    INSERT INTO stream (ledger, trial, stream, version)
    SELECT $1, * FROM UNNEST($18::TEXT[], $19::TEXT[], $20::BIGINT[])
    ON CONFLICT (ledger, trial, stream) DO UPDATE SET version = excluded.version
), natural_keys AS (
    INSERT INTO natural_key (ledger, trial, key, stream)
    SELECT $1, * FROM UNNEST($21::TEXT[], $22::BYTEA[], $23::TEXT[])
)
UPDATE ledger SET position = $24, time = $25 WHERE ledger = $1";

/// One column of many rows.
pub(crate) fn each<'a, T, V>(rows: &'a [T], column: impl Fn(&'a T) -> V) -> Vec<V> {
    rows.iter().map(column).collect()
}

/// One column of many rows, where a value may not fit.
pub(crate) fn all<'a, T, V>(rows: &'a [T], column: impl Fn(&'a T) -> Result<V>) -> Result<Vec<V>> {
    rows.iter().map(column).collect()
}
