//! Canonical JSON, data, events, seals, notes: the bytes of single values.

use serde_json::Value;
use trialseal_seal::Code;
use trialseal_seal::canonical::{parse_data, to_vec};
use trialseal_seal::checkpoint::{Checkpoint, cosign};
use trialseal_seal::data::{Content, Disclosure, Secret, dataroot, disclose};
use trialseal_seal::event::Header;
use trialseal_seal::hash::{Hash, Sha2, Sha3, TreeHash, sha256};
use trialseal_seal::map::{Head, TrialMap, head_leaf};
use trialseal_seal::note::{KeyKind, SignedNote, Signer};
use trialseal_seal::policy::Policy;
use trialseal_seal::proof::LogProof;
use trialseal_seal::seal::Seal;
use trialseal_seal::tree::Frontier;

use crate::{codes, hash, hashes, json, list, number, seed, text, unhex};

#[test]
fn canonical_json() {
    let vectors = json("canonical.json");
    for case in list(&vectors, "accepted") {
        let input = case["input"].to_string();
        let value = parse_data(&input).expect(&input);
        assert_eq!(to_vec(&value), unhex(text(case, "canonicalHex")), "{input}");
    }
    let refused: Vec<_> = list(&vectors, "refusedAsData")
        .iter()
        .map(|input| parse_data(input.as_str().expect("text")).expect_err("refused").code())
        .collect();
    let integer = [Code::NotAnInteger; 6];
    let twice = [Code::DuplicateKey; 2];
    let json = [Code::NotJson; 2];
    let object = [Code::NotAnObject; 2];
    let expected =
        [&integer[..], &twice, &json, &object, &[Code::NotJson; 2], &[Code::NotAnInteger; 2]].concat();
    assert_eq!(refused[..16], expected);
    assert_eq!(refused[16..23], [Code::NotJson; 7]);
    assert_eq!(refused[23..], [Code::TooDeep; 2]);
}

#[test]
fn data_roots_and_fields() {
    for case in list(&json("data.json"), "data") {
        let secret: Secret = text(case, "secret").parse().expect("secret");
        let root = hash(case, "dataroot");
        assert_eq!(dataroot(&secret, &case["data"]), Ok(root), "{case}");

        let shown = disclose(&secret, &case["data"], |_| true);
        let hidden = disclose(&secret, &case["data"], |_| false);
        let mut fields = case["fields"].clone();
        let mut leaves = Vec::new();
        for field in fields.as_array_mut().expect("fields") {
            leaves.push(field.as_object_mut().expect("field").remove("leaf").expect("leaf"));
        }
        assert_eq!(shown.to_value(), fields);
        assert_eq!(hidden.to_value(), Value::from(leaves));
        assert_eq!(shown.verify(&root), Ok(()));
        assert_eq!(hidden.verify(&root), Ok(()));
        assert_eq!(shown.to_data([]), case["data"]);
        for (place, field) in shown.shown().enumerate() {
            let left = shown.clone().hiding(|pointer| pointer == field.pointer);
            assert_eq!((left.verify(&root), left.shown().count()), (Ok(()), shown.fields.len() - 1));
            let mut expected = shown.clone();
            expected.fields[place] = disclose(&secret, &case["data"], |_| false).fields[place].clone();
            assert_eq!(left, expected);
            if let Content::Scalar(value) = &field.content {
                assert_ne!(
                    left.to_data([]).pointer(&field.pointer).filter(|left| !left.is_null()),
                    Some(value)
                );
                assert_eq!(left.to_data([(field.pointer.as_str(), value.clone())]), case["data"]);
            }
        }
    }
}

