//! Events, commands and natural keys.

use async_trait::async_trait;
use trialseal_record::ids::{StreamId, TrialId};
use trialseal_seal::hash::Hash;
use trialseal_store::columns::{self, gap_free, signed};
use trialseal_store::{
    AppendTx, Appends, CommandId, CommandRow, EventRow, Events, LeafRow, LedgerHead, NaturalKeyRow, Result,
    StreamVersion, WriteBatch,
};

use crate::error::failed;
use crate::{Locked, PostgresStore};

#[async_trait]
impl Events for PostgresStore {
    fn origin(&self) -> &str {
        &self.origin
    }

    async fn head(&self) -> Result<LedgerHead> {
        let head =
            sqlx::query_as("SELECT position, time, seal, seal_leaf, sealed FROM ledger WHERE ledger = $1")
                .bind(self.ledger)
                .fetch_one(&self.pool)
                .await;
        columns::head(head.map_err(failed)?)
    }

    async fn trial_size(&self, trial: &TrialId) -> Result<Option<u64>> {
        let size = sqlx::query_scalar("SELECT size FROM trial WHERE ledger = $1 AND trial = $2")
            .bind(self.ledger)
            .bind(trial.as_str())
            .fetch_optional(&self.pool)
            .await;
        size.map_err(failed)?.map(columns::number).transpose()
    }

    async fn trials(&self, after: Option<&TrialId>, limit: u32) -> Result<Vec<(TrialId, u64)>> {
        let rows = sqlx::query_as(
            "SELECT trial, size FROM trial WHERE ledger = $1 AND trial > $2 ORDER BY trial LIMIT $3",
        )
        .bind(self.ledger)
        .bind(after.map_or("", TrialId::as_str))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await;
        rows.map_err(failed)?.into_iter().map(columns::trial_size).collect()
    }

    async fn since_position(&self, from: u64, limit: u32) -> Result<Vec<EventRow>> {
        let rows = sqlx::query_as(
            "SELECT position, trial, trialseq, stream, streamseq, leaf, header, key, body FROM event
             WHERE ledger = $1 AND position >= $2 ORDER BY position LIMIT $3",
        )
        .bind(self.ledger)
        .bind(signed(from)?)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await;
        let rows: Result<_> = rows.map_err(failed)?.into_iter().map(columns::event).collect();
        gap_free("events", from, rows?, |event| event.position)
    }

    async fn of_trial(&self, trial: &TrialId, from: u64, limit: u32) -> Result<Vec<EventRow>> {
        let rows = sqlx::query_as(
            "SELECT position, trial, trialseq, stream, streamseq, leaf, header, key, body FROM event
             WHERE ledger = $1 AND trial = $2 AND trialseq >= $3 ORDER BY trialseq LIMIT $4",
        )
        .bind(self.ledger)
        .bind(trial.as_str())
        .bind(signed(from)?)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await;
        let rows: Result<_> = rows.map_err(failed)?.into_iter().map(columns::event).collect();
        gap_free(&format!("events of trial {trial}"), from, rows?, |event| event.trialseq)
    }

