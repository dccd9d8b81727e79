//! The two ports: where wrapped data keys lie, and who wraps them.

use async_trait::async_trait;
use trialseal_record::ids::Scope;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::{KeyStoreError, VaultError};

/// A data key as it lies in the key store: useless without the master key that wrapped it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// The key's own id, of version 4; sealed bytes are stored beside it.
    pub id: Uuid,
    /// Whose data it encrypts.
    pub scope: Scope,
    /// The id of the master key that wrapped it.
    pub master: String,
    /// The wrapped key, in the form of the back end that wrapped it.
    pub wrapped: Vec<u8>,
}

/// What a key store has of a data key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredKey {
    /// The key, wrapped.
    Wrapped(WrappedKey),
    /// That there was one. Its scope never gets another.
    Destroyed,
}

/// Where wrapped data keys lie: in a place of their own, so that neither the database nor a backup of it has them.
///
/// Of one ledger all keys are wrapped by one master key, or by two while one takes the place of the other. Which of them
/// wraps new ones the key store knows, so that nobody can add a key under one that is about to be destroyed.
#[async_trait]
pub trait DataKeys: Send + Sync {
    /// The key of a scope; `None` where it never had one.
    async fn data_key_of(&self, scope: &Scope) -> Result<Option<StoredKey>, KeyStoreError>;

    /// The key of this id; `None` where there never was one.
    async fn data_key(&self, id: Uuid) -> Result<Option<StoredKey>, KeyStoreError>;

    /// Adds the key of a scope, durably, and answers what is stored: this one, or where the scope has or had one
    /// already, that one. The first key of all says which master key is in use.
    ///
    /// # Errors
    /// [`KeyStoreError::OtherMasterKey`] where another master key is in use than the one that wrapped this key.
    async fn add_data_key(&self, key: &WrappedKey) -> Result<StoredKey, KeyStoreError>;

    /// Removes the key of a scope, durably, and a former one with it, and keeps in mind that it was destroyed, also where there
    /// was none. `false` where that was known already.
    async fn destroy_data_key(&self, scope: &Scope) -> Result<bool, KeyStoreError>;

    /// Puts a key in the place of its scope's, durably, which becomes the scope's former one and can be read until it is
    /// [destroyed](Self::destroy_former_data_key). Answers what is stored: this one, or where a former one is there already, or
    /// the scope's key was destroyed, what was stored before.
    ///
    /// # Errors
    /// As [`add_data_key`](Self::add_data_key).
    async fn succeed_data_key(&self, key: &WrappedKey) -> Result<StoredKey, KeyStoreError>;

    /// The former key of a scope, where it has one that is not destroyed.
    async fn former_data_key_of(&self, scope: &Scope) -> Result<Option<Uuid>, KeyStoreError>;

    /// Removes the former key of a scope, durably, and keeps in mind that it was destroyed.
    async fn destroy_former_data_key(&self, scope: &Scope) -> Result<(), KeyStoreError>;

    /// The master key that is in use; `None` before the first data key.
    async fn master_key(&self) -> Result<Option<String>, KeyStoreError>;

    /// Takes `master` into use in the place of `former`; where it is in use already, nothing changes. Once this is durable, keys
    /// are stored under it alone.
    ///
    /// # Errors
    /// [`KeyStoreError::OtherMasterKey`] where neither of the two is in use: others have gone on since.
    async fn use_master_key(&self, master: &str, former: &str) -> Result<(), KeyStoreError>;

    /// Up to `limit` keys that another master key than `master` wrapped.
    async fn wrapped_by_others(&self, master: &str, limit: u32) -> Result<Vec<WrappedKey>, KeyStoreError>;

    /// Puts these wrapped forms in the place of the former ones, durably; keys that were destroyed since stay so.
    ///
    /// # Errors
    /// [`KeyStoreError::OtherMasterKey`] where another master key is in use than the one that wrapped these: it may be about to
    /// be destroyed.
    async fn replace_data_keys(&self, keys: &[WrappedKey]) -> Result<(), KeyStoreError>;
}

/// A key-management back end: wraps data keys under a master key that it alone knows.
#[async_trait]
pub trait KeyManagement: Send + Sync {
    /// The id of the master key in use. It says nothing about the key's value.
    fn id(&self) -> String;

    /// Wraps a data key, and names the master key that did. What it wraps for one `context`, it unwraps for that one
    /// alone.
    async fn wrap(&self, context: &[u8], key: &[u8; 32]) -> Result<(String, Vec<u8>), VaultError>;

    /// Unwraps a data key that master key `master` wrapped; `None` where that one is not at hand.
    /// [`VaultError::Refused`] where the bytes or the context are not those of the wrapping.
    async fn unwrap(
        &self,
        master: &str,
        context: &[u8],
        wrapped: &[u8],
    ) -> Result<Option<Zeroizing<[u8; 32]>>, VaultError>;

    /// Makes a successor of the master key, durably, and uses it from now on; what the former one wrapped is unwrapped
    /// as before. Where a successor was made and the former key not destroyed since, nothing changes.
    async fn succeed(&self) -> Result<(), VaultError>;

    /// The id of the former master key, where a successor was made and the former key not destroyed since.
    fn former_id(&self) -> Option<String>;

    /// Destroys the former master key, durably and for good.
    async fn destroy_former(&self) -> Result<(), VaultError>;
}
