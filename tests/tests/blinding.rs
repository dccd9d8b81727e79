//! What a participant is given: nobody who is blinded finds it out, by nothing that the service gives away.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;

use serde_json::{Value, json};
use trialseal_tests::{
    Client, Engine, Role, Service, Submitter, Trial, Verifier, accesses_of, bodies, events_of, export,
    on_both_engines, unpack,
};
use ureq::SendBody;

on_both_engines!(
    trials_that_differ_in_the_arm_alone_look_alike,
    an_emergency_unblinds_the_one_who_asked_and_nobody_else,
);

/// Of different lengths, so that a length would tell them apart.
const ARMS: [&str; 2] = ["CANARYARM-A", "CANARYARM-HIGH-DOSE"];

const REASON: &str = "Unconscious in the emergency room";

/// Whether an arm stands somewhere in a text.
fn names_an_arm(text: &str) -> bool {
    text.contains("CANARYARM")
}

/// Somebody who is randomised to an arm, with a value recorded afterwards.
fn randomised(service: &Service, id: &str, arm: &str) -> (Trial, String) {
    let trial = Trial::open(service, id);
    let participant = trial.enrol("101-001", true);
    let route = trial.path(&format!("participants/{participant}/randomisation"));
    let unblinded = service.client(Role::Unblinded);
    unblinded.post(&route, &format!("{id}-randomisation"), &bodies::randomisation(arm)).expect(201);
    trial.about(&participant, "data", &bodies::data("Week 4", "72.5"));
    (trial, participant)
}

/// Every address below a trial that can be read, for everything that there is in this one.
fn addresses(service: &Service, trial: &Trial, participant: &str, seal: u64) -> Vec<String> {
    let description = service.anonymous().json("/openapi.json");
    let paths = description["paths"].as_object().unwrap();
    let readable = paths.iter().filter(|(path, operations)| {
        path.starts_with("/v1/trials/{trial}/") && operations.get("get").is_some()
    });
    let fill = |(template, _): (&String, &Value)| {
        let path = template
            .replace("{trial}", &trial.id)
            .replace("{id}", participant)
            .replace("{participant}", participant)
            .replace("{trialseq}", "8");
        if path.ends_with("/growth") { format!("{path}?from={seal}&to={seal}") } else { path }
    };
    readable.map(fill).collect()
}

/// What is alike in two trials to which the same happened: all but random ids, hashes, times and places in the ledger.
fn likeness(value: &Value, id: &str) -> Value {
    match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), likeness(value, id))).collect()
        }
        Value::Array(elements) => elements.iter().map(|element| likeness(element, id)).collect(),
        Value::Number(_) => json!(0),
        Value::String(text) => {
            let is_random = |part: &str| part.chars().all(|c| "0123456789abcdef.:TZ-".contains(c));
            let parts = text.split('/').map(|part| if is_random(part) { "#" } else { part });
            json!(parts.collect::<Vec<_>>().join("/").replace(id, "TRIAL"))
        }
        other => other.clone(),
    }
}

/// Proofs are as long as the log and the map of trials are, whatever they prove: of their answers the members are compared.
fn is_proof(address: &str) -> bool {
    ["receipt", "growth", "absence"].iter().any(|part| address.contains(part))
}

fn seen(client: &Client, address: &str, id: &str) -> (u16, Value) {
    if address.ends_with("/stream") {
        let answer = client.send("HEAD", address, &[], SendBody::none()).unwrap();
        return (answer.status, Value::Null);
    }
    let answer = client.get(address);
    assert!(!names_an_arm(&answer.text()), "{address} names the arm: {}", answer.text());
    let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    let body = match body {
        Value::Object(members) if is_proof(address) => members.keys().map(|name| json!(name)).collect(),
        body => likeness(&body, id),
    };
    (answer.status, body)
}

/// How long what is stored of each event is, in the order of the record.
fn lengths(service: &Service, id: &str) -> Vec<String> {
    let header = match service.database().engine() {
        Engine::Postgres => "convert_from(header, 'UTF8')",
        Engine::Sqlite => "CAST(header AS TEXT)",
    };
    service.database().texts(&format!(
        "SELECT length(body) || ' ' || trialseq FROM event WHERE trial = '{id}' \
         AND {header} NOT LIKE '%record.read%' ORDER BY trialseq"
    ))
}

