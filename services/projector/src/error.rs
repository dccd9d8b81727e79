use trialseal_record::UnreadableEvent;
use trialseal_record::ids::TrialId;
use trialseal_store::StoreError;
use trialseal_store::body::BodyError;
use trialseal_vault::VaultError;

/// Why folding stopped. Folding stays where it is until the reason is gone: a model never skips an event.
#[derive(Debug, thiserror::Error)]
pub enum ProjectorError {
    /// The database failed, or holds something damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Keys could not be had.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The event was written by newer software.
    #[error("event {trialseq} of trial {trial}: {why}")]
    Unreadable {
        /// The trial.
        trial: TrialId,
        /// The event's place in it.
        trialseq: u64,
        /// What is not known of it.
        why: UnreadableEvent,
    },
    /// A stored document is not of its model's present form: the model has to be rebuilt.
    #[error("a document of read model {0} is of another form; rebuild the model")]
    OtherForm(&'static str),
}

impl From<BodyError> for ProjectorError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Vault(error) => Self::Vault(error),
            BodyError::Damaged(error) => Self::Store(error),
        }
    }
}
