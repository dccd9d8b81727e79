//! The database itself keeps what is recorded, also from the service's own user.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use trialseal_tests::{Engine, Role, Service, Trial, Verifier, events_of, laboratory, on_both_engines};

on_both_engines!(what_is_recorded_stays);

/// The tables of the record, and a column of each.
const RECORD: [(&str, &str); 8] = [
    ("event", "trialseq"),
    ("command", "count"),
    ("seal", "sealed"),
    ("sealed_head", "size"),
    ("tree_node", "place"),
    ("checkpoint", "size"),
    ("note", "size"),
    ("note_timestamp", "size"),
];

fn what_is_recorded_stays(engine: Engine) {
    let service = Service::start(engine);
    let trial = Trial::open(&service, "APPEND-1");
    // Enough events for the trial's tree to have a node that is stored.
    let file = laboratory(&["101-001".to_owned()], 300, &mut trialseal_tests::Rng::new(1));
    assert_eq!(trial.import(&service, file.as_bytes())["state"], "done");
    service.wait_until_sealed();
    let monitor = service.client(Role::Monitor);
    let before = events_of(&monitor, &trial.id);
    let stamp =
        "INSERT INTO note_timestamp (ledger, size, time, reply) SELECT ledger, size, 0, note FROM note";
    service.database().execute(stamp).unwrap();
    let count = |table: &str| {
        let rows = service.database().texts(&format!("SELECT CAST(count(*) AS TEXT) FROM {table}"));
        rows[0].parse::<u64>().unwrap()
    };

    for (table, column) in RECORD {
        let rows = count(table);
        assert!(rows > 0, "{table} is empty, and nothing was tried");
        let mut attempts = vec![
            format!("UPDATE {table} SET {column} = {column} + 1"),
            format!("UPDATE {table} SET {column} = {column}"),
            format!("DELETE FROM {table}"),
        ];
        match engine {
            // INSERT OR REPLACE deletes without being asked to delete.
            Engine::Sqlite => {
                attempts.push(format!("INSERT OR REPLACE INTO {table} SELECT * FROM {table}"));
                attempts.push(format!("REPLACE INTO {table} SELECT * FROM {table} LIMIT 1"));
            }
            Engine::Postgres => {
                attempts.push(format!("TRUNCATE {table}"));
                attempts.push(format!("TRUNCATE {table} CASCADE"));
                attempts.push(format!("UPDATE {table} SET {column} = {column} WHERE false"));
                attempts.push(format!("SET session_replication_role = replica; DELETE FROM {table}"));
            }
        }
        for attempt in attempts {
            let refusal = service.database().execute(&attempt).expect_err(&attempt);
            assert!(refusal.contains("append-only"), "{attempt}: {refusal}");
        }
        assert!(count(table) >= rows, "{table} has lost rows");
    }
    assert_eq!(events_of(&monitor, &trial.id), before);
    Verifier::of(&service).log(&service.published()).assert_sound();
    assert!(service.command(&["check"]).status.success());
}
