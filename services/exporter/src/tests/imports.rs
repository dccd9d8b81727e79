//! Tables of many imports.

use super::*;

async fn import(ledger: &Ledger, number: u128, rows: u64) -> ImportId {
    let import = ImportId(Uuid::from_u128(number));
    let stream = StreamId::import(import);
    ledger.record(DEMO, stream, "import.started", started("TS", &[("TSVAL", "string")])).await;
    for row in 0..rows {
        ledger.record(DEMO, stream, "data.imported", row_of(import, row)).await;
    }
    import
}

fn row_of(import: ImportId, row: u64) -> Value {
    json!({"import": import, "dataset": "TS", "row": row, "record": {"TSVAL": format!("{import} {row}")}})
}

async fn end(ledger: &Ledger, import: ImportId) {
    let completed = json!({"rows": 1, "exceptions": 0});
    ledger.record(DEMO, StreamId::import(import), "import.completed", completed).await;
}

#[actix_web::test]
async fn any_number_of_imports_gives_as_many_tables() {
    const IMPORTS: u128 = 600;
    let ledger = Ledger::new().await;
    ledger.register(DEMO, "A trial").await;
    let mut imports = Vec::new();
    for number in 1..=IMPORTS {
        let import = import(&ledger, number, 1).await;
        // Some stay open, and get another row after others began.
        if number % 3 != 0 {
            end(&ledger, import).await;
        }
        imports.push(import);
    }
    for open in imports.iter().skip(2).step_by(3) {
        ledger.record(DEMO, StreamId::import(*open), "data.imported", row_of(*open, 1)).await;
    }
    ledger.seal().await;
    let status = export(&ledger, Role::Monitor, "").await;
    assert_eq!(status["state"], "done", "{status}");
    let files = unzip(zip_of(&ledger, Role::Monitor, &status).await);
    check(&ledger, &files);
    assert_eq!(files.keys().filter(|name| name.starts_with("data/")).count(), imports.len());
    for (number, import) in (1..).zip(&imports) {
        let name = if number == 1 { "data/ts.json".to_owned() } else { format!("data/ts-{number}.json") };
        let table = table(&files, &name);
        let rows: Vec<_> =
            (0..if number % 3 == 0 { 2 } else { 1 }).map(|row| json!([format!("{import} {row}")])).collect();
        assert_eq!((&table["records"], &table["rows"]), (&json!(rows.len()), &json!(rows)), "{name}");
    }
    assert_eq!(lines(&files, LINEAGE).len(), imports.len() / 3 * 4);
}

#[actix_web::test]
async fn a_row_after_the_end_of_its_import_fails_the_export() {
    let ledger = Ledger::new().await;
    ledger.register(DEMO, "A trial").await;
    let import = import(&ledger, 1, 1).await;
    end(&ledger, import).await;
    ledger.record(DEMO, StreamId::import(import), "data.imported", row_of(import, 1)).await;
    ledger.seal().await;
    let status = export(&ledger, Role::Monitor, "").await;
    assert_eq!(status["state"], "failed");
    assert!(
        status["problem"].as_str().unwrap().starts_with("event 4 of trial DEMO-1 is damaged"),
        "{status}"
    );
    assert_eq!(export(&ledger, Role::Monitor, r#"{"tables":false}"#).await["state"], "done");
}
