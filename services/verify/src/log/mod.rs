//! The check of a published log: everything that is published is hashed again (sections 5 and 6 of the format).
//!
//! It streams: one bundle of entries, one tile a level and one note are held at a time, whatever the log's size. Of every
//! note its hash is kept, some 70 bytes, for later seals may name any of them.

use std::io;

use trialseal_seal::checkpoint::Checkpoint;
use trialseal_seal::hash::{Hash, Sha2, TreeHash, sha256};
use trialseal_seal::policy::{Examined, Policy};
use trialseal_seal::seal::Seal;
use trialseal_seal::tiles::{TILE_WIDTH, decode_bundle, entries_path, tile_path};
use trialseal_seal::tree::Frontier;
use trialseal_seal::{Code, canonical};
use trialseal_timestamp::Authorities;

#[cfg(feature = "http")]
mod http;
mod notes;
mod seals;
mod source;
mod tiles;
mod timestamps;

#[cfg(feature = "http")]
pub use self::http::LogUrl;
use self::notes::Notes;
use self::seals::Sequence;
pub use self::source::{LogFolder, MAX_RESOURCE_BYTES, Source};
use self::timestamps::Timestamps;
use crate::documents::silent;
use crate::outcome::Report;
use crate::time::public_by;

const CHECKPOINT: &str = "checkpoint";
const TILE: u64 = TILE_WIDTH as u64;

const LIMITS: &[&str] = &[
    "that the seals' trials hold what their roots say (datasets, receipts and growth proofs do)",
    "that what was recorded is true",
    "that nobody was shown another log (compare the checkpoint with what others hold)",
];

/// Checks a published log: its checkpoint against the policy, every entry against the tiles and the checkpoint's root,
/// every note, and the rules that hold from seal to seal. Where `authorities` are named, every timestamp as well.
pub fn log(input: &str, source: &dyn Source, policy: &Policy, authorities: Option<&Authorities>) -> Report {
    let mut check = Check {
        report: Report::new("log", input, LIMITS),
        source,
        policy,
        origin: String::new(),
        size: 0,
        checkpoint: Hash::ZERO,
        tree: Frontier::new(),
        levels: Vec::new(),
        seals: 0,
        notes: Notes::default(),
        timestamps: Timestamps::new(authorities),
    };
    check.run();
    silent(&mut check.report, policy);
    check.report
}

struct Check<'a> {
    report: Report,
    source: &'a dyn Source,
    policy: &'a Policy,
    origin: String,
    /// Tree size of the checkpoint.
    size: u64,
    /// SHA-256 of the checkpoint's note.
    checkpoint: Hash,
    tree: Frontier<Sha2>,
    /// Of each tile level, the hashes since the last full tile.
    levels: Vec<Vec<Hash>>,
    /// How many entries were read.
    seals: u64,
    notes: Notes,
    timestamps: Timestamps<'a>,
}

