//! The check of a published log: everything that is published is hashed again (sections 5 and 6 of the format).
//!
//! It streams: one bundle of entries, one tile a level and one note are held at a time, whatever the log's size.

use trialseal_seal::canonical;
use trialseal_seal::hash::{Hash, Sha2, TreeHash, sha256};
use trialseal_seal::policy::{Accepted, Policy};
use trialseal_seal::proof::MAX_SEAL_LEAD_SECONDS;
use trialseal_seal::seal::Seal;
use trialseal_seal::tiles::{TILE_WIDTH, decode_bundle, encode_bundle, entries_path, note_path, tile_path};
use trialseal_seal::tree::{Frontier, NodeId};

#[cfg(feature = "http")]
mod http;
mod seals;
mod source;

#[cfg(feature = "http")]
pub use self::http::LogUrl;
use self::seals::Sequence;
pub use self::source::{LogFolder, MAX_RESOURCE_BYTES, Source};
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
/// every note, and the rules that hold from seal to seal.
pub fn log(input: &str, source: &dyn Source, policy: &Policy) -> Report {
    let mut check = Check {
        report: Report::new("log", input, LIMITS),
        source,
        policy,
        origin: String::new(),
        size: 0,
        tree: Frontier::new(),
        levels: Vec::new(),
        newest_note: None,
        notes: 0,
        undated_from: 0,
    };
    check.run();
    check.report
}

struct Check<'a> {
    report: Report,
    source: &'a dyn Source,
    policy: &'a Policy,
    origin: String,
    /// Tree size of the checkpoint.
    size: u64,
    tree: Frontier<Sha2>,
    /// Of each tile level, the hashes since the last full tile.
    levels: Vec<Vec<Hash>>,
    /// The note read last, by size and SHA-256.
    newest_note: Option<(u64, Hash)>,
    notes: u64,
    /// The first seal that no note has covered yet.
    undated_from: u64,
}

