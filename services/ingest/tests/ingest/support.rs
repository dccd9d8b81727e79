//! A ledger in memory with the routes of ingest over it, and a way to send requests to them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::Service as _;
use actix_web::http::Method;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, HttpMessage as _, web};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use trialseal_access::Principal;
use trialseal_ingest::{Ingest, IngestParts, Limits};
use trialseal_record::ids::{ParticipantId, TrialId};
use trialseal_record::{Event, Role};
use trialseal_runtime::clock::{Clock, ManualClock};
use trialseal_runtime::ids::{Ids, SeededIds, SystemIds};
use trialseal_runtime::request_log::RequestLog;
use trialseal_runtime::settings::ImportLimits;
use trialseal_seal::time::Timestamp;
use trialseal_store::body::{self, Body};
use trialseal_store::memory::MemoryStore;
use trialseal_store::{Appends, EventRow, Events as _, Progress, Writer, WriterSettings};
use trialseal_vault::memory::MemoryKeys;
use trialseal_vault::{MasterKeyFile, Vault};
use utoipa_actix_web::AppExt as _;

/// 2026-06-15T12:00:00Z.
pub(crate) const NOW_MICROS: i64 = 1_781_524_800_000_000;
pub(crate) const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

pub(crate) struct World {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) folder: Arc<TempDir>,
    /// Whom erasing is told of.
    pub(crate) approved: Mutex<UnboundedReceiver<(TrialId, ParticipantId)>>,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) replayed: bool,
    pub(crate) content_type: String,
    pub(crate) location: Option<String>,
}

impl Answer {
    pub(crate) fn problem(&self) -> &str {
        assert_eq!(self.content_type, "application/problem+json", "{self:?}");
        self.body["type"].as_str().unwrap().strip_prefix("urn:trialseal:problem:").unwrap()
    }

    pub(crate) fn rule(&self) -> &str {
        self.body["rule"].as_str().unwrap_or_else(|| panic!("no rule: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn recorded(self) -> Value {
        assert_eq!(self.status, 201, "{}", self.body);
        self.body
    }
}

pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) who: Option<Principal>,
    pub(crate) key: Option<&'a str>,
    pub(crate) content_type: &'a str,
    pub(crate) signature: Option<&'a str>,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn principal(role: Role) -> Principal {
    Principal {
        actor: format!("person-{role}"),
        role,
        organisation: "ORG".into(),
        source_system: Some("EDC 4.2".into()),
        trials: None,
        participant: None,
    }
}

