//! What the sealer knows of one witness: which size it is at. Each is at its own, and none is taken to move with another.

use std::sync::Arc;

use trialseal_seal::checkpoint::{Checkpoint, verify_cosignature};
use trialseal_seal::note::NoteSignature;
use trialseal_seal::policy::Policy;
use trialseal_seal::witness::AddCheckpoint;
use trialseal_store::{Store, StoreError, proofs};

use super::{Answer, Witness, WitnessError};
use crate::cosigner::Signed;
use crate::round::SealerParts;

/// How often a witness is asked for one checkpoint: without knowing its size, with the size that it says, and once more
/// where another process has moved it in between.
const TRIES: usize = 3;

/// A witness, and what is known of it.
pub(crate) struct Contact {
    witness: Arc<dyn Witness>,
    origin: String,
    /// What a checkpoint has to meet to be one that the log signed.
    log: Policy,
    /// The size of the tree that it cosigned last; where it is not known, the witness says.
    size: Option<u64>,
}

/// A witness's signature of a checkpoint, verified.
#[derive(Debug, Clone)]
pub(crate) struct Cosignature {
    pub(crate) line: NoteSignature,
    /// When the witness says it was made, POSIX seconds.
    pub(crate) time: u64,
}

/// Why a witness did not cosign.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContactError {
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// It shows a checkpoint of a larger tree, signed by this log.
    #[error("it has cosigned a checkpoint of size {0}, which is larger")]
    Ahead(u64),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Contact {
    pub(crate) fn new(witness: Arc<dyn Witness>, parts: &SealerParts) -> Self {
        let (origin, log) = (parts.store.origin().to_owned(), parts.policy.without_witnesses());
        Self { witness, origin, log, size: None }
    }

    pub(crate) fn name(&self) -> &str {
        &self.witness.named().name
    }

    /// What the witness shows of the log, where one of the log's keys signed it.
    ///
    /// # Errors
    /// Where it cannot be asked, or shows what this log never signed.
    pub(crate) async fn newest(&self) -> Result<Option<Checkpoint>, WitnessError> {
        let Some(note) = self.witness.newest(&self.origin).await? else { return Ok(None) };
        let checkpoint = self.log.check(&note).map(|accepted| accepted.checkpoint);
        checkpoint.map(Some).map_err(|refused| WitnessError::Strange(refused.to_string()))
    }

    /// Has a signed checkpoint cosigned.
    pub(crate) async fn cosign(
        &mut self,
        store: &dyn Store,
        signed: &Signed,
    ) -> Result<Cosignature, ContactError> {
        let size = signed.checkpoint.size;
        let mut old_size = self.size.unwrap_or(0);
        for _ in 0..TRIES {
            if old_size > size {
                return Err(self.is_ahead(size, old_size).await);
            }
            let proof = proofs::log_consistency(store, old_size, size).await?;
            let asked = AddCheckpoint { old_size, proof, note: signed.note.clone() };
            match self.witness.add_checkpoint(&asked).await? {
                Answer::Cosigned(lines) => {
                    let cosignature = self.verified(&signed.note.text, &lines)?;
                    self.size = Some(size);
                    return Ok(cosignature);
                }
                Answer::OtherSize(other) => old_size = other,
            }
        }
        self.size = None;
        Err(WitnessError::Strange("its size is another one each time".to_owned()).into())
    }

    /// A size alone is only said; a checkpoint of that size, signed by the log, is proof.
    async fn is_ahead(&self, size: u64, said: u64) -> ContactError {
        match self.newest().await {
            Ok(Some(shown)) if shown.size > size => ContactError::Ahead(shown.size),
            Ok(_) => {
                WitnessError::Strange(format!("it is at size {said}, and shows no checkpoint of it")).into()
            }
            Err(error) => error.into(),
        }
    }

    fn verified(&self, text: &str, lines: &str) -> Result<Cosignature, WitnessError> {
        let strange = |what: String| WitnessError::Strange(what);
        let key = &self.witness.named().key;
        let lines = lines.lines().map(NoteSignature::parse).collect::<Result<Vec<_>, _>>();
        let lines = lines.map_err(|refused| strange(refused.to_string()))?;
        let by_key = lines.into_iter().find(|line| line.is_by(key));
        let line = by_key.ok_or_else(|| strange("no signature of its key".to_owned()))?;
        let time = verify_cosignature(key, text, &line).map_err(|refused| strange(refused.to_string()))?;
        Ok(Cosignature { line, time })
    }
}
