use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use trialseal_record::event::Event;
use trialseal_record::ids::{ImportId, ParticipantId, Scope, StreamId, TrialId};
use trialseal_runtime::ids::{Ids, SeededIds};
use trialseal_runtime::shutdown::Shutdown;
use trialseal_seal::data::{Secret, dataroot};
use trialseal_seal::time::Timestamp;
use trialseal_store::memory::MemoryStore;
use trialseal_store::{
    Append, EventRow, Events, LeafRow, LedgerHead, Models, NewEvent, Progress, Result, StoreError, Writer,
    WriterSettings, body, docs,
};
use trialseal_vault::memory::MemoryKeys;
use trialseal_vault::{MasterKeyFile, Vault};
use uuid::Uuid;

use super::*;

const ORIGIN: &str = "ledger.example.org/test";

/// A ledger in memory with a projector on it.
struct Given {
    store: Arc<MemoryStore>,
    vault: Arc<Vault>,
    writer: Writer,
    progress: Arc<Progress>,
    ids: SeededIds,
    _folder: tempfile::TempDir,
}

fn trial() -> TrialId {
    "DEMO-1".parse().unwrap()
}

fn participant(number: u128) -> ParticipantId {
    ParticipantId(Uuid::from_u128(number))
}

impl Given {
    async fn ledger() -> Self {
        let store = Arc::new(MemoryStore::new(ORIGIN));
        let folder = tempfile::tempdir().unwrap();
        let master = Arc::new(MasterKeyFile::open_or_create(&folder.path().join("master.key")).unwrap());
        let vault = Arc::new(Vault::open(ORIGIN, Arc::new(MemoryKeys::new()), master).await.unwrap());
        let progress = Arc::new(Progress::new());
        let time = AtomicI64::new(1_760_000_000_000_000);
        let clock = Arc::new(move || Timestamp::from_micros(time.fetch_add(1, Ordering::Relaxed)));
        let settings = WriterSettings::default();
        let (appends, events) = (Arc::clone(&store) as _, Arc::clone(&store) as _);
        let writer = Writer::spawn(appends, events, clock, Arc::clone(&progress), settings);
        Self { store, vault, writer, progress, ids: SeededIds::new(1), _folder: folder }
    }

    async fn event(&self, stream: StreamId, kind: &str, data: Value) -> NewEvent {
        let key = self.vault.key_of(&Scope::of(&trial(), stream)).await.unwrap();
        let mut secret = [0; 32];
        self.ids.fill(&mut secret);
        let (id, secret) = (self.ids.uuid_v7(0), Secret::from_bytes(secret));
        let schema_version = Event::KINDS.iter().find(|(known, _)| *known == kind).unwrap().1;
        NewEvent {
            stream,
            id,
            kind: kind.to_owned(),
            schema_version,
            dataroot: dataroot(&secret, &data).unwrap(),
            actor: "person-1".into(),
            actorrole: "investigator".into(),
            correlationid: None,
            causationid: None,
            extra: BTreeMap::new(),
            key: key.id(),
            body: body::seal(&key, &id.to_string(), &secret, &serde_json::to_vec(&data).unwrap()).unwrap(),
        }
    }

    async fn append(&self, events: Vec<NewEvent>) {
        let mut command = [0; 32];
        self.ids.fill(&mut command);
        let new_trial = self.store.trial_size(&trial()).await.unwrap().is_none();
        let append = Append {
            command,
            digest: command,
            trial: trial(),
            new_trial,
            expected: Vec::new(),
            natural_keys: Vec::new(),
            events,
        };
        self.writer.append(append).await.unwrap();
    }

