//! Signed submissions: what is recorded of them, and that events which say something else are told apart.

use serde_json::{Value, json};
use trialseal_record::Role::{Investigator, Irb, Sponsor};
use trialseal_record::event::Event;
use trialseal_record::submission::{Submission, SubmittedFile, is_submitted};
use trialseal_record::{Command, Role, StreamId};

use crate::history::*;
use crate::scenario::{History, event, given};

fn signature() -> Event {
    signed(X).event.into()
}

#[test]
fn a_signed_command_is_recorded_with_its_signature_before_it_in_the_same_stream() {
    let occurred = event("visit.occurred", json!({"visit": "WEEK 4", "occurredOn": "2026-01-30"}));
    let expected = [(participant(), signature()), (participant(), occurred)];
    given(with_key()).by(Investigator).signed(signed(X)).when(&visit("2026-01-30")).then(expected);
    let required = given(signing_required()).by(Investigator).signed(signed(X));
    required.when(&visit("2026-01-30")).accepted();
}

#[test]
fn what_tells_of_an_erasure_stays_readable_and_the_participants_stream_ends_with_its_end() {
    let history = with(requested(), trial(), key_registered("actor-1", X));
    let decided = given(history).by(Irb).signed(signed(X)).when(&approve_erasure());
    let approved = json!({
        "requester": "investigator-1", "approver": "actor-1", "reason": "No duty to keep the data is left",
    });
    decided.then([
        (erasure(), signature()),
        (erasure(), event("erasure.approved", approved)),
        (participant(), event("participant.closed", json!({"cause": "erasure"}))),
    ]);
}

#[test]
fn a_first_key_signs_for_itself_and_the_next_one_is_signed_by_one_in_use() {
    let first = given(enrolled()).by(Investigator).signed(signed(X)).when(&register_submission_key(X));
    first.then([(trial(), signature()), (trial(), key_registered("actor-1", X))]);
    let others = given(other_key()).by(Investigator).signed(signed(OTHER_X));
    others.when(&register_submission_key(OTHER_X)).accepted();
    let second = given(with_key()).by(Investigator).signed(signed(X));
    second.when(&register_submission_key(OTHER_X)).accepted();
    // After the last one is revoked, whoever comes is a stranger again.
    let anew = given(key_revoked()).by(Investigator).signed(signed(OTHER_X));
    anew.when(&register_submission_key(OTHER_X)).accepted();
}

#[test]
fn a_lost_key_is_revoked_without_it_even_where_all_else_is_signed() {
    given(signing_required()).by(Investigator).when(&revoke_submission_key(X)).accepted();
}

#[test]
fn once_signatures_are_no_longer_asked_for_commands_come_without() {
    let decided = given(signing_required()).by(Sponsor).signed(signed(X)).when(&change_signing(false));
    let changed =
        event("submission-signing.changed", json!({"required": false, "reason": "As the protocol says"}));
    let after = decided.then([(trial(), signature()), (trial(), changed)]).after;
    after.by(Investigator).when(&visit("2026-01-30")).accepted();
}

