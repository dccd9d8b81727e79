//! How a reader first comes by a ledger's keys, keeps them, and notices that they were changed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use trialseal_tests::{Engine, Role, Service, Trial, export, on_both_engines, program};

on_both_engines!(keys_are_compared_kept_and_changed_by_fingerprint_alone);

const TRIAL: &str = "TRUSTED";

/// Runs one of the programs with these arguments.
fn run(name: &str, arguments: &[&str]) -> Output {
    Command::new(program(name)).args(arguments).output().unwrap()
}

/// Runs it, and gives what it printed where it ends with this code.
#[track_caller]
fn expect(name: &str, arguments: &[&str], code: i32) -> String {
    let output = run(name, arguments);
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(output.status.code(), Some(code), "{name} {arguments:?}: {out}{err}");
    out + &err
}

/// What `sha256sum` says of a file.
fn sha256sum(file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn keys_are_compared_kept_and_changed_by_fingerprint_alone(engine: Engine) {
    let mut service = Service::start(engine);
    let trial = Trial::open(&service, TRIAL);
    trial.enrol("001", true);
    service.wait_until_sealed();
    let folder = tempfile::tempdir().unwrap();
    let (dataset, second) = (folder.path().join("dataset.zip"), folder.path().join("second.txt"));
    fs::write(&dataset, export(&service, &service.new_client(Role::Researcher, &[TRIAL]), TRIAL)).unwrap();

    // The operator prints the text for a second place: it is what the service offers.
    let printed = service.command(&["trust"]);
    assert_eq!(printed.stdout, service.anonymous().get("/v1/trust").expect(200).body);
    fs::write(&second, &printed.stdout).unwrap();
    let fingerprint = sha256sum(&second);
    assert!(String::from_utf8_lossy(&printed.stderr).contains(&fingerprint));
    let page = service.anonymous().get("/").expect(200).text();
    let shown = fingerprint.as_bytes().chunks(8).map(|group| std::str::from_utf8(group).unwrap());
    assert!(page.contains(&shown.collect::<Vec<_>>().join(" ")), "{page}");

    // A reader gets it, with a warning where nobody else says the same, and everything is checked with it.
    let (address, place) = (service.address(), folder.path().join("reader"));
    let (trust, place) = (place.join("trust.txt"), text(&place).to_owned());
    let take = |address: &str, more: &[&str], code| {
        let arguments = [&["trust", "--ledger", address, "--folder", &place], more].concat();
        expect("trialseal-monitor", &arguments, code)
    };
    assert!(take(&address, &[], 0).contains("Warning"));
    assert!(!take(&address, &["--also", text(&second)], 0).contains("Warning"));
    assert_eq!(sha256sum(&trust), fingerprint);
    let verify = |arguments: &[&str], code| expect("trialseal-verify", arguments, code);
    verify(&["trust", text(&trust), "--fingerprint", &fingerprint.to_uppercase()], 0);
    verify(&["trust", text(&trust)], 2);
    verify(&["trust", text(&trust), "--fingerprint", &"0".repeat(64)], 1);
    verify(&["dataset", text(&dataset), "--trust", text(&trust)], 0);
    verify(&["log", text(&service.published()), "--trust", text(&trust)], 0);
    let follow = |address: &str, more: &[&str], code| {
        let arguments = ["check", "--ledger", address, "--folder", &place, "--trust", text(&trust)];
        expect("trialseal-monitor", &[&arguments, more].concat(), code)
    };
    follow(&address, &["--first"], 0);

    // The log's key is changed: who follows is told, goes on, and takes the new keys by a fingerprint from elsewhere alone.
    assert!(service.command(&["keys", "rotate", "log"]).status.success());
    service.stop();
    service.start_again();
    service.wait_until_sealed();
    let address = service.address();
    let said = follow(&address, &[], 2);
    assert!(said.contains("[other-keys]"), "{said}");
    let said = take(&address, &[], 1);
    assert!(said.contains("only the ledger: log ") && said.contains("nothing was changed"), "{said}");
    assert!(take(&address, &["--also", text(&second)], 1).contains("second.txt"));
    assert_eq!(sha256sum(&trust), fingerprint);
    fs::write(&second, service.command(&["trust"]).stdout).unwrap();
    take(&address, &["--fingerprint", &fingerprint], 1);
    take(&address, &["--fingerprint", &sha256sum(&second)], 0);
    assert_eq!(fs::read(&trust).unwrap(), fs::read(&second).unwrap());
    follow(&address, &[], 0);
}
