//! Sessions of others in the same PostgreSQL database: one that keeps an old snapshot, and one that holds the lock that all
//! appends take turns at.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trialseal_tests::{Engine, Role, Service, Trial, Verifier, assert_sound, bodies, events_of};

/// Events that are recorded while somebody looks at an old snapshot, and how many of them come with one command.
const EVENTS: usize = 2_000;
const EVENTS_A_COMMAND: usize = 100;

/// The longest until a command is answered that waits for the lock: PostgreSQL has a transaction wait for its turn at the row
/// and then for who holds it, 10 s each at the most, and the command may have waited behind one that did both.
const ANSWERED_WITHIN: Duration = Duration::from_secs(45);

fn records(first: usize) -> Value {
    let record = |number: usize| {
        json!({
            "visit": "Baseline", "form": "VS", "itemGroup": "IG.VS", "collectedOn": "2025-03-01",
            "repeat": number + 1, "items": [{"itemOid": "IT.VS.WEIGHT", "value": number.to_string()}],
        })
    };
    json!({"records": (first..first + EVENTS_A_COMMAND).map(record).collect::<Vec<_>>()})
}

#[test]
fn an_old_snapshot_is_in_nobodys_way() {
    let service = Service::start(Engine::Postgres);
    let trial = Trial::open(&service, "SNAPSHOT-1");
    let participant = trial.enrol("101-001", true);
    let verifier = Verifier::of(&service);
    service.wait_until_sealed();
    let counted = "SELECT count(*)::TEXT FROM event";
    let mut snapshot = service.database().session();
    snapshot.execute("BEGIN ISOLATION LEVEL REPEATABLE READ");
    let before = snapshot.texts(counted).remove(0);
    for first in (0..EVENTS).step_by(EVENTS_A_COMMAND) {
        trial.about(&participant, "data", &records(first));
    }
    let sealed = service.wait_until_sealed();
    // Who was given access is recorded meanwhile, too.
    assert!(sealed >= before.parse::<u64>().unwrap() + EVENTS as u64, "{sealed}");
    assert_eq!(snapshot.texts(counted), [before], "it is no snapshot");
    assert_eq!(events_of(&service.client(Role::Monitor), &trial.id).len(), trial.acknowledged().len());
    assert_sound(&service, &verifier);
    snapshot.execute("COMMIT");
    assert!(snapshot.texts(counted)[0].parse::<u64>().unwrap() >= sealed);
}

#[test]
fn who_waits_for_a_lock_in_vain_is_told_in_time() {
    let service = Service::start(Engine::Postgres);
    let trial = Trial::open(&service, "LOCK-1");
    // Each about somebody else: commands about one participant wait for one another besides.
    let paths: Vec<String> = (0..4)
        .map(|number| trial.enrol(&format!("101-00{number}"), true))
        .map(|participant| trial.path(&format!("participants/{participant}/data")))
        .collect();
    let verifier = Verifier::of(&service);
    service.wait_until_sealed();
    let investigator = service.client(Role::Investigator);
    let send = |path: &str| {
        let begun = Instant::now();
        let answer = investigator.post(path, path, &bodies::data("Baseline", "81.40"));
        (answer, begun.elapsed())
    };
    let mut holder = service.database().session();
    holder.execute("BEGIN; SELECT * FROM ledger FOR UPDATE");
    thread::scope(|scope| {
        let waiting: Vec<_> = paths.iter().map(|path| scope.spawn(move || send(path))).collect();
        for waiting in waiting {
            let (answer, time) = waiting.join().unwrap();
            answer.problem(503, "unavailable");
            assert_eq!(answer.header("retry-after"), "1");
            assert!(time < ANSWERED_WITHIN, "answered after {time:?}");
        }
    });
    holder.execute("ROLLBACK");
    for path in &paths {
        let (answer, _) = send(path);
        assert_ne!(answer.expect(201).header("idempotent-replayed"), "true", "it was recorded after all");
    }
    service.wait_until_sealed();
    assert_sound(&service, &verifier);
}
