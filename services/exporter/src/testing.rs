//! A ledger in memory for the tests: appended to through the writer, sealed by hand, so that a test says what a seal covers.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use actix_web::App;
use actix_web::dev::ServiceResponse;
use actix_web::http::header::HeaderMap;
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::Data;
use async_trait::async_trait;
use serde_json::{Value, json};
use trialseal_access::http::{Holders, Unavailable, authenticate, holders};
use trialseal_access::{Principal, Token};
use trialseal_record::Role;
use trialseal_record::event::Event;
use trialseal_record::ids::{ParticipantId, Scope, StreamId, TrialId};
use trialseal_runtime::clock::{Clock, ManualClock};
use trialseal_runtime::ids::{Ids, SeededIds};
use trialseal_runtime::request_log::RequestLog;
use trialseal_seal::checkpoint::Checkpoint;
use trialseal_seal::data::{Secret, dataroot};
use trialseal_seal::dataset::ExportSigner;
use trialseal_seal::hash::{Hash, Sha2, Sha3, sha256};
use trialseal_seal::map::{Head, TrialMap};
use trialseal_seal::note::{KeyKind, Signer};
use trialseal_seal::policy::Policy;
use trialseal_seal::seal::Seal;
use trialseal_seal::time::Timestamp;
use trialseal_seal::tree::Frontier;
use trialseal_store::access_log::AccessLog;
use trialseal_store::memory::MemoryStore;
use trialseal_store::{
    Append, Events, NewEvent, NodeRow, Progress, SealRow, SealWrite, SealedHead, Seals as _, TreeName,
    Writer, WriterSettings, body,
};
use trialseal_vault::memory::MemoryKeys;
use trialseal_vault::{MasterKeyFile, Vault};
use utoipa_actix_web::AppExt as _;
use uuid::Uuid;

use crate::begin::{Order, Wanted};
use crate::{Exporter, ExporterParts, Shown, routes};

pub(crate) const ORIGIN: &str = "ledger.example.org/test";
/// 2026-01-01T00:00:00Z
pub(crate) const START: i64 = 1_767_225_600_000_000;

pub(crate) struct Ledger {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) folder: tempfile::TempDir,
    writer: Writer,
    ids: Arc<SeededIds>,
    signer: Signer,
    trees: Mutex<Trees>,
}

#[derive(Default)]
struct Trees {
    trials: HashMap<TrialId, Frontier<Sha3>>,
    map: TrialMap,
    log: Frontier<Sha2>,
    taken: u64,
}

pub(crate) fn trial(id: &str) -> TrialId {
    id.parse().unwrap()
}

pub(crate) fn participant(number: u128) -> ParticipantId {
    ParticipantId(Uuid::from_u128(number))
}

impl Ledger {
    pub(crate) async fn new() -> Self {
        let store = Arc::new(MemoryStore::new(ORIGIN));
        let folder = tempfile::tempdir().unwrap();
        let master = Arc::new(MasterKeyFile::open_or_create(&folder.path().join("master.key")).unwrap());
        let vault = Arc::new(Vault::open(ORIGIN, Arc::new(MemoryKeys::new()), master).await.unwrap());
        let progress = Arc::new(Progress::new());
        let clock = Arc::new(ManualClock::new(START));
        let time = Arc::clone(&clock);
        let now = Arc::new(move || Timestamp::from_micros(time.advance(1)));
        let (appends, events) = (Arc::clone(&store) as _, Arc::clone(&store) as _);
        let writer = Writer::spawn(appends, events, now, progress, WriterSettings::default());
        let signer = Signer::new(ORIGIN, KeyKind::Ed25519, &[7; 32]).unwrap();
        let (ids, trees) = (Arc::new(SeededIds::new(1)), Mutex::default());
        Self { store, vault, clock, folder, writer, ids, signer, trees }
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy::parse(&self.policy_text()).unwrap()
    }

    pub(crate) fn policy_text(&self) -> String {
        Policy::text_for_log(&self.signer.verifier_key())
    }

    pub(crate) fn exporter(&self) -> Exporter {
        self.exporter_over(Arc::clone(&self.store) as _)
    }

    /// An exporter that reads the events from elsewhere.
    pub(crate) fn exporter_over(&self, events: Arc<dyn Events>) -> Exporter {
        self.exporter_of(events, Arc::clone(&self.clock) as _)
    }