impl Check<'_> {
    fn run(&mut self) {
        let Some(note) = self.required(CHECKPOINT) else { return self.not_checked("seals, tiles and notes") };
        // A checkpoint that the policy refuses still says which log to look at: what else is wrong is found all the same.
        let Examined { checkpoint, quorum_time, refused } = self.examine(CHECKPOINT, &note);
        let Some(checkpoint) = checkpoint else { return self.not_checked("seals, tiles and notes") };
        (self.origin, self.size) = (checkpoint.origin.clone(), checkpoint.size);
        self.checkpoint = sha256(&note);
        let mut sequence = Sequence::default();
        for bundle in 0..self.size.div_ceil(TILE) {
            if self.report.is_full() || !self.bundle(bundle, &mut sequence) {
                break;
            }
        }
        if self.tree.size() == self.size {
            self.end(&checkpoint, quorum_time, refused.is_empty());
        } else {
            self.not_checked(&format!("seals from {} on, and what stands on them", self.tree.size()));
        }
        self.summary(quorum_time.filter(|_| refused.is_empty()), &sequence);
    }

    /// Checks what can be checked once all leaves are there.
    fn end(&mut self, checkpoint: &Checkpoint, quorum_time: Option<u64>, accepted: bool) {
        self.last_tiles();
        if self.tree.root() != checkpoint.root {
            self.report.broken(CHECKPOINT, "root-differs", "its root is not that of the log's entries");
        } else if accepted {
            self.dated(CHECKPOINT, quorum_time);
        }
        self.newer_notes();
    }

    fn not_checked(&mut self, what: &str) {
        self.report.fact("notChecked", "Not checked", what);
    }

    fn summary(&mut self, quorum_time: Option<u64>, sequence: &Sequence) {
        self.report.fact("ledger", "Ledger", self.origin.as_str());
        self.report.fact("logSize", "Seals in the log", self.size);
        self.report.fact("sealsChecked", "Seals checked", self.seals);
        if let Some(time) = sequence.time() {
            self.report.fact("sealTime", "Newest seal by the ledger's word", time.to_string());
        }
        self.report.fact("publicBy", "Public by", public_by(quorum_time, self.policy));
        self.report.fact("notes", "Notes checked", self.notes.read());
        let without = self.tree.size().saturating_sub(self.notes.read());
        self.report.fact("sizesWithoutNote", "Tree sizes without a note", without);
        self.sum_up_timestamps();
    }

    /// Reads what has to be there.
    fn required(&mut self, path: &str) -> Option<Vec<u8>> {
        let found = self.optional(path)?;
        if found.is_none() {
            self.report.missing(path, "file-missing", "it is not there");
        }
        found
    }

    /// Reads what may be there; the outer `None` is for what is there and cannot be read.
    #[expect(clippy::option_option, reason = "not there and not readable are told apart")]
    fn optional(&mut self, path: &str) -> Option<Option<Vec<u8>>> {
        match self.source.read(path) {
            Ok(found) => Some(found),
            Err(error) => {
                self.unreadable(path, "it", &error);
                None
            }
        }
    }

    fn unreadable(&mut self, path: &str, what: &str, error: &io::Error) {
        // An error that the source made itself says more than its kind.
        let why = error.get_ref().map_or_else(|| error.kind().to_string(), ToString::to_string);
        self.report.missing(path, "unreadable", format!("{what} cannot be read: {why}"));
    }

    /// Holds a note against the policy, and reports what is refused.
    fn examine(&mut self, path: &str, note: &[u8]) -> Examined {
        let examined = self.policy.examine_bytes(note);
        self.report.all_refused(path, &examined.refused);
        examined
    }

    /// Checks one bundle of entries and everything that it completes. Where the bundle cannot be read, the leaf hashes of
    /// its tile stand in for the entries; `false` where they are not to be had either.
    fn bundle(&mut self, bundle: u64, sequence: &mut Sequence) -> bool {
        let width = self.width(0, bundle);
        let first = bundle * TILE;
        if let Some((path, bytes)) = self.tile(width, |width| entries_path(bundle, width))
            && let Some(entries) = self.entries(&path, &bytes, width)
        {
            self.partial_bundles(bundle, &entries);
            for (index, entry) in (first..).zip(entries) {
                self.entry(index, entry, sequence);
            }
            return true;
        }
        let Some(leaves) = self.leaves(bundle, width) else { return false };
        for (index, leaf) in (first..).zip(leaves) {
            self.leaf(index, leaf);
        }
        true
    }

    /// Takes a bundle apart.
    fn entries<'b>(&mut self, path: &str, bytes: &'b [u8], width: u16) -> Option<Vec<&'b [u8]>> {
        let mut entries = decode_bundle(bytes).map_err(|refused| self.report.refused(path, &refused)).ok()?;
        // A full bundle may stand for a partial one; then it is full.
        let expected = if path.contains(".p/") { usize::from(width) } else { TILE_WIDTH };
        if entries.len() != expected {
            let message = "it has another number of entries than its place says";
            self.report.broken(path, Code::BundleMalformed.as_str(), message);
            return None;
        }
        entries.truncate(usize::from(width));
        Some(entries)
    }

    /// The leaf hashes of a bundle whose entries cannot be had, from the tile beside it. That they are right, the
    /// checkpoint's root will show.
    fn leaves(&mut self, bundle: u64, width: u16) -> Option<Vec<Hash>> {
        let (path, bytes) = self.tile(width, |width| tile_path(0, bundle, width))?;
        let expected = if path.contains(".p/") { usize::from(width) } else { TILE_WIDTH };
        if bytes.len() != expected * 32 {
            let message = "it has another number of hashes than its place says";
            self.report.broken(path, "tile-differs", message);
            return None;
        }
        let hashes = bytes.chunks_exact(32).take(usize::from(width));
        hashes.map(|hash| Hash::try_from(hash).ok()).collect()
    }

    fn entry(&mut self, index: u64, entry: &[u8], sequence: &mut Sequence) {
        self.seals += 1;
        let seal = canonical::parse(entry, canonical::MAX_DEPTH).and_then(|value| Seal::parse(&value));
        match seal {
            Ok(seal) if seal.entry() == entry => sequence.next(self, index, &seal),
            Ok(_) => self.report.broken(
                format!("seal {index}"),
                "not-canonical",
                "its entry is not in canonical form",
            ),
            Err(refused) => self.report.refused(format!("seal {index}"), &refused),
        }
        self.leaf(index, Sha2::leaf(&[entry]));
    }

    /// Takes the next leaf of the tree, and checks the tiles that it completes and the note of the size that it makes.
    fn leaf(&mut self, index: u64, leaf: Hash) {
        let mut completed = Vec::new();
        self.tree.push_with(leaf, |node, hash| completed.push((node, hash)));
        for (node, hash) in completed {
            self.node(node, hash);
        }
        self.note(index + 1);
    }
}
