use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::bail;
use trialseal_seal::checkpoint::Checkpoint;
use trialseal_seal::hash::{Hash, Sha2, TreeHash};
use trialseal_seal::note::{KeyKind, Signer};
use trialseal_seal::tiles::{
    encode_bundle, encode_sizes, entries_path, note_path, tile_path, timestamp_path, timestamp_sizes_path,
};
use trialseal_seal::tree::{Frontier, node_from_tile, verify_consistency};
use trialseal_seal::witness::AddCheckpoint;

use super::round::{Outcome, Round};
use super::source::Source;
use super::store::Store;
use super::*;

const ORIGIN: &str = "ledger.example.org/main";

fn signer(name: &str) -> Signer {
    Signer::new(name, KeyKind::Ed25519, &[1; 32]).unwrap()
}

/// A log as it is published, in memory.
#[derive(Clone)]
struct Published {
    entries: Vec<Vec<u8>>,
    files: BTreeMap<String, Vec<u8>>,
    /// After how many more reads it cannot be reached any more.
    left: Cell<usize>,
    /// What it was asked for and had.
    asked: RefCell<BTreeSet<String>>,
}

impl Published {
    fn new() -> Self {
        let (left, asked) = (Cell::new(usize::MAX), RefCell::default());
        Self { entries: Vec::new(), files: BTreeMap::new(), left, asked }
    }

    /// Grows to a size, whose note is published: with the entries of this word from here on.
    fn grow(&mut self, word: &str, size: usize) -> Checkpoint {
        let more = self.entries.len()..size;
        self.entries.extend(more.map(|index| format!("{word} {index}").into_bytes()));
        let checkpoint = self.publish_tiles();
        let note = checkpoint.sign(&signer(ORIGIN)).unwrap().encode().into_bytes();
        self.files.insert(note_path(checkpoint.size), note.clone());
        self.files.insert("checkpoint".to_owned(), note);
        checkpoint
    }

    fn publish_tiles(&mut self) -> Checkpoint {
        let mut hashes: Vec<Hash> = self.entries.iter().map(|entry| Sha2::leaf(&[entry])).collect();
        let mut tree = Frontier::<Sha2>::new();
        for leaf in &hashes {
            tree.push(*leaf);
        }
        for (index, entries) in self.entries.chunks(256).enumerate() {
            let width = u8::try_from(entries.len()).ok();
            self.files.insert(entries_path(index as u64, width), encode_bundle(entries).unwrap());
        }
        for level in 0.. {
            for (index, tile) in hashes.chunks(256).enumerate() {
                let bytes = tile.iter().flat_map(|hash| *hash.as_bytes()).collect();
                self.files.insert(tile_path(level, index as u64, u8::try_from(tile.len()).ok()), bytes);
            }
            hashes = hashes.chunks_exact(256).map(node_from_tile::<Sha2>).collect();
            if hashes.is_empty() {
                break;
            }
        }
        Checkpoint { origin: ORIGIN.to_owned(), size: tree.size(), root: tree.root() }
    }
}

impl Source for Published {
    fn get(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        let Some(left) = self.left.get().checked_sub(1) else { bail!("it cannot be reached") };
        self.left.set(left);
        let found = self.files.get(path).cloned();
        self.asked.borrow_mut().extend(found.is_some().then(|| path.to_owned()));
        assert!(found.as_ref().is_none_or(|bytes| bytes.len() <= limit), "{path}");
        Ok(found)
    }
}

/// A copy, and its evidence.
struct Copy(tempfile::TempDir);