impl Check<'_> {
    fn run(&mut self) {
        let Some(checkpoint) = self.required(CHECKPOINT) else { return };
        let accepted = match self.accept(&checkpoint) {
            Ok(accepted) => accepted,
            Err((code, message)) => return self.report.broken(CHECKPOINT, code, message),
        };
        let (size, root) = (accepted.checkpoint.size, accepted.checkpoint.root);
        (self.origin, self.size) = (accepted.checkpoint.origin.clone(), size);
        let mut sequence = Sequence::default();
        for bundle in 0..size.div_ceil(TILE) {
            if !self.bundle(bundle, &mut sequence) || self.report.is_full() {
                return self.summary(&accepted, &sequence);
            }
        }
        self.last_tiles();
        if self.tree.root() != root {
            self.report.broken(CHECKPOINT, "root-differs", "its root is not that of the log's entries");
        }
        self.summary(&accepted, &sequence);
    }

    fn summary(&mut self, accepted: &Accepted, sequence: &Sequence) {
        self.report.fact("ledger", "Ledger", self.origin.as_str());
        self.report.fact("logSize", "Seals in the log", self.size);
        self.report.fact("sealsChecked", "Seals checked", self.tree.size());
        if let Some(time) = sequence.time() {
            self.report.fact("sealTime", "Newest seal by the ledger's word", time.to_string());
        }
        self.report.fact("publicBy", "Public by", public_by(accepted.quorum_time, self.policy));
        self.report.fact("notes", "Notes checked", self.notes);
        self.report.fact(
            "sizesWithoutNote",
            "Tree sizes without a note",
            self.tree.size().saturating_sub(self.notes),
        );
        silent(&mut self.report, &accepted.silent);
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
                self.report.missing(path, "unreadable", format!("it cannot be read: {}", error.kind()));
                None
            }
        }
    }

    fn accept(&self, note: &[u8]) -> Result<Accepted, (&'static str, String)> {
        let note = std::str::from_utf8(note).map_err(|_| ("note-malformed", "this is no text".to_owned()))?;
        self.policy.check(note).map_err(|refused| (refused.code().as_str(), refused.to_string()))
    }

    /// Checks one bundle of entries and everything that it completes; `false` where the log cannot be followed further.
    fn bundle(&mut self, bundle: u64, sequence: &mut Sequence) -> bool {
        let width = self.width(0, bundle);
        let Some((path, bytes)) = self.tile(width, |width| entries_path(bundle, width)) else { return false };
        let entries = match decode_bundle(&bytes) {
            Ok(entries) => entries,
            Err(refused) => {
                self.report.refused(path, &refused);
                return false;
            }
        };
        if entries.len() < usize::from(width) || path.contains(".p/") && entries.len() > usize::from(width) {
            self.report.broken(
                path,
                "bundle-malformed",
                "it has another number of entries than its place says",
            );
            return false;
        }
        let entries = &entries[..usize::from(width)];
        self.partial_bundles(bundle, entries);
        for (index, entry) in (bundle * TILE..).zip(entries) {
            self.entry(index, entry, sequence);
        }
        true
    }

    fn entry(&mut self, index: u64, entry: &[u8], sequence: &mut Sequence) {
        let seal = canonical::parse(entry, canonical::MAX_DEPTH).and_then(|value| Seal::parse(&value));
        match seal {
            Ok(seal) if seal.entry() == entry => {
                sequence.next(self, index, &seal);
            }
            Ok(_) => self.report.broken(
                format!("seal {index}"),
                "not-canonical",
                "its entry is not in canonical form",
            ),
            Err(refused) => self.report.refused(format!("seal {index}"), &refused),
        }
        let mut completed = Vec::new();
        self.tree.push_with(Sha2::leaf(&[entry]), |node, hash| completed.push((node, hash)));
        for (node, hash) in completed {
            self.node(node, hash);
        }
        self.note(index + 1, sequence);
    }

    /// Takes a node that tiles hold, and checks the tile that it completes.
    fn node(&mut self, node: NodeId, hash: Hash) {
        let level = usize::from(node.level / 8);
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Vec::new);
        }
        self.levels[level].push(hash);
        if self.levels[level].len() == TILE_WIDTH {
            self.hashes(node.level / 8, node.index / TILE);
            self.levels[level].clear();
        }
    }

    /// Checks the tiles at the right edge, one a level.
    fn last_tiles(&mut self) {
        for level in (0_u8..).take(self.levels.len()) {
            if !self.levels[usize::from(level)].is_empty() {
                self.hashes(level, (self.size >> (8 * u32::from(level))) / TILE);
            }
        }
    }

    /// Compares a tile, and the partial ones beside it, with the hashes that were computed.
    fn hashes(&mut self, level: u8, index: u64) {
        let hashes: Vec<u8> =
            self.levels[usize::from(level)].iter().flat_map(|hash| *hash.as_bytes()).collect();
        let width = u16::try_from(hashes.len() / 32).unwrap_or_default();
        if let Some((path, bytes)) = self.tile(width, |width| tile_path(level, index, width)) {
            // A full tile may stand for a partial one.
            let full = !path.contains(".p/") && bytes.len() == TILE_WIDTH * 32;
            if !(bytes == hashes || full && bytes.starts_with(&hashes)) {
                self.report.broken(path, "tile-differs", "its hashes are not those of the log's entries");
                if level == 0 {
                    self.entries_that_differ(index, &hashes, &bytes);
                }
            }
        }
        self.partials(&tile_path(level, index, None), width, |width| {
            Some((tile_path(level, index, Some(width)), hashes.get(..usize::from(width) * 32)?.to_vec()))
        });
    }

    /// Names the entries that a tile disagrees with: which of the two was changed, the other files tell.
    fn entries_that_differ(&mut self, index: u64, hashes: &[u8], tile: &[u8]) {
        let bundle = entries_path(index, u8::try_from(hashes.len() / 32).ok());
        for (seal, (entry, told)) in (index * TILE..).zip(hashes.chunks(32).zip(tile.chunks(32))) {
            if entry != told {
                let message = "its entry does not hash to what the tile says";
                self.report.broken(format!("{bundle} (seal {seal})"), "entry-differs", message);
            }
        }
    }

    fn partial_bundles(&mut self, bundle: u64, entries: &[&[u8]]) {
        let width = u16::try_from(entries.len()).unwrap_or_default();
        self.partials(&entries_path(bundle, None), width, |width| {
            let expected = encode_bundle(entries.get(..usize::from(width))?).ok()?;
            Some((entries_path(bundle, Some(width)), expected))
        });
    }

    /// Compares all partial tiles below `width` that a log still keeps.
    fn partials(&mut self, path: &str, width: u16, expected: impl Fn(u8) -> Option<(String, Vec<u8>)>) {
        let widths = match self.source.partials(path) {
            Ok(widths) => widths,
            Err(error) => {
                let message = format!("its partial tiles cannot be listed: {}", error.kind());
                return self.report.missing(path, "unreadable", message);
            }
        };
        for partial in widths.into_iter().filter(|partial| u16::from(*partial) < width) {
            let Some((path, expected)) = expected(partial) else { continue };
            if self.required(&path).is_some_and(|bytes| bytes != expected) {
                self.report.broken(path, "tile-differs", "it is not the beginning of the fuller tile");
            }
        }
    }

    /// Reads a tile or bundle of `width`: the partial one where it is not full, or the full one that replaced it.
    fn tile(&mut self, width: u16, path: impl Fn(Option<u8>) -> String) -> Option<(String, Vec<u8>)> {
        let full = path(None);
        if let Ok(partial) = u8::try_from(width) {
            let partial = path(Some(partial));
            if let Some(bytes) = self.optional(&partial)? {
                return Some((partial, bytes));
            }
            if let Some(bytes) = self.optional(&full)? {
                return Some((full, bytes));
            }
            self.report.missing(partial, "file-missing", "it is not there");
            return None;
        }
        self.required(&full).map(|bytes| (full, bytes))
    }

    /// How many hashes the tile has at the checkpoint's size.
    fn width(&self, level: u8, index: u64) -> u16 {
        let nodes = self.size >> (8 * u32::from(level));
        u16::try_from(nodes.saturating_sub(index * TILE).min(TILE)).unwrap_or_default()
    }

    /// Checks the note of a tree size, if there is one, against the entries so far.
    fn note(&mut self, size: u64, sequence: &Sequence) {
        let path = note_path(size);
        let Some(Some(note)) = self.optional(&path) else { return };
        self.notes += 1;
        self.newest_note = Some((size, sha256(&note)));
        let accepted = match self.accept(&note) {
            Ok(accepted) => accepted,
            Err((code, message)) => return self.report.broken(path, code, message),
        };
        let checkpoint = accepted.checkpoint;
        let mut rule = |holds: bool, code, message| {
            if !holds {
                self.report.broken(&path, code, message);
            }
        };
        rule(checkpoint.origin == self.origin, "another-ledger", "it belongs to another ledger");
        rule(checkpoint.size == size, "note-size", "it is of another tree size than it is filed under");
        let same_root = checkpoint.size != size || checkpoint.root == self.tree.root();
        rule(same_root, "note-of-another-tree", "its root is not that of the log's entries");
        let latest = accepted.quorum_time.and_then(|seconds| i64::try_from(seconds).ok());
        let latest = latest.map(|seconds| seconds.saturating_add(MAX_SEAL_LEAD_SECONDS));
        if sequence.time().zip(latest).is_some_and(|(time, latest)| time.seconds() > latest) {
            let seals = format!("seals {} to {}", self.undated_from, size - 1);
            let message = "one is dated more than 60 seconds after the note that made it public";
            self.report.broken(seals, "seal-after-public", message);
        }
        self.undated_from = size;
    }

    /// SHA-256 of the note of a tree size, if there is one.
    fn note_hash(&mut self, size: u64) -> Option<Hash> {
        match self.newest_note {
            Some((newest, hash)) if newest == size => Some(hash),
            _ => self.optional(&note_path(size))?.map(|note| sha256(&note)),
        }
    }
}
