//! The trial map: one head for every trial, in a place that follows from the trial's id alone (section 5 of the format).

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::canonical::write_string;
use crate::event::valid_trial_id;
use crate::hash::{Hash, LEAF, Sha3, TreeHash, sha3_256};
use crate::lanes::Messages;
use crate::members::Members;
use crate::refused::{At, Code, Result, ensure};

const TRIAL_DOMAIN: &[u8] = b"trialseal/trial/v1\n";
const HEAD_DOMAIN: &[u8] = b"trialseal/head/v1\n";
/// The bits of a key, and so the longest way from the root to a leaf.
const MAX_DEPTH: usize = 256;

/// A trial's tree as of one seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The trial's id.
    pub trial: String,
    /// The number of its events, at least 1.
    pub size: u64,
    /// The root of its tree.
    pub root: Hash,
}

impl Head {
    /// Reads `{"trial", "size", "root"}`.
    pub fn parse(value: &Value) -> Result<Self> {
        let members = Members::of(value, &["trial", "size", "root"], &[])?;
        let trial = members.text("trial")?;
        ensure(valid_trial_id(trial), Code::TrialId).at("trial")?;
        let size = members.number("size")?;
        ensure(size > 0, Code::MemberType).at("size")?;
        Ok(Self { trial: trial.into(), size, root: members.read("root")? })
    }

    /// The head as a JSON object.
    pub fn to_value(&self) -> Value {
        json!({ "trial": self.trial, "size": self.size, "root": self.root })
    }

    /// The canonical bytes of [`to_value`](Self::to_value), added to `out`.
    fn write_canonical(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"root\":\"");
        out.extend_from_slice(&self.root.hex());
        out.extend_from_slice(b"\",\"size\":");
        out.extend_from_slice(self.size.to_string().as_bytes());
        out.extend_from_slice(b",\"trial\":");
        write_string(out, &self.trial);
        out.push(b'}');
    }
}

/// The key of a trial: its bits, the most significant of the first byte first, are its way down the map.
pub fn trial_key(trial: &str) -> Hash {
    sha3_256(&[TRIAL_DOMAIN, trial.as_bytes()])
}

/// The leaf of a head in the trial map.
pub fn head_leaf(head: &Head) -> Hash {
    leaf_under(&trial_key(&head.trial), head)
}

/// [`head_leaf`] of a trial whose key is known.
fn leaf_under(key: &Hash, head: &Head) -> Hash {
    let mut canonical = Vec::with_capacity(160);
    head.write_canonical(&mut canonical);
    Sha3::leaf(&[HEAD_DOMAIN, key.as_bytes(), &canonical])
}

/// Bit `depth` of a key: false leads left.
fn bit(key: &Hash, depth: usize) -> bool {
    key.as_bytes()[depth / 8] & (0x80 >> (depth % 8)) != 0
}

/// Whether two keys agree in their first `bits` bits.
fn agree(a: &Hash, b: &Hash, bits: usize) -> bool {
    (0..bits).all(|depth| bit(a, depth) == bit(b, depth))
}

/// The trial map of one seal, kept in memory. Inner hashes are computed when they are asked for and kept until a head
/// below them changes, so a seal costs what changed since the last one, not the size of the map.
#[derive(Clone, Debug, Default)]
pub struct TrialMap {
    root: Node,
    len: usize,
}

#[derive(Clone, Debug, Default)]
enum Node {
    #[default]
    Empty,
    Leaf(Box<Leaf>),
    Branch(Box<Branch>),
}

#[derive(Clone, Debug)]
struct Leaf {
    key: Hash,
    head: Head,
    hash: OnceLock<Hash>,
}

#[derive(Clone, Debug)]
struct Branch {
    left: Node,
    right: Node,
    hash: OnceLock<Hash>,
}

impl Branch {
    /// The child that bit `depth` of the key leads to, and the other one.
    fn children(&self, key: &Hash, depth: usize) -> (&Node, &Node) {
        if bit(key, depth) { (&self.right, &self.left) } else { (&self.left, &self.right) }
    }

    fn child_mut(&mut self, key: &Hash, depth: usize) -> &mut Node {
        if bit(key, depth) { &mut self.right } else { &mut self.left }
    }
}

