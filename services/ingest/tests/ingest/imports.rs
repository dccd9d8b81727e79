//! Files over HTTP: whole or not at all, digit by digit, and over restarts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use trialseal_record::Event;
use trialseal_record::Role::{Investigator, Irb, Monitor, Sponsor};
use trialseal_record::values::ImportedValue;
use trialseal_runtime::ids::SystemIds;
use trialseal_store::memory::MemoryStore;
use trialseal_store::{AppendTx, Appends, CommandId, CommandRow, Result};

use crate::support::*;

pub(crate) const IMPORTS: &str = "/v1/trials/DEMO-1/imports";

fn column(name: &str, data_type: &str) -> Value {
    json!({"itemOID": format!("IT.LB.{name}"), "name": name, "label": name, "dataType": data_type})
}

/// A file of the dataset LB; each row is given as JSON text.
pub(crate) fn file(rows: &[String]) -> String {
    file_of(rows, rows.len(), "columns first")
}

fn file_of(rows: &[String], records: usize, order: &str) -> String {
    let columns = json!([
        column("USUBJID", "string"),
        column("SITEID", "string"),
        column("LBSEQ", "integer"),
        column("LBSTRESN", "double"),
        column("LBDTC", "datetime"),
        column("LBFAST", "boolean"),
        column("LBDEC", "decimal"),
    ]);
    let head = format!(
        r#""datasetJSONCreationDateTime": "2026-06-01T00:00:00", "datasetJSONVersion": "1.1.0", "name": "LB",
"itemGroupOID": "IG.LB", "label": "Laboratory", "records": {records}"#
    );
    let rows = format!("\"rows\": [\n{}\n]", rows.join(",\n"));
    match order {
        "columns first" => format!("{{{head}, \"columns\": {columns}, {rows}}}"),
        _ => format!("{{{rows}, \"columns\": {columns}, {head}}}"),
    }
}

