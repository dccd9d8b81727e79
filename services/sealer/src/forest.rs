//! The trials' trees and the map over them, in memory: a frontier a trial, extended ahead of the cut.

use std::collections::{HashMap, HashSet};

use trialseal_record::ids::TrialId;
use trialseal_seal::hash::{Hash, Sha3};
use trialseal_seal::map::{Head, TrialMap};
use trialseal_seal::seal::Seal;
use trialseal_seal::tree::{self, Frontier};
use trialseal_store::{LeafRow, NodeRow, SealedHead, Seals, TreeName, proofs};

use crate::edge::frontiers;
use crate::error::SealError;

/// Trees that are read at once: at most 2 MB of each level of tiles.
const TREES: usize = 256;

pub(crate) struct Forest {
    /// Frontiers of the trials that have grown since this process started.
    frontiers: HashMap<TrialId, Frontier<Sha3>>,
    /// The heads of all trials as of the newest seal.
    map: TrialMap,
    /// The ledger position up to which leaves have been taken in.
    taken: u64,
    grown: HashSet<TrialId>,
    nodes: Vec<NodeRow>,
}

impl Forest {
    /// The forest as of the newest seal; an empty one before the first.
    ///
    /// # Errors
    /// [`SealError::Damaged`] where the stored heads are not those that were sealed: the next seal would sign them.
    pub(crate) async fn load(seals: &dyn Seals, newest: Option<&Seal>) -> Result<Self, SealError> {
        let map = match newest {
            Some(seal) => proofs::trial_map(seals, seal).await?,
            None => TrialMap::new(),
        };
        let (trials, taken) = newest.map_or((0, 0), |seal| (seal.trials, seal.events));
        if map.len() as u64 != trials {
            let what = format!("the newest seal counts {trials} trials, but {} are stored", map.len());
            return Err(SealError::Damaged(what));
        }
        Ok(Self { frontiers: HashMap::new(), map, taken, grown: HashSet::new(), nodes: Vec::new() })
    }

    /// The position of the next event to take in.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether [`Forest::take`] can take these leaves without anything being read before.
    pub(crate) fn is_ready(&self, leaves: &[LeafRow]) -> bool {
        leaves.iter().all(|leaf| self.has_tree(&leaf.trial))
    }

    /// Makes ready the frontiers of the trials that `leaves` belong to. Reads only what earlier seals cover, so it may
    /// run inside or outside of the lock.
    ///
    /// # Errors
    /// [`SealError::Damaged`] where a stored tree does not have the root that was sealed.
    pub(crate) async fn prepare(
        &mut self,
        seals: &(impl Seals + ?Sized),
        leaves: &[LeafRow],
    ) -> Result<(), SealError> {
        let trials: HashSet<&TrialId> = leaves
            .iter()
            .map(|leaf| &leaf.trial)
            .filter(|trial| !self.frontiers.contains_key(trial))
            .collect();
        // A trial without a sealed event has no tree to read.
        let trees =
            trials.into_iter().filter_map(|trial| Some((trial.clone(), self.map.get(trial.as_str())?.size)));
        let trees: Vec<(TrialId, u64)> = trees.collect();
        for trees in trees.chunks(TREES) {
            for ((trial, size), frontier) in trees.iter().zip(frontiers(seals, trees).await?) {
                if self.map.get(trial.as_str()).is_none_or(|head| head.root != frontier.root()) {
                    let what =
                        format!("the first {size} events of trial {trial} are not those that were sealed");
                    return Err(SealError::Damaged(what));
                }
                self.frontiers.insert(trial.clone(), frontier);
            }
        }
        Ok(())
    }

    /// Whether the trial's tree is at hand; that of a trial without a sealed event is the empty one.
    fn has_tree(&self, trial: &TrialId) -> bool {
        self.frontiers.contains_key(trial) || self.map.get(trial.as_str()).is_none()
    }

    /// Takes leaves in, in the order of their positions. Their trials must have been made ready.
    pub(crate) fn take(&mut self, leaves: Vec<LeafRow>) -> Result<(), SealError> {
        for row in leaves {
            if !self.frontiers.contains_key(&row.trial) && self.has_tree(&row.trial) {
                self.frontiers.insert(row.trial.clone(), Frontier::new());
            }
            let frontier = self.frontiers.get_mut(&row.trial);
            let Some(frontier) = frontier.filter(|f| f.size() == row.trialseq && self.taken == row.position)
            else {
                let what = format!("event {} of trial {} is out of its place", row.trialseq, row.trial);
                return Err(SealError::Damaged(what));
            };
            frontier.push_with(row.leaf, |node, hash| {
                if node.level > 0 {
                    let tree = TreeName::Trial(row.trial.clone());
                    self.nodes.push(NodeRow { tree, level: node.level, index: node.index, hash });
                }
            });
            self.grown.insert(row.trial);
            self.taken += 1;
        }
        Ok(())
    }

    /// The heads of the trials that grew, as seal `seal` will hold them, taken into the map.
    pub(crate) fn heads(&mut self, seal: u64) -> Vec<SealedHead> {
        let grown = self.grown.iter().filter_map(|trial| Some((trial, self.frontiers.get(trial)?)));
        let mut grown: Vec<_> = grown.collect();
        grown.sort_unstable_by_key(|(trial, _)| *trial);
        let roots = tree::roots::<Sha3>(grown.iter().map(|(_, frontier)| frontier.nodes()));
        let heads = grown.into_iter().zip(roots).map(|((trial, frontier), root)| SealedHead {
            trial: trial.clone(),
            seal,
            size: frontier.size(),
            root,
        });
        let heads: Vec<_> = heads.collect();
        self.map.set_all(heads.iter().map(|head| Head {
            trial: head.trial.to_string(),
            size: head.size,
            root: head.root,
        }));
        heads
    }

    /// Nodes completed since the seal before.
    pub(crate) fn nodes(&self) -> &[NodeRow] {
        &self.nodes
    }

    /// The root of the map, and how many trials are in it.
    pub(crate) fn root(&self) -> (Hash, u64) {
        (self.map.root(), self.map.len() as u64)
    }

    /// The seal with the heads that were asked for last has been recorded.
    pub(crate) fn recorded(&mut self) {
        self.grown.clear();
        self.nodes.clear();
    }
}
