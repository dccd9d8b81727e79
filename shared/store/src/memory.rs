//! The ports in memory: for tests, and as the plainest statement of what an engine does. Nothing outlives the process.
//!
//! A transaction gathers its rows aside and hands them over at its commit; so a reader sees all of it or none.

mod accounts;
mod election;
mod models;
mod record;
mod registry;
mod seals;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::{Mutex, OwnedMutexGuard};
use trialseal_record::ids::{StreamId, TrialId};
use trialseal_seal::hash::Hash;
use trialseal_seal::time::Timestamp;
use uuid::Uuid;

use crate::error::{Result, StoreError};
use crate::rows::{CommandId, CommandRow, EventRow, LedgerHead, SealRow, SealedHead, TimestampRow, TreeName};

/// One ledger in memory.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    origin: String,
    /// The process whose hands this is in.
    who: Option<Uuid>,
    /// Stands for the lock of the ledger's head row.
    head_lock: Arc<Mutex<()>>,
    term: Arc<RwLock<Option<election::Term>>>,
    record: Arc<RwLock<Record>>,
    /// Stands for the locks of the read models' rows.
    model_lock: Arc<Mutex<()>>,
    models: Arc<RwLock<models::State>>,
    registry: Arc<RwLock<registry::State>>,
}

impl MemoryStore {
    /// An empty ledger.
    pub fn new(origin: impl Into<String>) -> Self {
        Self {
            origin: origin.into(),
            who: None,
            head_lock: Arc::default(),
            term: Arc::default(),
            record: Arc::default(),
            model_lock: Arc::default(),
            models: Arc::default(),
            registry: Arc::default(),
        }
    }
}

/// The rows of the record and its seals: all that there are, or those that a transaction adds.
#[derive(Debug, Default)]
struct Record {
    /// `None` until something moves it.
    head: Option<LedgerHead>,
    trials: BTreeMap<TrialId, u64>,
    streams: BTreeMap<(TrialId, StreamId), u64>,
    events: BTreeMap<u64, EventRow>,
    by_trial: BTreeMap<(TrialId, u64), u64>,
    by_stream: BTreeMap<(TrialId, StreamId, u64), u64>,
    commands: BTreeMap<CommandId, CommandRow>,
    natural_keys: BTreeMap<(TrialId, [u8; 32]), StreamId>,
    seals: BTreeMap<u64, SealRow>,
    sealed_heads: BTreeMap<(TrialId, u64), SealedHead>,
    /// In which seal a trial had a size.
    sealed_sizes: BTreeMap<(TrialId, u64), u64>,
    nodes: BTreeMap<(TreeName, u8, u64), Hash>,
    checkpoints: BTreeMap<u64, Vec<u8>>,
    notes: BTreeMap<u64, Vec<u8>>,
    timestamps: BTreeMap<u64, TimestampRow>,
}

impl Record {
    fn head(&self) -> LedgerHead {
        self.head.unwrap_or(LedgerHead {
            position: 0,
            time: Timestamp::from_micros(0),
            seal: None,
            sealed: 0,
        })
    }

    /// Takes over what a transaction added.
    fn merge(&mut self, added: Self) {
        self.head = added.head.or(self.head);
        self.trials.extend(added.trials);
        self.streams.extend(added.streams);
        self.events.extend(added.events);
        self.by_trial.extend(added.by_trial);
        self.by_stream.extend(added.by_stream);
        self.commands.extend(added.commands);
        self.natural_keys.extend(added.natural_keys);
        self.seals.extend(added.seals);
        self.sealed_heads.extend(added.sealed_heads);
        self.sealed_sizes.extend(added.sealed_sizes);
        self.nodes.extend(added.nodes);
    }
}

/// A transaction that holds the head row's lock; appends and seals alike.
struct Locked {
    head: LedgerHead,
    record: Arc<RwLock<Record>>,
    added: Record,
    /// Whether all writes so far were carried out.
    whole: bool,
    _lock: OwnedMutexGuard<()>,
}

impl MemoryStore {
    async fn lock(&self) -> Result<Locked> {
        let lock = Arc::clone(&self.head_lock).lock_owned().await;
        self.check_holder()?;
        let (head, record) = (read(&self.record).head(), Arc::clone(&self.record));
        Ok(Locked { head, record, added: Record::default(), whole: true, _lock: lock })
    }
}

impl Locked {
    fn commit(self) -> Result<()> {
        if !self.whole {
            return Err(StoreError::Refused("a write of this transaction failed".into()));
        }
        write(&self.record).merge(self.added);
        Ok(())
    }
}

/// Adds a row that may be neither stored nor added yet.
fn add<K: Ord, V>(
    table: &str,
    stored: &BTreeMap<K, V>,
    added: &mut BTreeMap<K, V>,
    (key, row): (K, V),
) -> Result<()> {
    if stored.contains_key(&key) || added.insert(key, row).is_some() {
        return Err(StoreError::Refused(format!("table {table} has a row of this key already")));
    }
    Ok(())
}

/// Nothing here leaves a row half written, so that a panic elsewhere takes nothing away.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn with_store<F: Future<Output = ()>>(check: impl FnOnce(Arc<dyn crate::Store>) -> F) {
        check(Arc::new(MemoryStore::new("ledger.example.org/memory"))).await;
    }

    crate::contract_tests!(with_store);
}
