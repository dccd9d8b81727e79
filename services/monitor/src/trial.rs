//! Following a trial: its heads under the seals, and its events against them (sections 4, 5 and 8 of the format).

mod events;

use std::collections::BTreeMap;

use serde_json::Value;
use trialseal_seal::canonical;
use trialseal_seal::event::valid_trial_id;
use trialseal_seal::growth::Growth;
use trialseal_seal::hash::{Hash, Sha3};
use trialseal_seal::map::Head;
use trialseal_seal::proof::HeadProof;
use trialseal_seal::time::Timestamp;
use trialseal_seal::tree::Frontier;

use self::events::Events;
use crate::finding::{Finding, Step};
use crate::log::{Log, examine};
use crate::place::{Answer, Place};

/// How far a trial was followed.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrialPlace {
    /// The seal that it was followed to.
    pub(crate) seal: u64,
    /// The tree over its events.
    pub(crate) tree: Frontier<Sha3>,
    /// When the newest event was recorded.
    pub(crate) time: Option<Timestamp>,
    /// The last place of each stream, by the SHA-256 of its name.
    pub(crate) streams: BTreeMap<Hash, u32>,
}

/// What is known of a trial after a pass.
pub(crate) struct Followed {
    pub(crate) place: TrialPlace,
    /// How many events are new.
    pub(crate) new_events: u64,
    /// Findings about single events; where there are any, the place is not to be saved.
    pub(crate) findings: Vec<Finding>,
}

/// Follows one trial to the newest published seal. `None` where it has no event under a seal yet.
///
/// `reread` reads the events before the saved place as well, all of them.
pub(crate) fn follow(
    ledger: &dyn Place,
    log: &Log<'_>,
    trial: &str,
    saved: Option<&TrialPlace>,
    reread: bool,
) -> Step<Option<Followed>> {
    let reader = Reader { ledger, log, trial };
    if !valid_trial_id(trial) {
        return Err(Finding::cannot_tell("trial-id", reader.record(), "this is no trial's id"));
    }
    let Some(newest) = log.checkpoint.size.checked_sub(1) else { return Ok(None) };
    let from = saved.map_or(newest, |saved| saved.seal);
    let Some((growth, text)) = reader.growth(from, newest)? else {
        if saved.is_none() {
            return Ok(None);
        }
        let message =
            format!("the ledger shows nothing of it any more, though it had events under seal {from}");
        return Err(Finding::alarm("trial-gone", reader.record(), message));
    };
    if let Some(saved) = saved
        && (growth.from.head.size, growth.from.head.root) != (saved.tree.size(), saved.tree.root())
    {
        let message = format!("its head under seal {from} is another one than was seen before");
        return Err(Finding::alarm("two-heads", reader.record(), message).with("growth.json", text));
    }
    let begun = saved.filter(|_| !reread).cloned().unwrap_or_default();
    let watched_from = saved.map_or(growth.to.head.size, |saved| saved.tree.size());
    let mut events = Events::new(&reader, begun, growth.to.clone(), watched_from);
    let read = events.read().and_then(|()| events.finish(&text));
    let mut findings = events.take_findings();
    findings.extend(read.err());
    let mut place = events.into_place();
    place.seal = newest;
    let before = saved.map_or(0, |saved| saved.tree.size());
    Ok(Some(Followed { new_events: place.tree.size().saturating_sub(before), place, findings }))
}

/// Asks for one trial.
pub(crate) struct Reader<'a> {
    ledger: &'a dyn Place,
    pub(crate) log: &'a Log<'a>,
    pub(crate) trial: &'a str,
}

