//! What keeps stored data private: the keys it is encrypted under, the encryption itself, and the keyed digests by which
//! private values are found again.
//!
//! Each scope (a participant, or the rest of a trial) has one data key. Data keys lie in the database, wrapped by a
//! master key that does not; a scope's data can be read for as long as its wrapped key exists, and destroying that row
//! makes the data unreadable, in every backup of the events too.
//!
//! What it is not: part of any commitment. Nothing that a seal proves depends on how data is encrypted here, so keys
//! can be rotated and destroyed. It also decides nothing: who may read is `access`'s and `record`'s business.
//! To add a key-management back end, implement [`KeyManagement`] in a module of its own and choose it in
//! `services/server`.
//!
//! **Architecture invariant:** plain keys never leave this crate, and no `Debug`, error or log line shows one.

mod aead;
mod data_key;
mod error;
pub mod file;
mod keyed;
mod keys;
mod master_key_file;
mod random;
mod ring;
#[cfg(test)]
mod tests;
mod vault;

pub use data_key::DataKey;
pub use error::{KeyStoreError, VaultError};
pub use keys::{DataKeys, KeyManagement, WrappedKey};
pub use master_key_file::MasterKeyFile;
pub use vault::Vault;
