//! The check of a dataset: as a folder and as a ZIP, whole and tampered with.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write as _};

use common::{Ledger, ORIGIN, write};
use trialseal_seal::dataset::{ExportKey, ExportSigner};
use trialseal_seal::note::{KeyKind, Signer};
use trialseal_seal::policy::Policy;
use trialseal_verify::files::{Files, Folder, Zip};
use trialseal_verify::{Report, Verdict, dataset};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

type Contents = BTreeMap<String, Vec<u8>>;

fn key(ledger: &Ledger) -> ExportKey {
    ledger.export.export_key()
}

fn check(ledger: &Ledger, contents: &Contents) -> Report {
    check_with(contents, &ledger.policy(), &key(ledger))
}

fn check_with(contents: &Contents, policy: &Policy, key: &ExportKey) -> Report {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), contents);
    dataset("dataset", &mut Folder::open(folder.path()).unwrap(), policy, std::slice::from_ref(key), &[])
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
    let from_zip = dataset("dataset", &mut archive, &ledger.policy(), &[key(&ledger)], &[]);
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
            let report = dataset("dataset", &mut files, &ledger.policy(), &[key(&ledger)], &[]);
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
        dataset("dataset", &mut files, &ledger.policy(), &[key(&ledger)], &[])
    };
    assert_eq!(sound.verdict(), Verdict::Sound);
    for place in 0..archive.len() {
        let mut flipped = archive.clone();
        flipped[place] ^= 1 << (place % 8);
        // A flip in a time stamp of the archive changes nothing that is checked; all others are found.
        if let Ok(mut files) = Zip::open(Cursor::new(flipped)) {
            let report = dataset("dataset", &mut files, &ledger.policy(), &[key(&ledger)], &[]);
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
fn what_is_wrong_is_found_whatever_else_is() {
    let ledger = Ledger::new(2);
    let mut contents = ledger.dataset();
    replace(&mut contents, "record.ndjson", "38.0", "39.0");
    replace(&mut contents, "policy.txt", "quorum w", "quorum none");
    let event = "record.ndjson line 1 (event 019b76da-abe8-79c3-bf62-c66415e96cb0)";
    let files = [(event, "data-root"), ("record.ndjson", "file-differs"), ("policy.txt", "file-differs")];
    let no_lineage = [("lineage.ndjson", "not-checked")];

    // The head does not hold: files are compared with the manifest, and the record with the head as it is.
    let other = Signer::new(ORIGIN, KeyKind::Ed25519, &[9; 32]).unwrap().verifier_key();
    let other = Policy::parse(&Policy::text_for_log(&other)).unwrap();
    let report = check_with(&contents, &other, &key(&ledger));
    let head = [("head.json", "log-signature-missing")];
    assert_eq!(findings(&report), [&head[..], &files, &no_lineage].concat());
    // The manifest does not: the head is held against the policy.
    let stranger = ExportSigner::new(ORIGIN, &[8; 32]).unwrap().export_key();
    let report = check_with(&contents, &other, &stranger);
    let manifest = [("manifest.dsse.json", "manifest-signature")];
    assert_eq!(findings(&report), [&manifest[..], &head, &files[..1], &no_lineage].concat());
    assert!(report.facts().iter().all(|fact| fact.name != "cellsTraced"), "no table was read");
    // Both do, and everything of one line is listed.
    replace(&mut contents, "record.ndjson", "\"trial\":\"DEMO-1\"", "\"trial\":\"DEMO-2\"");
    let report = check(&ledger, &contents);
    assert_eq!(
        findings(&report)[..4],
        [
            (event, "head-of-another-trial"),
            (event, "data-root"),
            ("record.ndjson", "record-root"),
            ("record.ndjson", "file-differs")
        ]
    );
}

#[test]
fn each_thing_is_said_once() {
    let ledger = Ledger::new(2);
    let mut contents = ledger.dataset();
    contents.insert("data/extra.json".into(), b"{}".to_vec());
    assert_eq!(findings(&check(&ledger, &contents)), [("data/extra.json", "file-not-listed")]);
    contents.remove("data/extra.json");
    contents.remove("record.ndjson");
    contents.get_mut("lineage.ndjson").unwrap().push(b'\n');
    assert_eq!(
        findings(&check(&ledger, &contents)),
        [
            ("record.ndjson", "file-missing"),
            ("lineage.ndjson", "file-differs"),
            ("lineage.ndjson", "not-checked")
        ]
    );
}

#[test]
fn a_key_that_serves_two_purposes_is_the_readers_own_matter() {
    let ledger = Ledger::new(1);
    let contents = ledger.dataset();
    let same = Signer::new(ORIGIN, KeyKind::Cosignature, &[3; 32]).unwrap().verifier_key();
    let policy = ledger.policy_text().replace("quorum", &format!("witness other {same}\nquorum"));
    let report = check_with(&contents, &Policy::parse(&policy).unwrap(), &key(&ledger));
    assert_eq!(findings(&report), [("the policy and the export key", "key-reused")]);
}

#[test]
fn tables_may_lie_at_any_depth() {
    let ledger = Ledger::new(1);
    let mut contents = ledger.dataset();
    let deep = format!("data/{}x.csv", (0..60).fold(String::new(), |path, n| format!("{path}{n}/")));
    contents.insert(deep, b"a,b\n".to_vec());
    let contents = ledger.signed(contents);
    let mut archive = Zip::open(Cursor::new(zipped(&contents))).unwrap();
    let from_zip = dataset("dataset", &mut archive, &ledger.policy(), &[key(&ledger)], &[]);
    assert_eq!(findings(&from_zip), []);
    assert_eq!(check(&ledger, &contents), from_zip);
}

#[test]
fn a_member_that_cannot_be_unpacked_here_is_not_missing() {
    let ledger = Ledger::new(1);
    let contents = ledger.dataset();
    let mut archive = zipped(&contents);
    // Its method becomes one that is not known here, in its own header and in the directory.
    for (signature, method) in [(&b"PK\x03\x04"[..], 8), (b"PK\x01\x02", 10)] {
        let name = if method == 8 { 30 } else { 46 };
        let start = (0..archive.len()).find(|at| {
            archive[*at..].starts_with(signature) && archive[at + name..].starts_with(b"data/lb.json")
        });
        archive[start.unwrap() + method] = 95;
    }
    let mut files = Zip::open(Cursor::new(archive)).unwrap();
    let report = dataset("dataset", &mut files, &ledger.policy(), &[key(&ledger)], &[]);
    assert_eq!(
        (report.verdict(), findings(&report)),
        (Verdict::CannotTell, vec![("data/lb.json", "unsupported")])
    );
}

#[test]
fn what_is_too_large_to_read_is_not_called_wrong() {
    let ledger = Ledger::new(1);
    let mut contents = ledger.dataset();
    let many = format!("\"data\":{{\"x\":[{}0],", "0,".repeat(trialseal_seal::canonical::MAX_VALUES));
    replace(&mut contents, "record.ndjson", "\"data\":{", &many);
    let report = check(&ledger, &ledger.signed(contents));
    assert_eq!(report.verdict(), Verdict::CannotTell);
    assert_eq!(
        findings(&report),
        [("record.ndjson line 1", "too-many-values"), ("lineage.ndjson", "not-checked")]
    );

    // Its digest is compared all the same.
    let mut contents = ledger.dataset();
    let long = format!("[\"{}\",38.0]", "x".repeat(9 << 20));
    replace(&mut contents, "data/lb.json", "[\"T0\",38.0]", &long);
    let report = check(&ledger, &ledger.signed(contents.clone()));
    assert_eq!(
        (report.verdict(), findings(&report)),
        (Verdict::CannotTell, vec![("data/lb.json", "too-large")])
    );
    let report = check(&ledger, &contents);
    assert_eq!(findings(&report), [("data/lb.json", "file-differs"), ("data/lb.json", "too-large")]);

    let mut contents = ledger.dataset();
    let lineage = format!("{{\"x\":[{}0],", "0,".repeat(trialseal_seal::canonical::MAX_VALUES));
    replace(&mut contents, "lineage.ndjson", "{", &lineage);
    let report = check(&ledger, &ledger.signed(contents));
    let expected = vec![("lineage.ndjson line 1", "too-many-values")];
    assert_eq!((report.verdict(), findings(&report)), (Verdict::CannotTell, expected));
}

#[test]
fn a_line_of_a_large_event_is_read() {
    let ledger = Ledger::new(1);
    let mut contents = ledger.dataset();
    let large = format!("\"data\":{{\"x\":[{}0],", "\"0123456789\",".repeat(100_000));
    replace(&mut contents, "record.ndjson", "\"data\":{", &large);
    assert!(contents["record.ndjson"].len() > 1_200_000);
    let report = check(&ledger, &ledger.signed(contents));
    // It is not the event that was sealed, and is read and followed to the end.
    let found = findings(&report);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].1, "data-root");
}

