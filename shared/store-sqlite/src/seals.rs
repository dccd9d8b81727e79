//! Seals, sealed heads, tree nodes, checkpoints, notes and timestamps.

use std::ops::Range;

use async_trait::async_trait;
use trialseal_record::ids::TrialId;
use trialseal_seal::hash::Hash;
use trialseal_store::columns::{self, gap_free, signed};
use trialseal_store::{
    LeafRow, LedgerHead, Result, SealRow, SealTx, SealWrite, SealedHead, Seals, TimestampRow, TreeName,
};

use crate::error::failed;
use crate::insert::insert;
use crate::record::leaves;
use crate::{Locked, SqliteStore};

#[async_trait]
impl Seals for SqliteStore {
    async fn begin_seal(&self) -> Result<Box<dyn SealTx>> {
        Ok(Box::new(self.lock().await?))
    }

    async fn seals(&self, from: u64, limit: u32) -> Result<Vec<SealRow>> {
        let rows = sqlx::query_as(
            "SELECT number, entry, leaf, sealed, time FROM seal
             WHERE ledger = ?1 AND number >= ?2 ORDER BY number LIMIT ?3",
        )
        .bind(self.ledger)
        .bind(signed(from)?)
        .bind(limit)
        .fetch_all(&self.readers)
        .await;
        let rows: Result<_> = rows.map_err(failed)?.into_iter().map(columns::seal).collect();
        gap_free("seals", from, rows?, |seal| seal.number)
    }

    async fn seal_covering(&self, trial: &TrialId, trialseq: u64) -> Result<Option<u64>> {
        // Sizes grow from seal to seal, so the least size beyond the event is that of the first seal.
        let seal = sqlx::query_scalar(
            "SELECT seal FROM sealed_head WHERE ledger = ?1 AND trial = ?2 AND size > ?3 ORDER BY size LIMIT 1",
        )
        .bind(self.ledger)
        .bind(trial.as_str())
        .bind(signed(trialseq)?)
        .fetch_optional(&self.readers)
        .await;
        seal.map_err(failed)?.map(columns::number).transpose()
    }

    async fn sealed_head(&self, trial: &TrialId, seal: u64) -> Result<Option<SealedHead>> {
        let row = sqlx::query_as(
            "SELECT trial, seal, size, root FROM sealed_head
             WHERE ledger = ?1 AND trial = ?2 AND seal <= ?3 ORDER BY seal DESC LIMIT 1",
        )
        .bind(self.ledger)
        .bind(trial.as_str())
        .bind(signed(seal)?)
        .fetch_optional(&self.readers)
        .await;
        row.map_err(failed)?.map(columns::sealed_head).transpose()
    }

    async fn sealed_heads(&self, seal: u64) -> Result<Vec<SealedHead>> {
        // One look-up a trial, however many seals there are.
        let rows = sqlx::query_as(
            "SELECT h.trial, h.seal, h.size, h.root FROM trial AS t
             CROSS JOIN sealed_head AS h ON h.ledger = t.ledger AND h.trial = t.trial AND h.seal =
                 (SELECT max(seal) FROM sealed_head WHERE ledger = t.ledger AND trial = t.trial AND seal <= ?2)
             WHERE t.ledger = ?1 ORDER BY t.trial",
        )
        .bind(self.ledger)
        .bind(signed(seal)?)
        .fetch_all(&self.readers)
        .await;
        rows.map_err(failed)?.into_iter().map(columns::sealed_head).collect()
    }

    async fn parts(&self, level: u8, parts: &[(TrialId, Range<u64>)]) -> Result<Vec<Vec<Hash>>> {
        let statement = if level == 0 {
            "SELECT leaf FROM event WHERE ledger = ?1 AND trial = ?2 AND trialseq >= ?3 AND trialseq < ?4
             ORDER BY trialseq"
        } else {
            "SELECT hash FROM tree_node WHERE ledger = ?1 AND tree = ?2 AND level = ?5 AND place >= ?3 AND place < ?4
             ORDER BY place"
        };
        let mut reader = self.readers.acquire().await.map_err(failed)?;
        let mut found = Vec::with_capacity(parts.len());
        for (trial, range) in parts {
            let mut hashes = sqlx::query_scalar(statement)
                .bind(self.ledger)
                .bind(trial.as_str())
                .bind(signed(range.start)?)
                .bind(signed(range.end)?);
            if level > 0 {
                hashes = hashes.bind(level);
            }
            let hashes: Vec<Vec<u8>> = hashes.fetch_all(&mut *reader).await.map_err(failed)?;
            found.push(hashes.iter().map(|hash| columns::hash(hash)).collect::<Result<_>>()?);
        }
        Ok(found)
    }

