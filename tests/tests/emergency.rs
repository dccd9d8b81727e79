//! Somebody is brought to a hospital that takes no part in their trial: who treats them reads their record at once, and everybody who
//! answers for the trial sees that they did.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::json;
use trialseal_tests::{Engine, Role, Service, Trial, accesses_of, bodies, on_both_engines};

on_both_engines!(one_record_is_opened_to_who_asked_and_all_of_it_is_recorded);

const REASON: &str = "Brought to our emergency room unconscious";
const NOBODY: &str = "0190aaaa-0000-4000-8000-000000000000";

fn one_record_is_opened_to_who_asked_and_all_of_it_is_recorded(engine: Engine) {
    let service = Service::start(engine);
    let trial = Trial::open(&service, "EMERGENCY-2");
    let (participant, other) = (trial.enrol("101-001", true), trial.enrol("101-002", true));
    trial.about(&participant, "data", &bodies::data("Week 4", "72.5"));
    service.wait_until_folded(&trial.id);
    let of = |participant: &str, route: &str| trial.path(&format!("participants/{participant}/{route}"));
    let (timeline, opening) = (of(&participant, "timeline"), of(&participant, "emergency-access"));
    let values = trial.path(&format!("data?participant={participant}"));
    let physician = service.client_of("physician-1", Role::Investigator, &["ELSEWHERE-1"]);
    let colleague = service.client_of("physician-2", Role::Investigator, &["ELSEWHERE-1"]);
    physician.get(&timeline).problem(404, "not-found");

    // What is not there and what refuses are the same to somebody from outside.
    let asked = json!({"hours": 12, "reason": REASON});
    let nowhere = format!("/v1/trials/NOWHERE-1/participants/{participant}/emergency-access");
    let refused = [of(NOBODY, "emergency-access"), nowhere]
        .map(|path| physician.post(&path, "guess", &asked).problem(404, "not-found"));
    assert_eq!(refused[0], refused[1]);
    physician.post(&opening, "no-reason", &json!({"hours": 12})).expect(422);
    physician.post(&opening, "for-ever", &json!({"hours": 73, "reason": REASON})).expect(422);
    for role in [Role::Researcher, Role::Admin, Role::Monitor] {
        service.new_client(role, &["ELSEWHERE-1"]).post(&opening, "not-theirs", &asked).expect(403);
    }
    let sponsor = service.new_client(Role::Sponsor, &["ELSEWHERE-1"]);
    sponsor.post(&opening, "not-theirs", &asked).problem(404, "not-found");

    physician.post(&opening, "emergency", &asked).expect(201);
    let entries = physician.json(&timeline)["entries"].as_array().unwrap().len();
    assert!(entries >= 4, "{entries}");
    assert!(physician.get(&values).text().contains("72.5"));
    let closed =
        [of(&other, "timeline"), trial.path("participants"), trial.path("events"), trial.path("data")];
    for path in closed.iter().chain([&of(&participant, "access-log")]) {
        physician.get(path).problem(404, "not-found");
    }
    colleague.get(&timeline).problem(404, "not-found");

    let irb = service.client(Role::Irb);
    let openings = irb.json(&trial.path("emergency-access"));
    let opened = &openings["openings"][0];
    assert_eq!(
        (openings["openings"].as_array().unwrap().len(), &opened["data"]["reason"]),
        (1, &json!(REASON))
    );
    assert_eq!(opened["header"]["actor"], "physician-1");
    let accesses = accesses_of(&irb, &trial.id, &participant);
    let by_physician = accesses.iter().filter(|event| event["header"]["actor"] == "physician-1");
    let read: Vec<_> =
        by_physician.map(|event| (&event["data"]["reading"], &event["data"]["purpose"])).collect();
    let purpose = json!("emergency access");
    assert_eq!(read, [(&json!("timeline"), &purpose), (&json!("data"), &purpose)]);
    assert!(service.log().contains("ingest.emergency-access.opened") && !service.log().contains(REASON));
}
