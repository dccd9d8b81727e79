//! Sealing over the in-memory store: what is published, and what every interruption leaves behind.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says by panicking what does not hold")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use trialseal_record::ids::{ParticipantId, StreamId, TrialId};
use trialseal_runtime::clock::ManualClock;
use trialseal_seal::hash::{Hash, Sha2, TreeHash, sha256};
use trialseal_seal::note::{KeyKind, Signer};
use trialseal_seal::policy::Policy;
use trialseal_seal::seal::Seal;
use trialseal_seal::tiles::{decode_bundle, entries_path, note_path, tile_path};
use trialseal_seal::time::Timestamp;
use trialseal_seal::tree::Frontier;
use trialseal_sealer::{Folder, Publication, SealError, Sealer, SealerParts, SealerSettings};
use trialseal_store::memory::MemoryStore;
use trialseal_store::{Append, Events, NewEvent, Progress, Seals, Writer, WriterSettings};
use uuid::Uuid;

const ORIGIN: &str = "test.example/ledger";
const START: i64 = 1_800_000_000_000_000;

/// A place of publication in memory whose n-th write fails: before it was done, or after.
#[derive(Default)]
struct Memory {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    writes: AtomicUsize,
    fault: Mutex<Option<(usize, bool)>>,
}

impl Memory {
    fn fail_at(&self, write: usize, done: bool) {
        *self.fault.lock().unwrap() = Some((self.writes.load(Ordering::SeqCst) + write, done));
    }

    fn operation(
        &self,
        path: &str,
        work: impl FnOnce(&mut BTreeMap<String, Vec<u8>>),
    ) -> Result<(), SealError> {
        let n = self.writes.fetch_add(1, Ordering::SeqCst);
        let fault = self.fault.lock().unwrap().take_if(|(at, _)| *at == n);
        if fault.is_none_or(|(_, done)| done) {
            work(&mut self.files.lock().unwrap());
        }
        match fault {
            Some(_) => {
                Err(SealError::Publication { path: path.into(), error: "no space left on device".into() })
            }
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Publication for Memory {
    async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), SealError> {
        self.operation(path, |files| {
            let before = files.insert(path.into(), bytes.clone());
            assert!(
                path == "checkpoint" || before.is_none_or(|before| before == bytes),
                "{path} was changed"
            );
        })
    }
    async fn get(&self, path: &str) -> Result<Option<Vec<u8>>, SealError> {
        Ok(self.files.lock().unwrap().get(path).cloned())
    }
    async fn remove_folder(&self, path: &str) -> Result<(), SealError> {
        self.operation(path, |files| files.retain(|file, _| !file.starts_with(&format!("{path}/"))))
    }
}

struct Bench {
    store: Arc<MemoryStore>,
    place: Arc<Memory>,
    clock: Arc<ManualClock>,
    writer: Writer,
    sent: u64,
}

fn signer() -> Signer {
    Signer::new(ORIGIN, KeyKind::Ed25519, &[42; 32]).unwrap()
}

impl Bench {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new(ORIGIN));
        let clock = Arc::new(ManualClock::new(START));
        let time = Arc::clone(&clock);
        let writer = Writer::spawn(
            store.clone(),
            store.clone(),
            Arc::new(move || Timestamp::from_micros(trialseal_runtime::clock::Clock::now(time.as_ref()))),
            Arc::new(Progress::new()),
            WriterSettings::default(),
        );
        Self { store, place: Arc::default(), clock, writer, sent: 0 }
    }

    async fn sealer(&self) -> Result<Sealer, SealError> {
        Sealer::open(SealerParts {
            store: self.store.clone(),
            place: self.place.clone(),
            signer: signer(),
            clock: self.clock.clone(),
            progress: Arc::new(Progress::new()),
            settings: SealerSettings::default(),
        })
        .await
    }

