//! A monitor on another machine follows an honest ledger without a word, and notices what its operator does to the record.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use trialseal_tests::{
    Database, Engine, Monitor, Pass, Role, Service, Trial, all_files, bodies, on_both_engines,
};

on_both_engines!(
    an_honest_ledger_among_its_witnesses_is_followed,
    a_record_that_is_changed_in_the_database_is_noticed,
    a_ledger_that_is_put_back_and_goes_on_otherwise_is_noticed,
);

const TRIAL: &str = "MONITORED";

fn an_honest_ledger_among_its_witnesses_is_followed(engine: Engine) {
    let lines = "group g 2 w1 w2 w3\nquorum g\n";
    let (mut service, witnesses) = Service::start_witnessed(engine, 3, lines);
    let trial = Trial::open(&service, TRIAL);
    let participant = trial.enrol("001", true);
    service.wait_until_sealed();
    let reader = service.new_client(Role::Monitor, &[TRIAL]);
    let monitor = Monitor::of(&service, TRIAL, &reader).beside(&witnesses);

    // Without a place it does not start by itself; a first start says whom it trusts.
    let refused = monitor.check(&service, &[]);
    assert_eq!(refused.code, 3, "{}", refused.said);
    let first = monitor.check(&service, &["--first"]);
    first.assert_sound();
    assert!(first.said.contains(&witnesses.all[2].key), "{}", first.said);
    let events = |pass: &Pass| pass.report["trials"][0]["events"].as_u64().unwrap();
    let before = events(&first);
    assert!(before > 7, "{:#}", first.report);

    for number in 1..=3 {
        let answer = trial.about(&participant, "data", &bodies::data(&format!("Week {number}"), "81.40"));
        let recorded = answer["events"][0]["trialseq"].as_u64().unwrap();
        // The witnesses may be ahead of what is public for a moment; no pass may take that for a fault.
        let pass = service.wait("the monitor has seen it", || {
            let pass = monitor.check(&service, &[]);
            pass.assert_sound();
            (events(&pass) > recorded).then_some(pass)
        });
        let agree = pass.report["others"].as_object().unwrap().values();
        assert_eq!(agree.filter(|size| size.is_u64()).count(), 3, "{:#}", pass.report);
    }
    service.kill();
    service.start_again();
    monitor.check(&service, &["--reread"]).assert_sound();
    // A ledger that does not answer: nothing can be told, and the place stays.
    let place = fs::read(monitor.dir().join("place")).unwrap();
    service.kill();
    assert_eq!(monitor.check(&service, &[]).code, 2);
    assert!(fs::read(monitor.dir().join("place")).unwrap() == place);
}

/// Switches off what keeps events, and changes one bit of what one of them says.
fn change_event(database: &Database) {
    let row = format!("trial = '{TRIAL}' AND trialseq = 7");
    let (disarm, change) = match database.engine() {
        Engine::Sqlite => {
            let triggers = database.texts("SELECT name FROM sqlite_master WHERE type = 'trigger'");
            let body = database.texts(&format!("SELECT hex(body) FROM event WHERE {row}")).remove(0);
            let digit = u8::from_str_radix(&body[40..41], 16).unwrap() ^ 1;
            let disarm = triggers.iter().map(|trigger| format!("DROP TRIGGER {trigger}")).collect();
            (disarm, format!("body = x'{}{digit:x}{}'", &body[..40], &body[41..]))
        }
        Engine::Postgres => {
            let disarm = vec!["ALTER TABLE event DISABLE TRIGGER append_only".to_owned()];
            (disarm, "body = set_byte(body, 20, get_byte(body, 20) # 1)".to_owned())
        }
    };
    for sql in disarm {
        database.execute(&sql).unwrap();
    }
    database.execute(&format!("UPDATE event SET {change} WHERE {row}")).unwrap();
}

fn a_record_that_is_changed_in_the_database_is_noticed(engine: Engine) {
    let mut service = Service::start(engine);
    let trial = Trial::open(&service, TRIAL);
    trial.enrol("001", true);
    service.wait_until_sealed();
    let monitor = Monitor::of(&service, TRIAL, &service.client(Role::Monitor));
    monitor.check(&service, &["--first"]).assert_sound();
    service.stop();
    change_event(service.database());
    service.start_again();
    let pass = monitor.check(&service, &["--reread"]);
    pass.assert_alarm("damaged");
    let evidence = monitor.dir().join("evidence").join(pass.report["evidence"][0].as_str().unwrap());
    let answer = fs::read_to_string(evidence.join("answer.json")).unwrap();
    assert!(answer.contains("event 7"), "{answer}");
}

/// Copies the files of one folder to another, and removes those that are not in the first.
fn put(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    for file in all_files(from) {
        let copy = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(&file, copy).unwrap();
    }
}

fn a_ledger_that_is_put_back_and_goes_on_otherwise_is_noticed(engine: Engine) {
    let mut service = Service::start(engine);
    let trial = Trial::open(&service, TRIAL);
    let participant = trial.enrol("001", true);
    service.wait_until_sealed();
    // Database and published log together, so that the service itself has nothing to go by.
    service.stop();
    service.database().back_up("old");
    let kept = tempfile::tempdir().unwrap();
    put(&service.published(), &kept.path().join("log"));

    service.start_again();
    let record = |number: u32| {
        trial.about(&participant, "data", &bodies::data(&format!("Week {number}"), "81.40"));
        service.wait_until_sealed();
    };
    (0..6).for_each(record);
    let monitor = Monitor::of(&service, TRIAL, &service.client(Role::Monitor));
    let first = monitor.check(&service, &["--first"]);
    first.assert_sound();
    let seen = first.report["log"]["size"].as_u64().unwrap();

    service.stop();
    service.database().restore("old");
    put(&kept.path().join("log"), &service.published());
    service.start_again();
    monitor.check(&service, &[]).assert_alarm("rolled-back");
    // It goes on as if nothing had been.
    let mut number = 100;
    let size = || service.client(Role::Monitor).json("/v1/seals?limit=1")["newest"].as_u64().unwrap() + 1;
    while size() <= seen {
        trial.about(&participant, "data", &bodies::data(&format!("Week {number}"), "70.10"));
        service.wait_until_sealed();
        number += 1;
    }
    let pass = monitor.check(&service, &[]);
    pass.assert_alarm("split");
    let folders = pass.report["evidence"].as_array().unwrap().iter();
    let split = folders.map(|name| name.as_str().unwrap()).find(|name| name.contains("-split-")).unwrap();
    let evidence = monitor.dir().join("evidence").join(split);
    for name in ["checkpoint-old", "checkpoint-new", "beginning.json", "policy.txt", "finding.json"] {
        assert!(evidence.join(name).exists(), "{name}");
    }
    service.database().remove_copy("old");
}
