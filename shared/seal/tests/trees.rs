//! Trees and the trial map against what their definitions say, computed naively.

use std::collections::HashMap;

use proptest::prelude::*;
use rs_merkle::{Hasher, MerkleTree};
use trialseal_seal::Code;
use trialseal_seal::hash::{Hash, Sha2, Sha3, TreeHash};
use trialseal_seal::map::{Head, TrialMap, head_leaf, trial_key, verify_absent, verify_head};
use trialseal_seal::tree::{
    Frontier, NodeId, TileId, consistency_nodes, fold, inclusion_nodes, node_from_tile, root_nodes, roots,
    verify_consistency, verify_inclusion,
};

/// RFC 9162 section 2.1.1, MTH.
fn root<H: TreeHash>(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => H::empty(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            H::node(&root::<H>(left), &root::<H>(right))
        }
    }
}

/// RFC 9162 section 2.1.3.1, PATH.
fn path<H: TreeHash>(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let middle = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(middle);
    let (mut inner, sibling) = if index < middle {
        (path::<H>(index, left), root::<H>(right))
    } else {
        (path::<H>(index - middle, right), root::<H>(left))
    };
    inner.push(sibling);
    inner
}

/// RFC 9162 section 2.1.4.1, SUBPROOF.
fn subproof<H: TreeHash>(from: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if from == leaves.len() {
        return if whole { Vec::new() } else { vec![root::<H>(leaves)] };
    }
    let middle = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(middle);
    let (mut inner, sibling) = if from <= middle {
        (subproof::<H>(from, left, whole), root::<H>(right))
    } else {
        (subproof::<H>(from - middle, right, false), root::<H>(left))
    };
    inner.push(sibling);
    inner
}

fn leaves<H: TreeHash>(count: usize) -> Vec<Hash> {
    (0..count).map(|index| H::leaf(&[&index.to_be_bytes()])).collect()
}

/// The hashes of tiles as a log stores them, filled by a frontier.
struct Tiles(HashMap<TileId, Vec<Hash>>);

impl Tiles {
    fn of<H: TreeHash>(leaves: &[Hash]) -> (Self, Frontier<H>) {
        let mut tiles = Self(HashMap::new());
        let mut frontier = Frontier::<H>::new();
        for leaf in leaves {
            frontier.push_with(*leaf, |id, hash| {
                let (tile, place) = id.in_tile();
                let hashes = tiles.0.entry(tile).or_default();
                assert_eq!(place, hashes.len()..hashes.len() + 1);
                hashes.push(hash);
            });
        }
        (tiles, frontier)
    }

    fn node<H: TreeHash>(&self, id: NodeId) -> Hash {
        let (tile, place) = id.in_tile();
        node_from_tile::<H>(&self.0[&tile][place])
    }

    fn fold<H: TreeHash>(&self, nodes: &[NodeId]) -> Hash {
        fold::<H>(&nodes.iter().map(|id| self.node::<H>(*id)).collect::<Vec<_>>())
    }

    fn path<H: TreeHash>(&self, nodes: &[Vec<NodeId>]) -> Vec<Hash> {
        nodes.iter().map(|nodes| self.fold::<H>(nodes)).collect()
    }
}

