//! Carries out what two people decided: that the data of a participant be erased, or one value of theirs redacted.
//!
//! The decision is in the record (`erasure.approved`), and so is what came of it (`participant.key-destroyed`). In between
//! the participant's key is destroyed in the key store, copies of their data that lie under other keys are destroyed with
//! theirs, and the master key is renewed, so that no copy of the key store from before is of use. Each step can be taken
//! again, and all are, until the last of them is recorded: whoever kills the process in the middle changes nothing about
//! the outcome.
//!
//! A redaction (`redaction.approved`, `record.redacted`, `participant.key-replaced`) goes the same way, with the participant's
//! key destroyed after their data were encrypted again under another one, without the value.
//!
//! At the start every erasure and every redaction of the record is held against the key store. So one that an older copy of the
//! key store has undone is carried out again.
//!
//! What it is not: the decision, which is `record`'s and `ingest`'s; nor a way to take something out of the record, whose
//! headers, hashes and proofs stay as they are.
//!
//! **Architecture invariant:** that a key was destroyed is recorded after it was, and never before.

mod eraser;
mod error;
mod redact;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedReceiver;
use trialseal_record::ids::{ParticipantId, TrialId};
use trialseal_runtime::clock::Clock;
use trialseal_runtime::ids::Ids;
use trialseal_store::{Events, Reseals, Streams, Writer};
use trialseal_vault::Vault;

pub use eraser::Eraser;
pub use error::EraseError;

/// Copies of participants' data under keys that are not theirs: files that were made for somebody to fetch, or that came
/// in and wait for their turn.
#[async_trait]
pub trait Copies: Send + Sync {
    /// Destroys those that may have data of a participant of the trial, and their keys. `false` where some are still
    /// needed, and have to be asked for again; they go away by themselves.
    ///
    /// # Errors
    /// What kept them from being destroyed, for the log.
    async fn destroy(&self, trial: &TrialId) -> Result<bool, String>;
}

/// What is kept beside the record so that reading is fast, under the keys of whom it is about.
#[async_trait]
pub trait ReadModels: Send + Sync {
    /// Makes all of it anew from the record as it can be read now, and drops what was there.
    ///
    /// # Errors
    /// What kept it from being made, for the log.
    async fn rebuild(&self) -> Result<(), String>;
}

/// What erasing needs.
pub struct EraserParts {
    /// The record.
    pub events: Arc<dyn Events>,
    /// Takes bodies without what was redacted.
    pub bodies: Arc<dyn Reseals>,
    /// What was made of the record to be read fast.
    pub models: Arc<dyn ReadModels>,
    /// Which erasures and redactions there are.
    pub streams: Arc<dyn Streams>,
    /// Records what was done.
    pub writer: Writer,
    /// Destroys keys.
    pub vault: Arc<Vault>,
    /// Copies that lie elsewhere.
    pub copies: Arc<dyn Copies>,
    /// Tells of each participant whose data are to be erased, or of whom a value is to be redacted, from now on.
    pub approved: UnboundedReceiver<(TrialId, ParticipantId)>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids and secrets.
    pub ids: Arc<dyn Ids>,
}