fn row(subject: &str, sequence: usize, value: &str) -> String {
    format!(r#"["{subject}", "01", {sequence}, {value}, "2026-03-01T10:00", true, "1.50"]"#)
}

pub(crate) fn rows(count: usize) -> Vec<String> {
    (0..count).map(|n| row(&format!("S-{:03}", n % 7), n, &format!("{n}.0"))).collect()
}

/// The imported rows by place, and the number of participants made for them.
async fn imported(world: &World) -> (BTreeMap<u64, BTreeMap<String, ImportedValue>>, usize) {
    let mut rows = BTreeMap::new();
    let mut subjects = HashMap::new();
    let mut made = 0;
    for (stored, event) in world.events().await {
        match event {
            Event::ParticipantScreened(screened) if screened.import.is_some() => {
                made += 1;
                let twice = subjects.insert(screened.subject_number.to_string(), stored.stream);
                assert!(twice.is_none(), "a participant was made twice");
            }
            Event::DataImported(imported) => {
                if let Some(ImportedValue::Text(subject)) = imported.record.get("USUBJID")
                    && let Some(stream) = subjects.get(subject)
                {
                    assert_eq!(stored.stream, *stream, "a row went to another participant");
                }
                assert!(rows.insert(imported.row, imported.record).is_none(), "a row was recorded twice");
            }
            _ => {}
        }
    }
    (rows, made)
}

#[actix_web::test]
async fn every_row_becomes_an_event_with_its_digits() {
    let world = World::new().await;
    world.trial().await;
    let numbers =
        ["38.0", "38", "-0", "1e5", "0.30000000000000004", "9007199254740991", "9007199254740992", "null"];
    let rows: Vec<_> = numbers.iter().enumerate().map(|(n, text)| row("S-001", n, text)).collect();
    for (order, key) in [("columns first", "a"), ("rows first", "b")] {
        let before = world.events().await.len();
        let status = world.import(key, file_of(&rows, rows.len(), order)).await;
        assert_eq!(status["state"], "done", "{status}");
        assert_eq!((&status["rows"], &status["rowsRecorded"]), (&json!(8), &json!(8)));
        assert_eq!(status["dataset"], "LB");
        let events = &world.events().await[before..];
        assert_eq!(status["events"], events.len());
        let kept: Vec<_> = events
            .iter()
            .filter_map(|(_, event)| match event {
                Event::DataImported(imported) => Some(imported.record["LBSTRESN"].clone()),
                _ => None,
            })
            .collect();
        let text = |text: &str| ImportedValue::Text(text.into());
        let expected = [
            text("38.0"),
            ImportedValue::Integer(38),
            text("-0"),
            text("1e5"),
            text("0.30000000000000004"),
            ImportedValue::Integer(9_007_199_254_740_991),
            text("9007199254740992"),
            ImportedValue::Null,
        ];
        assert_eq!(kept, expected);
        let Event::ImportStarted(started) = &events[0].1 else { panic!() };
        assert_eq!((started.dataset.columns.len(), started.dataset.records), (7, 8));
        assert_eq!(started.file_sha256.as_str(), status["sha256"]);
        let Event::ImportCompleted(completed) = &events[events.len() - 1].1 else { panic!() };
        assert_eq!((completed.rows, completed.exceptions), (8, 8));
    }
    world.nothing_is_spooled().await;
}

#[actix_web::test]
async fn rows_find_their_participants_and_exceptions_are_marked_and_counted() {
    let world = World::new().await;
    let site = world.trial().await;
    let path = world.consenting(&site, "S-000").await;
    let known = path.rsplit('/').next().unwrap().to_owned();
    let mut rows = rows(21);
    rows.push(row("S-000", 21, "1.5").replace("\"01\"", "\"99\""));
    rows.push(row("S-900", 22, "1.5").replace("\"01\"", "\"99\""));
    let status = world.import("k", file(&rows)).await;
    assert_eq!(status["state"], "done", "{status}");
    let (taken, made) = imported(&world).await;
    assert_eq!((taken.len(), made), (23, 7));
    // Six strangers with three rows each, and one of a site nobody knows.
    assert_eq!(status["exceptions"]["total"], 19);
    assert_eq!(status["exceptions"]["byRule"], json!({"consent.in-force": 19, "site.activated": 1}));
    assert_eq!(status["exceptions"]["rows"][0], json!({"row": 1, "rules": ["consent.in-force"]}));
    assert!(!status.to_string().contains("S-0"), "a status names no participant");
    let own = world.events().await;
    let own = own.iter().filter(|(row, _)| row.stream.to_string() == format!("participant/{known}"));
    let rows: Vec<_> = own.filter(|(_, event)| matches!(event, Event::DataImported(_))).collect();
    assert_eq!(rows.len(), 4);
    for (_, event) in rows {
        let Event::DataImported(imported) = event else { unreachable!() };
        assert!(imported.exceptions.is_empty());
    }
    // The participants that the import made go on like any other.
    let screened =
        world.post(Investigator, "/v1/trials/DEMO-1/participants", "s", screening(&site, "S-001")).await;
    assert_eq!(screened.rule(), "participant.subject-number-unique");
}

#[actix_web::test]
async fn rows_of_no_subject_go_to_the_import() {
    let world = World::new().await;
    world.trial().await;
    let text = json!({
        "datasetJSONCreationDateTime": "2026-06-01T00:00:00", "datasetJSONVersion": "1.1", "name": "TS",
        "itemGroupOID": "IG.TS", "label": "Trial Summary", "records": 2, "columns": [column("TSVAL", "string")],
        "rows": [["a"], ["b"]],
    });
    let status = world.import("k", text.to_string()).await;
    assert_eq!((&status["state"], &status["exceptions"]["total"]), (&json!("done"), &json!(0)));
    let stream = format!("import/{}", status["id"].as_str().unwrap());
    let events = world.events().await;
    let own: Vec<_> = events.iter().filter(|(row, _)| row.stream.to_string() == stream).collect();
    assert_eq!(own.iter().map(|(row, _)| row.streamseq).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[actix_web::test]
async fn one_bad_row_keeps_the_whole_file_out() {
    let world = World::new().await;
    world.trial().await;
    let before = world.events().await.len();
    let mut rows = rows(40);
    rows[3] = r#"["S-001", "01", 3, 1.0]"#.into();
    rows[11] = row("S-001", 11, "\"12.0\"");
    rows[12] = r#"{"USUBJID": "S-001"}"#.into();
    rows[13] = row("S-001", 13, "1.0").replace("13", "13.5");
    rows[14] = row("", 14, "1.0");
    rows[15] = row("S-001", 15, "1.0").replace("true", "1");
    rows[16] = row("S-001", 16, "1.0").replace("\"1.50\"", "1.50");
    rows[17] = row("Jane\\nDoe", 17, "1.0");
    let status = world.import("k", file(&rows)).await;
    assert_eq!((&status["state"], &status["refusedRowsTotal"]), (&json!("refused"), &json!(8)), "{status}");
    let listed = status["refusedRows"].as_array().unwrap().clone();
    let found: Vec<_> =
        listed.iter().map(|bad| (bad["row"].as_u64().unwrap(), bad["rule"].as_str().unwrap())).collect();
    let expected = [
        (3, "import.row-fits-columns"),
        (11, "import.value-fits-column"),
        (12, "import.row-is-array"),
        (13, "import.value-fits-column"),
        (14, "import.row-names-subject"),
        (15, "import.value-fits-column"),
        (16, "import.value-fits-column"),
        (17, "import.row-names-subject"),
    ];
    assert_eq!(found, expected);
    // The head takes two lines and the array begins on the second; its rows stand on a line each.
    for bad in &listed {
        assert_eq!(bad["line"].as_u64().unwrap(), bad["row"].as_u64().unwrap() + 3, "{bad}");
    }
    assert!(listed[1]["message"].as_str().unwrap().contains("LBSTRESN"));
    assert!(!status.to_string().contains("Jane"));
    assert_eq!(world.events().await.len(), before);
    world.nothing_is_spooled().await;
}

#[actix_web::test]
async fn files_that_are_none_are_refused_with_the_reason() {
    let world = World::new().await;
    world.trial().await;
    let before = world.events().await.len();
    let good = file(&rows(3));
    let cases = [
        (String::new(), "not JSON"),
        ("[]".into(), "object"),
        (good[..good.len() - 9].to_owned(), "not JSON"),
        (format!("{good} x"), "not JSON"),
        (file_of(&rows(3), 4, "columns first"), "`records` says 4 and the file has 3"),
        (good.replace("\"1.1.0\"", "\"1.0.0\""), "another version"),
        (good.replace("\"label\": \"Laboratory\", ", ""), "label"),
        (good.replace("\"label\": \"Laboratory\"", "\"label\": \"L\", \"label\": \"L\""), "twice"),
        (good.replace("\"label\": \"Laboratory\"", "\"label\": \"L\", \"lable\": \"L\""), "lable"),
        ("{}".into(), "`rows` is missing"),
        (good.replace("\"name\":\"LBSEQ\"", "\"name\":\"LBDEC\""), "same name"),
        (good.replace("\"dataType\":\"double\"", "\"dataType\":\"number\""), "number"),
        (good.replace("[\"S-000\"", &format!("[\"{}\"", "x".repeat(2 << 20))), "larger"),
    ];
    for (place, (file, says)) in cases.into_iter().enumerate() {
        let status = world.import(&format!("k{place}"), file).await;
        assert_eq!(status["state"], "refused", "{says}: {status}");
        assert!(status["problem"].as_str().unwrap().contains(says), "{says}: {status}");
    }
    assert_eq!(world.events().await.len(), before);
}

#[actix_web::test]
async fn rows_from_before_the_consent_are_marked() {
    let world = World::new().await;
    let site = world.trial().await;
    world.consenting(&site, "S-000").await;
    let on = |day: &str| row("S-000", 1, "1.0").replace("2026-03-01T10:00", day);
    let days = ["2026-02-28", "2026-03-01T10:00", "2026-02", "2026", ""].map(on);
    let status = world.import("k", file(&days)).await;
    let marked = json!([
        {"row": 0, "rules": ["consent.before-procedure"]}, {"row": 2, "rules": ["consent.before-procedure"]},
    ]);
    assert_eq!(status["exceptions"]["rows"], marked, "{status}");
    assert_eq!(status["exceptions"]["byRule"], json!({"consent.before-procedure": 2}));
}

#[actix_web::test]
async fn a_file_sent_again_is_one_import() {
    let world = World::new().await;
    world.trial().await;
    let first = world.import("k", file(&rows(10))).await;
    let count = world.events().await.len();
    let again = world.post_text(Sponsor, IMPORTS, "k", file(&rows(10))).await;
    assert!(again.replayed && again.status == 202);
    assert_eq!(again.body, first);
    let other = world.post_text(Sponsor, IMPORTS, "k", file(&rows(11))).await;
    assert_eq!((other.status, other.problem()), (409, "conflict"));
    let command = world.post(Sponsor, "/v1/trials/DEMO-1/protocol-versions", "k", protocol("2.0")).await;
    assert_eq!((command.status, command.problem()), (409, "conflict"));
    assert_eq!(world.events().await.len(), count);
    // Under another key it is another import, and adds what it says a second time.
    assert_eq!(world.import("k2", file(&rows(10))).await["state"], "done");
    world.nothing_is_spooled().await;
}

#[actix_web::test]
async fn who_may_not_import_cannot_and_others_do_not_see_it() {
    let world = World::new().await;
    world.trial().await;
    for role in [Monitor, Irb] {
        let answer = world.post_text(role, IMPORTS, "k", file(&rows(1))).await;
        assert_eq!((answer.status, answer.problem()), (403, "forbidden"), "{role}");
    }
    let unknown = world.post_text(Sponsor, "/v1/trials/NO-SUCH/imports", "k", file(&rows(1))).await;
    assert_eq!(unknown.status, 404);
    assert_eq!(world.get(Sponsor, "/v1/imports/0193a5c2-7d1e-7a40-9c11-5f2a6b7c8d9e").await.status, 404);
    assert_eq!(world.get(Sponsor, "/v1/imports/x").await.status, 404);
    let status = world.import("k", file(&rows(1))).await;
    let mut foreign = principal(Sponsor);
    foreign.trials = Some(vec!["OTHER".parse().unwrap()]);
    let path = format!("/v1/imports/{}", status["id"].as_str().unwrap());
    let (who, method) = (Some(foreign), actix_web::http::Method::GET);
    let hidden =
        Request { method, path: &path, who, key: None, content_type: "", signature: None, body: vec![] };
    assert_eq!(world.send(hidden).await.status, 404);
}

#[actix_web::test]
async fn an_upload_beyond_the_limit_leaves_nothing_behind() {
    let world = World::new().await;
    world.trial().await;
    let large = vec![b' '; usize::try_from(limits().imports.file_bytes).unwrap() + 1];
    let answer = world.post_text(Sponsor, IMPORTS, "k", large).await;
    assert_eq!((answer.status, answer.problem()), (413, "payload-too-large"));
    world.nothing_is_spooled().await;
    assert_eq!(world.import("k", file(&rows(1))).await["state"], "done");
}

/// A database that never answers any more after so many transactions: what a process looks like that dies between two.
struct Dying {
    store: Arc<MemoryStore>,
    left: AtomicUsize,
}

#[async_trait]
impl Appends for Dying {
    async fn begin_append(&self) -> Result<Box<dyn AppendTx>> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_err() {
            return std::future::pending().await;
        }
        self.store.begin_append().await
    }

    async fn command(&self, id: &CommandId) -> Result<Option<CommandRow>> {
        self.store.command(id).await
    }
}

#[actix_web::test]
async fn an_import_is_carried_to_its_end_by_the_next_process() {
    const ROWS: usize = 2_300;
    const CHUNK_ROWS: usize = 50;
    for transactions in [0, 1, 2, 4] {
        let world = World::new().await;
        world.trial().await;
        let first =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let dying = {
            let _in_it = first.enter();
            let appends = Arc::new(Dying { store: world.store.clone(), left: transactions.into() });
            let (store, vault, folder) = (world.store.clone(), world.vault.clone(), world.folder.clone());
            World::over(store, vault, folder, Arc::new(SystemIds), Some(appends))
        };
        let answer = dying.post_text(Sponsor, IMPORTS, "k", file(&rows(ROWS))).await;
        let location = answer.location.unwrap();
        // One transaction is the start, and each one after it a chunk.
        let recorded = transactions.saturating_sub(1) * CHUNK_ROWS;
        while imported(&world).await.0.len() < recorded {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        first.shutdown_background();
        drop(dying);
        assert_eq!(imported(&world).await.0.len(), recorded);
        assert_eq!(world.spooled().len(), 1);

        let next = world.beside();
        std::fs::write(world.folder.path().join("spool/left-behind.part"), b"x").unwrap();
        assert_eq!(next.ingest.resume_imports().await.unwrap(), 1);
        let status = next.ended(&location).await;
        assert_eq!((&status["state"], &status["rowsRecorded"]), (&json!("done"), &json!(ROWS)), "{status}");
        assert_eq!(status["exceptions"]["total"], ROWS);
        let (taken, made) = imported(&world).await;
        assert_eq!((taken.len(), made), (ROWS, 7));
        let started =
            world.events().await.iter().filter(|(_, e)| matches!(e, Event::ImportStarted(_))).count();
        assert_eq!(started, 1);
        let sent_again = next.post_text(Sponsor, IMPORTS, "k", file(&rows(ROWS))).await;
        assert!(sent_again.replayed);
        assert_eq!(next.ingest.resume_imports().await.unwrap(), 0);
        world.nothing_is_spooled().await;
    }
}

/// A database that begins as many transactions as it has been allowed.
pub(crate) struct Gated {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) allowed: Semaphore,
}

#[async_trait]
impl Appends for Gated {
    async fn begin_append(&self) -> Result<Box<dyn AppendTx>> {
        self.allowed.acquire().await.unwrap().forget();
        self.store.begin_append().await
    }

    async fn command(&self, id: &CommandId) -> Result<Option<CommandRow>> {
        self.store.command(id).await
    }
}

#[actix_web::test]
async fn an_import_that_breaks_off_keeps_its_file_and_goes_on_at_the_next_start() {
    const ROWS: usize = 8_000;
    let world = World::new().await;
    world.trial().await;
    let appends = Arc::new(Gated { store: world.store.clone(), allowed: Semaphore::new(2) });
    let (store, vault, folder) = (world.store.clone(), world.vault.clone(), world.folder.clone());
    let broken = World::over(store, vault, folder, Arc::new(SystemIds), Some(appends.clone()));
    let location = broken.post_text(Sponsor, IMPORTS, "k", file(&rows(ROWS))).await.location.unwrap();
    for _ in 0..500 {
        if !imported(&world).await.0.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let spool = world.spooled().remove(0);
    let whole = std::fs::read(&spool).unwrap();
    std::fs::OpenOptions::new().write(true).open(&spool).unwrap().set_len(whole.len() as u64 - 100).unwrap();
    appends.allowed.add_permits(1_000);
    let status = broken.ended(&location).await;
    assert_eq!(status["state"], "failed", "{status}");
    assert!(status["problem"].as_str().unwrap().contains("goes on"), "{status}");
    assert_eq!(world.spooled().len(), 1);
    let (taken, _) = imported(&world).await;
    assert!(!taken.is_empty() && taken.len() < ROWS, "{}", taken.len());

    std::fs::write(&spool, whole).unwrap();
    let next = world.beside();
    assert_eq!(next.ingest.resume_imports().await.unwrap(), 1);
    // It says that it failed until the file is looked at again.
    let mut status = next.ended(&location).await;
    for _ in 0..100 {
        if status["state"] != "failed" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        status = next.ended(&location).await;
    }
    assert_eq!((&status["state"], &status["rowsRecorded"]), (&json!("done"), &json!(ROWS)), "{status}");
    assert_eq!(status.get("problem"), None);
    assert_eq!(imported(&world).await.0.len(), ROWS);
    world.nothing_is_spooled().await;
}

#[actix_web::test]
async fn an_import_and_commands_on_the_same_participants_do_not_undo_each_other() {
    let world = World::new().await;
    let site = world.trial().await;
    let path = format!("{}/data", world.consenting(&site, "S-000").await);
    let other = world.beside();
    let commands = async {
        for n in 0..40 {
            let name = format!("V{n}");
            other.post(Investigator, &path, &name, data(&name, "120")).await.recorded();
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let (a, b, ()) = futures_util::future::join3(
        world.import("a", file(&rows(2_500))),
        world.import("b", file(&rows(2_500))),
        commands,
    )
    .await;
    for status in [a, b] {
        assert_eq!((&status["state"], &status["rowsRecorded"]), (&json!("done"), &json!(2_500)), "{status}");
    }
    let events = world.events().await;
    let count = |wanted: &str| events.iter().filter(|(_, event)| event.kind() == wanted).count();
    assert_eq!(
        (count("data.imported"), count("data.recorded"), count("participant.screened")),
        (5_000, 40, 7)
    );
}
