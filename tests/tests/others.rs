//! Programs of others, who know the published formats and nothing of us: the PyPI packages `aics-tlog`, which verifies C2SP
//! logs, and `aics-witness`, which cosigns them. They check our log and cosign it, and ours cosigns a log of theirs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use trialseal_tests::{
    Client, Engine, Listener, Service, Trial, Verifier, all_files, flip, on_both_engines, other, program,
    script,
};

on_both_engines!(another_program_checks_the_log_and_another_witness_cosigns_it);

#[track_caller]
fn well(output: &Output) -> String {
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{complained}");
    said.into_owned()
}

/// A witness of theirs.
struct OtherWitness {
    folder: tempfile::TempDir,
    vkey: String,
}

impl OtherWitness {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut witness = Self { folder, vkey: String::new() };
        let said = well(&witness.run("init", &["--name", "other.example.org/w1"]).output().unwrap());
        let vkey = said.split_whitespace().find(|word| word.starts_with("other.example.org/w1+"));
        vkey.unwrap_or_else(|| panic!("no verifier key: {said}")).clone_into(&mut witness.vkey);
        witness
    }

    fn run(&self, what: &str, more: &[&str]) -> Command {
        let mut command = other("aics-witness");
        command.arg(what).arg("--config").arg(self.folder.path().join("witness.json")).args(more);
        command
    }

    /// Has the running witness cosign for a log.
    fn trust(&self, server: &Listener, origin: &str, vkey: &str) {
        well(&self.run("add-log", &["--origin", origin, "--vkey", vkey]).output().unwrap());
        let process = server.pid().to_string();
        well(&Command::new("sh").args(["-c", "kill -HUP \"$0\"", &process]).output().unwrap());
    }
}

/// Runs `aics-tlog`, which answers with one JSON object.
fn tlog(arguments: &[&str]) -> Value {
    let output = other("aics-tlog").args(arguments).output().unwrap();
    let said = serde_json::from_slice::<Value>(&output.stdout);
    let said = said.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(said["ok"], output.status.success(), "{said}");
    said
}

#[track_caller]
fn assert_ok(said: &Value) {
    assert_eq!(said["ok"], true, "{said}");
}

fn another_program_checks_the_log_and_another_witness_cosigns_it(engine: Engine) {
    let witness = OtherWitness::new();
    let server = Listener::on_error(witness.run("serve", &["--listen", "127.0.0.1:0"]));
    let policy = witness.folder.path().join("policy");
    let lines = format!("witness w1 {} {}\nquorum w1\n", witness.vkey, server.address);
    fs::write(&policy, lines).unwrap();
    let service = Service::start_with(engine, &[("TRIALSEAL_POLICY_FILE", policy.to_str().unwrap())]);
    let anonymous = service.anonymous();
    let log = log_of(&anonymous);
    witness.trust(&server, "ledger.example.org/test", &log);

    let folder = witness.folder.path();
    let (first, card) = (folder.join("first.note"), folder.join("policy.json"));
    let (first, card) = (first.to_str().unwrap(), card.to_str().unwrap());
    fs::write(card, json!({"quorum": 1, "witnesses": [witness.vkey]}).to_string()).unwrap();
    let url = format!("{}/log/", anonymous.address());
    let here = ["--tiles", &url, "--log-key", &log, "--policy-file", card];
    let asked = |command: &'static str, more: &[&str]| tlog(&[&[command], &here[..], more].concat());

    let trial = Trial::open(&service, "OTHERS-1");
    service.wait("their witness has cosigned", || {
        (anonymous.get("/log/checkpoint").status == 200).then_some(())
    });
    let checked =
        asked("verify-checkpoint", &["--origin", "ledger.example.org/test", "--save-checkpoint", first]);
    assert_ok(&checked);
    assert_eq!(checked["witnesses"], json!(["other.example.org/w1"]));

    // More seals, and the log has grown as they see it.
    let before = checked["size"].as_u64().unwrap();
    for number in 0..3 {
        trial.enrol(&format!("101-00{number}"), true);
        service.wait_until_sealed();
    }
    let size = service.wait("another checkpoint is cosigned", || {
        let size = asked("verify-checkpoint", &[])["size"].as_u64()?;
        (size >= before + 2).then_some(size)
    });
    let grown = asked("verify-consistency", &["--old-checkpoint", first]);
    assert_ok(&grown);
    for index in [0, before, size - 1] {
        let proved = asked("verify-inclusion", &["--index", &index.to_string()]);
        assert_ok(&proved);
    }
    let audited = script("audit.py").args([&url, &log, card]).output().unwrap();
    let audited = well(&audited);
    assert!(audited.split_whitespace().next().unwrap().parse::<u64>().unwrap() >= size, "{audited}");

    // Ours accepts what theirs cosigned, under a policy that asks for it.
    service.wait_until_sealed();
    Verifier::of(&service).log(&service.published()).assert_sound();
    assert_they_find_a_changed_entry(&service, &log, folder);
}

