//! Every vector of the format, through the library and through the built program, which have to agree.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::{program, published, vector, vectors};
use serde_json::Value;
use trialseal_seal::absence::Absence;
use trialseal_seal::dataset::ExportKey;
use trialseal_seal::event::Header;
use trialseal_seal::growth::Growth;
use trialseal_seal::policy::Policy;
use trialseal_seal::receipt::Receipt;
use trialseal_seal::seal::Seal;
use trialseal_seal::time::Timestamp;
use trialseal_seal::{Code, Refused};
use trialseal_verify::files::Folder;
use trialseal_verify::{Report, absence, dataset, growth, receipt};

/// The findings of a printed report: the record and the code of each.
fn findings(report: &Value) -> Vec<(&str, &str)> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.map(|it| (it["record"].as_str().unwrap(), it["code"].as_str().unwrap())).collect()
}

/// Checks one document both ways and gives the exit code and the report.
fn document(
    kind: &str,
    check: fn(&str, &[u8], &Policy) -> Report,
    document: &Value,
    policy: &str,
) -> (i32, Value) {
    let folder = tempfile::tempdir().unwrap();
    let [file, policy_file] = ["document.json", "policy.txt"].map(|name| folder.path().join(name));
    let text = serde_json::to_vec(document).unwrap();
    fs::write(&file, &text).unwrap();
    fs::write(&policy_file, policy).unwrap();
    let file = file.to_str().unwrap();
    let (code, printed) = program(&[kind, file, "--policy", policy_file.to_str().unwrap()]);
    if let Ok(policy) = Policy::parse(policy) {
        let report = check(file, &text, &policy);
        assert_eq!(i32::from(report.verdict().exit_code()), code);
        assert_eq!(serde_json::to_value(&report).unwrap(), printed);
    }
    (code, printed)
}

/// Asserts that a document is refused, first for this reason, and every finding names this record.
fn assert_refused(why: &Value, (code, report): (i32, Value), record: &str, reason: &Refused) {
    assert_eq!(code, 1, "{why}");
    let findings = findings(&report);
    assert_eq!(findings[0], (record, reason.code().as_str()), "{why}");
    assert!(findings.iter().all(|(found, _)| *found == record), "{why}: {findings:?}");
}

#[test]
fn receipts() {
    let accepted = vector("receipts.json");
    let policy = accepted["policy"].as_str().unwrap();
    for case in accepted["receipts"].as_array().unwrap() {
        let (code, report) = document("receipt", receipt, case, policy);
        assert_eq!((code, findings(&report)), (0, vec![]));
    }
    let refused = vector("receipts-refused.json");
    let cases = refused["receipts"].as_array().unwrap();
    assert!(cases.len() > 100);
    for case in cases {
        let (why, policy) = (&case["why"], case["policy"].as_str().or(refused["policy"].as_str()).unwrap());
        let found = document("receipt", receipt, &case["receipt"], policy);
        let Ok(policy) = Policy::parse(policy) else {
            // A policy that cannot be used decides nothing.
            assert_eq!((found.0, findings(&found.1)), (2, vec![("the policy", "policy-unusable")]), "{why}");
            continue;
        };
        let reason = Receipt::from_value(&case["receipt"]).and_then(|receipt| receipt.verify(&policy));
        let record = Header::parse(&case["receipt"]["header"]).map_or("receipt".to_owned(), |header| {
            format!("event {} of trial {} ({})", header.trialseq, header.trial, header.id)
        });
        assert_refused(why, found, &record, &reason.unwrap_err());
    }
}

#[test]
fn receipts_under_other_policies() {
    let cases = vector("receipts.json")["otherPolicies"].as_array().unwrap().clone();
    assert!(!cases.is_empty());
    for case in &cases {
        let policy = case["policy"].as_str().unwrap();
        let (code, report) = document("receipt", receipt, &case["receipt"], policy);
        assert_eq!((code, findings(&report)), (0, vec![]), "{policy}");
        let expected = case["publicBy"].as_i64().map_or_else(
            || "time unknown: the policy asks for no witnesses".to_owned(),
            |seconds| Timestamp::from_micros(seconds * 1_000_000).to_string(),
        );
        assert_eq!(report["facts"]["publicBy"], expected, "{policy}");
    }
}

