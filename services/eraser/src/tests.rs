use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedSender};
use trialseal_record::event::Event;
use trialseal_record::ids::{ParticipantId, Scope, StreamId, TrialId};
use trialseal_record::{Actor, Role};
use trialseal_runtime::clock::{Clock, ManualClock};
use trialseal_runtime::ids::{Ids, SystemIds};
use trialseal_runtime::shutdown::Shutdown;
use trialseal_seal::data::Secret;
use trialseal_seal::time::Timestamp;
use trialseal_store::body::{self, Body};
use trialseal_store::draft::{Draft, Stamp};
use trialseal_store::memory::MemoryStore;
use trialseal_store::{
    Append, AppendError, EventRow, Events as _, Expected, NewEvent, Progress, Writer, WriterSettings,
};
use trialseal_vault::memory::MemoryKeys;
use trialseal_vault::{DataKeys as _, MasterKeyFile, StoredKey, Vault};
use uuid::Uuid;

use crate::{Copies, Eraser, EraserParts, ReadModels};

mod redaction;

const ORIGIN: &str = "ledger.example.org/erasures";

/// Copies that are not done with for as many questions as it says.
#[derive(Default)]
struct Files {
    busy: AtomicU32,
    fails: AtomicU32,
    destroyed: AtomicU32,
}

#[async_trait]
impl Copies for Files {
    async fn destroy(&self, _: &TrialId) -> Result<bool, String> {
        let take = |count: &AtomicU32| {
            count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        };
        if take(&self.fails) {
            return Err("the disk is gone".to_owned());
        }
        self.destroyed.fetch_add(1, Ordering::SeqCst);
        Ok(!take(&self.busy))
    }
}

/// Counts how often they were made anew, and fails as often as it says.
#[derive(Default)]
struct Documents {
    fails: AtomicU32,
    made: AtomicU32,
}

