//! Events, commands and natural keys.

use async_trait::async_trait;
use trialseal_record::ids::{StreamId, StreamKind, TrialId};
use trialseal_seal::hash::Hash;

use super::{Locked, MemoryStore, Record, add, read, write};
use crate::columns::signed;
use crate::error::Result;
use crate::page::Page;
use crate::ports::{AppendTx, Appends, Events, Reseals, Streams};
use crate::rows::{
    CommandId, CommandRow, EventRow, LeafRow, LedgerHead, ResealedBody, StreamVersion, WriteBatch,
};

#[async_trait]
impl Events for MemoryStore {
    fn origin(&self) -> &str {
        &self.origin
    }

    async fn head(&self) -> Result<LedgerHead> {
        Ok(read(&self.record).head())
    }

    async fn trial_size(&self, trial: &TrialId) -> Result<Option<u64>> {
        Ok(read(&self.record).trials.get(trial).copied())
    }

    async fn trials(&self, after: Option<&TrialId>, limit: u32) -> Result<Vec<(TrialId, u64)>> {
        let record = read(&self.record);
        let later = record.trials.iter().filter(|(trial, _)| after.is_none_or(|after| *trial > after));
        Ok(later.take(limit as usize).map(|(trial, size)| (trial.clone(), *size)).collect())
    }

    async fn since_position(&self, from: u64, limit: u32) -> Result<Vec<EventRow>> {
        let record = read(&self.record);
        Ok(Page::of(record.events.range(from..).map(|(_, event)| event.clone()), limit))
    }

    async fn of_trial(&self, trial: &TrialId, from: u64, limit: u32) -> Result<Vec<EventRow>> {
        let record = read(&self.record);
        let places = record.by_trial.range((trial.clone(), from)..=(trial.clone(), u64::MAX));
        Ok(record.at(places.map(|(_, position)| position), limit))
    }

    async fn of_stream(
        &self,
        trial: &TrialId,
        stream: &StreamId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<EventRow>> {
        let record = read(&self.record);
        let key = |streamseq| (trial.clone(), *stream, streamseq);
        let places = record.by_stream.range(key(from)..=key(u64::MAX));
        Ok(record.at(places.map(|(_, position)| position), limit))
    }

    async fn leaves_from_position(&self, from: u64, limit: u32) -> Result<Vec<LeafRow>> {
        Ok(read(&self.record).leaves(from, limit))
    }

    async fn leaves_of_trial(&self, trial: &TrialId, from: u64, limit: u32) -> Result<Vec<Hash>> {
        let record = read(&self.record);
        let places = record.by_trial.range((trial.clone(), from)..=(trial.clone(), u64::MAX));
        let events = places.filter_map(|(_, position)| record.events.get(position)).take(limit as usize);
        Ok(events.map(|event| event.leaf).collect())
    }

    async fn stream_of(&self, trial: &TrialId, key: &[u8; 32]) -> Result<Option<StreamId>> {
        Ok(read(&self.record).natural_keys.get(&(trial.clone(), *key)).copied())
    }
}

#[async_trait]
impl Streams for MemoryStore {
    async fn streams(
        &self,
        trial: &TrialId,
        kind: StreamKind,
        after: Option<StreamId>,
        limit: u32,
    ) -> Result<Vec<StreamVersion>> {
        let record = read(&self.record);
        let of_kind = record.streams.iter().filter(|((of, stream), _)| of == trial && stream.kind() == kind);
        let later = of_kind.filter(|((_, stream), _)| after.is_none_or(|after| *stream > after));
        let row = |((trial, stream), version): (&(TrialId, StreamId), &u64)| StreamVersion {
            trial: trial.clone(),
            stream: *stream,
            version: *version,
        };
        Ok(later.take(limit as usize).map(row).collect())
    }

    async fn stream_version(&self, trial: &TrialId, stream: &StreamId) -> Result<u64> {
        Ok(read(&self.record).streams.get(&(trial.clone(), *stream)).copied().unwrap_or_default())
    }
}

#[async_trait]
impl Reseals for MemoryStore {
    async fn reseal(&self, bodies: &[ResealedBody]) -> Result<()> {
        self.check_holder()?;
        let mut record = write(&self.record);
        for ResealedBody { position, key, body } in bodies {
            if let Some(event) = record.events.get_mut(position) {
                (event.key, event.body) = (*key, body.clone());
            }
        }
        Ok(())
    }
}

impl Record {
    fn at<'a>(&self, positions: impl Iterator<Item = &'a u64>, limit: u32) -> Vec<EventRow> {
        Page::of(positions.filter_map(|position| self.events.get(position)).cloned(), limit)
    }

