//! The right edge of a tree as tiles hold it: for each tile level the hashes of the newest tile.

use trialseal_seal::hash::{Hash, TreeHash};
use trialseal_seal::tree::{Frontier, node_from_tile, root_nodes};
use trialseal_store::{Events, Seals, StoreError, TreeName};

use crate::error::SealError;

/// Hashes in a tile.
pub(crate) const TILE: u64 = 256;

/// Reads the frontier of a stored tree as it was at `size`: at most one tile a level, whatever the size.
pub(crate) async fn frontier<H: TreeHash>(
    store: &(impl Seals + Events + ?Sized),
    tree: &TreeName,
    size: u64,
) -> Result<Frontier<H>, SealError> {
    frontier_of(tree, size, &edge(store, tree, size).await?)
}

/// The frontier of a tree of `size` leaves whose [`edge`] has been read.
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

/// For each tile level of a tree of `size` leaves the hashes of its partial tile, which may be none.
pub(crate) async fn edge(
    store: &(impl Seals + Events + ?Sized),
    tree: &TreeName,
    size: u64,
) -> Result<Vec<Vec<Hash>>, SealError> {
    let mut levels = Vec::new();
    let mut count = size;
    for level in (0..).step_by(8) {
        let from = count - count % TILE;
        let hashes = hashes(store, tree, level, from, u32::try_from(count - from).unwrap_or(0)).await?;
        if hashes.len() as u64 != count - from {
            let what = format!("tree {:?} lacks nodes of level {level} from {from} on", tree.as_str());
            return Err(SealError::Damaged(what));
        }
        levels.push(hashes);
        count /= TILE;
        if count == 0 {
            break;
        }
    }
    Ok(levels)
}

async fn hashes(
    store: &(impl Seals + Events + ?Sized),
    tree: &TreeName,
    level: u8,
    from: u64,
    limit: u32,
) -> Result<Vec<Hash>, StoreError> {
    match (limit, level, tree) {
        (0, _, _) => Ok(Vec::new()),
        (_, 0, TreeName::Trial(trial)) => store.leaves_of_trial(trial, from, limit).await,
        (_, 0, TreeName::Log) => {
            Ok(store.seals(from, limit).await?.into_iter().map(|seal| seal.leaf).collect())
        }
        _ => store.nodes(tree, level, from, limit).await,
    }
}