    /// Appends `count` events to a trial.
    async fn append(&mut self, trial: &str, count: u64) {
        let trial: TrialId = trial.parse().unwrap();
        let event = |n: u64| NewEvent {
            stream: StreamId::participant(ParticipantId(Uuid::from_u128(7))),
            id: uuid::Builder::from_unix_timestamp_millis(n, &[1; 10]).into_uuid(),
            kind: "visit.occurred".into(),
            schema_version: 1,
            dataroot: sha256(&n.to_be_bytes()),
            actor: "user:1".into(),
            actorrole: "investigator".into(),
            correlationid: None,
            causationid: None,
            extra: BTreeMap::new(),
            key: Uuid::nil(),
            body: vec![0; 8],
        };
        let mut command = [0; 32];
        self.sent += 1;
        command[..8].copy_from_slice(&self.sent.to_be_bytes());
        let append = Append {
            command,
            digest: [0; 32],
            new_trial: self.store.trial_size(&trial).await.unwrap().is_none(),
            trial,
            expected: Vec::new(),
            natural_keys: Vec::new(),
            events: (0..count).map(|n| event(self.sent * 1_000 + n)).collect(),
        };
        self.writer.append(append).await.unwrap();
        self.clock.advance(10);
    }

    /// Re-hashes everything that is published and gives the seals.
    fn audit(&self) -> Vec<Seal> {
        let files = self.place.files.lock().unwrap();
        let file = |path: String| files.get(&path).unwrap_or_else(|| panic!("{path} is missing"));
        let policy = Policy::parse(&Policy::text_for_log(&signer().verifier_key())).unwrap();
        let note = String::from_utf8(file("checkpoint".into()).clone()).unwrap();
        let checkpoint = policy.check(&note).unwrap().checkpoint;
        let mut tree = Frontier::<Sha2>::new();
        let mut seals = Vec::new();
        let mut tiles: Vec<Vec<Hash>> = vec![Vec::new(); 3];
        for bundle in 0..checkpoint.size.div_ceil(256) {
            let width = u8::try_from(checkpoint.size - bundle * 256).ok().filter(|width| *width > 0);
            for entry in decode_bundle(file(entries_path(bundle, width))).unwrap() {
                let value = trialseal_seal::canonical::parse(entry, 64).unwrap();
                seals.push(Seal::parse(&value).unwrap());
                tree.push_with(Sha2::leaf(&[entry]), |node, hash| {
                    tiles[usize::from(node.level / 8)].push(hash);
                });
                let note = String::from_utf8(file(note_path(tree.size())).clone()).unwrap();
                assert_eq!(policy.check(&note).unwrap().checkpoint.root, tree.root());
            }
        }
        assert_eq!(tree.root(), checkpoint.root);
        for (level, hashes) in (0u8..).zip(&tiles) {
            for (index, tile) in (0..).zip(hashes.chunks(256)) {
                let width = u8::try_from(tile.len()).ok();
                let bytes: Vec<u8> = tile.iter().flat_map(|hash| *hash.as_bytes()).collect();
                assert_eq!(*file(tile_path(level, index, width)), bytes);
            }
        }
        seals
    }
}

#[tokio::test]
async fn a_seal_covers_what_was_recorded_and_is_published_with_it() {
    let mut bench = Bench::new();
    let mut sealer = bench.sealer().await.unwrap();
    bench.append("A", 3).await;
    bench.append("B", 2).await;
    assert!(sealer.round().await.unwrap());
    bench.append("A", 1).await;
    assert!(sealer.round().await.unwrap());
    assert!(!sealer.round().await.unwrap(), "nothing is new");
    let seals = bench.audit();
    assert_eq!(
        seals.iter().map(|seal| (seal.seal, seal.events, seal.trials)).collect::<Vec<_>>(),
        [(0, 5, 2), (1, 6, 2)]
    );
    assert_eq!(seals[0].prior, Hash::ZERO);
    assert_eq!(seals[1].prior, sha256(&bench.store.note(1).await.unwrap().unwrap()));
    let rows = bench.store.since_position(5, 1).await.unwrap();
    assert_eq!(rows[0].checked_header().unwrap().afterseal.unwrap().seal, 0);
}

#[tokio::test]
async fn silence_is_sealed_once_a_heartbeat() {
    let mut bench = Bench::new();
    let mut sealer = bench.sealer().await.unwrap();
    bench.append("A", 1).await;
    assert!(sealer.round().await.unwrap());
    bench.clock.advance(59_000_000);
    assert!(!sealer.round().await.unwrap());
    bench.clock.advance(1_000_000);
    assert!(sealer.round().await.unwrap());
    let seals = bench.audit();
    assert_eq!((seals.len(), seals[0].root), (2, seals[1].root));
    assert!(seals[1].time > seals[0].time);
}

