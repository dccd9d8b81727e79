//! Every vector of the format, through the library and through the built program, which have to agree.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{vector, vectors};
use serde_json::Value;
use trialseal_seal::dataset::ExportKey;
use trialseal_seal::policy::Policy;
use trialseal_verify::files::Folder;
use trialseal_verify::{Report, absence, dataset, growth, receipt};

/// Runs the built program and gives its exit code, and the report it printed.
fn program(arguments: &[&str]) -> (i32, Value) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_trialseal-verify")).args(arguments).arg("--json").output().unwrap();
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

/// Checks one document both ways and gives the exit code.
fn document(kind: &str, check: fn(&str, &[u8], &Policy) -> Report, document: &Value, policy: &str) -> i32 {
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
    } else {
        assert_eq!(code, 2, "a policy that cannot be used decides nothing");
    }
    code
}

#[test]
fn receipts() {
    let accepted = vector("receipts.json");
    let policy = accepted["policy"].as_str().unwrap();
    for case in accepted["receipts"].as_array().unwrap() {
        assert_eq!(document("receipt", receipt, case, policy), 0);
    }
    let refused = vector("receipts-refused.json");
    let cases = refused["receipts"].as_array().unwrap();
    assert!(cases.len() > 100);
    for case in cases {
        let policy = case["policy"].as_str().or(refused["policy"].as_str()).unwrap();
        let code = document("receipt", receipt, &case["receipt"], policy);
        let expected = if Policy::parse(policy).is_ok() { 1 } else { 2 };
        assert_eq!(code, expected, "{}", case["why"]);
    }
}

#[test]
fn growth_and_absence() {
    let all = vector("growth-absence.json");
    let policy = all["policy"].as_str().unwrap();
    let cases = |name: &str| all[name].as_array().unwrap().clone();
    for case in cases("growth") {
        assert_eq!(document("growth", growth, &case, policy), 0);
    }
    for case in cases("absence") {
        assert_eq!(document("absence", absence, &case, policy), 0);
    }
    for case in cases("growthRefused") {
        assert_eq!(document("growth", growth, &case["growth"], policy), 1, "{}", case["why"]);
    }
    for case in cases("absenceRefused") {
        assert_eq!(document("absence", absence, &case["absence"], policy), 1, "{}", case["why"]);
    }
}

/// Checks a dataset in a folder both ways and gives the exit code.
fn dataset_folder(folder: &Path, policy: &str, export_key: &str) -> i32 {
    let outside = tempfile::tempdir().unwrap();
    let policy_file = outside.path().join("policy.txt");
    fs::write(&policy_file, policy).unwrap();
    let (path, policy_file) = (folder.to_str().unwrap(), policy_file.to_str().unwrap());
    let (code, printed) = program(&["dataset", path, "--policy", policy_file, "--export-key", export_key]);
    if let Ok(key) = export_key.trim_end().parse::<ExportKey>() {
        let report = dataset(path, &mut Folder::open(folder).unwrap(), &Policy::parse(policy).unwrap(), &key);
        assert_eq!(serde_json::to_value(&report).unwrap(), printed);
    } else {
        assert_eq!(code, 2, "a key that cannot be used decides nothing");
    }
    code
}

#[test]
fn datasets() {
    let key_file = vectors().join("dataset-export.vkey");
    let key = fs::read_to_string(&key_file).unwrap();
    let policy = fs::read_to_string(vectors().join("dataset/policy.txt")).unwrap();
    assert_eq!(dataset_folder(&vectors().join("dataset"), &policy, &key), 0);

    let refused = vector("datasets-refused.json");
    let policy = refused["policy"].as_str().unwrap();
    for case in refused["datasets"].as_array().unwrap() {
        let why = case["why"].as_str().unwrap();
        let key = case["exportKey"].as_str().unwrap();
        let expected = if key.parse::<ExportKey>().is_ok() { 1 } else { 2 };
        let files = case["files"].as_object().unwrap();
        // Names that no folder can hold are given in a ZIP.
        let zipped = zip_of(files);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("dataset.zip"), zipped).unwrap();
        fs::write(folder.path().join("policy.txt"), policy).unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (zip, policy_file) = (at("dataset.zip"), at("policy.txt"));
        let (code, _) = program(&["dataset", &zip, "--policy", &policy_file, "--export-key", key]);
        assert_eq!(code, expected, "{why}, in a ZIP");
        if !files.keys().any(|name| name.contains("./") || name.starts_with('/')) {
            let folder = tempfile::tempdir().unwrap();
            let files =
                files.iter().map(|(name, text)| (name.clone(), text.as_str().unwrap().into())).collect();
            common::write(folder.path(), &files);
            assert_eq!(dataset_folder(folder.path(), policy, key), expected, "{why}, in a folder");
        }
    }
}

fn zip_of(files: &serde_json::Map<String, Value>) -> Vec<u8> {
    use std::io::Write as _;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in files {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_str().unwrap().as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}
