//! The check of a published log: what is sound, what is not, and what cannot be told.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::process::Command;

use common::{Ledger, codes, ml_dsa_witness, write};
use trialseal_seal::hash::{Hash, sha256};
use trialseal_seal::policy::Policy;
use trialseal_seal::seal::Seal;
use trialseal_seal::tiles::{encode_bundle, note_path};
use trialseal_seal::time::Timestamp;
use trialseal_verify::{LogFolder, Report, Source, Verdict, log};

type Files = BTreeMap<String, Vec<u8>>;

fn check(ledger: &Ledger, files: &Files) -> Report {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    log("log", &LogFolder::new(folder.path()), &ledger.policy(), None)
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
        let report = log("log", &LogFolder::new(folder.path()), &policy, None);
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
            let report = log("log", &source, &policy, None);
            assert_ne!(report.verdict(), Verdict::Sound, "{name} byte {place}");
        }
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(log("log", &source, &policy, None).verdict(), Verdict::Sound);
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
        let report = log("log", &LogFolder::new(folder.path()), &ledger.policy(), None);
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
    let report = check(&ledger, &files);
    assert_eq!(
        (report.verdict(), codes(&report)),
        (Verdict::CannotTell, vec![("seal 2", "prior-not-found")])
    );
    assert!(report.findings()[0].message.ends_with("without notes/002"), "{:?}", report.findings());
    // What is named and what is missing are two things: a note that is there is not the missing one.
    let unknown = Ledger::with(4, |seal| {
        if seal.seal == 3 {
            seal.prior = Hash::from_bytes([7; 32]);
        }
    });
    let mut files = unknown.files();
    assert_eq!(codes(&check(&unknown, &files)), [("seal 3", "prior-unknown")]);
    files.remove("notes/001").unwrap();
    let report = check(&unknown, &files);
    assert_eq!(codes(&report), [("seal 1", "prior-not-found"), ("seal 3", "prior-unknown")]);
}

#[test]
fn a_missing_note_is_asked_for_once() {
    let second = Ledger::new(2).notes[1].clone();
    let ledger = Ledger::with(5, |seal| {
        if seal.seal > 2 {
            seal.prior = sha256(second.as_bytes());
        }
    });
    let mut files = ledger.files();
    assert_eq!(check(&ledger, &files).verdict(), Verdict::Sound);
    files.remove("notes/002").unwrap();
    assert_eq!(codes(&check(&ledger, &files)), [("seal 2", "prior-not-found")]);
    for size in [1, 3, 4, 5] {
        files.remove(&note_path(size)).unwrap();
    }
    let report = check(&ledger, &files);
    assert_eq!(codes(&report), [("seal 1", "prior-not-found"), ("seal 2", "prior-not-found")]);
    assert!(report.findings()[1].message.ends_with("without notes/002, notes/001"));
}

