//! The published log, read piece by piece: entries, notes, and nodes of the tree out of tiles.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::json;
use trialseal_seal::checkpoint::Checkpoint;
use trialseal_seal::hash::{Hash, Sha2};
use trialseal_seal::seal::Seal;
use trialseal_seal::tiles::{TILE_WIDTH, decode_bundle, entries_path, note_path, tile_path};
use trialseal_seal::tree::{
    NodeId, TileId, consistency_nodes, fold, inclusion_nodes, node_from_tile, root_nodes, verify_consistency,
    verify_inclusion,
};
use trialseal_seal::{Code, canonical};
use trialseal_verify::MAX_RESOURCE_BYTES;

use crate::finding::{Finding, Step};
use crate::place::Place;

pub(crate) const TILE: u64 = TILE_WIDTH as u64;
/// Tiles that are kept at once; 8 KB each.
const MAX_KEPT: usize = 4_096;

/// Reads the log of a ledger. What it gives out of tiles is as good as the proof that it is used in.
pub(crate) struct Tiles<'a> {
    place: &'a dyn Place,
    kept: RefCell<HashMap<String, Rc<Vec<Hash>>>>,
}

impl<'a> Tiles<'a> {
    pub(crate) fn new(place: &'a dyn Place) -> Self {
        Self { place, kept: RefCell::default() }
    }

    /// What stands at a path below the log's prefix; `None` where there is nothing.
    pub(crate) fn read(&self, path: &str) -> Step<Option<Vec<u8>>> {
        let unreadable = |why: String| Finding::cannot_tell("unreadable", format!("log/{path}"), why);
        let answer = self.place.get(&format!("log/{path}"));
        let answer = answer.map_err(|error| unreadable(format!("it cannot be read: {error}")))?;
        match answer.status {
            200 if answer.body.len() as u64 > MAX_RESOURCE_BYTES => {
                Err(unreadable("it is larger than anything in a log".into()))
            }
            200 => Ok(Some(answer.body)),
            404 | 410 => Ok(None),
            status => Err(unreadable(format!("it cannot be read: the answer is HTTP {status}"))),
        }
    }

    /// The note of a tree size, where there is one.
    pub(crate) fn note(&self, size: u64) -> Step<Option<Vec<u8>>> {
        self.read(&note_path(size))
    }

    /// Reads a tile or bundle of `width`: the partial one where it is not full, or the full one that replaced it.
    fn partial_or_full(&self, width: u16, path: impl Fn(Option<u8>) -> String) -> Step<Vec<u8>> {
        if let Ok(partial) = u8::try_from(width)
            && let Some(bytes) = self.read(&path(Some(partial)))?
        {
            return Ok(bytes);
        }
        let full = path(None);
        let missing = || Finding::cannot_tell("file-missing", format!("log/{full}"), "it is not there");
        self.read(&full)?.ok_or_else(missing)
    }

    /// The entries of a bundle, as far as a log of `size` has them.
    pub(crate) fn entries(&self, bundle: u64, size: u64) -> Step<Vec<Vec<u8>>> {
        let width = width(0, bundle, size);
        let bytes = self.partial_or_full(width, |width| entries_path(bundle, width))?;
        let record = format!("log/{}", entries_path(bundle, None));
        let malformed = |message: &str| {
            let code = Code::BundleMalformed.as_str();
            Finding::alarm(code, record.clone(), message).with("entries", bytes.clone())
        };
        let entries = decode_bundle(&bytes).map_err(|refused| malformed(&refused.to_string()))?;
        if entries.len() < usize::from(width) {
            return Err(malformed("it has fewer entries than the checkpoint says"));
        }
        Ok(entries.into_iter().take(usize::from(width)).map(<[u8]>::to_vec).collect())
    }

    fn tile(&self, tile: TileId, size: u64) -> Step<Rc<Vec<Hash>>> {
        let width = width(tile.level, tile.index, size);
        let path = tile_path(tile.level, tile.index, u8::try_from(width).ok());
        if let Some(found) = self.kept.borrow().get(&path) {
            return Ok(Rc::clone(found));
        }
        let bytes = self.partial_or_full(width, |width| tile_path(tile.level, tile.index, width))?;
        let hashes: Vec<_> = bytes.chunks_exact(32).filter_map(|hash| Hash::try_from(hash).ok()).collect();
        if hashes.len() < usize::from(width) {
            let message = "it has fewer hashes than the checkpoint says";
            return Err(Finding::alarm("tile-differs", format!("log/{path}"), message).with("tile", bytes));
        }
        let hashes = Rc::new(hashes);
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(path, Rc::clone(&hashes));
        Ok(hashes)
    }

