//! What an operator can do who has the database, the keys, the disk and this project's own code: tell the record over again with
//! a change in it, so that everything below the seals is in order once more, under the seals' own numbers and times.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::Value;
use trialseal_record::ids::TrialId;
use trialseal_runtime::clock::ManualClock;
use trialseal_runtime::shutdown::Shutdown;
use trialseal_seal::canonical;
use trialseal_seal::data::{Secret, dataroot};
use trialseal_seal::event::Header;
use trialseal_seal::note::{KeyKind, Signer};
use trialseal_seal::policy::Policy;
use trialseal_seal::time::Timestamp;
use trialseal_sealer::{Folder, Sealer, SealerParts, SealerSettings};
use trialseal_store::body::{self, Body, Opening};
use trialseal_store::{
    Append, EventRow, Events as _, NewEvent, Progress, Seals as _, Writer, WriterSettings,
};
use trialseal_store_sqlite::{SqliteKeys, SqliteStore};
use trialseal_tests::Service;
use trialseal_vault::{MasterKeyFile, Vault};

const ORIGIN: &str = "ledger.example.org/test";

/// Most that is read at once: a record of the tests is smaller.
const ALL: u32 = 10_000;

/// An event as the operator knows it.
#[derive(Clone)]
pub(crate) struct Told {
    row: EventRow,
    pub(crate) header: Header,
    secret: [u8; 32],
    pub(crate) data: Value,
    /// The seal that covers it first.
    pub(crate) seal: u64,
}

/// The record of a stopped service, to be told otherwise.
pub(crate) struct Telling {
    pub(crate) events: Vec<Told>,
    /// The times of the seals.
    seals: Vec<Timestamp>,
    vault: Arc<Vault>,
}

impl Telling {
    /// Reads what is there, with the operator's keys.
    pub(crate) async fn read(service: &Service) -> Self {
        let store = Arc::new(open(service).await);
        let master = Arc::new(MasterKeyFile::open(&service.dir().join("keys/master.key")).unwrap());
        let keys = SqliteKeys::open(service.dir().join("keys/data-keys.sqlite"), ORIGIN).await.unwrap();
        let vault = Arc::new(Vault::open(ORIGIN, Arc::new(keys), master).await.unwrap());
        let seals = store.seals(0, ALL).await.unwrap();
        let mut events = Vec::new();
        for row in store.since_position(0, ALL).await.unwrap() {
            let header = row.checked_header().unwrap();
            let opened = body::open(&vault, &row, &header).await.unwrap();
            let Body::Readable { opening: Opening::Secret(secret), data } = opened else {
                panic!("nothing was erased");
            };
            let seal = seals.iter().position(|seal| seal.sealed > row.position).unwrap() as u64;
            events.push(Told { row, header, secret: *secret.as_bytes(), data, seal });
        }
        // The keys are at hand from here on, also when the tables are empty.
        Self { events, seals: seals.iter().map(|seal| seal.time).collect(), vault }
    }

    /// Puts it in the place of what was there, which has been [emptied](empty): events, trees, seals and the whole log, signed
    /// with this key.
    pub(crate) async fn write(self, service: &Service, signer: Signer) {
        let store = Arc::new(open(service).await);
        let (clock, now) = (Arc::new(ManualClock::new(0)), Arc::new(AtomicI64::new(0)));
        let progress = Arc::new(Progress::new());
        let writer_time = Arc::clone(&now);
        let writer = Writer::spawn(
            store.clone(),
            store.clone(),
            Arc::new(move || Timestamp::from_micros(writer_time.load(Ordering::SeqCst))),
            Arc::clone(&progress),
            WriterSettings::default(),
        );
        let mut sealer = Sealer::open(SealerParts {
            store: store.clone(),
            place: Arc::new(Folder::new(service.published())),
            policy: Policy::parse(&Policy::text_for_log(&signer.verifier_key())).unwrap(),
            signers: vec![signer],
            timestamping: None,
            witnesses: Vec::new(),
            clock: clock.clone(),
            progress,
            // Each round makes a seal, whether anything is new or not.
            settings: SealerSettings { interval: Duration::from_secs(1), heartbeat: Duration::ZERO },
        })
        .await
        .unwrap();
        for (seal, time) in (0..).zip(&self.seals) {
            for told in self.events.iter().filter(|told| told.seal == seal) {
                now.store(told.header.time.micros(), Ordering::SeqCst);
                let append = self.append(told, store.as_ref()).await;
                writer.append(append).await.unwrap();
            }
            clock.set(time.micros());
            sealer.round(&Shutdown::new()).await.unwrap();
        }
    }

