//! The loop: from a model's checkpoint to the newest event, and keeping up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use trialseal_runtime::shutdown::Shutdown;
use trialseal_store::{Events, ModelRow, Models, Progress, StoreError};
use trialseal_vault::Vault;

use crate::batch::{BATCH_EVENTS, Batch};
use crate::error::ProjectorError;
use crate::model::Model;

/// How long to wait for news when nothing signals it, as in a process of its own.
const POLL: Duration = Duration::from_millis(500);
/// Events in one transaction while others are being recorded: whoever records waits for its end, in SQLite for the lock and
/// in PostgreSQL for the disk.
const SMALL_BATCH_EVENTS: u32 = 500;
/// How long to wait at least after a pass that came to the end, while events are being recorded: each pass costs a fixed
/// number of questions and commits, whatever it finds.
const PACE: Duration = Duration::from_millis(50);
/// How many times as long as a pass took to wait after it while events are being recorded: recording comes first, and
/// what has to be folded can wait.
const SHARE: u32 = 2;
/// How long to wait after a failure.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(2);

/// What a projector is made of.
pub struct ProjectorParts {
    /// The record.
    pub events: Arc<dyn Events>,
    /// The read models.
    pub models: Arc<dyn Models>,
    /// Keys of events and documents.
    pub vault: Arc<Vault>,
    /// Tells when something was recorded.
    pub progress: Arc<Progress>,
}

/// How a read model stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelStatus {
    /// The ledger position of the next event to fold.
    pub position: u64,
    /// How many events are recorded and not folded yet.
    pub lag_events: u64,
    /// Why folding does not go on, where it does not.
    pub error: Option<String>,
}

/// Keeps the read models up with the record.
pub struct Projector {
    pub(crate) parts: Arc<ProjectorParts>,
    status: Mutex<BTreeMap<&'static str, ModelStatus>>,
}

impl Projector {
    /// A projector that has not begun.
    pub fn new(parts: ProjectorParts) -> Self {
        Self { parts: Arc::new(parts), status: Mutex::default() }
    }

    /// How each model stood when it was last looked at, by name.
    pub fn status(&self) -> BTreeMap<&'static str, ModelStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Folds until asked to stop. A failure is shown in [`Projector::status`], and tried again after a while.
    pub async fn run(&self, shutdown: Shutdown) {
        let mut recorded = self.parts.progress.recorded();
        let mut crowded = false;
        loop {
            // What is recorded from here on wakes the wait below.
            recorded.borrow_and_update();
            let began = Instant::now();
            let events = if crowded { SMALL_BATCH_EVENTS } else { BATCH_EVENTS };
            let folded = self.step_by(events).await;
            crowded = recorded.has_changed().unwrap_or(false);
            let pause = match folded {
                Err(_) => PAUSE_AFTER_FAILURE,
                Ok(lag) if crowded && lag >= SMALL_BATCH_EVENTS.into() => began.elapsed() * SHARE,
                Ok(_) if crowded => PACE.max(began.elapsed() * SHARE),
                Ok(0) => POLL,
                Ok(_) => Duration::ZERO,
            };
            tokio::select! {
                () = shutdown.requested() => return,
                () = tokio::time::sleep(pause) => {}
                Ok(()) = recorded.changed(), if pause == POLL => {}
            }
        }
    }

    /// Folds one batch into each model. Answers whether there may be more to fold.
    ///
    /// # Errors
    /// The last model's that failed; the others go on all the same.
    pub async fn step(&self) -> Result<bool, ProjectorError> {
        Ok(self.step_by(BATCH_EVENTS).await? > 0)
    }

    /// Folds at most so many events into each model. Answers how many are left for the one that is farthest behind.
    async fn step_by(&self, events: u32) -> Result<u64, ProjectorError> {
        let mut batch = Batch::default();
        let mut left = Ok(0);
        for model in Model::ALL {
            match self.step_model(model, &mut batch, events).await {
                Ok(lag) => left = left.map(|left: u64| left.max(lag)),
                // Another process was faster, or a rebuilt generation took over: read again where the model stands.
                Err(ProjectorError::Store(StoreError::Overtaken(_))) => left = left.map(|left| left.max(1)),
                Err(error) => {
                    tracing::error!(model = model.name(), %error, "projector.model.fold");
                    metrics::counter!("trialseal_projection_failures_total", "model" => model.name())
                        .increment(1);
                    self.note(model, |status| status.error = Some(error.to_string()));
                    left = Err(error);
                }
            }
        }
        left
    }

    async fn step_model(&self, model: Model, batch: &mut Batch, events: u32) -> Result<u64, ProjectorError> {
        let standing = self.active(model).await?;
        if batch.is_empty() || batch.from() != standing.position {
            *batch = Batch::read(&self.parts, standing.position, events).await?;
        }
        let position = batch.fold_into(&self.parts, model, standing.generation).await?;
        let recorded = self.parts.events.head().await?.position;
        let lag_events = recorded.saturating_sub(position);
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; positions stay far below 2^52")]
        metrics::gauge!("trialseal_projection_lag_events", "model" => model.name()).set(lag_events as f64);
        self.note(model, |status| *status = ModelStatus { position, lag_events, error: None });
        Ok(lag_events)
    }

    /// The generation that readers use; the first one is made here.
    pub(crate) async fn active(&self, model: Model) -> Result<ModelRow, ProjectorError> {
        let active = |rows: Vec<ModelRow>| rows.into_iter().find(|row| row.active);
        if let Some(row) = active(self.parts.models.generations(model.name()).await?) {
            return Ok(row);
        }
        self.parts.models.new_generation(model.name()).await?;
        let row = active(self.parts.models.generations(model.name()).await?);
        Ok(row.ok_or_else(|| {
            StoreError::Damaged(format!("read model {} has no active generation", model.name()))
        })?)
    }

    /// Reads events as they are read for folding: checked, decrypted, parsed.
    ///
    /// # Errors
    /// [`ProjectorError`]; what is damaged is named.
    pub async fn read(&self, from: u64) -> Result<Batch, ProjectorError> {
        Batch::read(&self.parts, from, BATCH_EVENTS).await
    }

    fn note(&self, model: Model, change: impl FnOnce(&mut ModelStatus)) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        change(status.entry(model.name()).or_default());
    }
}
