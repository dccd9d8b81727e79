//! Every rule in the table, each refusing what it stands against.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trialseal_record::signature::Answered;
use trialseal_record::{Command, NaturalKeyKind, RULES, Role, Signed, StreamId};

use crate::history::*;
use crate::scenario::{Given, NOW_MICROS, body, event, given};

use Role::{Investigator, Irb, Sponsor, System, Unblinded};

struct Case {
    rule: &'static str,
    given: Given,
    by: Role,
    signed: Option<Signed>,
    answered: Option<Answered>,
    when: Command,
}

fn case(
    rule: &'static str,
    history: Vec<(StreamId, trialseal_record::Event)>,
    by: Role,
    when: Command,
) -> Case {
    Case { rule, given: given(history), by, signed: None, answered: None, when }
}

fn trial_cases() -> Vec<Case> {
    let second = || but(protocol(), json!({"version": "0.9"}));
    let no_primary = but(protocol(), json!({"version": "2.0", "primaryOutcomes": []}));
    let outcome = json!({"id": "P1", "measure": "Weight", "timeFrame": "24 weeks"});
    let same_ids = but(protocol(), json!({"version": "2.0", "secondaryOutcomes": [outcome]}));
    let results = json!({"outcomes": [], "analysedOn": "2026-02"});
    vec![
        case("authority.role", vec![], Investigator, register(registration())),
        case("authority.role", submitted(), Sponsor, decide_as_irb(approval())),
        case("authority.role", approved(), Irb, activate(site())),
        case("authority.role", enrolled(), Role::Monitor, record(&[vital_signs()])),
        case("authority.role", enrolled(), Role::Inspector, record(&[vital_signs()])),
        case("authority.role", enrolled(), Role::Auditor, record(&[vital_signs()])),
        case("authority.role", enrolled(), Role::Admin, correct(correction())),
        case("trial.id-reserved", vec![], Sponsor, register(but(registration(), json!({"id": "_ledger"})))),
        case("trial.id-unused", submitted(), Sponsor, register(registration())),
        case("trial.registered", vec![], Sponsor, submit_protocol(protocol())),
        case("protocol.version-order", submitted(), Sponsor, submit_protocol(second())),
        case("protocol.version-order", submitted(), Sponsor, submit_protocol(protocol())),
        case("protocol.primary-outcome", submitted(), Sponsor, submit_protocol(no_primary)),
        case("protocol.outcome-ids", submitted(), Sponsor, submit_protocol(same_ids)),
        case("results.outcome-required", submitted(), Sponsor, submit_results(results)),
    ]
}

/// Each day that somebody tells of, where it has not come yet, and those that have to come one after the other.
fn time_cases() -> Vec<Case> {
    let future = "time.not-future";
    let order = "time.order";
    let failed = |on: &str| screen(but(screening(), json!({"screenFailed": {"on": on}})));
    let outcome =
        json!({"measure": "Weight", "value": "3.5", "timeFrame": "24 weeks", "analysisPopulation": "ITT"});
    let analysed = json!({"outcomes": [outcome], "analysedOn": "2026-04"});
    let withdrawn = |on: &str| withdraw(json!({"scope": ["samples"], "withdrawnOn": on}));
    let collected = but(vital_signs(), json!({"collectedOn": "2026-03-03"}));
    let event = |changes: Value| report(but(adverse_event(), changes));
    vec![
        case(future, approved(), Sponsor, activate(but(site(), json!({"activatedOn": "2026-03-03"})))),
        case(future, completed(), Sponsor, submit_results(analysed)),
        case(future, activated(), Investigator, failed("2026-03-03")),
        case(order, activated(), Investigator, failed("2026-01-11")),
        case(future, screened(), Investigator, sign(but(consent(), json!({"signedOn": "2026-03-03"})))),
        case(future, consented(), Investigator, enrol("2026-03-03")),
        case(future, enrolled(), Unblinded, randomise(json!({"randomisedOn": "2026-03-03"}))),
        case(order, enrolled(), Unblinded, randomise(json!({"randomisedOn": "2026-01-15"}))),
        case(future, enrolled(), Investigator, withdrawn("2026-03-03")),
        case(order, enrolled(), Investigator, withdrawn("2026-01-14")),
        case(future, enrolled(), Investigator, record(&[collected])),
        case(future, enrolled(), Investigator, event(json!({"startedOn": "2026-04"}))),
        case(future, enrolled(), Investigator, event(json!({"endedOn": "2026-04"}))),
        case(future, enrolled(), Investigator, dispose("completed", "2026-03-03")),
    ]
}

