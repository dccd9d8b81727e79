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
    /// The newest tree size that a seal's `prior` named, 0 while there was none; and the last `prior` named.
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
        check.notes.seal(index, seal.time);
        self.prior(check, &record, index, seal);
    }

    /// Finds the note that `prior` names: of a larger size than the last one named, and at most the seal's number.
    fn prior(&mut self, check: &mut Check<'_>, record: &str, index: u64, seal: &Seal) {
        let (named, hash) = self.prior;
        if seal.prior == hash {
            return;
        }
        if seal.prior == Hash::ZERO {
            check.report.broken(record, "prior-back", "it names no prior note, though an earlier seal does");
            return;
        }
        match check.notes.size(&seal.prior) {
            Some(size) if size > named => self.prior = (size, seal.prior),
            Some(_) => {
                let message = "it names an older note as prior than an earlier seal does";
                check.report.broken(record, "prior-back", message);
            }
            None => self.unknown_prior(check, record, index, seal.prior),
        }
    }

    /// A `prior` that is no note's that could be read: it may be that of one that could not.
    fn unknown_prior(&mut self, check: &mut Check<'_>, record: &str, index: u64, prior: Hash) {
        if let Some(notes) = check.notes.unread(self.prior.0 + 1, index) {
            let message = format!("that its prior is the hash of a note cannot be told without {notes}");
            check.report.missing(record, "prior-not-found", message);
            // Later seals that name the same note lack the same.
            self.prior.1 = prior;
        } else {
            let message = "its prior is that of no note between the last one named and this seal";
            check.report.broken(record, "prior-unknown", message);
        }
    }
}
