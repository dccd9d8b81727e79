//! The check of a dataset: as a folder and as a ZIP, whole and tampered with.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write as _};

use common::{Ledger, write};
use trialseal_seal::dataset::ExportKey;
use trialseal_verify::files::{Files, Folder, Zip};
use trialseal_verify::{Report, Verdict, dataset};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

type Contents = BTreeMap<String, Vec<u8>>;

fn key(ledger: &Ledger) -> ExportKey {
    ledger.export.export_key()
}

fn check(ledger: &Ledger, contents: &Contents) -> Report {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), contents);
    let mut files = Folder::open(folder.path()).unwrap();
    dataset("dataset", &mut files, &ledger.policy(), &key(ledger))
}

fn zipped(contents: &Contents) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in contents {
        writer.start_file(name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn findings(report: &Report) -> Vec<(&str, &str)> {
    report.findings().iter().map(|finding| (finding.record.as_str(), finding.code.as_str())).collect()
}

fn replace(contents: &mut Contents, name: &str, from: &str, to: &str) {
    let text = String::from_utf8(contents[name].clone()).unwrap();
    assert!(text.contains(from), "{name} has no {from}");
    contents.insert(name.into(), text.replacen(from, to, 1).into_bytes());
}

#[test]
fn a_sound_dataset_is_sound_in_a_folder_and_in_a_zip() {
    let ledger = Ledger::new(3);
    let contents = ledger.dataset();
    let mut archive = Zip::open(Cursor::new(zipped(&contents))).unwrap();
    let from_zip = dataset("dataset", &mut archive, &ledger.policy(), &key(&ledger));
    let from_folder = check(&ledger, &contents);
    assert_eq!(findings(&from_folder), []);
    assert_eq!(from_folder, from_zip);
    let fact = |name| from_zip.facts().iter().find(|fact| fact.name == name).unwrap().value.clone();
    assert_eq!((fact("events"), fact("shownWhole"), fact("cellsTraced")), (3.into(), 3.into(), 6.into()));
    assert_eq!((fact("cellsNotTraced"), fact("tableRows"), fact("seal")), (0.into(), 3.into(), 2.into()));
}

#[test]
fn a_flipped_byte_is_never_sound_and_its_file_is_named() {
    let ledger = Ledger::new(2);
    let contents = ledger.dataset();
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &contents);
    for (name, bytes) in &contents {
        let path = folder.path().join(name);
        for place in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << (place % 8);
            fs::write(&path, flipped).unwrap();
            let mut files = Folder::open(folder.path()).unwrap();
            let report = dataset("dataset", &mut files, &ledger.policy(), &key(&ledger));
            assert_eq!(report.verdict(), Verdict::NotSound, "{name} byte {place}");
            let named = findings(&report).iter().any(|(record, _)| record.starts_with(name.as_str()));
            assert!(named, "{name} byte {place}: {:?}", findings(&report));
        }
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn a_damaged_archive_never_gives_other_content() {
    let ledger = Ledger::new(2);
    let archive = zipped(&ledger.dataset());
    let sound = {
        let mut files = Zip::open(Cursor::new(archive.clone())).unwrap();
        dataset("dataset", &mut files, &ledger.policy(), &key(&ledger))
    };
    assert_eq!(sound.verdict(), Verdict::Sound);
    for place in 0..archive.len() {
        let mut flipped = archive.clone();
        flipped[place] ^= 1 << (place % 8);
        // A flip in a time stamp of the archive changes nothing that is checked; all others are found.
        if let Ok(mut files) = Zip::open(Cursor::new(flipped)) {
            let report = dataset("dataset", &mut files, &ledger.policy(), &key(&ledger));
            assert!(report.verdict() != Verdict::Sound || report == sound, "byte {place}");
        }
    }
}

#[test]
fn a_changed_event_is_named_even_where_the_exporter_signed_it() {
    let ledger = Ledger::new(2);
    let mut contents = ledger.dataset();
    replace(&mut contents, "record.ndjson", "38.0", "39.0");
    let report = check(&ledger, &ledger.signed(contents));
    let found = findings(&report);
    assert!(found[0].0.starts_with("record.ndjson line 1 (event 019b76da-"), "{found:?}");
    assert_eq!(found[0].1, "data-root");
}

#[test]
fn tables_say_what_the_record_says() {
    let ledger = Ledger::new(2);
    let tampered = |name: &str, from: &str, to: &str| {
        let mut contents = ledger.dataset();
        replace(&mut contents, name, from, to);
        let report = check(&ledger, &ledger.signed(contents));
        let found = findings(&report);
        found.into_iter().map(|(record, code)| format!("{record}: {code}")).collect::<Vec<_>>()
    };
    let table = "data/lb.json";
    assert_eq!(tampered(table, "38.0", "38.00"), ["data/lb.json row 0 column RESULT: cell-differs"]);
    assert_eq!(tampered(table, "38.0", "38"), ["data/lb.json row 0 column RESULT: cell-differs"]);
    assert_eq!(tampered(table, "\"T1\"", "null"), ["data/lb.json row 1 column TEST: cell-differs"]);
    assert_eq!(
        tampered(table, ",[\"T2\",7]", ""),
        ["data/lb.json row 2: lineage-row-unknown", "data/lb.json: table-malformed"]
    );
    assert_eq!(
        tampered(table, "[\"T2\",7]", "[\"T2\",7],[\"T3\",8]"),
        ["data/lb.json: table-malformed", "data/lb.json row 3: lineage-row-missing"]
    );
    assert_eq!(tampered(table, "[\"T2\",7]", "[\"T2\",7,8]"), ["data/lb.json row 2: table-malformed"]);
    assert!(tampered(table, "[[", "[").contains(&"data/lb.json: table-malformed".to_owned()));
    let lineage = "lineage.ndjson";
    assert_eq!(
        tampered(lineage, "/record/TEST", "/record/NONE"),
        ["data/lb.json row 0 column TEST: lineage-field-hidden"]
    );
    assert_eq!(
        tampered(lineage, "\"row\":1", "\"row\":0"),
        [
            "data/lb.json row 0: lineage-row-twice",
            "data/lb.json row 0 column RESULT: cell-differs",
            "data/lb.json row 0 column TEST: cell-differs",
            "data/lb.json row 1: lineage-row-missing"
        ]
    );
    assert_eq!(tampered(lineage, "[[0,", "[[9,")[0], "lineage.ndjson line 1: index-outside");
    assert_eq!(tampered(lineage, "data/lb.json", "data/xx.json")[0], "lineage.ndjson line 1: file-missing");
    assert_eq!(tampered(lineage, "{", "[")[0], "lineage.ndjson line 1: not-json");
    assert_eq!(
        tampered(lineage, "\"TEST\"", "\"TOAST\""),
        ["data/lb.json row 0 column TOAST: lineage-column-unknown"]
    );
}

#[test]
fn what_is_shown_in_part_or_withheld_is_counted_and_not_traced_to() {
    let ledger = Ledger::new(2);
    let mut contents = ledger.dataset();
    let text = String::from_utf8(contents["record.ndjson"].clone()).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let mut second: serde_json::Value = serde_json::from_str(&lines[1]).unwrap();
    second.as_object_mut().unwrap().retain(|name, _| name == "header");
    second["withheld"] = "no-consent".into();
    lines[1] = second.to_string();
    contents.insert("record.ndjson".into(), (lines.join("\n") + "\n").into_bytes());
    let report = check(&ledger, &ledger.signed(contents));
    assert_eq!(
        findings(&report),
        [
            ("data/lb.json row 1 column RESULT", "lineage-field-hidden"),
            ("data/lb.json row 1 column TEST", "lineage-field-hidden")
        ]
    );
    let withheld = report.facts().iter().find(|fact| fact.name == "withheld").unwrap();
    assert_eq!(withheld.value, 1);
}

#[cfg(unix)]
#[test]
fn links_and_special_files_are_refused() {
    let ledger = Ledger::new(1);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &ledger.dataset());
    let elsewhere = folder.path().join("../head-of-elsewhere.json");
    fs::rename(folder.path().join("head.json"), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, folder.path().join("head.json")).unwrap();
    let mut files = Folder::open(folder.path()).unwrap();
    assert!(!files.names().contains(&"head.json".to_owned()));
    let report = dataset("dataset", &mut files, &ledger.policy(), &key(&ledger));
    fs::remove_file(elsewhere).unwrap();
    assert_eq!(findings(&report)[0], ("head.json", "file-link"));
    assert_eq!(report.verdict(), Verdict::NotSound);
}
