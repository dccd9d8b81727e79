//! Making, wrapping and unwrapping data keys, without any cache.

use std::sync::Arc;

use trialseal_record::ids::Scope;
use uuid::Uuid;

use crate::aead::joined;
use crate::data_key::DataKey;
use crate::error::VaultError;
use crate::keys::{DataKeys, KeyManagement, WrappedKey};
use crate::random;

/// Where one ledger's keys lie and who wraps them.
pub(crate) struct Ring {
    pub(crate) origin: Arc<str>,
    pub(crate) keys: Arc<dyn DataKeys>,
    pub(crate) management: Arc<dyn KeyManagement>,
}

impl Ring {
    /// The key of a scope, made where there is none.
    pub(crate) async fn key_of(&self, scope: &Scope) -> Result<DataKey, VaultError> {
        let stored = match self.keys.data_key_of(scope).await? {
            Some(stored) => stored,
            // A crash here leaves nothing behind, or a key that nothing is sealed under yet and that the next one who
            // asks gets. Whoever loses a race gets the winner's key.
            None => self.keys.add_data_key(&self.make(scope).await?).await?,
        };
        if stored.scope == *scope { self.unwrap(stored).await } else { Err(VaultError::Refused) }
    }

    /// The key of an id, if it is there.
    pub(crate) async fn key(&self, id: Uuid) -> Result<Option<DataKey>, VaultError> {
        match self.keys.data_key(id).await? {
            None => Ok(None),
            Some(stored) if stored.id == id => self.unwrap(stored).await.map(Some),
            Some(_) => Err(VaultError::Refused),
        }
    }

    async fn make(&self, scope: &Scope) -> Result<WrappedKey, VaultError> {
        let id = random::uuid()?;
        let key = random::bytes::<32>()?;
        let wrapped = self.management.wrap(&self.context(id, scope), &key).await?;
        Ok(WrappedKey { id, scope: scope.clone(), master: self.management.id().to_owned(), wrapped })
    }

    async fn unwrap(&self, stored: WrappedKey) -> Result<DataKey, VaultError> {
        let WrappedKey { id, scope, master, wrapped } = stored;
        if master != self.management.id() {
            let present = self.management.id().to_owned();
            return Err(VaultError::OtherMasterKey { scope, needed: master, present });
        }
        let key = self.management.unwrap(&self.context(id, &scope), &wrapped).await?;
        Ok(DataKey::new(id, scope, Arc::clone(&self.origin), key))
    }

    /// What a wrapped key is bound to, so that a row moved to another scope, id or ledger does not unwrap.
    fn context(&self, id: Uuid, scope: &Scope) -> Vec<u8> {
        let scope = scope.to_string();
        joined(&[b"trialseal/vault/wrap/v1", self.origin.as_bytes(), scope.as_bytes(), id.as_bytes()])
    }
}
