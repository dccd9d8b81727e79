//! A database that is put back from a backup. If it is older than what is published, nothing is sealed on top of it; if it
//! is the newest one, all goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::json;
use trialseal_tests::{
    Engine, Role, Service, Trial, Verifier, assert_sound, bodies, events_of, on_both_engines,
};

on_both_engines!(an_old_backup_is_not_sealed_upon_and_the_newest_one_is);

/// Commands after the backup.
const LATER: u32 = 5;

fn an_old_backup_is_not_sealed_upon_and_the_newest_one_is(engine: Engine) {
    let mut service = Service::start(engine);
    let trial = Trial::open(&service, "RESTORE-1");
    let participant = trial.enrol("101-001", true);
    let monitor = service.client(Role::Monitor);
    service.wait_until_sealed();
    let verifier = Verifier::of(&service);
    service.stop();
    service.database().back_up("old");

    service.start_again();
    for number in 0..LATER {
        trial.about(&participant, "data", &bodies::data(&format!("Week {number}"), "81.40"));
    }
    service.wait_until_sealed();
    service.stop();
    service.database().back_up("newest");
    let published = service.published_checkpoint();

    service.database().restore("old");
    for _ in 0..2 {
        assert!(!service.try_start_again(), "the service goes on with an old backup");
        service.assert_nothing_sealed_since(&published, &verifier);
    }

    service.database().restore("newest");
    service.start_again();
    trial.about(&participant, "data", &bodies::data("Later still", "81.40"));
    service.wait_until_sealed();
    let recorded: Vec<_> = events_of(&monitor, &trial.id)
        .iter()
        .map(|event| json!([event["header"]["id"], event["eventleaf"]]))
        .collect();
    let acknowledged: Vec<_> =
        trial.acknowledged().iter().map(|event| json!([event["id"], event["eventleaf"]])).collect();
    assert_eq!(recorded, acknowledged);
    assert_sound(&service, &verifier);
    for copy in ["old", "newest"] {
        service.database().remove_copy(copy);
    }
}
