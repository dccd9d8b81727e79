//! Where copies of participants' data lie beside the record, and what is made of it.

use std::sync::Arc;

use async_trait::async_trait;
use trialseal_eraser::{Copies, ReadModels};
use trialseal_exporter::Exporter;
use trialseal_ingest::Ingest;
use trialseal_projector::{Model, Projector};
use trialseal_record::TrialId;

/// Datasets that were exported, and files that are being imported.
pub(crate) struct KeptFiles {
    pub(crate) exporter: Exporter,
    pub(crate) ingest: Arc<Ingest>,
}

#[async_trait]
impl Copies for KeptFiles {
    async fn destroy(&self, trial: &TrialId) -> Result<bool, String> {
        self.exporter.recall(trial).await.map_err(|error| error.to_string())?;
        // A file that came in is destroyed by the end of its import, which goes past the participant's rows.
        let open = self.ingest.has_open_imports(trial).await.map_err(|error| error.to_string())?;
        Ok(!open)
    }
}

/// The read models.
pub(crate) struct Projections(pub(crate) Arc<Projector>);

#[async_trait]
impl ReadModels for Projections {
    async fn rebuild(&self) -> Result<(), String> {
        self.0.rebuild(&Model::ALL).await.map_err(|error| error.to_string())
    }
}
