//! The life of an export once it is begun: made, looked up, taken up again after a restart.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use trialseal_access::Principal;
use trialseal_record::ids::TrialId;
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_store::StoreError;
use trialseal_vault::{DataKey, VaultError};
use uuid::Uuid;

use crate::dataset::{self, Plan};
use crate::error::ExportError;
use crate::recall::Making;
use crate::status::{ExportState, Job, KIND, Shown};
use crate::{Exporter, file, sweep};

/// Pauses before an export that failed for want of the database or the keys is tried again: the first, the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why exports cannot be resumed.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The store does not say which exports are open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder of exports cannot be read.
    #[error("the folder of exports cannot be read: {0}")]
    Folder(#[from] std::io::Error),
}

impl Exporter {
    /// Goes on with the exports that a former process left unfinished, and destroys the files whose time has come; call it once at the start. Answers how many.
    ///
    /// # Errors
    /// [`ResumeError`]; nothing was resumed then.
    pub async fn resume_exports(&self) -> Result<usize, ResumeError> {
        std::fs::create_dir_all(&self.parts.folder)?;
        sweep::remove_leftovers(&self.parts.folder)?;
        let mut open = self.open().await?;
        self.sweep().await;
        open.retain(|job| job.status.state == ExportState::Running);
        let count = open.len();
        for job in open {
            self.start(job);
        }
        Ok(count)
    }

    /// The exports that are being made, wait for others, or have a file that is kept.
    pub(crate) async fn open(&self) -> Result<Vec<Job>, StoreError> {
        let rows = self.parts.jobs.open_jobs(KIND).await?;
        let read = rows.iter().filter_map(|row| {
            Job::read(row)
                .inspect_err(|error| tracing::error!(export = %row.id, %error, "exporter.job.read"))
                .ok()
        });
        Ok(read.collect())
    }

    /// Whether the trial has an event.
    pub(crate) async fn has_trial(&self, trial: &TrialId) -> Result<bool, Problem> {
        let size = self.parts.events.trial_size(trial).await;
        Ok(size.map_err(|error| store_problem(&ExportError::Store(error)))?.is_some())
    }

    /// What is kept of an export that the principal may see: in its trials, and of no more values than it may have.
    pub(crate) async fn find(&self, principal: &Principal, export: &str) -> Result<Job, Problem> {
        let unknown = || Problem::new(ProblemKind::NotFound, "There is no such export.");
        let id: Uuid = export.parse().map_err(|_| unknown())?;
        let row = self.parts.jobs.job(id).await.map_err(|error| store_problem(&ExportError::Store(error)))?;
        let row = row.filter(|row| row.kind == KIND && principal.reaches(&row.trial)).ok_or_else(unknown)?;
        let job = Job::read(&row).map_err(|error| store_problem(&ExportError::Store(error)))?;
        match (Shown::for_principal(principal), job.status.shown) {
            (Some(Shown::All), _) | (Some(Shown::Consented), Shown::Consented) => {
                Ok(self.as_it_stands(job).await)
            }
            _ => Err(unknown()),
        }
    }

    /// A job as it was kept, and whether its file still is.
    pub(crate) async fn as_it_stands(&self, mut job: Job) -> Job {
        let path = file::path(&self.parts.folder, job.status.id);
        if job.status.state == ExportState::Done && matches!(tokio::fs::try_exists(path).await, Ok(false)) {
            job.status.state = ExportState::Removed;
        }
        job
    }

    pub(crate) async fn keep(&self, job: &Job) -> Result<(), ExportError> {
        // A crash before this is stored forgets a request that was not answered; one after it makes the export anew.
        Ok(self.parts.jobs.put_job(&job.row()?).await?)
    }

    /// Makes the export in a task of its own, when its turn has come.
    pub(crate) fn start(&self, job: Job) {
        let exporter = self.clone();
        tokio::spawn(async move {
            let Ok(_turn) = exporter.running.clone().acquire_owned().await else { return };
            exporter.carry_out(job).await;
        });
    }

