//! A log outlives its operator: whoever witnesses it can keep a copy that verifies when nothing else is left.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use trialseal_tests::{Engine, Listener, Service, Trial, Verifier, all_files, on_both_engines, program};

on_both_engines!(a_mirror_outlives_the_service_and_goes_on_after_it_was_killed);

const ORIGIN: &str = "ledger.example.org/test";
const WITHIN: Duration = Duration::from_mins(1);

fn mirror(folder: &Path, log: &str, published: &str) -> Listener {
    let mut command = Command::new(program("trialseal-witness"));
    command.args(["run", "--name", "witness.example.org/w1", "--listen", "127.0.0.1:0"]);
    command.args(["--log", log, "--mirror", &format!("{published} {ORIGIN}"), "--folder"]).arg(folder);
    Listener::on_output(command)
}

/// The one copy that a witness keeps.
fn copy_in(folder: &Path) -> PathBuf {
    let copies: Vec<_> = fs::read_dir(folder.join("mirror")).unwrap().collect();
    assert_eq!(copies.len(), 1);
    copies.into_iter().next().unwrap().unwrap().path()
}

/// What a copy consists of.
fn files_of(folder: &Path) -> Vec<PathBuf> {
    let copy = copy_in(folder);
    let mut files: Vec<_> =
        all_files(&copy).iter().map(|file| file.strip_prefix(&copy).unwrap().into()).collect();
    files.sort();
    files
}

#[track_caller]
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < WITHIN, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn get(address: &str, path: &str) -> (u16, Vec<u8>) {
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build();
    let mut answer = config.new_agent().get(format!("{address}{path}")).call().unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_vec().unwrap())
}

fn a_mirror_outlives_the_service_and_goes_on_after_it_was_killed(engine: Engine) {
    let service = Service::start(engine);
    let anonymous = service.anonymous();
    let policy = anonymous.get("/v1/policy").expect(200).text();
    let log = policy.split_whitespace().nth(1).unwrap();
    let (home, verifier) = (tempfile::tempdir().unwrap(), Verifier::of(&service));
    let folder = home.path().join("w1");
    let published_at = format!("{}/log", anonymous.address());

    let trial = Trial::open(&service, "MIRROR-1");
    service.wait_until_sealed();
    let first = mirror(&folder, log, &published_at);
    let checkpoint = || fs::read(copy_in(&folder).join("checkpoint")).ok();
    wait_until("there is a copy", || folder.join("mirror").is_dir() && checkpoint().is_some());
    verifier.log(&copy_in(&folder)).assert_sound();
    // Killed, and started again when the log has gone on.
    drop(first);
    for number in 0..5 {
        trial.enrol(&format!("101-00{number}"), true);
        service.wait_until_sealed();
    }
    let again = mirror(&folder, log, &published_at);
    wait_until("the copy has caught up", || checkpoint() == Some(service.published_checkpoint()));

    let (published, newest) = (service.published(), service.published_checkpoint());
    let mut notes = 0;
    for note in all_files(&published.join("notes")) {
        let copied = copy_in(&folder).join(note.strip_prefix(&published).unwrap());
        assert_eq!(fs::read(&copied).unwrap(), fs::read(&note).unwrap(), "{}", copied.display());
        notes += 1;
    }
    assert!(notes > 5, "the log has {notes} notes");
    drop(service);
    assert!(!published.exists(), "nothing of the service is left");

    // From the folder, and from the mirror's address as any reader of C2SP logs has it.
    verifier.log(&copy_in(&folder)).assert_sound();
    assert_eq!(checkpoint().as_ref(), Some(&newest));
    let name = copy_in(&folder).file_name().unwrap().to_str().unwrap().to_owned();
    let copied = |path: &str| get(&again.address, &format!("/mirror/{name}/{path}"));
    assert_eq!(copied("checkpoint"), (200, newest));
    for file in all_files(&copy_in(&folder).join("tile")) {
        let path = file.strip_prefix(copy_in(&folder)).unwrap().to_str().unwrap().to_owned();
        assert_eq!(copied(&path), (200, fs::read(&file).unwrap()), "{path}");
    }
    for path in ["tile/0/001", "tile/0/0", "../witness.key", "notes/x", ""] {
        assert_eq!(copied(path).0, 404, "{path}");
    }

    // It can be handed on: a mirror of the mirror is the same log.
    let onward = home.path().join("w2");
    let _second = mirror(&onward, log, &format!("{}/mirror/{name}", again.address));
    wait_until("the copy is copied", || {
        onward.join("mirror").is_dir() && fs::read(copy_in(&onward).join("checkpoint")).ok() == checkpoint()
    });
    verifier.log(&copy_in(&onward)).assert_sound();
    assert_eq!(files_of(&onward), files_of(&folder));
    let other = format!("/mirror/{}/checkpoint", "0".repeat(64));
    assert_eq!(get(&again.address, &other).0, 404);
}
