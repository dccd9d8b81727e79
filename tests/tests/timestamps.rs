//! Time from outside: an authority that the ledger does not own says when its notes existed, and strangers check it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use serde_json::Value;
use trialseal_tests::{
    Answers, Engine, Role, Service, TimeAuthority, Trial, Verifier, bodies, flip, on_both_engines,
};

on_both_engines!(
    a_published_note_is_stamped_and_strangers_can_check_it,
    an_authority_that_fails_stops_nothing,
);

fn start(engine: Engine) -> (Service, TimeAuthority) {
    let authority = TimeAuthority::start(if engine == Engine::Sqlite { "rsa" } else { "ec" });
    let root = authority.root();
    let settings = [
        ("TRIALSEAL_TSA_URL", authority.url.as_str()),
        ("TRIALSEAL_TSA_CA_FILE", root.as_str()),
        ("TRIALSEAL_TSA_INTERVAL_SECONDS", "1"),
        ("TRIALSEAL_HEARTBEAT_SECONDS", "1"),
    ];
    let service = Service::start_with(engine, &settings);
    (service, authority)
}

/// The timestamp of seal 0, once there is one.
fn first_timestamp(service: &Service) -> Option<Value> {
    let seals = service.client(Role::Monitor).json("/v1/seals?limit=1");
    seals["seals"][0].get("timestamp").cloned()
}

fn a_published_note_is_stamped_and_strangers_can_check_it(engine: Engine) {
    let (mut service, authority) = start(engine);
    let verifier = Verifier::of(&service);
    let trial = Trial::open(&service, "STAMPED");
    trial.enrol("001", true);
    let timestamp = service.wait("a note is stamped", || first_timestamp(&service));
    let (address, note) = (timestamp["address"].as_str().unwrap(), timestamp["note"].as_str().unwrap());
    // It is recorded first, then published, and listed last.
    let listed = || fs::read_to_string(service.published().join("timestamps/sizes/000")).unwrap_or_default();
    let size = timestamp["size"].to_string();
    service.wait("it is listed", || listed().lines().any(|line| line == size).then_some(()));
    let answer = service.anonymous().get(address).expect(200);
    assert_eq!(answer.header("content-type"), "application/timestamp-reply");

    let place = |address: &str| service.published().join(address.strip_prefix("/log/").unwrap());
    let (reply, note) = (place(address), place(note));
    assert_eq!(fs::read(&reply).unwrap(), answer.body);
    assert!(authority.accepts(&reply, &note));
    let root = authority.root();
    let verdict = verifier.timestamp(&reply, &note, Path::new(&root));
    verdict.assert_sound();
    let facts = &verdict.report["facts"];
    assert_eq!((&facts["existedBy"], &facts["logSize"]), (&timestamp["time"], &timestamp["size"]));
    assert!(
        facts["authority"] == "CN=ours" && facts["proves"].as_str().unwrap().contains("every seal up to")
    );

    // Another note, and another authority.
    let newest = service.published().join("checkpoint");
    // The list is ahead of the file.
    service.wait("a second note is published", || {
        (fs::read(&newest).unwrap() != fs::read(&note).unwrap()).then_some(())
    });
    assert!(!authority.accepts(&reply, &newest));
    let refused = |note: &Path, root: &str| {
        let verdict = verifier.timestamp(&reply, note, Path::new(root));
        assert_eq!(verdict.code, 1, "{:#}", verdict.report);
        verdict.report["findings"][0]["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(refused(&newest, &root), "timestamp-of-other-bytes");
    assert_eq!(refused(&note, &authority.another_root()), "timestamp-chain");

    // The whole log, before and after it is made anew from the database.
    service.stop();
    let log = service.published();
    let checked = |what: &str| {
        let verdict = verifier.log_with(&log, Path::new(&root));
        verdict.assert_sound();
        let facts = &verdict.report["facts"];
        assert!(facts["firstTimestamp"].as_str() <= facts["lastTimestamp"].as_str());
        let checked = facts["timestampsChecked"].as_u64().unwrap();
        assert!(checked > 0, "{what}");
        checked
    };
    let before = checked("as it was published");
    assert!(verifier.log(&log).report["facts"]["timestamps"].as_str().unwrap().contains("not checked"));
    fs::remove_dir_all(&log).unwrap();
    service.start_again();
    service
        .wait("the timestamps are there again", || log.join("timestamps/sizes/000").exists().then_some(()));
    service.stop();
    assert!(checked("made anew") >= before);

    // Changed by somebody who has the folder.
    assert_eq!(verifier.log_with(&log, Path::new(&authority.another_root())).code, 1);
    let bytes = fs::read(&reply).unwrap();
    fs::write(&reply, flip(&bytes, bytes.len() - 1)).unwrap();
    verifier.log_with(&log, Path::new(&root)).assert_names("timestamps/");
}

fn an_authority_that_fails_stops_nothing(engine: Engine) {
    let (service, authority) = start(engine);
    authority.answer(Answers::Failure);
    let trial = Trial::open(&service, "UNSTAMPED");
    let participant = trial.enrol("001", true);
    let path = trial.path(&format!("participants/{participant}/data?wait=sealed"));
    let investigator = service.client(Role::Investigator);
    let failures = [
        Answers::Failure,
        Answers::Garbage,
        Answers::Rejection,
        Answers::AsAnother,
        Answers::TheOneBefore,
        Answers::Never,
    ];
    // What a start that was quick had stamped is not undone.
    let stamped = || {
        let rows = service.database().texts("SELECT CAST(count(*) AS TEXT) FROM note_timestamp");
        rows[0].parse::<u64>().unwrap()
    };
    let before = stamped();
    for answers in failures {
        authority.answer(answers);
        let asked = authority.asked();
        service.wait("it is asked again", || {
            (authority.asked() > asked + 1 || answers == Answers::Never).then_some(())
        });
        let visit = format!("{answers:?}");
        let sent = investigator.post(&path, &visit, &bodies::data(&visit, "81.40"));
        assert_eq!(sent.expect(201).json()["level"], "sealed", "{answers:?}");
        assert_eq!(stamped(), before, "{answers:?}");
    }
    let metrics = service.client(Role::Admin).get("/metrics").text();
    assert!(metrics.contains("trialseal_timestamps_total{outcome=\"failed\"}"), "{metrics}");
    authority.answer(Answers::Soundly);
    service.wait("it is believed again", || (stamped() > before).then_some(()));
}