fn approval_cases() -> Vec<Case> {
    let about = |changes: Value| decide_as_irb(but(approval(), changes));
    let nothing = about(json!({"protocolVersion": null, "consentVersions": null}));
    let expires_first = about(json!({"expiresOn": "2026-01-01"}));
    let other_form = but(consent_version(), json!({"protocolVersion": "9.0", "version": "ICF 2.0"}));
    let taken_back = json!({"decision": "disapproved", "decidedOn": "2026-01-08", "expiresOn": null});
    let elsewhere = event("irb.decision-recorded", but(approval(), json!({"sites": ["702"]})));
    let taken_back = event("irb.decision-recorded", but(approval(), taken_back));
    let disapproved = with(approved(), trial(), taken_back.clone());
    // Recorded in the other order; decided in the same.
    let late_approval =
        with(with(submitted(), trial(), taken_back), trial(), event("irb.decision-recorded", approval()));
    let on = |day: &str| activate(but(site(), json!({"activatedOn": day})));
    vec![
        case("irb.decision-subject", submitted(), Irb, nothing),
        case("protocol.version-known", submitted(), Irb, about(json!({"protocolVersion": "9.0"}))),
        case("protocol.version-known", submitted(), Sponsor, publish_consent(other_form)),
        case("consent.version-known", submitted(), Irb, about(json!({"consentVersions": ["ICF 9"]}))),
        case("consent.version-new", submitted(), Sponsor, publish_consent(consent_version())),
        case("time.order", submitted(), Irb, expires_first),
        case("time.not-future", submitted(), Irb, about(json!({"decidedOn": "2026-03-03"}))),
        case("irb.approval-in-force", submitted(), Sponsor, activate(site())),
        case("irb.approval-in-force", approved(), Sponsor, on("2026-01-04")),
        case("irb.approval-in-force", disapproved, Sponsor, activate(site())),
        case("irb.approval-in-force", late_approval, Sponsor, activate(site())),
        case("irb.approval-in-force", with(submitted(), trial(), elsewhere), Sponsor, activate(site())),
    ]
}

fn consent_cases() -> Vec<Case> {
    let signed = |changes: Value| sign(but(consent(), changes));
    let early = signed(json!({"signedOn": "2026-01-04", "discussedOn": "2026-01-04"}));
    let from_nothing = json!({"scope": [], "withdrawnOn": "2026-02-01"});
    let from_data = json!({"scope": ["future-data"], "withdrawnOn": "2026-02-01"});
    let long_before = but(vital_signs(), json!({"collectedOn": "2025"}));
    let in_between = but(vital_signs(), json!({"visit": "WEEK 4", "collectedOn": "2026-02-03"}));
    let withdrew_treatment = with(
        consented(),
        participant(),
        event("consent.withdrawn", json!({"scope": ["intervention"], "withdrawnOn": "2026-01-16"})),
    );
    vec![
        case("consent.version-known", screened(), Investigator, signed(json!({"language": "fr"}))),
        case("irb.approval-in-force", screened(), Investigator, early),
        case("time.order", screened(), Investigator, signed(json!({"discussedOn": "2026-01-16"}))),
        case("consent.in-force", screened(), Investigator, enrol("2026-01-16")),
        case("consent.in-force", screened(), Investigator, visit("2026-01-30")),
        case("consent.in-force", screened(), Investigator, record(&[vital_signs()])),
        case("consent.in-force", screened(), Investigator, report(adverse_event())),
        case("consent.in-force", screened(), Investigator, withdraw(from_data)),
        case("consent.in-force", withdrew_treatment, Investigator, enrol("2026-01-16")),
        case("consent.in-force", withdrawn("intervention"), Unblinded, randomise(json!({}))),
        case("consent.in-force", withdrawn("future-data"), Unblinded, randomise(json!({}))),
        case("consent.in-force", withdrawn("follow-up"), Investigator, visit("2026-01-30")),
        case("consent.in-force", withdrawn("future-data"), Investigator, visit("2026-01-30")),
        case("consent.in-force", withdrawn("future-data"), Investigator, record(&[vital_signs()])),
        case("consent.before-procedure", consented(), Investigator, enrol("2026-01-14")),
        case("consent.before-procedure", consented(), Investigator, visit("2026-01-14T10:00")),
        case("consent.before-procedure", consented(), Investigator, record(&[long_before])),
        case("consent.in-force", agreed_again(), Investigator, visit("2026-02-03")),
        case("consent.in-force", agreed_again(), Investigator, record(&[in_between])),
        case("consent.in-force", late_form(), Investigator, visit("2026-02-10")),
        case("consent.withdrawal-scope", enrolled(), Investigator, withdraw(from_nothing)),
    ]
}

