//! A ledger in memory with an administrator's eyes, for the tests of this crate.

use std::net::IpAddr;
use std::sync::Arc;

use trialseal_record::event::{Event, KeyRegistered};
use trialseal_record::values::KeyPurpose;
use trialseal_record::{StreamId, TrialId};
use trialseal_runtime::clock::{Clock, ManualClock};
use trialseal_runtime::ids::SeededIds;
use trialseal_seal::time::Timestamp;
use trialseal_store::memory::MemoryStore;
use trialseal_store::{Events, Progress, Writer, WriterSettings};
use trialseal_vault::Vault;

use crate::grants::By;
use crate::{Identity, IdentityParts, Provider};

pub(crate) const NOW: i64 = 1_800_000_000_000_000;
pub(crate) const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

pub(crate) struct Ledger {
    pub(crate) identity: Arc<Identity>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: Arc<ManualClock>,
}

impl Ledger {
    pub(crate) async fn new(provider: impl FnOnce(Arc<dyn Clock>) -> Option<Provider>) -> Self {
        Self::at(None, provider).await
    }

    pub(crate) async fn at(
        address: Option<&str>,
        provider: impl FnOnce(Arc<dyn Clock>) -> Option<Provider>,
    ) -> Self {
        let store = Arc::new(MemoryStore::new("ledger.example.org/identity"));
        let clock = Arc::new(ManualClock::new(NOW));
        let dir = tempfile::tempdir().unwrap();
        let master = trialseal_vault::MasterKeyFile::open_or_create(&dir.path().join("master.key")).unwrap();
        let keys = Arc::new(trialseal_vault::memory::MemoryKeys::new());
        let vault = Vault::open("ledger.example.org/identity", keys, Arc::new(master)).await.unwrap();
        let time = Arc::clone(&clock);
        let writer = Writer::spawn(
            store.clone(),
            store.clone(),
            Arc::new(move || Timestamp::from_micros(time.now())),
            Arc::new(Progress::new()),
            WriterSettings::default(),
        );
        let identity = Identity::new(IdentityParts {
            tokens: store.clone(),
            accounts: store.clone(),
            events: store.clone(),
            writer,
            vault: Arc::new(vault),
            clock: clock.clone(),
            ids: Arc::new(SeededIds::new(7)),
            address: address.map(str::to_owned),
            provider: provider(clock.clone()),
            proxies: vec![HOME],
        });
        let ledger = Self { identity: Arc::new(identity), store, clock };
        ledger.begin().await;
        ledger
    }

    /// What a ledger records first; only that makes `_ledger`.
    async fn begin(&self) {
        let event = KeyRegistered {
            key_id: "1a2b3c4d".parse().unwrap(),
            purpose: KeyPurpose::Log,
            verifier_key: "x".parse().unwrap(),
        };
        self.identity.begin_ledger(event.into()).await;
    }

    /// The types of the events in `_ledger`, and the streams' kinds, in order.
    pub(crate) async fn kinds(&self) -> Vec<String> {
        let rows = self.store.of_trial(&TrialId::ledger(), 1, 1_000).await.unwrap();
        rows.iter().map(|row| row.checked_header().unwrap().kind).collect()
    }

    pub(crate) fn wait_seconds(&self, seconds: i64) {
        self.clock.advance(seconds * 1_000_000);
    }
}

impl Identity {
    async fn begin_ledger(&self, event: Event) {
        let new = self.new_event(StreamId::ledger(), &event, &By::service()).await.unwrap();
        let append = trialseal_store::Append {
            command: [1; 32],
            digest: [1; 32],
            trial: TrialId::ledger(),
            new_trial: true,
            expected: vec![trialseal_store::Expected { stream: StreamId::ledger(), version: 0 }],
            natural_keys: Vec::new(),
            events: vec![new],
        };
        self.parts.writer.append(append).await.unwrap();
    }
}
