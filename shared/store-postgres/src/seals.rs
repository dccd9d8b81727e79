//! Seals, sealed heads, tree nodes, checkpoints, notes and timestamps.

use std::ops::Range;

use async_trait::async_trait;
use sqlx::{query, query_as};
use trialseal_record::ids::TrialId;
use trialseal_seal::hash::Hash;
use trialseal_store::columns::{self, gap_free, signed};
use trialseal_store::{
    LeafRow, LedgerHead, Result, SealRow, SealTx, SealWrite, SealedHead, Seals, TimestampRow, TreeName,
};

use crate::record::{LEAVES, all, each, leaves};
use crate::{Locked, PostgresStore};

#[async_trait]
impl Seals for PostgresStore {
    async fn begin_seal(&self) -> Result<Box<dyn SealTx>> {
        Ok(Box::new(self.lock().await?))
    }

    async fn seals(&self, from: u64, limit: u32) -> Result<Vec<SealRow>> {
        let seals = query_as(
            "SELECT number, entry, leaf, sealed, time FROM seal
             WHERE ledger = $1 AND number >= $2 ORDER BY number LIMIT $3",
        )
        .bind(self.ledger)
        .bind(signed(from)?)
        .bind(i64::from(limit));
        let seals: Result<_> = self.pool.all(seals).await?.into_iter().map(columns::seal).collect();
        gap_free("seals", from, seals?, |seal| seal.number)
    }

    async fn seal_covering(&self, trial: &TrialId, trialseq: u64) -> Result<Option<u64>> {
        // Sizes grow from seal to seal, so the least size beyond the event is that of the first seal.
        let seal = query_as(
            "SELECT seal FROM sealed_head WHERE ledger = $1 AND trial = $2 AND size > $3 ORDER BY size LIMIT 1",
        )
        .bind(self.ledger)
        .bind(trial.as_str())
        .bind(signed(trialseq)?);
        self.pool.optional(seal).await?.map(|(seal,)| columns::number(seal)).transpose()
    }

    async fn sealed_head(&self, trial: &TrialId, seal: u64) -> Result<Option<SealedHead>> {
        let head = query_as(
            "SELECT trial, seal, size, root FROM sealed_head
             WHERE ledger = $1 AND trial = $2 AND seal <= $3 ORDER BY seal DESC LIMIT 1",
        )
        .bind(self.ledger)
        .bind(trial.as_str())
        .bind(signed(seal)?);
        self.pool.optional(head).await?.map(columns::sealed_head).transpose()
    }

