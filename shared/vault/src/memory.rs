//! A key store in memory, for tests.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use trialseal_record::ids::Scope;
use uuid::Uuid;

use crate::error::KeyStoreError;
use crate::keys::{DataKeys, StoredKey, WrappedKey};

/// The keys of one ledger, gone when it is dropped.
#[derive(Debug, Default)]
pub struct MemoryKeys(Mutex<Rows>);

#[derive(Debug, Default)]
struct Rows {
    master: Option<String>,
    keys: HashMap<Scope, Row>,
    /// Keys in whose place another one was put.
    former: Vec<FormerRow>,
}

/// A former key of a scope and, where it is not destroyed, its wrapped form.
#[derive(Debug)]
struct FormerRow {
    id: Uuid,
    scope: Scope,
    key: Option<WrappedKey>,
}

/// A key and, where it is not destroyed, its wrapped form.
#[derive(Debug)]
struct Row {
    id: Option<Uuid>,
    key: Option<WrappedKey>,
}

impl Row {
    fn stored(&self) -> StoredKey {
        self.key.clone().map_or(StoredKey::Destroyed, StoredKey::Wrapped)
    }
}

impl Rows {
    fn former_of(&self, scope: &Scope) -> Option<Uuid> {
        self.former.iter().find(|row| row.scope == *scope && row.key.is_some()).map(|row| row.id)
    }

    fn forget_former(&mut self, scope: &Scope) {
        self.former.iter_mut().filter(|row| row.scope == *scope).for_each(|row| row.key = None);
    }
}

impl MemoryKeys {
    /// No key yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DataKeys for MemoryKeys {
    async fn data_key_of(&self, scope: &Scope) -> Result<Option<StoredKey>, KeyStoreError> {
        Ok(self.rows().keys.get(scope).map(Row::stored))
    }

    async fn data_key(&self, id: Uuid) -> Result<Option<StoredKey>, KeyStoreError> {
        let rows = self.rows();
        let former = rows.former.iter().find(|row| row.id == id);
        let former = former.map(|row| row.key.clone().map_or(StoredKey::Destroyed, StoredKey::Wrapped));
        Ok(former.or_else(|| rows.keys.values().find(|row| row.id == Some(id)).map(Row::stored)))
    }

    async fn add_data_key(&self, key: &WrappedKey) -> Result<StoredKey, KeyStoreError> {
        let mut rows = self.rows();
        if let Some(row) = rows.keys.get(&key.scope) {
            return Ok(row.stored());
        }
        if *rows.master.get_or_insert_with(|| key.master.clone()) != key.master {
            return Err(KeyStoreError::OtherMasterKey);
        }
        rows.keys.insert(key.scope.clone(), Row { id: Some(key.id), key: Some(key.clone()) });
        Ok(StoredKey::Wrapped(key.clone()))
    }

    async fn destroy_data_key(&self, scope: &Scope) -> Result<bool, KeyStoreError> {
        let mut rows = self.rows();
        rows.forget_former(scope);
        let row = rows.keys.get_mut(scope);
        let known = row.as_ref().is_some_and(|row| row.key.is_none());
        match row {
            Some(row) => row.key = None,
            None => {
                rows.keys.insert(scope.clone(), Row { id: None, key: None });
            }
        }
        Ok(!known)
    }

    async fn succeed_data_key(&self, key: &WrappedKey) -> Result<StoredKey, KeyStoreError> {
        let mut rows = self.rows();
        if rows.master.as_ref() != Some(&key.master) {
            return Err(KeyStoreError::OtherMasterKey);
        }
        let has_former = rows.former_of(&key.scope).is_some();
        let anew = Row { id: Some(key.id), key: Some(key.clone()) };
        let Some(row) = rows.keys.get_mut(&key.scope) else {
            rows.keys.insert(key.scope.clone(), anew);
            return Ok(StoredKey::Wrapped(key.clone()));
        };
        let stored = row.stored();
        let StoredKey::Wrapped(former) = &stored else { return Ok(stored) };
        if has_former {
            return Ok(stored);
        }
        *row = anew;
        let former = FormerRow { id: former.id, scope: former.scope.clone(), key: Some(former.clone()) };
        rows.former.push(former);
        Ok(StoredKey::Wrapped(key.clone()))
    }

    async fn former_data_key_of(&self, scope: &Scope) -> Result<Option<Uuid>, KeyStoreError> {
        Ok(self.rows().former_of(scope))
    }

    async fn destroy_former_data_key(&self, scope: &Scope) -> Result<(), KeyStoreError> {
        self.rows().forget_former(scope);
        Ok(())
    }

    async fn master_key(&self) -> Result<Option<String>, KeyStoreError> {
        Ok(self.rows().master.clone())
    }

    async fn use_master_key(&self, master: &str, former: &str) -> Result<(), KeyStoreError> {
        let mut rows = self.rows();
        if rows.master.as_ref().is_some_and(|in_use| in_use != master && in_use != former) {
            return Err(KeyStoreError::OtherMasterKey);
        }
        rows.master = Some(master.to_owned());
        Ok(())
    }

    async fn wrapped_by_others(&self, master: &str, limit: u32) -> Result<Vec<WrappedKey>, KeyStoreError> {
        let rows = self.rows();
        let former = rows.former.iter().filter_map(|row| row.key.as_ref());
        let all = rows.keys.values().filter_map(|row| row.key.as_ref()).chain(former);
        let others = all.filter(|key| key.master != master);
        Ok(others.take(limit as usize).cloned().collect())
    }

    async fn replace_data_keys(&self, keys: &[WrappedKey]) -> Result<(), KeyStoreError> {
        let mut rows = self.rows();
        if keys.iter().any(|key| Some(&key.master) != rows.master.as_ref()) {
            return Err(KeyStoreError::OtherMasterKey);
        }
        for key in keys {
            let rows = &mut *rows;
            let former = rows.former.iter_mut().find(|row| row.id == key.id).and_then(|row| row.key.as_mut());
            let row = rows.keys.get_mut(&key.scope).filter(|row| row.id == Some(key.id));
            if let Some(stored) = former.or_else(|| row.and_then(|row| row.key.as_mut())) {
                *stored = key.clone();
            }
        }
        Ok(())
    }
}
