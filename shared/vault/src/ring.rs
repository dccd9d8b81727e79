//! Making, wrapping, unwrapping and rewrapping data keys, without any cache.

use std::sync::Arc;

use trialseal_record::ids::Scope;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::aead::joined;
use crate::data_key::DataKey;
use crate::error::{KeyStoreError, VaultError};
use crate::keys::{DataKeys, KeyManagement, StoredKey, WrappedKey};
use crate::random;

/// Keys that are rewrapped together.
const REWRAPPED_AT_ONCE: u32 = 500;

/// Where one ledger's keys lie and who wraps them.
pub(crate) struct Ring {
    pub(crate) origin: Arc<str>,
    pub(crate) keys: Arc<dyn DataKeys>,
    pub(crate) management: Arc<dyn KeyManagement>,
}

impl Ring {
    /// The key of a scope, made where it never had one.
    pub(crate) async fn key_of(&self, scope: &Scope) -> Result<DataKey, VaultError> {
        let stored = match self.keys.data_key_of(scope).await? {
            Some(stored) => stored,
            None => self.add(scope).await?,
        };
        let key = match stored {
            StoredKey::Wrapped(key) if key.scope == *scope => self.unwrap(key).await?,
            StoredKey::Wrapped(_) => return Err(VaultError::Refused),
            StoredKey::Destroyed => None,
        };
        key.ok_or_else(|| VaultError::Destroyed(scope.clone()))
    }

    /// The key of an id; `None` once it was destroyed.
    pub(crate) async fn key(&self, id: Uuid) -> Result<Option<DataKey>, VaultError> {
        match self.keys.data_key(id).await? {
            None => Err(VaultError::Missing(id)),
            Some(StoredKey::Wrapped(key)) if key.id == id => self.unwrap(key).await,
            Some(StoredKey::Wrapped(_)) => Err(VaultError::Refused),
            Some(StoredKey::Destroyed) => Ok(None),
        }
    }

    /// Puts a new key in the place of a scope's, which can be read as before; where a former one of it is there already, nothing
    /// changes.
    pub(crate) async fn succeed(&self, scope: &Scope) -> Result<StoredKey, VaultError> {
        let succeeded = self.keys.succeed_data_key(&self.make(scope).await?).await;
        match succeeded {
            // As in `add`.
            Err(KeyStoreError::OtherMasterKey) => {
                self.use_successor().await?;
                Ok(self.keys.succeed_data_key(&self.make(scope).await?).await?)
            }
            succeeded => Ok(succeeded?),
        }
    }

    /// Makes the key of a scope. A crash in here leaves nothing behind, or a key that nothing is sealed under yet and
    /// that the next one who asks gets. Whoever loses a race gets the winner's key.
    async fn add(&self, scope: &Scope) -> Result<StoredKey, VaultError> {
        let added = self.keys.add_data_key(&self.make(scope).await?).await;
        match added {
            // The master key changed since the key was wrapped; or a successor was made, and the renewal broken off before
            // it came into use.
            Err(KeyStoreError::OtherMasterKey) => {
                self.use_successor().await?;
                Ok(self.keys.add_data_key(&self.make(scope).await?).await?)
            }
            added => Ok(added?),
        }
    }

    async fn make(&self, scope: &Scope) -> Result<WrappedKey, VaultError> {
        let id = random::uuid()?;
        let key = random::bytes::<32>()?;
        let (master, wrapped) = self.management.wrap(&self.context(id, scope), &key).await?;
        Ok(WrappedKey { id, scope: scope.clone(), master, wrapped })
    }

    /// Unwraps what was read; `None` where it was destroyed since.
    async fn unwrap(&self, mut stored: WrappedKey) -> Result<Option<DataKey>, VaultError> {
        loop {
            let error = match self.bare(&stored).await {
                Ok(key) => {
                    return Ok(Some(DataKey::new(stored.id, stored.scope, Arc::clone(&self.origin), key)));
                }
                Err(error @ VaultError::OtherMasterKey { .. }) => error,
                Err(error) => return Err(error),
            };
            // Since it was read, it may have been wrapped anew and the master key of then destroyed.
            match self.keys.data_key(stored.id).await? {
                Some(StoredKey::Wrapped(anew)) if (anew.id, &anew.scope) != (stored.id, &stored.scope) => {
                    return Err(VaultError::Refused);
                }
                Some(StoredKey::Wrapped(anew)) if anew.master != stored.master => stored = anew,
                Some(StoredKey::Destroyed) => return Ok(None),
                _ => return Err(error),
            }
        }
    }

    async fn bare(&self, stored: &WrappedKey) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let WrappedKey { id, scope, master, wrapped } = stored;
        let key = self.management.unwrap(master, &self.context(*id, scope), wrapped).await?;
        key.ok_or_else(|| VaultError::OtherMasterKey {
            scope: scope.clone(),
            needed: master.clone(),
            present: self.management.id(),
        })
    }

    /// Wraps all keys under a new master key and destroys the former one, so that no copy of the key store from before
    /// is of use to anybody. Goes on where it was broken off; the former master key goes last.
    pub(crate) async fn renew_master_key(&self) -> Result<u64, VaultError> {
        self.management.succeed().await?;
        let master = self.management.id();
        self.use_successor().await?;
        // From here on no key is stored under the former one, so this ends, and none is left.
        let mut count = 0;
        loop {
            let stored = self.keys.wrapped_by_others(&master, REWRAPPED_AT_ONCE).await?;
            if stored.is_empty() {
                break;
            }
            let mut rewrapped = Vec::with_capacity(stored.len());
            for key in stored {
                rewrapped.push(self.rewrap(key).await?);
            }
            self.keys.replace_data_keys(&rewrapped).await?;
            count += rewrapped.len() as u64;
        }
        self.management.destroy_former().await?;
        Ok(count)
    }

    /// Takes the successor into use, where there is one. Of processes that carry on one renewal all may do so; one that stood
    /// still while the others went on to the next one is refused, here and with what it has wrapped.
    async fn use_successor(&self) -> Result<(), VaultError> {
        if let Some(former) = self.management.former_id() {
            self.keys.use_master_key(&self.management.id(), &former).await?;
        }
        Ok(())
    }

    async fn rewrap(&self, stored: WrappedKey) -> Result<WrappedKey, VaultError> {
        let key = self.bare(&stored).await?;
        let WrappedKey { id, scope, .. } = stored;
        let (master, wrapped) = self.management.wrap(&self.context(id, &scope), &key).await?;
        Ok(WrappedKey { id, scope, master, wrapped })
    }

    /// What a wrapped key is bound to, so that a row moved to another scope, id or ledger does not unwrap.
    fn context(&self, id: Uuid, scope: &Scope) -> Vec<u8> {
        let scope = scope.to_string();
        joined(&[b"trialseal/vault/wrap/v1", self.origin.as_bytes(), scope.as_bytes(), id.as_bytes()])
    }
}
