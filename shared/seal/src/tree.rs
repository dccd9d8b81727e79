//! Trees in the shape of RFC 9162 section 2.1, over any [`TreeHash`] (section 1 of the format).
//!
//! Three ways in: [`Frontier`] appends leaves and knows the root; the `…_nodes` functions say which stored nodes a proof
//! is made of; the `verify_…` functions check proofs as strictly as RFC 9162 sections 2.1.3.2 and 2.1.4.2 do. A tree as
//! a whole is never held in memory.

use std::marker::PhantomData;
use std::ops::Range;

use crate::hash::{Hash, TreeHash};
use crate::refused::{Code, Refused, Result, ensure};

/// Tree levels in one level of tiles: a tile has 2^8 hashes.
const LEVELS_PER_TILE: u8 = 8;

/// A complete subtree: the one of 2^`level` leaves that begins at leaf `index` · 2^`level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// 0 for a leaf.
    pub level: u8,
    /// 0-based place among the subtrees of that level.
    pub index: u64,
}

/// A tile: 256 hashes of tree level 8 · `level`, beginning at the (256 · `index`)-th.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// 0 for tiles of leaf hashes.
    pub level: u8,
    /// 0-based place among the tiles of that level.
    pub index: u64,
}

impl NodeId {
    /// Where the node is found: the tile, and which of its hashes give the node by [`node_from_tile`].
    pub fn in_tile(self) -> (TileId, Range<usize>) {
        let above = self.level % LEVELS_PER_TILE;
        let first = self.index << above;
        let place = usize::from(first.to_le_bytes()[0]);
        let tile = TileId { level: self.level / LEVELS_PER_TILE, index: first >> LEVELS_PER_TILE };
        (tile, place..place + (1 << above))
    }
}

/// The right edge of a growing tree: the roots of its complete subtrees, largest first.
#[derive(Debug)]
pub struct Frontier<H> {
    size: u64,
    nodes: Vec<Hash>,
    hash: PhantomData<fn() -> H>,
}

impl<H> Clone for Frontier<H> {
    fn clone(&self) -> Self {
        Self { size: self.size, nodes: self.nodes.clone(), hash: PhantomData }
    }
}

impl<H: TreeHash> Default for Frontier<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H: TreeHash> Frontier<H> {
    /// The edge of the empty tree.
    pub fn new() -> Self {
        Self { size: 0, nodes: Vec::new(), hash: PhantomData }
    }

    /// The edge of a tree of `size` leaves from the nodes that [`root_nodes`] names; another count of nodes, or a size
    /// above 2^63, is [`Code::TreeNodes`].
    pub fn from_nodes(size: u64, nodes: Vec<Hash>) -> Result<Self> {
        let fits = size <= 1 << 63 && nodes.len() == size.count_ones() as usize;
        ensure(fits, Code::TreeNodes)?;
        Ok(Self { size, nodes, hash: PhantomData })
    }

    /// Appends a leaf hash.
    pub fn push(&mut self, leaf: Hash) {
        self.push_with(leaf, |_, _| ());
    }

    /// Appends a leaf hash and tells `stored` every subtree that this completes at a level that tiles hold: the leaf,
    /// then those of 256 leaves, 65,536 leaves, and so on.
    pub fn push_with(&mut self, leaf: Hash, mut stored: impl FnMut(NodeId, Hash)) {
        let mut node = leaf;
        stored(NodeId { level: 0, index: self.size }, node);
        for level in 1..=self.size.trailing_ones() {
            if let Some(left) = self.nodes.pop() {
                node = H::node(&left, &node);
            }
            let level = u8::try_from(level).unwrap_or(u8::MAX);
            if level % LEVELS_PER_TILE == 0 {
                stored(NodeId { level, index: self.size >> level }, node);
            }
        }
        self.nodes.push(node);
        self.size += 1;
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        fold::<H>(&self.nodes)
    }

    /// The complete subtrees' roots, largest first, as [`root_nodes`] names them.
    pub fn nodes(&self) -> &[Hash] {
        &self.nodes
    }
}

/// The complete subtrees that the leaves of `range` fall into, left to right.
///
/// `range` begins where a subtree of at least its own size begins, as every range of a proof does: then their sizes
/// descend and [`fold`] gives the range's root.
fn cover(range: Range<u64>) -> Vec<NodeId> {
    let mut nodes = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let level = (range.end - start).ilog2();
        nodes.push(NodeId { level: u8::try_from(level).unwrap_or(u8::MAX), index: start >> level });
        start += 1 << level;
    }
    nodes
}

