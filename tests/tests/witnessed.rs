//! What is published has been cosigned; and nobody waits for a witness who does not ask for it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use trialseal_tests::{Engine, Role, Service, Trial, Verifier, bodies, on_both_engines};

on_both_engines!(
    what_is_published_is_cosigned_and_what_is_recorded_waits_for_nobody,
    a_service_killed_among_its_witnesses_goes_on
);

const TWO_OF_THREE: &str = "group g 2 w1 w2 w3\nquorum g\n";

/// Asks until it is so.
fn wait<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn standing(service: &Service) -> (u64, u64) {
    let seals = service.client(Role::Monitor).json("/v1/seals?limit=1");
    let number = |name: &str| seals[name].as_u64().map_or(0, |number| number + 1);
    (number("newest"), number("newestSigned"))
}

fn what_is_published_is_cosigned_and_what_is_recorded_waits_for_nobody(engine: Engine) {
    let (service, mut witnesses) = Service::start_witnessed(engine, 3, TWO_OF_THREE);
    let verifier = Verifier::of(&service);
    let trial = Trial::open(&service, "WITNESSED");
    let participant = trial.enrol("001", true);
    let path = trial.path(&format!("participants/{participant}/data?wait=witnessed"));
    let investigator = service.client(Role::Investigator);
    let answer = investigator.post(&path, "d1", &bodies::data("V1", "120")).expect(201).json();
    assert_eq!(answer["level"], "witnessed");

    // Its receipt says by when it was public, by the witnesses' clocks.
    let event = answer["events"][0]["trialseq"].as_u64().unwrap();
    let monitor = service.client(Role::Monitor);
    let receipt = monitor.json(&trial.path(&format!("events/{event}/receipt")));
    verifier.document("receipt", &receipt).assert_sound();
    let note = receipt["sealProof"].as_str().unwrap();
    assert!(
        (1..=3).filter(|n| note.contains(&format!("— witness.example.org/w{n} "))).count() >= 2,
        "{note}"
    );

    // Two away: recording and sealing go on, publishing does not, and both can be seen.
    witnesses.all[1].kill();
    witnesses.all[2].kill();
    let path = trial.path(&format!("participants/{participant}/data?wait=sealed"));
    let answer = investigator.post(&path, "d2", &bodies::data("V2", "121")).expect(201).json();
    assert_eq!(answer["level"], "sealed");
    let waiting = answer["events"][0]["trialseq"].as_u64().unwrap();
    let (published, signed) = standing(&service);
    assert!(published < signed, "{published} {signed}");
    let early = monitor.get(&trial.path(&format!("events/{waiting}/receipt")));
    assert_eq!(early.status, 409, "{early:?}");
    let metrics = service.client(Role::Admin).get("/metrics").expect(200).text();
    for line in ["trialseal_log_size{state=\"signed\"}", "trialseal_log_size{state=\"witnessed\"}"] {
        assert!(metrics.contains(line), "{line} is missing");
    }

    // They come back where they were.
    witnesses.all[1].start_again();
    witnesses.all[2].start_again();
    let receipt = wait("the event is public", || {
        let answer = monitor.get(&trial.path(&format!("events/{waiting}/receipt")));
        (answer.status == 200).then(|| answer.json())
    });
    verifier.document("receipt", &receipt).assert_sound();
    service.wait_until_sealed();
    verifier.log(&service.published()).assert_sound();
}

fn a_service_killed_among_its_witnesses_goes_on(engine: Engine) {
    let (mut service, mut witnesses) = Service::start_witnessed(engine, 3, TWO_OF_THREE);
    let verifier = Verifier::of(&service);
    let trial = Trial::open(&service, "WITNESSED");
    for round in 0..6 {
        trial.enrol(&format!("{round:03}"), true);
        if round % 2 == 0 {
            service.kill();
            witnesses.all[round / 2].kill();
            service.start_again();
            witnesses.all[round / 2].start_again();
        }
    }
    service.wait_until_sealed();
    verifier.log(&service.published()).assert_sound();
    service.stop();
    let check = service.command(&["check"]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
}

#[test]
fn an_old_backup_is_refused_by_what_the_witnesses_know() {
    let (mut service, _witnesses) = Service::start_witnessed(Engine::Sqlite, 1, "quorum w1\n");
    let trial = Trial::open(&service, "WITNESSED");
    service.wait_until_sealed();
    service.stop();
    let backup = tempfile::tempdir().unwrap();
    let copy = |from: &Path, to: &Path| {
        for name in ["trialseal.db", "trialseal.db-wal", "trialseal.db-shm"] {
            let _ = fs::remove_file(to.join(name));
            let _ = fs::copy(from.join(name), to.join(name));
        }
    };
    copy(service.dir(), backup.path());
    service.start_again();
    trial.enrol("001", true);
    service.wait_until_sealed();
    service.stop();
    // The disk with database and published log is lost. What is put back knows nothing of the newest seals.
    copy(backup.path(), service.dir());
    fs::remove_dir_all(service.published()).unwrap();
    assert!(!service.try_start_again(), "it serves");
    let log = service.log();
    assert!(log.contains("Nothing will be sealed; restore the newest database"), "{log}");
}

#[test]
fn a_ledger_does_not_begin_to_ask_and_nobody_waits_in_vain() {
    let mut service = Service::start(Engine::Sqlite);
    let sponsor = service.client(Role::Sponsor);
    let refused = sponsor.post("/v1/trials?wait=witnessed", "r", &bodies::registration("T-1"));
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.json()["detail"].as_str().unwrap().contains("asks for no witnesses"));
    Trial::open(&service, "UNWITNESSED");
    service.wait_until_sealed();
    // What was given to whom may be recorded and sealed until then.
    service.stop();
    let published = service.published_checkpoint();
    let keys = String::from_utf8(service.command(&["keys"]).stdout).unwrap();
    let log = keys.lines().find_map(|line| line.strip_prefix("log ")).unwrap();
    let witnesses = trialseal_tests::Witnesses::start(log, 1, "quorum w1\n");
    service.set("TRIALSEAL_POLICY_FILE", &witnesses.policy());
    assert!(!service.try_start_again(), "it serves");
    assert!(service.log().contains("needs a new ledger with another origin"), "{}", service.log());
    assert_eq!(service.published_checkpoint(), published);
}
