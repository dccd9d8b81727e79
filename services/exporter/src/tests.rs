//! Exports end to end: asked for over HTTP, made from a ledger in memory, checked with the code that readers use.

mod files;
mod imports;
mod keys;
mod recall;
mod rights;

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use std::time::Duration;

use actix_web::test::TestRequest;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use trialseal_record::ids::{ImportId, Scope, StreamId};
use trialseal_record::{Role, TrialId};
use trialseal_seal::dataset::{Dataset, HEAD, LINEAGE, MANIFEST, RECORD};
use trialseal_seal::hash::{Hash, sha256};
use trialseal_store::{EventRow, Events, Jobs as _, LeafRow, LedgerHead, Result as StoreResult};
use trialseal_vault::VaultError;
use uuid::Uuid;

use crate::status::{ExportState, Job};
use crate::testing::{Answer, Ledger, as_role, participant, trial};

const DEMO: &str = "DEMO-1";
const IMPORT: ImportId = ImportId(Uuid::from_u128(0x77));

type Files = BTreeMap<String, Vec<u8>>;

fn consent(research: bool) -> Value {
    json!({"consentVersion": "1", "language": "en", "signedBy": "participant", "signedOn": "2026-01-02",
           "discussedBy": "Dr A", "discussedOn": "2026-01-02", "sharing": {"research": research}})
}

fn recorded(value: &str) -> Value {
    json!({"record": {"visit": "V1", "form": "VS", "itemGroup": "VITALS", "collectedOn": "2026-01-03",
           "items": [{"itemOid": "PULSE", "value": value, "unit": "beats/min"}, {"itemOid": "NOTE", "value": "a \"b\""}]}})
}

fn imported(row: u64, record: &Value, exceptions: &Value) -> Value {
    json!({"import": IMPORT, "dataset": "LB", "row": row, "record": record, "exceptions": exceptions})
}

/// The start of an import of a dataset with these columns.
fn started(dataset: &str, columns: &[(&str, &str)]) -> Value {
    let column =
        |(name, kind): &(&str, &str)| json!({"itemOID": name, "name": name, "label": name, "dataType": kind});
    let columns: Vec<_> = columns.iter().map(column).collect();
    json!({"fileSha256": "ab".repeat(32), "dataset": {
        "datasetJSONCreationDateTime": "2026-01-01T00:00:00", "datasetJSONVersion": "1.1.0",
        "itemGroupOID": format!("IG.{dataset}"), "records": 4, "name": dataset, "label": "Labs", "columns": columns,
        "sourceSystem": {"name": "S", "version": "1"}}})
}

/// A trial of three participants: 1 shares data with research, 2 does not, 3 did and withdrew. An import has a row of 1,
/// one of 1 from before the consent, one of 2, and one of nobody.
async fn ledger() -> Ledger {
    let ledger = Ledger::new().await;
    ledger.register(DEMO, "A trial").await;
    for number in 1..=3 {
        ledger.screen(DEMO, number).await;
    }
    let stream = |number| StreamId::participant(participant(number));
    for (number, research) in [(1, true), (2, false), (3, true)] {
        ledger.record(DEMO, stream(number), "consent.signed", consent(research)).await;
        ledger.record(DEMO, stream(number), "data.recorded", recorded(&format!("7{number}.0"))).await;
    }
    let withdrawn = json!({"scope": ["future-data"], "withdrawnOn": "2026-02-01"});
    ledger.record(DEMO, stream(3), "consent.withdrawn", withdrawn).await;
    let corrected = json!({"visit": "V1", "form": "VS", "itemGroup": "VITALS", "itemOid": "PULSE", "old": "71.0",
                           "oldUnit": "beats/min", "new": "70.0", "newUnit": "beats/min", "reason": "typing error"});
    ledger.record(DEMO, stream(1), "data.corrected", corrected).await;

    let columns =
        [("USUBJID", "string"), ("LBSTRESN", "double"), ("LBSEQ", "integer"), ("LBORRES", "string")];
    ledger.record(DEMO, StreamId::import(IMPORT), "import.started", started("LB", &columns)).await;
    let row = |subject: &str, number: &str, seq: u64| json!({"USUBJID": subject, "LBSTRESN": number, "LBSEQ": seq, "LBORRES": number});
    let early = json!([{"rule": "consent.before-procedure", "detail": "2025-12-31"}]);
    let import = [
        (stream(1), row("01-001", "38.0", 1), json!([])),
        (stream(1), row("01-001", "1e400", 2), early),
        (stream(2), row("01-002", "0.10", 3), json!([])),
        (StreamId::import(IMPORT), json!({"USUBJID": null, "LBSTRESN": "7", "LBSEQ": 4}), json!([])),
    ];
    for (place, (stream, record, exceptions)) in (0..).zip(import) {
        ledger.record(DEMO, stream, "data.imported", imported(place, &record, &exceptions)).await;
    }
    ledger
        .record("OTHER-1", StreamId::trial(&trial("OTHER-1")), "trial.registered", registered("OTHER-1"))
        .await;
    ledger.seal().await;
    ledger
}