    async fn of_stream(
        &self,
        trial: &TrialId,
        stream: &StreamId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<EventRow>> {
        let rows = sqlx::query_as(
            "SELECT position, trial, trialseq, stream, streamseq, leaf, header, key, body FROM event
             WHERE ledger = $1 AND trial = $2 AND stream = $3 AND streamseq >= $4 ORDER BY streamseq LIMIT $5",
        )
        .bind(self.ledger)
        .bind(trial.as_str())
        .bind(stream.to_string())
        .bind(signed(from)?)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await;
        let rows: Result<_> = rows.map_err(failed)?.into_iter().map(columns::event).collect();
        gap_free(&format!("events of {stream} of trial {trial}"), from, rows?, |event| event.streamseq)
    }

    async fn leaves_from_position(&self, from: u64, limit: u32) -> Result<Vec<LeafRow>> {
        let rows = sqlx::query_as(LEAVES)
            .bind(self.ledger)
            .bind(signed(from)?)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await;
        leaves(from, rows.map_err(failed)?)
    }

    async fn leaves_of_trial(&self, trial: &TrialId, from: u64, limit: u32) -> Result<Vec<Hash>> {
        let rows: Vec<columns::LeafColumns> = sqlx::query_as(
            "SELECT position, trial, trialseq, leaf FROM event
             WHERE ledger = $1 AND trial = $2 AND trialseq >= $3 ORDER BY trialseq LIMIT $4",
        )
        .bind(self.ledger)
        .bind(trial.as_str())
        .bind(signed(from)?)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let rows: Result<_> = rows.into_iter().map(columns::leaf).collect();
        let rows = gap_free(&format!("events of trial {trial}"), from, rows?, |row: &LeafRow| row.trialseq)?;
        Ok(rows.into_iter().map(|row| row.leaf).collect())
    }

    async fn stream_of(&self, trial: &TrialId, key: &[u8; 32]) -> Result<Option<StreamId>> {
        let stream = sqlx::query_scalar(
            "SELECT stream FROM natural_key WHERE ledger = $1 AND trial = $2 AND key = $3",
        )
        .bind(self.ledger)
        .bind(trial.as_str())
        .bind(key.as_slice())
        .fetch_optional(&self.pool)
        .await;
        stream.map_err(failed)?.map(|stream: String| columns::stream(&stream)).transpose()
    }
}

pub(crate) const LEAVES: &str = "SELECT position, trial, trialseq, leaf FROM event
    WHERE ledger = $1 AND position >= $2 ORDER BY position LIMIT $3";

pub(crate) fn leaves(from: u64, rows: Vec<columns::LeafColumns>) -> Result<Vec<LeafRow>> {
    let rows: Result<_> = rows.into_iter().map(columns::leaf).collect();
    gap_free("events", from, rows?, |row: &LeafRow| row.position)
}

#[async_trait]
impl Appends for PostgresStore {
    async fn begin_append(&self) -> Result<Box<dyn AppendTx>> {
        Ok(Box::new(self.lock().await?))
    }

    async fn command(&self, id: &CommandId) -> Result<Option<CommandRow>> {
        let row = sqlx::query_as(
            "SELECT id, digest, trial, first, count FROM command WHERE ledger = $1 AND id = $2",
        )
        .bind(self.ledger)
        .bind(id.as_slice())
        .fetch_optional(&self.pool)
        .await;
        row.map_err(failed)?.map(columns::command).transpose()
    }
}

#[async_trait]
impl AppendTx for Locked {
    fn head(&self) -> LedgerHead {
        self.head
    }

    async fn commands(&mut self, ids: &[CommandId]) -> Result<Vec<CommandRow>> {
        let ids: Vec<&[u8]> = ids.iter().map(<[u8; 32]>::as_slice).collect();
        let rows = sqlx::query_as(
            "SELECT id, digest, trial, first, count FROM command WHERE ledger = $1 AND id = ANY($2)",
        )
        .bind(self.ledger)
        .bind(ids)
        .fetch_all(&mut *self.tx)
        .await;
        rows.map_err(failed)?.into_iter().map(columns::command).collect()
    }

    async fn trial_sizes(&mut self, trials: &[TrialId]) -> Result<Vec<(TrialId, u64)>> {
        let trials: Vec<_> = trials.iter().map(TrialId::as_str).collect();
        let rows = sqlx::query_as("SELECT trial, size FROM trial WHERE ledger = $1 AND trial = ANY($2)")
            .bind(self.ledger)
            .bind(trials)
            .fetch_all(&mut *self.tx)
            .await;
        rows.map_err(failed)?.into_iter().map(columns::trial_size).collect()
    }

    async fn stream_versions(&mut self, streams: &[(TrialId, StreamId)]) -> Result<Vec<StreamVersion>> {
        let (trials, streams): (Vec<_>, Vec<_>) =
            streams.iter().map(|(trial, stream)| (trial.as_str(), stream.to_string())).unzip();
        let rows = sqlx::query_as(
            "SELECT trial, stream, version FROM stream
             WHERE ledger = $1 AND (trial, stream) IN (SELECT * FROM UNNEST($2::TEXT[], $3::TEXT[]))",
        )
        .bind(self.ledger)
        .bind(trials)
        .bind(streams)
        .fetch_all(&mut *self.tx)
        .await;
        rows.map_err(failed)?.into_iter().map(columns::stream_version).collect()
    }

    async fn taken(&mut self, keys: &[(TrialId, [u8; 32])]) -> Result<Vec<(TrialId, [u8; 32])>> {
        let (trials, keys): (Vec<_>, Vec<_>) =
            keys.iter().map(|(trial, key)| (trial.as_str(), key.as_slice())).unzip();
        let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
            "SELECT trial, key FROM natural_key
             WHERE ledger = $1 AND (trial, key) IN (SELECT * FROM UNNEST($2::TEXT[], $3::BYTEA[]))",
        )
        .bind(self.ledger)
        .bind(trials)
        .bind(keys)
        .fetch_all(&mut *self.tx)
        .await
        .map_err(failed)?;
        rows.into_iter().map(|(trial, key)| Ok((columns::trial(trial)?, columns::bytes(&key)?))).collect()
    }

