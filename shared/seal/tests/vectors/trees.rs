//! Trees and the trial map: roots, proofs, and proofs that are to be refused.

use trialseal_seal::hash::{Hash, Sha3, TreeHash};
use trialseal_seal::map::{Head, TrialMap, head_leaf, trial_key, verify_absent, verify_head};
use trialseal_seal::tree::{Frontier, NodeId, consistency_nodes, fold, inclusion_nodes, node_from_tile};
use trialseal_seal::tree::{verify_consistency, verify_inclusion};

use crate::{codes, hash, hashes, json, list, number, text};

fn leaf(index: u64) -> Hash {
    Sha3::leaf(&[index.to_string().as_bytes()])
}

fn node(id: NodeId) -> Hash {
    let leaves: Vec<_> = (id.index << id.level..(id.index + 1) << id.level).map(leaf).collect();
    node_from_tile::<Sha3>(&leaves)
}

fn path(nodes: Vec<Vec<NodeId>>) -> Vec<Hash> {
    nodes.into_iter().map(|nodes| fold::<Sha3>(&nodes.into_iter().map(node).collect::<Vec<_>>())).collect()
}

#[test]
fn trees_and_their_proofs() {
    let vectors = json("trees.json");
    let mut roots = std::collections::BTreeMap::new();
    for tree in list(&vectors, "trees") {
        let size = number(tree, "size");
        let root = hash(tree, "root");
        roots.insert(size, root);
        let mut frontier = Frontier::<Sha3>::new();
        (0..size).for_each(|index| frontier.push(leaf(index)));
        assert_eq!(frontier.root(), root, "{size}");
        for proof in list(tree, "inclusion") {
            let index = number(proof, "index");
            let listed = hashes(proof, "path");
            assert_eq!(path(inclusion_nodes(index, size)), listed, "{index} in {size}");
            assert_eq!(verify_inclusion::<Sha3>(&leaf(index), index, size, &listed, &root), Ok(()));
        }
        for proof in list(tree, "consistency") {
            let from = number(proof, "from");
            let listed = hashes(proof, "path");
            assert_eq!(path(consistency_nodes(from, size)), listed, "{from} to {size}");
            let mut old = Frontier::<Sha3>::new();
            (0..from).for_each(|index| old.push(leaf(index)));
            assert_eq!(verify_consistency::<Sha3>(from, size, &old.root(), &root, &listed), Ok(()));
        }
    }
}

#[test]
fn refused_inclusion_proofs() {
    let vectors = json("trees.json");
    let found = codes(list(&vectors, "refusedInclusion"), |case| {
        let (index, size) = (number(case, "index"), number(case, "size"));
        verify_inclusion::<Sha3>(&hash(case, "leaf"), index, size, &hashes(case, "path"), &hash(case, "root"))
    });
    let expected = |why: &str| match why {
        "a hash more" | "a hash of the path twice" => "path-too-long",
        "a hash less" => "path-too-short",
        "index = size" => "index-outside",
        "other leaf" | "other index" | "reversed" | "other root" => "root-differs",
        other => panic!("unknown case {other}"),
    };
    assert_eq!(found.len(), 28);
    for (why, code) in found {
        // One step beside the last leaf the way up has another length.
        let lengths = why == "other index" && code != "root-differs";
        assert!(code == expected(why) || lengths && code.starts_with("path-too-"), "{why}: {code}");
    }
}

#[test]
fn refused_consistency_proofs() {
    let vectors = json("trees.json");
    let found = codes(list(&vectors, "refusedConsistency"), |case| {
        let (from, to) = (number(case, "from"), number(case, "to"));
        let (old, new) = (hash(case, "fromRoot"), hash(case, "toRoot"));
        verify_consistency::<Sha3>(from, to, &old, &new, &hashes(case, "path"))
    });
    let expected = |why: &str| match why {
        "a hash more" | "same size with a path" => "path-too-long",
        "a hash less" => "path-too-short",
        "sizes swapped" | "from nothing" => "size-order",
        "old root changed" | "new root changed" | "same size, other root" => "root-differs",
        "other old size" => "any",
        other => panic!("unknown case {other}"),
    };
    assert_eq!(found.len(), 27);
    for (why, code) in found {
        let other_size = ["path-too-long", "path-too-short", "root-differs", "size-order"].contains(&code);
        assert!(code == expected(why) || expected(why) == "any" && other_size, "{why}: {code}");
    }
}

#[test]
fn trial_maps() {
    let vectors = json("maps.json");
    for case in vectors.as_array().expect("maps") {
        let root = hash(case, "root");
        let heads: Vec<_> = list(case, "heads").iter().map(|head| Head::parse(head).expect("head")).collect();
        let mut map = TrialMap::new();
        for (head, (key, leaf)) in
            heads.iter().zip(hashes(case, "keys").iter().zip(hashes(case, "headLeaves")))
        {
            assert_eq!(trial_key(&head.trial), *key);
            assert_eq!(head_leaf(head), leaf);
            map.set(head);
        }
        assert_eq!((map.root(), map.len()), (root, heads.len()));
        for proof in list(case, "proofs") {
            let listed = hashes(proof, "path");
            let head = map.get(text(proof, "trial")).expect("head");
            assert_eq!(map.prove(&head.trial), Some(listed.clone()));
            assert_eq!(map.prove_absent(&head.trial), None);
            assert_eq!(verify_head(head, &listed, &root), Ok(()));
        }
        for proof in list(case, "absent") {
            let trial = text(proof, "trial");
            let listed = hashes(proof, "path");
            let other = Some(&proof["other"]).filter(|other| !other.is_null());
            let other = other.map(|other| Head::parse(other).expect("other"));
            assert_eq!(map.prove_absent(trial), Some((other.clone(), listed.clone())));
            assert_eq!(map.prove(trial), None);
            assert_eq!(verify_absent(trial, other.as_ref(), &listed, &root), Ok(()));
        }
    }
}
