//! The two ports: where wrapped data keys lie, and who wraps them.

use async_trait::async_trait;
use trialseal_record::ids::Scope;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::{KeyStoreError, VaultError};

/// A data key as it lies in the database: useless without the master key that wrapped it.
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

/// Where wrapped data keys lie; the stores implement it.
#[async_trait]
pub trait DataKeys: Send + Sync {
    /// The key of a scope; `None` where it has none, or none any more.
    async fn data_key_of(&self, scope: &Scope) -> Result<Option<WrappedKey>, KeyStoreError>;

    /// The key of this id; `None` where there is none, or none any more.
    async fn data_key(&self, id: Uuid) -> Result<Option<WrappedKey>, KeyStoreError>;

    /// Adds the key of a scope, durably, and answers the one that is stored: this one, or where the scope has one
    /// already, that one.
    async fn add_data_key(&self, key: &WrappedKey) -> Result<WrappedKey, KeyStoreError>;
}

/// A key-management back end: wraps data keys under a master key that it alone knows.
#[async_trait]
pub trait KeyManagement: Send + Sync {
    /// The id of the master key that [`KeyManagement::wrap`] uses. It says nothing about the key's value.
    fn id(&self) -> &str;

    /// Wraps a data key. What it wraps for one `context`, it unwraps for that one alone.
    async fn wrap(&self, context: &[u8], key: &[u8; 32]) -> Result<Vec<u8>, VaultError>;

    /// Unwraps a data key; [`VaultError::Refused`] where the bytes or the context are not those of the wrapping.
    async fn unwrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, VaultError>;
}