    /// An exporter that reads events and time from elsewhere.
    pub(crate) fn exporter_of(&self, events: Arc<dyn Events>, clock: Arc<dyn Clock>) -> Exporter {
        Exporter::new(ExporterParts {
            events,
            seals: Arc::clone(&self.store) as _,
            jobs: Arc::clone(&self.store) as _,
            vault: Arc::clone(&self.vault),
            access_log: self.access_log(),
            clock,
            ids: Arc::clone(&self.ids) as _,
            signers: vec![ExportSigner::new(ORIGIN, &[9; 32]).unwrap()],
            policy: self.policy_text(),
            folder: self.folder.path().join("exports"),
            jobs_at_once: 2,
        })
    }

    fn access_log(&self) -> AccessLog {
        let (time, ids) = (Arc::clone(&self.clock), Arc::clone(&self.ids));
        AccessLog::new(
            self.writer.clone(),
            Arc::clone(&self.vault),
            Arc::new(move || Timestamp::from_micros(time.now())),
            Arc::new(move |bytes| ids.fill(bytes)),
        )
    }

    /// Begins an export of `DEMO-1` with all values, and gives its id.
    pub(crate) async fn begin_with(&self, exporter: &Exporter) -> Uuid {
        let monitor = Roles.holder(&token(Role::Monitor).hash()).await.unwrap().unwrap();
        exporter.begin(order(&monitor.actor, Shown::All, None)).await.unwrap().status.id
    }

    /// Records one event.
    pub(crate) async fn record(&self, trial: &str, stream: StreamId, kind: &str, data: Value) {
        let trial: TrialId = trial.parse().unwrap();
        let key = self.vault.key_of(&Scope::of(&trial, stream)).await.unwrap();
        let mut secret = [0; 32];
        self.ids.fill(&mut secret);
        let (id, secret) = (self.ids.uuid_v7(START), Secret::from_bytes(secret));
        let body = body::seal(&key, &id.to_string(), &secret, &serde_json::to_vec(&data).unwrap()).unwrap();
        let root = dataroot(&secret, &data).unwrap();
        self.append(trial, vec![event(stream, id, kind, root, key.id(), body)]).await;
    }

    /// Records the trial's registration, which makes the trial.
    pub(crate) async fn register(&self, id: &str, title: &str) {
        let data = json!({"id": id, "title": title, "sponsor": "Example Ltd"});
        self.record(id, StreamId::trial(&trial(id)), "trial.registered", data).await;
    }

    /// Records a participant's screening.
    pub(crate) async fn screen(&self, id: &str, number: u128) {
        let data = json!({"subjectNumber": format!("01-{number:03}"), "screenedOn": "2026-01-02"});
        self.record(id, StreamId::participant(participant(number)), "participant.screened", data).await;
    }

    async fn append(&self, trial: TrialId, events: Vec<NewEvent>) {
        let mut command = [0; 32];
        self.ids.fill(&mut command);
        let new_trial = self.store.trial_size(&trial).await.unwrap().is_none();
        let (expected, natural_keys) = (Vec::new(), Vec::new());
        let append = Append { command, digest: command, trial, new_trial, expected, natural_keys, events };
        self.writer.append(append).await.unwrap();
    }

    /// Seals all that is recorded, and publishes.
    pub(crate) async fn seal(&self) {
        self.cut(u64::MAX).await;
        self.publish().await;
    }

