//! The check of a published log: what is sound, what is not, and what cannot be told.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use common::{Ledger, write};
use trialseal_seal::hash::Hash;
use trialseal_seal::time::Timestamp;
use trialseal_verify::{LogFolder, Report, Verdict, log};

fn check(ledger: &Ledger, files: &BTreeMap<String, Vec<u8>>) -> Report {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    log("log", &LogFolder::new(folder.path()), &ledger.policy())
}

fn codes(report: &Report) -> Vec<(&str, &str)> {
    report.findings().iter().map(|finding| (finding.record.as_str(), finding.code.as_str())).collect()
}

#[test]
fn sound_logs_of_all_shapes_are_sound() {
    for seals in [1, 2, 255, 256, 257, 600] {
        let ledger = Ledger::new(seals);
        let report = check(&ledger, &ledger.files());
        assert_eq!((report.verdict(), codes(&report)), (Verdict::Sound, vec![]), "{seals} seals");
        let seen = report.facts().iter().find(|fact| fact.name == "sealsChecked").unwrap();
        assert_eq!(seen.value, seals);
    }
}

#[test]
fn the_report_says_by_when_it_was_public_or_why_that_is_unknown() {
    let ledger = Ledger::new(2);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &ledger.files());
    let public_by = |policy| {
        let report = log("log", &LogFolder::new(folder.path()), &policy);
        assert_eq!(report.verdict(), Verdict::Sound);
        report.facts().iter().find(|fact| fact.name == "publicBy").unwrap().value.clone()
    };
    assert_eq!(public_by(ledger.policy()), "2026-05-28T20:28:23.000000Z");
    assert_eq!(public_by(ledger.lone_policy()), "time unknown: the policy asks for no witnesses");
}

#[test]
fn a_flipped_byte_is_never_sound() {
    let ledger = Ledger::new(3);
    let files = ledger.files();
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &files);
    let (source, policy) = (LogFolder::new(folder.path()), ledger.policy());
    for (name, bytes) in &files {
        let path = folder.path().join(name);
        for place in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << (place % 8);
            fs::write(&path, flipped).unwrap();
            let report = log("log", &source, &policy);
            assert_ne!(report.verdict(), Verdict::Sound, "{name} byte {place}");
        }
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(log("log", &source, &policy).verdict(), Verdict::Sound);
}

