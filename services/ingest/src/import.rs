//! Imports: a whole Dataset-JSON file becomes events, all of it or none.
//!
//! A file is received into the spool and gets a job; a task of its own then checks every row of it (`check.rs`), and
//! only if all can be taken records them chunk by chunk (`record.rs`). From then on the import is carried to its end,
//! over restarts too: each chunk is a command with an id that follows from the import, so that none is recorded twice.

mod cells;
mod check;
mod dataset;
mod receive;
mod record;
pub(crate) mod spool;
mod status;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use trialseal_record::Context;
use trialseal_record::ids::{ImportId, StreamId, TrialId};
use trialseal_record::submission::{self, Signed};
use trialseal_runtime::problem::Problem;
use trialseal_store::StoreError;
use trialseal_vault::{DataKey, VaultError};

use crate::{Ingest, refusal, signed};
use check::{Checked, Plan};
use spool::SpoolFile;
use status::Job;

pub(crate) use receive::Upload;
pub use status::{ExceptionRow, Exceptions, ImportState, ImportStatus, RefusedRow};

/// The kind of the jobs kept here.
pub(crate) const KIND: &str = "import";

/// Pauses before something is tried again that failed for want of the database: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Why imports cannot be resumed.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The store does not say which imports are open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What a former process left in the spool folder cannot be cleared away.
    #[error("the spool folder cannot be cleared of what was left there: {0}")]
    Spool(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A received file and its key.
#[derive(Clone)]
struct Spooled {
    file: SpoolFile,
    key: Arc<DataKey>,
}

/// What came of work on another thread. Where the runtime ends before it was begun, nothing does, and this task ends with it:
/// an import that was cut off so has not failed, and the next start goes on with it.
async fn outcome<T>(work: JoinHandle<T>) -> Result<T, record::Failed> {
    match work.await {
        Err(error) if error.is_cancelled() => std::future::pending().await,
        done => done.map_err(record::Failed::new),
    }
}

impl Ingest {
    /// Goes on with the imports that a former process left open; call it once at the start. Answers how many.
    ///
    /// # Errors
    /// [`ResumeError`]; nothing was resumed then.
    pub async fn resume_imports(self: &Arc<Self>) -> Result<usize, ResumeError> {
        let rows = self.jobs.open_jobs(KIND).await?;
        let mut jobs = Vec::new();
        for row in &rows {
            match Job::read(row) {
                Ok(job) => jobs.push(job),
                Err(error) => {
                    tracing::error!(import = %row.id, %error, "a job cannot be read, and its import stays open");
                }
            }
        }
        // Of a job that cannot be read nobody knows which file is its.
        let files: HashSet<_> = jobs.iter().filter_map(Job::spooled).collect();
        let is_wanted = |file: &SpoolFile| jobs.len() < rows.len() || files.contains(file);
        self.spool.recover(is_wanted).await.map_err(|error| ResumeError::Spool(error.into()))?;
        // Without its file an import cannot go on: another process may have it.
        jobs.retain(|job| {
            let here = job.spooled().is_none_or(|file| self.spool.has(&file));
            if !here {
                tracing::error!(import = %job.import, "the file of an open import is not in this spool");
            }
            here
        });
        let count = jobs.len();
        for job in jobs {
            self.start(job);
        }
        Ok(count)
    }

    /// How an import stands, if there is one with this id.
    pub(crate) async fn import_status(&self, import: ImportId) -> Result<Option<ImportStatus>, Problem> {
        let row = self.jobs.job(import.0).await.map_err(|error| refusal::of_store(&error))?;
        let job = row.filter(|row| row.kind == KIND).map(|row| Job::read(&row)).transpose();
        Ok(job.map_err(|error| Problem::internal(&error))?.map(|job| job.status))
    }

    /// Whether a file of the trial is being imported, or waits for it.
    ///
    /// # Errors
    /// [`StoreError`] where the database cannot answer.
    pub async fn has_open_imports(&self, trial: &TrialId) -> Result<bool, StoreError> {
        Ok(self.jobs.open_jobs(KIND).await?.iter().any(|job| job.trial == *trial))
    }

    /// Works on an import in a task of its own.
    fn start(self: &Arc<Self>, job: Job) {
        let ingest = Arc::clone(self);
        self.runtime.spawn(async move {
            let import = job.import;
            // The semaphore is never closed.
            let _place = ingest.import_places.acquire().await;
            let mut job = job;
            if let Err(failed) = ingest.work(&mut job).await {
                tracing::error!(%import, error = %failed, "an import failed");
                let begun = job.status.state == ImportState::Recording;
                job.status.fail(begun);
                if begun {
                    // A file is recorded whole or not at all: job and file stay, and the next start goes on with them.
                    ingest.save(&job).await;
                    return;
                }
            }
            ingest.end(job).await;
        });
    }

    /// Sees that an import which has not begun may begin: signatures may be asked for since its file was received, or the key
    /// be revoked.
    async fn check_signature(&self, job: &Job) -> Result<(), record::Failed> {
        let import = self.states.of(&job.trial, StreamId::import(job.import)).await;
        if import.map_err(record::Failed::new)?.version() > 0 {
            return Ok(());
        }
        let state = self.states.of_trial(&job.trial).await.map_err(record::Failed::new)?;
        let context = self.context(&job.sender.principal(&job.trial));
        let context = Context { signed: self.signed_by(job)?, ..context };
        submission::check(&state, None, &context).map_err(record::Failed::new)?;
        Ok(())
    }

    /// The signature of a file, checked once more.
    fn signed_by(&self, job: &Job) -> Result<Option<Signed>, record::Failed> {
        let signed = job.sender.signed.as_ref();
        let checked = signed.map(|event| signed::check_again(event, self.events.origin())).transpose();
        checked.map_err(|problem| record::Failed::new(&problem.detail))
    }

    async fn work(&self, job: &mut Job) -> Result<(), record::Failed> {
        job.status.begin();
        let spooled = self.spooled(job).await?;
        let Some(plan) = self.check(job, &spooled).await? else { return Ok(()) };
        self.check_signature(job).await?;
        // Until now nothing is recorded of the file, and from here on all of it will be.
        job.status.state = ImportState::Recording;
        self.save(job).await;
        record::record(self, job, plan, &spooled).await?;
        job.status.state = ImportState::Done;
        Ok(())
    }

    /// The received file and its key, however long that takes to come.
    async fn spooled(&self, job: &Job) -> Result<Spooled, record::Failed> {
        let file = job.spooled();
        let file = file.ok_or_else(|| record::Failed::new("a former version received its file"))?;
        let mut pause = FIRST_PAUSE;
        loop {
            match self.spool.key(&file).await {
                Ok(key) => return Ok(Spooled { file, key }),
                Err(error @ (VaultError::Store(_) | VaultError::Management(_))) => {
                    tracing::warn!(import = %job.import, %error, "an import waits");
                }
                Err(error) => return Err(record::Failed::new(error)),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Reads the whole file once; `None` where it cannot be taken, which the job then says.
    async fn check(&self, job: &mut Job, spooled: &Spooled) -> Result<Option<Plan>, record::Failed> {
        let (folder, import, Spooled { file, key }) = (self.spool.clone(), job.import, spooled.clone());
        let checked = tokio::task::spawn_blocking(move || check::check(|| folder.open(import, &file, &key)));
        match outcome(checked).await?.map_err(record::Failed::new)? {
            Checked::Sound(plan) => {
                job.status.dataset = Some(plan.metadata.name.to_string());
                job.status.rows = plan.metadata.records;
                Ok(Some(*plan))
            }
            Checked::Refused(refused) => {
                job.status.refuse(refused);
                Ok(None)
            }
        }
    }

    /// Writes down how an import stands, for those who ask. Nothing rests on it but what they are told.
    async fn save(&self, job: &Job) -> bool {
        let saved = match job.row() {
            Ok(row) => self.jobs.put_job(&row).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = &saved {
            tracing::warn!(import = %job.import, error, "the progress of an import could not be saved");
        }
        saved.is_ok()
    }

    /// Ends an import. A crash before the job is saved makes the next start find out anew that all is done; key and
    /// file go last.
    async fn end(&self, mut job: Job) {
        job.ended = true;
        let mut pause = FIRST_PAUSE;
        while !self.save(&job).await {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        if let Some(file) = job.spooled() {
            while let Err(error) = self.spool.end(&file).await {
                tracing::warn!(import = %job.import, %error, "the file of an import could not be destroyed");
                if !error.is_passing() {
                    break;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        tracing::info!(import = %job.import, state = ?job.status.state, rows = job.status.rows, "an import ended");
    }
}
