//! Receipts, growth and absence (sections 7 and 8 of the format), put together from what `trialseal_store::proofs` reads.
//!
//! Each is verified under the ledger's own policy before it goes out: what is damaged is found here, not by its reader.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use trialseal_record::ids::TrialId;
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_seal::absence::Absence;
use trialseal_seal::data::Disclosure;
use trialseal_seal::event::Header;
use trialseal_seal::growth::Growth;
use trialseal_seal::hash::{Hash, sha256};
use trialseal_seal::map::TrialMap;
use trialseal_seal::proof::HeadProof;
use trialseal_seal::receipt::{After, Bracket, Cover, Receipt};
use trialseal_seal::seal::Seal;
use trialseal_store::{EventRow, StoreError, proofs};

use crate::Query;
use crate::problems::{damaged, not_found, not_yet_sealed, store};

/// Trial maps that are kept: receipts are mostly asked for under the newest few seals. A map of 10,000 trials takes
/// some 3 MB.
const KEPT_MAPS: NonZeroUsize = match NonZeroUsize::new(4) {
    Some(count) => count,
    None => NonZeroUsize::MIN,
};

/// How many notes back the one is looked for that a seal names as its prior. Publication lags by a seal or two; only
/// while its place was away is it more, and this is an hour of that at one seal a second.
const MAX_PRIOR_DISTANCE: usize = 3_600;
/// Notes that are read at once for that.
const PRIOR_NOTES: u32 = 100;

/// The maps of the seals asked for last, by seal number.
pub(crate) struct Maps(Mutex<LruCache<u64, Arc<TrialMap>>>);

impl Maps {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::new(KEPT_MAPS)))
    }

    fn get(&self, seal: u64) -> Option<Arc<TrialMap>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&seal).cloned()
    }

    fn put(&self, seal: u64, map: &Arc<TrialMap>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(seal, Arc::clone(map));
    }
}

impl Query {
    /// The receipt of an event whose header was checked, with its bracket (section 7).
    ///
    /// # Errors
    /// `not-yet-sealed` until a published seal covers the event; `damaged` where what is stored does not prove it.
    pub(crate) async fn receipt(
        &self,
        row: &EventRow,
        header: Header,
        fields: Option<Disclosure>,
    ) -> Result<Receipt, Problem> {
        let cover = self.cover(row).await?;
        let after = match header.afterseal {
            Some(named) => Some(self.after(named.seal).await?),
            None => None,
        };
        let receipt =
            Receipt { header, cover: cover.clone(), fields, bracket: Some(Bracket { after, before: cover }) };
        receipt.verify(self.policy()).map_err(|why| {
            damaged(&format!(
                "the receipt of event {} of trial {} does not hold: {why}",
                row.trialseq, row.trial
            ))
        })?;
        Ok(receipt)
    }

    /// The event under the first seal that covers it, which gives the tightest time.
    async fn cover(&self, row: &EventRow) -> Result<Cover, Problem> {
        let (events, seals) = (self.parts.events.as_ref(), self.parts.seals.as_ref());
        let unsealed = || not_yet_sealed(format!("No published seal covers event {} yet.", row.trialseq));
        let number =
            seals.seal_covering(&row.trial, row.trialseq).await.map_err(store)?.ok_or_else(unsealed)?;
        let head = self.head(&row.trial, number).await?.ok_or_else(unsealed)?;
        let trial_proof = proofs::trial_inclusion(seals, events, &head.head, row.trialseq, &row.leaf)
            .await
            .map_err(store)?;
        Ok(Cover { trial_proof, head })
    }

    /// The seal that existed when an event was recorded, and the note that it names as its prior.
    async fn after(&self, number: u64) -> Result<After, Problem> {
        let seals = self.parts.seals.as_ref();
        let seal = self.seal(number).await?;
        let prior_note = if seal.prior == Hash::ZERO { None } else { Some(self.prior_note(&seal).await?) };
        let proof = proofs::seal_proof(seals, &seal).await.map_err(store)?;
        let seal = proof.ok_or_else(|| not_yet_sealed(format!("Seal {number} is not published yet.")))?;
        Ok(After { seal, prior_note })
    }

