//! Events, commands and natural keys.

use async_trait::async_trait;
use sqlx::SqliteExecutor;
use trialseal_record::ids::{StreamId, StreamKind, TrialId};
use trialseal_seal::hash::Hash;
use trialseal_store::columns::{self, EventColumns, LeafColumns, gap_free, signed};
use trialseal_store::{
    AppendTx, Appends, CommandId, CommandRow, EventRow, Events, LeafRow, LedgerHead, PAGE_BYTES,
    ResealedBody, Reseals, Result, StoreError, StreamVersion, Streams, WriteBatch,
};

use crate::error::failed;
use crate::insert::insert;
use crate::{Locked, SqliteStore};

/// A page of events: those of `$of` in the order of `$place`, from place `?2` on, up to `?3`, until their bodies have
/// `?4` bytes; of each the newest body that it has. How many these are is counted first, by the bodies' lengths, which SQLite knows without reading them.
///
/// Events of a ledger are found by their rows; `+ledger` distrusts that column too, and keeps SQLite from an index.
macro_rules! page {
    ($of:literal, $place:literal) => {
        concat!(
            "SELECT position, trial, trialseq, stream, streamseq, leaf, header,
                 coalesce((SELECT data_key FROM resealed_body WHERE of_row = row), key),
                 coalesce((SELECT sealed FROM resealed_body WHERE of_row = row), body) FROM event WHERE ",
            $of,
            " AND ",
            $place,
            " >= ?2 ORDER BY ",
            $place,
            " LIMIT (SELECT count(*) FROM (
                 SELECT sum(bytes) OVER (ORDER BY place ROWS UNBOUNDED PRECEDING) - bytes AS before FROM (
                     SELECT ",
            $place,
            " AS place, coalesce(
                         (SELECT length(sealed) FROM resealed_body WHERE of_row = row), length(body)) AS bytes FROM event WHERE ",
            $of,
            " AND ",
            $place,
            " >= ?2 ORDER BY ",
            $place,
            " LIMIT ?3)) WHERE before < ?4)"
        )
    };
}

#[async_trait]
impl Events for SqliteStore {
    fn origin(&self) -> &str {
        &self.origin
    }

    async fn head(&self) -> Result<LedgerHead> {
        let head =
            sqlx::query_as("SELECT position, time, seal, seal_leaf, sealed FROM ledger WHERE ledger = ?1")
                .bind(self.ledger)
                .fetch_one(&self.readers)
                .await;
        columns::head(head.map_err(failed)?)
    }

    async fn trial_size(&self, trial: &TrialId) -> Result<Option<u64>> {
        let size = sqlx::query_scalar("SELECT size FROM trial WHERE ledger = ?1 AND trial = ?2")
            .bind(self.ledger)
            .bind(trial.as_str())
            .fetch_optional(&self.readers)
            .await;
        size.map_err(failed)?.map(columns::number).transpose()
    }

    async fn trials(&self, after: Option<&TrialId>, limit: u32) -> Result<Vec<(TrialId, u64)>> {
        let rows = sqlx::query_as(
            "SELECT trial, size FROM trial WHERE ledger = ?1 AND trial > ?2 ORDER BY trial LIMIT ?3",
        )
        .bind(self.ledger)
        .bind(after.map_or("", TrialId::as_str))
        .bind(limit)
        .fetch_all(&self.readers)
        .await;
        rows.map_err(failed)?.into_iter().map(columns::trial_size).collect()
    }

    async fn since_position(&self, from: u64, limit: u32) -> Result<Vec<EventRow>> {
        let rows = sqlx::query_as(page!("row < ((?1 + 1) << 40) AND +ledger = ?1", "row"))
            .bind(self.ledger)
            .bind(row(self.ledger, from)?)
            .bind(limit)
            .bind(page_bytes())
            .fetch_all(&self.readers)
            .await;
        events("events", from, rows.map_err(failed)?, |event| event.position)
    }

    async fn of_trial(&self, trial: &TrialId, from: u64, limit: u32) -> Result<Vec<EventRow>> {
        let rows = sqlx::query_as(page!("ledger = ?1 AND trial = ?5", "trialseq"))
            .bind(self.ledger)
            .bind(signed(from)?)
            .bind(limit)
            .bind(page_bytes())
            .bind(trial.as_str())
            .fetch_all(&self.readers)
            .await;
        let what = format!("events of trial {trial}");
        events(&what, from, rows.map_err(failed)?, |event| event.trialseq)
    }

