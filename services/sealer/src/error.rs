use trialseal_seal::Refused;
use trialseal_store::StoreError;

/// Why sealing stopped.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The database failed; the next round begins from what is stored.
    #[error(transparent)]
    Store(StoreError),
    /// The place of publication failed; the next round writes the same bytes again.
    #[error("cannot publish {path}: {error}")]
    Publication {
        /// What was to be written or read.
        path: String,
        /// What the operating system said.
        error: String,
    },
    /// The publication knows more than the database. Sealing on would fork the log.
    #[error(
        "the published checkpoint has size {published}, but the database knows only {recorded} seals: it was probably \
         restored from an old backup. Nothing will be sealed; restore the newest database, or begin a new ledger with \
         another origin"
    )]
    Behind {
        /// Size of the published checkpoint.
        published: u64,
        /// Number of seals in the database.
        recorded: u64,
    },
    /// What is published or signed contradicts what the database holds.
    #[error("the log would fork: {0}. Nothing will be sealed; compare the database with the published log")]
    Fork(String),
    /// A note that is published does not meet the publication policy as it is now.
    #[error(
        "the note of size {size} does not meet the publication policy: {refused}. A policy that begins to ask for \
         witnesses needs a new ledger with another origin; a witness that is replaced has to stay in its group"
    )]
    Policy {
        /// The tree size of the note.
        size: u64,
        /// What the policy has against it.
        refused: String,
    },
    /// The clock of this machine is ahead of the witnesses'.
    #[error(
        "this machine's clock is more than 30 seconds ahead of the witnesses': set it, for nothing is sealed until then"
    )]
    ClockAhead,
    /// What the database holds does not fit together.
    #[error("the stored record does not fit together: {0}")]
    Damaged(String),
}

impl From<StoreError> for SealError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged(_) | StoreError::DamagedEvent { .. } => Self::Damaged(error.to_string()),
            other => Self::Store(other),
        }
    }
}

impl From<Refused> for SealError {
    fn from(refused: Refused) -> Self {
        Self::Damaged(refused.to_string())
    }
}

impl SealError {
    /// Whether going on could do harm, so that only a person may decide.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Behind { .. } | Self::Fork(_) | Self::Policy { .. } | Self::Damaged(_))
    }
}