fn registered(id: &str) -> Value {
    json!({"id": id, "title": "Another", "sponsor": "Example Ltd"})
}

async fn ask_for(ledger: &Ledger, role: Role, body: &str) -> Answer {
    ledger.ask(request_for(role, body)).await
}

fn request_for(role: Role, body: &str) -> TestRequest {
    let request = as_role(role, "/v1/trials/DEMO-1/exports").method(actix_web::http::Method::POST);
    request.insert_header(("content-type", "application/json")).set_payload(body.to_owned())
}

async fn job(ledger: &Ledger, id: Uuid) -> Job {
    Job::read(&ledger.store.job(id).await.unwrap().unwrap()).unwrap()
}

/// Waits until an export is made, or has failed.
async fn ended(ledger: &Ledger, id: Uuid) {
    for _ in 0..500 {
        if job(ledger, id).await.status.state != ExportState::Running {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the export does not end");
}

/// Asks for an export and waits for its end.
async fn export(ledger: &Ledger, role: Role, body: &str) -> Value {
    let answer = ask_for(ledger, role, body).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let location = answer.header("location").to_owned();
    ended(ledger, answer.json()["id"].as_str().unwrap().parse().unwrap()).await;
    ledger.get(role, &location).await.json()
}

async fn zip_of(ledger: &Ledger, role: Role, status: &Value) -> Vec<u8> {
    let answer =
        ledger.get(role, &format!("/v1/exports/{}/dataset.zip", status["id"].as_str().unwrap())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("etag"), format!("\"{}\"", status["sha256"].as_str().unwrap()));
    assert_eq!(
        answer.header("content-disposition"),
        format!("attachment; filename=\"DEMO-1-seal-{}.zip\"", status["seal"])
    );
    assert_eq!(status["sha256"], json!(sha256(&answer.body)));
    assert_eq!(status["bytes"], json!(answer.body.len()));
    answer.body
}

fn unzip(zip: Vec<u8>) -> Files {
    let mut zip = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    let files = (0..zip.len()).map(|place| {
        let mut file = zip.by_index(place).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        (file.name().unwrap().to_string(), bytes)
    });
    files.collect()
}

/// Checks all of a dataset but the tables' cells as a reader does.
fn check(ledger: &Ledger, files: &Files) {
    let key = ledger.exporter().verifier_keys()[0].parse().unwrap();
    let dataset = Dataset::open(&files[MANIFEST], &files[HEAD], &key, &ledger.policy()).unwrap();
    assert_eq!(dataset.check_names(files.keys().map(String::as_str)), []);
    for (name, bytes) in files.iter().filter(|(name, _)| *name != MANIFEST) {
        assert_eq!(dataset.check_digest(name, &sha256(bytes)), None);
    }
    let mut record = dataset.record_checker();
    for line in lines(files, RECORD) {
        assert_eq!(record.line(line.as_bytes()), None);
    }
    assert_eq!(record.finish(), []);
    let mut lineage = dataset.lineage_checker();
    if files.contains_key(LINEAGE) {
        for line in lines(files, LINEAGE) {
            assert_eq!(lineage.line(line.as_bytes()), None);
        }
    }
}

fn lines<'a>(files: &'a Files, name: &str) -> Vec<&'a str> {
    let text = std::str::from_utf8(&files[name]).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().collect()
}

