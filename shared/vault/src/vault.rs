use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use trialseal_record::ids::{Scope, TrialId};
use uuid::Uuid;

use crate::data_key::DataKey;
use crate::error::VaultError;
use crate::keyed::DigestKey;
use crate::keys::{DataKeys, KeyManagement, StoredKey};
use crate::ring::Ring;

/// Unwrapped keys kept at hand, some 1.5 KB each: enough for all participants of the trials that are busy at a time.
const CACHED_KEYS: NonZeroUsize = match NonZeroUsize::new(2048) {
    Some(count) => count,
    None => NonZeroUsize::MIN,
};

/// The data keys of one ledger, and the keyed digests under which it looks private values up. Share it as an `Arc`.
pub struct Vault {
    ring: Ring,
    cache: Mutex<Cache>,
    digests: Digests,
}

/// One digest key a purpose, so that equal input never gives equal digests across purposes.
struct Digests {
    command_id: DigestKey,
    content: DigestKey,
    natural_key: DigestKey,
}

struct Cache {
    by_id: LruCache<Uuid, Arc<DataKey>>,
    by_scope: LruCache<Scope, Arc<DataKey>>,
    /// How often a key was destroyed or succeeded here: what was read before the last time is not kept.
    destroyed: u64,
}

impl Vault {
    /// Opens the vault of the ledger `origin`. The digest keys are derived from the data key of the ledger's own scope
    /// (`_ledger`), which is made where there is none.
    pub async fn open(
        origin: &str,
        keys: Arc<dyn DataKeys>,
        management: Arc<dyn KeyManagement>,
    ) -> Result<Self, VaultError> {
        Self::with_cache(origin, keys, management, CACHED_KEYS).await
    }

    pub(crate) async fn with_cache(
        origin: &str,
        keys: Arc<dyn DataKeys>,
        management: Arc<dyn KeyManagement>,
        cached: NonZeroUsize,
    ) -> Result<Self, VaultError> {
        let cache = Cache { by_id: LruCache::new(cached), by_scope: LruCache::new(cached), destroyed: 0 };
        let ring = Ring { origin: origin.into(), keys, management };
        let ledger = ring.key_of(&Scope::Trial(TrialId::ledger())).await?;
        let digests = Digests {
            command_id: ledger.digest_key("command-id"),
            content: ledger.digest_key("content"),
            natural_key: ledger.digest_key("natural-key"),
        };
        Ok(Self { ring, cache: Mutex::new(cache), digests })
    }

    /// The ledger's origin.
    pub fn origin(&self) -> &str {
        &self.ring.origin
    }

    /// The data key of a scope, made where it never had one. However many ask at once, in however many processes, a scope
    /// gets one key.
    ///
    /// # Errors
    /// [`VaultError::Destroyed`] where it had one that was destroyed.
    pub async fn key_of(&self, scope: &Scope) -> Result<Arc<DataKey>, VaultError> {
        let (cached, destroyed) = self.cached(|cache| cache.by_scope.get(scope).cloned());
        match cached {
            Some(key) => Ok(key),
            None => Ok(self.remember(self.ring.key_of(scope).await?, destroyed, true)),
        }
    }

    /// The data key of this id; `None` once it was destroyed.
    ///
    /// # Errors
    /// [`VaultError::Missing`] where there never was one.
    pub async fn key(&self, id: Uuid) -> Result<Option<Arc<DataKey>>, VaultError> {
        let (cached, destroyed) = self.cached(|cache| cache.by_id.get(&id).cloned());
        match cached {
            Some(key) => Ok(Some(key)),
            None => Ok(self.ring.key(id).await?.map(|key| self.remember(key, destroyed, false))),
        }
    }

    /// Destroys the data key of a scope: from now on nobody gets it from here, and the scope gets no other. Who still
    /// holds the key can go on using it until they drop it. Copies of the key store from before are of use until the
    /// master key is [renewed](Self::renew_master_key). `false` where the key was destroyed before.
    pub async fn destroy(&self, scope: &Scope) -> Result<bool, VaultError> {
        let first = self.ring.keys.destroy_data_key(scope).await?;
        self.forget(scope);
        Ok(first)
    }