    async fn append(&self, told: &Told, store: &SqliteStore) -> Append {
        let Told { row, header, .. } = told;
        let trial: TrialId = row.trial.clone();
        let secret = Secret::from_bytes(told.secret);
        let key = self.vault.key(row.key).await.unwrap().unwrap();
        let mut command = [0; 32];
        command[..8].copy_from_slice(&store.head().await.unwrap().position.to_be_bytes());
        Append {
            command,
            digest: [0; 32],
            new_trial: store.trial_size(&trial).await.unwrap().is_none(),
            trial,
            expected: Vec::new(),
            natural_keys: Vec::new(),
            events: vec![NewEvent {
                stream: row.stream,
                id: header.id.parse().unwrap(),
                kind: header.kind.clone(),
                schema_version: header.dataschema.rsplit(':').next().unwrap().parse().unwrap(),
                dataroot: dataroot(&secret, &told.data).unwrap(),
                actor: header.actor.clone(),
                actorrole: header.actorrole.clone(),
                correlationid: header.correlationid.clone(),
                causationid: header.causationid.clone(),
                extra: header.extra.clone(),
                key: row.key,
                body: body::seal(&key, &header.id, &secret, &canonical::to_vec(&told.data)).unwrap(),
            }],
        }
    }

    /// The place of the first event of a type.
    pub(crate) fn first(&self, kind: &str) -> usize {
        self.events.iter().position(|told| told.header.kind == kind).unwrap()
    }

    /// The place of the last event of a trial.
    pub(crate) fn last_of(&self, trial: &str) -> usize {
        self.events.iter().rposition(|told| told.header.trial == trial).unwrap()
    }
}

/// The log's own key.
pub(crate) fn signer(service: &Service) -> Signer {
    let seed = fs::read_to_string(service.dir().join("keys/log.key")).unwrap();
    let byte = |at: usize| u8::from_str_radix(&seed.trim()[2 * at..2 * at + 2], 16).unwrap();
    Signer::new(ORIGIN, KeyKind::Ed25519, &std::array::from_fn(byte)).unwrap()
}

async fn open(service: &Service) -> SqliteStore {
    SqliteStore::open(service.dir().join("trialseal.db"), ORIGIN).await.unwrap()
}

/// Switches off what keeps the record, and removes all of it and the published log; keys and tokens stay.
pub(crate) fn empty(service: &Service) {
    let database = service.database();
    for trigger in database.texts("SELECT name FROM sqlite_master WHERE type = 'trigger'") {
        database.execute(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    let tables = [
        "event",
        "trial",
        "stream",
        "command",
        "natural_key",
        "seal",
        "sealed_head",
        "tree_node",
        "checkpoint",
        "note",
        "note_timestamp",
        "read_model",
        "read_model_doc",
    ];
    for table in tables {
        database.execute(&format!("DELETE FROM {table}")).unwrap();
    }
    let head = "UPDATE ledger SET position = 0, time = 0, seal = NULL, seal_leaf = NULL, sealed = 0";
    database.execute(head).unwrap();
    fs::remove_dir_all(service.published()).unwrap();
}

/// Copies a folder to another place, and removes what was there.
pub(crate) fn put(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    for file in trialseal_tests::all_files(from) {
        let copy = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(&file, copy).unwrap();
    }
}