    async fn sealed_heads(&self, seal: u64) -> Result<Vec<SealedHead>> {
        // One look-up a trial, however many seals there are.
        let heads = query_as(
            "SELECT x.* FROM trial AS t CROSS JOIN LATERAL (
                 SELECT trial, seal, size, root FROM sealed_head
                 WHERE ledger = $1 AND trial = t.trial AND seal <= $2 ORDER BY seal DESC LIMIT 1) AS x
             WHERE t.ledger = $1 ORDER BY t.trial",
        )
        .bind(self.ledger)
        .bind(signed(seal)?);
        self.pool.all(heads).await?.into_iter().map(columns::sealed_head).collect()
    }

    async fn parts(&self, level: u8, parts: &[(TrialId, Range<u64>)]) -> Result<Vec<Vec<Hash>>> {
        let statement = if level == 0 { PARTS_OF_LEAVES } else { PARTS_OF_NODES };
        let mut rows = query_as(statement)
            .bind(self.ledger)
            .bind(each(parts, |(trial, _)| trial.as_str()))
            .bind(all(parts, |(_, range)| signed(range.start))?)
            .bind(all(parts, |(_, range)| signed(range.end))?);
        if level > 0 {
            rows = rows.bind(i16::from(level));
        }
        let rows: Vec<(Vec<u8>,)> = self.pool.all(rows).await?;
        rows.into_iter().map(|(hashes,)| columns::hashes(&hashes)).collect()
    }

    async fn nodes(&self, tree: &TreeName, level: u8, from: u64, limit: u32) -> Result<Vec<Hash>> {
        let nodes = query_as(
            "SELECT place, hash FROM tree_node
             WHERE ledger = $1 AND tree = $2 AND level = $3 AND place >= $4 ORDER BY place LIMIT $5",
        )
        .bind(self.ledger)
        .bind(tree.as_str())
        .bind(i16::from(level))
        .bind(signed(from)?)
        .bind(i64::from(limit));
        columns::nodes(tree, level, from, self.pool.all(nodes).await?)
    }

    async fn put_checkpoint(&self, size: u64, note: &[u8]) -> Result<Vec<u8>> {
        // One statement decides; what it stored, or found, never changes afterwards.
        let put = query(
            "INSERT INTO checkpoint (ledger, size, note) VALUES ($1, $2, $3) ON CONFLICT (ledger, size) DO NOTHING",
        )
        .bind(self.ledger)
        .bind(signed(size)?)
        .bind(note);
        self.pool.execute(put).await?;
        let stored = query_as("SELECT note FROM checkpoint WHERE ledger = $1 AND size = $2");
        let (stored,) = self.pool.one(stored.bind(self.ledger).bind(signed(size)?)).await?;
        Ok(stored)
    }

    async fn checkpoint(&self, size: u64) -> Result<Option<Vec<u8>>> {
        let stored = query_as("SELECT note FROM checkpoint WHERE ledger = $1 AND size = $2");
        let stored = self.pool.optional(stored.bind(self.ledger).bind(signed(size)?)).await?;
        Ok(stored.map(|(note,)| note))
    }

    async fn newest_checkpoint(&self) -> Result<Option<(u64, Vec<u8>)>> {
        let newest =
            query_as("SELECT size, note FROM checkpoint WHERE ledger = $1 ORDER BY size DESC LIMIT 1");
        self.pool.optional(newest.bind(self.ledger)).await?.map(columns::sized_note).transpose()
    }

    async fn put_note(&self, size: u64, note: &[u8]) -> Result<Vec<u8>> {
        let put = query(
            "INSERT INTO note (ledger, size, note) VALUES ($1, $2, $3) ON CONFLICT (ledger, size) DO NOTHING",
        )
        .bind(self.ledger)
        .bind(signed(size)?)
        .bind(note);
        self.pool.execute(put).await?;
        let stored = query_as("SELECT note FROM note WHERE ledger = $1 AND size = $2");
        let (stored,) = self.pool.one(stored.bind(self.ledger).bind(signed(size)?)).await?;
        Ok(stored)
    }

    async fn note(&self, size: u64) -> Result<Option<Vec<u8>>> {
        let stored = query_as("SELECT note FROM note WHERE ledger = $1 AND size = $2");
        let stored = self.pool.optional(stored.bind(self.ledger).bind(signed(size)?)).await?;
        Ok(stored.map(|(note,)| note))
    }

    async fn newest_note(&self) -> Result<Option<(u64, Vec<u8>)>> {
        let newest = query_as("SELECT size, note FROM note WHERE ledger = $1 ORDER BY size DESC LIMIT 1");
        self.pool.optional(newest.bind(self.ledger)).await?.map(columns::sized_note).transpose()
    }

    async fn note_from(&self, size: u64) -> Result<Option<(u64, Vec<u8>)>> {
        let first =
            query_as("SELECT size, note FROM note WHERE ledger = $1 AND size >= $2 ORDER BY size LIMIT 1");
        let first = first.bind(self.ledger).bind(signed(size)?);
        self.pool.optional(first).await?.map(columns::sized_note).transpose()
    }

    async fn notes_until(&self, size: u64, limit: u32) -> Result<Vec<(u64, Vec<u8>)>> {
        let notes = query_as(
            "SELECT size, note FROM note WHERE ledger = $1 AND size <= $2 ORDER BY size DESC LIMIT $3",
        );
        let notes = notes.bind(self.ledger).bind(signed(size)?).bind(i64::from(limit));
        self.pool.all(notes).await?.into_iter().map(columns::sized_note).collect()
    }

    async fn put_timestamp(&self, timestamp: &TimestampRow) -> Result<TimestampRow> {
        let size = signed(timestamp.size)?;
        let put = query(
            "INSERT INTO note_timestamp (ledger, size, time, reply) VALUES ($1, $2, $3, $4)
             ON CONFLICT (ledger, size) DO NOTHING",
        )
        .bind(self.ledger)
        .bind(size)
        .bind(timestamp.time.micros())
        .bind(timestamp.reply.as_slice());
        self.pool.execute(put).await?;
        let stored = query_as("SELECT size, time, reply FROM note_timestamp WHERE ledger = $1 AND size = $2");
        columns::timestamp(self.pool.one(stored.bind(self.ledger).bind(size)).await?)
    }

    async fn timestamp_from(&self, size: u64) -> Result<Option<TimestampRow>> {
        let first = query_as(
            "SELECT size, time, reply FROM note_timestamp WHERE ledger = $1 AND size >= $2 ORDER BY size LIMIT 1",
        );
        let first = first.bind(self.ledger).bind(signed(size)?);
        self.pool.optional(first).await?.map(columns::timestamp).transpose()
    }

    async fn timestamp_sizes(&self, size: u64, limit: u32) -> Result<Vec<u64>> {
        let sizes = query_as(
            "SELECT size FROM note_timestamp WHERE ledger = $1 AND size >= $2 ORDER BY size LIMIT $3",
        );
        let sizes = sizes.bind(self.ledger).bind(signed(size)?).bind(i64::from(limit));
        self.pool.all(sizes).await?.into_iter().map(|(size,)| columns::number(size)).collect()
    }

    async fn newest_timestamp(&self) -> Result<Option<TimestampRow>> {
        let newest = query_as(
            "SELECT size, time, reply FROM note_timestamp WHERE ledger = $1 ORDER BY size DESC LIMIT 1",
        );
        self.pool.optional(newest.bind(self.ledger)).await?.map(columns::timestamp).transpose()
    }
}

