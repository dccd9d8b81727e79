//! The trials' trees and the map over them, in memory: a frontier a trial, extended ahead of the cut.

use std::collections::{HashMap, HashSet};

use trialseal_record::ids::TrialId;
use trialseal_seal::hash::{Hash, Sha3};
use trialseal_seal::map::{Head, TrialMap};
use trialseal_seal::tree::Frontier;
use trialseal_store::{Events, LeafRow, NodeRow, SealedHead, Seals, TreeName};

use crate::edge::frontier;
use crate::error::SealError;

pub(crate) struct Forest {
    /// Frontiers of the trials that have grown since this process started.
    frontiers: HashMap<TrialId, Frontier<Sha3>>,
    /// Sizes of all trials as of the newest seal.
    sealed: HashMap<TrialId, u64>,
    map: TrialMap,
    /// The ledger position up to which leaves have been taken in.
    taken: u64,
    grown: HashSet<TrialId>,
    nodes: Vec<NodeRow>,
}

impl Forest {
    /// The forest as of the newest seal `seal`, which covers the first `sealed` events; an empty one before the first.
    pub(crate) async fn load(
        store: &(impl Seals + ?Sized),
        seal: Option<u64>,
        sealed: u64,
    ) -> Result<Self, SealError> {
        let heads = match seal {
            Some(seal) => store.sealed_heads(seal).await?,
            None => Vec::new(),
        };
        let mut map = TrialMap::new();
        let mut sizes = HashMap::with_capacity(heads.len());
        for head in heads {
            map.set(&Head { trial: head.trial.to_string(), size: head.size, root: head.root });
            sizes.insert(head.trial, head.size);
        }
        Ok(Self {
            frontiers: HashMap::new(),
            sealed: sizes,
            map,
            taken: sealed,
            grown: HashSet::new(),
            nodes: Vec::new(),
        })
    }

    /// The position of the next event to take in.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Makes ready the frontiers of the trials that `leaves` belong to. Reads only what earlier seals cover, so it may
    /// run inside or outside of the lock.
    pub(crate) async fn prepare(
        &mut self,
        store: &(impl Seals + Events + ?Sized),
        leaves: &[LeafRow],
    ) -> Result<(), SealError> {
        for leaf in leaves {
            if !self.frontiers.contains_key(&leaf.trial) {
                let size = self.sealed.get(&leaf.trial).copied().unwrap_or(0);
                let tree = TreeName::Trial(leaf.trial.clone());
                self.frontiers.insert(leaf.trial.clone(), frontier(store, &tree, size).await?);
            }
        }
        Ok(())
    }

    /// Takes leaves in, in the order of their positions. Their trials must have been made ready.
    pub(crate) fn take(&mut self, leaves: Vec<LeafRow>) -> Result<(), SealError> {
        for row in leaves {
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
        let mut heads: Vec<SealedHead> = self
            .grown
            .iter()
            .filter_map(|trial| {
                let frontier = self.frontiers.get(trial)?;
                Some(SealedHead { trial: trial.clone(), seal, size: frontier.size(), root: frontier.root() })
            })
            .collect();
        heads.sort_by(|a, b| a.trial.cmp(&b.trial));
        for head in &heads {
            self.map.set(&Head { trial: head.trial.to_string(), size: head.size, root: head.root });
        }
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

    /// The seal with these heads has been recorded.
    pub(crate) fn recorded(&mut self, heads: Vec<SealedHead>) {
        self.sealed.extend(heads.into_iter().map(|head| (head.trial, head.size)));
        self.grown.clear();
        self.nodes.clear();
    }
}