fn record_lines(files: &Files) -> Vec<Value> {
    lines(files, RECORD).into_iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn table(files: &Files, name: &str) -> Value {
    serde_json::from_slice(&files[name]).unwrap()
}

/// A table whose numbers keep their digits.
#[derive(serde::Deserialize)]
struct Table<'a> {
    columns: Vec<Value>,
    #[serde(borrow)]
    rows: Vec<Vec<&'a RawValue>>,
}

/// Follows each cell that has a source, and counts them.
fn traced(files: &Files) -> usize {
    let record = record_lines(files);
    let mut cells = 0;
    for line in lines(files, LINEAGE) {
        let line: Value = serde_json::from_str(line).unwrap();
        let table: Table<'_> = serde_json::from_slice(&files[line["table"].as_str().unwrap()]).unwrap();
        let row = &table.rows[usize::try_from(line["row"].as_u64().unwrap()).unwrap()];
        for (column, sources) in line["from"].as_object().unwrap() {
            let place = table.columns.iter().position(|it| it["name"] == *column).unwrap();
            let event = usize::try_from(sources[0][0].as_u64().unwrap()).unwrap();
            let sealed = record[event]["data"].pointer(sources[0][1].as_str().unwrap()).unwrap();
            let cell = row[place].get();
            let sealed_json = sealed.to_string();
            let same = cell == sealed_json.as_str() || Some(cell) == sealed.as_str();
            assert!(same, "{cell} is not {sealed} in {line}");
            cells += 1;
        }
    }
    cells
}

#[actix_web::test]
async fn a_monitor_gets_everything_and_it_checks() {
    let ledger = ledger().await;
    let status = export(&ledger, Role::Monitor, r#"{"purpose":"inspection"}"#).await;
    assert_eq!(
        (&status["state"], &status["shown"], &status["problem"]),
        (&json!("done"), &json!("all"), &Value::Null)
    );
    assert_eq!((&status["events"], &status["withheld"]), (&json!(17), &json!(0)));
    let files = unzip(zip_of(&ledger, Role::Monitor, &status).await);
    check(&ledger, &files);
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "data/items.json",
            "data/lb.json",
            "head.json",
            "lineage.ndjson",
            "manifest.dsse.json",
            "policy.txt",
            "record.ndjson",
            "ro-crate-metadata.json"
        ]
    );
    assert!(record_lines(&files).iter().all(|line| line["data"].is_object()));
    assert_eq!(files["policy.txt"], ledger.policy_text().into_bytes());
    assert!(traced(&files) > 40);
}

#[actix_web::test]
async fn imported_values_come_out_as_they_went_in() {
    let ledger = ledger().await;
    let status = export(&ledger, Role::Sponsor, "").await;
    let files = unzip(zip_of(&ledger, Role::Sponsor, &status).await);
    let text = std::str::from_utf8(&files["data/lb.json"]).unwrap();
    let rows = text.split_once("\"rows\":").unwrap().1;
    assert_eq!(
        rows,
        concat!(
            "[\n[\"01-001\",38.0,1,\"38.0\"],\n[\"01-001\",1e400,2,\"1e400\"],\n",
            "[\"01-002\",0.10,3,\"0.10\"],\n[null,7,4,null]\n]}\n"
        )
    );
    let head: Value =
        serde_json::from_str(&format!("{}}}", text.split_once(",\"rows\"").unwrap().0)).unwrap();
    assert_eq!(
        (&head["records"], &head["sourceSystem"]["name"], &head["name"]),
        (&json!(4), &json!("S"), &json!("LB"))
    );
    assert_eq!(
        head["columns"][1],
        json!({"itemOID": "LBSTRESN", "name": "LBSTRESN", "label": "LBSTRESN", "dataType": "double"})
    );
    let items = table(&files, "data/items.json");
    assert_eq!(items["records"], json!(7));
    assert_eq!(
        items["rows"][0],
        json!(["01-001", "V1", "VS", "VITALS", null, "2026-01-03", "PULSE", "71.0", "beats/min", null, null])
    );
    assert_eq!(
        items["rows"][6],
        json!([
            "01-001",
            "V1",
            "VS",
            "VITALS",
            null,
            null,
            "PULSE",
            "70.0",
            "beats/min",
            "71.0",
            "typing error"
        ])
    );
}