    async fn nodes(&self, tree: &TreeName, level: u8, from: u64, limit: u32) -> Result<Vec<Hash>> {
        let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT place, hash FROM tree_node
             WHERE ledger = ?1 AND tree = ?2 AND level = ?3 AND place >= ?4 ORDER BY place LIMIT ?5",
        )
        .bind(self.ledger)
        .bind(tree.as_str())
        .bind(level)
        .bind(signed(from)?)
        .bind(limit)
        .fetch_all(&self.readers)
        .await
        .map_err(failed)?;
        columns::nodes(tree, level, from, rows)
    }

    async fn put_checkpoint(&self, size: u64, note: &[u8]) -> Result<Vec<u8>> {
        // One statement decides; what it stored, or found, never changes afterwards.
        sqlx::query(
            "INSERT INTO checkpoint (ledger, size, note) SELECT ?1, ?2, ?3
             WHERE NOT EXISTS (SELECT 1 FROM checkpoint WHERE ledger = ?1 AND size = ?2)",
        )
        .bind(self.ledger)
        .bind(signed(size)?)
        .bind(note)
        .execute(&self.writer)
        .await
        .map_err(failed)?;
        let stored = sqlx::query_scalar("SELECT note FROM checkpoint WHERE ledger = ?1 AND size = ?2");
        stored.bind(self.ledger).bind(signed(size)?).fetch_one(&self.readers).await.map_err(failed)
    }

    async fn checkpoint(&self, size: u64) -> Result<Option<Vec<u8>>> {
        let stored = sqlx::query_scalar("SELECT note FROM checkpoint WHERE ledger = ?1 AND size = ?2");
        stored.bind(self.ledger).bind(signed(size)?).fetch_optional(&self.readers).await.map_err(failed)
    }

    async fn newest_checkpoint(&self) -> Result<Option<(u64, Vec<u8>)>> {
        let row =
            sqlx::query_as("SELECT size, note FROM checkpoint WHERE ledger = ?1 ORDER BY size DESC LIMIT 1");
        let row = row.bind(self.ledger).fetch_optional(&self.readers).await.map_err(failed)?;
        row.map(columns::sized_note).transpose()
    }

    async fn put_note(&self, size: u64, note: &[u8]) -> Result<Vec<u8>> {
        sqlx::query(
            "INSERT INTO note (ledger, size, note) SELECT ?1, ?2, ?3
             WHERE NOT EXISTS (SELECT 1 FROM note WHERE ledger = ?1 AND size = ?2)",
        )
        .bind(self.ledger)
        .bind(signed(size)?)
        .bind(note)
        .execute(&self.writer)
        .await
        .map_err(failed)?;
        let stored = sqlx::query_scalar("SELECT note FROM note WHERE ledger = ?1 AND size = ?2");
        stored.bind(self.ledger).bind(signed(size)?).fetch_one(&self.readers).await.map_err(failed)
    }

    async fn note(&self, size: u64) -> Result<Option<Vec<u8>>> {
        let stored = sqlx::query_scalar("SELECT note FROM note WHERE ledger = ?1 AND size = ?2");
        stored.bind(self.ledger).bind(signed(size)?).fetch_optional(&self.readers).await.map_err(failed)
    }

    async fn newest_note(&self) -> Result<Option<(u64, Vec<u8>)>> {
        let row = sqlx::query_as("SELECT size, note FROM note WHERE ledger = ?1 ORDER BY size DESC LIMIT 1");
        let row = row.bind(self.ledger).fetch_optional(&self.readers).await.map_err(failed)?;
        row.map(columns::sized_note).transpose()
    }

    async fn note_from(&self, size: u64) -> Result<Option<(u64, Vec<u8>)>> {
        let row = sqlx::query_as(
            "SELECT size, note FROM note WHERE ledger = ?1 AND size >= ?2 ORDER BY size LIMIT 1",
        );
        let row = row.bind(self.ledger).bind(signed(size)?).fetch_optional(&self.readers).await;
        row.map_err(failed)?.map(columns::sized_note).transpose()
    }

    async fn notes_until(&self, size: u64, limit: u32) -> Result<Vec<(u64, Vec<u8>)>> {
        let rows = sqlx::query_as(
            "SELECT size, note FROM note WHERE ledger = ?1 AND size <= ?2 ORDER BY size DESC LIMIT ?3",
        );
        let rows = rows.bind(self.ledger).bind(signed(size)?).bind(i64::from(limit));
        let rows = rows.fetch_all(&self.readers).await.map_err(failed)?;
        rows.into_iter().map(columns::sized_note).collect()
    }

    async fn put_timestamp(&self, timestamp: &TimestampRow) -> Result<TimestampRow> {
        let size = signed(timestamp.size)?;
        sqlx::query(
            "INSERT INTO note_timestamp (ledger, size, time, reply) SELECT ?1, ?2, ?3, ?4
             WHERE NOT EXISTS (SELECT 1 FROM note_timestamp WHERE ledger = ?1 AND size = ?2)",
        )
        .bind(self.ledger)
        .bind(size)
        .bind(timestamp.time.micros())
        .bind(timestamp.reply.as_slice())
        .execute(&self.writer)
        .await
        .map_err(failed)?;
        let stored =
            sqlx::query_as("SELECT size, time, reply FROM note_timestamp WHERE ledger = ?1 AND size = ?2");
        let stored = stored.bind(self.ledger).bind(size).fetch_one(&self.readers).await;
        columns::timestamp(stored.map_err(failed)?)
    }

    async fn timestamp_from(&self, size: u64) -> Result<Option<TimestampRow>> {
        let row = sqlx::query_as(
            "SELECT size, time, reply FROM note_timestamp WHERE ledger = ?1 AND size >= ?2 ORDER BY size LIMIT 1",
        );
        let row = row.bind(self.ledger).bind(signed(size)?).fetch_optional(&self.readers).await;
        row.map_err(failed)?.map(columns::timestamp).transpose()
    }

    async fn timestamp_sizes(&self, size: u64, limit: u32) -> Result<Vec<u64>> {
        let sizes = sqlx::query_scalar(
            "SELECT size FROM note_timestamp WHERE ledger = ?1 AND size >= ?2 ORDER BY size LIMIT ?3",
        );
        let sizes = sizes.bind(self.ledger).bind(signed(size)?).bind(limit);
        let sizes: Vec<i64> = sizes.fetch_all(&self.readers).await.map_err(failed)?;
        sizes.into_iter().map(columns::number).collect()
    }

    async fn newest_timestamp(&self) -> Result<Option<TimestampRow>> {
        let newest = sqlx::query_as(
            "SELECT size, time, reply FROM note_timestamp WHERE ledger = ?1 ORDER BY size DESC LIMIT 1",
        );
        let newest = newest.bind(self.ledger).fetch_optional(&self.readers).await.map_err(failed)?;
        newest.map(columns::timestamp).transpose()
    }
}