impl Reader<'_> {
    pub(crate) fn record(&self) -> String {
        format!("trial {}", self.trial)
    }

    /// Asks a route of the trial. What the ledger calls damaged is an alarm; `None` is for what is not there.
    pub(crate) fn ask(&self, route: &str) -> Step<Option<Vec<u8>>> {
        let path = format!("v1/trials/{}/{route}", self.trial);
        let cannot =
            |why: String| Finding::cannot_tell("unreadable", self.record(), format!("{route}: {why}"));
        let Answer { status, body } =
            self.ledger.get(&path).map_err(|error| cannot(format!("no answer: {error}")))?;
        let kind = serde_json::from_slice::<Value>(&body).ok().filter(|_| status == 500);
        let is_damaged = kind
            .is_some_and(|problem| problem["type"].as_str().is_some_and(|kind| kind.ends_with(":damaged")));
        match status {
            200 => Ok(Some(body)),
            404 => Ok(None),
            _ if is_damaged => {
                let message = format!("the ledger says itself that what it has stored is damaged ({route})");
                Err(Finding::alarm("damaged", self.record(), message).with("answer.json", body))
            }
            status => Err(cannot(format!("the answer is HTTP {status}"))),
        }
    }

    /// Reads JSON strictly.
    pub(crate) fn json(&self, route: &str, body: &[u8]) -> Step<Value> {
        canonical::parse(body, canonical::MAX_DEPTH).map_err(|refused| {
            let finding = Finding::refused(format!("{} ({route})", self.record()), &refused);
            finding.with("answer.json", body)
        })
    }

    /// The proof that the trial's head under seal `to` extends the one under seal `from`, verified, with both heads held
    /// against the log; and the answer as it came. `None` where the trial is not under `from`.
    pub(crate) fn growth(&self, from: u64, to: u64) -> Step<Option<(Growth, Vec<u8>)>> {
        let route = format!("growth?from={from}&to={to}");
        let Some(body) = self.ask(&route)? else { return Ok(None) };
        let refused = |refused: &trialseal_seal::Refused| {
            Finding::refused(self.record(), refused).with("growth.json", body.clone())
        };
        let growth = Growth::parse(&body).map_err(|why| refused(&why))?;
        growth.verify(self.log.policy).map_err(|why| refused(&why))?;
        let asked =
            growth.to.head.trial == self.trial && (growth.from.seal.seal, growth.to.seal.seal) == (from, to);
        if !asked {
            let message = "the ledger answers with the proof of another trial or of other seals";
            return Err(Finding::alarm("another-proof", self.record(), message).with("growth.json", body));
        }
        self.in_log(&growth.from, &body)?;
        self.in_log(&growth.to, &body)?;
        Ok(Some((growth, body)))
    }

    /// Checks that a head's seal is the one that the log has, and that the checkpoint shown for it is of the same log.
    fn in_log(&self, head: &HeadProof, answer: &[u8]) -> Step<()> {
        let number = head.seal.seal;
        let alarm = |code, message: String| {
            Finding::alarm(code, self.record(), message)
                .with("growth.json", answer)
                .with("checkpoint", self.log.place.note.as_str())
        };
        let known = self.log.seal_leaf(number)?;
        if known.is_none_or(|known| known.leaf != head.seal.leaf()) {
            let message = format!("it is shown under a seal {number} that is another one than the log has");
            return Err(alarm("two-seals", message));
        }
        let note = &head.seal_proof.note;
        let ((shown, _), _) = examine(self.log.policy, "checkpoint of a proof", note.as_bytes())?;
        let newest = &self.log.checkpoint;
        // The ledger may have gone on since the checkpoint was read; the next pass compares what is newer.
        if shown.size <= newest.size && !self.log.tiles.extends(&shown, newest)? {
            let message = format!("the checkpoint that is shown for seal {number} is of another log");
            return Err(alarm("split", message).with("checkpoint-shown", note.as_str()));
        }
        Ok(())
    }

    /// The head under a seal; `None` where the trial is not under it.
    pub(crate) fn head(&self, seal: u64, newest: u64) -> Step<Option<Head>> {
        Ok(self.growth(seal, newest)?.map(|(growth, _)| growth.from.head))
    }
}
