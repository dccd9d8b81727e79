//! Timestamps of authorities outside, which OpenSSL made: by themselves, and in a log.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Ledger, codes, program, vectors, write};
use trialseal_verify::{Authorities, LogFolder, Report, Verdict, log};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/timestamp/tests/golden")
}

/// The program on a timestamp that OpenSSL made.
#[test]
fn timestamps_are_checked_against_the_authorities_of_the_reader() {
    let file = |name: &str| golden().join(name).to_str().unwrap().to_owned();
    let check = |token: &str, note: &str, tsa: &str| {
        program(&["timestamp", &file(token), "--note", &file(note), "--tsa", &file(tsa)])
    };
    let (code, report) = check("rsa.tsr", "note", "rsa-ca.pem");
    assert_eq!((code, &report["verdict"]), (0, &"sound".into()), "{report}");
    assert_eq!(report["facts"]["authority"], "C=DE,CN=Example rsa,O=Example\\, Inc.");
    assert_eq!(report["facts"]["accuracyMicros"], 1_500_000);
    let refused = |token, note, tsa| {
        let (code, report) = check(token, note, tsa);
        (code, report["findings"][0]["code"].as_str().unwrap().to_owned())
    };
    assert_eq!(refused("rsa.tsr", "rsa-ca.pem", "rsa-ca.pem"), (1, "timestamp-of-other-bytes".to_owned()));
    assert_eq!(refused("rsa.tsr", "note", "ec-ca.pem"), (1, "timestamp-chain".to_owned()));
    assert_eq!(refused("server.tsr", "note", "ec-ca.pem"), (1, "timestamp-purpose".to_owned()));
    assert_eq!(refused("rsa.tsr", "note", "note"), (2, "authorities-unusable".to_owned()));
    assert_eq!(refused("none.tsr", "note", "rsa-ca.pem"), (2, "unreadable".to_owned()));
    // The note of this folder is nobody's, which a policy tells.
    let policy = vectors().join("dataset/policy.txt");
    let (code, report) = program(&[
        "timestamp",
        &file("rsa.tsr"),
        "--note",
        &file("note"),
        "--tsa",
        &file("rsa-ca.pem"),
        "--policy",
        policy.to_str().unwrap(),
    ]);
    assert_eq!((code, &report["findings"][0]["record"]), (1, &"the note".into()), "{report}");
}

#[test]
fn timestamps_that_are_listed_are_checked_where_somebody_is_trusted() {
    let golden = |name: &str| fs::read(golden().join(name)).unwrap();
    let authorities = Authorities::from_pem(&golden("rsa-ca.pem")).unwrap();
    let ledger = Ledger::new(3);
    let checked = |lists: &[(&str, &[u8])], trusted| {
        let mut files = ledger.files();
        files.extend(lists.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())));
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &files);
        log("log", &LogFolder::new(folder.path()), &ledger.policy(), trusted)
    };
    let fact = |report: &Report, name: &str| {
        report.facts().iter().find(|fact| fact.name == name).map(|fact| fact.value.clone())
    };
    // A size beyond the checkpoint's may be listed while the log goes on.
    let list = ("timestamps/sizes/000", &b"2\n3\n4\n"[..]);
    let report = checked(&[list], None);
    assert_eq!(report.verdict(), Verdict::Sound, "{:?}", codes(&report));
    assert_eq!(fact(&report, "timestamps").unwrap(), "2, not checked: no authority is named");
    let report = checked(&[], Some(&authorities));
    assert_eq!((report.verdict(), fact(&report, "timestampsChecked").unwrap()), (Verdict::Sound, 0.into()));

    // One of another note, and one that is missing.
    let report = checked(&[list, ("timestamps/002.tsr", &golden("rsa.tsr"))], Some(&authorities));
    assert_eq!(
        codes(&report),
        [("timestamps/002.tsr", "timestamp-of-other-bytes"), ("timestamps/003.tsr", "file-missing")]
    );
    let report = checked(&[("timestamps/sizes/000", &b"3\n2\n"[..])], Some(&authorities));
    assert_eq!(codes(&report), [("timestamps/sizes/000", "sizes-malformed")]);
}
