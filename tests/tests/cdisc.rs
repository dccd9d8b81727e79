//! A real study, whole: imported, sealed, exported, verified, and compared with its files cell by cell.
//!
//! The files are those of the CDISC pilot study where this machine has them, and generated ones of the same shape and size
//! where it has not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use serde::Deserialize;
use serde_json::Value;
use trialseal_tests::{
    Engine, Rng, Role, Service, Table, Trial, Verifier, export, generated_study, on_both_engines, pilot_data,
    seed, unpack,
};

on_both_engines!(a_study_comes_out_as_it_went_in, numbers_keep_their_spelling);

/// Subjects of the generated study; with them it has as many rows as the pilot.
const SUBJECTS: u64 = 306;

/// The files of the study, participants first.
fn study() -> Vec<Vec<u8>> {
    let Some(pilot) = pilot_data() else {
        println!("CDISC pilot data: not here; a generated study of the same shape is used");
        return generated_study(SUBJECTS, &mut Rng::new(seed("study")));
    };
    println!("CDISC pilot data: found at {}", pilot.display());
    let mut paths: Vec<_> = fs::read_dir(pilot).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort_by_key(|path| (!path.ends_with("dm.json"), path.clone()));
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn a_study_comes_out_as_it_went_in(engine: Engine) {
    let files = study();
    let rows: usize = files.iter().map(|file| Table::parse(file).rows.len()).sum();
    assert!(rows > 90_000, "the study has {rows} rows only");
    // A seal a second, as in production: so large a record is not about many seals.
    let service = Service::start_with(engine, &[("TRIALSEAL_SEAL_INTERVAL_MS", "1000")]);
    let trial = Trial::register(&service, "CDISCPILOT01");
    let begun = Instant::now();
    import_all(&service, &trial, &files);
    let sealed = service.wait_until_sealed();
    println!("{engine:?}: {rows} rows imported and sealed in {:.1} s", begun.elapsed().as_secs_f64());
    assert!(sealed > rows as u64);

    let verifier = Verifier::of(&service);
    let begun = Instant::now();
    let zip = export(&service, &service.client(Role::Monitor), &trial.id);
    println!("{engine:?}: exported in {:.1} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let room = verifier.room("monitor");
    fs::write(room.join("../dataset.zip"), &zip).unwrap();
    verifier.dataset(&room.join("../dataset.zip")).assert_sound();
    println!("{engine:?}: verified in {:.1} s", begun.elapsed().as_secs_f64());
    unpack(&zip, &room);
    assert_tables_are_the_files(&room, &files);
    let imported = lines_of_rows(&room);
    assert_eq!(imported.len(), rows);
    assert_eq!(people_of(&room), Table::parse(&files[0]).rows.len(), "everybody in DM, once each");
    assert!(imported.values().all(|line| line.withheld.is_none()));
    verifier.log(&service.published()).assert_sound();

    let zip = export(&service, &service.client(Role::Researcher), &trial.id);
    let room = verifier.room("researcher");
    fs::write(room.join("../dataset.zip"), &zip).unwrap();
    verifier.dataset(&room.join("../dataset.zip")).assert_sound();
    unpack(&zip, &room);
    assert_nothing_is_shown(&room, rows);
}

/// A study that is small, and careless about numbers.
fn numbers_keep_their_spelling(engine: Engine) {
    let files = generated_study(3, &mut Rng::new(seed("numbers")));
    let service = Service::start(engine);
    let trial = Trial::register(&service, "NUMBERS-1");
    import_all(&service, &trial, &files);
    service.wait_until_sealed();
    let verifier = Verifier::of(&service);
    let room = verifier.room("monitor");
    unpack(&export(&service, &service.client(Role::Monitor), &trial.id), &room);
    verifier.dataset(&room).assert_sound();
    assert_tables_are_the_files(&room, &files);
}

fn import_all(service: &Service, trial: &Trial, files: &[Vec<u8>]) {
    for file in files {
        let table = Table::parse(file);
        let done = trial.import(service, file);
        assert_eq!(done["state"], "done", "{}: {done}", table.name);
        assert_eq!(done["rows"], table.rows.len(), "{}", table.name);
        assert_eq!(done["rowsRecorded"], table.rows.len(), "{}", table.name);
        // No consent is in the record, so every row about somebody is an exception.
        assert_eq!(done["exceptions"]["total"], table.rows.len(), "{}", table.name);
    }
}

/// Compares every cell of the exported tables with the bytes it had in its file.
fn assert_tables_are_the_files(room: &Path, files: &[Vec<u8>]) {
    let exported: Vec<Vec<u8>> = fs::read_dir(room.join("data"))
        .unwrap()
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect();
    let tables: Vec<Table<'_>> = exported.iter().map(|bytes| Table::parse(bytes)).collect();
    for file in files {
        let original = Table::parse(file);
        let table = tables.iter().find(|table| table.name == original.name);
        assert!(table.is_some(), "{} is not in the dataset", original.name);
        let table = table.unwrap();
        assert_eq!(table.records, original.rows.len(), "{}", original.name);
        assert_eq!(table.columns, original.columns, "{}", original.name);
        assert_eq!(table.rows.len(), original.rows.len(), "{}", original.name);
        for (number, (row, original_row)) in table.rows.iter().zip(&original.rows).enumerate() {
            let cells: Vec<&str> = row.iter().map(|cell| cell.get()).collect();
            let original_cells: Vec<&str> = original_row.iter().map(|cell| cell.get()).collect();
            assert_eq!(cells, original_cells, "{} row {number}", original.name);
        }
    }
}

/// A line of a record, as far as it is looked at here.
#[derive(Debug, Deserialize)]
struct Line {
    header: Option<Header>,
    data: Option<Value>,
    withheld: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Header {
    #[serde(rename = "type")]
    kind: String,
}

fn lines(room: &Path) -> Vec<Line> {
    let record = fs::read_to_string(room.join("record.ndjson")).unwrap();
    record.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The lines of the record that hold a row of a file, by dataset and place in it; none twice.
fn lines_of_rows(room: &Path) -> BTreeMap<(String, u64), Line> {
    let mut found = BTreeMap::new();
    for line in lines(room) {
        if line.header.as_ref().is_none_or(|header| header.kind != "data.imported") {
            continue;
        }
        let data = line.data.as_ref().unwrap();
        let place = (data["dataset"].as_str().unwrap().to_owned(), data["row"].as_u64().unwrap());
        assert!(found.insert(place.clone(), line).is_none(), "{place:?} stands twice in the record");
    }
    found
}

/// How many participants a record begins.
fn people_of(room: &Path) -> usize {
    let is_person = |line: &Line| line.header.as_ref().is_some_and(|it| it.kind == "participant.screened");
    lines(room).iter().filter(|line| is_person(line)).count()
}

/// A researcher's dataset of people who have consented to nothing.
fn assert_nothing_is_shown(room: &Path, rows: usize) {
    let mut withheld = 0;
    for line in lines(room) {
        let header = line.header.as_ref().unwrap();
        if header.kind == "data.imported" || header.kind == "participant.screened" {
            assert_eq!(line.withheld.as_deref(), Some("no-consent"), "{line:?}");
            assert!(line.data.is_none());
            withheld += usize::from(header.kind == "data.imported");
        }
    }
    assert_eq!(withheld, rows);
    for entry in fs::read_dir(room.join("data")).into_iter().flatten() {
        let table = fs::read(entry.unwrap().path()).unwrap();
        assert_eq!(Table::parse(&table).rows.len(), 0);
    }
}
