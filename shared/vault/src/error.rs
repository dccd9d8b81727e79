use std::path::PathBuf;

use trialseal_record::ids::Scope;

/// The store of wrapped keys cannot answer. Holds what the engine says, which is never a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store of data keys cannot answer: {0}")]
pub struct KeyStoreError(pub String);

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