impl Node {
    fn hash(&self) -> Hash {
        match self {
            Self::Empty => Hash::ZERO,
            Self::Leaf(leaf) => *leaf.hash.get_or_init(|| leaf_under(&leaf.key, &leaf.head)),
            Self::Branch(branch) => {
                *branch.hash.get_or_init(|| Sha3::node(&branch.left.hash(), &branch.right.hash()))
            }
        }
    }

    /// Finds what has no hash yet; a branch of that kind stands under its depth. What has one has none below it without.
    fn find_missing<'a>(&'a self, depth: usize, missing: &mut Missing<'a>) {
        match self {
            Self::Leaf(leaf) if leaf.hash.get().is_none() => missing.leaves.push(leaf),
            Self::Branch(branch) if branch.hash.get().is_none() => {
                if missing.branches.len() <= depth {
                    missing.branches.resize_with(depth + 1, Vec::new);
                }
                missing.branches[depth].push(branch);
                branch.left.find_missing(depth + 1, missing);
                branch.right.find_missing(depth + 1, missing);
            }
            _ => {}
        }
    }

    /// Puts a leaf in; true if its trial was not there before.
    fn set(&mut self, new: Box<Leaf>, depth: usize) -> bool {
        match std::mem::take(self) {
            Self::Empty => {
                *self = Self::Leaf(new);
                true
            }
            Self::Leaf(old) if old.key == new.key => {
                *self = Self::Leaf(new);
                false
            }
            // Two trials want one place: it becomes a branch, and both go one step down.
            Self::Leaf(old) => {
                let mut branch = Branch { left: Self::Empty, right: Self::Empty, hash: OnceLock::new() };
                let key = old.key;
                *branch.child_mut(&key, depth) = Self::Leaf(old);
                *self = Self::Branch(Box::new(branch));
                self.set(new, depth)
            }
            Self::Branch(mut branch) => {
                branch.hash = OnceLock::new();
                let key = new.key;
                let added = branch.child_mut(&key, depth).set(new, depth + 1);
                *self = Self::Branch(branch);
                added
            }
        }
    }
}

/// The parts of a map whose hashes are not computed yet.
#[derive(Default)]
struct Missing<'a> {
    leaves: Vec<&'a Leaf>,
    /// By depth.
    branches: Vec<Vec<&'a Branch>>,
}

impl Missing<'_> {
    /// Computes them, many at a time: first all leaves, then the branches from the deepest up.
    fn compute(&self) {
        let mut messages = Messages::with_capacity(self.leaves.len(), 192);
        let mut canonical = Vec::with_capacity(160);
        for leaf in &self.leaves {
            canonical.clear();
            leaf.head.write_canonical(&mut canonical);
            messages.push(&[LEAF, HEAD_DOMAIN, leaf.key.as_bytes(), &canonical]);
        }
        for (leaf, hash) in self.leaves.iter().zip(messages.sha3_256()) {
            leaf.hash.get_or_init(|| Hash::from_bytes(hash));
        }
        for branches in self.branches.iter().rev() {
            let children: Vec<_> =
                branches.iter().map(|branch| (branch.left.hash(), branch.right.hash())).collect();
            for (branch, hash) in branches.iter().zip(Sha3::nodes(&children)) {
                branch.hash.get_or_init(|| hash);
            }
        }
    }
}

impl TrialMap {
    /// The map without trials.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a trial's head in, in the place of its former one.
    pub fn set(&mut self, head: &Head) {
        self.set_all([head.clone()]);
    }

    /// Puts the heads of many trials in, each in the place of its trial's former one.
    pub fn set_all(&mut self, heads: impl IntoIterator<Item = Head>) {
        let heads: Vec<Head> = heads.into_iter().collect();
        let mut messages = Messages::with_capacity(heads.len(), 64);
        for head in &heads {
            messages.push(&[TRIAL_DOMAIN, head.trial.as_bytes()]);
        }
        for (head, key) in heads.into_iter().zip(messages.sha3_256()) {
            let leaf = Leaf { key: Hash::from_bytes(key), head, hash: OnceLock::new() };
            self.len += usize::from(self.root.set(Box::new(leaf), 0));
        }
    }

