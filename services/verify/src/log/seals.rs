//! The rules that hold from seal to seal (section 5 of the format), as far as the log alone can show them.

use trialseal_seal::hash::Hash;
use trialseal_seal::seal::Seal;
use trialseal_seal::time::Timestamp;

use super::Check;

/// What the next seal is compared with.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    ledger: Option<String>,
    time: Option<Timestamp>,
    events: u64,
    trials: u64,
    /// The newest tree size that a seal's `prior` named, 0 while there was none; and the SHA-256 of that size's note.
    prior: (u64, Hash),
}

impl Sequence {
    /// The time of the newest seal.
    pub(super) fn time(&self) -> Option<Timestamp> {
        self.time
    }

    /// Checks the seal that stands at `index` of the log against those before it.
    pub(super) fn next(&mut self, check: &mut Check<'_>, index: u64, seal: &Seal) {
        let record = format!("seal {index}");
        let origin = self.ledger.get_or_insert_with(|| check.origin.clone());
        let mut rule = |holds: bool, code, message| {
            if !holds {
                check.report.broken(&record, code, message);
            }
        };
        rule(seal.seal == index, "seal-number", "its number is not its place in the log");
        rule(seal.ledger == *origin, "another-ledger", "it belongs to another ledger");
        rule(
            self.time.is_none_or(|time| seal.time >= time),
            "seal-time",
            "it is dated before the seal before it",
        );
        rule(seal.events >= self.events, "seal-counts", "the number of events goes back");
        rule(seal.trials >= self.trials, "seal-counts", "the number of trials goes back");
        (self.time, self.events, self.trials) = (self.time.max(Some(seal.time)), seal.events, seal.trials);
        self.prior(check, &record, index, seal);
    }

    /// Finds the note that `prior` names: of a size that is not below the last one named, and at most the seal's number.
    /// In a sound log every note is read once here, so the search costs nothing that grows with the log.
    fn prior(&mut self, check: &mut Check<'_>, record: &str, index: u64, seal: &Seal) {
        let (named, hash) = self.prior;
        if seal.prior == hash {
            return;
        }
        if seal.prior == Hash::ZERO {
            check.report.broken(record, "prior-back", "it names no prior note, though an earlier seal does");
            return;
        }
        // The newest note is the likeliest one.
        for size in (named + 1..=index).rev().take(MAX_PRIOR_SEARCH) {
            if let Some(found) = check.note_hash(size).filter(|found| *found == seal.prior) {
                self.prior = (size, found);
                return;
            }
        }
        if index - named > MAX_PRIOR_SEARCH as u64 {
            let message =
                format!("its prior is that of none of the newest {MAX_PRIOR_SEARCH} notes before it");
            check.report.missing(record, "prior-not-found", message);
        } else {
            let message = "its prior is that of no note between the last one named and this seal";
            check.report.broken(record, "prior-unknown", message);
        }
    }
}

/// How many tree sizes before a seal are searched for its prior note, so that a log of wrong ones ends in good time.
const MAX_PRIOR_SEARCH: usize = 10_000;
