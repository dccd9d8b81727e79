//! Which folder: no command but `serve` and `keys` makes a ledger, and no two processes serve one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use trialseal_tests::{Engine, Service, program};

/// `trialseal` on a folder. Ended after a minute, for what should have refused may begin to serve.
fn trialseal(arguments: &[&str], dir: &Path) -> Output {
    let mut command = Command::new("timeout");
    command.arg("60").arg(program("trialseal")).args(arguments).arg("--dir").arg(dir);
    command.output().unwrap()
}

#[test]
fn a_mistyped_folder_is_refused_and_stays_away() {
    let dir = tempfile::tempdir().unwrap();
    let mistyped = dir.path().join("mistyped");
    let create = ["token", "create", "--actor", "a", "--role", "monitor", "--organisation", "o"];
    let revoke = ["token", "revoke", "ts_0"];
    for arguments in [&["check"][..], &["rebuild"], &create, &revoke] {
        let output = trialseal(arguments, &mistyped);
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {words}");
        assert!(words.contains("there is no ledger in"), "{arguments:?}: {words}");
        assert_eq!(words.lines().count(), 1, "{words}");
        assert!(!mistyped.exists(), "{arguments:?} made something");
    }
}

#[test]
fn a_folder_is_served_by_one_process() {
    let mut service = Service::start(Engine::Sqlite);
    let second = trialseal(&["serve", "--port", "0"], service.dir());
    let words = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{words}");
    assert!(words.contains("another process serves the ledger in"), "{words}");
    assert_eq!(service.anonymous().get("/healthz").status, 200);
    // Whatever the first one ends by, it leaves nothing in the way.
    service.kill();
    service.start_again();
}