impl Copy {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join("mirror/copy")
    }

    /// A round by a process that was just started.
    fn round(&self, source: &dyn Source) -> Result<Outcome> {
        let (store, evidence) = (Store::new(self.dir()), Store::new(self.0.path().join("evidence/copy")));
        let keys = [signer(ORIGIN).verifier_key()];
        Round { origin: ORIGIN, keys: &keys, source, store: &store, evidence: &evidence }.run()
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.dir().join(path)).ok()
    }

    /// Every file is the log's, and none that the checkpoint needs is missing.
    #[track_caller]
    fn assert_is(&self, log: &Published) {
        let mut files = Vec::new();
        walk(&self.dir(), &mut files);
        for file in &files {
            let path = file.strip_prefix(self.dir()).unwrap().to_str().unwrap();
            assert_eq!(log.files.get(path), Some(&fs::read(file).unwrap()), "{path}");
        }
        let full = |path: &str| path.split_once(".p/").is_some_and(|(full, _)| log.files.contains_key(full));
        let needed = log.files.keys().filter(|path| !full(path));
        let missing: Vec<_> = needed.filter(|path| self.read(path).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
        assert!(!files.iter().any(|file| full(file.strip_prefix(self.dir()).unwrap().to_str().unwrap())));
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

#[test]
fn a_copy_grows_as_the_log_does() {
    let (copy, mut log) = (Copy::new(), Published::new());
    for size in [1, 3, 255, 256, 257, 300, 512, 66_000] {
        log.grow("entry", size);
        assert_eq!(copy.round(&log).unwrap(), Outcome::Grown(size as u64));
        copy.assert_is(&log);
        assert_eq!(copy.round(&log).unwrap(), Outcome::Same);
    }
}

#[test]
fn sizes_that_were_passed_over_are_copied_with_their_notes_and_partial_tiles() {
    let (copy, mut log) = (Copy::new(), Published::new());
    for size in [3, 200, 256, 700, 701, 705] {
        log.grow("entry", size);
    }
    assert_eq!(copy.round(&log).unwrap(), Outcome::Grown(705));
    copy.assert_is(&log);
    for path in ["notes/003", "notes/701", "tile/0/002.p/188", "tile/entries/002.p/189", "tile/1/000.p/2"] {
        assert!(copy.read(path).is_some(), "{path}");
    }
    // A log that closes a tile removes its partial ones; a checkpoint from before that is copied from the full one.
    let old = log.files["checkpoint"].clone();
    log.grow("entry", 800);
    log.files.insert("checkpoint".to_owned(), old);
    log.files.retain(|path, _| !path.contains("/002.p/"));
    assert_eq!(Copy::new().round(&log).unwrap(), Outcome::Grown(705));
}

#[test]
fn a_round_that_was_broken_off_anywhere_is_taken_up() {
    let mut log = Published::new();
    for size in [250, 251, 600] {
        log.grow("entry", size);
    }
    let (copy, mut rounds) = (Copy::new(), 0_usize);
    loop {
        log.left.set(rounds);
        let before = copy.read("checkpoint");
        match copy.round(&log) {
            Ok(outcome) => break assert_eq!(outcome, Outcome::Grown(600)),
            Err(_) => assert_eq!(copy.read("checkpoint"), before),
        }
        // Most of what it asks for are notes that are not there.
        rounds += if rounds < 20 { 1 } else { 29 };
    }
    assert!(rounds > 20, "{rounds}");
    copy.assert_is(&log);
}

#[test]
fn a_round_that_was_broken_off_leaves_no_notes_ahead_of_the_checkpoint() {
    let (copy, mut log) = (Copy::new(), Published::new());
    log.grow("entry", 10);
    copy.round(&log).unwrap();
    let before = log.clone();
    for size in 11..20 {
        log.grow("entry", size);
    }
    log.left.set(12);
    copy.round(&log).unwrap_err();
    assert!(copy.read("notes/012").is_some(), "it was broken off later or earlier");
    // The log is gone for good: the copy is whole all the same.
    log.left.set(0);
    copy.round(&log).unwrap_err();
    let files = |path: &str| copy.dir().join(path).exists();
    assert!(files("notes/010") && !files("notes/011") && !files("notes/012") && !files(".notes-ahead"));
    assert_eq!(copy.read("checkpoint"), before.files.get("checkpoint").cloned());
    log.left.set(usize::MAX);
    assert_eq!(copy.round(&log).unwrap(), Outcome::Grown(19));
    copy.assert_is(&log);
}

#[test]
fn nothing_is_kept_that_the_checkpoint_does_not_vouch_for() {
    let mut log = Published::new();
    for size in [250, 256, 600] {
        log.grow("entry", size);
    }
    Copy::new().round(&log).unwrap();
    let asked = log.asked.take();
    assert!(asked.len() > 10, "{asked:?}");
    for path in asked {
        let (copy, mut changed) = (Copy::new(), log.clone());
        let bytes = changed.files.get_mut(&path).unwrap();
        bytes[20] ^= 1;
        let error = format!("{:#}", copy.round(&changed).expect_err(&path));
        assert!(
            error.contains("is not")
                || error.contains("are not")
                || error.contains("not what")
                || error.contains("refused"),
            "{error}"
        );
        assert!(copy.read("checkpoint").is_none(), "{path}");
        assert_ne!(copy.read(&path), changed.files.get(&path).cloned(), "{path}");
        // Once the log gives what it signed, the rest is taken from where it was left.
        assert_eq!(copy.round(&log).unwrap(), Outcome::Grown(600), "{path}");
        copy.assert_is(&log);
    }
}

#[test]
fn a_damaged_file_is_fetched_again_and_a_damaged_edge_is_named() {
    let (copy, mut log) = (Copy::new(), Published::new());
    log.grow("entry", 300);
    log.left.set(9);
    copy.round(&log).unwrap_err();
    fs::write(copy.dir().join("tile/entries/000"), "damaged").unwrap();
    log.left.set(usize::MAX);
    assert_eq!(copy.round(&log).unwrap(), Outcome::Grown(300));
    copy.assert_is(&log);

    fs::write(copy.dir().join("tile/0/001.p/44"), "damaged").unwrap();
    let mut older = Published::new();
    older.grow("entry", 299);
    assert!(format!("{:#}", copy.round(&older).unwrap_err()).contains("the copy is damaged"));
}

#[test]
fn timestamps_are_copied_with_their_notes() {
    let (copy, mut log) = (Copy::new(), Published::new());
    log.grow("entry", 300);
    let stamp = |log: &mut Published, sizes: &[u64]| {
        for size in sizes {
            log.files.insert(timestamp_path(*size), format!("of {size}").into_bytes());
        }
        log.files.insert(timestamp_sizes_path(0), encode_sizes(sizes).into_bytes());
    };
    // The last one is of a note that the checkpoint does not reach yet.
    stamp(&mut log, &[7, 300, 310]);
    assert_eq!(copy.round(&log).unwrap(), Outcome::Grown(300));
    assert_eq!(copy.read("timestamps/sizes/000").unwrap(), b"7\n300\n");
    assert_eq!(copy.read("timestamps/300.tsr").unwrap(), b"of 300");
    assert!(copy.read("timestamps/310.tsr").is_none());
    log.grow("entry", 310);
    assert_eq!(copy.round(&log).unwrap(), Outcome::Grown(310));
    copy.assert_is(&log);
    // What is listed has to be there, or the list would hide that it is not.
    log.grow("entry", 320);
    stamp(&mut log, &[7, 300, 310, 320]);
    log.files.remove(&timestamp_path(320));
    assert!(format!("{:#}", copy.round(&log).unwrap_err()).contains("timestamps/320.tsr"));
    log.files.insert(timestamp_sizes_path(0), b"8\n7\n".to_vec());
    assert!(format!("{:#}", copy.round(&log).unwrap_err()).contains("timestamps/sizes/000 is refused"));
}

#[test]
fn a_second_history_is_kept_as_evidence_and_changes_nothing() {
    let (mut log, mut other) = (Published::new(), Published::new());
    log.grow("entry", 200);
    other.grow("entry", 200);
    let held = log.grow("entry", 300);
    for (size, of_other) in [(250, true), (300, true), (400, true)] {
        let copy = Copy::new();
        assert_eq!(copy.round(&log).unwrap(), Outcome::Grown(300));
        let mut fork = other.clone();
        let checkpoint = fork.grow(if of_other { "other" } else { "entry" }, size);
        let outcome = copy.round(&fork).unwrap();
        let Outcome::Contradiction(what) = outcome else { panic!("{size}: {outcome:?}") };
        let evidence = PathBuf::from(what.rsplit_once(" are in ").unwrap().1);
        assert_evidence(&evidence, &held, &checkpoint);
        copy.assert_is(&log);
        // The true history goes on.
        let mut log = log.clone();
        log.grow("entry", 500);
        assert_eq!(copy.round(&log).unwrap(), Outcome::Grown(500));
    }
}

#[test]
fn a_note_of_another_tree_is_a_second_history() {
    let (copy, mut log, mut other) = (Copy::new(), Published::new(), Published::new());
    let forked = other.grow("other", 100);
    log.grow("entry", 100);
    let newest = log.grow("entry", 120);
    log.files.insert(note_path(100), other.files[&note_path(100)].clone());
    let outcome = copy.round(&log).unwrap();
    let Outcome::Contradiction(what) = outcome else { panic!("{outcome:?}") };
    let evidence = PathBuf::from(what.rsplit_once(" are in ").unwrap().1);
    assert_evidence(&evidence, &newest, &forked);
    assert!(copy.read("checkpoint").is_none());
}

/// The evidence convinces somebody who has nothing else: two signed checkpoints, and the larger tree begins otherwise.
#[track_caller]
fn assert_evidence(folder: &Path, one: &Checkpoint, another: &Checkpoint) {
    let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
    let keys = [signer(ORIGIN).verifier_key()];
    let signed = |file: &str| {
        let note = trialseal_seal::note::SignedNote::parse(&read(file)).unwrap();
        trialseal_seal::checkpoint::log_signatures(&keys, &note).unwrap();
        Checkpoint::parse(&note.text).unwrap()
    };
    let (smaller, larger) = (signed("smaller"), signed("larger"));
    assert!([&smaller, &larger].iter().all(|it| *it == one || *it == another) && smaller != larger);
    let request = AddCheckpoint::parse(&read("add-checkpoint")).unwrap();
    assert_eq!((request.old_size, request.note.encode()), (smaller.size, read("larger")));
    let grown =
        verify_consistency::<Sha2>(smaller.size, larger.size, &smaller.root, &larger.root, &request.proof);
    grown.unwrap_err();
}

#[test]
fn what_another_key_signed_or_another_log_is_refused() {
    let mut log = Published::new();
    let checkpoint = log.grow("entry", 20);
    let other = Signer::new(ORIGIN, KeyKind::Ed25519, &[2; 32]).unwrap();
    log.files.insert("checkpoint".to_owned(), checkpoint.sign(&other).unwrap().encode().into_bytes());
    assert!(
        format!("{:#}", Copy::new().round(&log).unwrap_err()).contains("the log's checkpoint is refused")
    );
    let elsewhere = Checkpoint { origin: "ledger.example.org/b".to_owned(), ..checkpoint };
    let note = elsewhere.sign(&signer("ledger.example.org/b")).unwrap();
    log.files.insert("checkpoint".to_owned(), note.encode().into_bytes());
    assert!(format!("{:#}", Copy::new().round(&log).unwrap_err()).contains("it is another log's"));
}
