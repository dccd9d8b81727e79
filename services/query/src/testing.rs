//! A ledger in memory for the tests: appended to through the writer, sealed by hand, so that a test says what a seal covers.

mod ports;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderMap;
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::Data;
use async_trait::async_trait;
use serde_json::{Value, json};
use trialseal_access::http::{Holders, Unavailable, authenticate, holders};
use trialseal_access::{Principal, Token};
use trialseal_record::event::Event;
use trialseal_record::ids::{ParticipantId, Scope, StreamId, TrialId};
use trialseal_record::{Role, view};
use trialseal_runtime::clock::{Clock as _, ManualClock};
use trialseal_runtime::http::{Methods, configure, head_as_get, only_problems};
use trialseal_runtime::ids::{Ids, SeededIds};
use trialseal_runtime::request_log::RequestLog;
use trialseal_runtime::shutdown::Shutdown;
use trialseal_seal::checkpoint::Checkpoint;
use trialseal_seal::data::{Secret, dataroot};
use trialseal_seal::dataset::{ExportKey, ExportSigner};
use trialseal_seal::hash::{Hash, Sha2, Sha3, sha256};
use trialseal_seal::map::{Head, TrialMap};
use trialseal_seal::note::{KeyKind, Signer};
use trialseal_seal::policy::Policy;
use trialseal_seal::seal::Seal;
use trialseal_seal::time::Timestamp;
use trialseal_seal::tree::Frontier;
use trialseal_seal::trust::Trust;
use trialseal_store::access_log::AccessLog;
use trialseal_store::faults::{Fate, Faults, FaultyKeys};
use trialseal_store::memory::MemoryStore;
use trialseal_store::{
    Append, Events as _, Models as _, NewEvent, NodeRow, Progress, SealRow, SealWrite, SealedHead,
    Seals as _, TreeName, Writer, WriterSettings, body, docs,
};
use trialseal_vault::memory::MemoryKeys;
use trialseal_vault::{MasterKeyFile, Vault};
use utoipa_actix_web::AppExt as _;
use uuid::Uuid;

pub(crate) use self::ports::{Counted, Short};
use crate::{ApiDescription, PAGES, Query, QueryParts, routes};

pub(crate) const ORIGIN: &str = "ledger.example.org/test";
/// 2026-01-01T00:00:00Z
const START: i64 = 1_767_225_600_000_000;

pub(crate) struct Ledger {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) shutdown: Shutdown,
    pub(crate) folder: tempfile::TempDir,
    asked_by: Arc<AskedBy>,
    /// Has keys at hand that `vault` has not yet seen.
    recorder: Vault,
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

/// The thread that asked for a key by its id last. Nothing fails.
#[derive(Default)]
struct AskedBy(Mutex<Option<ThreadId>>);

