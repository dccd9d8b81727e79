//! A log in memory, which can show two histories if it is told to.

use ed25519_dalek::{Signer as _, SigningKey};
use trialseal_seal::checkpoint::Checkpoint;
use trialseal_seal::hash::{Hash, Sha2, TreeHash, sha256};
use trialseal_seal::note::{KeyKind, NoteSignature, SignedNote, Signer, VerifierKey};
use trialseal_seal::tree::{NodeId, consistency_nodes, fold, node_from_tile, root_nodes};
use trialseal_seal::witness::AddCheckpoint;

/// A log of as many leaves as anybody asks for.
pub(crate) struct Log {
    pub(crate) origin: String,
    verifier: VerifierKey,
    key: SigningKey,
    leaves: Vec<Hash>,
}

impl Log {
    pub(crate) fn new(origin: &str) -> Self {
        Self::keyed(origin, origin, 1)
    }

    /// A log whose key has another name than the log.
    pub(crate) fn keyed(origin: &str, key: &str, seed: u8) -> Self {
        let leaf = |n: u64| Sha2::leaf(&[origin.as_bytes(), &n.to_be_bytes()]);
        Self {
            origin: origin.to_owned(),
            verifier: Signer::new(key, KeyKind::Ed25519, &[seed; 32]).unwrap().verifier_key(),
            key: SigningKey::from_bytes(&[seed; 32]),
            leaves: (0..2000).map(leaf).collect(),
        }
    }

    /// The same log with another history from leaf `from` on.
    pub(crate) fn forked(&self, from: usize) -> Self {
        let mut leaves = self.leaves.clone();
        for leaf in &mut leaves[from..] {
            *leaf = sha256(leaf.as_bytes());
        }
        Self { origin: self.origin.clone(), verifier: self.verifier.clone(), key: self.key.clone(), leaves }
    }

    pub(crate) fn vkey(&self) -> String {
        self.verifier.to_string()
    }

    fn node(&self, node: NodeId) -> Hash {
        let first = usize::try_from(node.index << node.level).unwrap();
        node_from_tile::<Sha2>(&self.leaves[first..first + (1 << node.level)])
    }

    fn fold(&self, nodes: Vec<NodeId>) -> Hash {
        fold::<Sha2>(&nodes.into_iter().map(|node| self.node(node)).collect::<Vec<_>>())
    }

    pub(crate) fn checkpoint(&self, size: u64) -> Checkpoint {
        Checkpoint { origin: self.origin.clone(), size, root: self.fold(root_nodes(size)) }
    }

    /// The signed checkpoint of a size.
    pub(crate) fn note(&self, size: u64) -> SignedNote {
        self.sign(&self.checkpoint(size).to_string())
    }

    /// Signs any text, as no log of ours would.
    pub(crate) fn sign(&self, text: &str) -> SignedNote {
        let line = NoteSignature {
            name: self.verifier.name().to_owned(),
            key_id: self.verifier.id(),
            signature: self.key.sign(text.as_bytes()).to_bytes().to_vec(),
        };
        SignedNote { text: text.to_owned(), signatures: vec![line] }
    }

    pub(crate) fn request(&self, old_size: u64, size: u64) -> AddCheckpoint {
        let proof = consistency_nodes(old_size, size).into_iter().map(|nodes| self.fold(nodes)).collect();
        AddCheckpoint { old_size, proof, note: self.note(size) }
    }

    /// The body that asks for a checkpoint of `size` after one of `old_size`.
    pub(crate) fn body(&self, old_size: u64, size: u64) -> String {
        self.request(old_size, size).encode()
    }
}
