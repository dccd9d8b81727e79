//! What a monitor checks while a ledger goes on: every seal against the one before it and against the heads under it,
//! every note against the seals, every event against its bracket (sections 4 to 6 of the format).
//!
//! That a head's root is that of the trial's events, and that it extends the former one, is for whoever holds the events
//! (a [`Frontier`] a trial) or asks for [`growth`](crate::growth) proofs.

use std::collections::{HashMap, HashSet};

use crate::event::Header;
use crate::hash::{Hash, Sha2, sha256};
use crate::map::{Head, TrialMap};
use crate::policy::{Accepted, Policy};
use crate::proof::dated_in_time;
use crate::refused::{At, Code, Refusals, Refused, Result, ensure};
use crate::seal::Seal;
use crate::tree::Frontier;

/// Follows one ledger from its first seal. After a refusal the checker stays where it was.
#[derive(Clone, Debug)]
pub struct LedgerChecker {
    policy: Policy,
    log: Frontier<Sha2>,
    map: TrialMap,
    events: u64,
    last: Option<Seal>,
    /// Tree sizes of the notes that a later seal may still name as prior, by SHA-256.
    notes: HashMap<Hash, u64>,
    /// The tree size of the note that the last seal names as prior; 0 while there is none.
    prior: u64,
}

impl LedgerChecker {
    /// A checker that has seen nothing yet, for a reader who trusts `policy`.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            log: Frontier::new(),
            map: TrialMap::new(),
            events: 0,
            last: None,
            notes: HashMap::new(),
            prior: 0,
        }
    }

    /// The newest seal seen.
    pub fn last(&self) -> Option<&Seal> {
        self.last.as_ref()
    }

    /// The trial map of the newest seal seen.
    pub fn map(&self) -> &TrialMap {
        &self.map
    }

    /// Takes the next seal. `heads` are those of all trials, or of those that changed since the last seal.
    pub fn seal(&mut self, seal: &Seal, heads: &[Head]) -> Result<()> {
        let place = || format!("seal {}", seal.seal);
        self.check_order(seal).at(place())?;
        let prior = self.prior_size(seal).at(place())?;
        let (map, events) = self.extended_map(heads).at(place())?;
        ensure(seal.trials == map.len() as u64 && seal.events == events, Code::SealCounts).at(place())?;
        ensure(seal.root == map.root(), Code::SealMap).at(place())?;
        (self.map, self.events, self.prior) = (map, events, prior);
        self.notes.retain(|_, size| *size >= prior);
        self.log.push(seal.leaf());
        self.last = Some(seal.clone());
        Ok(())
    }

    /// Takes the note filed under tree size `size`, right after the seal that makes the log that large.
    pub fn note(&mut self, size: u64, note: &str) -> Result<Accepted> {
        let place = || format!("note {size}");
        let accepted = self.policy.check(note).at(place())?;
        let checkpoint = &accepted.checkpoint;
        ensure(checkpoint.size == size && size == self.log.size(), Code::NoteSize).at(place())?;
        ensure(checkpoint.root == self.log.root(), Code::NoteOfAnotherTree).at(place())?;
        if let Some(last) = &self.last {
            ensure(checkpoint.origin == last.ledger, Code::AnotherLedger).at(place())?;
            ensure(dated_in_time(last, accepted.quorum_time), Code::SealAfterPublic).at(place())?;
        }
        self.notes.insert(sha256(note.as_bytes()), size);
        Ok(accepted)
    }

    fn check_order(&self, seal: &Seal) -> Result<()> {
        ensure(seal.seal == self.log.size(), Code::SealNumber)?;
        let Some(last) = &self.last else { return Ok(()) };
        ensure(seal.ledger == last.ledger, Code::AnotherLedger)?;
        ensure(seal.time >= last.time, Code::SealTime)
    }

    /// The tree size of the note that the seal names as prior. Notes that only became known later cannot be named: they
    /// are of a larger tree than the log was.
    fn prior_size(&self, seal: &Seal) -> Result<u64> {
        let size = match seal.prior {
            Hash::ZERO => 0,
            prior => *self.notes.get(&prior).ok_or_else(|| Refused::new(Code::PriorUnknown))?,
        };
        ensure(size >= self.prior, Code::PriorBack)?;
        Ok(size)
    }

    fn extended_map(&self, heads: &[Head]) -> Result<(TrialMap, u64)> {
        let mut map = self.map.clone();
        let mut events = self.events;
        let mut seen = HashSet::new();
        for head in heads {
            ensure(seen.insert(head.trial.as_str()), Code::HeadTwice)?;
            let former = map.get(&head.trial);
            let size = former.map_or(0, |former| former.size);
            let grown = former.is_none_or(|former| head.size > former.size || head == former);
            ensure(grown, Code::TrialShrank)?;
            events = events.saturating_add(head.size - size);
            if size < head.size {
                map.set(head);
            }
        }
        Ok((map, events))
    }
}

/// Checks an event's bracket (section 4): `after` is the seal that its `afterseal` names, `covering` is one of the two
/// seals that may be the first to cover it, and its time lies between theirs.
///
/// That the seals are in the log, and that `covering` does cover the event, is checked elsewhere.
pub fn check_bracket(header: &Header, after: Option<&Seal>, covering: &Seal) -> Result<()> {
    let mut refusals = Refusals::default();
    examine_bracket(header, after, covering, &mut refusals);
    refusals.first(())
}

/// Adds all that [`check_bracket`] could refuse.
pub(crate) fn examine_bracket(
    header: &Header,
    after: Option<&Seal>,
    covering: &Seal,
    refusals: &mut Refusals,
) {
    refusals.check(covering.ledger == header.source, Code::AnotherLedger);
    refusals.check(header.afterseal.is_some() == after.is_some(), Code::BracketIncomplete);
    if let Some((named, after)) = header.afterseal.zip(after) {
        let same = named.seal == after.seal && named.leaf == after.leaf();
        refusals.check(same, Code::AfterSealDiffers);
        refusals.check(after.ledger == header.source, Code::AnotherLedger);
        refusals.check(header.time >= after.time, Code::EventBeforeSeal);
    }
    let first = header.afterseal.map_or(0, |named| named.seal.saturating_add(1));
    let covers = (first..=first.saturating_add(1)).contains(&covering.seal);
    refusals.check(covers, Code::OutsideBracket);
    refusals.check(header.time <= covering.time, Code::EventAfterSeal);
}
