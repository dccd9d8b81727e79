//! One round: from a log's newest checkpoint to the copy of everything below it.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use trialseal_seal::checkpoint::{Checkpoint, log_signatures};
use trialseal_seal::hash::Sha2;
use trialseal_seal::note::{MAX_NOTE_BYTES, SignedNote, VerifierKey};
use trialseal_seal::tiles::{decode_bundle, encode_bundle, entries_path, note_path, tile_path};
use trialseal_seal::tree::{Frontier, root_nodes};
use trialseal_seal::witness::AddCheckpoint;

use super::source::Source;
use super::store::Store;
use super::timestamps;
use super::tree::{Tree, bytes_of, levels};

/// The path of the newest checkpoint.
const CHECKPOINT: &str = "checkpoint";
/// Names the size up to which notes may lie here that the copy's checkpoint does not reach. It is no path of a log.
const AHEAD: &str = ".notes-ahead";

pub(super) struct Round<'a> {
    pub(super) origin: &'a str,
    pub(super) keys: &'a [VerifierKey],
    pub(super) source: &'a dyn Source,
    pub(super) store: &'a Store,
    pub(super) evidence: &'a Store,
}

/// What a round came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The log shows nothing newer than the copy.
    Same,
    /// The copy is of this many entries now.
    Grown(u64),
    /// The log signed what contradicts the copy, which stays as it is; what, and where the evidence lies.
    Contradiction(String),
}

/// A checkpoint that the log signed.
struct Signed {
    checkpoint: Checkpoint,
    note: SignedNote,
    bytes: Vec<u8>,
}

