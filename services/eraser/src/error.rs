use trialseal_record::event::UnreadableEvent;
use trialseal_store::body::BodyError;
use trialseal_store::draft::PrepareError;
use trialseal_store::{AppendError, StoreError};
use trialseal_vault::VaultError;

/// Why an erasure could not be carried out by now. It is tried again; none of these undoes what was done.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The record cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event of the erasure cannot be opened.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// An event of the erasure was written by software that knows more than this one.
    #[error(transparent)]
    Unreadable(#[from] UnreadableEvent),
    /// The key store or the master key cannot be changed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Copies could not be destroyed.
    #[error("copies cannot be destroyed: {0}")]
    Copies(String),
    /// Read models could not be made anew.
    #[error("read models cannot be made anew: {0}")]
    Models(String),
    /// That it was done cannot be written as an event.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// That it was done was not recorded, or perhaps it was.
    #[error(transparent)]
    Append(#[from] AppendError),
}
