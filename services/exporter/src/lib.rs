//! Exports: a trial's record as a signed dataset that anybody can check offline (section 9 of the format).
//!
//! An export is a job. It takes the newest published seal as its snapshot, writes the dataset in one stream into an
//! encrypted file, and can be fetched once it is done. The same seal and the same rights give the same bytes. A job that
//! a restart interrupts begins anew, as of the same seal.
//!
//! What it is not: a place that decides who may export (`access` does) or what bytes mean (`seal` does). It never repairs:
//! a row that is not what was sealed fails the export, which names it.
//!
//! To add a table: a module beside `dataset/items.rs` that turns events into rows of which every cell names the field it
//! comes from. To add an endpoint: a file under `http/` and its line in [`routes`].

mod dataset;
mod error;
mod file;
mod http;
mod job;
mod status;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use trialseal_runtime::clock::Clock;
use trialseal_runtime::ids::Ids;
use trialseal_seal::dataset::ExportSigner;
use trialseal_store::{Events, Jobs, Seals};
use trialseal_vault::Vault;

pub use http::routes;
pub use job::ResumeError;
pub use status::{ExportState, ExportStatus, Shown};

/// What the exporter is made of.
pub struct ExporterParts {
    /// The record.
    pub events: Arc<dyn Events>,
    /// Its seals.
    pub seals: Arc<dyn Seals>,
    /// Where exports are kept track of.
    pub jobs: Arc<dyn Jobs>,
    /// Keys of data and files.
    pub vault: Arc<Vault>,
    /// The time, to say when an export was asked for.
    pub clock: Arc<dyn Clock>,
    /// Ids of exports.
    pub ids: Arc<dyn Ids>,
    /// Signs the manifests.
    pub signer: ExportSigner,
    /// The publication policy (C2SP tlog-policy), which datasets suggest to their readers.
    pub policy: String,
    /// The folder for finished exports and those under way. No other process writes to it.
    pub folder: PathBuf,
    /// How many exports are made at once; the others wait.
    pub jobs_at_once: usize,
}

/// The exports of one ledger. Clones share everything.
#[derive(Clone)]
pub struct Exporter {
    parts: Arc<ExporterParts>,
    running: Arc<Semaphore>,
}

impl Exporter {
    /// An exporter; nothing runs before [`resume_exports`](Self::resume_exports) or a request starts it.
    pub fn new(parts: ExporterParts) -> Self {
        let running = Arc::new(Semaphore::new(parts.jobs_at_once.max(1)));
        Self { parts: Arc::new(parts), running }
    }

    /// The public key that readers check manifests with, as a verifier key.
    pub fn verifier_key(&self) -> String {
        self.parts.signer.export_key().to_string()
    }
}