    async fn of_stream(
        &self,
        trial: &TrialId,
        stream: &StreamId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<EventRow>> {
        let rows = sqlx::query_as(page!("ledger = ?1 AND trial = ?5 AND stream = ?6", "streamseq"))
            .bind(self.ledger)
            .bind(signed(from)?)
            .bind(limit)
            .bind(page_bytes())
            .bind(trial.as_str())
            .bind(stream.to_string())
            .fetch_all(&self.readers)
            .await;
        let what = format!("events of {stream} of trial {trial}");
        events(&what, from, rows.map_err(failed)?, |event| event.streamseq)
    }

    async fn leaves_from_position(&self, from: u64, limit: u32) -> Result<Vec<LeafRow>> {
        leaves(&self.readers, self.ledger, from, limit).await
    }

    async fn leaves_of_trial(&self, trial: &TrialId, from: u64, limit: u32) -> Result<Vec<Hash>> {
        let rows: Vec<LeafColumns> = sqlx::query_as(
            "SELECT position, trial, trialseq, leaf FROM event
             WHERE ledger = ?1 AND trial = ?2 AND trialseq >= ?3 ORDER BY trialseq LIMIT ?4",
        )
        .bind(self.ledger)
        .bind(trial.as_str())
        .bind(signed(from)?)
        .bind(limit)
        .fetch_all(&self.readers)
        .await
        .map_err(failed)?;
        let rows: Result<_> = rows.into_iter().map(columns::leaf).collect();
        let rows = gap_free(&format!("events of trial {trial}"), from, rows?, |row: &LeafRow| row.trialseq)?;
        Ok(rows.into_iter().map(|row| row.leaf).collect())
    }

    async fn stream_of(&self, trial: &TrialId, key: &[u8; 32]) -> Result<Option<StreamId>> {
        let stream = sqlx::query_scalar(
            "SELECT stream FROM natural_key WHERE ledger = ?1 AND trial = ?2 AND key = ?3",
        )
        .bind(self.ledger)
        .bind(trial.as_str())
        .bind(key.as_slice())
        .fetch_optional(&self.readers)
        .await;
        stream.map_err(failed)?.map(|stream: String| columns::stream(&stream)).transpose()
    }
}

/// Leaves from a position on.
pub(crate) async fn leaves<'e>(
    reader: impl SqliteExecutor<'e>,
    ledger: i64,
    from: u64,
    limit: u32,
) -> Result<Vec<LeafRow>> {
    let rows: Vec<LeafColumns> = sqlx::query_as(
        "SELECT position, trial, trialseq, leaf FROM event
         WHERE row < ((?1 + 1) << 40) AND +ledger = ?1 AND row >= ?2 ORDER BY row LIMIT ?3",
    )
    .bind(ledger)
    .bind(row(ledger, from)?)
    .bind(limit)
    .fetch_all(reader)
    .await
    .map_err(failed)?;
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

/// Ledger and position in one number, as `event.row` holds them.
fn row(ledger: i64, position: u64) -> Result<i64> {
    match signed(position)? {
        position if position >> 40 == 0 => Ok((ledger << 40) | position),
        _ => Err(StoreError::Refused("a position above 2^40 − 1".into())),
    }
}

/// [`PAGE_BYTES`] as a statement takes it.
pub(crate) fn page_bytes() -> i64 {
    i64::try_from(PAGE_BYTES).unwrap_or(i64::MAX)
}

#[async_trait]
impl Streams for SqliteStore {
    async fn streams(
        &self,
        trial: &TrialId,
        kind: StreamKind,
        after: Option<StreamId>,
        limit: u32,
    ) -> Result<Vec<StreamVersion>> {
        let prefix = kind.as_str();
        let after = after.map_or_else(|| format!("{prefix}/"), |after| after.to_string());
        let rows = sqlx::query_as(
            "SELECT trial, stream, version FROM stream
             WHERE ledger = ?1 AND trial = ?2 AND stream > ?3 AND stream < ?4 ORDER BY stream LIMIT ?5",
        )
        .bind(self.ledger)
        .bind(trial.as_str())
        .bind(after)
        // The character after the slash.
        .bind(format!("{prefix}0"))
        .bind(limit)
        .fetch_all(&self.readers)
        .await;
        rows.map_err(failed)?.into_iter().map(columns::stream_version).collect()
    }

    async fn stream_version(&self, trial: &TrialId, stream: &StreamId) -> Result<u64> {
        let version =
            sqlx::query_scalar("SELECT version FROM stream WHERE ledger = ?1 AND trial = ?2 AND stream = ?3");
        let version = version.bind(self.ledger).bind(trial.as_str()).bind(stream.to_string());
        let version = version.fetch_optional(&self.readers).await.map_err(failed)?;
        version.map_or(Ok(0), columns::number)
    }
}

#[async_trait]
impl Appends for SqliteStore {
    async fn begin_append(&self) -> Result<Box<dyn AppendTx>> {
        Ok(Box::new(self.lock().await?))
    }

    async fn command(&self, id: &CommandId) -> Result<Option<CommandRow>> {
        let row = sqlx::query_as(
            "SELECT id, digest, trial, first, count FROM command WHERE ledger = ?1 AND id = ?2",
        )
        .bind(self.ledger)
        .bind(id.as_slice())
        .fetch_optional(&self.readers)
        .await;
        row.map_err(failed)?.map(columns::command).transpose()
    }
}

#[async_trait]
impl Reseals for SqliteStore {
    async fn reseal(&self, bodies: &[ResealedBody]) -> Result<()> {
        let mut tx = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        for ResealedBody { position, key, body } in bodies {
            let put = sqlx::query(
                "INSERT INTO resealed_body (of_row, data_key, sealed)
                 SELECT ?2, ?3, ?4 FROM ledger WHERE ledger = ?1 AND holder IS ?5
                 ON CONFLICT (of_row) DO UPDATE SET data_key = excluded.data_key, sealed = excluded.sealed",
            )
            .bind(self.ledger)
            .bind(row(self.ledger, *position)?)
            .bind(key)
            .bind(body.as_slice())
            .bind(self.who);
            if put.execute(&mut *tx).await.map_err(failed)?.rows_affected() == 0 {
                return Err(StoreError::Deposed);
            }
        }
        tx.commit().await.map_err(failed)
    }
}

/// Lists of values travel as JSON, bytes within them in hex: SQLite has no arrays. The list is walked, and each of its
/// values looked up by key (CROSS JOIN keeps that order).
#[async_trait]
impl AppendTx for Locked {
    fn head(&self) -> LedgerHead {
        self.head
    }

    async fn commands(&mut self, ids: &[CommandId]) -> Result<Vec<CommandRow>> {
        let ids: Vec<_> = ids.iter().map(hex).collect();
        let rows = sqlx::query_as(
            "SELECT c.id, c.digest, c.trial, c.first, c.count FROM json_each(?2) AS asked
             CROSS JOIN command AS c ON c.ledger = ?1 AND c.id = unhex(asked.value)",
        )
        .bind(self.ledger)
        .bind(serde_json::json!(ids).to_string())
        .fetch_all(&mut *self.tx)
        .await;
        rows.map_err(failed)?.into_iter().map(columns::command).collect()
    }

    async fn trial_sizes(&mut self, trials: &[TrialId]) -> Result<Vec<(TrialId, u64)>> {
        let trials: Vec<_> = trials.iter().map(TrialId::as_str).collect();
        let rows = sqlx::query_as(
            "SELECT t.trial, t.size FROM json_each(?2) AS asked
             CROSS JOIN trial AS t ON t.ledger = ?1 AND t.trial = asked.value",
        )
        .bind(self.ledger)
        .bind(serde_json::json!(trials).to_string())
        .fetch_all(&mut *self.tx)
        .await;
        rows.map_err(failed)?.into_iter().map(columns::trial_size).collect()
    }

    async fn stream_versions(&mut self, streams: &[(TrialId, StreamId)]) -> Result<Vec<StreamVersion>> {
        let streams: Vec<_> =
            streams.iter().map(|(trial, stream)| [trial.to_string(), stream.to_string()]).collect();
        let rows = sqlx::query_as(
            "SELECT s.trial, s.stream, s.version FROM json_each(?2) AS asked
             CROSS JOIN stream AS s ON s.ledger = ?1 AND s.trial = asked.value ->> 0 AND s.stream = asked.value ->> 1",
        )
        .bind(self.ledger)
        .bind(serde_json::json!(streams).to_string())
        .fetch_all(&mut *self.tx)
        .await;
        rows.map_err(failed)?.into_iter().map(columns::stream_version).collect()
    }

    async fn taken(&mut self, keys: &[(TrialId, [u8; 32])]) -> Result<Vec<(TrialId, [u8; 32])>> {
        let keys: Vec<_> = keys.iter().map(|(trial, key)| [trial.to_string(), hex(key)]).collect();
        let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
            "SELECT k.trial, k.key FROM json_each(?2) AS asked
             CROSS JOIN natural_key AS k
                 ON k.ledger = ?1 AND k.trial = asked.value ->> 0 AND k.key = unhex(asked.value ->> 1)",
        )
        .bind(self.ledger)
        .bind(serde_json::json!(keys).to_string())
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
        sqlx::query("UPDATE ledger SET position = ?2, time = ?3 WHERE ledger = ?1")
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

pub(crate) fn hex(bytes: &[u8; 32]) -> String {
    Hash::from_bytes(*bytes).to_string()
}

impl Locked {
    async fn write_events(&mut self, events: &[EventRow]) -> Result<()> {
        let ledger = self.ledger;
        let into = "INSERT INTO event
            (row, ledger, position, trial, trialseq, stream, streamseq, leaf, header, key, body)";
        insert(&mut self.tx, (into, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", ""), events, |statement, event| {
            Ok(statement
                .bind(row(ledger, event.position)?)
                .bind(ledger)
                .bind(signed(event.position)?)
                .bind(event.trial.as_str())
                .bind(signed(event.trialseq)?)
                .bind(event.stream.to_string())
                .bind(signed(event.streamseq)?)
                .bind(event.leaf.as_bytes().as_slice())
                .bind(event.header.as_slice())
                .bind(event.key)
                .bind(event.body.as_slice()))
        })
        .await
    }

    async fn write_commands(&mut self, commands: &[CommandRow]) -> Result<()> {
        let ledger = self.ledger;
        let into = "INSERT INTO command (ledger, id, digest, trial, first, count)";
        insert(&mut self.tx, (into, "(?, ?, ?, ?, ?, ?)", ""), commands, |statement, row| {
            Ok(statement
                .bind(ledger)
                .bind(row.id.as_slice())
                .bind(row.digest.as_slice())
                .bind(row.trial.as_str())
                .bind(signed(row.first)?)
                .bind(row.count))
        })
        .await
    }

    /// Trials, streams and natural keys.
    async fn write_sizes(&mut self, batch: &WriteBatch) -> Result<()> {
        let ledger = self.ledger;
        let into = "INSERT INTO trial (ledger, trial, size)";
        let grown = "ON CONFLICT (ledger, trial) DO UPDATE SET size = excluded.size";
        insert(&mut self.tx, (into, "(?, ?, ?)", grown), &batch.trials, |statement, (trial, size)| {
            Ok(statement.bind(ledger).bind(trial.as_str()).bind(signed(*size)?))
        })
        .await?;

        let into = "INSERT INTO stream (ledger, trial, stream, version)";
        let grown = "ON CONFLICT (ledger, trial, stream) DO UPDATE SET version = excluded.version";
        insert(&mut self.tx, (into, "(?, ?, ?, ?)", grown), &batch.streams, |statement, row| {
            let statement = statement.bind(ledger).bind(row.trial.as_str()).bind(row.stream.to_string());
            Ok(statement.bind(signed(row.version)?))
        })
        .await?;

        let into = "INSERT INTO natural_key (ledger, trial, key, stream)";
        insert(&mut self.tx, (into, "(?, ?, ?, ?)", ""), &batch.natural_keys, |statement, row| {
            let statement = statement.bind(ledger).bind(row.trial.as_str()).bind(row.key.as_slice());
            Ok(statement.bind(row.stream.to_string()))
        })
        .await
    }
}