/// What they accept, they have looked at: an entry of which a bit was changed is found.
fn assert_they_find_a_changed_entry(service: &Service, log: &str, folder: &Path) {
    let copy = folder.join("copy");
    for file in all_files(&service.published()) {
        let to = copy.join(file.strip_prefix(service.published()).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(file, to).unwrap();
    }
    let prove =
        || tlog(&["verify-inclusion", "--tiles", copy.to_str().unwrap(), "--log-key", log, "--index", "0"]);
    assert_ok(&prove());
    for file in all_files(&copy.join("tile/entries")) {
        fs::write(&file, flip(&fs::read(&file).unwrap(), 20)).unwrap();
    }
    let refused = prove();
    assert_eq!(refused["ok"], false, "{refused}");
    assert!(refused["error"].as_str().unwrap().contains("TileVerificationError"), "{refused}");
}

/// The verifier key of the service's log.
fn log_of(anonymous: &Client) -> String {
    let policy = anonymous.get("/v1/policy").expect(200).text();
    let line = policy.lines().find_map(|line| line.strip_prefix("log ")).unwrap();
    line.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn our_witness_cosigns_a_log_of_another_program() {
    let folder = tempfile::tempdir().unwrap();
    let (origin, seed) = ("log.example.org/others", "07".repeat(32));
    let theirs = |what: &[&str]| {
        let mut command = script("grow.py");
        command.arg(folder.path().join("log")).args([origin, &seed]).args(what);
        well(&command.output().unwrap())
    };
    let vkey = theirs(&["key"]);
    let mut command = Command::new(program("trialseal-witness"));
    command.args(["run", "--name", "witness.example.org/w1", "--listen", "127.0.0.1:0", "--folder"]);
    command.arg(folder.path().join("witness")).args(["--log", vkey.trim()]);
    let server = Listener::on_output(command);
    let key = server.said.iter().find(|line| line.starts_with("witness.example.org/w1+")).unwrap();
    let witness = [server.address.as_str(), key.as_str()];

    // Sizes around those at which tiles are full.
    let sizes = ["1", "2", "255", "256", "257", "700"];
    let newest = theirs(&[&["grow"], &witness[..], &sizes].concat());
    assert_eq!(newest.lines().nth(1), Some("700"));
    assert!(newest.contains("\u{2014} witness.example.org/w1 "), "{newest}");
    let said = theirs(&[&["fork"], &witness[..], &["700"]].concat());
    assert!(said.starts_with("BadWitnessResponse: 409 Conflict"), "{said}");
    let said = theirs(&[&["fork"], &witness[..], &["900"]].concat());
    assert!(said.contains("WitnessRejected: witness answered 422"), "{said}");
    let said = theirs(&[&["fork"], &witness[..], &["300"]].concat());
    assert!(said.contains("WitnessAhead"), "{said}");
}