impl Faults for AskedBy {
    fn fate(&self, call: &'static str) -> Fate {
        if call == "data_key" {
            *self.0.lock().unwrap() = Some(thread::current().id());
        }
        Fate::Done
    }
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
        let asked_by = Arc::new(AskedBy::default());
        let keys = Arc::new(FaultyKeys::new(Arc::new(MemoryKeys::new()), Arc::clone(&asked_by) as _));
        let open = || Vault::open(ORIGIN, Arc::clone(&keys) as _, Arc::clone(&master) as _);
        let (vault, recorder) = (Arc::new(open().await.unwrap()), open().await.unwrap());
        let progress = Arc::new(Progress::new());
        let clock = Arc::new(ManualClock::new(START));
        let time = Arc::clone(&clock);
        let now = Arc::new(move || Timestamp::from_micros(time.advance(1)));
        let (appends, events) = (Arc::clone(&store) as _, Arc::clone(&store) as _);
        let writer = Writer::spawn(appends, events, now, Arc::clone(&progress), WriterSettings::default());
        let signer = Signer::new(ORIGIN, KeyKind::Ed25519, &[7; 32]).unwrap();
        let (shutdown, ids, trees) = (Shutdown::new(), Arc::new(SeededIds::new(1)), Mutex::default());
        Self {
            store,
            vault,
            clock,
            progress,
            shutdown,
            folder,
            asked_by,
            recorder,
            writer,
            ids,
            signer,
            trees,
        }
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy::parse(&self.policy_text()).unwrap()
    }

    pub(crate) fn policy_text(&self) -> String {
        Policy::text_for_log(&self.signer.verifier_key())
    }

    fn export_key() -> ExportKey {
        ExportSigner::new(ORIGIN, &[8; 32]).unwrap().export_key()
    }

    pub(crate) fn query(&self) -> Query {
        self.query_under(self.policy_text())
    }

    pub(crate) fn query_under(&self, policy: String) -> Query {
        let trust = Trust::new(&policy, Vec::new()).unwrap();
        Query::new(QueryParts { policy, trust, ..self.parts() })
    }

    pub(crate) fn parts(&self) -> QueryParts {
        QueryParts {
            events: Arc::clone(&self.store) as _,
            streams: Arc::clone(&self.store) as _,
            seals: Arc::clone(&self.store) as _,
            models: Arc::clone(&self.store) as _,
            vault: Arc::clone(&self.vault),
            access_log: self.access_log(),
            clock: Arc::clone(&self.clock) as _,
            progress: Arc::clone(&self.progress),
            shutdown: self.shutdown.clone(),
            policy: self.policy_text(),
            trust: Trust::new(&self.policy_text(), vec![Self::export_key()]).unwrap(),
            log: self.folder.path().join("log"),
            heartbeat: Duration::from_mins(1),
            public_trials: vec!["PUBLIC-1".parse().unwrap()],
        }
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

    /// The thread that opens the data of events when they are read for the first time.
    pub(crate) async fn thread_of(&self, read: impl Future) -> Option<ThreadId> {
        read.await;
        *self.asked_by.0.lock().unwrap()
    }

    /// Records one event.
    pub(crate) async fn record(&self, trial: &str, stream: StreamId, kind: &str, data: Value) {
        let trial: TrialId = trial.parse().unwrap();
        let key = self.recorder.key_of(&Scope::of(&trial, stream)).await.unwrap();
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

    /// Records many events without readable data.
    pub(crate) async fn fill(&self, id: &str, count: u64) {
        let stream = StreamId::trial(&trial(id));
        let mut left = count;
        while left > 0 {
            let batch = left.min(2_000);
            let make = |_| {
                event(stream, self.ids.uuid_v7(START), "results.submitted", Hash::ZERO, Uuid::nil(), vec![0])
            };
            self.append(trial(id), (0..batch).map(make).collect()).await;
            left -= batch;
        }
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

    /// Puts a document into a read model, under the key of a scope.
    pub(crate) async fn document<V: view::View>(&self, scope: &Scope, id: &str, document: &V) {
        if self.store.generations(V::MODEL).await.unwrap().is_empty() {
            self.store.new_generation(V::MODEL).await.unwrap();
        }
        let model = self.store.generations(V::MODEL).await.unwrap().pop().unwrap();
        let key = self.vault.key_of(scope).await.unwrap();
        let json = serde_json::to_vec(document).unwrap();
        let doc = docs::seal(&key, V::MODEL, scope.trial(), id, &json).unwrap();
        let mut tx = self.store.begin_model(V::MODEL, model.generation, model.position).await.unwrap();
        tx.put(&[doc]).await.unwrap();
        tx.commit(model.position + 1).await.unwrap();
    }

    /// Asks the API.
    pub(crate) async fn ask(&self, request: TestRequest) -> Answer {
        ask(self.parts(), request).await
    }

    pub(crate) async fn get(&self, role: Role, uri: &str) -> Answer {
        self.ask(as_role(role, uri)).await
    }
}

/// Asks the API of these parts.
pub(crate) async fn ask(parts: QueryParts, request: TestRequest) -> Answer {
    let app = init_service(app(Query::new(parts))).await;
    let response = call_service(&app, request.to_request()).await;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, body: read_body(response).await.to_vec() }
}

/// The app with every route and page.
pub(crate) fn app(
    query: Query,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let (app, api) = App::new().into_utoipa_app().configure(routes).split_for_parts();
    app.configure(|app| configure(app, 1 << 20))
        .app_data(Data::new(Methods::of(&api).and(PAGES)))
        .app_data(Data::new(ApiDescription(serde_json::to_value(&api).unwrap())))
        .app_data(Data::new(query))
        .app_data(holders(Arc::new(Roles)))
        .wrap(from_fn(authenticate))
        .wrap(from_fn(only_problems))
        .wrap(from_fn(head_as_get))
        .wrap(RequestLog::new(Arc::new(ManualClock::new(START)), Arc::new(SeededIds::new(3))))
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

/// One token a role, each another person's: a monitor and an administrator reach every trial, the others `DEMO-1`.
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
            actor: format!("person-{role}"),
            role,
            organisation: "Example Ltd".into(),
            source_system: None,
            trials: if matches!(role, Role::Monitor | Role::Admin) {
                None
            } else {
                Some(vec![trial("DEMO-1")])
            },
            participant: (role == Role::Participant).then(|| participant(1)),
        }))
    }

    async fn session(&self, hash: &[u8; 32]) -> Result<Option<Principal>, Unavailable> {
        self.holder(hash).await
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
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