/// A tree assembled from tiles gives the roots and proofs of the definition, and the verifiers agree.
fn check_tree<H: TreeHash>(size: usize, smaller: usize, index: usize) {
    let leaves = leaves::<H>(size);
    let (tiles, frontier) = Tiles::of::<H>(&leaves);
    let whole = root::<H>(&leaves);
    assert_eq!(frontier.root(), whole);
    assert_eq!(tiles.fold::<H>(&root_nodes(size as u64)), whole);
    let nodes: Vec<_> = root_nodes(size as u64).into_iter().map(|id| tiles.node::<H>(id)).collect();
    assert_eq!(frontier.nodes(), nodes);
    assert_eq!(Frontier::<H>::from_nodes(size as u64, nodes).map(|frontier| frontier.root()), Ok(whole));

    let inclusion = tiles.path::<H>(&inclusion_nodes(index as u64, size as u64));
    assert_eq!(inclusion, path::<H>(index, &leaves));
    assert_eq!(verify_inclusion::<H>(&leaves[index], index as u64, size as u64, &inclusion, &whole), Ok(()));

    let consistency = tiles.path::<H>(&consistency_nodes(smaller as u64, size as u64));
    assert_eq!(consistency, subproof::<H>(smaller, &leaves, true));
    let old = root::<H>(&leaves[..smaller]);
    assert_eq!(verify_consistency::<H>(smaller as u64, size as u64, &old, &whole, &consistency), Ok(()));
}

/// What can be done to a list of hashes.
fn mutate(path: &[Hash], how: usize, place: usize, bit: u8) -> Vec<Hash> {
    let mut path = path.to_vec();
    let count = path.len();
    let place = place % count.max(1);
    match how {
        0 => path.push(Hash::from_bytes([bit; 32])),
        1 => path.insert(place, Hash::from_bytes([bit; 32])),
        _ if path.is_empty() => path.push(Hash::ZERO),
        2 => drop(path.remove(place)),
        3 => path.push(path[place]),
        4 if count > 1 => path.swap(place, (place + 1) % count),
        _ => {
            let mut bytes = *path[place].as_bytes();
            bytes[usize::from(bit) % 32] ^= 1 << (bit % 8);
            path[place] = Hash::from_bytes(bytes);
        }
    }
    path
}

#[derive(Clone)]
struct Oracle;

impl Hasher for Oracle {
    type Hash = [u8; 32];
    fn hash(data: &[u8]) -> [u8; 32] {
        *Sha2::leaf(&[data]).as_bytes()
    }
    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        right.map_or(*left, |right| {
            *Sha2::node(&Hash::from_bytes(*left), &Hash::from_bytes(*right)).as_bytes()
        })
    }
}

/// Three numbers with `index < size` and `1 <= smaller <= size`.
fn sizes() -> impl Strategy<Value = (usize, usize, usize)> {
    prop_oneof![1..300_usize, 500..530_usize].prop_flat_map(|size| (Just(size), 1..=size, 0..size))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn trees_follow_their_definition((size, smaller, index) in sizes()) {
        check_tree::<Sha3>(size, smaller, index);
        check_tree::<Sha2>(size, smaller, index);
    }

    #[test]
    fn rs_merkle_agrees((size, _, index) in sizes()) {
        let leaves = leaves::<Sha2>(size);
        let bytes: Vec<_> = leaves.iter().map(|leaf| *leaf.as_bytes()).collect();
        let tree = MerkleTree::<Oracle>::from_leaves(&bytes);
        let (_, frontier) = Tiles::of::<Sha2>(&leaves);
        prop_assert_eq!(tree.root(), Some(*frontier.root().as_bytes()));
        let proof: Vec<_> = tree.proof(&[index]).proof_hashes().iter().copied().map(Hash::from_bytes).collect();
        prop_assert_eq!(proof, path::<Sha2>(index, &leaves));
    }

    #[test]
    fn changed_proofs_are_refused(
        (size, smaller, index) in sizes(), how in 0..6_usize, place in any::<usize>(), bit in any::<u8>(),
    ) {
        let leaves = leaves::<Sha3>(size);
        let whole = root::<Sha3>(&leaves);
        let proof = path::<Sha3>(index, &leaves);
        let changed = mutate(&proof, how, place, bit);
        if changed != proof {
            let at = (index as u64, size as u64);
            prop_assert!(verify_inclusion::<Sha3>(&leaves[index], at.0, at.1, &changed, &whole).is_err());
        }
        let old = root::<Sha3>(&leaves[..smaller]);
        let proof = subproof::<Sha3>(smaller, &leaves, true);
        let changed = mutate(&proof, how, place, bit);
        if changed != proof {
            let (from, to) = (smaller as u64, size as u64);
            prop_assert!(verify_consistency::<Sha3>(from, to, &old, &whole, &changed).is_err());
        }
    }

    #[test]
    fn no_numbers_make_a_verifier_panic(a in any::<u64>(), b in any::<u64>(), count in 0..70_usize) {
        let path = vec![Hash::ZERO; count];
        let root = Sha3::empty();
        let _ = verify_inclusion::<Sha3>(&root, a, b, &path, &root);
        let _ = verify_consistency::<Sha3>(a, b, &root, &root, &path);
        for (index, size) in [(a, b), (a, u64::MAX), (u64::MAX - 1, u64::MAX)] {
            let inclusion = inclusion_nodes(index, size);
            prop_assert!(inclusion.len() <= 64);
            prop_assert!(consistency_nodes(index, size).len() <= 65);
            for node in inclusion.into_iter().flatten() {
                prop_assert!(node.in_tile().1.end <= 256);
            }
        }
    }
}