    /// A trial with two participants: the first has a corrected value, the second `rows` imported rows.
    async fn record(&self, rows: usize) {
        let (own, first, second) = (StreamId::trial(&trial()), participant(1), participant(2));
        let (one, two) = (StreamId::participant(first), StreamId::participant(second));
        let place = json!({"visit": "V1", "form": "VS", "itemGroup": "IG"});
        let with = |more: Value| {
            let mut data = place.clone();
            data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            data
        };
        let recorded = with(json!({"items": [{"itemOid": "IT.SYSBP", "value": "120"}]}));
        let corrected =
            with(json!({"itemOid": "IT.SYSBP", "old": "120", "new": "130", "reason": "typing error"}));
        let registered = json!({"id": "DEMO-1", "title": "A trial", "sponsor": "Example Ltd"});
        self.append(vec![
            self.event(own, "trial.registered", registered).await,
            self.event(one, "participant.screened", json!({"subjectNumber": "01-001"})).await,
            self.event(one, "data.recorded", json!({"record": recorded})).await,
            self.event(two, "participant.screened", json!({"subjectNumber": "01-002"})).await,
        ])
        .await;
        let import = ImportId(Uuid::from_u128(3));
        let mut events = vec![self.event(one, "data.corrected", corrected).await];
        for row in 0..rows {
            let data = json!({"import": import, "dataset": "LB", "row": row, "record": {"LBSTRESN": "38.0"}});
            events.push(self.event(two, "data.imported", data).await);
        }
        while !events.is_empty() {
            let rest = events.split_off(events.len().min(700));
            self.append(std::mem::replace(&mut events, rest)).await;
        }
    }

    /// Rows of another file, of the first participant.
    async fn record_more(&self, rows: usize) {
        let (import, one) = (ImportId(self.ids.uuid_v7(1)), StreamId::participant(participant(1)));
        for row in 0..rows {
            let data = json!({"import": import, "dataset": "VS", "row": row, "record": {"VSSTRESN": "1.0"}});
            self.append(vec![self.event(one, "data.imported", data).await]).await;
        }
    }

    fn projector(&self) -> Projector {
        self.projector_over(Arc::clone(&self.store) as _)
    }

    fn projector_over(&self, events: Arc<dyn Events>) -> Projector {
        let (models, vault) = (Arc::clone(&self.store) as _, Arc::clone(&self.vault));
        Projector::new(ProjectorParts { events, models, vault, progress: Arc::clone(&self.progress) })
    }

    async fn catch_up(&self) -> Projector {
        let projector = self.projector();
        while projector.step().await.unwrap() {}
        projector
    }

    async fn generation(&self, model: Model) -> u32 {
        let rows = self.store.generations(model.name()).await.unwrap();
        rows.iter().find(|row| row.active).unwrap().generation
    }

    /// What readers find, by model and id.
    async fn readable(&self) -> BTreeMap<(&'static str, String), Value> {
        let mut found = BTreeMap::new();
        for model in Model::ALL {
            let generation = self.generation(model).await;
            let docs = self.store.list(model.name(), generation, &trial(), "", None, 10_000).await.unwrap();
            let overview =
                self.store.docs(model.name(), generation, &[(trial(), String::new())]).await.unwrap();
            for doc in docs.into_iter().chain(overview.into_iter().flatten()) {
                if let Some(json) = docs::open(&self.vault, model.name(), &doc).await.unwrap() {
                    found.insert((model.name(), doc.id), serde_json::from_slice(&json).unwrap());
                }
            }
        }
        found
    }

    async fn destroy_key_of(&self, whose: ParticipantId) {
        assert!(self.vault.destroy(&Scope::Participant(trial(), whose)).await.unwrap());
    }
}

#[tokio::test]
async fn the_record_is_folded_into_every_model() {
    let given = Given::ledger().await;
    given.record(2_500).await;
    let projector = given.catch_up().await;
    let found = given.readable().await;

    let overview = &found[&("overview", String::new())];
    assert_eq!((&overview["title"], &overview["counts"]["events"]), (&json!("A trial"), &json!(2_505)));
    let second = &found[&("participants", participant(2).to_string())];
    assert_eq!((&second["subjectNumber"], &second["dataRecords"]), (&json!("01-002"), &json!(2_500)));
    let of = |model: &str| found.iter().filter(|((name, _), _)| *name == model).count();
    assert_eq!((of("timeline"), of("data")), (2_504, 2_501));
    let corrected = found.iter().find(|((name, id), _)| *name == "data" && id.contains("/form/")).unwrap().1;
    let value = &corrected["values"]["IT.SYSBP"];
    assert_eq!((&value["value"], &value["history"][0]["value"]), (&json!("130"), &json!("120")));
    for status in projector.status().values() {
        assert_eq!(status, &ModelStatus { position: 2_505, lag_events: 0, error: None });
    }
}

