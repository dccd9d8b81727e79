//! The audit of a published log: everything is hashed again, with nothing of the sealer's.

use std::collections::BTreeMap;
use std::sync::Mutex;

use trialseal_seal::checkpoint::Checkpoint;
use trialseal_seal::hash::{Hash, Sha2, TreeHash, sha256};
use trialseal_seal::policy::Policy;
use trialseal_seal::seal::Seal;
use trialseal_seal::tiles::{decode_bundle, entries_path, note_path, tile_path};
use trialseal_seal::tree::Frontier;

use crate::bench::signer;

/// The checkpoint of a note, which this log has signed.
pub(crate) fn read_note(note: &[u8]) -> Checkpoint {
    /// Notes that were checked before: logs that grow out of each other have most of them in common.
    static CHECKED: Mutex<BTreeMap<Vec<u8>, Checkpoint>> = Mutex::new(BTreeMap::new());
    if let Some(checkpoint) = CHECKED.lock().unwrap().get(note) {
        return checkpoint.clone();
    }
    let policy = Policy::parse(&Policy::text_for_log(&signer().verifier_key())).unwrap();
    let checkpoint = policy.check(str::from_utf8(note).unwrap()).unwrap().checkpoint;
    CHECKED.lock().unwrap().insert(note.to_vec(), checkpoint.clone());
    checkpoint
}

/// Re-hashes everything that is published below the checkpoint, and gives the seals. Every size has a note.
pub(crate) fn audit(file: impl Fn(&str) -> Option<Vec<u8>>) -> Vec<Seal> {
    let (seals, notes) = audit_with_gaps(file);
    assert!(notes.iter().all(Option::is_some), "a size has no note");
    seals
}

/// As [`audit`], where sizes may have no note: gives the hashes of those there are, too.
pub(crate) fn audit_with_gaps(file: impl Fn(&str) -> Option<Vec<u8>>) -> (Vec<Seal>, Vec<Option<Hash>>) {
    let optional = |path: String| file(&path);
    let file = |path: String| optional(path.clone()).unwrap_or_else(|| panic!("{path} is missing"));
    let Checkpoint { size, root, .. } = read_note(&file("checkpoint".into()));
    let mut tree = Frontier::<Sha2>::new();
    let mut seals = Vec::new();
    let mut notes = Vec::new();
    let mut tiles: Vec<Vec<Hash>> = vec![Vec::new(); 3];
    for bundle in 0..size.div_ceil(256) {
        let width = u8::try_from(size - bundle * 256).ok().filter(|width| *width > 0);
        for entry in decode_bundle(&file(entries_path(bundle, width))).unwrap() {
            let value = trialseal_seal::canonical::parse(entry, 64).unwrap();
            seals.push(Seal::parse(&value).unwrap());
            tree.push_with(Sha2::leaf(&[entry]), |node, hash| {
                tiles[usize::from(node.level / 8)].push(hash);
            });
            let note = optional(note_path(tree.size()));
            assert!(note.as_ref().is_none_or(|note| read_note(note).root == tree.root()));
            notes.push(note.map(|note| sha256(&note)));
        }
    }
    assert_eq!((tree.size(), tree.root()), (size, root));
    for (level, hashes) in (0u8..).zip(&tiles) {
        for (index, tile) in (0..).zip(hashes.chunks(256)) {
            let width = u8::try_from(tile.len()).ok();
            let bytes: Vec<u8> = tile.iter().flat_map(|hash| *hash.as_bytes()).collect();
            assert_eq!(file(tile_path(level, index, width)), bytes);
        }
    }
    assert_priors(&seals, &notes);
    (seals, notes)
}

/// Each seal names no note, or the note of a size n up to its number, and n never goes back.
fn assert_priors(seals: &[Seal], notes: &[Option<Hash>]) {
    let mut newest = 0;
    for (seal, number) in seals.iter().zip(0..) {
        let named = notes.iter().position(|note| *note == Some(seal.prior)).map(|place| place + 1);
        assert!(named.is_some() || seal.prior == Hash::ZERO, "seal {number} names an unknown note");
        let named = named.unwrap_or(0);
        assert!(newest <= named && named <= number, "seal {number} names the note of size {named}");
        newest = named;
    }
}