#[test]
fn growth_and_absence() {
    let all = vector("growth-absence.json");
    let policy = all["policy"].as_str().unwrap();
    let parsed = Policy::parse(policy).unwrap();
    let cases = |name: &str| all[name].as_array().unwrap().clone();
    for case in cases("growth") {
        assert_eq!(document("growth", growth, &case, policy).0, 0);
    }
    for case in cases("absence") {
        assert_eq!(document("absence", absence, &case, policy).0, 0);
    }
    for case in cases("growthRefused") {
        let it = &case["growth"];
        let read = Growth::from_value(it);
        let record = read.as_ref().map_or("growth proof".to_owned(), |read| {
            let (from, to) = (&read.from, &read.to);
            format!("growth of trial {} from seal {} to seal {}", to.head.trial, from.seal.seal, to.seal.seal)
        });
        let reason = read.and_then(|growth| growth.verify(&parsed)).unwrap_err();
        assert_refused(&case["why"], document("growth", growth, it, policy), &record, &reason);
    }
    for case in cases("absenceRefused") {
        let it = &case["absence"];
        let read = Absence::from_value(it);
        let record = read.as_ref().map_or("proof of absence".to_owned(), |read| {
            format!("absence of trial {} as of seal {}", read.trial, read.seal.seal.seal)
        });
        let reason = read.and_then(|absence| absence.verify(&parsed)).unwrap_err();
        assert_refused(&case["why"], document("absence", absence, it, policy), &record, &reason);
    }
}

#[test]
fn a_quorum_that_silent_witnesses_could_meet_is_left_open_in_documents() {
    let all = vector("growth-absence.json");
    let (key, line) = common::ml_dsa_witness();
    let policy = all["policy"].as_str().unwrap();
    let policy =
        policy.replace("quorum two", &format!("witness pq {key}\ngroup more all two pq\nquorum more"));
    let mut case = all["absence"][0].clone();
    let (code, report) = document("absence", absence, &case, &policy);
    assert_eq!((code, findings(&report)[0].1), (1, Code::Quorum.as_str()), "it did not sign");
    assert_eq!(report["facts"]["silentWitnesses"], "pq");
    case["sealProof"] = (case["sealProof"].as_str().unwrap().to_owned() + &line).into();
    let (code, report) = document("absence", absence, &case, &policy);
    assert_eq!((code, findings(&report)[0].1), (2, Code::QuorumUnknown.as_str()));
    assert_eq!(report["facts"]["silentWitnesses"], "pq");
    // What is wrong beside it outweighs it.
    case["headProof"].as_array_mut().unwrap().push("11".repeat(32).into());
    assert_eq!(document("absence", absence, &case, &policy).0, 1);
}

#[test]
fn a_document_of_too_many_values_is_not_read() {
    let policy = vector("receipts.json")["policy"].as_str().unwrap().to_owned();
    let many = Value::from(vec![0; trialseal_seal::canonical::MAX_VALUES]);
    let (code, report) = document("receipt", receipt, &many, &policy);
    assert_eq!((code, findings(&report)), (2, vec![("receipt", "too-many-values")]));
}

/// Checks a dataset in a folder both ways and gives the exit code and the report.
fn dataset_folder(folder: &Path, policy: &str, export_key: &str) -> (i32, Value) {
    let outside = tempfile::tempdir().unwrap();
    let policy_file = outside.path().join("policy.txt");
    fs::write(&policy_file, policy).unwrap();
    let (path, policy_file) = (folder.to_str().unwrap(), policy_file.to_str().unwrap());
    let (code, printed) = program(&["dataset", path, "--policy", policy_file, "--export-key", export_key]);
    if let Ok(key) = export_key.trim_end().parse::<ExportKey>() {
        let report =
            dataset(path, &mut Folder::open(folder).unwrap(), &Policy::parse(policy).unwrap(), &[key], &[]);
        assert_eq!(serde_json::to_value(&report).unwrap(), printed);
    }
    (code, printed)
}

