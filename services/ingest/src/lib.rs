//! Taking in: a command or a whole file comes in over HTTP, is decided on by the rules of the record, and is appended.
//!
//! Every command takes the one path in `submit.rs`; a file (CDISC Dataset-JSON 1.1) takes the one in `import/`, all of
//! it or none. What it is not: the rules themselves, which are `record`'s; nor the order of events, which the writer in
//! `store` makes; nor reading, which is `query`'s. To add a command: in `record` first (it says how), then a file in
//! `http/` and its line in [`routes`].
//!
//! **Architecture invariant:** a command that was carried out is answered from the record when it is sent again, before
//! anything is decided; and what a decision rested on is named in the append, so that nothing slips in between.

mod answer;
mod answered;
mod http;
mod import;
mod locks;
mod prepare;
mod refusal;
mod refused;
mod signed;
mod states;
mod submit;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use trialseal_record::ids::{ParticipantId, TrialId};
use trialseal_runtime::clock::Clock;
use trialseal_runtime::ids::Ids;
use trialseal_runtime::settings::ImportLimits;
use trialseal_store::{Appends, Events, Jobs, Progress, Writer};
use trialseal_vault::Vault;

pub use answer::{Level, Recorded, RecordedEvent};
pub use http::routes;
pub use import::{ExceptionRow, Exceptions, ImportState, ImportStatus, RefusedRow, ResumeError};

use crate::import::spool::Spool;
use crate::locks::Locks;
use crate::states::States;

/// What taking in needs.
pub struct IngestParts {
    /// Records events.
    pub writer: Writer,
    /// Reads them.
    pub events: Arc<dyn Events>,
    /// Looks up commands that were carried out.
    pub appends: Arc<dyn Appends>,
    /// Keeps how imports stand.
    pub jobs: Arc<dyn Jobs>,
    /// Encrypts.
    pub vault: Arc<Vault>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids and secrets.
    pub ids: Arc<dyn Ids>,
    /// Tells how far the record is published.
    pub progress: Arc<Progress>,
    /// Is told of each participant whose data are to be erased.
    pub erasures: UnboundedSender<(TrialId, ParticipantId)>,
    /// The folder for received files; this process's own.
    pub spool: PathBuf,
    /// Limits.
    pub limits: Limits,
}

/// Limits of taking in.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest body of a command, bytes.
    pub body_bytes: usize,
    /// Limits of imports.
    pub imports: ImportLimits,
    /// How long a sender who asks for it waits for the seal or its witnesses; then the answer says how far it came.
    pub wait_sealed: Duration,
    /// Whether the publication policy asks for witnesses, so that one can wait for them.
    pub witnesses: bool,
}

/// Takes in commands and files. Handlers get it as `web::Data`.
pub struct Ingest {
    writer: Writer,
    events: Arc<dyn Events>,
    appends: Arc<dyn Appends>,
    jobs: Arc<dyn Jobs>,
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    progress: Arc<Progress>,
    erasures: UnboundedSender<(TrialId, ParticipantId)>,
    spool: Spool,
    limits: Limits,
    states: States,
    locks: Locks,
    /// As many permits as imports may be worked on at a time.
    import_places: Arc<Semaphore>,
    /// Where imports run: the runtime this was made in, and not that of the HTTP worker which received the file.
    runtime: Handle,
}

impl Ingest {
    /// Must be called within a tokio runtime, in which imports then run.
    pub fn new(parts: IngestParts) -> Self {
        let IngestParts {
            writer,
            events,
            appends,
            jobs,
            vault,
            clock,
            ids,
            progress,
            erasures,
            spool,
            limits,
        } = parts;
        Self {
            states: States::new(Arc::clone(&events), Arc::clone(&vault)),
            spool: Spool::new(spool, limits.imports, Arc::clone(&vault), Handle::current()),
            import_places: Arc::new(Semaphore::new(limits.imports.jobs)),
            locks: Locks::default(),
            runtime: Handle::current(),
            writer,
            events,
            appends,
            jobs,
            vault,
            clock,
            ids,
            progress,
            erasures,
            limits,
        }
    }
}