/// Every command that can be signed, as JSON, with a history in which it is taken.
pub(crate) fn commands() -> Vec<(&'static str, Value, Role, History)> {
    let failed = json!({"on": "2026-01-13", "reason": "Declined"});
    let results = json!({
        "outcomes": [{"measure": "Weight", "value": "3.5", "timeFrame": "24 weeks", "analysisPopulation": "ITT"}],
        "analysedOn": "2026-02", "summary": "No difference",
    });
    let serious = but(adverse_event(), json!({"seriousness": ["hospitalization", "death", "death"]}));
    let data = json!({"records": [vital_signs(), but(vital_signs(), json!({"visit": "WEEK 4"}))], "originator": "Lab"});
    let hold = json!({"hold": HOLD, "reason": "Inspection announced"});
    let held = with(enrolled(), trial(), event("legal-hold.placed", hold.clone()));
    let delegated = with(activated(), trial(), event("delegation.granted", delegation()));
    let release = json!({"hold": HOLD, "reason": "Inspection closed"});
    let scope = json!({"scope": ["samples", "follow-up", "samples"], "withdrawnOn": "2026-02-01"});
    vec![
        ("protocol-versions", but(protocol(), json!({"version": "2.0"})), Sponsor, submitted()),
        ("irb-decisions", approval(), Irb, submitted()),
        ("sites", site(), Sponsor, approved()),
        ("consent-versions", but(consent_version(), json!({"version": "ICF 2"})), Sponsor, submitted()),
        ("results", results, Sponsor, completed()),
        ("participants", screening(), Investigator, activated()),
        ("participants", but(screening(), json!({"screenFailed": failed})), Investigator, activated()),
        ("consents", consent(), Investigator, screened()),
        ("consent-withdrawals", scope, Investigator, enrolled()),
        ("enrolment", json!({"enrolledOn": "2026-01-16"}), Investigator, consented()),
        ("randomisation", randomisation(), Role::Unblinded, enrolled()),
        ("unblindings", json!({"reason": "Unconscious"}), Investigator, randomised()),
        ("visits", json!({"visit": "WEEK 4", "occurredOn": "2026-01-30"}), Investigator, enrolled()),
        ("data", data, Investigator, enrolled()),
        ("data/corrections", correction(), Investigator, measured()),
        ("adverse-events", serious, Investigator, enrolled()),
        ("disposition", json!({"status": "screen-failed", "on": "2026-01-13"}), Investigator, screened()),
        ("disposition", json!({"status": "completed", "on": "2026-02-10"}), Investigator, measured()),
        ("disposition", json!({"status": "discontinued", "on": "2026-02-10"}), Investigator, measured()),
        ("erasure-requests", erasure_body(), Investigator, enrolled()),
        ("erasure-approvals", json!({"reason": "No duty is left"}), Irb, requested()),
        ("redaction-requests", redaction_body(), Investigator, measured()),
        ("redaction-approvals", redaction_body(), Irb, redaction_requested("investigator-1")),
        ("legal-holds", hold, Sponsor, enrolled()),
        ("legal-hold-releases", release, Irb, held),
        ("delegations", but(delegation(), json!({"delegate": "person-2"})), Investigator, activated()),
        ("delegation-ends", end_of_delegation(), Investigator, delegated),
        ("submission-keys", json!({"key": jwk(OTHER_X)}), Investigator, enrolled()),
        ("submission-key-revocations", json!({"key": X, "reason": "Lost"}), Investigator, enrolled()),
        ("submission-signing", json!({"required": true, "reason": "All have keys"}), Sponsor, enrolled()),
    ]
}

pub(crate) fn path(route: &str) -> String {
    let of_participant = [
        "consents",
        "consent-withdrawals",
        "enrolment",
        "randomisation",
        "unblindings",
        "visits",
        "data",
        "data/corrections",
        "adverse-events",
        "disposition",
        "erasure-requests",
        "erasure-approvals",
        "redaction-requests",
        "redaction-approvals",
    ];
    if of_participant.contains(&route) {
        format!("/v1/trials/DEMO-1/participants/{PARTICIPANT}/{route}")
    } else {
        format!("/v1/trials/DEMO-1/{route}")
    }
}

fn recorded(command: &Command, by: Role, history: History) -> Vec<(StreamId, Event)> {
    let history = with(history, trial(), key_registered("actor-1", X));
    let events = given(history).by(by).signed(signed(X)).when(command).events();
    events.into_iter().skip(1).collect()
}

#[test]
fn a_command_is_read_from_its_address_and_body_and_in_no_other_way() {
    for (route, body, by, history) in commands() {
        let path = path(route);
        let (of, command) = Command::read(&path, &body).unwrap_or_else(|| panic!("{path} is not read"));
        assert_eq!((of.as_str(), command.path(&of)), ("DEMO-1", Some(path.clone())));
        let events: Vec<_> = recorded(&command, by, history).into_iter().map(|(_, event)| event).collect();
        assert!(command.is_what_was_recorded("actor-1", &events), "{route}");
        let names_its_sender = [
            "erasure-requests",
            "erasure-approvals",
            "redaction-requests",
            "redaction-approvals",
            "submission-keys",
        ]
        .contains(&route);
        assert_eq!(command.is_what_was_recorded("actor-2", &events), !names_its_sender, "{route}");
        assert!(events.iter().all(|event| is_submitted(event.kind())), "{route}");
        assert_eq!(Command::read(&path, &but(body.clone(), json!({"more": 1}))), None);
        for path in [path.replace("/v1/", "/v2/"), format!("{path}/"), path.replace("DEMO-1", "DEMO 1")] {
            assert_eq!(Command::read(&path, &body), None, "{path}");
        }
    }
}