impl Round<'_> {
    /// Copies what is new.
    ///
    /// # Errors
    /// Where the log or the folder cannot be read or written, and where the log gives what its checkpoint does not vouch
    /// for. A crash or an error anywhere leaves the old checkpoint, and files that no checkpoint speaks of yet; the next
    /// round uses those that are right.
    pub(super) fn run(self) -> Result<Outcome> {
        let held = self.store.read(CHECKPOINT)?.map(|bytes| self.signed(bytes)).transpose();
        let held = held.context("the copy's own checkpoint cannot be used")?;
        // Whatever the log does now, the copy is whole before.
        held.as_ref().map_or(Ok(()), |held| self.drop_notes_ahead(held.checkpoint.size))?;
        let bytes = self.source.get(CHECKPOINT, MAX_NOTE_BYTES)?.context("the log has no checkpoint")?;
        if held.as_ref().is_some_and(|held| held.bytes == bytes) {
            return Ok(Outcome::Same);
        }
        let newest = self.signed(bytes).context("the log's checkpoint is refused")?;
        match held {
            Some(held) if newest.checkpoint.size <= held.checkpoint.size => self.older(&held, &newest),
            held => self.newer(held.as_ref(), &newest),
        }
    }

    /// Reads a checkpoint, which the log has to have signed.
    fn signed(&self, bytes: Vec<u8>) -> Result<Signed> {
        let note = SignedNote::parse(std::str::from_utf8(&bytes)?)?;
        let checkpoint = Checkpoint::parse_extended(&note.text)?;
        ensure!(checkpoint.origin == self.origin, "it is another log's: {}", checkpoint.origin);
        log_signatures(self.keys, &note)?;
        Ok(Signed { checkpoint, note, bytes })
    }

    /// Holds a checkpoint against a larger tree, or one of its size.
    fn older(&self, larger: &Signed, older: &Signed) -> Result<Outcome> {
        let store: &Store = self.store;
        let mut tree = Tree::open(store, store, &larger.checkpoint).context("the copy is damaged")?;
        if tree.root_of(older.checkpoint.size)? == older.checkpoint.root {
            return Ok(Outcome::Same);
        }
        self.contradiction(&mut tree, older, larger)
    }

    fn newer(&self, held: Option<&Signed>, newest: &Signed) -> Result<Outcome> {
        let size = newest.checkpoint.size;
        let first = held.map_or(0, |held| held.checkpoint.size);
        let mut tree = Tree::open(self.source, self.store, &newest.checkpoint)?;
        if let Some(held) = held
            && tree.root_of(first)? != held.checkpoint.root
        {
            return self.contradiction(&mut tree, held, newest);
        }
        let nodes = root_nodes(first).into_iter().map(|node| tree.node(node)).collect::<Result<_>>()?;
        let mut frontier = Frontier::<Sha2>::from_nodes(first, nodes)?;
        // A ledger of ours keeps the note of each size; other logs have none, and need not be asked for every one.
        let has_notes = self.note(size)?.is_some();
        let mut noted = vec![size];
        if has_notes {
            self.store.put(AHEAD, size.to_string().as_bytes())?;
            self.store.sync()?;
        }
        for bundle in first >> 8..size.div_ceil(256) {
            let (leaves, entries) = (tree.tile(0, bundle)?, tree.entries(bundle)?);
            let width = u8::try_from(leaves.len()).ok();
            self.store.put(&entries_path(bundle, width), &entries)?;
            for (index, leaf) in (bundle << 8..).zip(leaves).filter(|(index, _)| *index >= first) {
                frontier.push(leaf);
                let Some(note) = has_notes.then(|| self.note(index + 1)).transpose()?.flatten() else {
                    continue;
                };
                if note.checkpoint.root != frontier.root() {
                    let outcome = self.contradiction(&mut tree, &note, newest)?;
                    // It may be from a round that copied the other history and was broken off.
                    self.store.remove(&note_path(index + 1))?;
                    return Ok(outcome);
                }
                self.store.put(&note_path(index + 1), &note.bytes)?;
                noted.push(index + 1);
            }
        }
        self.tiles(&mut tree, first, &noted)?;
        if has_notes {
            timestamps::copy(self.source, self.store, size)?;
        }
        // Everything that the checkpoint speaks of is durable before it is.
        self.store.sync()?;
        self.store.put(CHECKPOINT, &newest.bytes)?;
        self.store.sync()?;
        self.store.remove(AHEAD)?;
        self.close_full_tiles(first, size)?;
        Ok(Outcome::Grown(size))
    }

    /// Removes the notes of larger trees that a round left behind which was broken off: a reader would take the checkpoint
    /// for an old one that was put back. Before there is a checkpoint they stay, as nobody can read a log without.
    fn drop_notes_ahead(&self, size: u64) -> Result<()> {
        let Some(ahead) = self.store.read(AHEAD)? else { return Ok(()) };
        // Written whole, or by somebody else.
        let ahead =
            std::str::from_utf8(&ahead)?.parse().context("the copy's mark of notes ahead is damaged")?;
        for size in size + 1..=ahead {
            self.store.remove(&note_path(size))?;
        }
        self.store.sync()?;
        self.store.remove(AHEAD)
    }

    /// The log's note of a size, from here or there.
    fn note(&self, size: u64) -> Result<Option<Signed>> {
        let path = note_path(size);
        if let Some(note) = self.store.read(&path)?.and_then(|bytes| self.signed(bytes).ok())
            && note.checkpoint.size == size
        {
            return Ok(Some(note));
        }
        let Some(bytes) = self.source.get(&path, MAX_NOTE_BYTES)? else { return Ok(None) };
        let note = self.signed(bytes).with_context(|| format!("{path} is refused"))?;
        ensure!(note.checkpoint.size == size, "{path} is of another size");
        Ok(Some(note))
    }

    /// Writes the tiles that are new since a size, and the partial ones of all sizes that there are notes of: whoever
    /// holds such a note asks for them.
    fn tiles(&self, tree: &mut Tree<'_>, first: u64, noted: &[u64]) -> Result<()> {
        for level in levels(tree.size()) {
            let (last, width) = tree.last(level);
            for index in first >> (8 * u32::from(level)) >> 8..last {
                self.store.put(&tile_path(level, index, None), &bytes_of(&tree.tile(level, index)?))?;
            }
            let nodes = |size: u64| size >> (8 * u32::from(level));
            let widths = noted.iter().filter(|size| nodes(**size) >> 8 == last);
            let widths: BTreeSet<_> = widths.map(|size| nodes(*size).to_le_bytes()[0]).collect();
            let hashes = tree.tile(level, last)?;
            let bundle = if level == 0 && width > 0 { tree.entries(last)? } else { Vec::new() };
            let entries = decode_bundle(&bundle)?;
            for width in widths.into_iter().filter(|width| *width > 0) {
                let count = usize::from(width);
                let part = hashes.get(..count).context("a tile is shorter than it was")?;
                self.store.put(&tile_path(level, last, Some(width)), &bytes_of(part))?;
                if let Some(part) = entries.get(..count).filter(|_| level == 0) {
                    self.store.put(&entries_path(last, Some(width)), &encode_bundle(part)?)?;
                }
            }
        }
        Ok(())
    }

    /// Removes the partial tiles that full ones have replaced. A crash before leaves them, and they are true.
    fn close_full_tiles(&self, first: u64, size: u64) -> Result<()> {
        for level in levels(size) {
            let tiles = |size: u64| size >> (8 * u32::from(level)) >> 8;
            for index in tiles(first)..tiles(size) {
                self.store.remove_folder(&format!("{}.p", tile_path(level, index, None)))?;
                if level == 0 {
                    self.store.remove_folder(&format!("{}.p", entries_path(index, None)))?;
                }
            }
        }
        Ok(())
    }

    /// Keeps the two checkpoints, and a proof from the smaller size to the larger tree: what it starts from is not the
    /// smaller tree's root, as it would be if that had grown into the larger.
    fn contradiction(&self, tree: &mut Tree<'_>, smaller: &Signed, larger: &Signed) -> Result<Outcome> {
        let (old, new) = (&smaller.checkpoint, &larger.checkpoint);
        let (old_size, proof) = (old.size, tree.growth_from(old.size)?);
        let request = AddCheckpoint { old_size, proof, note: larger.note.clone() };
        let name = format!("{}-{}", short(old), short(new));
        self.evidence.put(&format!("{name}/smaller"), &smaller.bytes)?;
        self.evidence.put(&format!("{name}/larger"), &larger.bytes)?;
        self.evidence.put(&format!("{name}/add-checkpoint"), request.encode().as_bytes())?;
        self.evidence.sync()?;
        Ok(Outcome::Contradiction(format!(
            "it signed a tree of {} and one of {} that did not grow out of it; both checkpoints are in {}",
            old.size,
            new.size,
            self.evidence.root().join(name).display()
        )))
    }
}

/// Size and the beginning of the root, to tell checkpoints apart.
fn short(checkpoint: &Checkpoint) -> String {
    let root: String = checkpoint.root.to_string().chars().take(16).collect();
    format!("{}-{root}", checkpoint.size)
}