    /// The number of trials.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no trial.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The root of the map; 32 zero bytes for the empty one.
    pub fn root(&self) -> Hash {
        let mut missing = Missing::default();
        self.root.find_missing(0, &mut missing);
        missing.compute();
        self.root.hash()
    }

    /// The head of a trial, if it has one.
    pub fn get(&self, trial: &str) -> Option<&Head> {
        match self.place(&trial_key(trial)).0 {
            Node::Leaf(leaf) if leaf.head.trial == trial => Some(&leaf.head),
            _ => None,
        }
    }

    /// The proof that the trial's head is in the map: the siblings, deepest first. None for a trial that is not there.
    pub fn prove(&self, trial: &str) -> Option<Vec<Hash>> {
        match self.place(&trial_key(trial)) {
            (Node::Leaf(leaf), path) if leaf.head.trial == trial => Some(path),
            _ => None,
        }
    }

    /// The proof that the trial is not in the map: the head that stands in its place, if any does, and the siblings,
    /// deepest first. None for a trial that is there.
    pub fn prove_absent(&self, trial: &str) -> Option<(Option<Head>, Vec<Hash>)> {
        match self.place(&trial_key(trial)) {
            (Node::Leaf(leaf), _) if leaf.head.trial == trial => None,
            (Node::Leaf(leaf), path) => Some((Some(leaf.head.clone()), path)),
            (_, path) => Some((None, path)),
        }
    }

    /// The leaf or empty place that a key leads to, and the siblings on the way, deepest first.
    fn place(&self, key: &Hash) -> (&Node, Vec<Hash>) {
        let mut node = &self.root;
        let mut path = Vec::new();
        while let Node::Branch(branch) = node {
            let (next, sibling) = branch.children(key, path.len());
            path.push(sibling.hash());
            node = next;
        }
        path.reverse();
        (node, path)
    }
}

/// Checks that `head` is in the map with this `root`.
pub fn verify_head(head: &Head, path: &[Hash], root: &Hash) -> Result<()> {
    verify_place(head_leaf(head), &trial_key(&head.trial), path, root)
}

/// Checks that `trial` has no head in the map with this `root`: its place is empty, or `other`'s head stands there.
pub fn verify_absent(trial: &str, other: Option<&Head>, path: &[Hash], root: &Hash) -> Result<()> {
    let key = trial_key(trial);
    let leaf = match other {
        None => Hash::ZERO,
        Some(head) => {
            ensure(head.trial != trial, Code::TrialPresent)?;
            ensure(path.len() <= MAX_DEPTH, Code::MapProofMalformed)?;
            ensure(agree(&key, &trial_key(&head.trial), path.len()), Code::OtherTrialPlace)?;
            head_leaf(head)
        }
    };
    verify_place(leaf, &key, path, root)
}

fn verify_place(leaf: Hash, key: &Hash, path: &[Hash], root: &Hash) -> Result<()> {
    // A deepest sibling of zero would be a place that the map never makes: a lone entry stands higher up.
    let lone = path.first() == Some(&Hash::ZERO);
    ensure(path.len() <= MAX_DEPTH && !lone, Code::MapProofMalformed)?;
    let join = |node: Hash, (sibling, depth): (&Hash, usize)| {
        if bit(key, depth) { Sha3::node(sibling, &node) } else { Sha3::node(&node, sibling) }
    };
    let found = path.iter().zip((0..path.len()).rev()).fold(leaf, join);
    ensure(found == *root, Code::MapRootDiffers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::to_vec;

    #[test]
    fn a_head_is_written_as_its_value_is() {
        for (trial, size) in [("T", 1), ("_ledger", u64::MAX), ("a.B-c_9", 1_000)] {
            let head = Head { trial: trial.to_owned(), size, root: sha3_256(&[trial.as_bytes()]) };
            let mut written = b"before".to_vec();
            head.write_canonical(&mut written);
            assert_eq!(written.strip_prefix(b"before"), Some(to_vec(&head.to_value()).as_slice()));
        }
    }
}
