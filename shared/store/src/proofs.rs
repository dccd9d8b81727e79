//! Proofs built from what is stored: that a seal is in the public log, that a trial's head is under a seal, that an
//! event is in its trial's tree, and that one head extends another (sections 5 to 8 of the format).
//!
//! Trees are never held whole: a proof reads the tiles it needs, each once, at most two a level. Every proof is checked
//! against the root that it has to lead to before it is handed out, so that a damaged row is found here, by name, and
//! not by the reader of a receipt.

use std::collections::HashMap;

use trialseal_record::ids::TrialId;
use trialseal_seal::canonical;
use trialseal_seal::checkpoint::Checkpoint;
use trialseal_seal::hash::{Hash, Sha2, Sha3, TreeHash};
use trialseal_seal::map::{Head, TrialMap};
use trialseal_seal::note::SignedNote;
use trialseal_seal::proof::{HeadProof, LogProof, SealProof};
use trialseal_seal::seal::Seal;
use trialseal_seal::tiles::TILE_WIDTH;
use trialseal_seal::tree::{self, NodeId, TileId};

use crate::error::{Result, StoreError};
use crate::ports::{Events, Seals};
use crate::rows::{SealRow, TreeName};

/// The number of the newest published seal, if there is one.
pub async fn newest_published(seals: &dyn Seals) -> Result<Option<u64>> {
    Ok(seals.newest_note().await?.and_then(|(size, _)| size.checked_sub(1)))
}

/// The seal with this number, checked against its leaf; `None` where there is none yet.
pub async fn seal(seals: &dyn Seals, number: u64) -> Result<Option<Seal>> {
    let Some(row) = seals.seals(number, 1).await?.pop().filter(|row| row.number == number) else {
        return Ok(None);
    };
    read_seal(&row).map(Some)
}

/// Reads a stored seal and checks that its entry, number and leaf are of one seal.
///
/// # Errors
/// [`StoreError::Damaged`] naming the seal.
pub fn read_seal(row: &SealRow) -> Result<Seal> {
    let damaged = || StoreError::Damaged(format!("seal {}", row.number));
    let value = canonical::parse(&row.entry, canonical::MAX_DEPTH).map_err(|_| damaged())?;
    let seal = Seal::parse(&value).map_err(|_| damaged())?;
    let same = seal.seal == row.number && seal.entry() == row.entry && seal.leaf() == row.leaf;
    if same { Ok(seal) } else { Err(damaged()) }
}

/// The map over the heads of all trials as of a seal (section 5). It takes memory by the number of trials, and costs
/// hashing all of them: callers that prove often keep a few.
///
/// # Errors
/// [`StoreError::Damaged`] where the stored heads do not give the seal's root.
pub async fn trial_map(seals: &dyn Seals, seal: &Seal) -> Result<TrialMap> {
    let mut map = TrialMap::new();
    let heads = seals.sealed_heads(seal.seal).await?.into_iter();
    map.set_all(heads.map(|head| Head { trial: head.trial.into(), size: head.size, root: head.root }));
    if map.root() == seal.root {
        Ok(map)
    } else {
        Err(StoreError::Damaged(format!("the trial heads under seal {}", seal.seal)))
    }
}

/// Proves that a seal is in the public log, under the first checkpoint note that covers it (section 6).
///
/// `None` while no such note has been published.
pub async fn seal_proof(seals: &dyn Seals, seal: &Seal) -> Result<Option<SealProof>> {
    let Some((size, note)) = seals.note_from(seal.seal + 1).await? else { return Ok(None) };
    let damaged = || StoreError::Damaged(format!("the checkpoint note of size {size}"));
    let note = String::from_utf8(note).map_err(|_| damaged())?;
    let checkpoint =
        SignedNote::parse(&note).and_then(|note| Checkpoint::parse(&note.text)).map_err(|_| damaged())?;
    if checkpoint.size != size || checkpoint.origin != seal.ledger {
        return Err(damaged());
    }
    let mut tiles = Tiles::new(Source::Log(seals));
    let path = tiles.path::<Sha2>(tree::inclusion_nodes(seal.seal, size)).await?;
    tree::verify_inclusion::<Sha2>(&seal.leaf(), seal.seal, size, &path, &checkpoint.root)
        .map_err(|_| StoreError::Damaged(format!("the public log's tree at size {size}")))?;
    Ok(Some(SealProof { seal: seal.clone(), seal_proof: LogProof { index: seal.seal, path, note } }))
}

/// Proves a trial's head under the seal that `map` is of, or that is `None` where the trial is not in the map or the
/// seal is not published yet (section 6).
pub async fn head_proof(
    seals: &dyn Seals,
    map: &TrialMap,
    trial: &TrialId,
    seal: &Seal,
) -> Result<Option<HeadProof>> {
    let (Some(head), Some(head_proof)) = (map.get(trial.as_str()), map.prove(trial.as_str())) else {
        return Ok(None);
    };
    let proof = seal_proof(seals, seal).await?;
    Ok(proof.map(|SealProof { seal, seal_proof }| HeadProof {
        head: head.clone(),
        head_proof,
        seal,
        seal_proof,
    }))
}