#[tokio::test]
async fn ids_of_documents_tell_nothing_of_what_is_in_them() {
    let given = Given::ledger().await;
    given.record(1).await;
    given.catch_up().await;
    let generation = given.generation(Model::Data).await;
    for doc in given.store.list("data", generation, &trial(), "", None, 10).await.unwrap() {
        assert!(!["V1", "VS", "IG", "01-00"].iter().any(|said| doc.id.contains(said)), "{}", doc.id);
        assert!(!String::from_utf8_lossy(&doc.body).contains("IT.SYSBP"));
    }
}

#[tokio::test]
async fn a_rebuilt_model_is_equal_and_in_use() {
    let given = Given::ledger().await;
    given.record(1_200).await;
    let projector = given.catch_up().await;
    let before = given.readable().await;
    for model in Model::ALL {
        let old = given.generation(model).await;
        projector.rebuild(&[model]).await.unwrap();
        assert_eq!(given.generation(model).await, old + 1);
        assert_eq!(given.store.generations(model.name()).await.unwrap().len(), 1);
    }
    assert_eq!(given.readable().await, before);
    given
        .append(vec![
            given
                .event(
                    StreamId::participant(participant(1)),
                    "participant.enrolled",
                    json!({"enrolledOn": "2026-01-01"}),
                )
                .await,
        ])
        .await;
    while projector.step().await.unwrap() {}
    assert_eq!(given.readable().await[&("overview", String::new())]["counts"]["enrolled"], json!(1));
}

#[tokio::test]
async fn a_rebuild_begins_anew_where_another_was_left() {
    let given = Given::ledger().await;
    given.record(40).await;
    let projector = given.catch_up().await;
    let before = given.readable().await;
    // As a rebuild by other software leaves it that is killed in the middle.
    let left = given.store.new_generation("data").await.unwrap();
    let mut tx = given.store.begin_model("data", left, 0).await.unwrap();
    let key = given.vault.key_of(&Scope::Trial(trial())).await.unwrap();
    tx.put(&[docs::seal(&key, "data", &trial(), "_/file/x", b"{}").unwrap()]).await.unwrap();
    tx.commit(7).await.unwrap();
    assert_eq!(given.readable().await, before);

    projector.rebuild(&Model::ALL).await.unwrap();
    assert_eq!(given.readable().await, before);
    for model in Model::ALL {
        assert_eq!(given.store.generations(model.name()).await.unwrap().len(), 1);
    }
    let gone = given.store.begin_model("data", left, 7).await.err();
    assert!(matches!(gone, Some(StoreError::Overtaken(_))), "what was left is still there");
}

#[tokio::test]
async fn a_rebuild_waits_for_what_readers_have_seen() {
    let given = Given::ledger().await;
    given.record(10).await;
    let projector = Arc::new(given.projector());
    let readers_position = async || {
        let rows = given.store.generations("data").await.unwrap();
        rows.iter().find(|row| row.active).map_or(0, |row| row.position)
    };
    let mut seen = 0;
    for _ in 0..5 {
        let rebuild = tokio::spawn({
            let projector = Arc::clone(&projector);
            async move { projector.rebuild(&Model::ALL).await }
        });
        for _ in 0..30 {
            given.record_more(1).await;
            projector.step().await.unwrap();
            let position = readers_position().await;
            assert!(position >= seen, "readers are taken back from {seen} to {position}");
            seen = position;
        }
        rebuild.await.unwrap().unwrap();
    }
    while projector.step().await.unwrap() {}
    assert_eq!(readers_position().await, given.store.head().await.unwrap().position);
}

