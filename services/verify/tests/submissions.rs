//! The check of signed submissions in a dataset: an operator who makes a record up, seal, manifest and all, but has no sender's key.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::record::{Record, fact, found, of, trial};
use common::{Ledger, ORIGIN, START_SECONDS, TRIAL, codes, write};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use trialseal_seal::event::Header;
use trialseal_seal::submission::statement;
use trialseal_verify::files::Folder;
use trialseal_verify::{Verdict, dataset};

const PARTICIPANT: &str = "019b76da-a800-7344-bd2c-6d0e4ff7a373";
const OTHER: &str = "019b76da-a800-7344-bd2c-6d0e4ff7a374";

impl Record {
    /// The event of a submission, and from here on events that come of it.
    fn submission(&mut self, subject: &str, data: &Value) -> &mut Self {
        self.cause = None;
        self.event("submission.signed", subject, data);
        self.cause = Some(self.lines.last().unwrap()["header"]["id"].as_str().unwrap().to_owned());
        self
    }

    fn unsigned(&mut self) -> &mut Self {
        self.cause = None;
        self
    }

    fn with_key(key: &SigningKey) -> Self {
        let mut record = Self::new();
        let body = json!({"key": jwk(key)});
        record.submission(&trial(), &signed(key, "submission-keys", "key-1", &body));
        record.event("submission-key.registered", &trial(), &json!({"holder": "site-1", "key": jwk(key)}));
        record
    }

