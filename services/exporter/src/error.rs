//! Why an export failed.

use trialseal_record::event::UnreadableEvent;
use trialseal_seal::Refused;
use trialseal_store::StoreError;
use trialseal_store::body::BodyError;
use trialseal_vault::VaultError;
use zip::result::ZipError;

/// Why a dataset could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    /// The store could not be read, or what it holds is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key could not be had.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A file could not be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The archive could not be written.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// The manifest could not be made.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// An event was written by newer software.
    #[error(transparent)]
    Unreadable(#[from] UnreadableEvent),
    /// A metadata text could not be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The trial is not under the seal that the export is to be as of.
    #[error("trial and seal of the export do not go together")]
    NotUnderSeal,
    /// The trial's datasets were recalled while this one was made.
    #[error("the datasets of the trial were recalled while this one was made")]
    Recalled,
}

impl From<BodyError> for ExportError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Vault(error) => Self::Vault(error),
            BodyError::Damaged(error) => Self::Store(error),
        }
    }
}

impl ExportError {
    /// Whether the same export may succeed a little later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Recalled
            | Self::Store(
                StoreError::Unavailable(_)
                | StoreError::TryAgain(_)
                | StoreError::Overtaken(_)
                | StoreError::Deposed,
            ) => true,
            Self::Vault(error) => matches!(error, VaultError::Store(_) | VaultError::Management(_)),
            _ => false,
        }
    }

    /// What the one who asked for the export is told: damage by name, nothing of the inside otherwise.
    pub(crate) fn for_caller(&self) -> String {
        match self {
            Self::Store(error @ (StoreError::Damaged(_) | StoreError::DamagedEvent { .. })) => {
                error.to_string()
            }
            Self::Unreadable(_) => self.to_string(),
            _ => "The export failed for a reason that the operator finds in the log.".into(),
        }
    }
}