#[actix_web::test]
async fn a_researcher_gets_what_participants_agreed_to() {
    let ledger = ledger().await;
    let status = export(&ledger, Role::Researcher, "{}").await;
    assert_eq!(status["shown"], "consented");
    let files = unzip(zip_of(&ledger, Role::Researcher, &status).await);
    check(&ledger, &files);
    let subject = |number| StreamId::participant(participant(number)).to_string();
    let mut withheld = 0;
    for line in record_lines(&files) {
        let of = line["header"]["subject"].as_str().unwrap();
        let early = line["data"]["record"]["LBSEQ"] == 2;
        assert!(!early, "a row from before the consent is shown");
        if of == subject(2) || of == subject(3) {
            assert_eq!(line["withheld"], "no-consent");
        }
        withheld += u64::from(line["withheld"] == "no-consent");
    }
    // All of 2 (4 events) and 3 (4), the early row of 1, and the row of nobody.
    assert_eq!((withheld, &status["withheld"]), (10, &json!(10)));
    assert_eq!(table(&files, "data/lb.json")["records"], 1);
    assert_eq!(table(&files, "data/items.json")["records"], 3);
    let shown = files.values().map(|bytes| String::from_utf8_lossy(bytes)).collect::<String>();
    assert!(!shown.contains("01-002") && !shown.contains("72.0") && !shown.contains("73.0"));
    traced(&files);
}

#[actix_web::test]
async fn what_was_erased_is_said_to_be() {
    let ledger = ledger().await;
    ledger.destroy_key_of(DEMO, 2).await;
    let status = export(&ledger, Role::Irb, "").await;
    let files = unzip(zip_of(&ledger, Role::Irb, &status).await);
    check(&ledger, &files);
    let erased = record_lines(&files).iter().filter(|line| line["withheld"] == "erased").count();
    assert_eq!((erased, &status["withheld"]), (4, &json!(4)));
}

