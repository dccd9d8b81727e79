//! The tiles and entries of one signed tree, each held against its root before it is used.
//!
//! The tiles at the right edge, one a level, give the root; every other tile has its root in the tile above it. So what
//! comes from a log, or from a disk, is checked piece by piece and never held as a whole.

use anyhow::{Context as _, Result, ensure};
use trialseal_seal::checkpoint::Checkpoint;
use trialseal_seal::hash::{Hash, Sha2, TreeHash};
use trialseal_seal::tiles::{TILE_WIDTH, decode_bundle, encode_bundle, entries_path, tile_path};
use trialseal_seal::tree::{NodeId, consistency_nodes, fold, node_from_tile, root_nodes};

use super::source::Source;
use super::store::Store;

/// The largest bundle: full, of the longest entries.
const BUNDLE_BYTES: usize = TILE_WIDTH * (2 + u16::MAX as usize);

pub(super) struct Tree<'a> {
    source: &'a dyn Source,
    /// What is there already is taken from here, once it is held against the root as well.
    store: &'a Store,
    size: u64,
    /// Of each level, the hashes of the tile that is not full; none where all are.
    edge: Vec<Vec<Hash>>,
    /// Of each level, the full tile that was looked at last, and its place.
    full: Vec<Option<(u64, Vec<Hash>)>>,
}

impl<'a> Tree<'a> {
    /// The tree of a checkpoint, whose root the right edge has to give.
    pub(super) fn open(source: &'a dyn Source, store: &'a Store, checkpoint: &Checkpoint) -> Result<Self> {
        let size = checkpoint.size;
        let mut tree = Self { source, store, size, edge: Vec::new(), full: Vec::new() };
        for level in levels(size) {
            let (index, width) = tree.last(level);
            let hashes = if width == 0 { Vec::new() } else { tree.partial(level, index, width)? };
            tree.edge.push(hashes);
        }
        tree.full.resize(tree.edge.len(), None);
        let root = tree.root_of(size)?;
        ensure!(
            root == checkpoint.root,
            "the tiles at the edge of the tree of {size} are not its checkpoint's"
        );
        Ok(tree)
    }

    /// The number of leaves.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The place of the last tile of a level, and how many hashes it has if it is not full, else 0.
    pub(super) fn last(&self, level: u8) -> (u64, u8) {
        let nodes = self.size >> (8 * u32::from(level));
        (nodes >> 8, nodes.to_le_bytes()[0])
    }

    /// The hashes of a tile: 256, or those that the tree has.
    pub(super) fn tile(&mut self, level: u8, index: u64) -> Result<Vec<Hash>> {
        let place = usize::from(level);
        if index == self.last(level).0 {
            return Ok(self.edge.get(place).cloned().unwrap_or_default());
        }
        if let Some(Some((at, hashes))) = self.full.get(place)
            && *at == index
        {
            return Ok(hashes.clone());
        }
        let above = self.tile(level + 1, index >> 8)?;
        let root = above.get(usize::from(index.to_le_bytes()[0])).context("there is no such tile")?;
        let path = tile_path(level, index, None);
        let fits = |bytes: Vec<u8>| {
            let hashes = hashes(&bytes)?;
            (hashes.len() == TILE_WIDTH && node_from_tile::<Sha2>(&hashes) == *root).then_some(hashes)
        };
        let hashes = self.either(&path, TILE_WIDTH * 32, fits)?;
        let hashes = hashes.with_context(|| format!("{path} is not what the checkpoint says"))?;
        if let Some(full) = self.full.get_mut(place) {
            *full = Some((index, hashes.clone()));
        }
        Ok(hashes)
    }

    /// The bundle of entries that the leaf tile at this place is of.
    pub(super) fn entries(&mut self, index: u64) -> Result<Vec<u8>> {
        let leaves = self.tile(0, index)?;
        let fits = |bytes: Vec<u8>| {
            let entries = decode_bundle(&bytes).ok()?;
            // A full bundle may stand for a partial one.
            let entries = entries.get(..leaves.len())?;
            let same = entries.iter().zip(&leaves).all(|(entry, leaf)| Sha2::leaf(&[entry]) == *leaf);
            same.then(|| encode_bundle(entries).ok()).flatten()
        };
        for path in paths(|width| entries_path(index, width), leaves.len()) {
            if let Some(bundle) = self.either(&path, BUNDLE_BYTES, fits)? {
                return Ok(bundle);
            }
        }
        Err(anyhow::anyhow!("the entries of bundle {index} are not there, or not what the checkpoint says"))
    }

    pub(super) fn node(&mut self, node: NodeId) -> Result<Hash> {
        let (tile, range) = node.in_tile();
        let hashes = self.tile(tile.level, tile.index)?;
        Ok(node_from_tile::<Sha2>(hashes.get(range).context("there is no such node")?))
    }

    /// The root of the tree of the first `size` leaves.
    pub(super) fn root_of(&mut self, size: u64) -> Result<Hash> {
        self.fold(root_nodes(size))
    }

    /// The consistency proof from `size` to the whole.
    pub(super) fn growth_from(&mut self, size: u64) -> Result<Vec<Hash>> {
        consistency_nodes(size, self.size).into_iter().map(|nodes| self.fold(nodes)).collect()
    }

    fn fold(&mut self, nodes: Vec<NodeId>) -> Result<Hash> {
        let hashes = nodes.into_iter().map(|node| self.node(node)).collect::<Result<Vec<_>>>()?;
        Ok(fold::<Sha2>(&hashes))
    }

    /// The first `width` hashes of the tile at a level's end, which only the root can vouch for.
    fn partial(&self, level: u8, index: u64, width: u8) -> Result<Vec<Hash>> {
        let count = usize::from(width);
        for path in paths(|width| tile_path(level, index, width), count) {
            let fits = |bytes: Vec<u8>| hashes(&bytes)?.get(..count).map(<[Hash]>::to_vec);
            if let Some(bytes) = self.source.get(&path, TILE_WIDTH * 32)?
                && let Some(hashes) = fits(bytes)
            {
                return Ok(hashes);
            }
        }
        let path = tile_path(level, index, Some(width));
        Err(anyhow::anyhow!("{path} is not there, or has not as many hashes"))
    }

    /// What stands at a path here, or else there, if it is what it should be.
    fn either<T>(&self, path: &str, limit: usize, fits: impl Fn(Vec<u8>) -> Option<T>) -> Result<Option<T>> {
        if let Some(found) = self.store.read(path)?.and_then(&fits) {
            return Ok(Some(found));
        }
        Ok(self.source.get(path, limit)?.and_then(fits))
    }
}

/// The levels at which a tree of this size has hashes.
pub(super) fn levels(size: u64) -> impl Iterator<Item = u8> {
    (0_u8..8).take_while(move |level| size >> (8 * u32::from(*level)) > 0)
}

/// Where a tile of this many hashes may be: at its own path, or where the full one has replaced it, there.
fn paths(path: impl Fn(Option<u8>) -> String, count: usize) -> impl Iterator<Item = String> {
    let partial = u8::try_from(count).ok().map(|width| path(Some(width)));
    partial.into_iter().chain([path(None)])
}

/// A tile of these hashes.
pub(super) fn bytes_of(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

fn hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    bytes.len().is_multiple_of(32).then_some(())?;
    bytes.chunks_exact(32).map(|hash| Hash::try_from(hash).ok()).collect()
}