fn participant_cases() -> Vec<Case> {
    let too_early = but(screening(), json!({"screenedOn": "2026-01-09"}));
    let undated = but(vital_signs(), json!({"collectedOn": null, "visit": "WEEK 4"}));
    let backwards = but(adverse_event(), json!({"endedOn": "2026-01"}));
    let failed =
        with(screened(), participant(), event("participant.screen-failed", json!({"on": "2026-01-13"})));
    vec![
        case("site.activated", approved(), Investigator, screen(screening())),
        case("site.activated", activated(), Investigator, screen(too_early)),
        case(
            "time.not-future",
            activated(),
            Investigator,
            screen(but(screening(), json!({"screenedOn": "2026-03-03"}))),
        ),
        case("time.not-future", enrolled(), Investigator, visit("2027")),
        case("time.order", enrolled(), Investigator, report(backwards)),
        case("time.order", enrolled(), Investigator, dispose("completed", "2026-01-15")),
        case("time.order", screened(), Investigator, dispose("screen-failed", "2026-01-11")),
        case("time.order", consented(), Investigator, enrol("2026-01-11")),
        case("participant.known", activated(), Investigator, sign(consent())),
        case("participant.awaiting-enrolment", enrolled(), Investigator, enrol("2026-01-17")),
        case(
            "participant.awaiting-enrolment",
            enrolled(),
            Investigator,
            dispose("screen-failed", "2026-01-17"),
        ),
        case("participant.awaiting-enrolment", failed, Investigator, enrol("2026-01-17")),
        case("participant.enrolled", consented(), Investigator, dispose("discontinued", "2026-01-17")),
        case("participant.enrolled", consented(), Unblinded, randomise(json!({}))),
        case("participant.enrolled", completed(), Unblinded, randomise(json!({}))),
        case("participant.randomised-once", randomised(), Unblinded, randomise(json!({}))),
        case("participant.randomised", enrolled(), Investigator, unblind()),
        case("participant.known", approved(), Investigator, open_emergency(12)),
        case("authority.role", enrolled(), Sponsor, open_emergency(12)),
        case("participant.known", approved(), Unblinded, randomise(json!({}))),
        case("participant.known", approved(), Investigator, unblind()),
        case("authority.role", enrolled(), Sponsor, randomise(json!({}))),
        case("authority.role", enrolled(), Investigator, randomise(json!({}))),
        case("authority.role", randomised(), Unblinded, unblind()),
        case("participant.enrolled", completed(), Investigator, dispose("completed", "2026-02-12")),
        case("participant.in-trial", completed(), Investigator, visit("2026-02-11")),
        case("participant.in-trial", completed(), Investigator, record(&[undated])),
        case("participant.in-trial", completed(), Investigator, sign(consent())),
    ]
}

fn data_cases() -> Vec<Case> {
    let changed = |changes: Value| correct(but(correction(), changes));
    let other = but(vital_signs(), json!({"visit": "WEEK 4"}));
    let empty = but(vital_signs(), json!({"items": []}));
    let many = vec![other.clone(); 1001];
    vec![
        case("data.size", enrolled(), Investigator, record(&[])),
        case("data.size", enrolled(), Investigator, record(&[empty])),
        case("data.size", enrolled(), Investigator, record(&many)),
        case("data.item-unrecorded", measured(), Investigator, record(&[vital_signs()])),
        case("data.item-unrecorded", enrolled(), Investigator, record(&[other.clone(), other])),
        case("correction.investigator-data", measured(), Sponsor, correct(correction())),
        case("correction.reason-required", measured(), Investigator, changed(json!({"reason": null}))),
        case("correction.reason-required", measured(), Investigator, changed(json!({"reason": " "}))),
        case("correction.item-recorded", measured(), Investigator, changed(json!({"itemOid": "IT.DIABP"}))),
        case("correction.item-recorded", measured(), Investigator, changed(json!({"repeat": 2}))),
        case("correction.old-value", measured(), Investigator, changed(json!({"old": "128"}))),
        case("correction.new-value", measured(), Investigator, changed(json!({"new": "128.0"}))),
    ]
}