#[actix_web::test]
async fn the_same_seal_and_rights_give_the_same_bytes() {
    let ledger = ledger().await;
    let first = export(&ledger, Role::Monitor, r#"{"purpose":"one"}"#).await;
    let second = export(&ledger, Role::Irb, r#"{"purpose":"two"}"#).await;
    assert_ne!(first["id"], second["id"]);
    assert_eq!(first["sha256"], second["sha256"]);
    ledger.screen(DEMO, 4).await;
    let unsealed = export(&ledger, Role::Monitor, "").await;
    assert_eq!((&unsealed["sha256"], &unsealed["seal"]), (&first["sha256"], &json!(0)));
    ledger.seal().await;
    let later = export(&ledger, Role::Monitor, "").await;
    assert_eq!((&later["seal"], &later["events"]), (&json!(1), &json!(18)));
}

#[actix_web::test]
async fn tables_are_left_out_where_they_are_not_wanted() {
    let ledger = ledger().await;
    let status = export(&ledger, Role::Monitor, r#"{"tables":false}"#).await;
    let files = unzip(zip_of(&ledger, Role::Monitor, &status).await);
    check(&ledger, &files);
    assert!(!files.contains_key(LINEAGE) && files.len() == 5);
}

#[actix_web::test]
async fn who_may_not_export_does_not() {
    let ledger = ledger().await;
    for role in [Role::Admin, Role::Investigator] {
        assert_eq!(ask_for(&ledger, role, "").await.problem(), (403, "forbidden".into()));
    }
    assert_eq!(ledger.ask(TestRequest::post().uri("/v1/trials/DEMO-1/exports")).await.status, 401);
    let post = |uri| as_role(Role::Sponsor, uri).method(actix_web::http::Method::POST);
    for uri in ["/v1/trials/OTHER-1/exports", "/v1/trials/NONE-1/exports", "/v1/trials/-/exports"] {
        assert_eq!(ledger.ask(post(uri)).await.problem(), (404, "not-found".into()));
    }
    // A researcher does not get at a monitor's export, and a stranger to the trial at none.
    let status = export(&ledger, Role::Monitor, "").await;
    let uri = format!("/v1/exports/{}", status["id"].as_str().unwrap());
    for uri in [uri.clone(), format!("{uri}/dataset.zip"), format!("/v1/exports/{}", Uuid::nil())] {
        assert_eq!(ledger.get(Role::Researcher, &uri).await.problem(), (404, "not-found".into()));
    }
    assert_eq!(ledger.get(Role::Sponsor, &uri).await.status, 200);
}

#[actix_web::test]
async fn what_is_not_sealed_cannot_be_exported_yet() {
    let ledger = Ledger::new().await;
    ledger.register(DEMO, "A trial").await;
    let answer = ask_for(&ledger, Role::Monitor, "").await;
    assert_eq!(answer.problem(), (409, "not-yet-sealed".into()));
    assert_eq!(answer.header("retry-after"), "1");
}

#[actix_web::test]
async fn files_at_rest_show_nothing_and_spools_are_gone() {
    let ledger = ledger().await;
    let status = export(&ledger, Role::Monitor, "").await;
    let folder = ledger.folder.path().join("exports");
    let names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let name = format!("{}.sealed", status["id"].as_str().unwrap());
    assert_eq!(names, std::slice::from_ref(&name));
    let bytes = std::fs::read(folder.join(&name)).unwrap();
    assert!(!bytes.windows(4).any(|window| window == b"PK\x03\x04"));
    let uri = format!("/v1/exports/{}/dataset.zip", status["id"].as_str().unwrap());
    let known = as_role(Role::Monitor, &uri)
        .insert_header(("if-none-match", format!("\"{}\"", status["sha256"].as_str().unwrap())));
    assert_eq!(ledger.ask(known).await.status, 304);
    std::fs::remove_file(folder.join(&name)).unwrap();
    assert_eq!(ledger.get(Role::Monitor, &uri).await.problem(), (404, "not-found".into()));
}

/// Leaves an export as a process does that ends before it is done.
async fn interrupt(ledger: &Ledger, status: &Value) -> Uuid {
    let id: Uuid = status["id"].as_str().unwrap().parse().unwrap();
    let mut row = ledger.store.job(id).await.unwrap().unwrap();
    let mut detail: Value = serde_json::from_slice(&row.detail).unwrap();
    detail["status"]["state"] = "running".into();
    (row.ended, row.detail) = (false, serde_json::to_vec(&detail).unwrap());
    ledger.store.put_job(&row).await.unwrap();
    let folder = ledger.folder.path().join("exports");
    std::fs::rename(folder.join(format!("{id}.sealed")), folder.join(format!("{id}.part"))).unwrap();
    id
}

#[actix_web::test]
async fn an_interrupted_export_is_made_after_the_restart() {
    let ledger = ledger().await;
    let done = export(&ledger, Role::Monitor, "").await;
    let id = interrupt(&ledger, &done).await;
    assert_eq!(ledger.exporter().resume_exports().await.unwrap(), 1);
    ended(&ledger, id).await;
    let status = ledger.get(Role::Monitor, &format!("/v1/exports/{id}")).await.json();
    assert_eq!((&status["state"], &status["sha256"]), (&json!("done"), &done["sha256"]));
    zip_of(&ledger, Role::Monitor, &status).await;
    assert_eq!(ledger.exporter().resume_exports().await.unwrap(), 0);
}

#[actix_web::test]
async fn the_export_key_is_open_to_all() {
    let ledger = Ledger::new().await;
    let answer = ledger.ask(TestRequest::get().uri("/v1/export-key")).await;
    assert_eq!((answer.status, answer.text()), (200, ledger.exporter().verifier_keys().join("\n") + "\n"));
    assert!(answer.text().starts_with("ledger.example.org/test/export+"));
}

/// A store whose rows somebody changed.
struct Damaged {
    ledger: Ledger,
    change: fn(&mut EventRow),
    trialseq: u64,
}

#[async_trait::async_trait]
impl Events for Damaged {
    fn origin(&self) -> &str {
        self.ledger.store.origin()
    }
    async fn head(&self) -> StoreResult<LedgerHead> {
        self.ledger.store.head().await
    }
    async fn trial_size(&self, trial: &TrialId) -> StoreResult<Option<u64>> {
        self.ledger.store.trial_size(trial).await
    }
    async fn trials(&self, after: Option<&TrialId>, limit: u32) -> StoreResult<Vec<(TrialId, u64)>> {
        self.ledger.store.trials(after, limit).await
    }
    async fn since_position(&self, from: u64, limit: u32) -> StoreResult<Vec<EventRow>> {
        self.ledger.store.since_position(from, limit).await
    }
    async fn of_trial(&self, trial: &TrialId, from: u64, limit: u32) -> StoreResult<Vec<EventRow>> {
        let mut rows = self.ledger.store.of_trial(trial, from, limit).await?;
        rows.iter_mut().filter(|row| row.trialseq == self.trialseq).for_each(self.change);
        Ok(rows)
    }
    async fn of_stream(
        &self,
        trial: &TrialId,
        stream: &StreamId,
        from: u64,
        limit: u32,
    ) -> StoreResult<Vec<EventRow>> {
        self.ledger.store.of_stream(trial, stream, from, limit).await
    }
    async fn leaves_from_position(&self, from: u64, limit: u32) -> StoreResult<Vec<LeafRow>> {
        self.ledger.store.leaves_from_position(from, limit).await
    }
    async fn leaves_of_trial(&self, trial: &TrialId, from: u64, limit: u32) -> StoreResult<Vec<Hash>> {
        self.ledger.store.leaves_of_trial(trial, from, limit).await
    }
    async fn stream_of(&self, trial: &TrialId, key: &[u8; 32]) -> StoreResult<Option<StreamId>> {
        self.ledger.store.stream_of(trial, key).await
    }
}

#[actix_web::test]
async fn a_damaged_event_fails_the_export_and_is_named() {
    let changes: [fn(&mut EventRow); 4] = [
        |row| row.header[20] ^= 1,
        |row| row.body[40] ^= 1,
        |row| row.streamseq += 1,
        |row| row.trialseq += 1,
    ];
    for change in changes {
        let damaged = std::sync::Arc::new(Damaged { ledger: ledger().await, change, trialseq: 5 });
        let exporter = damaged.ledger.exporter_over(damaged.clone());
        let id = damaged.ledger.begin_with(&exporter).await;
        ended(&damaged.ledger, id).await;
        let status = damaged.ledger.get(Role::Monitor, &format!("/v1/exports/{id}")).await.json();
        assert_eq!(status["state"], "failed");
        let problem = status["problem"].as_str().unwrap();
        assert!(problem.starts_with("event 5 of trial DEMO-1 is damaged"), "{problem}");
        let folder = damaged.ledger.folder.path().join("exports");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0, "what was begun is left");
        let key = damaged.ledger.vault.key_of(&Scope::File(trial(DEMO), id)).await;
        assert!(matches!(key, Err(VaultError::Destroyed(_))), "{key:?}");
    }
}
