use std::path::PathBuf;

use trialseal_record::ids::Scope;
use uuid::Uuid;

/// What a key store refuses, or why it cannot answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyStoreError {
    /// It cannot answer. Holds what the engine says, which is never a key.
    #[error("the store of data keys cannot answer: {0}")]
    Unavailable(String),
    /// A key cannot be stored under a master key that is not in use.
    #[error("another master key is in use than the one at hand: another process has taken it into use since")]
    OtherMasterKey,
}

/// What can go wrong here. No variant holds a key, a plaintext or a ciphertext.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The store of wrapped keys cannot answer: try again later.
    #[error(transparent)]
    Store(#[from] KeyStoreError),
    /// The key-management back end cannot answer: try again later.
    #[error("the key management cannot answer: {0}")]
    Management(String),
    /// A data key is wrapped by another master key than the one at hand: the operator has to supply that one.
    #[error("the data key of {scope} is wrapped by master key {needed}, and the one at hand is {present}")]
    OtherMasterKey {
        /// Whose data key it is.
        scope: Scope,
        /// The master key that wrapped it.
        needed: String,
        /// The master key that is there.
        present: String,
    },
    /// The data key of a scope was destroyed, and it never gets another.
    #[error("the data key of {0} was destroyed")]
    Destroyed(Scope),
    /// The key store never had a data key of this id: it is a copy from before the key was made.
    #[error("the store of data keys has no key {0}: put back the newest copy of the key store")]
    Missing(Uuid),
    /// Sealed bytes are not what was sealed: changed, cut short, moved to another place, or sealed under another key.
    #[error("sealed bytes cannot be opened: they were changed, moved, or sealed under another key")]
    Refused,
    /// More was given than one sealing takes.
    #[error("more bytes than one sealing takes")]
    TooLong,
    /// The system's random source failed.
    #[error("the system's random source failed")]
    NoRandomness,
    /// The file of the master key cannot be used.
    #[error("the master key file {} {problem}", path.display())]
    MasterKeyFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, to stand after its name.
        problem: String,
    },
}