#[tokio::test]
async fn what_is_destroyed_is_gone_from_the_models_and_stays_gone() {
    let given = Given::ledger().await;
    given.record(3).await;
    let projector = given.catch_up().await;
    let before = given.readable().await;
    given.destroy_key_of(participant(2)).await;
    let after = given.readable().await;
    let gone: BTreeSet<_> =
        before.keys().filter(|key| !after.contains_key(*key)).map(|(model, _)| *model).collect();
    assert_eq!(gone, BTreeSet::from(["data", "participants", "timeline"]));
    assert!(after.iter().all(|(key, document)| before[key] == *document));
    projector.rebuild(&Model::ALL).await.unwrap();
    assert_eq!(given.readable().await, after);
}

/// A record in which one event has a flipped byte.
struct Flipped(Arc<MemoryStore>, u64);

#[async_trait]
impl Events for Flipped {
    fn origin(&self) -> &str {
        self.0.origin()
    }
    async fn head(&self) -> Result<LedgerHead> {
        self.0.head().await
    }
    async fn trial_size(&self, trial: &TrialId) -> Result<Option<u64>> {
        self.0.trial_size(trial).await
    }
    async fn trials(&self, after: Option<&TrialId>, limit: u32) -> Result<Vec<(TrialId, u64)>> {
        self.0.trials(after, limit).await
    }
    async fn since_position(&self, from: u64, limit: u32) -> Result<Vec<EventRow>> {
        let mut rows = self.0.since_position(from, limit).await?;
        rows.iter_mut().filter(|row| row.position == self.1).for_each(|row| row.body[20] ^= 1);
        Ok(rows)
    }
    async fn of_trial(&self, trial: &TrialId, from: u64, limit: u32) -> Result<Vec<EventRow>> {
        self.0.of_trial(trial, from, limit).await
    }
    async fn of_stream(
        &self,
        trial: &TrialId,
        stream: &StreamId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<EventRow>> {
        self.0.of_stream(trial, stream, from, limit).await
    }
    async fn leaves_from_position(&self, from: u64, limit: u32) -> Result<Vec<LeafRow>> {
        self.0.leaves_from_position(from, limit).await
    }
    async fn leaves_of_trial(
        &self,
        trial: &TrialId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<trialseal_seal::hash::Hash>> {
        self.0.leaves_of_trial(trial, from, limit).await
    }
    async fn stream_of(&self, trial: &TrialId, key: &[u8; 32]) -> Result<Option<StreamId>> {
        self.0.stream_of(trial, key).await
    }
}

#[tokio::test]
async fn a_damaged_event_is_named_and_never_skipped() {
    let given = Given::ledger().await;
    given.record(3).await;
    let projector = given.projector_over(Arc::new(Flipped(Arc::clone(&given.store), 2)));
    for _ in 0..2 {
        let error = projector.step().await.unwrap_err().to_string();
        assert!(error.contains("event 2 of trial DEMO-1"), "{error}");
    }
    assert!(projector.status()["overview"].error.as_ref().unwrap().contains("event 2"));
    assert_eq!(given.store.generations("overview").await.unwrap()[0].position, 0);
}

#[tokio::test]
async fn it_keeps_up_until_it_is_asked_to_end() {
    let given = Given::ledger().await;
    let projector = Arc::new(given.projector());
    let shutdown = Shutdown::new();
    let running = tokio::spawn({
        let (projector, shutdown) = (Arc::clone(&projector), shutdown.clone());
        async move { projector.run(shutdown).await }
    });
    given.record(10).await;
    let caught_up = async {
        while projector.status().get("data").is_none_or(|status| status.position < 15) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), caught_up).await.unwrap();
    shutdown.request();
    tokio::time::timeout(Duration::from_secs(20), running).await.unwrap().unwrap();
}
