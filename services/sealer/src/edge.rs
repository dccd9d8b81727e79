//! The right edge of a tree as tiles hold it: for each tile level the hashes of the newest tile.

use std::ops::Range;

use trialseal_record::ids::TrialId;
use trialseal_seal::hash::{Hash, Sha2, Sha3, TreeHash};
use trialseal_seal::tree::{Frontier, node_from_tile, root_nodes};
use trialseal_store::{Seals, StoreError, TreeName};

use crate::error::SealError;

/// Hashes in a tile.
pub(crate) const TILE: u64 = 256;

/// Reads the frontiers of trials' trees, each as it was at its size: at most one tile a level of each, whatever the size,
/// and all tiles of a level at once.
pub(crate) async fn frontiers(
    seals: &(impl Seals + ?Sized),
    trees: &[(TrialId, u64)],
) -> Result<Vec<Frontier<Sha3>>, SealError> {
    let mut edges = vec![Vec::new(); trees.len()];
    for level in levels() {
        let reaching = edges.iter_mut().zip(trees).filter(|(_, (_, size))| level == 0 || size >> level > 0);
        let (edges, parts): (Vec<_>, Vec<_>) = reaching
            .map(|(edge, (trial, size))| (edge, (trial.clone(), partial_tile(size >> level))))
            .unzip();
        if parts.is_empty() {
            break;
        }
        let found = seals.parts(level, &parts).await?;
        for ((edge, (trial, range)), hashes) in edges.into_iter().zip(parts).zip(found) {
            edge.push(complete(&TreeName::Trial(trial), level, &range, hashes)?);
        }
    }
    let frontiers = trees
        .iter()
        .zip(edges)
        .map(|((trial, size), edge)| frontier_of(&TreeName::Trial(trial.clone()), *size, &edge));
    frontiers.collect()
}

/// Reads the frontier of the log's tree as it was at `size`.
pub(crate) async fn log_frontier(
    seals: &(impl Seals + ?Sized),
    size: u64,
) -> Result<Frontier<Sha2>, SealError> {
    frontier_of(&TreeName::Log, size, &log_edge(seals, size).await?)
}

/// The frontier of a tree of `size` leaves whose edge has been read.
pub(crate) fn frontier_of<H: TreeHash>(
    tree: &TreeName,
    size: u64,
    edge: &[Vec<Hash>],
) -> Result<Frontier<H>, SealError> {
    let nodes = root_nodes(size).into_iter().map(|node| {
        let (tile, places) = node.in_tile();
        // A node that fills its tile is the one hash above that tile.
        let hashes = edge.get(usize::from(tile.level)).and_then(|hashes| hashes.get(places));
        hashes.map(node_from_tile::<H>)
    });
    let nodes: Option<Vec<Hash>> = nodes.collect();
    let nodes =
        nodes.ok_or_else(|| SealError::Damaged(format!("nodes of tree {:?} are missing", tree.as_str())))?;
    Ok(Frontier::from_nodes(size, nodes)?)
}

/// For each tile level of the log's tree of `size` leaves the hashes of its partial tile, which may be none.
pub(crate) async fn log_edge(seals: &(impl Seals + ?Sized), size: u64) -> Result<Vec<Vec<Hash>>, SealError> {
    let mut edge = Vec::new();
    for level in levels().take_while(|level| *level == 0 || size >> level > 0) {
        let range = partial_tile(size >> level);
        let hashes = log_hashes(seals, level, &range).await?;
        edge.push(complete(&TreeName::Log, level, &range, hashes)?);
    }
    Ok(edge)
}

/// The tree levels at which tiles begin, as far as sizes reach.
fn levels() -> impl Iterator<Item = u8> {
    (0..64).step_by(8)
}

/// Of so many hashes of a level, those in the tile that is not full.
fn partial_tile(count: u64) -> Range<u64> {
    count - count % TILE..count
}

/// Hands on what was read of a level, if it is all that was to be read.
fn complete(
    tree: &TreeName,
    level: u8,
    range: &Range<u64>,
    hashes: Vec<Hash>,
) -> Result<Vec<Hash>, SealError> {
    if hashes.len() as u64 == range.end - range.start {
        return Ok(hashes);
    }
    let what = format!("tree {:?} lacks nodes of level {level} from {} on", tree.as_str(), range.start);
    Err(SealError::Damaged(what))
}

async fn log_hashes(
    seals: &(impl Seals + ?Sized),
    level: u8,
    range: &Range<u64>,
) -> Result<Vec<Hash>, StoreError> {
    let limit = u32::try_from(range.end - range.start).unwrap_or(0);
    match (limit, level) {
        (0, _) => Ok(Vec::new()),
        (_, 0) => Ok(seals.seals(range.start, limit).await?.into_iter().map(|seal| seal.leaf).collect()),
        _ => seals.nodes(&TreeName::Log, level, range.start, limit).await,
    }
}
