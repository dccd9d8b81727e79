//! Starts: the first, those after it, and those that are refused.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::log::Log;
use crate::program::{Home, Running, finished, program, read, said, signal};

fn key(home: &Home) -> String {
    let mut command = Command::new(program());
    command.args(["key", "--folder"]).arg(home.dir());
    let output = finished(command);
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn one_command_makes_a_witness_and_starts_it_again() {
    let (home, log) = (Home::new(), Log::new("ledger.example.org/main"));
    let first = home.start(&[&log]);
    let name = first.key.to_string();
    assert_eq!(first.post(log.body(0, 7)).status, 200);
    let newest = first.newest(&log);
    assert_eq!(first.stop(), Some(0));

    let again = home.start(&[&log]);
    assert_eq!(again.key.to_string(), name);
    assert_eq!(key(&home), name + "\n");
    assert_eq!(again.newest(&log), newest);
    assert_eq!(again.size(&log), 7);
    drop(again);

    // The file is the configuration's home.
    let mut plain = Command::new(program());
    plain.args(["run", "--folder"]).arg(home.dir());
    let plain = Running::start(plain);
    assert_eq!(plain.size(&log), 7);
}

#[test]
fn a_log_that_is_taken_out_and_put_back_is_not_forgotten() {
    let home = Home::new();
    let (log, other) = (Log::new("ledger.example.org/main"), Log::new("ledger.example.org/other"));
    let witness = home.start(&[&log, &other]);
    assert_eq!(witness.post(log.body(0, 7)).status, 200);
    assert_eq!(witness.stop(), Some(0));
    let file = home.dir().join("witness.conf");
    let config = fs::read_to_string(&file).unwrap();
    fs::write(&file, config.replace(&log.vkey(), &format!("{} ledger.example.org/renamed", log.vkey())))
        .unwrap();
    let plain = || {
        let mut command = Command::new(program());
        command.args(["run", "--folder"]).arg(home.dir());
        Running::start(command)
    };
    let witness = plain();
    assert_eq!(witness.post(log.body(7, 9)).status, 404);
    assert_eq!(witness.newest(&log).status, 404);
    assert_eq!(witness.post(other.body(0, 9)).status, 200);
    drop(witness);
    fs::write(&file, config).unwrap();
    assert_eq!(plain().size(&log), 7);
}

#[test]
fn all_addresses_stand_below_the_prefix() {
    let (home, log) = (Home::new(), Log::new("ledger.example.org/main"));
    drop(home.start(&[&log]));
    let file = home.dir().join("witness.conf");
    fs::write(&file, fs::read_to_string(&file).unwrap() + "prefix /some/w1\n").unwrap();
    let witness = home.start(&[&log]);
    assert!(witness.address.ends_with("/some/w1"));
    assert_eq!(witness.post(log.body(0, 7)).status, 200);
    assert_eq!(witness.newest(&log).status, 200);
    let answer = witness.get("/add-checkpoint");
    assert_eq!(answer.status, 405, "{answer:?}");
}

#[test]
fn health_and_figures_are_there() {
    let (home, log) = (Home::new(), Log::new("ledger.example.org/main"));
    let witness = home.start(&[&log]);
    assert_eq!(witness.post(log.body(0, 7)).status, 200);
    assert_eq!(witness.get("/healthz").body, "ok\n");
    let figures = witness.get("/metrics").body;
    for figure in [
        "trialseal_witness_tree_size{origin=\"ledger.example.org/main\"} 7",
        "trialseal_witness_sync_seconds_count 1",
        "trialseal_http_requests_total{method=\"POST\",route=\"/add-checkpoint\",status=\"200\"} 1",
    ] {
        assert!(figures.contains(figure), "{figures}");
    }
}

#[test]
fn a_folder_serves_one_process() {
    let (home, log) = (Home::new(), Log::new("ledger.example.org/main"));
    let witness = home.start(&[&log]);
    assert!(home.refused(&[&log]).contains("another process witnesses from"));
    assert_eq!(witness.post(log.body(0, 7)).status, 200);
    // However it ends, the lock is free again.
    signal(witness.id(), "KILL");
    drop(witness);
    assert_eq!(home.start(&[&log]).size(&log), 7);
}

#[test]
fn a_start_that_would_do_harm_is_refused_in_one_sentence() {
    let (home, log) = (Home::new(), Log::new("ledger.example.org/main"));
    let mut unnamed = Command::new(program());
    unnamed.args(["run", "--folder"]).arg(home.dir());
    assert!(said(&finished(unnamed)).contains("there is no witness in"));
    let mut misnamed = Command::new(program());
    misnamed.args(["run", "--name", "https://w1", "--folder"]).arg(home.dir());
    assert!(said(&finished(misnamed)).contains("`name` must be a host and path without scheme"));

    let witness = home.start(&[&log]);
    assert_eq!(witness.post(log.body(0, 7)).status, 200);
    witness.kill();
    let other = Log::new("ledger.example.org/other");
    assert!(home.refused(&[&log, &other]).contains("is configured otherwise"));

    let key = home.dir().join("witness.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(home.refused(&[&log]).contains("run chmod 600 on it"));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();

    let own = read(&key);
    fs::write(&key, "1".repeat(64)).unwrap();
    assert!(home.refused(&[&log]).contains("was written with another key"));
    fs::write(&key, own).unwrap();

    fs::rename(home.journal(), home.dir().join("elsewhere")).unwrap();
    assert!(home.refused(&[&log]).contains("without which this witness must not cosign again"));
    fs::rename(home.dir().join("elsewhere"), home.journal()).unwrap();
    assert_eq!(home.start(&[&log]).size(&log), 7);
}
