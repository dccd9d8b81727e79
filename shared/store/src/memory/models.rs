//! Read models.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use async_trait::async_trait;
use tokio::sync::OwnedMutexGuard;
use trialseal_record::ids::TrialId;

use super::{MemoryStore, read, write};
use crate::columns::may_take_over;
use crate::error::{Result, StoreError};
use crate::page::Page;
use crate::ports::{ModelTx, Models};
use crate::rows::{Doc, ModelRow};

type ModelKey = (String, u32);
type DocKey = (String, u32, TrialId, String);

#[derive(Debug, Default)]
pub(super) struct State {
    models: BTreeMap<ModelKey, ModelRow>,
    docs: BTreeMap<DocKey, Doc>,
}

impl State {
    /// Drops all generations of a model but one.
    fn keep(&mut self, model: &str, generation: u32) {
        self.models.retain(|(name, of), _| name != model || *of == generation);
        self.docs.retain(|(name, of, ..), _| name != model || *of == generation);
    }
}

#[async_trait]
impl Models for MemoryStore {
    async fn generations(&self, model: &str) -> Result<Vec<ModelRow>> {
        let models = read(&self.models);
        Ok(models.models.values().filter(|row| row.model == model).cloned().collect())
    }

    async fn new_generation(&self, model: &str) -> Result<u32> {
        let mut models = write(&self.models);
        let newest =
            models.models.keys().filter(|(name, _)| name == model).map(|(_, generation)| *generation).max();
        let generation = newest.unwrap_or(0) + 1;
        let row = ModelRow { model: model.to_owned(), generation, position: 0, active: newest.is_none() };
        models.models.insert((model.to_owned(), generation), row);
        Ok(generation)
    }

    async fn activate(&self, model: &str, generation: u32) -> Result<bool> {
        let _lock = self.model_lock.lock().await;
        let mut models = write(&self.models);
        let rows: Vec<_> = models.models.values().filter(|row| row.model == model).cloned().collect();
        if !may_take_over(&rows, generation).ok_or_else(|| gone(model, generation))? {
            return Ok(false);
        }
        models.models.entry((model.to_owned(), generation)).and_modify(|row| row.active = true);
        models.keep(model, generation);
        Ok(true)
    }

    async fn drop_unused(&self, model: &str) -> Result<()> {
        let _lock = self.model_lock.lock().await;
        let mut models = write(&self.models);
        let active = models.models.values().find(|row| row.model == model && row.active);
        if let Some(generation) = active.map(|row| row.generation) {
            models.keep(model, generation);
        }
        Ok(())
    }

    async fn docs(
        &self,
        model: &str,
        generation: u32,
        ids: &[(TrialId, String)],
    ) -> Result<Vec<Option<Doc>>> {
        let models = read(&self.models);
        let key = |(trial, id): &(TrialId, String)| (model.to_owned(), generation, trial.clone(), id.clone());
        Ok(ids.iter().map(|id| models.docs.get(&key(id)).cloned()).collect())
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
        let models = read(&self.models);
        let from =
            (model.to_owned(), generation, trial.clone(), prefix.max(after.unwrap_or_default()).to_owned());
        let of_trial = |key: &DocKey| (&key.0, key.1, &key.2) == (&from.0, from.1, &from.2);
        let docs = models.docs.range(from.clone()..);
        let docs = docs.take_while(|(key, _)| of_trial(key) && key.3.starts_with(prefix));
        let docs = docs.filter(|(key, _)| after.is_none_or(|after| key.3.as_str() > after));
        Ok(Page::of(docs.map(|(_, doc)| doc.clone()), limit))
    }

    async fn begin_model(&self, model: &str, generation: u32, position: u64) -> Result<Box<dyn ModelTx>> {
        let lock = Arc::clone(&self.model_lock).lock_owned().await;
        let key = (model.to_owned(), generation);
        let stands = read(&self.models).models.get(&key).map(|row| row.position);
        if stands != Some(position) {
            return Err(gone(model, generation));
        }
        Ok(Box::new(Folding { key, models: Arc::clone(&self.models), docs: Vec::new(), _lock: lock }))
    }
}

fn gone(model: &str, generation: u32) -> StoreError {
    StoreError::Overtaken(format!(
        "generation {generation} of read model {model} stands elsewhere, or is gone"
    ))
}

struct Folding {
    key: ModelKey,
    models: Arc<RwLock<State>>,
    docs: Vec<Doc>,
    _lock: OwnedMutexGuard<()>,
}

#[async_trait]
impl ModelTx for Folding {
    async fn put(&mut self, docs: &[Doc]) -> Result<()> {
        self.docs.extend_from_slice(docs);
        Ok(())
    }

    async fn commit(self: Box<Self>, position: u64) -> Result<()> {
        let (model, generation) = &self.key;
        let mut models = write(&self.models);
        let row = models.models.get_mut(&self.key).ok_or_else(|| gone(model, *generation))?;
        row.position = position;
        let key = |doc: &Doc| (model.clone(), *generation, doc.trial.clone(), doc.id.clone());
        models.docs.extend(self.docs.into_iter().map(|doc| (key(&doc), doc)));
        Ok(())
    }
}