#[test]
fn sizes_at_the_edge_of_the_numbers() {
    for size in [1 << 62, (1 << 63) - 1, 1 << 63, u64::MAX] {
        for index in [0, 1, size / 2, size - 1] {
            let path = vec![Hash::ZERO; inclusion_nodes(index, size).len()];
            let refused = verify_inclusion::<Sha3>(&Hash::ZERO, index, size, &path, &Hash::ZERO);
            assert_eq!(refused.expect_err("root").code(), Code::RootDiffers);
            let from = index + 1;
            let path = vec![Hash::ZERO; consistency_nodes(from, size).len()];
            let checked = verify_consistency::<Sha3>(from, size, &Hash::ZERO, &Hash::ZERO, &path);
            assert_eq!(checked.is_ok(), from == size);
            assert!(checked.is_ok() || checked.expect_err("root").code() == Code::RootDiffers);
        }
    }
    assert_eq!(
        Frontier::<Sha3>::from_nodes(u64::MAX, vec![Hash::ZERO; 64]).expect_err("size").code(),
        Code::TreeNodes
    );
    assert_eq!(Frontier::<Sha3>::from_nodes(3, vec![Hash::ZERO]).expect_err("nodes").code(), Code::TreeNodes);
    let mut large = Frontier::<Sha3>::from_nodes((1 << 63) - 1, vec![Hash::ZERO; 63]).expect("nodes");
    large.push(Hash::ZERO);
    assert_eq!((large.size(), large.nodes().len()), (1 << 63, 1));
}

/// Section 5 of the format, word for word.
fn map(entries: &[(Hash, Hash)], depth: usize) -> Hash {
    match entries {
        [] => Hash::ZERO,
        [(_, leaf)] => *leaf,
        _ => {
            let bit = |key: &Hash| key.as_bytes()[depth / 8] >> (7 - depth % 8) & 1 == 1;
            let (right, left): (Vec<_>, Vec<_>) = entries.iter().copied().partition(|(key, _)| bit(key));
            Sha3::node(&map(&left, depth + 1), &map(&right, depth + 1))
        }
    }
}

