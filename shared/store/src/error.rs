use trialseal_record::ids::TrialId;

/// What every port answers with.
pub type Result<T> = std::result::Result<T, StoreError>;

/// What can go wrong below the ports; each variant is something that the caller does differently.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The engine cannot be reached, or the connection broke. From a commit it means that the batch may be stored or not:
    /// only whoever finds one of its commands, or none, knows which.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// The engine asks to try the whole transaction again (PostgreSQL 40001 and 40P01, a busy SQLite file).
    #[error("the database asks to try again: {0}")]
    TryAgain(String),
    /// The engine refused a statement for what it says; nothing of the transaction was stored.
    #[error("the database refused the statement: {0}")]
    Refused(String),
    /// A stored event is not what it was when it was recorded.
    #[error("event {trialseq} of trial {trial} is damaged in the database: {what}")]
    DamagedEvent {
        /// The trial of the damaged row, as its column says.
        trial: TrialId,
        /// The row's place in the trial, as its column says.
        trialseq: u64,
        /// Which column contradicts what.
        what: String,
    },
    /// Another stored row contradicts itself.
    #[error("damaged in the database: {0}")]
    Damaged(String),
    /// The row that a guarded update expected was not there any more (another process moved it).
    #[error("changed by another process meanwhile: {0}")]
    Overtaken(String),
    /// Another process was elected to write the ledger, or this one gave its term up; nothing was stored.
    #[error("another process writes this ledger now")]
    Deposed,
}