/// The kinds of findings, each once, with the record that is met first.
fn kinds(report: &Value) -> String {
    let mut kinds: Vec<(&str, &str)> = Vec::new();
    for (record, code) in findings(report) {
        if kinds.iter().all(|(_, known)| *known != code) {
            kinds.push((record.split(" (").next().unwrap(), code));
        }
    }
    kinds.iter().map(|(record, code)| format!("{record}: {code}")).collect::<Vec<_>>().join(", ")
}

#[test]
fn datasets() {
    let key_file = vectors().join("dataset-export.vkey");
    let key = fs::read_to_string(&key_file).unwrap();
    let policy = fs::read_to_string(vectors().join("dataset/policy.txt")).unwrap();
    assert_eq!(dataset_folder(&vectors().join("dataset"), &policy, &key).0, 0);

    let refused = vector("datasets-refused.json");
    let policy = refused["policy"].as_str().unwrap();
    let mut found = Vec::new();
    for case in refused["datasets"].as_array().unwrap() {
        let why = case["why"].as_str().unwrap();
        let key = case["exportKey"].as_str().unwrap();
        // A key that cannot be used decides nothing.
        let expected = if key.parse::<ExportKey>().is_ok() { 1 } else { 2 };
        let files = case["files"].as_object().unwrap();
        // Names that no folder can hold are given in a ZIP.
        let zipped = zip_of(files);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("dataset.zip"), zipped).unwrap();
        fs::write(folder.path().join("policy.txt"), policy).unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (zip, policy_file) = (at("dataset.zip"), at("policy.txt"));
        let (code, in_zip) = program(&["dataset", &zip, "--policy", &policy_file, "--export-key", key]);
        assert_eq!(code, expected, "{why}, in a ZIP");
        if !files.keys().any(|name| name.contains("./") || name.starts_with('/')) {
            let folder = tempfile::tempdir().unwrap();
            let files =
                files.iter().map(|(name, text)| (name.clone(), text.as_str().unwrap().into())).collect();
            common::write(folder.path(), &files);
            let (code, in_folder) = dataset_folder(folder.path(), policy, key);
            assert_eq!(code, expected, "{why}, in a folder");
            assert_eq!(in_folder["findings"], in_zip["findings"], "{why}");
        }
        found.push((why.to_owned(), kinds(&in_zip)));
    }
    let found: Vec<_> = found.iter().map(|(why, kinds)| (why.as_str(), kinds.as_str())).collect();
    assert_eq!(found, REFUSED_DATASETS);
}

