//! The notes of a log: one of each tree size that met the publication policy (section 6 of the format).

use std::collections::HashMap;

use trialseal_seal::hash::{Hash, Sha2, TreeHash, sha256};
use trialseal_seal::proof::MAX_SEAL_LEAD_SECONDS;
use trialseal_seal::tiles::{entries_path, note_path};
use trialseal_seal::time::Timestamp;

use super::{CHECKPOINT, Check, TILE};

/// Notes that a finding names one by one.
const NAMED_NOTES: usize = 3;

const NOTE_SIZE: &str = "it is of another tree size than it is filed under";
const NOTE_ROOT: &str = "its root is not that of the log's entries";

/// What is known of the notes so far.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// The tree sizes of all that could be read, by SHA-256.
    sizes: HashMap<Hash, u64>,
    /// Ranges of tree sizes, first and last, of which no note could be read; in order.
    without: Vec<(u64, u64)>,
    read: u64,
    /// The seal with the latest date of those that no note has covered yet.
    undated: Option<(Timestamp, u64)>,
    /// The seal with the latest date of all.
    latest: Option<(Timestamp, u64)>,
}

impl Notes {
    /// How many could be read.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    /// The tree size whose note has this SHA-256.
    pub(super) fn size(&self, hash: &Hash) -> Option<u64> {
        self.sizes.get(hash).copied()
    }

    /// Takes the date of the next seal.
    pub(super) fn seal(&mut self, seal: u64, time: Timestamp) {
        if self.undated.is_none_or(|(latest, _)| time > latest) {
            self.undated = Some((time, seal));
        }
        if self.latest.is_none_or(|(latest, _)| time > latest) {
            self.latest = Some((time, seal));
        }
    }

    /// The seal with the latest date so far, and that date.
    pub(super) fn latest(&self) -> Option<(Timestamp, u64)> {
        self.latest
    }

    fn none(&mut self, size: u64) {
        match self.without.last_mut() {
            Some((_, last)) if *last + 1 == size => *last = size,
            _ => self.without.push((size, size)),
        }
    }

    fn some(&mut self, size: u64, hash: Hash) {
        self.read += 1;
        self.sizes.entry(hash).or_insert(size);
    }

    /// Names the notes of these tree sizes that could not be read; `None` where all could.
    pub(super) fn unread(&self, from: u64, to: u64) -> Option<String> {
        let ranges = self.without.iter().map(|(first, last)| (*first.max(&from), *last.min(&to)));
        let ranges: Vec<_> = ranges.filter(|(first, last)| first <= last).collect();
        let count: u64 = ranges.iter().map(|(first, last)| last - first + 1).sum();
        let sizes = ranges.iter().rev().flat_map(|(first, last)| (*first..=*last).rev());
        let named: Vec<_> = sizes.take(NAMED_NOTES).map(note_path).collect();
        let more = count.saturating_sub(NAMED_NOTES as u64);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (count > 0).then(|| format!("{}{more}", named.join(", ")))
    }
}