fn import_and_ledger_cases() -> Vec<Case> {
    let row = body(json!({"dataset": "LB", "row": 0, "record": {}}));
    let end = body(json!({"rows": 0, "exceptions": 0}));
    let key = json!({"keyId": "1a2b3c4d", "purpose": "log", "verifierKey": "a+1a2b3c4d+AAAA"});
    let registered = vec![(StreamId::ledger(), event("key.registered", key.clone()))];
    let revocation = body(json!({"keyId": "ffffffff", "reason": "Yearly change of keys"}));
    vec![
        case("import.open", submitted(), Sponsor, Command::ImportRow(IMPORT, row)),
        case("import.open", submitted(), Sponsor, Command::CompleteImport(IMPORT, end)),
        case("key.id-unused", registered.clone(), System, Command::RegisterKey(body(key))),
        case("key.active", registered, System, Command::RevokeKey(revocation)),
    ]
}

fn erasure_cases() -> Vec<Case> {
    let hold = |whose: Value| {
        let placed = json!({"hold": HOLD, "participant": whose, "reason": "Inspection announced"});
        with(requested(), trial(), event("legal-hold.placed", placed))
    };
    let again = Command::PlaceLegalHold(body(json!({"hold": HOLD, "reason": "Another case"})));
    let own = with(enrolled(), erasure(), erasure_request("actor-1"));
    let later = but(erasure_body(), json!({"askedOn": "2026-03-03"}));
    let imported_anew = json!({
        "dataset": "LB", "row": 0, "record": {},
        "subject": {"subjectNumber": "1001", "participant": participant().uuid()},
    });
    let file = with(erased(), StreamId::import(IMPORT), event("import.started", dataset()));
    vec![
        case("time.not-future", enrolled(), Investigator, request_erasure(later)),
        case("participant.known", activated(), Investigator, request_erasure(erasure_body())),
        case("erasure.request-open", requested(), Investigator, request_erasure(erasure_body())),
        case("erasure.requested", enrolled(), Irb, approve_erasure()),
        case("erasure.two-people", own, Irb, approve_erasure()),
        case("legal-hold.none-in-force", hold(Value::Null), Irb, approve_erasure()),
        case("legal-hold.none-in-force", hold(json!(participant().uuid())), Irb, approve_erasure()),
        case("legal-hold.name-unused", hold(Value::Null), Sponsor, again),
        case("legal-hold.in-force", enrolled(), Irb, release_hold()),
        case("participant.erased", erased(), Irb, approve_erasure()),
        case("participant.erased", erased(), Investigator, request_erasure(erasure_body())),
        case("participant.erased", erased(), Investigator, record(&[vital_signs()])),
        case(
            "participant.erased",
            erased(),
            Investigator,
            withdraw(json!({"scope": ["samples"], "withdrawnOn": "2026-02-01"})),
        ),
        case("participant.erased", file, Sponsor, Command::ImportRow(IMPORT, body(imported_anew))),
        case("authority.role", requested(), Sponsor, approve_erasure()),
        case("authority.role", enrolled(), Sponsor, request_erasure(erasure_body())),
        case("authority.role", hold(Value::Null), Sponsor, release_hold()),
    ]
}

