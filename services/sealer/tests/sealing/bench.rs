//! A ledger in memory, a place of publication whose writes fail on demand, and a sealer between the two.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use trialseal_record::ids::{ParticipantId, StreamId, TrialId};
use trialseal_runtime::clock::{Clock, ManualClock};
use trialseal_runtime::shutdown::Shutdown;
use trialseal_seal::checkpoint::Checkpoint;
use trialseal_seal::hash::{Sha3, sha256};
use trialseal_seal::map::{Head, TrialMap};
use trialseal_seal::note::{KeyKind, Signer};
use trialseal_seal::policy::Policy;
use trialseal_seal::seal::Seal;
use trialseal_seal::time::Timestamp;
use trialseal_seal::tree::Frontier;
use trialseal_sealer::{Publication, SealError, Sealer, SealerParts, SealerSettings, Witness};
use trialseal_store::memory::MemoryStore;
use trialseal_store::{Append, AppendError, Events, NewEvent, Progress, Store, Writer, WriterSettings};
use uuid::Uuid;

use crate::audit::{audit, read_note};
use crate::watched::Watched;
use crate::witness::InMemory;

pub(crate) const ORIGIN: &str = "test.example/ledger";
pub(crate) const START: i64 = 1_800_000_000_000_000;

/// What a test does at a moment that the sealer is in the middle of something.
pub(crate) type Interruption = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A place of publication in memory.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) files: Mutex<BTreeMap<String, Vec<u8>>>,
    writes: AtomicUsize,
    /// The n-th write fails: before it was done, or after.
    fault: Mutex<Option<(usize, bool)>>,
    /// Whether all writes fail.
    pub(crate) broken: AtomicBool,
    /// How long a write takes.
    pub(crate) delay: Mutex<Duration>,
    /// What happens before the file is written next.
    before_put: Mutex<Option<(String, Interruption)>>,
}

impl Memory {
    pub(crate) fn fail_at(&self, write: usize, done: bool) {
        *self.fault.lock().unwrap() = Some((self.writes.load(Ordering::SeqCst) + write, done));
    }

    pub(crate) fn before_put(
        &self,
        path: impl Into<String>,
        what: impl Future<Output = ()> + Send + 'static,
    ) {
        *self.before_put.lock().unwrap() = Some((path.into(), Box::pin(what)));
    }

    /// The published checkpoint.
    pub(crate) fn checkpoint(&self) -> Option<Checkpoint> {
        let note = self.files.lock().unwrap().get("checkpoint").cloned()?;
        Some(read_note(&note))
    }

    async fn operation(
        &self,
        path: &str,
        work: impl FnOnce(&mut BTreeMap<String, Vec<u8>>),
    ) -> Result<(), SealError> {
        let delay = *self.delay.lock().unwrap();
        tokio::time::sleep(delay).await;
        let n = self.writes.fetch_add(1, Ordering::SeqCst);
        let fault = self.fault.lock().unwrap().take_if(|(at, _)| *at == n);
        let fault = if self.broken.load(Ordering::SeqCst) { Some((n, false)) } else { fault };
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
        let interruption = self.before_put.lock().unwrap().take_if(|(at, _)| at == path);
        if let Some((_, interruption)) = interruption {
            interruption.await;
        }
        self.operation(path, |files| {
            let before = files.insert(path.into(), bytes.clone());
            assert!(
                path == "checkpoint" || before.is_none_or(|before| before == bytes),
                "{path} was changed"
            );
        })
        .await
    }
    async fn get(&self, path: &str) -> Result<Option<Vec<u8>>, SealError> {
        Ok(self.files.lock().unwrap().get(path).cloned())
    }
    async fn remove_folder(&self, path: &str) -> Result<(), SealError> {
        self.operation(path, |files| files.retain(|file, _| !file.starts_with(&format!("{path}/")))).await
    }
}

pub(crate) struct Bench {
    /// The ledger.
    pub(crate) memory: Arc<MemoryStore>,
    /// The ledger as the sealer sees it.
    pub(crate) store: Arc<Watched>,
    pub(crate) place: Arc<Memory>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) settings: SealerSettings,
    pub(crate) shutdown: Shutdown,
    pub(crate) signers: Vec<Signer>,
    pub(crate) policy: Policy,
    pub(crate) witnesses: Vec<Arc<InMemory>>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) writer: Writer,
    sent: u64,
}