#[async_trait]
impl SealTx for Locked {
    fn head(&self) -> LedgerHead {
        self.head
    }

    async fn leaves_from_position(&mut self, from: u64, limit: u32) -> Result<Vec<LeafRow>> {
        let rows = query_as(LEAVES).bind(self.ledger).bind(signed(from)?).bind(i64::from(limit));
        leaves(from, self.session.all(rows).await?)
    }

    async fn write(&mut self, write: &SealWrite) -> Result<()> {
        self.whole = false;
        let SealWrite { seal, heads, nodes } = write;
        let write = query(WRITE)
            .bind(self.ledger)
            .bind(signed(seal.number)?)
            .bind(seal.entry.as_slice())
            .bind(seal.leaf.as_bytes().as_slice())
            .bind(signed(seal.sealed)?)
            .bind(seal.time.micros())
            .bind(each(heads, |row| row.trial.as_str()))
            .bind(all(heads, |row| signed(row.seal))?)
            .bind(all(heads, |row| signed(row.size))?)
            .bind(each(heads, |row| row.root.as_bytes().as_slice()))
            .bind(each(nodes, |row| row.tree.as_str()))
            .bind(each(nodes, |row| i16::from(row.level)))
            .bind(all(nodes, |row| signed(row.index))?)
            .bind(each(nodes, |row| row.hash.as_bytes().as_slice()));
        self.session.execute(write).await?;
        self.whole = true;
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        Self::commit(*self).await
    }
}

/// Of each part one row: its hashes, joined. Order and limit keep the planner to the key that ends in the place, also where
/// it believes that the table has one row and any key will do.
const PARTS_OF_LEAVES: &str = "SELECT coalesce(x.hashes, ''::BYTEA)
    FROM UNNEST($2::TEXT[], $3::BIGINT[], $4::BIGINT[]) WITH ORDINALITY AS a (trial, first, past, part)
    CROSS JOIN LATERAL (SELECT string_agg(leaf, ''::BYTEA ORDER BY trialseq) AS hashes FROM (
        SELECT trialseq, leaf FROM event
        WHERE ledger = $1 AND trial = a.trial AND trialseq >= a.first AND trialseq < a.past
        ORDER BY trialseq LIMIT a.past - a.first) AS found) AS x
    ORDER BY a.part";

/// As [`PARTS_OF_LEAVES`], of a level that has nodes.
const PARTS_OF_NODES: &str = "SELECT coalesce(x.hashes, ''::BYTEA)
    FROM UNNEST($2::TEXT[], $3::BIGINT[], $4::BIGINT[]) WITH ORDINALITY AS a (tree, first, past, part)
    CROSS JOIN LATERAL (SELECT string_agg(hash, ''::BYTEA ORDER BY place) AS hashes FROM (
        SELECT place, hash FROM tree_node
        WHERE ledger = $1 AND tree = a.tree AND level = $5 AND place >= a.first AND place < a.past
        ORDER BY place LIMIT a.past - a.first) AS found) AS x
    ORDER BY a.part";

/// A seal in one statement, as a batch of events is.
const WRITE: &str = "WITH heads AS (
    INSERT INTO sealed_head (ledger, trial, seal, size, root)
    SELECT $1, * FROM UNNEST($7::TEXT[], $8::BIGINT[], $9::BIGINT[], $10::BYTEA[])
), nodes AS (
    INSERT INTO tree_node (ledger, tree, level, place, hash)
    SELECT $1, * FROM UNNEST($11::TEXT[], $12::SMALLINT[], $13::BIGINT[], $14::BYTEA[])
), seal AS (
    INSERT INTO seal (ledger, number, entry, leaf, sealed, time) VALUES ($1, $2, $3, $4, $5, $6)
)
UPDATE ledger SET seal = $2, seal_leaf = $4, sealed = $5, time = $6 WHERE ledger = $1";