#[test]
fn a_file_is_signed_by_its_hash() {
    let path = "/v1/trials/DEMO-1/imports";
    let (trial, file) = Submission::read(path, &json!({"sha256": SHA256})).unwrap();
    assert_eq!((SubmittedFile::path(&trial).as_str(), file.command()), (path, None));
    let begun = event("import.started", dataset());
    assert!(file.is_what_was_recorded("actor-1", std::slice::from_ref(&begun)));
    assert!(!file.is_what_was_recorded("actor-1", &[]));
    assert!(!file.is_what_was_recorded("actor-1", &[begun.clone(), begun.clone()]));
    let (_, other) = Submission::read(path, &json!({"sha256": "0".repeat(64)})).unwrap();
    assert!(!other.is_what_was_recorded("actor-1", &[begun]));
    for body in [json!({}), json!({"sha256": "x"}), json!({"sha256": SHA256, "more": 1})] {
        assert_eq!(Submission::read(path, &body), None);
    }
    let start = Command::StartImport(IMPORT, crate::scenario::body(dataset()));
    let decided = given(signing_required()).by(Sponsor).signed(signed(X)).when(&start);
    let stream = StreamId::import(IMPORT);
    decided.then([(stream, signature()), (stream, event("import.started", dataset()))]);
}

/// Members that the record adds, which a sender says nothing of.
const ADDED: [&str; 6] = ["protocolVersion", "siteNumber", "oldUnit", "newUnit", "adverseEvent", "requester"];

#[test]
fn an_event_with_anything_changed_added_or_left_out_is_not_what_was_asked_for() {
    let mut changes = 0;
    for (route, body, by, history) in commands() {
        let (_, command) = Command::read(&path(route), &body).unwrap();
        let events: Vec<_> = recorded(&command, by, history).into_iter().map(|(_, event)| event).collect();
        assert!(
            !command.is_what_was_recorded("actor-1", &[])
                && !command.is_what_was_recorded("actor-1", &events[1..]),
            "{route}"
        );
        let twice: Vec<_> = events.iter().chain(&events[..1]).cloned().collect();
        assert!(!command.is_what_was_recorded("actor-1", &twice), "{route}");
        for place in 0..events.len() {
            let data = events[place].to_data().unwrap();
            for other in others(&data) {
                let kind = events[place].kind();
                let other = Event::from_stored(kind, events[place].schema_version(), other);
                // A member that is left out may stand for the value it had.
                let Some(other) = other.ok().filter(|other| *other != events[place]) else { continue };
                let mut forged = events.clone();
                forged[place] = other;
                changes += 1;
                assert!(!command.is_what_was_recorded("actor-1", &forged), "{route}: {forged:?}");
            }
        }
    }
    assert!(changes > 80, "only {changes} changes were tried");
}

/// The same data with one value changed, or one member left out, each.
fn others(data: &Value) -> Vec<Value> {
    let mut others = Vec::new();
    match data {
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(name, _)| !ADDED.contains(&name.as_str())) {
                others.extend(crate::submissions::others(value).into_iter().map(|value| {
                    let mut data = data.clone();
                    data[name] = value;
                    data
                }));
                let mut without = data.clone();
                without.as_object_mut().unwrap().remove(name);
                others.push(without);
            }
        }
        Value::Array(elements) => {
            for (place, value) in elements.iter().enumerate() {
                others.extend(crate::submissions::others(value).into_iter().map(|value| {
                    let mut data = data.clone();
                    data[place] = value;
                    data
                }));
            }
        }
        Value::String(text) => {
            others.push(format!("{text}x").into());
            others.push(text.replace("2026-0", "2025-0").into());
            others.retain(|other| other != data);
        }
        Value::Number(number) => others.push((number.as_u64().unwrap() + 1).into()),
        Value::Bool(value) => others.push((!value).into()),
        Value::Null => {}
    }
    others
}