fn redaction_cases() -> Vec<Case> {
    let at = |changes: Value| request_redaction(but(redaction_body(), changes));
    let open = || redaction_requested("investigator-1");
    let hold = json!({"hold": HOLD, "reason": "Inspection announced"});
    let held = with(open(), trial(), event("legal-hold.placed", hold));
    let gone = with(open(), participant(), event("participant.closed", json!({"cause": "erasure"})));
    let value = "redaction.value-recorded";
    let once = "redaction.request-open";
    vec![
        case("participant.known", activated(), Investigator, at(json!({}))),
        case(value, measured(), Investigator, at(json!({"streamseq": 0}))),
        case(value, measured(), Investigator, at(json!({"streamseq": 99}))),
        case(value, measured(), Investigator, at(json!({"pointer": "/record/items/9/value"}))),
        case(value, measured(), Investigator, at(json!({"pointer": "/record/items/0/itemOid"}))),
        case(value, measured(), Investigator, at(json!({"pointer": "/record"}))),
        case(once, open(), Investigator, at(json!({}))),
        case(once, redaction_approved(), Investigator, at(json!({}))),
        case(once, redaction_approved(), Irb, approve_redaction()),
        case("redaction.requested", measured(), Irb, approve_redaction()),
        case("redaction.two-people", redaction_requested("actor-1"), Irb, approve_redaction()),
        case("legal-hold.none-in-force", held, Irb, approve_redaction()),
        case("participant.erased", gone, Irb, approve_redaction()),
        case("authority.role", open(), Sponsor, approve_redaction()),
        case("authority.role", measured(), Sponsor, at(json!({}))),
    ]
}

fn submission_cases() -> Vec<Case> {
    let with = |signed: Signed, case: Case| Case { signed: Some(signed), ..case };
    let day = 86_400_000_000;
    let late = || Signed { signed_at_micros: NOW_MICROS - day - 1, ..signed(X) };
    let ahead = || Signed { signed_at_micros: NOW_MICROS + 300_000_001, ..signed(X) };
    let own = "submission.key-own";
    let fresh = "submission.signature-fresh";
    let required = "submission.signature-required";
    vec![
        case(required, signing_required(), Investigator, visit("2026-01-30")),
        case(required, signing_required(), Sponsor, Command::StartImport(IMPORT, body(dataset()))),
        case(required, enrolled(), Investigator, register_submission_key(X)),
        case(required, enrolled(), Sponsor, change_signing(true)),
        case(required, signing_required(), Sponsor, change_signing(false)),
        with(signed(X), case(own, enrolled(), Investigator, visit("2026-01-30"))),
        with(signed(X), case(own, other_key(), Investigator, visit("2026-01-30"))),
        with(signed(X), case(own, key_revoked(), Investigator, visit("2026-01-30"))),
        with(signed(OTHER_X), case(own, with_key(), Investigator, register_submission_key(OTHER_X))),
        with(signed(OTHER_X), case(own, enrolled(), Investigator, register_submission_key(X))),
        with(
            Signed { verifies: false, ..signed(X) },
            case("submission.signature-valid", with_key(), Investigator, visit("2026-01-30")),
        ),
        with(late(), case(fresh, with_key(), Investigator, visit("2026-01-30"))),
        with(ahead(), case(fresh, with_key(), Investigator, visit("2026-01-30"))),
        with(signed(X), case("submission.key-unused", with_key(), Investigator, register_submission_key(X))),
        with(signed(X), case(own, key_revoked(), Investigator, register_submission_key(OTHER_X))),
        case("submission.key-active", key_revoked(), Investigator, revoke_submission_key(X)),
        case("submission.key-active", other_key(), Investigator, revoke_submission_key(X)),
        case("authority.role", with_key(), Investigator, change_signing(true)),
        case("authority.role", enrolled(), Role::Admin, revoke_submission_key(X)),
    ]
}