    /// A visit as it was signed, or as somebody changed it.
    fn visit(&mut self, data: &Value, visit: &str) -> &mut Self {
        let occurred = json!({"visit": visit, "occurredOn": "2026-01-30"});
        self.submission(&of(PARTICIPANT), data).event("visit.occurred", &of(PARTICIPANT), &occurred)
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn x(key: &SigningKey) -> String {
    URL_SAFE_NO_PAD.encode(key.verifying_key().to_bytes())
}

fn jwk(key: &SigningKey) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": x(key)})
}

/// The data of a submission event: what a sender signs, sent to an address of the trial.
fn signed(key: &SigningKey, rest: &str, idempotency_key: &str, body: &Value) -> Value {
    signed_at(key, START_SECONDS, rest, idempotency_key, body)
}

fn signed_at(key: &SigningKey, seconds: i64, rest: &str, idempotency_key: &str, body: &Value) -> Value {
    let path = format!("/v1/trials/{TRIAL}/{rest}");
    let header = json!({"alg": "EdDSA", "kid": x(key), "iat": seconds});
    let protected = URL_SAFE_NO_PAD.encode(header.to_string());
    let payload = URL_SAFE_NO_PAD.encode(statement(ORIGIN, &path, idempotency_key, body));
    let signature = key.sign(format!("{protected}.{payload}").as_bytes());
    json!({
        "path": path, "idempotencyKey": idempotency_key, "body": body,
        "signature": format!("{protected}..{}", URL_SAFE_NO_PAD.encode(signature.to_bytes())),
    })
}

fn visits() -> String {
    format!("participants/{PARTICIPANT}/visits")
}

fn visit() -> Value {
    json!({"visit": "V1", "occurredOn": "2026-01-30"})
}

#[test]
fn what_senders_signed_is_sound_and_told_with_their_keys() {
    let (first, second) = (key(1), key(2));
    let mut record = Record::with_key(&first);
    record.visit(&signed(&first, &visits(), "k-1", &visit()), "V1");
    let next = json!({"key": jwk(&second)});
    record.submission(&trial(), &signed(&first, "submission-keys", "k-2", &next));
    record.event("submission-key.registered", &trial(), &json!({"holder": "site-1", "key": jwk(&second)}));
    let other = json!({"visit": "V2", "occurredOn": "2026-01-30"});
    record.visit(&signed(&second, &visits(), "k-3", &other), "V2");
    record.unsigned().event("visit.occurred", &of(PARTICIPANT), &visit());
    let report = record.check();
    assert_eq!(codes(&report), []);
    assert_eq!(fact(&report, "submissionsSigned"), 4);
    assert_eq!(
        (fact(&report, "submissionsUnsigned"), fact(&report, "submissionsUnchecked")),
        (1.into(), 0.into())
    );
    let keys = fact(&report, "submissionKeys");
    let told = |key: &SigningKey, rest: &str| {
        Value::from(format!("{} of site-1, registered by event {rest}", x(key)))
    };
    let expected = [
        told(&first, "1, vouched for by nobody, 3 submissions"),
        told(&second, "5, vouched for by an earlier one, 1 submissions"),
    ];
    assert!(expected.iter().all(|key| keys.as_array().unwrap().contains(key)), "{keys}");
    // A reader who knows the keys of the sender from the sender.
    assert_eq!(codes(&record.check_for(&[x(&first), x(&second)])), []);
    found(&record.check_for(&[x(&first)]), "submission-key-unexpected");
}

#[test]
fn a_record_without_signatures_says_nothing_of_them() {
    let mut record = Record::new();
    record.event("visit.occurred", &of(PARTICIPANT), &visit());
    let report = record.check();
    assert_eq!(codes(&report), []);
    assert!(report.facts().iter().all(|fact| !fact.name.starts_with("submission")));
}

#[test]
fn what_an_operator_changes_about_a_submission_is_found() {
    let site = key(1);
    let good = signed(&site, &visits(), "k-1", &visit());
    let check = |data: &Value, visit: &str| Record::with_key(&site).visit(data, visit).check();
    assert_eq!(codes(&check(&good, "V1")), []);
    found(&check(&good, "V2"), "submission-differs");
    for (member, value) in [
        ("body", json!({"visit": "V2", "occurredOn": "2026-01-30"})),
        ("idempotencyKey", json!("k-2")),
        ("path", json!(format!("/v1/trials/{TRIAL}/participants/{OTHER}/visits"))),
    ] {
        let mut changed = good.clone();
        changed[member] = value;
        found(&check(&changed, if member == "body" { "V2" } else { "V1" }), "submission-signature-valid");
    }
    let mut unreadable = good.clone();
    unreadable["signature"] = "none".into();
    found(&check(&unreadable, "V1"), "submission-form");
    let mut elsewhere = good.clone();
    elsewhere["path"] = format!("/v1/trials/OTHER/{}", visits()).into();
    found(&check(&elsewhere, "V1"), "submission-differs");
    let mut nothing = good;
    nothing["body"] = json!({"visit": "V1"});
    found(&check(&nothing, "V1"), "submission-differs");
}

#[test]
fn another_key_another_time_or_another_place_is_found() {
    let (site, stranger) = (key(1), key(9));
    let check = |data: &Value| Record::with_key(&site).visit(data, "V1").check();
    found(&check(&signed(&stranger, &visits(), "k-1", &visit())), "submission-key-own");
    let of_yesterday = signed_at(&site, START_SECONDS - 86_401, &visits(), "k-1", &visit());
    found(&check(&of_yesterday), "submission-signature-fresh");
    let good = signed(&site, &visits(), "k-1", &visit());
    // As somebody else's, of somebody else, or a second time.
    let mut by_other = Record::with_key(&site);
    by_other.actor = "site-2".into();
    found(&by_other.visit(&good, "V1").check(), "submission-key-own");
    let mut of_other = Record::with_key(&site);
    of_other.submission(&of(OTHER), &good).event("visit.occurred", &of(OTHER), &visit());
    found(&of_other.check(), "submission-differs");
    let mut twice = Record::with_key(&site);
    twice.visit(&good, "V1").visit(&good, "V1");
    found(&twice.check(), "submission-twice");
    // Something more, or nothing, behind it.
    let mut more = Record::with_key(&site);
    more.visit(&good, "V1").event("visit.occurred", &of(PARTICIPANT), &visit());
    found(&more.check(), "submission-differs");
    let mut nothing = Record::with_key(&site);
    nothing.submission(&of(PARTICIPANT), &good);
    found(&nothing.check(), "submission-differs");
}

#[test]
fn a_key_that_was_revoked_signs_no_more_and_one_that_nobody_signed_for_is_found() {
    let site = key(1);
    let mut record = Record::with_key(&site);
    record.unsigned().event("submission-key.revoked", &trial(), &json!({"key": x(&site), "reason": "Lost"}));
    assert_eq!(codes(&record.check()), []);
    record.visit(&signed(&site, &visits(), "k-1", &visit()), "V1");
    found(&record.check(), "submission-key-own");
    let mut made_up = Record::new();
    made_up.event("submission-key.registered", &trial(), &json!({"holder": "site-1", "key": jwk(&site)}));
    found(&made_up.check(), "submission-unsigned");
}

#[test]
fn where_signatures_are_asked_for_none_can_be_left_out() {
    let site = key(1);
    let required = json!({"required": true, "reason": "All sites have keys"});
    let mut record = Record::with_key(&site);
    record.submission(&trial(), &signed(&site, "submission-signing", "k-1", &required));
    record.event("submission-signing.changed", &trial(), &required);
    let before = record.check();
    // The demand is a sponsor's; here it is the site that made it, which is for the roles to refuse and not for signatures.
    assert_eq!(codes(&before), []);
    record.unsigned().event(
        "record.read",
        "access/019b76da-a800-7344-bd2c-6d0e4ff7a375",
        &json!({"reading": "events", "extent": "participant"}),
    );
    assert_eq!(codes(&record.check()), []);
    record.unsigned().event("visit.occurred", &of(PARTICIPANT), &visit());
    found(&record.check(), "submission-unsigned");
    // Nor as rows of a file, unless it was on its way before.
    record.lines.pop();
    let import = "019b76da-a800-7344-bd2c-6d0e4ff7a376";
    let row = json!({"import": import, "dataset": "LB", "row": 0, "record": {}});
    record.event("data.imported", &of(PARTICIPANT), &row);
    found(&record.check(), "submission-unsigned");
    record.lines.pop();
    record.event("visit.occurred", &of(PARTICIPANT), &visit());
    // Nor by withholding it.
    let last = record.lines.last_mut().unwrap();
    *last = json!({"header": last["header"], "withheld": "erased"});
    found(&record.check(), "submission-unsigned");
}

#[test]
fn a_file_that_was_on_its_way_when_signatures_were_asked_for_comes_to_its_end_and_no_further() {
    let site = key(1);
    let import = "019b76da-a800-7344-bd2c-6d0e4ff7a376";
    let stream = format!("import/{import}");
    let row = |row: u32| json!({"import": import, "dataset": "LB", "row": row, "record": {}});
    let dataset = json!({
        "datasetJSONCreationDateTime": "2026-01-12T12:00:00", "datasetJSONVersion": "1.1.0", "itemGroupOID": "IG.LB",
        "records": 1, "name": "LB", "label": "Laboratory Test Results",
        "columns": [{"itemOID": "IT.LB.X", "name": "X", "label": "X", "dataType": "string"}],
    });
    let begun = json!({"dataset": dataset, "fileSha256": "00".repeat(32)});
    let required = json!({"required": true, "reason": "All sites have keys"});
    let mut record = Record::with_key(&site);
    record.unsigned().event("import.started", &stream, &begun);
    record.submission(&trial(), &signed(&site, "submission-signing", "k-1", &required));
    record.event("submission-signing.changed", &trial(), &required);
    let seen = json!({"subjectNumber": "1", "import": import});
    record.unsigned().event("participant.screened", &of(OTHER), &seen).event(
        "data.imported",
        &of(OTHER),
        &row(0),
    );
    record.event("import.completed", &stream, &json!({"rows": 1, "exceptions": 0}));
    assert_eq!(codes(&record.check()), []);
    record.event("data.imported", &of(OTHER), &row(1));
    found(&record.check(), "submission-unsigned");
    record.lines.pop();
    let another = stream.replace("376", "377");
    record.event("import.started", &another, &begun);
    found(&record.check(), "submission-unsigned");
    record.lines.pop();
    // Another one is signed by its SHA-256, and its rows rest on that.
    let file = signed(&site, "imports", "k-2", &json!({"sha256": "00".repeat(32)}));
    record.submission(&another, &file).event("import.started", &another, &begun).unsigned();
    let row = json!({"import": another.replace("import/", ""), "dataset": "LB", "row": 0, "record": {}});
    record.event("data.imported", &of(OTHER), &row);
    assert_eq!(codes(&record.check()), []);
    let other_file = signed(&site, "imports", "k-3", &json!({"sha256": "11".repeat(32)}));
    let third = stream.replace("376", "378");
    record.submission(&third, &other_file).event("import.started", &third, &begun);
    found(&record.check(), "submission-differs");
}

#[test]
fn what_cannot_be_read_is_never_taken_for_what_is_not_shown() {
    let site = key(1);
    let mut record = Record::with_key(&site);
    record.visit(&json!({"path": "/v1/trials"}), "V1");
    found(&record.check(), "submission-malformed");
    let mut newer = Record::with_key(&site);
    newer.visit(&signed(&site, &visits(), "k-1", &visit()), "V1");
    let last = newer.lines.last_mut().unwrap();
    last["header"]["dataschema"] = "urn:trialseal:visit.occurred:2".into();
    let report = newer.check();
    assert_eq!(codes(&report)[0].1, "submission-unknown");
    assert_eq!(report.verdict(), Verdict::CannotTell);
    // Where signatures are asked for, of a type that newer software may take in; but not of what nobody submits.
    let required = json!({"required": true, "reason": "All sites have keys"});
    let mut newer = Record::with_key(&site);
    newer.submission(&trial(), &signed(&site, "submission-signing", "k-1", &required));
    newer.event("submission-signing.changed", &trial(), &required).unsigned();
    newer.event(
        "record.read",
        "access/019b76da-a800-7344-bd2c-6d0e4ff7a375",
        &json!({"of": "newer software"}),
    );
    assert_eq!(codes(&newer.check()), []);
    newer.event("form.locked", &of(PARTICIPANT), &json!({"form": "VS"}));
    assert_eq!(codes(&newer.check())[0].1, "submission-unknown");
}

#[test]
fn what_a_submission_makes_is_new_and_what_it_is_about_is_its_own() {
    let site = key(1);
    let screening = json!({"site": OTHER, "subjectNumber": "1", "screenedOn": "2026-01-12"});
    let data = signed(&site, "participants", "k-1", &screening);
    let mut record = Record::with_key(&site);
    record.submission(&of(PARTICIPANT), &data).event("participant.screened", &of(PARTICIPANT), &screening);
    assert_eq!(codes(&record.check()), []);
    let other = signed(&site, "participants", "k-2", &but(&screening, "subjectNumber", "2"));
    record.submission(&of(PARTICIPANT), &other);
    record.event("participant.screened", &of(PARTICIPANT), &but(&screening, "subjectNumber", "2"));
    found(&record.check(), "submission-differs");
    // In the erasure's stream, or in another trial's, a visit is nobody's.
    let mut record = Record::with_key(&site);
    let stream = format!("erasure/{PARTICIPANT}");
    record.submission(&stream, &signed(&site, &visits(), "k-1", &visit()));
    record.event("visit.occurred", &stream, &visit());
    found(&record.check(), "submission-differs");
}

#[test]
fn the_approval_of_an_erasure_is_checked_though_the_participants_end_is_erased() {
    let site = key(1);
    let reason = json!({"reason": "No duty to keep the data is left"});
    let approved = json!({"requester": "site-2", "approver": "site-1", "reason": reason["reason"]});
    let stream = format!("erasure/{PARTICIPANT}");
    let approval = |path: &str| {
        let mut record = Record::with_key(&site);
        record.submission(&stream, &signed(&site, path, "k-1", &reason));
        record.event("erasure.approved", &stream, &approved);
        record.event("participant.closed", &of(PARTICIPANT), &json!({"cause": "erasure"}));
        let last = record.lines.last_mut().unwrap();
        *last = json!({"header": last["header"], "withheld": "erased"});
        record
    };
    let report = approval(&format!("participants/{PARTICIPANT}/erasure-approvals")).check();
    assert_eq!((codes(&report), fact(&report, "submissionsSigned")), (vec![], 2.into()));
    let report = approval(&format!("participants/{OTHER}/erasure-approvals")).check();
    found(&report, "submission-differs");
}

fn but(data: &Value, member: &str, value: &str) -> Value {
    let mut data = data.clone();
    data[member] = value.into();
    data
}

#[test]
fn what_is_not_shown_is_counted_and_not_judged() {
    let site = key(1);
    let mut record = Record::with_key(&site);
    record.visit(&signed(&site, &visits(), "k-1", &visit()), "V1");
    record.visit(&signed(&site, &visits(), "k-2", &visit()), "V1");
    for place in [2, 5] {
        let header = record.lines[place]["header"].clone();
        record.lines[place] = json!({"header": header, "withheld": "no-consent"});
    }
    let report = record.check();
    assert_eq!(codes(&report), []);
    assert_eq!(
        (fact(&report, "submissionsSigned"), fact(&report, "submissionsUnchecked")),
        (1.into(), 2.into())
    );
    // With a leaf alone, even which keys there are is unknown.
    let mut record = Record::with_key(&site);
    record.visit(&signed(&key(9), &visits(), "k-1", &visit()), "V1");
    let ledger = Ledger::of(record.lines.clone(), 2, |_| ());
    let mut files = ledger.plain_dataset();
    let leaf = Header::parse(&record.lines[1]["header"]).unwrap().leaf();
    let text = String::from_utf8(files["record.ndjson"].clone()).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines[1] = json!({"leaf": leaf}).to_string();
    files.insert("record.ndjson".into(), format!("{}\n", lines.join("\n")).into_bytes());
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &ledger.signed(files));
    let mut files = Folder::open(folder.path()).unwrap();
    let report = dataset("dataset", &mut files, &ledger.policy(), &[ledger.export.export_key()], &[]);
    assert_eq!((codes(&report), fact(&report, "submissionsUnchecked")), (vec![], 2.into()));
}