    /// Records a seal over the events before ledger position `until`.
    pub(crate) async fn cut(&self, until: u64) {
        let mut tx = self.store.begin_seal().await.unwrap();
        let head = tx.head();
        let until = until.min(head.position);
        let prior = self.store.newest_note().await.unwrap().map_or(Hash::ZERO, |(_, note)| sha256(&note));
        let taken = self.trees.lock().unwrap().taken;
        let leaves = tx.leaves_from_position(taken, u32::try_from(until - taken).unwrap()).await.unwrap();
        let write = {
            let mut trees = self.trees.lock().unwrap();
            let mut nodes = Vec::new();
            let mut grown = BTreeMap::new();
            for row in leaves {
                let tree = trees.trials.entry(row.trial.clone()).or_default();
                tree.push_with(row.leaf, |node, hash| {
                    if node.level > 0 {
                        let tree = TreeName::Trial(row.trial.clone());
                        nodes.push(NodeRow { tree, level: node.level, index: node.index, hash });
                    }
                });
                grown.insert(row.trial.clone(), (tree.size(), tree.root()));
            }
            let number = trees.log.size();
            let heads: Vec<_> = grown
                .into_iter()
                .map(|(trial, (size, root))| SealedHead { trial, seal: number, size, root })
                .collect();
            for head in &heads {
                trees.map.set(&Head { trial: head.trial.to_string(), size: head.size, root: head.root });
            }
            let time = Timestamp::from_micros(self.clock.advance(1)).max(head.time);
            let (root, trials) = (trees.map.root(), trees.map.len() as u64);
            let seal = Seal { ledger: ORIGIN.into(), seal: number, time, events: until, trials, root, prior };
            let (entry, leaf) = (seal.entry(), seal.leaf());
            trees.log.push_with(leaf, |node, hash| {
                if node.level > 0 {
                    nodes.push(NodeRow { tree: TreeName::Log, level: node.level, index: node.index, hash });
                }
            });
            trees.taken = until;
            SealWrite { seal: SealRow { number, entry, leaf, sealed: until, time }, heads, nodes }
        };
        tx.write(&write).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Signs and publishes the checkpoint over the recorded seals. Sizes in between get theirs only if they are published
    /// one by one.
    pub(crate) async fn publish(&self) {
        let (size, root) = {
            let trees = self.trees.lock().unwrap();
            (trees.log.size(), trees.log.root())
        };
        let note = Checkpoint { origin: ORIGIN.into(), size, root }.sign(&self.signer).unwrap().encode();
        self.store.put_note(size, note.as_bytes()).await.unwrap();
    }

    pub(crate) async fn destroy_key_of(&self, id: &str, number: u128) {
        let scope = Scope::Participant(trial(id), participant(number));
        assert!(self.vault.destroy(&scope).await.unwrap());
    }

    /// Asks the API.
    pub(crate) async fn ask(&self, request: TestRequest) -> Answer {
        Answer::read(respond(&self.exporter(), request).await).await
    }

    pub(crate) async fn get(&self, role: Role, uri: &str) -> Answer {
        self.ask(as_role(role, uri)).await
    }
}

/// What the API of an exporter begins to answer.
pub(crate) async fn respond(exporter: &Exporter, request: TestRequest) -> ServiceResponse {
    let (app, _) = App::new().into_utoipa_app().configure(routes).split_for_parts();
    let app = app
        .app_data(Data::new(exporter.clone()))
        .app_data(holders(Arc::new(Roles)))
        .wrap(from_fn(authenticate))
        .wrap(RequestLog::new(Arc::new(ManualClock::new(START)), Arc::new(SeededIds::new(3))));
    let app = init_service(app).await;
    call_service(&app, request.to_request()).await.map_into_boxed_body()
}

/// What somebody asks for of `DEMO-1`.
pub(crate) fn order(actor: &str, shown: Shown, key: Option<&str>) -> Order {
    let wanted = Wanted { purpose: None, tables: true };
    Order { actor: actor.into(), trial: trial("DEMO-1"), shown, wanted, key: key.map(str::to_owned) }
}

fn event(stream: StreamId, id: Uuid, kind: &str, dataroot: Hash, key: Uuid, body: Vec<u8>) -> NewEvent {
    let schema_version = Event::KINDS.iter().find(|(known, _)| *known == kind).unwrap().1;
    NewEvent {
        stream,
        id,
        kind: kind.to_owned(),
        schema_version,
        dataroot,
        actor: "person-1".into(),
        actorrole: "investigator".into(),
        correlationid: None,
        causationid: None,
        extra: BTreeMap::new(),
        key,
        body,
    }
}

/// One token a role: a monitor and an administrator reach every trial, the others `DEMO-1`.
struct Roles;

pub(crate) fn token(role: Role) -> Token {
    Token::generate(&[role as u8 + 1; 32])
}

pub(crate) fn as_role(role: Role, uri: &str) -> TestRequest {
    TestRequest::get().uri(uri).insert_header(("authorization", format!("Bearer {}", token(role).reveal())))
}

#[async_trait]
impl Holders for Roles {
    async fn holder(&self, hash: &[u8; 32]) -> Result<Option<Principal>, Unavailable> {
        let role = Role::ALL.into_iter().find(|role| token(*role).hash() == *hash);
        Ok(role.map(|role| Principal {
            actor: "person-1".into(),
            role,
            organisation: "Example Ltd".into(),
            source_system: None,
            trials: if matches!(role, Role::Monitor | Role::Admin) {
                None
            } else {
                Some(vec![trial("DEMO-1")])
            },
            participant: None,
        }))
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) async fn read(response: ServiceResponse) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: read_body(response).await.to_vec() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The kind of problem, by the last part of its type.
    pub(crate) fn problem(&self) -> (u16, String) {
        let problem = self.json();
        (self.status, problem["type"].as_str().unwrap().rsplit(':').next().unwrap().to_owned())
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }
}
