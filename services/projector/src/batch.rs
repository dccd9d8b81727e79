use trialseal_record::view::{DataView, Overview, ParticipantView, TimelineEntry};
use trialseal_store::StoreError;

use crate::decoded::Decoded;
use crate::error::ProjectorError;
use crate::fold::fold;
use crate::model::Model;
use crate::projector::ProjectorParts;

/// Events in one transaction: enough that a commit is cheap per event, few enough to hold in memory decrypted.
pub(crate) const BATCH_EVENTS: u32 = 4_000;

/// Events that follow each other, ready to be folded. Models that stand at the same position share them.
#[derive(Default)]
pub struct Batch {
    from: u64,
    events: Vec<Decoded>,
}

impl Batch {
    /// Reads at most so many events.
    pub(crate) async fn read(parts: &ProjectorParts, from: u64, events: u32) -> Result<Self, ProjectorError> {
        let rows = parts.events.since_position(from, events).await?;
        for (row, position) in rows.iter().zip(from..) {
            if row.position != position {
                return Err(StoreError::Damaged(format!("event {position} of the ledger is missing")).into());
            }
        }
        Ok(Self { from, events: Decoded::read_all(&parts.vault, rows).await? })
    }

    /// The ledger position of the first event.
    pub fn from(&self) -> u64 {
        self.from
    }

    /// The ledger position after the last event.
    pub fn end(&self) -> u64 {
        self.from + self.events.len() as u64
    }

    /// Whether there was nothing to read.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Folds the events into a generation that stands where they begin; answers the position after them.
    pub(crate) async fn fold_into(
        &self,
        parts: &ProjectorParts,
        model: Model,
        generation: u32,
    ) -> Result<u64, ProjectorError> {
        if self.is_empty() {
            return Ok(self.from);
        }
        let (vault, models, events) = (parts.vault.as_ref(), parts.models.as_ref(), &self.events);
        let docs = match model {
            Model::Overview => fold::<Overview>(vault, models, generation, events).await?,
            Model::Participants => fold::<ParticipantView>(vault, models, generation, events).await?,
            Model::Timeline => fold::<TimelineEntry>(vault, models, generation, events).await?,
            Model::Data => fold::<DataView>(vault, models, generation, events).await?,
        };
        let mut tx = models.begin_model(model.name(), generation, self.from).await?;
        tx.put(&docs).await?;
        // A crash before the commit leaves documents and checkpoint as they were; after it, both have moved.
        tx.commit(self.end()).await?;
        Ok(self.end())
    }
}
