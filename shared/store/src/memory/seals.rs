//! Seals, sealed heads, tree nodes, checkpoints, notes and timestamps.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};

use async_trait::async_trait;
use trialseal_record::ids::TrialId;
use trialseal_seal::hash::Hash;

use super::{Locked, MemoryStore, Record, add, read, write};
use crate::error::Result;
use crate::ports::{SealTx, Seals};
use crate::rows::{LeafRow, LedgerHead, SealRef, SealRow, SealWrite, SealedHead, TimestampRow, TreeName};

#[async_trait]
impl Seals for MemoryStore {
    async fn begin_seal(&self) -> Result<Box<dyn SealTx>> {
        Ok(Box::new(self.lock().await?))
    }

    async fn seals(&self, from: u64, limit: u32) -> Result<Vec<SealRow>> {
        let record = read(&self.record);
        Ok(record.seals.range(from..).take(limit as usize).map(|(_, seal)| seal.clone()).collect())
    }

    async fn seal_covering(&self, trial: &TrialId, trialseq: u64) -> Result<Option<u64>> {
        let record = read(&self.record);
        let larger = (Bound::Excluded((trial.clone(), trialseq)), Bound::Included((trial.clone(), u64::MAX)));
        Ok(record.sealed_sizes.range(larger).next().map(|(_, seal)| *seal))
    }

    async fn sealed_head(&self, trial: &TrialId, seal: u64) -> Result<Option<SealedHead>> {
        Ok(read(&self.record).head_of(trial, seal))
    }

    async fn sealed_heads(&self, seal: u64) -> Result<Vec<SealedHead>> {
        let record = read(&self.record);
        Ok(record.trials.keys().filter_map(|trial| record.head_of(trial, seal)).collect())
    }

    async fn parts(&self, level: u8, parts: &[(TrialId, Range<u64>)]) -> Result<Vec<Vec<Hash>>> {
        let record = read(&self.record);
        let part = |(trial, range): &(TrialId, Range<u64>)| -> Vec<Hash> {
            if level == 0 {
                let places = record.by_trial.range((trial.clone(), range.start)..(trial.clone(), range.end));
                return places.filter_map(|(_, at)| Some(record.events.get(at)?.leaf)).collect();
            }
            let key = |index| (TreeName::Trial(trial.clone()), level, index);
            let nodes = record.nodes.range(key(range.start)..key(range.end));
            nodes.map(|(_, hash)| *hash).collect()
        };
        Ok(parts.iter().map(part).collect())
    }

    async fn nodes(&self, tree: &TreeName, level: u8, from: u64, limit: u32) -> Result<Vec<Hash>> {
        let record = read(&self.record);
        let key = |index| (tree.clone(), level, index);
        let nodes = record.nodes.range(key(from)..=key(u64::MAX)).take(limit as usize);
        Ok(nodes.map(|(_, hash)| *hash).collect())
    }

    async fn put_checkpoint(&self, size: u64, note: &[u8]) -> Result<Vec<u8>> {
        Ok(first_of_size(&mut write(&self.record).checkpoints, size, note))
    }

    async fn checkpoint(&self, size: u64) -> Result<Option<Vec<u8>>> {
        Ok(read(&self.record).checkpoints.get(&size).cloned())
    }

    async fn newest_checkpoint(&self) -> Result<Option<(u64, Vec<u8>)>> {
        Ok(read(&self.record).checkpoints.last_key_value().map(|(size, note)| (*size, note.clone())))
    }

    async fn put_note(&self, size: u64, note: &[u8]) -> Result<Vec<u8>> {
        Ok(first_of_size(&mut write(&self.record).notes, size, note))
    }

    async fn note(&self, size: u64) -> Result<Option<Vec<u8>>> {
        Ok(read(&self.record).notes.get(&size).cloned())
    }

    async fn newest_note(&self) -> Result<Option<(u64, Vec<u8>)>> {
        Ok(read(&self.record).notes.last_key_value().map(|(size, note)| (*size, note.clone())))
    }

    async fn note_from(&self, size: u64) -> Result<Option<(u64, Vec<u8>)>> {
        Ok(read(&self.record).notes.range(size..).next().map(|(size, note)| (*size, note.clone())))
    }

    async fn notes_until(&self, size: u64, limit: u32) -> Result<Vec<(u64, Vec<u8>)>> {
        let record = read(&self.record);
        let notes = record.notes.range(..=size).rev().take(limit as usize);
        Ok(notes.map(|(size, note)| (*size, note.clone())).collect())
    }

    async fn put_timestamp(&self, timestamp: &TimestampRow) -> Result<TimestampRow> {
        let mut record = write(&self.record);
        let stored = record.timestamps.entry(timestamp.size).or_insert_with(|| timestamp.clone());
        Ok(stored.clone())
    }

    async fn timestamp_from(&self, size: u64) -> Result<Option<TimestampRow>> {
        Ok(read(&self.record).timestamps.range(size..).next().map(|(_, timestamp)| timestamp.clone()))
    }

    async fn timestamp_sizes(&self, size: u64, limit: u32) -> Result<Vec<u64>> {
        let record = read(&self.record);
        Ok(record.timestamps.range(size..).take(limit as usize).map(|(size, _)| *size).collect())
    }

    async fn newest_timestamp(&self) -> Result<Option<TimestampRow>> {
        Ok(read(&self.record).timestamps.last_key_value().map(|(_, timestamp)| timestamp.clone()))
    }
}

fn first_of_size(notes: &mut BTreeMap<u64, Vec<u8>>, size: u64, note: &[u8]) -> Vec<u8> {
    notes.entry(size).or_insert_with(|| note.to_vec()).clone()
}

impl Record {
    fn head_of(&self, trial: &TrialId, seal: u64) -> Option<SealedHead> {
        let until = self.sealed_heads.range((trial.clone(), 0)..=(trial.clone(), seal));
        until.last().map(|(_, head)| head.clone())
    }

    /// Adds a seal to a transaction's rows.
    fn add_seal(&mut self, stored: &Self, write: &SealWrite) -> Result<()> {
        let seal = &write.seal;
        add("seal", &stored.seals, &mut self.seals, (seal.number, seal.clone()))?;
        for head in &write.heads {
            let key = (head.trial.clone(), head.seal);
            let size = (head.trial.clone(), head.size);
            add("sealed_head", &stored.sealed_sizes, &mut self.sealed_sizes, (size, head.seal))?;
            add("sealed_head", &stored.sealed_heads, &mut self.sealed_heads, (key, head.clone()))?;
        }
        for node in &write.nodes {
            let key = (node.tree.clone(), node.level, node.index);
            add("tree_node", &stored.nodes, &mut self.nodes, (key, node.hash))?;
        }
        let head = self.head.unwrap_or_else(|| stored.head());
        let named = SealRef { number: seal.number, leaf: seal.leaf };
        self.head = Some(LedgerHead { time: seal.time, seal: Some(named), sealed: seal.sealed, ..head });
        Ok(())
    }
}

#[async_trait]
impl SealTx for Locked {
    fn head(&self) -> LedgerHead {
        self.head
    }

    async fn leaves_from_position(&mut self, from: u64, limit: u32) -> Result<Vec<LeafRow>> {
        Ok(read(&self.record).leaves(from, limit))
    }

    async fn write(&mut self, seal: &SealWrite) -> Result<()> {
        self.whole = false;
        self.added.add_seal(&read(&self.record), seal)?;
        self.whole = true;
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        Self::commit(*self)
    }
}
