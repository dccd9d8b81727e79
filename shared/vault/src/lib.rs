//! What keeps stored data private: the keys it is encrypted under, the encryption itself, and the keyed digests by which
//! private values are found again.
//!
//! Each scope (a participant, the rest of a trial, or one file) has one data key. Data keys lie in a key store apart from
//! the database, wrapped by a master key that lies in neither. To destroy a scope's key takes two steps: it is removed from
//! the key store, which keeps in mind that it was; and the master key is renewed, so that no older copy of the key store
//! has it either. Then its data cannot be read anywhere any more, and in no backup.
//!
//! What it is not: part of any commitment. Nothing that a seal proves depends on how data is encrypted here, so keys
//! can be rotated and destroyed. It also decides nothing: who may read is `access`'s and `record`'s business.
//! To add a key-management back end, implement [`KeyManagement`] in a module of its own and choose it in
//! `services/server`; to add a key store, implement [`DataKeys`] and run the checks of this crate's `contract` on it.
//!
//! **Architecture invariant:** plain keys never leave this crate, and no `Debug`, error or log line shows one.

mod aead;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod data_key;
mod error;
pub mod file;
mod keyed;
mod keys;
mod master_key_file;
pub mod memory;
mod moved;
mod pkcs11;
mod random;
mod ring;
#[cfg(test)]
mod tests;
mod vault;

pub use data_key::DataKey;
pub use error::{KeyStoreError, VaultError};
pub use keys::{DataKeys, KeyManagement, StoredKey, WrappedKey};
pub use master_key_file::MasterKeyFile;
pub use moved::MovedMasterKey;
pub use pkcs11::{MasterKeyToken, Token};
pub use vault::Vault;
