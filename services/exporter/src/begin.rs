//! Asking for an export: once under one key, and only while there is room.

use trialseal_record::ids::TrialId;
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_seal::canonical;
use trialseal_seal::hash::Hash;
use trialseal_seal::time::Timestamp;
use trialseal_store::proofs;
use uuid::{Builder, Uuid};

use crate::Exporter;
use crate::error::ExportError;
use crate::job::store_problem;
use crate::status::{ExportState, ExportStatus, Job, KIND, Shown};

/// Most exports of a ledger that are under way or wait. More would wait for hours, and be of an old seal by then.
pub(crate) const MAX_RUNNING: usize = 32;

/// Seconds after which asking again makes sense where there are so many.
const FULL_SECONDS: u32 = 30;

/// The name of the route, in ids and digests.
const ROUTE: &str = "exports";

/// What is asked for, and by whom.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) actor: String,
    pub(crate) trial: TrialId,
    /// Whose values the caller may have.
    pub(crate) shown: Shown,
    pub(crate) wanted: Wanted,
    /// The caller's name for this request.
    pub(crate) key: Option<String>,
}

/// What is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// What the dataset is for.
    pub(crate) purpose: Option<String>,
    /// Whether to add tables to the record.
    pub(crate) tables: bool,
}

/// How an export stands, and whether it was begun by an earlier request.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) status: ExportStatus,
    pub(crate) replayed: bool,
}

/// What follows from a caller's key: the export's id, and the keyed digest of what was asked for.
struct Named {
    id: Uuid,
    digest: Hash,
}

impl Exporter {
    /// Begins an export as of the newest published seal, or finds the one that the same request began.
    pub(crate) async fn begin(&self, order: Order) -> Result<Begun, Problem> {
        let exporter = self.clone();
        // In a task of its own: a caller who hangs up must not leave a job that is kept and never started.
        let begun = tokio::spawn(async move { exporter.take(order).await }).await;
        begun.map_err(|error| Problem::internal(&error))?
    }

    async fn take(&self, order: Order) -> Result<Begun, Problem> {
        let _turn = self.beginning.lock().await;
        let named = order.key.as_deref().map(|key| self.name(&order, key));
        if let Some(named) = &named
            && let Some(status) = self.begun_before(named, &order.trial).await?
        {
            return Ok(Begun { status, replayed: true });
        }
        let seal = self.snapshot(&order.trial).await?;
        self.require_room().await?;
        self.sweep().await;
        let job = self.job(order, named, seal);
        self.keep(&job).await.map_err(|error| store_problem(&error))?;
        let status = job.status.clone();
        self.start(job);
        Ok(Begun { status, replayed: false })
    }

    /// Within an actor and a trial, one key is one export; a key of a command may be the same, for it holds no line end.
    fn name(&self, order: &Order, key: &str) -> Named {
        let Order { actor, trial, shown, wanted: Wanted { purpose, tables }, .. } = order;
        let command = self.parts.vault.command_id(actor, &format!("{trial}/{ROUTE}\n{key}"));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(command.split_at(16).0);
        let content = serde_json::json!({ "purpose": purpose, "tables": tables, "shown": shown });
        let content = [ROUTE.as_bytes(), trial.as_str().as_bytes(), &canonical::to_vec(&content)];
        Named {
            id: Builder::from_custom_bytes(bytes).into_uuid(),
            digest: Hash::from_bytes(self.parts.vault.digest(&content)),
        }
    }

    /// How the export stands that was begun under this name, if one was.
    async fn begun_before(&self, named: &Named, trial: &TrialId) -> Result<Option<ExportStatus>, Problem> {
        let problem = |error| store_problem(&ExportError::Store(error));
        let Some(row) = self.parts.jobs.job(named.id).await.map_err(problem)? else { return Ok(None) };
        let job = Job::read(&row).map_err(problem)?;
        if row.kind != KIND || row.trial != *trial || job.digest != Some(named.digest) {
            let detail = "This Idempotency-Key was used before, with other content.";
            return Err(Problem::new(ProblemKind::Conflict, detail));
        }
        Ok(Some(self.as_it_stands(job).await.status))
    }

    fn job(&self, order: Order, named: Option<Named>, seal: u64) -> Job {
        let now = self.parts.clock.now();
        let status = ExportStatus {
            id: named.as_ref().map_or_else(|| self.parts.ids.uuid_v7(now), |named| named.id),
            trial: order.trial,
            state: ExportState::Running,
            purpose: order.wanted.purpose,
            tables: order.wanted.tables,
            shown: order.shown,
            seal,
            requested_at: Timestamp::from_micros(now),
            events: 0,
            withheld: 0,
            bytes: None,
            sha256: None,
            problem: None,
        };
        Job { status, actor: order.actor, key: None, file: None, digest: named.map(|named| named.digest) }
    }

    /// The newest published seal, if it covers the trial.
    async fn snapshot(&self, trial: &TrialId) -> Result<u64, Problem> {
        let seals = self.parts.seals.as_ref();
        let not_yet = || {
            Problem::new(ProblemKind::NotYetSealed, "No published seal covers this trial yet.")
                .with_retry_after_seconds(1)
        };
        let problem = |error| store_problem(&ExportError::Store(error));
        let seal = proofs::newest_published(seals).await.map_err(problem)?.ok_or_else(not_yet)?;
        seals.sealed_head(trial, seal).await.map_err(problem)?.ok_or_else(not_yet)?;
        Ok(seal)
    }

    async fn require_room(&self) -> Result<(), Problem> {
        let open = self.open().await.map_err(|error| store_problem(&ExportError::Store(error)))?;
        let running = open.iter().filter(|job| job.status.state == ExportState::Running).count();
        if running < MAX_RUNNING {
            return Ok(());
        }
        let detail = format!("{running} exports are under way or waiting, and no more can.");
        Err(Problem::new(ProblemKind::Busy, detail).with_retry_after_seconds(FULL_SECONDS))
    }

    /// Destroys the files whose time has come. Where that fails, the operator learns of it and the export goes on.
    pub(crate) async fn sweep(&self) {
        match self.destroy_due().await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "exporter.folder.sweep"),
            Err(error) => tracing::error!(%error, "exporter.folder.sweep"),
        }
    }
}