fn head(number: u16, size: u64) -> Head {
    Head { trial: format!("T{number}"), size, root: Sha3::leaf(&[&size.to_be_bytes()]) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_trial_map_follows_its_definition(
        updates in prop::collection::vec((0..60_u16, 1..9_u64, any::<bool>()), 0..90), asked in 0..90_u16,
    ) {
        let mut trials = TrialMap::new();
        let mut heads = std::collections::BTreeMap::new();
        for (number, size, ask) in updates {
            trials.set(&head(number, size));
            heads.insert(number, head(number, size));
            if ask {
                trials.root();
            }
        }
        let entries: Vec<_> = heads.values().map(|head| (trial_key(&head.trial), head_leaf(head))).collect();
        let root = trials.root();
        prop_assert_eq!(root, map(&entries, 0));
        prop_assert_eq!(trials.len(), heads.len());
        prop_assert_eq!(trials.is_empty(), heads.is_empty());

        let trial = format!("T{asked}");
        if let Some(head) = heads.get(&asked) {
            let path = trials.prove(&trial).expect("there");
            prop_assert_eq!(verify_head(head, &path, &root), Ok(()));
            prop_assert_eq!(trials.get(&trial), Some(head));
            prop_assert_eq!(trials.prove_absent(&trial), None);
            prop_assert!(verify_absent(&trial, None, &path, &root).is_err());
            let other = Head { size: head.size + 1, ..head.clone() };
            prop_assert!(verify_head(&other, &path, &root).is_err());
        } else {
            let (other, path) = trials.prove_absent(&trial).expect("absent");
            prop_assert_eq!(verify_absent(&trial, other.as_ref(), &path, &root), Ok(()));
            prop_assert_eq!(trials.prove(&trial), None);
            prop_assert!(verify_head(&head(asked, 1), &path, &root).is_err());
        }
    }

    #[test]
    fn heads_that_are_set_together_give_the_map_of_each_set_alone(
        rounds in prop::collection::vec(prop::collection::vec((0..400_u16, 1..99_u64), 0..120), 1..4),
    ) {
        let (mut together, mut alone) = (TrialMap::new(), TrialMap::new());
        for heads in rounds {
            together.set_all(heads.iter().map(|(number, size)| head(*number, *size)));
            for (number, size) in heads {
                alone.set(&head(number, size));
                // Computed one by one: each time there is one way through the map to go.
                alone.root();
            }
            prop_assert_eq!(together.root(), alone.root());
            prop_assert_eq!(together.len(), alone.len());
        }
    }

    #[test]
    fn roots_of_many_trees_are_those_of_each_alone(sizes in prop::collection::vec(0..600_usize, 0..40)) {
        fn check<H: TreeHash>(sizes: &[usize]) {
            let trees: Vec<Frontier<H>> = sizes.iter().map(|size| {
                let mut frontier = Frontier::new();
                for leaf in leaves::<H>(*size) {
                    frontier.push(leaf);
                }
                frontier
            }).collect();
            let each: Vec<Hash> = trees.iter().map(Frontier::root).collect();
            assert_eq!(roots::<H>(trees.iter().map(Frontier::nodes)), each);
        }
        check::<Sha3>(&sizes);
        check::<Sha2>(&sizes);
    }

    #[test]
    fn changed_map_proofs_are_refused(count in 1..40_u16, asked in 0..60_u16, how in 0..6_usize, place in any::<usize>()) {
        let mut trials = TrialMap::new();
        (0..count).for_each(|number| trials.set(&head(number, 1)));
        let (root, trial) = (trials.root(), format!("T{asked}"));
        if let Some(path) = trials.prove(&trial) {
            let changed = mutate(&path, how, place, 1);
            prop_assert!(changed == path || verify_head(&head(asked, 1), &changed, &root).is_err());
        }
        if let Some((other, path)) = trials.prove_absent(&trial) {
            let changed = mutate(&path, how, place, 1);
            prop_assert!(changed == path || verify_absent(&trial, other.as_ref(), &changed, &root).is_err());
        }
    }
}

#[test]
fn map_proofs_have_at_most_256_siblings() {
    let long = vec![Hash::from_bytes([1; 32]); 257];
    let other = head(2, 1);
    for refused in [
        verify_head(&head(1, 1), &long, &Hash::ZERO),
        verify_absent("T1", None, &long, &Hash::ZERO),
        verify_absent("T1", Some(&other), &long, &Hash::ZERO),
    ] {
        assert_eq!(refused.expect_err("too long").code(), Code::MapProofMalformed);
    }
    assert_eq!(verify_absent("T1", None, &[], &Hash::ZERO), Ok(()));
}
