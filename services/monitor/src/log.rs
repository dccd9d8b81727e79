//! Following the public log: from the saved checkpoint to the newest, seal by seal (sections 5 and 6 of the format).

use std::collections::VecDeque;

use trialseal_seal::Code;
use trialseal_seal::checkpoint::Checkpoint;
use trialseal_seal::hash::{Hash, Sha2, TreeHash, sha256};
use trialseal_seal::policy::{Examined, Policy};
use trialseal_seal::proof::MAX_SEAL_LEAD_SECONDS;
use trialseal_seal::seal::Seal;
use trialseal_seal::time::Timestamp;
use trialseal_seal::tree::Frontier;

use crate::finding::{Finding, Step};
use crate::place::Place;
use crate::tiles::{TILE, Tiles, read_seal};

const CHECKPOINT: &str = "log/checkpoint";
/// Seals whose leaf and time are kept for the events of the same pass; older ones are read again. 40 bytes each.
const MAX_KEPT_SEALS: usize = 1_000_000;
/// How far back the note is looked for that the newest seal names, on the first pass: an hour of one seal a second.
const MAX_PRIOR_DISTANCE: u64 = 3_600;
/// Most findings about single seals and notes in one pass.
const MAX_FINDINGS: usize = 100;

/// How far the log was followed.
#[derive(Debug, Clone)]
pub(crate) struct LogPlace {
    /// The note of the newest checkpoint.
    pub(crate) note: String,
    /// The tree over all seals up to it.
    pub(crate) tree: Frontier<Sha2>,
    /// The newest seal.
    pub(crate) last: Option<Seal>,
    /// The newest note that a seal named as prior: its tree size, and its SHA-256.
    pub(crate) prior: (u64, Hash),
    /// The notes of larger trees that a later seal may name.
    pub(crate) notes: Vec<(u64, Hash)>,
}

/// What a seal has to be compared with in an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SealLeaf {
    pub(crate) leaf: Hash,
    pub(crate) time: Timestamp,
}

/// The log as of the newest checkpoint, followed from where it was known.
pub(crate) struct Log<'a> {
    pub(crate) tiles: Tiles<'a>,
    pub(crate) policy: &'a Policy,
    pub(crate) checkpoint: Checkpoint,
    /// When witnesses had agreed to it, POSIX seconds.
    pub(crate) quorum_time: Option<u64>,
    pub(crate) place: LogPlace,
    /// The seals that were read, the newest last.
    kept: VecDeque<SealLeaf>,
    /// The latest-dated seal that no note has covered yet.
    undated: Option<(Timestamp, u64)>,
    /// Findings about single seals and notes.
    pub(crate) findings: Vec<Finding>,
    /// How many seals are new.
    pub(crate) new_seals: u64,
}

/// Reads the newest checkpoint, and holds it against the policy and the one before.
pub(crate) fn newest<'a>(
    place: &'a dyn Place,
    policy: &'a Policy,
    saved: Option<&LogPlace>,
) -> Step<Log<'a>> {
    let tiles = Tiles::new(place);
    let note = tiles.read("checkpoint")?;
    let note = note.ok_or_else(|| Finding::cannot_tell("file-missing", CHECKPOINT, "it is not there"))?;
    let (examined, note) = examine(policy, CHECKPOINT, &note)?;
    let (checkpoint, quorum_time) = examined;
    let unlike = |code, message: String| {
        let finding = Finding::alarm(code, CHECKPOINT, message).with("checkpoint-new", note.as_str());
        saved.into_iter().fold(finding, |finding, saved| finding.with("checkpoint-old", saved.note.as_str()))
    };
    if let Some(saved) = saved {
        let (old, new) = (saved.tree.size(), checkpoint.size);
        if saved.last.as_ref().is_some_and(|last| last.ledger != checkpoint.origin) {
            return Err(unlike("another-ledger", "it is that of another ledger than before".into()));
        }
        if new < old {
            let message =
                format!("it is of {new} seals, and one of {old} was seen before: it was rolled back");
            return Err(unlike("rolled-back", message));
        }
        if new == old && checkpoint.root != saved.tree.root() {
            let message =
                format!("two checkpoints of {new} seals, both signed by the log, have different roots");
            return Err(unlike("split", message));
        }
    }
    let mut place = saved.cloned().unwrap_or_else(|| LogPlace {
        note: String::new(),
        tree: Frontier::new(),
        last: None,
        prior: (0, Hash::ZERO),
        notes: Vec::new(),
    });
    place.note = note;
    let (kept, findings) = (VecDeque::new(), Vec::new());
    Ok(Log { tiles, policy, checkpoint, quorum_time, place, kept, undated: None, findings, new_seals: 0 })
}