impl Check<'_> {
    /// Checks the note of a tree size, if there is one, against the entries so far.
    pub(super) fn note(&mut self, size: u64) {
        let path = note_path(size);
        let Some(Some(note)) = self.optional(&path) else {
            self.timestamp(size, None, None);
            return self.notes.none(size);
        };
        self.notes.some(size, sha256(&note));
        let examined = self.examine(&path, &note);
        self.timestamp(size, Some(&note), examined.quorum_time);
        let (Some(checkpoint), true) = (examined.checkpoint, examined.refused.is_empty()) else { return };
        let mut holds = true;
        let mut rule = |kept: bool, code, message| {
            holds &= kept;
            if !kept {
                self.report.broken(&path, code, message);
            }
        };
        rule(checkpoint.origin == self.origin, "another-ledger", "it belongs to another ledger");
        rule(checkpoint.size == size, "note-size", NOTE_SIZE);
        let same_root = checkpoint.size != size || checkpoint.root == self.tree.root();
        rule(same_root, "note-of-another-tree", NOTE_ROOT);
        if holds {
            self.dated(&path, examined.quorum_time);
        }
    }

    /// Checks that no seal that `path` is the first to cover is dated later than it was public by that.
    pub(super) fn dated(&mut self, path: &str, quorum_time: Option<u64>) {
        let latest = quorum_time.and_then(|seconds| i64::try_from(seconds).ok());
        let latest = latest.map(|seconds| seconds.saturating_add(MAX_SEAL_LEAD_SECONDS));
        if let Some(((time, seal), latest)) = self.notes.undated.take().zip(latest)
            && time.seconds() > latest
        {
            let message = format!(
                "it is dated more than {MAX_SEAL_LEAD_SECONDS} seconds after it was public, as {path} shows"
            );
            self.report.broken(format!("seal {seal}"), "seal-after-public", message);
        }
    }

    /// Looks at notes of larger trees than the checkpoint's.
    ///
    /// A ledger publishes a note before the checkpoint, so that one further note is what a moment between the two leaves,
    /// or a crash there. More of them are there where the log went on while it was read; the checkpoint has then gone on
    /// as well. Where it has not, it is older than it could be: rolled back, or copied at another time than the notes.
    pub(super) fn newer_notes(&mut self) {
        let sizes = match self.source.notes_above(self.size) {
            Ok(sizes) => sizes,
            Err(error) => return self.unreadable("notes", "the list of notes", &error),
        };
        let mut newest = None;
        for size in sizes {
            if self.report.is_full() {
                return;
            }
            newest = self.newer_note(size).map(|root| (size, root)).or(newest);
        }
        let Some((newest, root)) = newest else { return };
        self.report.fact("newestNote", "Tree size of the newest note", newest);
        let Some(checkpoint) = self.required(CHECKPOINT) else { return };
        let reached = if sha256(&checkpoint) == self.checkpoint {
            self.size
        } else {
            self.examine(CHECKPOINT, &checkpoint).checkpoint.map_or(0, |it| it.size)
        };
        if reached > self.size {
            self.report.fact("grewTo", "Seals in the log since then", reached);
        }
        if newest > reached + 1 {
            let message = format!(
                "it is of {reached} seals and older than the note of {newest}: it was rolled back, or copied at another \
                 time; read the log again"
            );
            self.report.missing(CHECKPOINT, "checkpoint-older", message);
        } else if newest == self.size + 1 && reached == self.size {
            self.extends(newest, root);
        }
    }

    /// The root that the note of a larger tree states, where it is one that the log published.
    fn newer_note(&mut self, size: u64) -> Option<Hash> {
        let path = note_path(size);
        let note = self.required(&path)?;
        let examined = self.examine(&path, &note);
        let checkpoint = examined.checkpoint.filter(|_| examined.refused.is_empty())?;
        if checkpoint.origin != self.origin {
            self.report.broken(&path, "another-ledger", "it belongs to another ledger");
            return None;
        }
        if checkpoint.size != size {
            self.report.broken(&path, "note-size", NOTE_SIZE);
            return None;
        }
        Some(checkpoint.root)
    }

    /// Checks that the tree with one more entry than the checkpoint's, whose entry is published before its note, has this
    /// root.
    fn extends(&mut self, size: u64, root: Hash) {
        let bundle = (size - 1) / TILE;
        let width = u16::try_from(size - bundle * TILE).unwrap_or_default();
        let Some((path, bytes)) = self.tile(width, |width| entries_path(bundle, width)) else { return };
        let Some(entries) = self.entries(&path, &bytes, width) else { return };
        let mut tree = self.tree.clone();
        entries.last().into_iter().for_each(|entry| tree.push(Sha2::leaf(&[entry])));
        if tree.root() != root {
            self.report.broken(note_path(size), "note-of-another-tree", NOTE_ROOT);
        }
    }
}