#[cfg(unix)]
#[test]
fn what_is_no_plain_file_is_reported_and_not_opened() {
    use std::os::unix::fs::symlink;
    let ledger = Ledger::new(3);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &ledger.files());
    let source = LogFolder::new(folder.path());
    let found =
        |name: &str| {
            let report = log("log", &source, &ledger.policy(), None);
            assert_eq!(report.verdict(), Verdict::CannotTell, "{name}: {:?}", codes(&report));
            assert!(report.findings().iter().all(|finding| finding.record != name
                || finding.message == "it cannot be read: it is no plain file"));
            codes(&report).into_iter().map(|(record, code)| format!("{record}: {code}")).collect::<Vec<_>>()
        };
    for name in ["notes/002", "notes/003", "checkpoint", "tile/0/000.p/3", "tile/entries/000.p/3"] {
        let (path, aside) = (folder.path().join(name), folder.path().join("aside"));
        fs::rename(&path, &aside).unwrap();
        // A note that a seal names as its prior is missed there, too.
        let mut expected = vec![format!("{name}: unreadable")];
        expected.extend((name == "notes/002").then(|| "seal 2: prior-not-found".to_owned()));
        symlink(&aside, &path).unwrap();
        assert_eq!(found(name), expected, "a link");
        fs::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert_eq!(found(name), expected, "a pipe");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(found(name), expected, "a folder");
        fs::remove_dir(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    assert_eq!(log("log", &source, &ledger.policy(), None).verdict(), Verdict::Sound);
}

#[test]
fn what_is_missing_does_not_end_the_check() {
    let ledger = Ledger::new(600);
    let mut files = ledger.files();
    files.remove("tile/entries/000").unwrap();
    files.get_mut("tile/entries/001").unwrap().pop();
    files.get_mut("tile/1/000.p/2").unwrap()[40] ^= 1;
    files.get_mut("notes/599").unwrap().push(b'x');
    let report = check(&ledger, &files);
    assert_eq!(
        codes(&report),
        [
            ("tile/entries/000", "file-missing"),
            ("tile/entries/001", "bundle-malformed"),
            ("notes/599", "note-malformed"),
            ("seal 599", "prior-unknown"),
            ("tile/1/000.p/2", "tile-differs"),
        ]
    );
    let fact = |name| report.facts().iter().find(|fact| fact.name == name).map(|fact| fact.value.clone());
    assert_eq!((fact("sealsChecked"), fact("logSize")), (Some(88.into()), Some(600.into())));
    assert_eq!(fact("notChecked"), None);

    // Without the leaf hashes nothing can be said of what follows, and that is said.
    files.remove("tile/0/001").unwrap();
    let report = check(&ledger, &files);
    let not_checked = report.facts().iter().find(|fact| fact.name == "notChecked").unwrap();
    assert_eq!(not_checked.value, "seals from 256 on, and what stands on them");
    assert!(codes(&report).contains(&("tile/0/001", "file-missing")));
}

#[test]
fn a_refused_checkpoint_does_not_end_the_check() {
    let ledger = Ledger::new(5);
    let mut files = ledger.files();
    let unwitnessed = String::from_utf8(files["checkpoint"].clone()).unwrap();
    let unwitnessed = unwitnessed.split_once("— witness").unwrap().0;
    files.insert("checkpoint".into(), unwitnessed.into());
    files.get_mut("tile/0/000.p/5").unwrap()[70] ^= 1;
    let report = check(&ledger, &files);
    assert_eq!(
        codes(&report),
        [
            ("checkpoint", "quorum"),
            ("tile/0/000.p/5", "tile-differs"),
            ("tile/entries/000.p/5 (seal 2)", "entry-differs")
        ]
    );
    files.insert("checkpoint".into(), b"no note".to_vec());
    let report = check(&ledger, &files);
    assert_eq!(codes(&report), [("checkpoint", "note-malformed")]);
    assert!(report.facts().iter().any(|fact| fact.name == "notChecked"));
}

/// Whatever size a checkpoint names, the check is over when what the log has is over.
#[test]
fn a_checkpoint_of_a_size_without_end_does_not_keep_the_check_from_ending() {
    let ledger = Ledger::new(5);
    let mut files = ledger.files();
    let text = String::from_utf8(files["checkpoint"].clone()).unwrap();
    files
        .insert("checkpoint".into(), text.replacen("\n5\n", &format!("\n{}\n", (1_u64 << 53) - 1), 1).into());
    let report = check(&ledger, &files);
    let codes = codes(&report);
    assert_eq!(codes[0].0, "checkpoint");
    assert!(codes.contains(&("tile/entries/000", "file-missing")), "{codes:?}");
    assert!(report.facts().iter().any(|fact| fact.name == "notChecked"));
}

#[test]
fn what_this_program_cannot_decide_is_not_called_wrong() {
    let ledger = Ledger::new(4);
    let (key, line) = ml_dsa_witness();
    let text =
        ledger.policy_text().replace("quorum w", &format!("witness pq {key}\ngroup g all w pq\nquorum g"));
    let policy = Policy::parse(&text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut files = ledger.files();
    write(folder.path(), &files);
    let report = log("log", &LogFolder::new(folder.path()), &policy, None);
    assert_eq!(report.verdict(), Verdict::NotSound, "the silent witness did not sign");
    assert_eq!(codes(&report)[0], ("checkpoint", "quorum"));
    let silent =
        |report: &Report| report.facts().iter().any(|it| it.name == "silentWitnesses" && it.value == "pq");
    assert!(silent(&report));

    for note in files.iter_mut().filter(|(name, _)| *name == "checkpoint" || *name == "notes/004") {
        note.1.extend(line.as_bytes());
    }
    (1..4).for_each(|size| drop(files.remove(&note_path(size))));
    write(folder.path(), &files);
    (1..4).for_each(|size| fs::remove_file(folder.path().join(note_path(size))).unwrap());
    let report = log("log", &LogFolder::new(folder.path()), &policy, None);
    assert_eq!(report.verdict(), Verdict::CannotTell, "{:?}", codes(&report));
    assert!(codes(&report).contains(&("checkpoint", "quorum-unknown")) && silent(&report));

    // A note may have more signatures than are read here.
    let mut files = ledger.files();
    let note = files.get_mut("notes/004").unwrap();
    (0..100).for_each(|_| note.extend(line.as_bytes()));
    let report = check(&ledger, &files);
    assert_eq!(
        (report.verdict(), codes(&report)),
        (Verdict::CannotTell, vec![("notes/004", "note-too-large")])
    );
}

fn late(seal: &mut Seal) {
    seal.time = Timestamp::from_micros(seal.time.micros() + 63_000_000);
}

#[test]
fn seals_that_no_note_covers_are_dated_by_the_checkpoint() {
    let ledger = Ledger::with(5, |seal| {
        if seal.seal == 4 {
            late(seal);
        }
    });
    let mut files = ledger.files();
    for removed in ["notes/005", "notes/003"] {
        assert_eq!(codes(&check(&ledger, &files)).first(), Some(&("seal 4", "seal-after-public")));
        files.remove(removed).unwrap();
    }
}

#[test]
fn only_the_seal_with_the_wrong_date_is_accused_of_it() {
    let ledger = Ledger::with(6, |seal| {
        if seal.seal == 2 {
            seal.time = Timestamp::from_micros(seal.time.micros() + 70_000_000);
        }
    });
    let found = [("seal 2", "seal-after-public"), ("seal 3", "seal-time")];
    let report = check(&ledger, &ledger.files());
    let mut all = codes(&report);
    all.retain(|finding| *finding != ("seal 4", "seal-time") && *finding != ("seal 5", "seal-time"));
    assert_eq!(all, found);
    // Where one note covers several, the one it is about is named.
    let mut files = ledger.files();
    files.remove("notes/003").unwrap();
    files.remove("notes/002").unwrap();
    assert!(codes(&check(&ledger, &files)).contains(&("seal 2", "seal-after-public")));
}

#[test]
fn a_note_without_its_checkpoint_is_what_a_crash_leaves() {
    let (ledger, next) = (Ledger::new(4), Ledger::new(5));
    let mut files = ledger.files();
    files.insert("notes/005".into(), next.notes[4].clone().into());
    let without_entry = check(&ledger, &files);
    assert_eq!(codes(&without_entry), [("tile/entries/000.p/5", "file-missing")]);
    files.insert("tile/entries/000.p/5".into(), next.files()["tile/entries/000.p/5"].clone());
    let report = check(&ledger, &files);
    assert_eq!((report.verdict(), codes(&report)), (Verdict::Sound, vec![]));
    assert!(report.facts().iter().any(|fact| fact.name == "newestNote" && fact.value == 5));

    // Two trees of one size, both signed: the note does not go on from the checkpoint.
    let fork = Ledger::with(5, |seal| seal.events += 1);
    files.insert("notes/005".into(), fork.notes[4].clone().into());
    let report = check(&ledger, &files);
    assert_eq!(codes(&report), [("notes/005", "note-of-another-tree")]);
}

#[test]
fn a_checkpoint_that_is_older_than_the_notes_proves_nothing() {
    let ledger = Ledger::new(7);
    let mut files = Ledger::new(4).files();
    for (size, note) in (1..).zip(&ledger.notes).skip(4) {
        files.insert(note_path(size), note.clone().into());
    }
    let report = check(&ledger, &files);
    assert_eq!(
        (report.verdict(), codes(&report)),
        (Verdict::CannotTell, vec![("checkpoint", "checkpoint-older")])
    );
    // What is no note of the log is named whatever its size is; what stands at no address of the log is no part of it.
    files.insert("notes/x001/234".into(), b"garbage".to_vec());
    files.insert("notes/009".into(), ledger.notes[6].clone().into());
    files.insert("notes/0010".into(), b"garbage".to_vec());
    files.insert("notes/.note.unfinished".into(), b"garbage".to_vec());
    let report = check(&ledger, &files);
    assert_eq!(report.verdict(), Verdict::NotSound);
    assert_eq!(
        codes(&report),
        [
            ("notes/009", "note-size"),
            ("notes/x001/234", "note-malformed"),
            ("checkpoint", "checkpoint-older")
        ]
    );
}

/// A log that goes on while it is read: its checkpoint is an old one when it is first asked for.
struct Growing {
    folder: LogFolder,
    old: Vec<u8>,
    asked: Cell<bool>,
}

impl Source for Growing {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        if path == "checkpoint" && !self.asked.replace(true) {
            return Ok(Some(self.old.clone()));
        }
        self.folder.read(path)
    }

    fn partials(&self, path: &str) -> io::Result<Vec<u8>> {
        self.folder.partials(path)
    }

    fn notes_above(&self, size: u64) -> io::Result<Vec<u64>> {
        self.folder.notes_above(size)
    }
}

#[test]
fn a_log_that_goes_on_while_it_is_read_is_sound() {
    let ledger = Ledger::new(7);
    let folder = tempfile::tempdir().unwrap();
    let mut files = Ledger::new(4).files();
    files.extend(ledger.files());
    write(folder.path(), &files);
    let old = ledger.notes[3].clone().into();
    let source = Growing { folder: LogFolder::new(folder.path()), old, asked: Cell::new(false) };
    let report = log("log", &source, &ledger.policy(), None);
    assert_eq!((report.verdict(), codes(&report)), (Verdict::Sound, vec![]));
    let fact = |name| report.facts().iter().find(|fact| fact.name == name).unwrap().value.clone();
    assert_eq!((fact("logSize"), fact("grewTo"), fact("newestNote")), (4.into(), 7.into(), 7.into()));
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
    // A width has one spelling: at others the log has nothing.
    for name in ["tile/0/000.p/03", "tile/0/000.p/+2", "tile/0/000.p/0", "tile/0/000.p/x"] {
        files.insert(name.into(), b"garbage".to_vec());
    }
    assert_eq!(check(&ledger, &files).verdict(), Verdict::Sound);
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
    // What stands for a partial one is full.
    let entries: Vec<_> = Ledger::new(256).seals[..201].iter().map(Seal::entry).collect();
    files.insert("tile/entries/000".into(), encode_bundle(&entries).unwrap());
    assert_eq!(codes(&check(&ledger, &files)), [("tile/entries/000", "bundle-malformed")]);
}

#[test]
fn seals_keep_their_order() {
    let rule = |seal: u64, edit: fn(&mut Seal)| {
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
    assert_eq!(rule(4, late), ["seal 4: seal-after-public"]);
}

#[test]
fn a_prior_never_goes_back_to_an_older_note() {
    let first = Ledger::new(1).notes[0].clone();
    let ledger = Ledger::with(5, |seal| {
        if seal.seal == 4 {
            seal.prior = sha256(first.as_bytes());
        }
    });
    let mut files = ledger.files();
    assert_eq!(codes(&check(&ledger, &files)), [("seal 4", "prior-back")]);
    // Whether or not the right note is there.
    files.remove("notes/004").unwrap();
    assert_eq!(codes(&check(&ledger, &files)), [("seal 4", "prior-back")]);
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
    let (code, text) = run(&["log", "https://ledger.example.org/log", "--policy", policy]);
    assert!(code == 2 && text.contains("[no-https]") && text.contains("folder"), "{code} {text}");
    for wrong in [&["log", log][..], &["log"], &["lock"], &[], &["log", log, "--policy", policy, "--x"]] {
        assert_eq!(run(wrong).0, 2, "{wrong:?}");
    }
    assert_eq!(run(&["--help"]).0, 0);
}

#[test]
fn a_policy_is_octets_and_not_text() {
    let ledger = Ledger::new(1);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &ledger.files());
    let policy = folder.path().join("policy.txt");
    let run = |comment: &[u8]| {
        fs::write(&policy, [comment, b"\n", ledger.policy_text().as_bytes()].concat()).unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_trialseal-verify"));
        let output = program.arg("log").arg(folder.path()).arg("--policy").arg(&policy).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(run(b"# caf\xe9").0, 0);
    let (code, text) = run(b"# a line of another system\r");
    assert!(code == 2 && text.contains("policy line 1: the policy has a control character"), "{code} {text}");
}