fn signature_cases() -> Vec<Case> {
    let answering =
        |rule, history, by, when| Case { answered: Some(answered()), ..case(rule, history, by, when) };
    let valid = "signature.valid";
    let (own, fresh) = ("signature.key-own", "signature.fresh");
    let no_version = || Answered { digest: None, ..answered() };
    let spoilt = || Answered { refused: Some("it is spoilt".into()), ..answered() };
    let found = |answered: Answered, case: Case| Case { answered: Some(answered), ..case };
    let now = |ahead: i64| json!({"at": NOW_SECONDS + ahead});
    let others = || with(enrolled(), trial(), signing_key_registered("actor-2", CREDENTIAL));
    vec![
        case(valid, enrolled(), Investigator, register_passkey(json!({}))),
        found(spoilt(), case(valid, enrolled(), Investigator, register_passkey(json!({})))),
        answering(
            "signature.policy-accepted",
            enrolled(),
            Investigator,
            register_passkey(json!({"accepts": "Yes."})),
        ),
        answering("signature.key-unused", with_passkey(), Investigator, register_passkey(json!({}))),
        answering("signature.key-unused", others(), Investigator, register_passkey(json!({}))),
        answering("signature.key-unused", passkey_revoked(), Investigator, register_passkey(json!({}))),
        answering(fresh, enrolled(), Investigator, register_passkey(now(-601))),
        answering(fresh, enrolled(), Investigator, register_passkey(now(301))),
        answering("trial.registered", vec![], Investigator, register_passkey(json!({}))),
        case("signature.key-active", enrolled(), Investigator, revoke_passkey(CREDENTIAL)),
        case("signature.key-active", others(), Investigator, revoke_passkey(CREDENTIAL)),
        case("signature.key-active", passkey_revoked(), Investigator, revoke_passkey(CREDENTIAL)),
        answering(own, enrolled(), Investigator, sign_record(json!({}))),
        answering(own, others(), Investigator, sign_record(json!({}))),
        answering(own, passkey_revoked(), Investigator, sign_record(json!({}))),
        case(valid, with_passkey(), Investigator, sign_record(json!({}))),
        found(spoilt(), case(valid, with_passkey(), Investigator, sign_record(json!({})))),
        found(no_version(), case(valid, with_passkey(), Investigator, sign_record(json!({})))),
        answering(fresh, with_passkey(), Investigator, sign_record(now(-601))),
        answering(fresh, with_passkey(), Investigator, sign_record(now(301))),
        answering(
            "signature.version-current",
            with_passkey(),
            Investigator,
            sign_record(json!({"version": 2})),
        ),
        answering(
            "signature.version-current",
            with_passkey(),
            Investigator,
            sign_record(json!({"version": 4})),
        ),
        answering("participant.known", approved(), Investigator, sign_record(json!({}))),
        answering("authority.role", with_passkey(), Sponsor, sign_record(json!({}))),
        answering("authority.role", enrolled(), Role::Monitor, register_passkey(json!({}))),
    ]
}

fn delegation_cases() -> Vec<Case> {
    let to = |changes: Value| grant(but(delegation(), but(json!({"delegate": "person-2"}), changes)));
    let granted = || with(activated(), trial(), event("delegation.granted", delegation()));
    let ended = || with(granted(), trial(), event("delegation.ended", end_of_delegation()));
    vec![
        case("authority.role", activated(), Sponsor, to(json!({}))),
        case("authority.role", granted(), Irb, end_delegation()),
        case("trial.registered", vec![], Investigator, to(json!({}))),
        case("site.activated", approved(), Investigator, to(json!({}))),
        case("time.order", activated(), Investigator, to(json!({"until": "2026-01-31"}))),
        case("delegation.to-another", activated(), Investigator, grant(delegation())),
        case("delegation.tasks", activated(), Investigator, to(json!({"tasks": []}))),
        case("delegation.name-unused", granted(), Investigator, to(json!({}))),
        case("delegation.open", activated(), Investigator, end_delegation()),
        case("delegation.open", ended(), Investigator, end_delegation()),
        case("delegation.in-force", ended(), Role::SiteStaff, screen(screening())),
    ]
}

#[test]
fn each_rule_refuses_what_it_stands_against() {
    // Only the store sees whether a key is free, so these two are refused by it, in the record's words.
    let mut seen: BTreeSet<&str> =
        [NaturalKeyKind::SubjectNumber, NaturalKeyKind::SiteNumber].map(|kind| kind.taken().rule).into();
    let cases = [
        trial_cases(),
        time_cases(),
        approval_cases(),
        consent_cases(),
        participant_cases(),
        data_cases(),
        erasure_cases(),
        redaction_cases(),
        delegation_cases(),
        import_and_ledger_cases(),
        submission_cases(),
        signature_cases(),
    ];
    for case in cases.into_iter().flatten() {
        seen.insert(case.rule);
        case.given
            .by(case.by)
            .signed(case.signed)
            .answered(case.answered)
            .when(&case.when)
            .refused(case.rule);
    }
    let table: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(seen, table, "a rule without a case, or a case without a rule");
    assert_eq!(table.len(), RULES.len(), "two rules have the same id");
}

#[test]
fn rules_say_what_they_are_and_what_to_do() {
    for rule in RULES {
        assert!(rule.text.ends_with('.') && rule.hint.ends_with('.'), "{}", rule.id);
        assert_eq!(rule.id.split('.').count(), 2, "{}", rule.id);
    }
}