#[cfg(unix)]
#[test]
fn one_of_several_export_keys_has_to_have_signed() {
    let ledger = Ledger::new(1);
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("dataset"), &ledger.dataset());
    fs::write(folder.path().join("policy"), ledger.policy_text()).unwrap();
    let other = |seed| ExportSigner::new(ORIGIN, &[seed; 32]).unwrap().export_key();
    let run = |keys: String| {
        fs::write(folder.path().join("keys"), keys).unwrap();
        let arguments = ["dataset", "dataset", "--policy", "policy", "--export-key", "keys"];
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_trialseal-verify"));
        program.args(arguments).current_dir(folder.path()).output().unwrap().status.code().unwrap()
    };
    assert_eq!(run(format!("{}\n{}\n", other(8), key(&ledger))), 0);
    assert_eq!(run(format!("{}\r\n{}", key(&ledger), other(8))), 0);
    assert_eq!(run(format!("{}\n{}\n", other(7), other(8))), 1);
    for unusable in
        [String::new(), format!("{}\n\n{}", key(&ledger), other(8)), format!("{}\nkey", key(&ledger))]
    {
        assert_eq!(run(unusable), 2);
    }
    let manifest = trialseal_seal::dataset::Manifest::new([]).unwrap();
    let signers =
        [ExportSigner::new(ORIGIN, &[7; 32]).unwrap(), ExportSigner::new(ORIGIN, &[8; 32]).unwrap()];
    let both = manifest.sign_with(&signers).unwrap();
    for seed in [7, 8] {
        assert_eq!(trialseal_seal::dataset::Manifest::open(&both, &other(seed)).unwrap(), manifest);
    }
    assert!(trialseal_seal::dataset::Manifest::open(&both, &key(&ledger)).is_err());
    assert!(manifest.sign_with(&[]).is_err());
}