#[test]
fn a_flipped_byte_of_a_large_log_is_named() {
    let ledger = Ledger::new(300);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &ledger.files());
    let flips = [
        ("tile/entries/000", 40_000, "seal "),
        ("tile/0/000", 5_000, "tile/0/000"),
        ("tile/1/000.p/1", 7, "tile/1/000.p/1"),
        ("tile/0/001.p/44", 900, "tile/0/001.p/44"),
        ("notes/123", 200, "notes/123"),
    ];
    for (name, place, record) in flips {
        let path = folder.path().join(name);
        let bytes = fs::read(&path).unwrap();
        let mut flipped = bytes.clone();
        flipped[place] ^= 1;
        fs::write(&path, flipped).unwrap();
        let report = log("log", &LogFolder::new(folder.path()), &ledger.policy());
        assert_eq!(report.verdict(), Verdict::NotSound, "{name}");
        assert!(
            codes(&report).iter().any(|(found, _)| found.starts_with(record)),
            "{name}: {:?}",
            codes(&report)
        );
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn what_is_not_there_cannot_be_told() {
    let ledger = Ledger::new(300);
    for name in ["checkpoint", "tile/entries/000", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"] {
        let mut files = ledger.files();
        files.remove(name).unwrap();
        let report = check(&ledger, &files);
        assert_eq!(report.verdict(), Verdict::CannotTell, "{name}: {:?}", codes(&report));
        assert_eq!(codes(&report), [(name, "file-missing")]);
    }
}

#[test]
fn a_note_that_no_seal_needs_may_be_missing_and_one_that_is_named_may_not() {
    let ledger = Ledger::new(4);
    let mut files = ledger.files();
    files.remove("notes/004").unwrap();
    assert_eq!(check(&ledger, &files).verdict(), Verdict::Sound);
    files.remove("notes/002").unwrap();
    assert_eq!(codes(&check(&ledger, &files)), [("seal 2", "prior-unknown")]);
}

#[test]
fn partial_tiles_that_are_kept_are_checked_too() {
    let ledger = Ledger::new(5);
    let earlier = Ledger::new(3).files();
    let mut files = ledger.files();
    for name in ["tile/0/000.p/3", "tile/entries/000.p/3"] {
        files.insert(name.into(), earlier[name].clone());
        assert_eq!(check(&ledger, &files).verdict(), Verdict::Sound);
        let mut damaged = files.clone();
        damaged.get_mut(name).unwrap()[20] ^= 1;
        assert_eq!(codes(&check(&ledger, &damaged)), [(name, "tile-differs")]);
    }
}

#[test]
fn a_full_tile_may_stand_for_the_partial_one() {
    let (ledger, later) = (Ledger::new(200), Ledger::new(256).files());
    let mut files = ledger.files();
    for (partial, full) in
        [("tile/0/000.p/200", "tile/0/000"), ("tile/entries/000.p/200", "tile/entries/000")]
    {
        files.remove(partial).unwrap();
        files.insert(full.into(), later[full].clone());
    }
    let report = check(&ledger, &files);
    assert_eq!((report.verdict(), codes(&report)), (Verdict::Sound, vec![]));
}

#[test]
fn seals_keep_their_order() {
    let rule = |seal: u64, edit: fn(&mut trialseal_seal::seal::Seal)| {
        let ledger = Ledger::with(5, |made| {
            if made.seal == seal {
                edit(made);
            }
        });
        let report = check(&ledger, &ledger.files());
        codes(&report).into_iter().map(|(record, code)| format!("{record}: {code}")).collect::<Vec<_>>()
    };
    assert_eq!(rule(3, |seal| seal.seal = 2), ["seal 3: seal-number"]);
    assert_eq!(rule(3, |seal| seal.time = Timestamp::from_micros(0)), ["seal 3: seal-time"]);
    assert_eq!(rule(3, |seal| seal.events = 1), ["seal 3: seal-counts"]);
    assert_eq!(rule(3, |seal| seal.trials = 0), ["seal 3: seal-counts"]);
    assert_eq!(rule(3, |seal| seal.ledger = "other.example".into()), ["seal 3: another-ledger"]);
    assert_eq!(rule(3, |seal| seal.prior = Hash::ZERO), ["seal 3: prior-back"]);
    assert_eq!(rule(0, |seal| seal.prior = Hash::from_bytes([7; 32])), ["seal 0: prior-unknown"]);
    let late = |seal: &mut trialseal_seal::seal::Seal| {
        seal.time = Timestamp::from_micros(seal.time.micros() + 63_000_000);
    };
    assert!(rule(4, late).contains(&"seals 4 to 4: seal-after-public".to_owned()));
}

#[test]
fn a_prior_never_goes_back_to_an_older_note() {
    let first = Ledger::new(1).notes[0].clone();
    let ledger = Ledger::with(5, |seal| {
        if seal.seal == 4 {
            seal.prior = trialseal_seal::hash::sha256(first.as_bytes());
        }
    });
    assert_eq!(codes(&check(&ledger, &ledger.files())), [("seal 4", "prior-unknown")]);
}

#[test]
fn the_program_tells_the_outcomes_apart() {
    let ledger = Ledger::new(3);
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.txt");
    fs::write(&policy, ledger.policy_text()).unwrap();
    let log = folder.path().join("log");
    write(&log, &ledger.files());
    let run = |arguments: &[&str]| {
        let program = env!("CARGO_BIN_EXE_trialseal-verify");
        let output = Command::new(program).args(arguments).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (log, policy) = (log.to_str().unwrap(), policy.to_str().unwrap());
    let (code, text) = run(&["log", log, "--policy", policy]);
    assert!(code == 0 && text.starts_with("sound: log "), "{code} {text}");
    let (code, text) = run(&["log", log, "--policy", policy, "--json"]);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &report["verdict"], &report["facts"]["logSize"]), (0, &"sound".into(), &3.into()));
    fs::write(format!("{log}/tile/0/000.p/3"), [0; 96]).unwrap();
    let (code, text) = run(&["log", log, "--policy", policy]);
    assert!(code == 1 && text.starts_with("not sound: ") && text.contains("tile/0/000.p/3"), "{code} {text}");
    let missing =
        [vec!["log", "no-such-folder", "--policy", policy], vec!["log", log, "--policy", "no-such-file"]];
    for arguments in missing {
        let (code, text) = run(&arguments);
        assert!(code == 2 && text.starts_with("cannot tell: "), "{code} {text}");
    }
    for wrong in [&["log", log][..], &["log"], &["lock"], &[], &["log", log, "--policy", policy, "--x"]] {
        assert_eq!(run(wrong).0, 2, "{wrong:?}");
    }
    assert_eq!(run(&["--help"]).0, 0);
}