    fn node(&self, node: NodeId, size: u64) -> Step<Hash> {
        let (tile, range) = node.in_tile();
        let hashes = self.tile(tile, size)?;
        let record = || format!("log/{}", tile_path(tile.level, tile.index, None));
        let hashes = hashes.get(range);
        let hashes = hashes
            .ok_or_else(|| Finding::alarm("tile-differs", record(), "it is shorter than it has to be"))?;
        Ok(node_from_tile::<Sha2>(hashes))
    }

    fn fold(&self, nodes: &[NodeId], size: u64) -> Step<Hash> {
        let hashes = nodes.iter().map(|node| self.node(*node, size)).collect::<Step<Vec<_>>>()?;
        Ok(fold::<Sha2>(&hashes))
    }

    /// The root that the tiles of a log of `size` give for its first `at` entries.
    pub(crate) fn root(&self, at: u64, size: u64) -> Step<Hash> {
        self.fold(&root_nodes(at), size)
    }

    fn consistency(&self, from: u64, to: u64) -> Step<Vec<Hash>> {
        consistency_nodes(from, to).iter().map(|nodes| self.fold(nodes, to)).collect()
    }

    /// What shows how the log of `size` entries began: the root of its first `at`, and the consistency proof from there.
    pub(crate) fn beginning(&self, at: u64, size: u64) -> Step<Vec<u8>> {
        let (root, consistency) = (self.root(at, size)?, self.consistency(at, size)?);
        let value = json!({ "size": at, "root": root, "logSize": size, "consistency": consistency });
        Ok(format!("{value:#}\n").into_bytes())
    }

    /// Whether the tiles prove that `later` begins with `earlier`, which is not larger.
    pub(crate) fn extends(&self, earlier: &Checkpoint, later: &Checkpoint) -> Step<bool> {
        if earlier.size == 0 {
            return Ok(true);
        }
        let path = self.consistency(earlier.size, later.size)?;
        let (from, to) = (&earlier.root, &later.root);
        Ok(verify_consistency::<Sha2>(earlier.size, later.size, from, to, &path).is_ok())
    }

    /// The seal of a number, proved to stand in the log of a checkpoint.
    pub(crate) fn seal(&self, number: u64, checkpoint: &Checkpoint) -> Step<Seal> {
        let size = checkpoint.size;
        let bundle = self.entries(number / TILE, size)?;
        let place = usize::try_from(number % TILE).unwrap_or_default();
        let record = format!("seal {number}");
        let Some(entry) = bundle.get(place) else {
            return Err(Finding::cannot_tell("file-missing", record, "it is not in the log yet"));
        };
        let seal = read_seal(number, entry)?;
        let path = inclusion_nodes(number, size);
        let path = path.iter().map(|nodes| self.fold(nodes, size)).collect::<Step<Vec<_>>>()?;
        verify_inclusion::<Sha2>(&seal.leaf(), number, size, &path, &checkpoint.root).map_err(|_| {
            let code = Code::SealNotInLog.as_str();
            Finding::alarm(code, record, "its entry is not the one that the checkpoint covers")
                .with("entry.json", entry.clone())
        })?;
        Ok(seal)
    }
}

/// Reads an entry of the log.
pub(crate) fn read_seal(number: u64, entry: &[u8]) -> Step<Seal> {
    let record = format!("seal {number}");
    let seal = canonical::parse(entry, canonical::MAX_DEPTH).and_then(|value| Seal::parse(&value));
    let seal = seal.map_err(|refused| Finding::refused(record.clone(), &refused).with("entry", entry))?;
    if seal.entry() == entry {
        return Ok(seal);
    }
    Err(Finding::alarm("not-canonical", record, "its entry is not in canonical form").with("entry", entry))
}

/// How many hashes a tile has in a log of `size`.
fn width(level: u8, index: u64, size: u64) -> u16 {
    let nodes = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
    u16::try_from(nodes.saturating_sub(index.saturating_mul(TILE)).min(TILE)).unwrap_or_default()
}
