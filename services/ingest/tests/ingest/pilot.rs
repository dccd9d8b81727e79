//! The CDISC pilot study, where it is at hand: in the folder that `TRIALSEAL_SHARED_DATA` names, or in `shared/data`
//! beside the checkout. With optimisation all of it is imported, without it the smaller files.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;
use trialseal_record::Event;
use trialseal_record::values::{ImportedRecord, ImportedValue};

use crate::support::*;

const SMALL: [&str; 6] = ["dm", "ae", "ds", "ex", "suppae", "suppdm"];
const LARGE: [&str; 3] = ["sv", "vs", "lb"];

#[derive(Deserialize)]
struct File<'a> {
    columns: Vec<Column>,
    #[serde(borrow)]
    rows: Vec<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    #[serde(rename = "dataType")]
    data_type: String,
}

fn folder() -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test says where data lie that are no part of the project"
    )]
    let named = std::env::var("TRIALSEAL_SHARED_DATA").map(PathBuf::from);
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    Some(named.unwrap_or_else(|_| beside()).join("cdiscpilot01")).filter(|folder| folder.is_dir())
}

/// The text of a cell as it was in the file.
fn text(record: &ImportedRecord, column: &Column) -> String {
    let is_number = matches!(column.data_type.as_str(), "integer" | "float" | "double");
    match &record[&column.name] {
        ImportedValue::Null => "null".into(),
        ImportedValue::Boolean(value) => value.to_string(),
        ImportedValue::Integer(number) => number.to_string(),
        ImportedValue::Text(text) if is_number => text.clone(),
        ImportedValue::Text(text) => serde_json::to_string(text).unwrap(),
    }
}

#[actix_web::test]
async fn values_come_out_byte_for_byte_as_they_went_in() {
    let Some(folder) = folder() else {
        eprintln!("the pilot study is not at hand, so none of it is imported here");
        return;
    };
    let world = World::new().await;
    world.trial().await;
    let names = SMALL.iter().chain(LARGE.iter().filter(|_| !cfg!(debug_assertions)));
    let mut files = HashMap::new();
    for name in names {
        let bytes = fs::read(folder.join(format!("{name}.json"))).unwrap();
        let started = Instant::now();
        let status = world.import(name, bytes.clone()).await;
        let seconds = started.elapsed().max(Duration::from_millis(1)).as_secs_f64();
        assert_eq!(status["state"], "done", "{status}");
        let rows = status["rows"].as_u64().unwrap();
        eprintln!(
            "{name}: {rows} rows in {seconds:.2} s, {:.0} rows/s",
            f64::from(u32::try_from(rows).unwrap()) / seconds
        );
        files.insert(name.to_uppercase(), bytes);
    }
    let files: HashMap<_, File<'_>> =
        files.iter().map(|(name, bytes)| (name.clone(), serde_json::from_slice(bytes).unwrap())).collect();
    let (mut seen, mut screened) = (0, 0);
    for (_, event) in world.events().await {
        match event {
            Event::ParticipantScreened(_) => screened += 1,
            Event::DataImported(imported) => {
                let File { columns, rows } = &files[imported.dataset.as_str()];
                let cells = &rows[usize::try_from(imported.row).unwrap()];
                for (column, cell) in columns.iter().zip(cells) {
                    assert_eq!(
                        text(&imported.record, column),
                        cell.get(),
                        "{} {}",
                        imported.dataset,
                        imported.row
                    );
                }
                seen += 1;
            }
            _ => {}
        }
    }
    assert_eq!(screened, 306);
    assert_eq!(seen, files.values().map(|file| file.rows.len()).sum::<usize>());
}
