//! The notes that met the publication policy: of each size the first one, recorded and published, and the newest as the
//! log's checkpoint.

use std::sync::Arc;

use trialseal_seal::checkpoint::Checkpoint;
use trialseal_seal::policy::Policy;
use trialseal_seal::tiles::note_path;
use trialseal_store::{Store, StoreError};

use crate::error::SealError;
use crate::publication::Publication;
use crate::round::SealerParts;

/// The path of the newest checkpoint below the log's prefix.
const CHECKPOINT: &str = "checkpoint";

#[derive(Clone)]
pub(crate) struct Notes {
    store: Arc<dyn Store>,
    place: Arc<dyn Publication>,
    /// What a checkpoint has to meet before any witness has seen it.
    log: Policy,
}

impl Notes {
    pub(crate) fn new(parts: &SealerParts) -> Self {
        let (store, place) = (Arc::clone(&parts.store), Arc::clone(&parts.place));
        Self { store, place, log: parts.policy.without_witnesses() }
    }

    /// Publishes a note that meets the policy, unless another one of its size did before: then that one.
    ///
    /// A crash after the first step leaves the note recorded and the old checkpoint published; both are true, and the
    /// same call makes it whole.
    pub(crate) async fn publish(&self, checkpoint: &Checkpoint, note: &[u8]) -> Result<(), SealError> {
        let size = checkpoint.size;
        let note = self.store.put_note(size, note).await?;
        self.place.put(&note_path(size), note.clone()).await?;
        self.put_checkpoint(checkpoint, note).await
    }

    /// Replaces the published checkpoint, but never by an older one: a process that stood still for a while must not
    /// take back what another has published since. Where it stands still between the two lines below it still does; the
    /// other's next checkpoint mends that, and a start in between publishes the same sizes again.
    async fn put_checkpoint(&self, checkpoint: &Checkpoint, note: Vec<u8>) -> Result<(), SealError> {
        if let Some(published) = self.published().await? {
            let size = checkpoint.size;
            if published.size == size && published.root != checkpoint.root {
                return Err(SealError::Fork(format!("another checkpoint of size {size} is published")));
            }
            if published.size > size {
                return Err(StoreError::Overtaken(format!("the published checkpoint of size {size}")).into());
            }
        }
        self.place.put(CHECKPOINT, note).await
    }

    /// The published checkpoint, if there is one.
    ///
    /// # Errors
    /// [`SealError::Fork`] where none of this ledger's keys signed it.
    pub(crate) async fn published(&self) -> Result<Option<Checkpoint>, SealError> {
        let Some(note) = self.place.get(CHECKPOINT).await? else { return Ok(None) };
        let fork =
            |what: String| SealError::Fork(format!("the published checkpoint is not this ledger's: {what}"));
        let note = std::str::from_utf8(&note).map_err(|error| fork(error.to_string()))?;
        let accepted = self.log.check(note).map_err(|error| fork(error.to_string()))?;
        Ok(Some(accepted.checkpoint))
    }
}
