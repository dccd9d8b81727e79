//! How an export stands: what is told of it, and what is kept of it to go on after a restart.

use serde::{Deserialize, Serialize};
use trialseal_access::{Permission, Principal};
use trialseal_record::ids::{Scope, TrialId};
use trialseal_seal::hash::Hash;
use trialseal_seal::time::Timestamp;
use trialseal_store::{JobRow, StoreError};
use utoipa::ToSchema;
use uuid::Uuid;

/// The kind of the jobs kept here.
pub(crate) const KIND: &str = "export";

/// How an export stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportStatus {
    /// The export.
    pub id: Uuid,
    /// The trial.
    pub trial: TrialId,
    /// How far it is.
    pub state: ExportState,
    /// What it is for, as whoever asked for it said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Whether it holds tables beside the record.
    pub tables: bool,
    /// Whose values it shows.
    pub shown: Shown,
    /// The seal as of which it is complete.
    pub seal: u64,
    /// When it was asked for.
    #[schema(value_type = String)]
    pub requested_at: Timestamp,
    /// Number of events, once it is done.
    pub events: u64,
    /// How many of them are without their data, once it is done.
    pub withheld: u64,
    /// Size of `dataset.zip` in bytes, once it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// SHA-256 of `dataset.zip` in hex, once it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub sha256: Option<Hash>,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// How far an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExportState {
    /// It is being made, or waits for others.
    Running,
    /// It can be fetched.
    Done,
    /// It broke off; `problem` says why.
    Failed,
    /// It was done, and its file has been removed since. Ask for another export, under another `Idempotency-Key`.
    Removed,
}

/// Whose values an export shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// Everybody's.
    All,
    /// Those of participants who agreed to share their data with research.
    Consented,
}

impl Shown {
    /// What a principal may have, if it may have anything.
    pub(crate) fn for_principal(principal: &Principal) -> Option<Self> {
        if principal.may(Permission::ExportAll) {
            Some(Self::All)
        } else {
            principal.may(Permission::Export).then_some(Self::Consented)
        }
    }
}

/// What is kept of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) status: ExportStatus,
    pub(crate) actor: String,
    /// The data key of the finished file.
    pub(crate) key: Option<Uuid>,
    /// Which file of the trial it is written as, if not under the export's id: the key of that one was destroyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<Uuid>,
    /// The keyed digest of what was asked for under an idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<Hash>,
}

impl Job {
    pub(crate) fn read(row: &JobRow) -> Result<Self, StoreError> {
        serde_json::from_slice(&row.detail).map_err(|_| StoreError::Damaged(format!("job {}", row.id)))
    }

    /// Whose key the file is sealed under.
    pub(crate) fn scope(&self) -> Scope {
        Scope::File(self.status.trial.clone(), self.file.unwrap_or(self.status.id))
    }

    /// The row is open for as long as there is, or may yet be, a file to be destroyed.
    pub(crate) fn row(&self) -> Result<JobRow, serde_json::Error> {
        Ok(JobRow {
            id: self.status.id,
            kind: KIND.into(),
            trial: self.status.trial.clone(),
            actor: self.actor.clone(),
            ended: matches!(self.status.state, ExportState::Failed | ExportState::Removed),
            detail: serde_json::to_vec(self)?,
        })
    }
}