    /// The note whose SHA-256 a seal names: of its own number as tree size, or a little before.
    async fn prior_note(&self, seal: &Seal) -> Result<String, Problem> {
        let mut until = seal.seal;
        for _ in 0..MAX_PRIOR_DISTANCE.div_ceil(PRIOR_NOTES as usize) {
            let notes = self.parts.seals.notes_until(until, PRIOR_NOTES).await.map_err(store)?;
            until = notes.last().map_or(0, |(size, _)| size.saturating_sub(1));
            if let Some((size, note)) = notes.into_iter().find(|(_, note)| sha256(note) == seal.prior) {
                return String::from_utf8(note)
                    .map_err(|_| damaged(&format!("the checkpoint note of size {size} is no text")));
            }
        }
        Err(damaged(&format!("the note that seal {} names as its prior is not there", seal.seal)))
    }

    /// The trial's head under a seal; `None` while the seal is not published, or where the trial is not under it.
    async fn head(&self, trial: &TrialId, number: u64) -> Result<Option<HeadProof>, Problem> {
        let seal = self.seal(number).await?;
        let map = self.map(&seal).await?;
        proofs::head_proof(self.parts.seals.as_ref(), &map, trial, &seal).await.map_err(store)
    }

    /// The proof that the trial's record under seal `to` begins with that under seal `from` (section 8).
    pub(crate) async fn growth(&self, trial: &TrialId, from: u64, to: u64) -> Result<Growth, Problem> {
        if from > to {
            let detail = format!("Growth goes from a seal to a later one, not from {from} to {to}.");
            return Err(Problem::new(ProblemKind::Invalid, detail));
        }
        self.published(to).await?;
        let under = |number: u64| move || not_found(format!("The trial has no event under seal {number}."));
        let from = self.head(trial, from).await?.ok_or_else(under(from))?;
        let to = self.head(trial, to).await?.ok_or_else(under(to))?;
        let (events, seals) = (self.parts.events.as_ref(), self.parts.seals.as_ref());
        let consistency =
            proofs::trial_consistency(seals, events, &from.head, &to.head).await.map_err(store)?;
        let growth = Growth { from, to, consistency };
        growth
            .verify(self.policy())
            .map_err(|why| damaged(&format!("the growth of trial {trial}: {why}")))?;
        Ok(growth)
    }

    /// The proof that no trial of this id is under a seal (section 8).
    pub(crate) async fn absence(&self, trial: &TrialId, number: u64) -> Result<Absence, Problem> {
        self.published(number).await?;
        let seal = self.seal(number).await?;
        let map = self.map(&seal).await?;
        let Some((other, head_proof)) = map.prove_absent(trial.as_str()) else {
            let detail = format!("Trial {trial} is under seal {number}: that it is absent cannot be proved.");
            return Err(Problem::new(ProblemKind::Invalid, detail));
        };
        let proof = proofs::seal_proof(self.parts.seals.as_ref(), &seal).await.map_err(store)?;
        let seal = proof.ok_or_else(|| not_yet_sealed(format!("Seal {number} is not published yet.")))?;
        let absence = Absence { trial: trial.to_string(), other, head_proof, seal };
        absence
            .verify(self.policy())
            .map_err(|why| damaged(&format!("the absence of trial {trial}: {why}")))?;
        Ok(absence)
    }

    /// The newest published seal.
    pub(crate) async fn newest_published(&self) -> Result<Option<u64>, Problem> {
        proofs::newest_published(self.parts.seals.as_ref()).await.map_err(store)
    }

    /// The newest seal that the log has signed for.
    pub(crate) async fn newest_signed(&self) -> Result<Option<u64>, Problem> {
        let newest = self.parts.seals.newest_checkpoint().await.map_err(store)?;
        Ok(newest.and_then(|(size, _)| size.checked_sub(1)))
    }

    /// Refuses the number of a seal that is not published.
    async fn published(&self, number: u64) -> Result<(), Problem> {
        match self.newest_published().await? {
            Some(newest) if number <= newest => Ok(()),
            _ => Err(not_found(format!("There is no published seal {number} yet."))),
        }
    }

    async fn seal(&self, number: u64) -> Result<Seal, Problem> {
        let seal = proofs::seal(self.parts.seals.as_ref(), number).await.map_err(store)?;
        seal.ok_or_else(|| store(StoreError::Damaged(format!("seal {number} is missing"))))
    }

    async fn map(&self, seal: &Seal) -> Result<Arc<TrialMap>, Problem> {
        if let Some(map) = self.maps.get(seal.seal) {
            return Ok(map);
        }
        let map = Arc::new(proofs::trial_map(self.parts.seals.as_ref(), seal).await.map_err(store)?);
        self.maps.put(seal.seal, &map);
        Ok(map)
    }
}
