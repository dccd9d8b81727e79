//! Ports that behave as a test needs them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use trialseal_record::ids::{StreamId, TrialId};
use trialseal_seal::hash::Hash;
use trialseal_store::memory::MemoryStore;
use trialseal_store::{Doc, EventRow, Events, LeafRow, LedgerHead, ModelRow, ModelTx, Models, Result};

/// Events whose pages have one row each, as those of very large events do.
pub(crate) struct Short(pub(crate) Arc<MemoryStore>);

#[async_trait]
impl Events for Short {
    fn origin(&self) -> &str {
        self.0.origin()
    }
    async fn head(&self) -> Result<LedgerHead> {
        self.0.head().await
    }
    async fn trial_size(&self, trial: &TrialId) -> Result<Option<u64>> {
        self.0.trial_size(trial).await
    }
    async fn trials(&self, after: Option<&TrialId>, limit: u32) -> Result<Vec<(TrialId, u64)>> {
        self.0.trials(after, limit).await
    }
    async fn since_position(&self, from: u64, limit: u32) -> Result<Vec<EventRow>> {
        self.0.since_position(from, limit.min(1)).await
    }
    async fn of_trial(&self, trial: &TrialId, from: u64, limit: u32) -> Result<Vec<EventRow>> {
        self.0.of_trial(trial, from, limit.min(1)).await
    }
    async fn of_stream(
        &self,
        trial: &TrialId,
        stream: &StreamId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<EventRow>> {
        self.0.of_stream(trial, stream, from, limit.min(1)).await
    }
    async fn leaves_from_position(&self, from: u64, limit: u32) -> Result<Vec<LeafRow>> {
        self.0.leaves_from_position(from, limit).await
    }
    async fn leaves_of_trial(&self, trial: &TrialId, from: u64, limit: u32) -> Result<Vec<Hash>> {
        self.0.leaves_of_trial(trial, from, limit).await
    }
    async fn stream_of(&self, trial: &TrialId, key: &[u8; 32]) -> Result<Option<StreamId>> {
        self.0.stream_of(trial, key).await
    }
}

/// Read models that count how often documents are asked for by id, and can be replaced while they are listed.
pub(crate) struct Counted {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) asked: AtomicUsize,
    /// How many of the next lists meet a rebuild that has just ended: the generation they read is not in use any more, and
    /// half of what they look for is removed from it.
    pub(crate) replaced: AtomicUsize,
}

impl Counted {
    pub(crate) fn new(store: &Arc<MemoryStore>) -> Self {
        let (asked, replaced) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { store: Arc::clone(store), asked, replaced }
    }

    async fn replace(&self, model: &str, position: u64, docs: &[Doc]) -> Result<()> {
        let generation = self.store.new_generation(model).await?;
        let mut tx = self.store.begin_model(model, generation, 0).await?;
        tx.put(docs).await?;
        tx.commit(position).await?;
        assert!(self.store.activate(model, generation).await?);
        Ok(())
    }
}

#[async_trait]
impl Models for Counted {
    async fn generations(&self, model: &str) -> Result<Vec<ModelRow>> {
        self.store.generations(model).await
    }
    async fn new_generation(&self, model: &str) -> Result<u32> {
        self.store.new_generation(model).await
    }
    async fn activate(&self, model: &str, generation: u32) -> Result<bool> {
        self.store.activate(model, generation).await
    }
    async fn drop_unused(&self, model: &str) -> Result<()> {
        self.store.drop_unused(model).await
    }
    async fn docs(
        &self,
        model: &str,
        generation: u32,
        ids: &[(TrialId, String)],
    ) -> Result<Vec<Option<Doc>>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.store.docs(model, generation, ids).await
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
        let mut docs = self.store.list(model, generation, trial, prefix, after, limit).await?;
        let one_less = |left: usize| left.checked_sub(1);
        if self.replaced.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
            let position = self.store.generations(model).await?[0].position;
            self.replace(model, position, &docs).await?;
            docs.truncate(docs.len() / 2);
        }
        Ok(docs)
    }
    async fn begin_model(&self, model: &str, generation: u32, position: u64) -> Result<Box<dyn ModelTx>> {
        self.store.begin_model(model, generation, position).await
    }
}