    /// Makes the export, again and again while it fails for passing reasons, and stores how it ended.
    async fn carry_out(&self, mut job: Job) {
        let mut pause = FIRST_PAUSE;
        loop {
            let making = self.recalls.making(&job.status.trial).await;
            let ended = match self.make(&mut job, &making).await {
                Ok((key, made)) => {
                    let status = &mut job.status;
                    (status.state, status.bytes, status.sha256) =
                        (ExportState::Done, Some(made.file.bytes), Some(made.file.sha256));
                    (status.events, status.withheld, job.key) = (made.events, made.withheld, Some(key));
                    true
                }
                Err(ExportError::Recalled) => {
                    tracing::info!(export = %job.status.id, "exporter.job.anew");
                    continue;
                }
                Err(error) => {
                    tracing::error!(export = %job.status.id, seal = job.status.seal, %error, "exporter.job.make");
                    job.status.problem = Some(error.for_caller());
                    job.status.state = ExportState::Failed;
                    !error.is_passing() && self.forget_key(&job).await
                }
            };
            if ended && self.keep(&job).await.is_ok() {
                let (id, state) = (job.status.id, job.status.state);
                tracing::info!(export = %id, ?state, events = job.status.events, "exporter.job.ended");
                return;
            }
            drop(making);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            (job.status.state, job.status.problem) = (ExportState::Running, None);
        }
    }

    /// Writes the dataset. Hashing, encrypting and packing keep a thread busy for long, so they get one of their own.
    async fn make(&self, job: &mut Job, making: &Making) -> Result<(Uuid, dataset::Made), ExportError> {
        let key = self.file_key(job).await?;
        let status = &job.status;
        let plan = Plan {
            export: status.id,
            trial: status.trial.clone(),
            seal: status.seal,
            tables: status.tables,
            shown: status.shown,
            key: key.clone(),
            standing: making.standing.clone(),
        };
        let (parts, handle) = (self.parts.clone(), Handle::current());
        let made = tokio::task::spawn_blocking(move || {
            let made = dataset::make(&parts, &handle, &plan);
            made.inspect_err(|_| file::discard(&parts.folder, plan.export))
        });
        let made = made.await.map_err(|error| ExportError::Io(std::io::Error::other(error)))?;
        // Also where it was done just then, or broke off over the recall.
        if making.standing.is_recalled() {
            return Err(ExportError::Recalled);
        }
        Ok((key.id(), made?))
    }

    /// The key that the file is to be sealed under. Where it was destroyed, the file becomes another one, which is kept
    /// before anything is sealed under its key: so no key is ever without a row that leads to it.
    pub(crate) async fn file_key(&self, job: &mut Job) -> Result<Arc<DataKey>, ExportError> {
        loop {
            match self.parts.vault.key_of(&job.scope()).await {
                Err(VaultError::Destroyed(_)) => {
                    let file = Some(self.parts.ids.uuid_v7(self.parts.clock.now()));
                    let other = Job { file, ..job.clone() };
                    self.keep(&other).await?;
                    *job = other;
                }
                key => return Ok(key?),
            }
        }
    }

    /// Destroys the key of an export that failed, so that no copy of what was written of it can be read. Whether it did.
    async fn forget_key(&self, job: &Job) -> bool {
        let destroyed = self.parts.vault.destroy(&job.scope()).await;
        destroyed
            .inspect_err(|error| tracing::error!(export = %job.status.id, %error, "exporter.key.destroy"))
            .is_ok()
    }
}

/// A failure below a request, as its caller sees it.
pub(crate) fn store_problem(error: &ExportError) -> Problem {
    match error {
        ExportError::Store(StoreError::Damaged(_) | StoreError::DamagedEvent { .. }) => {
            tracing::error!(%error, "exporter.record.check");
            Problem::new(ProblemKind::Damaged, error.to_string())
        }
        _ if error.is_passing() => {
            tracing::error!(%error, "exporter.store.use");
            Problem::new(ProblemKind::Unavailable, "The record cannot be read right now.")
                .with_retry_after_seconds(1)
        }
        _ => Problem::internal(error),
    }
}