/// The nodes whose [`fold`] is the root of the tree with `size` leaves.
pub fn root_nodes(size: u64) -> Vec<NodeId> {
    cover(0..size)
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// The inclusion proof of leaf `index` in the tree of `size` leaves (RFC 9162 section 2.1.3.1), leaf's sibling first:
/// for every hash of the path, the nodes whose [`fold`] it is. Empty where `index` is outside the tree.
pub fn inclusion_nodes(index: u64, size: u64) -> Vec<Vec<NodeId>> {
    let mut path = Vec::new();
    let mut tree = if index < size { 0..size } else { 0..0 };
    while tree.end - tree.start > 1 {
        let middle = tree.start + split(tree.end - tree.start);
        if index < middle {
            path.push(cover(middle..tree.end));
            tree.end = middle;
        } else {
            path.push(cover(tree.start..middle));
            tree.start = middle;
        }
    }
    path.reverse();
    path
}

/// The consistency proof from `from` to `to` leaves (RFC 9162 section 2.1.4.1): for every hash of the path, the nodes
/// whose [`fold`] it is. Empty where the sizes are equal, and where there is no proof (`from` 0 or above `to`).
pub fn consistency_nodes(from: u64, to: u64) -> Vec<Vec<NodeId>> {
    let mut path = Vec::new();
    let mut tree = if 0 < from && from < to { 0..to } else { 0..from };
    while tree.end > from {
        let middle = tree.start + split(tree.end - tree.start);
        if from <= middle {
            path.push(cover(middle..tree.end));
            tree.end = middle;
        } else {
            path.push(cover(tree.start..middle));
            tree.start = middle;
        }
    }
    // The old tree's last part stands in the proof, unless it is the old tree as a whole.
    if tree.start > 0 {
        path.push(cover(tree));
    }
    path.reverse();
    path
}

/// The root of perfect subtrees that stand side by side, sizes descending: joined from the right.
pub fn fold<H: TreeHash>(nodes: &[Hash]) -> Hash {
    let joined = nodes.iter().rev().copied().reduce(|right, left| H::node(&left, &right));
    joined.unwrap_or_else(H::empty)
}

/// The roots of many trees, each given by its complete subtrees' roots as [`Frontier::nodes`] are, in their order.
pub fn roots<'a, H: TreeHash>(trees: impl IntoIterator<Item = &'a [Hash]>) -> Vec<Hash> {
    let (mut left, mut roots): (Vec<&[Hash]>, Vec<Hash>) = trees
        .into_iter()
        .map(|nodes| nodes.split_last().map_or((nodes, H::empty()), |(last, left)| (left, *last)))
        .unzip();
    // In each step every tree that has a further subtree is joined with it.
    loop {
        let growing: Vec<(usize, Hash)> = left
            .iter_mut()
            .enumerate()
            .filter_map(|(tree, left)| {
                let (last, others) = left.split_last()?;
                *left = others;
                Some((tree, *last))
            })
            .collect();
        if growing.is_empty() {
            return roots;
        }
        let children: Vec<_> = growing.iter().map(|(tree, node)| (*node, roots[*tree])).collect();
        for ((tree, _), root) in growing.into_iter().zip(H::nodes(&children)) {
            roots[tree] = root;
        }
    }
}

/// The root of the tree over these hashes: a node, from the part of a tile that [`NodeId::in_tile`] names.
pub fn node_from_tile<H: TreeHash>(hashes: &[Hash]) -> Hash {
    let mut frontier = Frontier::<H>::new();
    for hash in hashes {
        frontier.push(*hash);
    }
    frontier.root()
}

/// Checks an inclusion proof (RFC 9162 section 2.1.3.2): `leaf` stands at `index` in the tree of `size` leaves with this
/// `root`.
pub fn verify_inclusion<H: TreeHash>(
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<()> {
    ensure(index < size, Code::IndexOutside)?;
    let (mut place, mut last) = (index, size - 1);
    let mut node = *leaf;
    for sibling in path {
        ensure(last > 0, Code::PathTooLong)?;
        if place & 1 == 1 || place == last {
            node = H::node(sibling, &node);
            // A last node without a sibling moves up until it has one.
            while place & 1 == 0 && place > 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            node = H::node(&node, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    ensure(last == 0, Code::PathTooShort)?;
    ensure(node == *root, Code::RootDiffers)
}

/// Checks a consistency proof (RFC 9162 section 2.1.4.2): the tree of `to` leaves begins with that of `from` leaves.
///
/// `from` is at least 1 and at most `to` ([`Code::SizeOrder`]). For equal sizes the path is empty and the roots are
/// equal.
pub fn verify_consistency<H: TreeHash>(
    from: u64,
    to: u64,
    from_root: &Hash,
    to_root: &Hash,
    path: &[Hash],
) -> Result<()> {
    ensure(0 < from && from <= to, Code::SizeOrder)?;
    if from == to {
        ensure(path.is_empty(), Code::PathTooLong)?;
        return ensure(from_root == to_root, Code::RootDiffers);
    }
    let complete = from.trailing_zeros();
    let (mut place, mut last) = ((from - 1) >> complete, (to - 1) >> complete);
    // An old tree that is one complete subtree of the new one is where the proof starts, and is left out of it.
    let (mut old, path) = match path.split_first() {
        _ if from.is_power_of_two() => (*from_root, path),
        Some((first, rest)) => (*first, rest),
        None => return Err(Refused::new(Code::PathTooShort)),
    };
    let mut new = old;
    for sibling in path {
        ensure(last > 0, Code::PathTooLong)?;
        if place & 1 == 1 || place == last {
            old = H::node(sibling, &old);
            new = H::node(sibling, &new);
            while place & 1 == 0 && place > 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            new = H::node(&new, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    ensure(last == 0, Code::PathTooShort)?;
    ensure(old == *from_root && new == *to_root, Code::RootDiffers)
}