#[async_trait]
impl ReadModels for Documents {
    async fn rebuild(&self) -> Result<(), String> {
        let fails =
            self.fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if fails {
            return Err("overtaken".to_owned());
        }
        self.made.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// A ledger in memory, whose processes come and go.
struct World {
    store: Arc<MemoryStore>,
    keys: Arc<MemoryKeys>,
    files: Arc<Files>,
    documents: Arc<Documents>,
    writer: Writer,
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
}

/// A process with its eraser.
struct Process {
    vault: Arc<Vault>,
    approved: UnboundedSender<(TrialId, ParticipantId)>,
    shutdown: Shutdown,
    eraser: tokio::task::JoinHandle<()>,
}

fn trial() -> TrialId {
    "DEMO-1".parse().unwrap()
}

fn participant(number: u128) -> ParticipantId {
    ParticipantId(Uuid::from_u128(number))
}

fn scope(number: u128) -> Scope {
    Scope::Participant(trial(), participant(number))
}

impl World {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new(ORIGIN));
        let time = AtomicI64::new(1_760_000_000_000_000);
        let now = Arc::new(move || Timestamp::from_micros(time.fetch_add(1, Ordering::Relaxed)));
        let progress = Arc::new(Progress::new());
        let writer = Writer::spawn(store.clone(), store.clone(), now, progress, WriterSettings::default());
        Self {
            store,
            keys: Arc::default(),
            files: Arc::default(),
            documents: Arc::default(),
            writer,
            clock: Arc::new(ManualClock::new(1_760_000_000_000_000)),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    async fn vault(&self) -> Arc<Vault> {
        let master = MasterKeyFile::open_or_create(&self.folder.path().join("master.key")).unwrap();
        Arc::new(Vault::open(ORIGIN, self.keys.clone(), Arc::new(master)).await.unwrap())
    }

    async fn process(&self) -> Process {
        let vault = self.vault().await;
        let (sender, approved) = mpsc::unbounded_channel();
        let eraser = Eraser::new(EraserParts {
            events: self.store.clone(),
            bodies: self.store.clone(),
            models: self.documents.clone(),
            streams: self.store.clone(),
            writer: self.writer.clone(),
            vault: vault.clone(),
            copies: self.files.clone(),
            approved,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            ids: Arc::new(SystemIds),
        });
        let shutdown = Shutdown::new();
        let eraser = tokio::spawn(eraser.run(shutdown.clone()));
        Process { vault, approved: sender, shutdown, eraser }
    }

    async fn record(&self, vault: &Vault, stream: StreamId, kind: &str, data: Value) -> String {
        self.record_of(vault, stream, kind, data, None).await
    }

    /// Records an event that came of another one, and gives its id.
    async fn record_of(
        &self,
        vault: &Vault,
        stream: StreamId,
        kind: &str,
        data: Value,
        cause: Option<String>,
    ) -> String {
        let version = Event::KINDS.iter().find(|(known, _)| *known == kind).unwrap().1;
        let event = Event::from_stored(kind, version, data).unwrap();
        let key = vault.key_of(&Scope::of(&trial(), stream)).await.unwrap();
        self.append_of(Draft { stream, event, key }, cause, Vec::new()).await.unwrap()
    }

    async fn append_of(
        &self,
        draft: Draft,
        causationid: Option<String>,
        expected: Vec<Expected>,
    ) -> Result<String, AppendError> {
        let actor = Actor { id: "person-1".into(), role: Role::Irb, organisation: "IRB".into() };
        let [mut secret, mut command] = [[0; 32]; 2];
        SystemIds.fill(&mut secret);
        SystemIds.fill(&mut command);
        let id = SystemIds.uuid_v7(0);
        let event = draft.prepare(&Stamp::new(actor, None, None), id, &Secret::from_bytes(secret)).unwrap();
        let append = Append {
            command,
            digest: [0; 32],
            trial: trial(),
            new_trial: self.store.trial_size(&trial()).await.unwrap().is_none(),
            expected,
            natural_keys: Vec::new(),
            events: vec![NewEvent { causationid, ..event }],
        };
        self.writer.append(append).await.map(|_| id.to_string())
    }

    /// Participants with an event each; the erasure of the first `approved` is approved.
    async fn fill(&self, participants: u128, approved: u128) {
        let vault = self.vault().await;
        for number in 0..participants {
            let enrolled = json!({"enrolledOn": "2026-01-16"});
            self.record(&vault, StreamId::participant(participant(number)), "participant.enrolled", enrolled)
                .await;
            let asked = json!({"requester": "p-1", "askedOn": "2026-02-01", "reason": "Asked for it"});
            let stream = StreamId::erasure_of(participant(number));
            self.record(&vault, stream, "erasure.requested", asked).await;
            if number < approved {
                self.approve(&vault, number).await;
            }
        }
    }

    async fn approve(&self, vault: &Vault, number: u128) {
        let agreed = json!({"requester": "p-1", "approver": "p-2", "reason": "No duty to keep"});
        self.record(vault, StreamId::erasure_of(participant(number)), "erasure.approved", agreed).await;
        let closed = json!({"cause": "erasure"});
        self.record(vault, StreamId::participant(participant(number)), "participant.closed", closed).await;
    }

    /// What stands in the stream of an erasure.
    async fn kinds(&self, number: u128) -> Vec<String> {
        let stream = StreamId::erasure_of(participant(number));
        let rows = self.store.of_stream(&trial(), &stream, 0, 100).await.unwrap();
        rows.iter().map(|row| row.checked_header().unwrap().kind).collect()
    }

    async fn until_erased(&self, number: u128, times: usize) {
        let erased = async || {
            let kinds = self.kinds(number).await;
            kinds.iter().filter(|kind| *kind == "participant.key-destroyed").count() == times
        };
        while !erased().await {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    fn master(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("master.key")).unwrap()
    }

    async fn rows(&self, number: u128) -> Vec<EventRow> {
        self.store.of_stream(&trial(), &StreamId::participant(participant(number)), 0, 10).await.unwrap()
    }

    /// Whether what a participant was given can be read.
    async fn is_arm_readable(&self, vault: &Vault, number: u128) -> bool {
        vault.key_of(&Scope::Blinded(trial(), participant(number))).await.is_ok()
    }

    async fn is_readable(&self, vault: &Vault, number: u128) -> bool {
        let row = self.rows(number).await.remove(0);
        let header = row.checked_header().unwrap();
        matches!(body::open(vault, &row, &header).await.unwrap(), Body::Readable { .. })
    }
}

impl Process {
    async fn end(self) -> Arc<Vault> {
        self.shutdown.request();
        self.eraser.await.unwrap();
        self.vault
    }
}

#[tokio::test]
async fn what_was_approved_is_carried_out_at_the_start_and_as_it_comes() {
    let world = World::new();
    world.fill(4, 2).await;
    let before = world.master();
    let process = world.process().await;
    for number in 0..2 {
        world.until_erased(number, 1).await;
    }
    let after = world.master();
    assert_ne!(after, before, "another master key");
    world.approve(&process.vault, 2).await;
    process.approved.send((trial(), participant(2))).unwrap();
    world.until_erased(2, 1).await;
    assert_ne!(world.master(), after);
    let expected = ["erasure.requested", "erasure.approved", "participant.key-destroyed"].map(str::to_owned);
    assert_eq!(world.kinds(2).await, expected);
    assert_eq!(world.kinds(3).await, expected[..1], "one that was asked for and not approved");

    let stream = StreamId::erasure_of(participant(2));
    let row = world.store.of_stream(&trial(), &stream, 2, 1).await.unwrap().remove(0);
    let header = row.checked_header().unwrap();
    assert_eq!((header.actor.as_str(), header.actorrole.as_str()), ("service:trialseal", "system"));
    let Body::Readable { data, .. } = body::open(&process.vault, &row, &header).await.unwrap() else {
        panic!("it stands under the trial's key");
    };
    assert_eq!((&data["events"], &data["masterKey"]), (&json!(2), &json!(process.vault.master_key())));
    assert!(world.files.destroyed.load(Ordering::SeqCst) >= 3);

    let vault = process.end().await;
    for vault in [vault, world.vault().await] {
        for number in 0..3 {
            assert!(!world.is_readable(&vault, number).await);
            assert!(vault.key_of(&scope(number)).await.is_err());
        }
        assert!(world.is_readable(&vault, 3).await);
    }
}

#[tokio::test]
async fn a_start_that_finds_everything_done_does_nothing() {
    let world = World::new();
    world.fill(2, 1).await;
    let process = world.process().await;
    world.until_erased(0, 1).await;
    process.end().await;
    let (master, size) = (world.master(), world.store.trial_size(&trial()).await.unwrap());
    let process = world.process().await;
    // Whatever is approved later is carried out after what was found.
    world.approve(&process.vault, 1).await;
    process.approved.send((trial(), participant(1))).unwrap();
    world.until_erased(1, 1).await;
    process.end().await;
    assert_ne!(world.master(), master);
    assert_eq!(world.store.trial_size(&trial()).await.unwrap(), size.map(|size| size + 3));
    assert_eq!(world.kinds(0).await.len(), 3, "once");
}

/// Nothing is said to be done before every copy is gone.
#[tokio::test]
async fn it_is_not_recorded_before_all_copies_are_destroyed() {
    let world = World::new();
    world.files.busy.store(2, Ordering::SeqCst);
    world.files.fails.store(1, Ordering::SeqCst);
    world.fill(1, 1).await;
    let master = world.master();
    let process = world.process().await;
    while world.files.busy.load(Ordering::SeqCst) > 0 {
        assert_eq!(world.kinds(0).await.len(), 2);
        assert_eq!(world.master(), master);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    // The key is gone all the same.
    assert!(!world.is_readable(&process.vault, 0).await);
    world.until_erased(0, 1).await;
    process.end().await;
}

/// As where a process was killed between two steps.
#[tokio::test]
async fn whatever_was_done_before_a_crash_is_done_again() {
    for step in 0..3 {
        let world = World::new();
        world.fill(2, 1).await;
        let vault = world.vault().await;
        vault.destroy(&scope(0)).await.unwrap();
        if step == 1 {
            // The successor is made, and nothing wrapped by it.
            let next = world.folder.path().join("master.next.key");
            MasterKeyFile::open_or_create(&next).unwrap();
        }
        if step == 2 {
            vault.renew_master_key().await.unwrap();
        }
        drop(vault);
        let process = world.process().await;
        world.until_erased(0, 1).await;
        let vault = process.end().await;
        assert!(vault.former_master_key().is_none());
        assert!(!world.is_readable(&vault, 0).await && world.is_readable(&vault, 1).await, "step {step}");
        assert!(
            !world.is_arm_readable(&vault, 0).await && world.is_arm_readable(&vault, 1).await,
            "step {step}"
        );
        assert_eq!(fs::read_dir(world.folder.path()).unwrap().count(), 1);
    }
}

/// A copy of key store and master key from before is put back: then the participant's key is there again.
#[tokio::test]
async fn an_erasure_that_an_old_copy_has_undone_is_carried_out_again() {
    let mut world = World::new();
    world.fill(2, 0).await;
    let copy = MemoryKeys::new();
    for scope in [scope(0), scope(1), Scope::Trial(trial()), Scope::Trial(TrialId::ledger())] {
        let Some(StoredKey::Wrapped(key)) = world.keys.data_key_of(&scope).await.unwrap() else {
            panic!("{scope}");
        };
        copy.add_data_key(&key).await.unwrap();
    }
    let master = world.master();
    world.approve(&*world.vault().await, 0).await;
    let process = world.process().await;
    world.until_erased(0, 1).await;
    process.end().await;

    world.keys = Arc::new(copy);
    fs::write(world.folder.path().join("master.key"), &master).unwrap();
    assert!(world.is_readable(&*world.vault().await, 0).await, "undone");
    let process = world.process().await;
    world.until_erased(0, 2).await;
    let vault = process.end().await;
    assert!(!world.is_readable(&vault, 0).await && world.is_readable(&vault, 1).await);
    assert_ne!(world.master(), master);
}