#[tokio::test]
async fn full_tiles_replace_the_partial_ones_and_a_restart_goes_on() {
    let mut bench = Bench::new();
    let mut sealer = bench.sealer().await.unwrap();
    for n in 0..300 {
        bench.append(if n % 3 == 0 { "A" } else { "B" }, 2 + n % 5).await;
        sealer.round().await.unwrap();
        if n % 50 == 49 || n == 254 || n == 255 {
            sealer = bench.sealer().await.unwrap();
        }
    }
    assert_eq!(bench.audit().len(), 300);
    let files = bench.place.files.lock().unwrap();
    assert!(files.contains_key("tile/0/000") && files.contains_key("tile/entries/000"));
    assert!(
        !files
            .keys()
            .any(|path| path.starts_with("tile/0/000.p/") || path.starts_with("tile/entries/000.p/"))
    );
}

#[tokio::test]
async fn every_failing_write_is_made_good_by_doing_it_again() {
    for done in [false, true] {
        for write in 0..12 {
            let mut bench = Bench::new();
            let mut sealer = bench.sealer().await.unwrap();
            for _ in 0..254 {
                bench.clock.advance(60_000_000);
                sealer.round().await.unwrap();
            }
            bench.place.fail_at(write, done);
            for _ in 0..3 {
                bench.append("A", 2).await;
                if sealer.round().await.is_err() {
                    sealer = bench.sealer().await.unwrap();
                }
            }
            let seals = bench.audit();
            assert_eq!(seals.len(), 257, "write {write}, done: {done}");
            assert_eq!(seals.last().unwrap().events, 6);
        }
    }
}

#[tokio::test]
async fn an_old_backup_is_refused() {
    let mut bench = Bench::new();
    let mut sealer = bench.sealer().await.unwrap();
    bench.append("A", 1).await;
    sealer.round().await.unwrap();
    bench.append("A", 1).await;
    sealer.round().await.unwrap();
    bench.store = Arc::new(MemoryStore::new(ORIGIN));
    let refused = bench.sealer().await.err().unwrap();
    assert!(matches!(refused, SealError::Behind { published: 2, recorded: 0 }), "{refused}");
    assert!(refused.is_final());
}

#[tokio::test]
async fn another_history_is_refused() {
    let mut bench = Bench::new();
    let mut sealer = bench.sealer().await.unwrap();
    bench.append("A", 1).await;
    sealer.round().await.unwrap();
    let mut other = Bench::new();
    let mut sealer = other.sealer().await.unwrap();
    other.append("A", 2).await;
    sealer.round().await.unwrap();
    other.place = Arc::clone(&bench.place);
    let refused = other.sealer().await.err().unwrap();
    assert!(matches!(refused, SealError::Fork(_)), "{refused}");
}

#[tokio::test]
async fn a_folder_keeps_whole_files() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::new(dir.path().join("log"));
    assert_eq!(folder.get("tile/0/000").await.unwrap(), None);
    folder.put("tile/0/000.p/3", b"abc".to_vec()).await.unwrap();
    folder.put("tile/0/000.p/3", b"abc".to_vec()).await.unwrap();
    folder.put("tile/0/000", b"abcd".to_vec()).await.unwrap();
    folder.remove_folder("tile/0/000.p").await.unwrap();
    folder.remove_folder("tile/0/000.p").await.unwrap();
    assert_eq!(folder.get("tile/0/000.p/3").await.unwrap(), None);
    assert_eq!(folder.get("tile/0/000").await.unwrap(), Some(b"abcd".to_vec()));
}

#[tokio::test]
async fn an_unfinished_file_stands_at_no_path_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("log");
    let folder = Folder::new(root.clone());
    // Something that a file cannot replace, so that the write ends before the rename, as a crash could end it.
    std::fs::create_dir_all(root.join("notes/001")).unwrap();
    assert!(matches!(folder.put("notes/001", b"note".to_vec()).await, Err(SealError::Publication { .. })));
    let notes: Vec<_> =
        std::fs::read_dir(root.join("notes")).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(notes, ["001"]);
    std::fs::remove_dir(root.join("notes/001")).unwrap();
    folder.put("notes/001", b"note".to_vec()).await.unwrap();
    assert_eq!(folder.get("notes/001").await.unwrap(), Some(b"note".to_vec()));
}
