use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use trialseal_record::ids::{Scope, TrialId};
use uuid::Uuid;

use crate::data_key::DataKey;
use crate::error::VaultError;
use crate::keyed::DigestKey;
use crate::keys::{DataKeys, KeyManagement};
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
        let cache = Cache { by_id: LruCache::new(cached), by_scope: LruCache::new(cached) };
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

    /// The data key of a scope, made where it has none. However many ask at once, in however many processes, a scope
    /// gets one key.
    pub async fn key_of(&self, scope: &Scope) -> Result<Arc<DataKey>, VaultError> {
        let cached = self.cache().by_scope.get(scope).cloned();
        match cached {
            Some(key) => Ok(key),
            None => Ok(self.remember(self.ring.key_of(scope).await?)),
        }
    }

    /// The data key of this id; `None` where it is not there, because it was destroyed.
    pub async fn key(&self, id: Uuid) -> Result<Option<Arc<DataKey>>, VaultError> {
        let cached = self.cache().by_id.get(&id).cloned();
        match cached {
            Some(key) => Ok(Some(key)),
            None => Ok(self.ring.key(id).await?.map(|key| self.remember(key))),
        }
    }

    /// Whether a scope has a data key. One whose key was destroyed has none, as long as nothing new is sealed in it.
    pub async fn has_key(&self, scope: &Scope) -> Result<bool, VaultError> {
        Ok(self.ring.keys.data_key_of(scope).await?.is_some())
    }

    /// Forgets a key at once, after its wrapped form was destroyed. Who still holds the key can go on using it until
    /// they drop it.
    pub fn forget(&self, id: Uuid) {
        let mut cache = self.cache();
        if let Some(key) = cache.by_id.pop(&id) {
            cache.by_scope.pop(key.scope());
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

    fn remember(&self, key: DataKey) -> Arc<DataKey> {
        let key = Arc::new(key);
        let mut cache = self.cache();
        cache.by_id.put(key.id(), Arc::clone(&key));
        cache.by_scope.put(key.scope().clone(), Arc::clone(&key));
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
