//! Destroying datasets: each when its time is over, and all of a trial's when one of its participants was erased.
//!
//! A finished file goes in three steps: its key is destroyed, the file is removed, its job's row ends. From the first step
//! on nobody can read it, nor any copy of it. The row is open until the last, so that whatever a crash leaves is found and
//! done again; a file without its key is no more than bytes.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, watch};
use trialseal_record::ids::{Scope, TrialId};
use trialseal_store::StoreError;
use trialseal_vault::VaultError;

use crate::status::{ExportState, Job, KIND};
use crate::{Exporter, file, sweep};

const TRIALS_AT_ONCE: u32 = 100;

/// Why files of exports could not be destroyed. Those that went are gone; the same again does the rest.
#[derive(Debug, thiserror::Error)]
pub enum DestroyError {
    /// The store does not say which exports there are, or cannot keep what became of them.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key could not be destroyed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A file could not be removed.
    #[error("the folder of exports cannot be changed: {0}")]
    Folder(#[from] io::Error),
    /// How an export stands could not be written down.
    #[error(transparent)]
    Row(#[from] serde_json::Error),
}

impl Exporter {
    /// Destroys every dataset of a trial, for good and in every copy: call it when the key of one of its participants has
    /// been destroyed. Answers how many finished ones there were; their status says `removed` from now on. Those that are
    /// being made stop and begin anew under other keys, without what they had read. What is being fetched breaks off; the
    /// few pieces of it that are decrypted by then (256 KiB) may still go out.
    ///
    /// Once this has answered, no key is left of any dataset of the trial that was begun before, wherever its file lies. A
    /// file of a former version was sealed under the trial's key: it is removed from this folder, and copies of it stay
    /// readable. Calling it again does no harm.
    ///
    /// # Errors
    /// [`DestroyError`]: it is not complete then, and has to be called again.
    pub async fn recall(&self, trial: &TrialId) -> Result<usize, DestroyError> {
        let _none_is_made = self.recalls.recall(trial).await;
        let mut count = 0;
        for row in self.parts.jobs.open_jobs(KIND).await? {
            if row.trial == *trial {
                let job = Job::read(&row)?;
                count += usize::from(job.status.state == ExportState::Done);
                self.destroy(job).await?;
            }
        }
        for found in self.finished_files().await? {
            // What no open row speaks of: files of former versions, and those whose row is gone, which nobody can fetch.
            let Some(export) = found.export() else { continue };
            match self.parts.jobs.job(export).await? {
                Some(row) if row.kind != KIND || row.trial != *trial => continue,
                Some(row) => self.destroy(Job::read(&row)?).await?,
                None => self.destroy_stray(found).await?,
            }
            count += 1;
        }
        tracing::info!(%trial, count, "exporter.trial.recall");
        Ok(count)
    }

    /// Destroys the files whose time has come. Answers how many.
    ///
    /// # Errors
    /// [`DestroyError`]: some may be left, for the next time.
    pub(crate) async fn destroy_due(&self) -> Result<usize, DestroyError> {
        let (now, limits, mut count) = (self.parts.clock.now(), self.files, 0);
        // Before the files are listed, so that one that is finished meanwhile is not missed there.
        let mut open = self.open().await?;
        open.retain(|job| job.status.state == ExportState::Done);
        let files = self.finished_files().await?;
        let here: HashSet<_> = files.iter().filter_map(sweep::Finished::export).collect();
        for found in sweep::due(files, now, limits) {
            let row = match found.export() {
                Some(export) => self.parts.jobs.job(export).await?.filter(|row| row.kind == KIND),
                None => None,
            };
            match row.as_ref().map(Job::read) {
                None => self.destroy_stray(found).await?,
                // It is being made anew, over this file.
                Some(Ok(job)) if job.status.state == ExportState::Running => continue,
                Some(Ok(job)) => self.destroy(job).await?,
                Some(Err(error)) => {
                    tracing::error!(file = %found.path.display(), %error, "exporter.job.read");
                    continue;
                }
            }
            count += 1;
        }
        // Those whose file is in the folder of another process, or was lost.
        open.retain(|job| !here.contains(&job.status.id));
        for job in open {
            if sweep::is_old(job.status.requested_at, now, limits) {
                self.destroy(job).await?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Destroys what was written for an export: its key, then its files. A finished one ends with that; one that is to be
    /// made yet gets another key ([`file_key`](Self::file_key)).
    async fn destroy(&self, mut job: Job) -> Result<(), DestroyError> {
        self.parts.vault.destroy(&job.scope()).await?;
        remove(file::path(&self.parts.folder, job.status.id)).await?;
        remove(file::part_path(&self.parts.folder, job.status.id)).await?;
        if job.status.state == ExportState::Done {
            job.status.state = ExportState::Removed;
            self.parts.jobs.put_job(&job.row()?).await?;
        }
        Ok(())
    }

    /// Destroys a file whose row is gone, as it is after an older copy of the database was put back. Nothing says of which
    /// trial it is, so its key goes under each.
    async fn destroy_stray(&self, found: sweep::Finished) -> Result<(), DestroyError> {
        if let Some(export) = found.export() {
            let mut trials = self.parts.events.trials(None, TRIALS_AT_ONCE).await?;
            while let Some((last, _)) = trials.last().cloned() {
                for (trial, _) in trials {
                    self.parts.vault.destroy(&Scope::File(trial, export)).await?;
                }
                trials = self.parts.events.trials(Some(&last), TRIALS_AT_ONCE).await?;
            }
        }
        Ok(remove(found.path).await?)
    }

    async fn finished_files(&self) -> io::Result<Vec<sweep::Finished>> {
        let folder = self.parts.folder.clone();
        tokio::task::spawn_blocking(move || sweep::finished(&folder)).await.map_err(io::Error::other)?
    }
}

async fn remove(path: PathBuf) -> io::Result<()> {
    tokio::task::spawn_blocking(move || file::remove(&path)).await.map_err(io::Error::other)?
}

/// Tells those who work on datasets of a trial when it was recalled.
#[derive(Default)]
pub(crate) struct Recalls(Mutex<HashMap<TrialId, Arc<Datasets>>>);

/// What goes on with the datasets of one trial.
struct Datasets {
    recalled: watch::Sender<()>,
    /// Held to read by each that is being made, and to write by a recall.
    making: Arc<RwLock<()>>,
}

/// Whether a trial's datasets were recalled since this was made.
#[derive(Clone)]
pub(crate) struct Standing(watch::Receiver<()>);

/// The right to make a dataset, as of now. A recall waits until it is given back.
pub(crate) struct Making {
    pub(crate) standing: Standing,
    _lock: OwnedRwLockReadGuard<()>,
}

impl Recalls {
    /// From now on.
    pub(crate) fn standing(&self, trial: &TrialId) -> Standing {
        Standing(self.of(trial).recalled.subscribe())
    }

    /// Waits for the end of a recall, where one is under way.
    pub(crate) async fn making(&self, trial: &TrialId) -> Making {
        let lock = Arc::clone(&self.of(trial).making).read_owned().await;
        Making { standing: self.standing(trial), _lock: lock }
    }

    /// Stops all work on the trial's datasets; none begins before the answer is dropped.
    pub(crate) async fn recall(&self, trial: &TrialId) -> OwnedRwLockWriteGuard<()> {
        let datasets = self.of(trial);
        let none_is_made = Arc::clone(&datasets.making).write_owned();
        // It gets into the queue first, so that what stops does not begin anew ahead of it.
        let stop = async { datasets.recalled.send_replace(()) };
        tokio::join!(biased; none_is_made, stop).0
    }

    fn of(&self, trial: &TrialId) -> Arc<Datasets> {
        let mut trials = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Datasets { recalled: watch::Sender::new(()), making: Arc::default() });
        Arc::clone(trials.entry(trial.clone()).or_insert_with(new))
    }
}

impl Standing {
    pub(crate) fn is_recalled(&self) -> bool {
        // Without a sender the process is ending.
        self.0.has_changed().unwrap_or(false)
    }

    /// Waits for a recall.
    pub(crate) async fn recalled(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