    async fn write(&mut self, batch: &WriteBatch) -> Result<()> {
        self.whole = false;
        self.write_events(&batch.events).await?;
        self.write_commands(&batch.commands).await?;
        self.write_sizes(batch).await?;
        self.write_natural_keys(&batch.natural_keys).await?;
        sqlx::query("UPDATE ledger SET position = $2, time = $3 WHERE ledger = $1")
            .bind(self.ledger)
            .bind(signed(batch.position)?)
            .bind(batch.time.micros())
            .execute(&mut *self.tx)
            .await
            .map_err(failed)?;
        self.whole = true;
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        Self::commit(*self).await
    }
}

impl Locked {
    async fn write_events(&mut self, events: &[EventRow]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO event (ledger, position, trial, trialseq, stream, streamseq, leaf, header, key, body)
             SELECT $1, * FROM UNNEST($2::BIGINT[], $3::TEXT[], $4::BIGINT[], $5::TEXT[], $6::BIGINT[], $7::BYTEA[],
                 $8::BYTEA[], $9::UUID[], $10::BYTEA[])",
        )
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
        .execute(&mut *self.tx)
        .await
        .map_err(failed)?;
        Ok(())
    }

    async fn write_commands(&mut self, commands: &[CommandRow]) -> Result<()> {
        if commands.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO command (ledger, id, digest, trial, first, count)
             SELECT $1, * FROM UNNEST($2::BYTEA[], $3::BYTEA[], $4::TEXT[], $5::BIGINT[], $6::BIGINT[])",
        )
        .bind(self.ledger)
        .bind(each(commands, |row| row.id.as_slice()))
        .bind(each(commands, |row| row.digest.as_slice()))
        .bind(each(commands, |row| row.trial.as_str()))
        .bind(all(commands, |row| signed(row.first))?)
        .bind(each(commands, |row| i64::from(row.count)))
        .execute(&mut *self.tx)
        .await
        .map_err(failed)?;
        Ok(())
    }

    /// The new sizes of trials and versions of streams.
    async fn write_sizes(&mut self, batch: &WriteBatch) -> Result<()> {
        sqlx::query(
            "INSERT INTO trial (ledger, trial, size) SELECT $1, * FROM UNNEST($2::TEXT[], $3::BIGINT[])
             ON CONFLICT (ledger, trial) DO UPDATE SET size = excluded.size",
        )
        .bind(self.ledger)
        .bind(each(&batch.trials, |(trial, _)| trial.as_str()))
        .bind(all(&batch.trials, |(_, size)| signed(*size))?)
        .execute(&mut *self.tx)
        .await
        .map_err(failed)?;
        sqlx::query(
            "INSERT INTO stream (ledger, trial, stream, version)
             SELECT $1, * FROM UNNEST($2::TEXT[], $3::TEXT[], $4::BIGINT[])
             ON CONFLICT (ledger, trial, stream) DO UPDATE SET version = excluded.version",
        )
        .bind(self.ledger)
        .bind(each(&batch.streams, |row| row.trial.as_str()))
        .bind(each(&batch.streams, |row| row.stream.to_string()))
        .bind(all(&batch.streams, |row| signed(row.version))?)
        .execute(&mut *self.tx)
        .await
        .map_err(failed)?;
        Ok(())
    }

    async fn write_natural_keys(&mut self, keys: &[NaturalKeyRow]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO natural_key (ledger, trial, key, stream)
             SELECT $1, * FROM UNNEST($2::TEXT[], $3::BYTEA[], $4::TEXT[])",
        )
        .bind(self.ledger)
        .bind(each(keys, |row| row.trial.as_str()))
        .bind(each(keys, |row| row.key.as_slice()))
        .bind(each(keys, |row| row.stream.to_string()))
        .execute(&mut *self.tx)
        .await
        .map_err(failed)?;
        Ok(())
    }
}

/// One column of many rows.
pub(crate) fn each<'a, T, V>(rows: &'a [T], column: impl Fn(&'a T) -> V) -> Vec<V> {
    rows.iter().map(column).collect()
}

/// One column of many rows, where a value may not fit.
pub(crate) fn all<'a, T, V>(rows: &'a [T], column: impl Fn(&'a T) -> Result<V>) -> Result<Vec<V>> {
    rows.iter().map(column).collect()
}