#[test]
fn disclosures() {
    let vectors = json("data.json");
    let disclosures = &vectors["disclosures"];
    for case in list(disclosures, "accepted") {
        let disclosure = Disclosure::parse(case).expect("disclosure");
        assert_eq!(disclosure.to_value(), *case);
        assert_eq!(disclosure.verify(&hash(disclosures, "dataroot")), Ok(()));
    }
    let found = codes(list(disclosures, "refused"), |case| {
        Disclosure::parse(&case["fields"])?.verify(&hash(case, "dataroot"))
    });
    let expected = [
        ("an interior node for two fields", "data-root"),
        ("the root for all fields", "data-root"),
        ("a field missing", "data-root"),
        ("a field more", "data-root"),
        ("two fields swapped", "field-order"),
        ("value changed", "data-root"),
        ("salt changed", "data-root"),
        ("salt of 15 bytes", "salt-malformed"),
        ("salt of 17 bytes", "salt-malformed"),
        ("salt in upper case", "salt-malformed"),
        ("pointer changed", "field-order"),
        ("length changed", "fields-incomplete"),
        ("length shown as a value", "fields-not-an-object"),
        ("two contents", "field-content"),
        ("a member more", "member-unknown"),
        ("value is an object", "field-content"),
        ("same pointer twice", "field-order"),
        ("a field below a scalar", "fields-not-an-object"),
        ("root without the count", "data-root"),
        ("empty list", "no-fields"),
        ("array of length 0 with an element", "fields-not-an-object"),
        ("array with an element beyond its length", "fields-not-an-object"),
        ("array with a named element", "fields-not-an-object"),
        ("array index with a leading zero", "fields-not-an-object"),
        ("array that is not whole, nothing hidden", "fields-incomplete"),
        ("scalar at the top", "fields-not-an-object"),
        ("array at the top", "fields-not-an-object"),
        ("empty top beside hidden leaves", "fields-not-an-object"),
        ("below a scalar, two levels", "fields-not-an-object"),
        ("below a scalar, another between", "fields-not-an-object"),
        ("below an empty object", "fields-not-an-object"),
        ("UTF-16 order", "field-order"),
        ("numeric order", "field-order"),
        ("malformed escape", "pointer-malformed"),
        ("pointer without a slash", "pointer-malformed"),
        ("empty is false", "field-content"),
        ("negative length", "field-content"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn events_give_their_leaves_and_heads() {
    let vectors = json("ledger.json");
    let mut trees = std::collections::BTreeMap::new();
    for (trial, events) in vectors["events"].as_object().expect("events") {
        let mut tree = Frontier::<Sha3>::new();
        let mut roots = vec![tree.root()];
        for (place, event) in events.as_array().expect("events").iter().enumerate() {
            let header = Header::parse(&event["header"]).expect("header");
            assert_eq!(header.to_value(), event["header"]);
            assert_eq!(header.canonical(), to_vec(&event["header"]));
            assert_eq!((header.trial.as_str(), header.trialseq as usize), (trial.as_str(), place));
            assert_eq!(header.leaf(), hash(event, "leaf"));
            let secret = text(event, "secret").parse().expect("secret");
            assert_eq!(dataroot(&secret, &event["data"]), Ok(header.dataroot));
            tree.push(header.leaf());
            roots.push(tree.root());
        }
        trees.insert(trial.clone(), roots);
    }
    for sealed in list(&vectors, "seals") {
        for head in list(sealed, "heads") {
            let roots = &trees[text(head, "trial")];
            let size = usize::try_from(number(head, "size")).expect("size");
            assert_eq!(roots[size], hash(head, "root"));
        }
    }
}

#[test]
fn seals_checkpoints_and_tiles() {
    let vectors = json("ledger.json");
    let origin = text(&vectors, "origin");
    let seeds = &vectors["keySeedsHex"];
    let log = Signer::new(origin, KeyKind::Ed25519, &seed(text(seeds, "log"))).expect("log");
    let witness = |name: &str| {
        let key_name = format!("witness.example.org/{name}");
        Signer::new(&key_name, KeyKind::Cosignature, &seed(text(seeds, name))).expect(name)
    };
    let policy = Policy::parse(text(&vectors, "policy")).expect("policy");
    assert_eq!(policy.logs(), [log.verifier_key()]);
    for known in policy.witnesses() {
        assert_eq!(known.key, witness(&known.name).verifier_key());
    }

    let log_roots = hashes(&vectors, "logRoots");
    let mut tree = Frontier::<Sha2>::new();
    assert_eq!(tree.root(), log_roots[0]);
    for (place, sealed) in list(&vectors, "seals").iter().enumerate() {
        let mut map = TrialMap::new();
        let heads: Vec<_> =
            list(sealed, "heads").iter().map(|head| Head::parse(head).expect("head")).collect();
        for head in &heads {
            map.set(head);
        }
        let leaves: Vec<Hash> = heads.iter().map(head_leaf).collect();
        // The file orders the leaves by key, the heads by trial.
        let mut listed = hashes(sealed, "headLeaves");
        let mut computed = leaves;
        listed.sort();
        computed.sort();
        assert_eq!(computed, listed);

        let seal = Seal::parse(&sealed["seal"]).expect("seal");
        assert_eq!(seal.to_value(), sealed["seal"]);
        assert_eq!(map.root(), seal.root);
        assert_eq!(seal.entry(), unhex(text(sealed, "entryHex")));
        tree.push(seal.leaf());
        assert_eq!(tree.root(), log_roots[place + 1]);

        let note = text(sealed, "checkpoint");
        let checkpoint = Checkpoint { origin: origin.into(), size: tree.size(), root: tree.root() };
        let mut signed = checkpoint.sign(&log).expect("signed");
        let read = SignedNote::parse(note).expect("note");
        for line in &read.signatures[1..] {
            let name = line.name.strip_prefix("witness.example.org/").expect("witness");
            let time = u64::from_be_bytes(line.signature[..8].try_into().expect("time"));
            signed.signatures.push(cosign(&witness(name), &signed.text, time).expect("cosigned"));
        }
        assert_eq!(signed.encode(), note);
        assert_eq!(policy.check(note).expect("accepted").checkpoint, checkpoint);
        if let Some(next) = list(&vectors, "seals").get(place + 1) {
            assert_eq!(hash(&next["seal"], "prior"), sha256(note.as_bytes()));
        }
    }
}

#[test]
fn log_proofs_are_written_as_they_are_read() {
    for receipt in list(&json("receipts.json"), "receipts") {
        let proof = text(receipt, "sealProof");
        assert_eq!(LogProof::parse(proof).expect("proof").encode(), proof);
    }
}

#[test]
fn the_empty_trees() {
    assert_eq!(Sha3::empty().to_string(), "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a");
    assert_eq!(Sha2::empty().to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