pub(crate) fn signer() -> Signer {
    Signer::new(ORIGIN, KeyKind::Ed25519, &[42; 32]).unwrap()
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::over(Arc::new(MemoryStore::new(ORIGIN)))
    }

    /// A bench on a ledger that is there.
    pub(crate) fn over(memory: Arc<MemoryStore>) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let time = Arc::clone(&clock);
        let progress = Arc::new(Progress::new());
        let writer = Writer::spawn(
            memory.clone(),
            memory.clone(),
            Arc::new(move || Timestamp::from_micros(time.now())),
            progress.clone(),
            WriterSettings::default(),
        );
        Self {
            store: Arc::new(Watched::new(Arc::clone(&memory))),
            memory,
            place: Arc::default(),
            clock,
            settings: SealerSettings::default(),
            shutdown: Shutdown::new(),
            signers: vec![signer()],
            policy: Policy::parse(&Policy::text_for_log(&signer().verifier_key())).unwrap(),
            witnesses: Vec::new(),
            progress,
            writer,
            sent: 0,
        }
    }

    pub(crate) async fn sealer(&self) -> Result<Sealer, SealError> {
        self.sealer_on(self.store.clone(), self.place.clone()).await
    }

    /// A sealer that sees the ledger, and publishes, through something else.
    pub(crate) async fn sealer_on(
        &self,
        store: Arc<dyn Store>,
        place: Arc<dyn Publication>,
    ) -> Result<Sealer, SealError> {
        Sealer::open(SealerParts {
            store,
            place,
            signers: self.signers.clone(),
            policy: self.policy.clone(),
            timestamping: None,
            witnesses: self.witnesses.iter().map(|witness| witness.clone() as Arc<dyn Witness>).collect(),
            clock: self.clock.clone(),
            progress: self.progress.clone(),
            settings: self.settings,
        })
        .await
    }

    /// Lets `time` pass, by every clock.
    pub(crate) async fn pass(&self, time: Duration) {
        self.clock.advance(i64::try_from(time.as_micros()).unwrap());
        tokio::time::advance(time).await;
    }

    /// Appends `count` events to a trial.
    pub(crate) async fn append(&mut self, trial: &str, count: u64) {
        self.append_to(trial, count).await.unwrap();
    }

    /// Appends one event, or says why not.
    pub(crate) async fn try_append(&mut self, trial: &str) -> Result<(), AppendError> {
        self.append_to(trial, 1).await
    }

    async fn append_to(&mut self, trial: &str, count: u64) -> Result<(), AppendError> {
        let trial: TrialId = trial.parse().unwrap();
        self.sent += 1;
        let mut command = [0; 32];
        command[..8].copy_from_slice(&self.sent.to_be_bytes());
        let append = Append {
            command,
            digest: [0; 32],
            new_trial: self.memory.trial_size(&trial).await.unwrap().is_none(),
            trial,
            expected: Vec::new(),
            natural_keys: Vec::new(),
            events: (0..count).map(|n| event(self.sent * 1_000 + n)).collect(),
        };
        self.writer.append(append).await?;
        self.clock.advance(10);
        Ok(())
    }

    /// Re-hashes everything that is published and gives the seals.
    pub(crate) fn audit(&self) -> Vec<Seal> {
        let files = self.place.files.lock().unwrap();
        audit(|path| files.get(path).cloned())
    }

    /// Checks a seal against the events that the ledger holds.
    pub(crate) async fn assert_covers(&self, seal: &Seal) {
        let limit = u32::try_from(seal.events).unwrap();
        let leaves = self.memory.leaves_from_position(0, limit).await.unwrap();
        assert_eq!(leaves.len() as u64, seal.events, "seal {} covers more than there is", seal.seal);
        let mut trees: BTreeMap<TrialId, Frontier<Sha3>> = BTreeMap::new();
        for row in leaves {
            trees.entry(row.trial).or_default().push(row.leaf);
        }
        let mut map = TrialMap::new();
        for (trial, tree) in &trees {
            map.set(&Head { trial: trial.to_string(), size: tree.size(), root: tree.root() });
        }
        assert_eq!((seal.root, seal.trials), (map.root(), map.len() as u64));
    }
}

fn event(n: u64) -> NewEvent {
    NewEvent {
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
    }
}