    pub(super) fn leaves(&self, from: u64, limit: u32) -> Vec<LeafRow> {
        let leaf = |event: &EventRow| LeafRow {
            position: event.position,
            trial: event.trial.clone(),
            trialseq: event.trialseq,
            leaf: event.leaf,
        };
        self.events.range(from..).take(limit as usize).map(|(_, event)| leaf(event)).collect()
    }

    /// Adds a batch to a transaction's rows.
    fn add_batch(&mut self, stored: &Self, batch: &WriteBatch) -> Result<()> {
        signed(batch.position)?;
        for event in &batch.events {
            let at = event.position;
            let of_trial = (event.trial.clone(), event.trialseq);
            let of_stream = (event.trial.clone(), event.stream, event.streamseq);
            add("event", &stored.events, &mut self.events, (at, event.clone()))?;
            add("event", &stored.by_trial, &mut self.by_trial, (of_trial, at))?;
            add("event", &stored.by_stream, &mut self.by_stream, (of_stream, at))?;
        }
        for command in &batch.commands {
            add("command", &stored.commands, &mut self.commands, (command.id, command.clone()))?;
        }
        for row in &batch.natural_keys {
            let key = (row.trial.clone(), row.key);
            add("natural_key", &stored.natural_keys, &mut self.natural_keys, (key, row.stream))?;
        }
        self.trials.extend(batch.trials.iter().cloned());
        self.streams.extend(batch.streams.iter().map(|row| ((row.trial.clone(), row.stream), row.version)));
        let head = self.head.unwrap_or_else(|| stored.head());
        self.head = Some(LedgerHead { position: batch.position, time: batch.time, ..head });
        Ok(())
    }
}

#[async_trait]
impl Appends for MemoryStore {
    async fn begin_append(&self) -> Result<Box<dyn AppendTx>> {
        Ok(Box::new(self.lock().await?))
    }

    async fn command(&self, id: &CommandId) -> Result<Option<CommandRow>> {
        Ok(read(&self.record).commands.get(id).cloned())
    }
}

#[async_trait]
impl AppendTx for Locked {
    fn head(&self) -> LedgerHead {
        self.head
    }

    async fn commands(&mut self, ids: &[CommandId]) -> Result<Vec<CommandRow>> {
        let stored = read(&self.record);
        let find = |id| self.added.commands.get(id).or_else(|| stored.commands.get(id));
        Ok(ids.iter().filter_map(find).cloned().collect())
    }

    async fn trial_sizes(&mut self, trials: &[TrialId]) -> Result<Vec<(TrialId, u64)>> {
        let stored = read(&self.record);
        let find = |trial| self.added.trials.get(trial).or_else(|| stored.trials.get(trial));
        Ok(trials.iter().filter_map(|trial| find(trial).map(|size| (trial.clone(), *size))).collect())
    }

    async fn stream_versions(&mut self, streams: &[(TrialId, StreamId)]) -> Result<Vec<StreamVersion>> {
        let stored = read(&self.record);
        let row = |key: &(TrialId, StreamId)| {
            let version = *self.added.streams.get(key).or_else(|| stored.streams.get(key))?;
            Some(StreamVersion { trial: key.0.clone(), stream: key.1, version })
        };
        Ok(streams.iter().filter_map(row).collect())
    }

    async fn taken(&mut self, keys: &[(TrialId, [u8; 32])]) -> Result<Vec<(TrialId, [u8; 32])>> {
        let stored = read(&self.record);
        let taken =
            |key: &&_| self.added.natural_keys.contains_key(*key) || stored.natural_keys.contains_key(*key);
        Ok(keys.iter().filter(taken).cloned().collect())
    }

    async fn write(&mut self, batch: &WriteBatch) -> Result<()> {
        self.whole = false;
        self.added.add_batch(&read(&self.record), batch)?;
        self.whole = true;
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        Self::commit(*self)
    }
}