pub(crate) fn limits() -> Limits {
    Limits {
        body_bytes: 64 << 10,
        imports: ImportLimits { file_bytes: 64 << 20, spool_bytes: 128 << 20, jobs: 2 },
        wait_sealed: Duration::from_millis(50),
        witnesses: true,
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let store = Arc::new(MemoryStore::new("ledger.example.org/test"));
        let master = MasterKeyFile::open_or_create(&folder.path().join("master.key")).unwrap();
        let keys = Arc::new(MemoryKeys::new());
        let vault = Arc::new(Vault::open("ledger.example.org/test", keys, Arc::new(master)).await.unwrap());
        Self::over(store, vault, folder, Arc::new(SeededIds::new(1)), None)
    }

    /// A process over a store that is there; `appends` stands between its writer and the store.
    pub(crate) fn over(
        store: Arc<MemoryStore>,
        vault: Arc<Vault>,
        folder: Arc<TempDir>,
        ids: Arc<dyn Ids>,
        appends: Option<Arc<dyn Appends>>,
    ) -> Self {
        let clock = Arc::new(ManualClock::new(NOW_MICROS));
        let progress = Arc::new(Progress::new());
        let now = Arc::clone(&clock);
        let writer = Writer::spawn(
            appends.unwrap_or_else(|| store.clone()),
            store.clone(),
            Arc::new(move || Timestamp::from_micros(now.now())),
            Arc::clone(&progress),
            WriterSettings::default(),
        );
        let (erasures, approved) = mpsc::unbounded_channel();
        let ingest = Arc::new(Ingest::new(IngestParts {
            writer,
            events: store.clone(),
            appends: store.clone(),
            jobs: store.clone(),
            vault: Arc::clone(&vault),
            clock: clock.clone(),
            ids,
            progress: Arc::clone(&progress),
            erasures,
            spool: folder.path().join("spool"),
            limits: limits(),
        }));
        Self { store, vault, clock, progress, approved: Mutex::new(approved), ingest, folder }
    }

    /// Another process over the same store.
    pub(crate) fn beside(&self) -> Self {
        let ids = Arc::new(SystemIds);
        Self::over(self.store.clone(), self.vault.clone(), self.folder.clone(), ids, None)
    }

    pub(crate) async fn send(&self, request: Request<'_>) -> Answer {
        let who = request.who;
        let ids = Arc::new(SystemIds);
        let app = App::new()
            .configure(|app| trialseal_runtime::http::configure(app, 1 << 20))
            .into_utoipa_app()
            .app_data(web::Data::from(Arc::clone(&self.ingest)))
            .configure(trialseal_ingest::routes)
            .into_app()
            .wrap_fn(move |request, next| {
                if let Some(who) = &who {
                    request.extensions_mut().insert(who.clone());
                }
                next.call(request)
            })
            .wrap(RequestLog::new(self.clock.clone(), ids));
        let app = init_service(app).await;
        let mut sent = TestRequest::default().method(request.method).uri(request.path);
        if let Some(key) = request.key {
            sent = sent.insert_header(("Idempotency-Key", key));
        }
        if let Some(signature) = request.signature {
            sent = sent.insert_header(("Submission-Signature", signature));
        }
        sent = sent.insert_header(("Content-Type", request.content_type)).set_payload(request.body);
        let answer = call_service(&app, sent.to_request()).await;
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (replayed, location) = (header("idempotent-replayed").is_some(), header("location"));
        let content_type = header("content-type").unwrap_or_default();
        let status = answer.status().as_u16();
        let body = serde_json::from_slice(&read_body(answer).await).unwrap_or(Value::Null);
        Answer { status, body, replayed, content_type, location }
    }

    pub(crate) async fn post(&self, role: Role, path: &str, key: &str, body: Value) -> Answer {
        self.post_text(role, path, key, body.to_string()).await
    }

    pub(crate) async fn post_text(
        &self,
        role: Role,
        path: &str,
        key: &str,
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let (who, key) = (Some(principal(role)), Some(key));
        let (content_type, signature, body) = ("application/json", None, body.into());
        self.send(Request { method: Method::POST, path, who, key, content_type, signature, body }).await
    }

    pub(crate) async fn get(&self, role: Role, path: &str) -> Answer {
        let who = Some(principal(role));
        let (key, content_type, signature, body) = (None, "", None, vec![]);
        self.send(Request { method: Method::GET, path, who, key, content_type, signature, body }).await
    }

    /// Registers DEMO-1 and brings it as far as a site that may screen. Answers the site.
    pub(crate) async fn trial(&self) -> String {
        self.post(Role::Sponsor, "/v1/trials", "t", trial("DEMO-1")).await.recorded();
        let at = |rest: &str| format!("/v1/trials/DEMO-1/{rest}");
        self.post(Role::Sponsor, &at("protocol-versions"), "p", protocol("1.0")).await.recorded();
        self.post(Role::Sponsor, &at("consent-versions"), "c", consent_version("1.0")).await.recorded();
        self.post(Role::Irb, &at("irb-decisions"), "i", approval()).await.recorded();
        let site = self.post(Role::Sponsor, &at("sites"), "s", site("01")).await.recorded();
        site["site"].as_str().unwrap().to_owned()
    }

    /// Screens somebody at the site, and has the consent signed. Answers the participant's path.
    pub(crate) async fn consenting(&self, site: &str, number: &str) -> String {
        let screened =
            self.post(Role::Investigator, "/v1/trials/DEMO-1/participants", number, screening(site, number));
        let id = screened.await.recorded()["participant"].as_str().unwrap().to_owned();
        let path = format!("/v1/trials/DEMO-1/participants/{id}");
        let key = format!("{number}-consent");
        self.post(Role::Investigator, &format!("{path}/consents"), &key, consent()).await.recorded();
        path
    }

    /// All events of DEMO-1, checked.
    pub(crate) async fn events(&self) -> Vec<(EventRow, Event)> {
        let trial: TrialId = "DEMO-1".parse().unwrap();
        let mut events = Vec::new();
        loop {
            let rows = self.store.of_trial(&trial, events.len() as u64, 10_000).await.unwrap();
            if rows.is_empty() {
                return events;
            }
            for row in rows {
                let header = row.checked_header().unwrap();
                let Body::Readable { opening, data } = body::open(&self.vault, &row, &header).await.unwrap()
                else {
                    panic!("erased")
                };
                body::check(&row, &header, &opening, &data).unwrap();
                let version = header.dataschema.rsplit(':').next().unwrap().parse().unwrap();
                events.push((row, Event::from_stored(&header.kind, version, data).unwrap()));
            }
        }
    }

    /// Waits until an import has ended.
    pub(crate) async fn ended(&self, location: &str) -> Value {
        for _ in 0..6_000 {
            let status = self.get(Role::Sponsor, location).await;
            assert_eq!(status.status, 200, "{status:?}");
            if !matches!(status.body["state"].as_str().unwrap(), "checking" | "recording") {
                return status.body;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the import does not end")
    }

    /// Imports a file and waits for its end.
    pub(crate) async fn import(&self, key: &str, file: impl Into<Vec<u8>>) -> Value {
        let answer = self.post_text(Role::Sponsor, "/v1/trials/DEMO-1/imports", key, file).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        self.ended(&answer.location.unwrap()).await
    }

    /// The files that are in the spool.
    pub(crate) fn spooled(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.folder.path().join("spool"));
        files.map_or_else(|_| Vec::new(), |files| files.map(|file| file.unwrap().path()).collect())
    }

    /// Waits until the spool is empty.
    pub(crate) async fn nothing_is_spooled(&self) {
        for _ in 0..500 {
            if self.spooled().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("left in the spool: {:?}", self.spooled());
    }
}

pub(crate) fn trial(id: &str) -> Value {
    json!({"id": id, "title": "A demonstration", "sponsor": "Sponsor Inc.", "phase": "phase3"})
}

pub(crate) fn protocol(version: &str) -> Value {
    json!({
        "version": version, "documentSha256": HASH, "sampleSize": 60, "changeSummary": "First version",
        "reconsent": "none",
        "primaryOutcomes": [{"id": "O1", "measure": "Pain", "timeFrame": "12 weeks"}],
    })
}

pub(crate) fn consent_version(version: &str) -> Value {
    json!({"version": version, "language": "en", "documentSha256": HASH, "protocolVersion": "1.0"})
}

pub(crate) fn approval() -> Value {
    json!({
        "irb": "Central IRB", "decision": "approved", "decidedOn": "2026-01-10",
        "protocolVersion": "1.0", "consentVersions": ["1.0"],
    })
}

pub(crate) fn site(number: &str) -> Value {
    json!({"number": number, "name": "University Hospital", "investigator": "Dr. A", "activatedOn": "2026-02-01"})
}

pub(crate) fn screening(site: &str, number: &str) -> Value {
    json!({"site": site, "subjectNumber": number, "screenedOn": "2026-03-01"})
}

pub(crate) fn consent() -> Value {
    json!({
        "consentVersion": "1.0", "language": "en", "signedBy": "participant", "signedOn": "2026-03-01",
        "discussedBy": "Nurse B", "discussedOn": "2026-03-01", "sharing": {"research": true},
    })
}

pub(crate) fn visit(name: &str) -> Value {
    json!({"visit": name, "occurredOn": "2026-03-02"})
}

pub(crate) fn data(visit: &str, value: &str) -> Value {
    json!({"records": [{
        "visit": visit, "form": "VS", "itemGroup": "BP", "collectedOn": "2026-03-02",
        "items": [{"itemOid": "SYSBP", "value": value, "unit": "mmHg"}],
    }]})
}

pub(crate) fn correction(old: &str, new: &str) -> Value {
    json!({
        "visit": "V1", "form": "VS", "itemGroup": "BP", "itemOid": "SYSBP", "old": old, "new": new,
        "reason": "Transcription error",
    })
}

pub(crate) fn adverse_event() -> Value {
    json!({"term": "Headache", "severity": "MILD", "startedOn": "2026-03", "relatedness": "NOT RELATED"})
}

pub(crate) fn withdrawal() -> Value {
    json!({"scope": ["future-data", "follow-up"], "withdrawnOn": "2026-04-01"})
}