/// Proves that the event with this leaf stands at place `trialseq` under `head` (section 7, `trialProof`).
///
/// # Errors
/// [`StoreError::Damaged`] where the stored leaves and nodes do not lead to the head's root.
pub async fn trial_inclusion(
    seals: &dyn Seals,
    events: &dyn Events,
    head: &Head,
    trialseq: u64,
    leaf: &Hash,
) -> Result<Vec<Hash>> {
    let mut tiles = Tiles::of_trial(seals, events, head)?;
    let path = tiles.path::<Sha3>(tree::inclusion_nodes(trialseq, head.size)).await?;
    tree::verify_inclusion::<Sha3>(leaf, trialseq, head.size, &path, &head.root)
        .map_err(|_| damaged_tree(head))?;
    Ok(path)
}

/// Proves that head `to` extends head `from` of the same trial (section 8, `consistency`).
///
/// # Errors
/// [`StoreError::Damaged`] where the stored leaves and nodes do not give both roots, or the sizes are out of order.
pub async fn trial_consistency(
    seals: &dyn Seals,
    events: &dyn Events,
    from: &Head,
    to: &Head,
) -> Result<Vec<Hash>> {
    let mut tiles = Tiles::of_trial(seals, events, to)?;
    let path = tiles.path::<Sha3>(tree::consistency_nodes(from.size, to.size)).await?;
    tree::verify_consistency::<Sha3>(from.size, to.size, &from.root, &to.root, &path)
        .map_err(|_| damaged_tree(to))?;
    Ok(path)
}

/// Proves that the public log with `to` entries extends the one with `from` (`to` at most the number of seals), as
/// witnesses ask for it; nothing where there is nothing to prove, from size 0 or between equal sizes.
///
/// # Errors
/// [`StoreError::Damaged`] where nodes that it needs are missing. That the proof holds is for its reader to see.
pub async fn log_consistency(seals: &dyn Seals, from: u64, to: u64) -> Result<Vec<Hash>> {
    if from == 0 || from == to {
        return Ok(Vec::new());
    }
    Tiles::new(Source::Log(seals)).path::<Sha2>(tree::consistency_nodes(from, to)).await
}

fn damaged_tree(head: &Head) -> StoreError {
    StoreError::Damaged(format!("the tree of trial {} at size {}", head.trial, head.size))
}

/// Where the hashes of a tree lie.
enum Source<'a> {
    Log(&'a dyn Seals),
    Trial { seals: &'a dyn Seals, events: &'a dyn Events, trial: TrialId },
}

/// Reads stored hashes tile by tile, each tile once.
struct Tiles<'a> {
    source: Source<'a>,
    read: HashMap<TileId, Vec<Hash>>,
}

impl<'a> Tiles<'a> {
    fn new(source: Source<'a>) -> Self {
        Self { source, read: HashMap::new() }
    }

    fn of_trial(seals: &'a dyn Seals, events: &'a dyn Events, head: &Head) -> Result<Self> {
        let trial = head.trial.parse().map_err(|_| damaged_tree(head))?;
        Ok(Self::new(Source::Trial { seals, events, trial }))
    }

    /// The hashes of a proof, from the nodes that each of them is folded from.
    async fn path<H: TreeHash>(&mut self, path: Vec<Vec<NodeId>>) -> Result<Vec<Hash>> {
        let mut hashes = Vec::with_capacity(path.len());
        for nodes in path {
            let mut parts = Vec::with_capacity(nodes.len());
            for node in nodes {
                parts.push(self.node::<H>(node).await?);
            }
            hashes.push(tree::fold::<H>(&parts));
        }
        Ok(hashes)
    }

    async fn node<H: TreeHash>(&mut self, node: NodeId) -> Result<Hash> {
        let (tile, range) = node.in_tile();
        if !self.read.contains_key(&tile) {
            let hashes = self.tile(tile).await?;
            self.read.insert(tile, hashes);
        }
        let hashes = self.read.get(&tile).and_then(|hashes| hashes.get(range));
        let missing =
            || StoreError::Damaged(format!("tree node {} of level {} is missing", node.index, node.level));
        hashes.map(tree::node_from_tile::<H>).ok_or_else(missing)
    }

    async fn tile(&self, tile: TileId) -> Result<Vec<Hash>> {
        let width = TILE_WIDTH as u64;
        let (from, limit) = (tile.index * width, u32::try_from(width).unwrap_or(u32::MAX));
        match &self.source {
            Source::Log(seals) if tile.level == 0 => {
                Ok(seals.seals(from, limit).await?.into_iter().map(|seal| seal.leaf).collect())
            }
            Source::Log(seals) => seals.nodes(&TreeName::Log, tile.level * 8, from, limit).await,
            Source::Trial { events, trial, .. } if tile.level == 0 => {
                events.leaves_of_trial(trial, from, limit).await
            }
            Source::Trial { seals, trial, .. } => {
                seals.nodes(&TreeName::Trial(trial.clone()), tile.level * 8, from, limit).await
            }
        }
    }
}