/// Reads a note that has to meet the policy.
pub(crate) fn examine(
    policy: &Policy,
    record: &str,
    note: &[u8],
) -> Step<((Checkpoint, Option<u64>), String)> {
    let malformed =
        || Finding::alarm(Code::NoteMalformed.as_str(), record, "it is no text").with("note", note.to_vec());
    let text = std::str::from_utf8(note).map_err(|_| malformed())?;
    let Examined { checkpoint, quorum_time, refused } = policy.examine(text);
    match (refused.into_iter().next(), checkpoint) {
        (Some(refused), _) => Err(Finding::refused(record, &refused).with("note", text)),
        (None, Some(checkpoint)) => Ok(((checkpoint, quorum_time), text.to_owned())),
        (None, None) => Err(malformed()),
    }
}

impl Log<'_> {
    /// Reads every seal since the saved place, and checks that they lead to the checkpoint. On a first pass the past is
    /// taken as it stands: its notes are not read, but for those that later seals may name.
    pub(crate) fn follow(&mut self, saved: Option<&LogPlace>) -> Step<()> {
        let (from, size) = (self.place.tree.size(), self.checkpoint.size);
        let first = saved.is_none();
        self.new_seals = size - from;
        for bundle in from / TILE..size.div_ceil(TILE) {
            let entries = self.tiles.entries(bundle, size)?;
            for (number, entry) in (bundle * TILE..).zip(&entries).filter(|(number, _)| *number >= from) {
                let seal = read_seal(number, entry)?;
                self.seal(number, seal, !first);
                if !first {
                    self.note(number + 1)?;
                }
            }
        }
        if self.place.tree.root() != self.checkpoint.root {
            // What was found about seals that nobody signed says nothing.
            self.findings.clear();
            return Err(self.differs(saved)?);
        }
        self.dated(CHECKPOINT, self.quorum_time);
        if first { self.find_prior() } else { Ok(()) }
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        }
    }

    /// Holds a seal against those before it.
    fn seal(&mut self, number: u64, seal: Seal, with_prior: bool) {
        let mut broken = Vec::new();
        let mut rule = |holds: bool, code, message| {
            if !holds {
                broken.push((code, message));
            }
        };
        rule(seal.seal == number, "seal-number", "its number is not its place in the log");
        rule(seal.ledger == self.checkpoint.origin, "another-ledger", "it belongs to another ledger");
        if let Some(last) = &self.place.last {
            rule(seal.time >= last.time, "seal-time", "it is dated before the seal before it");
            rule(seal.events >= last.events, "seal-counts", "the number of events goes back");
            rule(seal.trials >= last.trials, "seal-counts", "the number of trials goes back");
        }
        for (code, message) in broken {
            self.find(self.about_seal(number, &seal, code, message));
        }
        if with_prior {
            self.prior(number, &seal);
        }
        let leaf = Sha2::leaf(&[&seal.entry()]);
        self.place.tree.push(leaf);
        if self.kept.len() == MAX_KEPT_SEALS {
            self.kept.pop_front();
        }
        self.kept.push_back(SealLeaf { leaf, time: seal.time });
        if self.undated.is_none_or(|(latest, _)| seal.time > latest) {
            self.undated = Some((seal.time, number));
        }
        self.place.last = Some(seal);
    }

    fn about_seal(&self, number: u64, seal: &Seal, code: &str, message: &str) -> Finding {
        let finding = Finding::alarm(code, format!("seal {number}"), message)
            .with("seal.json", seal.entry())
            .with("checkpoint", self.place.note.as_str());
        let before = self.place.last.iter();
        before.fold(finding, |finding, last| finding.with("seal-before.json", last.entry()))
    }

    /// Finds the note that a seal names as its prior: of a tree no larger than its number, and never an older one than
    /// the seal before named.
    fn prior(&mut self, number: u64, seal: &Seal) {
        let (named, hash) = self.place.prior;
        if seal.prior == hash {
            return;
        }
        let notes = &self.place.notes;
        match notes.iter().find(|(size, hash)| *hash == seal.prior && *size <= number) {
            Some((size, _)) if *size > named => {
                self.place.prior = (*size, seal.prior);
                let newest = *size;
                self.place.notes.retain(|(size, _)| *size >= newest);
            }
            _ if seal.prior == Hash::ZERO => {
                let message = "it names no prior note, though an earlier seal does";
                self.find(self.about_seal(number, seal, "prior-back", message));
            }
            _ => {
                let message = "its prior is that of no note between the last one named and this seal";
                self.find(self.about_seal(number, seal, "prior-unknown", message));
            }
        }
    }

    /// Checks the note of the tree as it is now, where there is one.
    fn note(&mut self, size: u64) -> Step<()> {
        let Some(note) = self.tiles.note(size)? else { return Ok(()) };
        let record = format!("note {size}");
        let ((checkpoint, quorum_time), text) = match examine(self.policy, &record, &note) {
            Ok(read) => read,
            Err(finding) => {
                self.find(finding.with("checkpoint", self.place.note.as_str()));
                return Ok(());
            }
        };
        let mut broken = Vec::new();
        let mut rule = |holds: bool, code: Code, message| {
            if !holds {
                broken.push((code, message));
            }
        };
        let same_ledger = checkpoint.origin == self.checkpoint.origin;
        rule(same_ledger, Code::AnotherLedger, "it belongs to another ledger");
        rule(checkpoint.size == size, Code::NoteSize, "it is of another tree size than it is filed under");
        let same_root = checkpoint.size != size || checkpoint.root == self.place.tree.root();
        rule(same_root, Code::NoteOfAnotherTree, "its root is not that of the log's entries");
        for (code, message) in &broken {
            let finding = Finding::alarm(code.as_str(), record.clone(), *message);
            self.find(finding.with("note", text.as_str()).with("checkpoint", self.place.note.as_str()));
        }
        if broken.is_empty() {
            self.place.notes.push((size, sha256(text.as_bytes())));
            self.dated(&record, quorum_time);
        }
        Ok(())
    }

    /// Checks that no seal that `record` is the first to cover is dated later than it was public by that.
    fn dated(&mut self, record: &str, quorum_time: Option<u64>) {
        let Some((time, seal)) = self.undated.take() else { return };
        let latest = quorum_time.and_then(|seconds| i64::try_from(seconds).ok());
        let latest = latest.map(|seconds| seconds.saturating_add(MAX_SEAL_LEAD_SECONDS));
        if latest.is_some_and(|latest| time.seconds() > latest) {
            let message = format!(
                "it is dated more than {MAX_SEAL_LEAD_SECONDS} seconds after it was public, as {record} shows"
            );
            let finding = Finding::alarm(Code::SealAfterPublic.as_str(), format!("seal {seal}"), message);
            self.find(finding.with("checkpoint", self.place.note.as_str()));
        }
    }

    /// The seals that were read do not give the checkpoint's root. Where the tiles do, and what they say of the size that
    /// was seen before is not what was signed then, the log was forked.
    fn differs(&self, saved: Option<&LogPlace>) -> Step<Finding> {
        let size = self.checkpoint.size;
        let tiles = self.tiles.root(size, size)?;
        let differ = |code, message: String| {
            Finding::alarm(code, CHECKPOINT, message).with("checkpoint-new", self.place.note.as_str())
        };
        let Some(saved) = saved.filter(|_| tiles == self.checkpoint.root) else {
            let message = format!("its root is not that of the {size} seals that the log shows");
            return Ok(differ("root-differs", message));
        };
        let old = saved.tree.size();
        let then = self.tiles.root(old, size)?;
        let message = if then == saved.tree.root() {
            format!(
                "its root is not that of the {size} seals that the log shows, though the log's tiles give it"
            )
        } else {
            format!(
                "the log of {size} seals does not begin with the one of {old} seals that it signed before"
            )
        };
        let code = if then == saved.tree.root() { "root-differs" } else { "split" };
        let finding = differ(code, message).with("checkpoint-old", saved.note.as_str());
        Ok(finding.with("beginning.json", self.tiles.beginning(old, size)?))
    }

    /// On a first pass: finds the note that the newest seal names, and those after it.
    fn find_prior(&mut self) -> Step<()> {
        let Some(last) = self.place.last.clone() else { return Ok(()) };
        let mut notes = Vec::new();
        for size in (1..=self.checkpoint.size).rev().take(usize::try_from(MAX_PRIOR_DISTANCE).unwrap_or(0)) {
            let Some(note) = self.tiles.note(size)? else { continue };
            let hash = sha256(&note);
            notes.push((size, hash));
            if hash == last.prior {
                self.place.prior = (size, hash);
                break;
            }
        }
        notes.reverse();
        self.place.notes = notes;
        if self.place.prior.1 != last.prior {
            let message = "its prior is that of none of the newest notes";
            self.find(self.about_seal(last.seal, &last, "prior-unknown", message));
        }
        Ok(())
    }

    /// The seal of a number; `None` where the log has none yet.
    pub(crate) fn seal_leaf(&self, number: u64) -> Step<Option<SealLeaf>> {
        if number >= self.checkpoint.size {
            return Ok(None);
        }
        let kept_from = self.checkpoint.size - self.kept.len() as u64;
        let kept = number.checked_sub(kept_from).and_then(|place| usize::try_from(place).ok());
        if let Some(found) = kept.and_then(|place| self.kept.get(place)) {
            return Ok(Some(*found));
        }
        let seal = self.tiles.seal(number, &self.checkpoint)?;
        Ok(Some(SealLeaf { leaf: seal.leaf(), time: seal.time }))
    }
}
