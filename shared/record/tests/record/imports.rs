//! Files: taken row by row, with what they do not meet marked beside them.

use serde_json::{Value, json};
use trialseal_record::event::Event;
use trialseal_record::{Command, NaturalKeyKind, ParticipantId, Role, StreamId};

use crate::history::*;
use crate::scenario::{History, NEW_ID, body, event, given};

use Role::Sponsor;

fn begun(history: History) -> History {
    with(history, StreamId::import(IMPORT), event("import.started", dataset()))
}

fn row(subject: &Value) -> Command {
    row_of(subject, &Value::Null)
}

fn row_of(subject: &Value, collected_on: &Value) -> Command {
    let record = json!({"LBSTRESN": "38.0", "LBSEQ": 1});
    let row =
        json!({"dataset": "LB", "row": 7, "record": record, "subject": subject, "collectedOn": collected_on});
    Command::ImportRow(IMPORT, body(row))
}

fn imported(exceptions: &[(&str, &str)]) -> Event {
    let exceptions: Vec<Value> =
        exceptions.iter().map(|(rule, detail)| json!({"rule": rule, "detail": detail})).collect();
    let record = json!({"LBSTRESN": "38.0", "LBSEQ": 1});
    event(
        "data.imported",
        json!({"import": IMPORT, "dataset": "LB", "row": 7, "record": record, "exceptions": exceptions}),
    )
}

#[test]
fn an_import_begins_and_ends() {
    let start = Command::StartImport(IMPORT, body(dataset()));
    let stream = StreamId::import(IMPORT);
    let decided =
        given(submitted()).by(Sponsor).when(&start).then([(stream, event("import.started", dataset()))]);
    let end = json!({"rows": 1, "exceptions": 0});
    let complete = Command::CompleteImport(IMPORT, body(end.clone()));
    let decided = decided.after.by(Sponsor).when(&complete).then([(stream, event("import.completed", end))]);
    decided.after.by(Sponsor).when(&row(&Value::Null)).refused("import.open");
    given(begun(submitted())).by(Sponsor).when(&start).refused("import.open");
}

#[test]
fn a_row_of_somebody_with_consent_at_an_open_site_has_no_exception() {
    let subject = json!({"participant": PARTICIPANT, "subjectNumber": "701-1015"});
    let decided =
        given(begun(consented())).by(Sponsor).when(&row(&subject)).then([(participant(), imported(&[]))]);
    assert!(decided.decision.exceptions.is_empty());
    assert_eq!(decided.after.participant(participant()).weight(), 1, "imported values are not kept");
}

#[test]
fn a_row_without_consent_is_taken_and_marked() {
    let subject = json!({"participant": PARTICIPANT, "subjectNumber": "701-1015"});
    let decided = given(begun(screened()))
        .by(Sponsor)
        .when(&row(&subject))
        .then([(participant(), imported(&[("consent.in-force", "no consent was signed")]))]);
    assert_eq!(decided.decision.exceptions.len(), 1);
    given(begun(withdrawn("future-data"))).by(Sponsor).when(&row(&subject)).then([(
        participant(),
        imported(&[("consent.in-force", "the participant has withdrawn the consent to this")]),
    )]);
}

#[test]
fn a_row_from_a_time_without_consent_is_taken_and_marked() {
    let subject = json!({"participant": PARTICIPANT, "subjectNumber": "701-1015"});
    let took = |history, day: &str, exceptions: &[(&str, &str)]| {
        given(begun(history))
            .by(Sponsor)
            .when(&row_of(&subject, &json!(day)))
            .then([(participant(), imported(exceptions))]);
    };
    let before = ("consent.before-procedure", "this took place before the consent was signed");
    let between = ("consent.in-force", "this took place while the consent to it was withdrawn");
    took(consented(), "2026-01-14T08:00", &[before]);
    took(consented(), "2026-01-15T08:00", &[]);
    took(consented(), "2026", &[]);
    took(agreed_again(), "2026-02-03", &[between]);
    took(agreed_again(), "2026-02-05", &[]);
}

#[test]
fn a_row_of_somebody_unknown_makes_the_participant() {
    let subject = json!({"subjectNumber": "01-701-1015", "siteNumber": "999"});
    let stream = StreamId::participant(ParticipantId(NEW_ID));
    let screened = json!({"subjectNumber": "01-701-1015", "siteNumber": "999", "import": IMPORT});
    let exceptions = [
        ("consent.in-force", "no consent was signed"),
        ("site.activated", "the site is not activated in this record"),
    ];
    let decided = given(begun(submitted()))
        .by(Sponsor)
        .when(&row(&subject))
        .then([(stream, event("participant.screened", screened)), (stream, imported(&exceptions))]);
    let [key] = &decided.decision.keys[..] else { panic!("one key") };
    assert_eq!((key.kind, key.value.as_str()), (NaturalKeyKind::SubjectNumber, "01-701-1015"));
}

#[test]
fn a_row_about_nobody_stays_in_the_stream_of_the_import() {
    given(begun(submitted()))
        .by(Sponsor)
        .when(&row(&Value::Null))
        .then([(StreamId::import(IMPORT), imported(&[]))]);
}

#[test]
fn values_keep_their_kind_and_their_digits() {
    let record = json!({"a": "38.0", "b": 38, "c": null, "d": true, "e": ""});
    let parsed: trialseal_record::values::ImportedRecord = body(record.clone());
    assert_eq!(serde_json::to_value(parsed).unwrap(), record);
    let fraction = serde_json::from_value::<trialseal_record::values::ImportedRecord>(json!({"a": 38.5}));
    assert!(fraction.is_err(), "a number with a fraction has to come as text");
}