fn trials_that_differ_in_the_arm_alone_look_alike(engine: Engine) {
    let service = Service::start(engine);
    let ids = ["ALIKE-1", "ALIKE-2"];
    let trials = [0, 1].map(|which| randomised(&service, ids[which], ARMS[which]));
    assert_eq!(lengths(&service, ids[0]), lengths(&service, ids[1]), "what is stored is as long");
    service.wait_until_sealed();
    let seal = service.client(Role::Monitor).json("/v1/seals?limit=1")["newest"].as_u64().unwrap();
    for id in ids {
        service.wait_until_folded(id);
    }

    let blinded = Role::ALL.into_iter().filter(|role| *role != Role::Unblinded);
    let mut allocations = 0;
    for role in blinded {
        let client = service.client(role);
        let [one, other] = [0, 1].map(|which| addresses(&service, &trials[which].0, &trials[which].1, seal));
        for (one, other) in one.iter().zip(&other) {
            let what = format!("{one} as {role:?}");
            let (of_one, of_other) = (seen(&client, one, ids[0]), seen(&client, other, ids[1]));
            assert_eq!(of_one, of_other, "{what}");
            if one.ends_with("/allocation") {
                assert_eq!(of_one.0, 403, "{what}");
                allocations += 1;
            }
        }
    }
    assert_eq!(allocations, Role::ALL.len() - 1);

    let monitor = service.client(Role::Monitor);
    let verifier = Verifier::of(&service);
    for (id, arm) in ids.iter().zip(ARMS) {
        let zip = export(&service, &monitor, id);
        let folder = verifier.room(id);
        let names = unpack(&zip, &folder);
        let files: Vec<_> = names.iter().map(|name| fs::read(folder.join(name)).unwrap()).collect();
        assert!(files.iter().all(|file| !names_an_arm(&String::from_utf8_lossy(file))));
        verifier.dataset(&folder).assert_sound();
        // The search would have found what there is to be found.
        let unblinded = service.client(Role::Unblinded);
        assert!(unblinded.get(&format!("/v1/trials/{id}/events")).text().contains(arm));
    }
    assert!(!names_an_arm(&service.log()));
    assert!(!names_an_arm(&service.client(Role::Admin).get("/metrics").text()));
    let refused = trials[0].0.path(&format!("participants/{}/randomisation", trials[0].1));
    let again = service.client(Role::Unblinded).post(&refused, "again", &bodies::randomisation(ARMS[1]));
    assert_eq!(again.problem(409, "rule-refused")["rule"], "participant.randomised-once");
    assert!(!names_an_arm(&again.text()));
}

fn an_emergency_unblinds_the_one_who_asked_and_nobody_else(engine: Engine) {
    let service = Service::start(engine);
    let trial = Trial::open(&service, "EMERGENCY-1");
    let participant = trial.enrol("101-001", true);
    // Who hands out the arms signs for them, and what was signed is as secret as the arm.
    let unblinded = service.client(Role::Unblinded);
    let submitter = Submitter::of(&unblinded);
    let key = json!({"key": submitter.jwk()});
    submitter.post(&unblinded, &trial.path("submission-keys"), "key", &key).unwrap().expect(201);
    let of_participant = |route: &str| trial.path(&format!("participants/{participant}/{route}"));
    let (allocation, unblindings) = (of_participant("allocation"), of_participant("unblindings"));
    let body = bodies::randomisation(ARMS[0]);
    assert_eq!(unblinded.json(&allocation), json!({}), "nobody is randomised yet");
    let investigator = service.client(Role::Investigator);
    let emergency = json!({"reason": REASON});
    investigator.post(&unblindings, "too-early", &emergency).expect(409);
    submitter.post(&unblinded, &of_participant("randomisation"), "arm", &body).unwrap().expect(201);
    let known = unblinded.json(&allocation);
    assert_eq!(known["allocation"]["armCode"], ARMS[0]);

    let colleague = service.client_of("investigator-2", Role::Investigator, &[&trial.id]);
    let others = [&colleague, &service.client(Role::Monitor), &service.client(Role::Sponsor)];
    for blinded in others.into_iter().chain([&investigator]) {
        blinded.get(&allocation).problem(403, "forbidden");
    }
    service.client(Role::Monitor).post(&unblindings, "not-theirs", &emergency).expect(403);
    investigator.post(&unblindings, "no-reason", &json!({})).expect(422);
    investigator.post(&unblindings, "emergency", &emergency).expect(201);
    assert_eq!(investigator.json(&allocation), known);
    for blinded in others {
        blinded.get(&allocation).problem(403, "forbidden");
    }
    assert!(service.log().contains("ingest.participant.unblinded") && !service.log().contains(REASON));

    // The arm is told at that address alone; everybody sees who was unblinded and why.
    service.wait_until_sealed();
    service.wait_until_folded(&trial.id);
    for reader in [&investigator, others[1]] {
        let events = events_of(reader, &trial.id);
        assert!(!names_an_arm(&json!(events).to_string()));
        let blinded: Vec<_> = events
            .iter()
            .filter(|event| event["header"]["subject"] == format!("blinded/{participant}"))
            .map(|event| (&event["header"]["type"], &event["withheld"]))
            .collect();
        let withheld = json!("out-of-scope");
        let kinds = ["submission.signed", "participant.allocated"].map(|kind| json!(kind));
        assert_eq!(blinded, [(&kinds[0], &withheld), (&kinds[1], &withheld)]);
        assert!(reader.get(&of_participant("timeline")).text().contains(REASON));
    }
    let accesses = accesses_of(others[1], &trial.id, &participant);
    let readings = accesses.iter().filter(|event| event["data"]["reading"] == "allocation");
    let by: Vec<_> = readings.map(|event| event["header"]["actorrole"].as_str().unwrap()).collect();
    assert_eq!(by, ["unblinded", "investigator"]);
    let trialseq = known["allocation"]["trialseq"].as_u64().unwrap();
    let receipt = trial.path(&format!("events/{trialseq}/receipt"));
    let verifier = Verifier::of(&service);
    let (shown, hidden) = (unblinded.json(&receipt), investigator.json(&receipt));
    assert!(names_an_arm(&shown.to_string()) && hidden.get("fields").is_none());
    verifier.document("receipt", &shown).assert_sound();
    verifier.document("receipt", &hidden).assert_sound();
    investigator.get(&format!("{receipt}?fields=/armCode")).expect(200);
    assert!(!names_an_arm(&investigator.get(&format!("{receipt}?fields=/armCode")).text()));
    let folder = verifier.room("dataset");
    unpack(&export(&service, others[1], &trial.id), &folder);
    verifier.dataset(&folder).assert_sound();
}