    /// Gives a scope another data key, durably: from now on [`key_of`](Self::key_of) answers that one. The former one can be had
    /// by its id until it is [destroyed](Self::destroy_former). Where a former one is there already, nothing changes.
    ///
    /// # Errors
    /// [`VaultError::Destroyed`] where the scope's key was destroyed.
    pub async fn succeed(&self, scope: &Scope) -> Result<(), VaultError> {
        let stored = self.ring.succeed(scope).await?;
        self.forget(scope);
        match stored {
            StoredKey::Wrapped(_) => Ok(()),
            StoredKey::Destroyed => Err(VaultError::Destroyed(scope.clone())),
        }
    }

    /// The id of the former data key of a scope, where it has one that is not destroyed.
    pub async fn former_of(&self, scope: &Scope) -> Result<Option<Uuid>, VaultError> {
        Ok(self.ring.keys.former_data_key_of(scope).await?)
    }

    /// Destroys the former data key of a scope, as [`destroy`](Self::destroy) does the scope's own.
    pub async fn destroy_former(&self, scope: &Scope) -> Result<(), VaultError> {
        self.ring.keys.destroy_former_data_key(scope).await?;
        self.forget(scope);
        Ok(())
    }

    /// Wraps all data keys under a new master key and destroys the one before, so that what was destroyed before cannot
    /// be had from any older copy of the key store either. Answers how many keys were wrapped anew. Broken off, it goes
    /// on when it is called again; until then both master keys are of use.
    pub async fn renew_master_key(&self) -> Result<u64, VaultError> {
        self.ring.renew_master_key().await
    }

    /// The id of the former master key, where a renewal is under way or was broken off.
    pub fn former_master_key(&self) -> Option<String> {
        self.ring.management.former_id()
    }

    /// The id of the master key in use.
    pub fn master_key(&self) -> String {
        self.ring.management.id()
    }

    fn forget(&self, scope: &Scope) {
        let mut cache = self.cache();
        cache.destroyed += 1;
        cache.by_scope.pop(scope);
        // Either of the two may have let go of the key by itself; and of a scope's keys a former one may be there as well.
        let ids: Vec<_> =
            cache.by_id.iter().filter(|(_, key)| key.scope() == scope).map(|(id, _)| *id).collect();
        for id in ids {
            cache.by_id.pop(&id);
        }
    }

    /// The id of a command, from who sent it and the idempotency key they chose.
    pub fn command_id(&self, actor: &str, idempotency_key: &str) -> [u8; 32] {
        self.digests.command_id.digest(&[actor.as_bytes(), idempotency_key.as_bytes()])
    }

    /// A digest of a command's content, equal for equal parts alone.
    pub fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.digests.content.digest(parts)
    }

    /// What a private value that must be unique in a trial (a subject number, say) is looked up by. `kind` says what
    /// kind of value it is.
    pub fn natural_key(&self, trial: &TrialId, kind: &str, value: &str) -> [u8; 32] {
        self.digests.natural_key.digest(&[trial.as_str().as_bytes(), kind.as_bytes(), value.as_bytes()])
    }

    /// What the cache has, and how often a key was destroyed by then.
    fn cached<T>(&self, look: impl FnOnce(&mut Cache) -> Option<T>) -> (Option<T>, u64) {
        let mut cache = self.cache();
        (look(&mut cache), cache.destroyed)
    }

    /// Keeps a key at hand, unless one was destroyed since it was looked for: it may be this one. As its scope's, where it is
    /// known not to be a former one.
    fn remember(&self, key: DataKey, destroyed: u64, is_current: bool) -> Arc<DataKey> {
        let key = Arc::new(key);
        let mut cache = self.cache();
        if cache.destroyed == destroyed {
            cache.by_id.put(key.id(), Arc::clone(&key));
            if is_current {
                cache.by_scope.put(key.scope().clone(), Arc::clone(&key));
            }
        }
        key
    }

    /// The cache, also after a panic elsewhere: it holds nothing that can be half done.
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("origin", &self.origin()).finish_non_exhaustive()
    }
}