#[test]
fn only_what_the_ledger_signed_is_set_aside() {
    let ledger = Ledger::new(1);
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("dataset"), &ledger.dataset());
    fs::write(folder.path().join("policy"), ledger.policy_text()).unwrap();
    let stranger = ExportSigner::new(ORIGIN, &[8; 32]).unwrap().export_key();
    let run = |key: &ExportKey| {
        let key = key.to_string();
        let arguments = ["dataset", "dataset", "--policy", "policy", "--export-key", &key, "--json"];
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_trialseal-verify"));
        let output =
            program.args(arguments).env("TMPDIR", "/nowhere").current_dir(folder.path()).output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let records = report["findings"].as_array().unwrap().iter();
        (output.status.code().unwrap(), records.map(|it| it["record"].to_string()).collect::<Vec<_>>())
    };
    assert_eq!(
        run(&key(&ledger)),
        (2, vec!["\"temporary files\"".to_owned(), "\"lineage.ndjson\"".to_owned()])
    );
    let unsigned = vec!["\"manifest.dsse.json\"".to_owned(), "\"lineage.ndjson\"".to_owned()];
    assert_eq!(run(&stranger), (1, unsigned));
}

#[cfg(unix)]
#[test]
fn more_tables_than_files_may_be_open() {
    let ledger = Ledger::new(1);
    let mut contents = ledger.dataset();
    let (table, lineage) = (contents["data/lb.json"].clone(), contents["lineage.ndjson"].clone());
    let lineage = String::from_utf8(lineage).unwrap();
    for number in 0..60 {
        contents.insert(format!("data/{number}.json"), table.clone());
        let lines = lineage.replace("data/lb.json", &format!("data/{number}.json"));
        contents.get_mut("lineage.ndjson").unwrap().extend(lines.as_bytes());
    }
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("dataset"), &ledger.signed(contents));
    fs::write(folder.path().join("policy"), ledger.policy_text()).unwrap();
    fs::write(folder.path().join("key"), key(&ledger).to_string()).unwrap();
    let limited = "ulimit -n 24; exec \"$0\" dataset dataset --policy policy --export-key key --json";
    let mut shell = std::process::Command::new("sh");
    let program = env!("CARGO_BIN_EXE_trialseal-verify");
    let output = shell.args(["-c", limited, program]).current_dir(folder.path()).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["facts"]["tableRows"]), (Some(0), &183.into()), "{report:#}");
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
    let report = dataset("dataset", &mut files, &ledger.policy(), &[key(&ledger)], &[]);
    fs::remove_file(elsewhere).unwrap();
    assert_eq!(findings(&report)[0], ("head.json", "file-link"));
    assert_eq!(report.verdict(), Verdict::NotSound);
}

#[cfg(unix)]
#[test]
fn what_does_not_fit_is_listed_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["data/m", "data/c/a", "z", "a", "data/k", "b"];
    for name in names {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("/nowhere", path).unwrap();
    }
    let files = Folder::open(folder.path()).unwrap();
    let found: Vec<_> = files.misfits().iter().map(|misfit| misfit.name.as_str()).collect();
    assert_eq!(found, ["a", "b", "data/c/a", "data/k", "data/m", "z"]);
}
