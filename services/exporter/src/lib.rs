//! Exports: a trial's record as a signed dataset that anybody can check offline (section 9 of the format).
//!
//! An export is a job. It takes the newest published seal as its snapshot, writes the dataset in one stream into an
//! encrypted file, and can be fetched once it is done, until the file has been kept for long enough, or the datasets of the
//! trial are [recalled](Exporter::recall). The same seal and the same rights give the same bytes. A job that a restart
//! interrupts begins anew, as of the same seal. Rights are read when the job runs, and from all that is recorded by then:
//! what a participant withdrew after the seal is withheld.
//!
//! What it is not: a place that decides who may export (`access` does) or what bytes mean (`seal` does). It never repairs:
//! a row that is not what was sealed fails the export, which names it.
//!
//! To add a table: a module beside `dataset/items.rs` that turns events into rows of which every cell names the field it
//! comes from. To add an endpoint: a file under `http/` and its line in [`routes`].

mod begin;
mod dataset;
mod error;
mod file;
mod http;
mod job;
mod recall;
mod spool;
mod status;
mod sweep;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Mutex, Semaphore};
use trialseal_runtime::clock::Clock;
use trialseal_runtime::ids::Ids;
use trialseal_runtime::settings::ExportFileLimits;
use trialseal_seal::dataset::ExportSigner;
use trialseal_store::access_log::AccessLog;
use trialseal_store::{Events, Jobs, Seals};
use trialseal_vault::Vault;

use recall::Recalls;

pub use http::routes;
pub use job::ResumeError;
pub use recall::DestroyError;
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
    /// Records who takes data away.
    pub access_log: AccessLog,
    /// The time, to say when an export was asked for.
    pub clock: Arc<dyn Clock>,
    /// Ids of exports.
    pub ids: Arc<dyn Ids>,
    /// Sign the manifests, the newest first: one, or two while one takes the place of the other.
    pub signers: Vec<ExportSigner>,
    /// The publication policy (C2SP tlog-policy), which datasets suggest to their readers.
    pub policy: String,
    /// The folder for finished exports and those under way. No other process writes to it.
    pub folder: PathBuf,
    /// How many exports are made at once; the others wait.
    pub jobs_at_once: usize,
}

/// Most datasets that are fetched at once, each with an open file and less than a MiB of buffers.
const MAX_DOWNLOADS: usize = 32;

/// Bytes of a dataset that are decrypted and sent at once, and how many such pieces wait for a slow reader.
const PIECE_BYTES: usize = 64 << 10;
const WAITING_PIECES: usize = 4;

/// The exports of one ledger. Clones share everything.
#[derive(Clone)]
pub struct Exporter {
    parts: Arc<ExporterParts>,
    files: ExportFileLimits,
    /// Requests for exports take turns: two under one key make one export, and the count of those under way holds.
    beginning: Arc<Mutex<()>>,
    running: Arc<Semaphore>,
    recalls: Arc<Recalls>,
    downloading: Arc<Semaphore>,
}

impl Exporter {
    /// An exporter; nothing runs before [`resume_exports`](Self::resume_exports) or a request starts it.
    pub fn new(parts: ExporterParts) -> Self {
        let running = Arc::new(Semaphore::new(parts.jobs_at_once.max(1)));
        Self {
            parts: Arc::new(parts),
            files: ExportFileLimits::default(),
            beginning: Arc::default(),
            running,
            recalls: Arc::default(),
            downloading: Arc::new(Semaphore::new(MAX_DOWNLOADS)),
        }
    }

    /// The same exporter with other limits for finished files.
    #[must_use]
    pub fn with_file_limits(self, files: ExportFileLimits) -> Self {
        Self { files, ..self }
    }

    /// The public keys that readers check manifests with, as verifier keys, the newest first.
    pub fn verifier_keys(&self) -> Vec<String> {
        self.parts.signers.iter().map(|signer| signer.export_key().to_string()).collect()
    }
}