#[async_trait]
impl SealTx for Locked {
    fn head(&self) -> LedgerHead {
        self.head
    }

    async fn leaves_from_position(&mut self, from: u64, limit: u32) -> Result<Vec<LeafRow>> {
        leaves(&mut *self.tx, self.ledger, from, limit).await
    }

    async fn write(&mut self, write: &SealWrite) -> Result<()> {
        self.whole = false;
        let (ledger, seal) = (self.ledger, &write.seal);
        sqlx::query(
            "INSERT INTO seal (ledger, number, entry, leaf, sealed, time) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(ledger)
        .bind(signed(seal.number)?)
        .bind(seal.entry.as_slice())
        .bind(seal.leaf.as_bytes().as_slice())
        .bind(signed(seal.sealed)?)
        .bind(seal.time.micros())
        .execute(&mut *self.tx)
        .await
        .map_err(failed)?;

        let into = "INSERT INTO sealed_head (ledger, trial, seal, size, root)";
        insert(&mut self.tx, (into, "(?, ?, ?, ?, ?)", ""), &write.heads, |statement, row| {
            let statement = statement.bind(ledger).bind(row.trial.as_str()).bind(signed(row.seal)?);
            Ok(statement.bind(signed(row.size)?).bind(row.root.as_bytes().as_slice()))
        })
        .await?;

        let into = "INSERT INTO tree_node (ledger, tree, level, place, hash)";
        insert(&mut self.tx, (into, "(?, ?, ?, ?, ?)", ""), &write.nodes, |statement, row| {
            let statement = statement.bind(ledger).bind(row.tree.as_str()).bind(row.level);
            Ok(statement.bind(signed(row.index)?).bind(row.hash.as_bytes().as_slice()))
        })
        .await?;

        sqlx::query("UPDATE ledger SET seal = ?2, seal_leaf = ?3, sealed = ?4, time = ?5 WHERE ledger = ?1")
            .bind(ledger)
            .bind(signed(seal.number)?)
            .bind(seal.leaf.as_bytes().as_slice())
            .bind(signed(seal.sealed)?)
            .bind(seal.time.micros())
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