/// What is wrong, and the kinds of findings with where each is met first.
const REFUSED_DATASETS: &[(&str, &str)] = &[
    ("last line missing", "record.ndjson: record-size"),
    (
        "a line twice",
        "record.ndjson line 4: record-place, record.ndjson line 4: record-id-twice, record.ndjson line 4: stream-order, record.ndjson: record-size",
    ),
    ("two lines swapped", "record.ndjson line 2: record-place, record.ndjson: record-root"),
    ("data changed", "record.ndjson line 1: data-root"),
    ("array turned into an object", "record.ndjson line 1: data-root"),
    ("secret changed", "record.ndjson line 1: data-root"),
    ("unknown reason for withholding", "record.ndjson line 3: withheld"),
    ("line with a member more", "record.ndjson line 3: member-unknown"),
    ("head of an earlier seal", "record.ndjson: record-size"),
    ("head of another trial", "record.ndjson line 1: head-of-another-trial, record.ndjson: record-size"),
    ("one leaf that is the root", "record.ndjson: record-size"),
    ("header of a withheld event changed", "record.ndjson: record-root"),
    ("shown value changed", "record.ndjson line 4: data-root"),
    ("two hidden fields joined", "record.ndjson line 4: data-root"),
    ("head's seal not witnessed", "head.json: quorum"),
    ("head's map proof changed", "head.json: map-root-differs"),
    ("head with a member more", "head.json: member-unknown"),
    (
        "backslash in a path",
        "manifest.dsse.json: file-path, lineage.ndjson: lineage, lineage.ndjson: not-checked",
    ),
    ("two paths equal but for case", "manifest.dsse.json: file-twice, lineage.ndjson: not-checked"),
    ("dot segment", "manifest.dsse.json: file-path, lineage.ndjson: not-checked"),
    ("file of no known name", "manifest.dsse.json: file-unknown"),
    ("tables without lineage", "lineage.ndjson: lineage"),
    ("another payload type", "manifest.dsse.json: envelope"),
    ("another statement type", "manifest.dsse.json: statement"),
    ("log key as the export key", "the policy and the export key: key-reused"),
    ("export key with a wrong id", "the export key: export-key-unusable"),
    ("record with a BOM", "record.ndjson line 1: byte-order-mark"),
    ("record with CRLF", "record.ndjson line 1: line-ending"),
    ("record without the last newline, signed", "record.ndjson line 17: line-ending"),
    (
        "signed by the ledger all the same: event dated after the seal",
        "record.ndjson line 3: event-after-seal, record.ndjson line 4: record-time",
    ),
    ("signed by the ledger all the same: time goes back in the record", "record.ndjson line 3: record-time"),
    ("signed by the ledger all the same: gap in a stream", "record.ndjson line 4: stream-order"),
    ("signed by the ledger all the same: stream place twice", "record.ndjson line 3: stream-order"),
    ("signed by the ledger all the same: place claimed twice", "record.ndjson line 3: record-place"),
    ("signed by another key", "manifest.dsse.json: manifest-signature"),
    ("export key of another ledger", "the export key: another-ledger"),
    ("export key given as a note key", "the export key: export-key-unusable"),
    ("file changed after signing", "policy.txt: file-differs"),
    ("file not in the manifest", "ro-crate-metadata.json: file-not-listed"),
    ("file of the manifest missing", "policy.txt: file-missing"),
    ("file listed twice", "manifest.dsse.json: file-twice"),
    ("path that leaves the folder", "manifest.dsse.json: file-path"),
    ("absolute path", "manifest.dsse.json: file-path"),
    ("manifest of another kind", "manifest.dsse.json: statement"),
    ("record cut by a byte", "record.ndjson line 17: line-ending, record.ndjson: file-differs"),
];

fn zip_of(files: &serde_json::Map<String, Value>) -> Vec<u8> {
    use std::io::Write as _;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in files {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_str().unwrap().as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Ledgers, published as logs. What only the heads show (counts, maps, trials that shrink) a log alone cannot.
#[test]
fn ledgers() {
    let vectors = vector("ledgers.json");
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.txt");
    fs::write(&policy, vectors["policy"].as_str().unwrap()).unwrap();
    let check = |ledger: &Value| {
        let seals: Vec<_> =
            ledger["seals"].as_array().unwrap().iter().map(|it| Seal::parse(&it[0]).unwrap()).collect();
        let notes = ledger["notes"].as_object().unwrap().iter();
        let notes: BTreeMap<u64, String> =
            notes.map(|(size, note)| (size.parse().unwrap(), note.as_str().unwrap().to_owned())).collect();
        let log = tempfile::tempdir().unwrap();
        common::write(log.path(), &published(&seals, notes));
        let log = log.path().to_str().unwrap();
        let (code, report) = program(&["log", log, "--policy", policy.to_str().unwrap()]);
        assert_eq!(code, i32::from(!findings(&report).is_empty()));
        kinds(&report)
    };
    for ledger in vectors["accepted"].as_array().unwrap() {
        assert_eq!(check(ledger), "");
    }
    let refused = vectors["refused"].as_array().unwrap().iter();
    let found: Vec<_> = refused.map(|it| (it["why"].as_str().unwrap(), check(it))).collect();
    let found: Vec<_> = found.iter().map(|(why, kinds)| (*why, kinds.as_str())).collect();
    let expected = [
        ("prior is of no note", "seal 2: prior-unknown"),
        ("prior is zero again", "seal 2: prior-back"),
        ("time goes back", "seal 2: seal-time"),
        ("number skipped", "seal 2: seal-number"),
        ("event count wrong", ""),
        ("trial count wrong", ""),
        ("map of other heads", ""),
        ("another ledger's name", "seal 2: another-ledger"),
        ("note of another tree", "notes/003: note-of-another-tree, checkpoint: root-differs"),
        ("note not witnessed", "checkpoint: quorum"),
        ("a trial shrank", ""),
    ];
    assert_eq!(found, expected);
}
